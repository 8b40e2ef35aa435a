//! The outbox: this user's messages without an outcome, in order. Each has an id that never changes
//! once sent, and is sent again until the server reports its outcome.
//!
//! An entry leaves by echo, by acknowledgement, by permanent refusal, or by withdrawal; never
//! because a connection broke. The saved state decides what may be done: only a saved entry is
//! pending, and only one that was saved with its counter may be sent. Counters are given when a
//! save is composed while there is a server to send to, so a message withdrawn before that leaves
//! no gap, and one that could not be saved has used no counter.

mod contents;
mod disk;
mod entry;
mod rate_limiter;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use crate::{
    client::event::{Delivery, LocalId, OutboxMessage},
    protocol::{
        Content, DeviceId, Entry, MessageId, RoomId, RoomName,
        frame::{Limits, Submission},
        limits::{NUMBER_MAX, TEXT_BYTES_MAX, UNANSWERED_MESSAGES_MAX},
    },
    text::Line,
};

pub(super) use self::entry::QueuedEntry;
#[cfg(test)]
pub(super) use self::rate_limiter::{FLIGHT_FIRST, TRIAL};
use self::{contents::may_be_of, disk::SaveInFlight, rate_limiter::RateLimiter};
use super::{
    persist_types::OutboxEntry,
    user_text::{self, ProtocolFault},
};

/// Messages that the outbox holds; one more is refused, and can be sent again later.
pub const OUTBOX_MESSAGES_MAX: usize = 10_000;
/// Bytes of text that the outbox holds.
pub const OUTBOX_BYTES_MAX: usize = 1024 * TEXT_BYTES_MAX;
/// Refused messages kept for [`super::Command::SendAgain`]; the oldest is dropped first.
const REFUSED_MAX: usize = 256;
/// Entries settled by an acknowledgement before their echo.
const ECHOES_MAX: usize = UNANSWERED_MESSAGES_MAX;
/// The shortest and the longest hold that a server can ask for.
const HOLD_MIN: Duration = Duration::from_millis(50);
const HOLD_MAX: Duration = Duration::from_mins(1);

/// The frame to write for an entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ToSend {
    Submit(Submission),
    Withdraw(MessageId),
}

/// The result of withdrawing.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Withdrawal {
    /// It was neither sent nor saved: it is gone.
    Done(QueuedEntry),
    /// It was not sent: it is gone once its removal is saved.
    Saving,
    /// The server decides whether it was in time.
    Asked,
    /// It was written to a legacy server, which can't withdraw.
    TooLate,
    /// Another process has it, and sends it.
    Elsewhere(OutboxMessage),
    /// There is no such entry.
    Unknown,
}

/// The entries and their progress on this connection.
#[derive(Debug)]
pub(super) struct Outbox {
    device: DeviceId,
    entries: VecDeque<QueuedEntry>,
    bytes: usize,
    /// The counter of the next message that gets one.
    next_counter: u64,
    next_key: u64,
    next_local: u64,
    /// The next number for a message from another process.
    next_of_others: u64,
    /// The highest counter settled according to a welcome.
    settled: u64,
    /// `entries[..sent]` were written on this connection and are unanswered.
    sent: usize,
    /// The highest counter that was written on this connection, or that the server has settled.
    reached: u64,
    /// How many may be unanswered at once.
    window: usize,
    /// Nothing is sent before then, after a temporary refusal.
    held_until: Option<Duration>,
    /// Messages under the rate limit are not sent before then.
    paced_until: Option<Duration>,
    rate_limiter: RateLimiter,
    /// Counters of entries that were withdrawn after they were sent.
    withdrawals: VecDeque<u64>,
    /// `join.next` of this connection.
    joined_next: u64,
    refused: VecDeque<QueuedEntry>,
    /// Entries whose acknowledgement came before their echo, with their counters.
    echoes: VecDeque<(u64, QueuedEntry)>,
    /// Our messages that another process had stored under these numbers, in whatever log; their
    /// echo is to come.
    sent_elsewhere: VecDeque<(QueuedEntry, u64)>,
    /// Keys of entries, pending or refused, whose current state is not saved.
    dirty: BTreeSet<u64>,
    /// Keys of settled entries that may still be on disk, and whether the user alone decided that.
    gone: BTreeMap<u64, bool>,
    /// The keys of entries that other runs typed.
    others: BTreeMap<LocalId, u64>,
    /// Outcomes of such entries, to report to those runs.
    outcomes: BTreeMap<u64, Delivery>,
    /// Whether a query for messages submitted by other processes is outstanding.
    adopting: bool,
    /// Entries that the user withdrew before they were sent, and that may still be on disk.
    taking_back: Vec<QueuedEntry>,
    /// Those of them that another process has now, as pending, because it has the outbox.
    not_taken_back: Vec<QueuedEntry>,
    flight: Option<SaveInFlight>,
}

impl Outbox {
    /// Sets the device id that the server uses for this device; later messages are sent under it.
    pub(super) fn is_of(&mut self, device: DeviceId) {
        self.device = device;
    }

    pub(super) fn new(device: DeviceId) -> Self {
        Self {
            device,
            entries: VecDeque::new(),
            bytes: 0,
            next_counter: 1,
            next_key: 1,
            next_local: 1,
            next_of_others: LocalId::OF_OTHERS,
            settled: 0,
            sent: 0,
            reached: 0,
            window: 1,
            held_until: None,
            paced_until: None,
            rate_limiter: RateLimiter::new(),
            withdrawals: VecDeque::new(),
            joined_next: 1,
            refused: VecDeque::new(),
            echoes: VecDeque::new(),
            sent_elsewhere: VecDeque::new(),
            dirty: BTreeSet::new(),
            gone: BTreeMap::new(),
            others: BTreeMap::new(),
            outcomes: BTreeMap::new(),
            adopting: false,
            taking_back: Vec::new(),
            not_taken_back: Vec::new(),
            flight: None,
        }
    }

    fn new_local(&mut self) -> LocalId {
        let local = LocalId(self.next_local);
        self.next_local += 1;
        local
    }

    fn new_local_of_others(&mut self) -> LocalId {
        let local = LocalId(self.next_of_others);
        self.next_of_others += 1;
        local
    }

    fn new_key(&mut self) -> u64 {
        let key = self.next_key;
        self.next_key += 1;
        key
    }

    /// Adds a message. It is pending once saved. Returns the news if the outbox is full: the
    /// message counts as refused.
    pub(super) fn push(
        &mut self,
        room: RoomId,
        enter: Option<RoomName>,
        content: Content,
    ) -> Option<OutboxMessage> {
        let local = self.new_local();
        self.enter(local, false, room, enter, content)
    }

    /// Adds a refused message again, under a new id and at the end; as [`Self::push`].
    pub(super) fn push_again(&mut self, local: LocalId) -> Option<OutboxMessage> {
        let entry = self.take_refused(local)?;
        self.others.remove(&local);
        let kept = entry.kept;
        self.enter(local, entry.counted, kept.room, kept.enter, kept.content)
    }

    /// Removes a refused message.
    pub(super) fn take_refused(&mut self, local: LocalId) -> Option<QueuedEntry> {
        let at = self.refused.iter().position(|entry| entry.local == local)?;
        let entry = self.refused.remove(at)?;
        self.drop_entry(&entry, true);
        Some(entry)
    }

    fn enter(
        &mut self,
        local: LocalId,
        counted: bool,
        room: RoomId,
        enter: Option<RoomName>,
        content: Content,
    ) -> Option<OutboxMessage> {
        let entry = QueuedEntry {
            kept: OutboxEntry {
                key: self.new_key(),
                number: Some(local.0),
                room,
                enter,
                content,
                counter: None,
                withdrawn: false,
                unconfirmed: false,
                failed: None,
            },
            local,
            submitted: false,
            known: false,
            reserved: false,
            counted,
        };
        self.dirty.insert(entry.kept.key);
        let bytes = self.bytes + entry.kept.content.bytes();
        if self.entries.len() >= OUTBOX_MESSAGES_MAX || bytes > OUTBOX_BYTES_MAX {
            return Some(self.keep_refused(entry, Line::inert(user_text::OUTBOX_FULL)));
        }
        self.bytes = bytes;
        self.entries.push_back(entry);
        None
    }

    fn keep_refused(&mut self, mut entry: QueuedEntry, why: Line) -> OutboxMessage {
        if self.refused.len() >= REFUSED_MAX
            && let Some(oldest) = self.refused.pop_front()
        {
            self.forget(&oldest);
        }
        entry.kept.failed = Some(why.clone());
        self.dirty.insert(entry.kept.key);
        let news = entry.news(Delivery::Failed { why });
        self.refused.push_back(entry);
        news
    }

    /// Number of entries without an outcome that were not written to a legacy server either.
    pub(super) fn unsettled(&self) -> usize {
        // If the removal is not saved, the next run sends it.
        let taken_back = self.taking_back.len() + self.not_taken_back.len();
        self.entries
            .iter()
            .filter(|entry| !entry.kept.unconfirmed)
            .count()
            + taken_back
    }

    /// Number of entries that were written on this connection and have no outcome.
    pub(super) fn unanswered(&self) -> usize {
        self.sent
    }

    /// All entries, in order.
    pub(super) fn entries(&self) -> impl Iterator<Item = &OutboxEntry> {
        self.entries.iter().map(|entry| &entry.kept)
    }

    /// Sends the entries that name a room, and were not sent on this connection, to the room with this
    /// id.
    pub(super) fn readdress(&mut self, name: &RoomName, room: RoomId) {
        for entry in self.entries.iter_mut().skip(self.sent) {
            if entry.kept.enter.as_ref() == Some(name) && entry.kept.room != room {
                entry.kept.room = room;
                self.dirty.insert(entry.kept.key);
            }
        }
    }

    /// The next entry to be sent.
    pub(super) fn next_entry(&self) -> Option<&OutboxEntry> {
        self.entries.get(self.sent).map(|entry| &entry.kept)
    }

    /// Whether an entry was sent that is not answered yet.
    pub(super) fn awaits_answers(&self) -> bool {
        self.sent > 0
    }

    fn lowest(&self) -> u64 {
        let front = self.entries.front().and_then(|entry| entry.kept.counter);
        front.unwrap_or(self.next_counter)
    }

    /// Starts a new connection; returns `join.next`, the lowest counter that we will still send.
    pub(super) fn join(&mut self) -> u64 {
        self.close();
        self.joined_next = self.lowest();
        self.joined_next
    }

    /// The connection has closed: everything is to be sent again.
    pub(super) fn close(&mut self) {
        self.sent = 0;
        self.held_until = None;
        self.paced_until = None;
        self.withdrawals.clear();
    }

    /// Handles a welcome. `highest` is the highest counter that the server has settled for us. Our
    /// stored counters may be behind it (after a restored backup, for example); ids that were never
    /// sent then move up.
    pub(super) fn welcome(
        &mut self,
        now: Duration,
        highest: u64,
        limits: &Limits,
    ) -> Result<(), ProtocolFault> {
        if highest + 1 < self.joined_next || highest >= NUMBER_MAX / 2 {
            return Err(ProtocolFault::new(format!(
                "{highest} messages settled where {} was next",
                self.joined_next
            )));
        }
        self.close();
        self.reached = highest;
        self.rate_limiter.welcome(now, limits);
        let window = usize::try_from(limits.unanswered_messages).unwrap_or(usize::MAX);
        self.window = window.clamp(1, UNANSWERED_MESSAGES_MAX);
        if self.next_counter <= highest {
            self.next_counter = highest + 1;
            for entry in self.entries.iter_mut().filter(|entry| !entry.reserved) {
                if entry.kept.counter.take().is_some() {
                    self.dirty.insert(entry.kept.key);
                }
            }
        }
        self.settled = highest;
        for entry in &mut self.entries {
            entry.kept.unconfirmed = false;
        }
        Ok(())
    }

    /// When the next one may be sent, if it waits for a time.
    pub(super) fn waits_until(&self) -> Option<Duration> {
        self.held_until.or(self.paced_until)
    }

    /// The next frame to write on this connection, if any; `leaving`: the connection is about to
    /// end.
    pub(super) fn next_to_send(&mut self, now: Duration, leaving: bool) -> Option<ToSend> {
        self.paced_until = None;
        if let Some(counter) = self.withdrawals.pop_front() {
            return Some(ToSend::Withdraw(self.id(counter)));
        }
        if self.held_until.is_some_and(|until| now < until) {
            return None;
        }
        self.held_until = None;
        if self.sent >= self.window.min(self.rate_limiter.flight(leaving)) {
            return None;
        }
        let entry = self.entries.get(self.sent).filter(|entry| entry.reserved)?;
        let counter = entry.kept.counter?;
        if counter > self.reached + 1 {
            // A gap: a server that may have lost both settled this counter before the next one. It
            // must be used up again.
            self.reached += 1;
            return Some(ToSend::Withdraw(self.id(self.reached)));
        }
        let id = self.id(counter);
        let to_send = if entry.kept.withdrawn {
            ToSend::Withdraw(id)
        } else {
            // An already settled message is answered without being counted.
            if counter > self.settled {
                self.paced_until = self.rate_limiter.waits(now, counter);
                if self.paced_until.is_some() {
                    return None;
                }
                self.rate_limiter.left(now, counter);
            }
            ToSend::Submit(Submission {
                room: entry.kept.room,
                id: Some(id),
                content: Ok(entry.kept.content.clone()),
            })
        };
        self.sent += 1;
        self.reached = self.reached.max(counter);
        Some(to_send)
    }

    /// Holds back a message at the server's request, with all after it, in order.
    pub(super) fn hold(&mut self, now: Duration, id: MessageId, wait: Duration) {
        if id.device != self.device || id.counter > self.reached {
            // An answer to a message that is sent again anyway.
            return;
        }
        self.rate_limiter.refused(now, id.counter, wait);
        self.sent = self.sent.min(self.place(id.counter));
        self.reached = id.counter.saturating_sub(1);
        // Entries behind it are withdrawn in their turn: the server does not accept their counters
        // before.
        self.withdrawals.retain(|counter| *counter < id.counter);
        self.held_until = Some(now + wait.clamp(HOLD_MIN, HOLD_MAX));
    }

    /// Removes a message whose outcome the server reported. `None`: it was removed before.
    pub(super) fn settle(&mut self, id: MessageId) -> Option<QueuedEntry> {
        let at = self.find(id)?;
        let entry = self.remove(at)?;
        self.forget(&entry);
        Some(entry)
    }

    /// As [`Self::settle`], for an acknowledgement before the echo.
    pub(super) fn settle_before_echo(&mut self, id: MessageId) -> Option<QueuedEntry> {
        let entry = self.settle(id)?;
        if self.echoes.len() >= ECHOES_MAX {
            self.echoes.pop_front();
        }
        self.echoes.push_back((id.counter, entry.clone()));
        Some(entry)
    }

    /// The entry of an echo, if it was acknowledged before the echo came.
    pub(super) fn take_echo(&mut self, message: &Entry) -> Option<QueuedEntry> {
        if message.id.device != self.device {
            return None;
        }
        let counter = message.id.counter;
        if let Some(at) = self.echoes.iter().position(|(c, _)| *c == counter) {
            return self.echoes.remove(at).map(|(_, entry)| entry);
        }
        let here = |(entry, seq): &(QueuedEntry, u64)| {
            (&entry.kept.room, *seq) == (&message.room, message.seq)
                && may_be_of(message, &entry.kept.content)
        };
        let at = self.sent_elsewhere.iter().position(here)?;
        self.sent_elsewhere.remove(at).map(|(entry, _)| entry)
    }

    /// The log has changed: acknowledged messages will not be echoed.
    pub(super) fn forget_echoes(&mut self) {
        self.echoes.clear();
        self.sent_elsewhere.clear();
    }

    /// As [`Self::settle`], for a permanent refusal: the text is kept to be sent again.
    pub(super) fn refuse(&mut self, id: MessageId, why: Line) -> Option<OutboxMessage> {
        let at = self.find(id)?;
        let entry = self.remove(at)?;
        if entry.kept.withdrawn {
            self.forget(&entry);
            return Some(entry.news(Delivery::Withdrawn));
        }
        Some(self.keep_refused(entry, why))
    }

    /// Withdraws a message for the user.
    pub(super) fn withdraw(&mut self, local: LocalId) -> Withdrawal {
        let Some(at) = self.entries.iter().position(|entry| entry.local == local) else {
            return Withdrawal::Unknown;
        };
        let entry = &mut self.entries[at];
        if entry.kept.unconfirmed {
            return Withdrawal::TooLate;
        }
        if entry.submitted {
            return Withdrawal::Elsewhere(entry.news(Delivery::Pending));
        }
        let Some(counter) = entry.kept.counter else {
            // It has used no counter.
            let Some(entry) = self.remove(at) else {
                return Withdrawal::Unknown;
            };
            self.drop_entry(&entry, true);
            if !self.gone.contains_key(&entry.kept.key) {
                return Withdrawal::Done(entry);
            }
            self.taking_back.push(entry);
            return Withdrawal::Saving;
        };
        if !std::mem::replace(&mut entry.kept.withdrawn, true) {
            self.dirty.insert(entry.kept.key);
            if at < self.sent {
                self.withdrawals.push_back(counter);
            } else if at == self.sent {
                // A withdrawal need not wait.
                self.held_until = None;
            }
        }
        Withdrawal::Asked
    }

    /// The next entry for a legacy server, which gets each text once, and only those for the lobby:
    /// it has no rooms, and all would read it. If the server is not `certain` to be a legacy one,
    /// entries behind another wait, since later counters may not overtake it.
    pub(super) fn next_for_basic(&self, certain: bool) -> Option<(MessageId, QueuedEntry)> {
        let for_lobby = |entry: &&QueuedEntry| {
            let is_text = matches!(entry.kept.content, Content::Text(_));
            is_text && entry.kept.room == RoomId::LOBBY
        };
        let mut due = self.entries.iter().filter(|entry| entry.is_due());
        let entry = if certain {
            due.find(for_lobby)
        } else {
            due.next().filter(for_lobby)
        }?;
        let counter = entry.kept.counter.filter(|_| entry.reserved)?;
        Some((self.id(counter), entry.clone()))
    }

    /// Whether [`Self::next_for_basic`] has one.
    pub(super) fn due_for_basic(&self, certain: bool) -> bool {
        // Fast path: written entries come first, unsaved ones last.
        let may_leave = |entry: &&QueuedEntry| entry.reserved;
        let any = self
            .entries
            .iter()
            .rev()
            .skip_while(|e| !may_leave(e))
            .any(QueuedEntry::is_due);
        any && self.next_for_basic(certain).is_some()
    }

    /// Marks an entry as written to a legacy server in full. It stays, in case a welcome comes late,
    /// until [`Self::forget_unconfirmed`]. Returns the entry as it was before.
    pub(super) fn written_to_basic(&mut self, id: MessageId) -> Option<QueuedEntry> {
        let at = self.find(id)?;
        let entry = &mut self.entries[at];
        let before = entry.clone();
        entry.kept.unconfirmed = true;
        entry.counted = true;
        self.dirty.insert(entry.kept.key);
        Some(before)
    }

    /// Removes all but the last `keep` messages that a legacy server need not get any more. Returns
    /// those of them that were not written in full, because the user withdrew them.
    pub(super) fn forget_unconfirmed(&mut self, keep: usize) -> Vec<QueuedEntry> {
        let over = |entry: &&QueuedEntry| !entry.is_due();
        let over = self.entries.iter().take_while(over).count();
        let mut withdrawn = Vec::new();
        for _ in keep..over {
            let Some(entry) = self.remove(0) else { break };
            self.forget(&entry);
            if !entry.kept.unconfirmed {
                withdrawn.push(entry);
            }
        }
        withdrawn
    }

    fn id(&self, counter: u64) -> MessageId {
        MessageId {
            device: self.device,
            counter,
        }
    }

    /// The index of an entry with this counter, if it existed.
    fn place(&self, counter: u64) -> usize {
        let before = |entry: &QueuedEntry| entry.kept.counter.is_some_and(|own| own < counter);
        self.entries.partition_point(before)
    }

    /// The entry that certainly has this id. An entry whose counter is not saved was never sent:
    /// the server's answer for that id is about another process's message.
    fn find(&self, id: MessageId) -> Option<usize> {
        let at = self.place(id.counter);
        let entry = self.entries.get(at)?;
        let there = entry.reserved && entry.kept.counter == Some(id.counter);
        (there && id.device == self.device).then_some(at)
    }

    fn remove(&mut self, at: usize) -> Option<QueuedEntry> {
        let entry = self.entries.remove(at)?;
        self.bytes -= entry.kept.content.bytes();
        if at < self.sent {
            self.sent -= 1;
            self.rate_limiter.settled();
        }
        Some(entry)
    }
}
