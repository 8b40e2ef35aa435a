//! Messages of ours whose outcome is not known: in order, each under an id that never changes once
//! it has left this machine, sent again until the server has said what became of it.
//!
//! An entry leaves by echo, by acknowledgement, by a refusal for good, or by withdrawal; never
//! because a connection broke. What the disk has of it decides what may be done with it: only a
//! saved entry is pending, and only one that was saved with its counter may leave. Counters are
//! given when a save is made up while there is a server to send to, so that what is taken back
//! before that leaves no hole, and what could not be saved has used none up.

mod disk;
mod entry;
mod rate_limiter;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    time::Duration,
};

use crate::{
    client::event::{Delivery, LocalId, RestoredMessage},
    protocol::{
        DeviceId, MessageId, RoomName,
        frame::{Limits, Message},
        limits::{NUMBER_MAX, TEXT_BYTES_MAX, UNANSWERED_MESSAGES_MAX},
    },
    text::{Body, Line},
};

pub(super) use self::entry::OutboxEntry;
#[cfg(test)]
pub(super) use self::rate_limiter::{FLIGHT_FIRST, TRIAL};
use self::{disk::SaveInFlight, rate_limiter::RateLimiter};
use super::user_text::{self, ProtocolFault};

/// Messages that the outbox takes; one more is refused, and can be sent again later.
pub const OUTBOX_MESSAGES_MAX: usize = 10_000;
/// Bytes of text that the outbox takes.
pub const OUTBOX_BYTES_MAX: usize = 1024 * TEXT_BYTES_MAX;
/// Refused messages kept for [`super::Command::SendAgain`]; the oldest goes first.
const REFUSED_MAX: usize = 256;
/// Entries settled by an acknowledgement whose echo is still to come.
const ECHOES_MAX: usize = UNANSWERED_MESSAGES_MAX;
/// The shortest and the longest hold that a server can ask for.
const HOLD_MIN: Duration = Duration::from_millis(50);
const HOLD_MAX: Duration = Duration::from_mins(1);

/// What to write for an entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ToSend {
    Message {
        id: MessageId,
        room: RoomName,
        body: Body,
    },
    Withdraw(MessageId),
}

/// What withdrawing did.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Withdrawal {
    /// It had not left, and the disk never had it: it is gone.
    Done(OutboxEntry),
    /// It had not left: it is gone once the disk has let go of it.
    Saving,
    /// The server has to say whether it was in time.
    Asked,
    /// It was written to a basic server, where nothing can be taken back.
    TooLate,
    /// Another process has it, and sends it.
    Elsewhere(RestoredMessage),
    /// No such entry.
    Unknown,
}

/// The entries and how far this connection has come with them.
#[derive(Debug)]
pub(super) struct Outbox {
    device: DeviceId,
    entries: VecDeque<OutboxEntry>,
    bytes: usize,
    /// The counter of the next message that gets one.
    next_counter: u64,
    next_key: u64,
    next_local: u64,
    /// The same for what other processes hand over.
    next_of_others: u64,
    /// The highest counter that a welcome said to be settled.
    settled: u64,
    /// `entries[..sent]` were written on this connection and are not answered yet.
    sent: usize,
    /// The highest counter that was written on this connection, or that the server has settled.
    reached: u64,
    /// How many may be so at once.
    window: usize,
    /// A refusal that may pass: nothing is sent before then.
    held_until: Option<Duration>,
    /// What may leave at the server's pace does not before then.
    paced_until: Option<Duration>,
    rate_limiter: RateLimiter,
    /// Entries that were already sent when they were withdrawn.
    withdrawals: VecDeque<u64>,
    /// `join.next` of this connection.
    joined_next: u64,
    refused: VecDeque<OutboxEntry>,
    /// Counters whose acknowledgement came before their echo.
    echoes: VecDeque<(u64, LocalId)>,
    /// Our messages that another process had sent, under these numbers, in whatever log it was:
    /// their echo is to come.
    sent_elsewhere: VecDeque<(OutboxEntry, u64)>,
    /// Entries, pending or refused, that are not on disk as they are, by their keys.
    dirty: BTreeSet<u64>,
    /// Keys of entries that the disk may still have and that are done with, and whether that is
    /// by the user's wish alone.
    gone: BTreeMap<u64, bool>,
    /// The keys of entries that other runs typed.
    others: BTreeMap<LocalId, u64>,
    /// What became of such, and is to be told to those runs.
    outcomes: BTreeMap<u64, Delivery>,
    /// Whether the disk was asked for what other processes submitted.
    adopting: bool,
    /// Entries that the user took back before they left and that the disk may still have.
    taking_back: Vec<OutboxEntry>,
    /// Those of them that another process has now, as pending: it has the outbox.
    not_taken_back: Vec<OutboxEntry>,
    flight: Option<SaveInFlight>,
}

impl Outbox {
    /// The server knows this device by another id: what is sent from now on has that one.
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

    /// Takes a message. It is pending once it is saved. Gives what to say where there is no room:
    /// it counts as refused.
    pub(super) fn push(&mut self, room: RoomName, body: Body) -> Option<RestoredMessage> {
        let local = self.new_local();
        self.enter(local, false, room, body)
    }

    /// Takes a refused message again, under a new id and at the end; as [`Self::push`].
    pub(super) fn push_again(&mut self, local: LocalId) -> Option<RestoredMessage> {
        let entry = self.take_refused(local)?;
        self.others.remove(&local);
        self.enter(local, entry.counted, entry.room, entry.body)
    }

    /// Lets go of a refused message.
    pub(super) fn take_refused(&mut self, local: LocalId) -> Option<OutboxEntry> {
        let at = self.refused.iter().position(|entry| entry.local == local)?;
        let entry = self.refused.remove(at)?;
        self.drop_entry(&entry, true);
        Some(entry)
    }

    fn enter(
        &mut self,
        local: LocalId,
        counted: bool,
        room: RoomName,
        body: Body,
    ) -> Option<RestoredMessage> {
        let entry = OutboxEntry {
            local,
            key: self.new_key(),
            own: true,
            submitted: false,
            room,
            body,
            counter: None,
            known: false,
            reserved: false,
            basic: false,
            withdrawn: false,
            counted,
            failed: None,
        };
        self.dirty.insert(entry.key);
        let bytes = self.bytes + entry.body.as_str().len();
        if self.entries.len() >= OUTBOX_MESSAGES_MAX || bytes > OUTBOX_BYTES_MAX {
            return Some(self.keep_refused(entry, Line::inert(user_text::OUTBOX_FULL)));
        }
        self.bytes = bytes;
        self.entries.push_back(entry);
        None
    }

    fn keep_refused(&mut self, mut entry: OutboxEntry, why: Line) -> RestoredMessage {
        if self.refused.len() >= REFUSED_MAX
            && let Some(oldest) = self.refused.pop_front()
        {
            self.forget(&oldest);
        }
        entry.failed = Some(why.clone());
        self.dirty.insert(entry.key);
        let news = entry.news(Delivery::Failed { why });
        self.refused.push_back(entry);
        news
    }

    /// How many have no outcome and were not written to a basic server either.
    pub(super) fn unsettled(&self) -> usize {
        // What could not be taken back on disk yet is sent by the next run.
        let taken_back = self.taking_back.len() + self.not_taken_back.len();
        self.entries.iter().filter(|entry| !entry.basic).count() + taken_back
    }

    /// How many were written on this connection and have no outcome.
    pub(super) fn unanswered(&self) -> usize {
        self.sent
    }

    /// Where they are to be said.
    pub(super) fn rooms(&self) -> impl Iterator<Item = &RoomName> {
        self.entries.iter().map(|entry| &entry.room)
    }

    /// The room of the next message to be sent.
    pub(super) fn next_room(&self) -> Option<&RoomName> {
        self.entries.get(self.sent).map(|entry| &entry.room)
    }

    /// Whether something was sent that is not answered yet.
    pub(super) fn awaits_answers(&self) -> bool {
        self.sent > 0
    }

    fn lowest(&self) -> u64 {
        let front = self.entries.front().and_then(|entry| entry.counter);
        front.unwrap_or(self.next_counter)
    }

    /// A new connection: `join.next`, the lowest counter that we will still send.
    pub(super) fn join(&mut self) -> u64 {
        self.close();
        self.joined_next = self.lowest();
        self.joined_next
    }

    /// The connection is gone: everything is to be sent again.
    pub(super) fn close(&mut self) {
        self.sent = 0;
        self.held_until = None;
        self.paced_until = None;
        self.withdrawals.clear();
    }

    /// A welcome came: `highest` is the highest counter that the server has settled for us. Our
    /// own log of counters may be behind it (the disk was restored, say); ids that never left us
    /// then move up.
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
                if entry.counter.take().is_some() {
                    self.dirty.insert(entry.key);
                }
            }
        }
        self.settled = highest;
        for entry in &mut self.entries {
            entry.basic = false;
        }
        Ok(())
    }

    /// When the next one may leave, if one waits for that.
    pub(super) fn waits_until(&self) -> Option<Duration> {
        self.held_until.or(self.paced_until)
    }

    /// What to write next on this connection, if anything may be; `leaving`: it is about to end.
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
        let counter = entry.counter?;
        if counter > self.reached + 1 {
            // What stood there was settled before the one in front of it, by a server that may
            // have forgotten both since: its place has to be used up again.
            self.reached += 1;
            return Some(ToSend::Withdraw(self.id(self.reached)));
        }
        let id = self.id(counter);
        let to_send = if entry.withdrawn {
            ToSend::Withdraw(id)
        } else {
            // What is settled already is answered without being counted.
            if counter > self.settled {
                self.paced_until = self.rate_limiter.waits(now, counter);
                if self.paced_until.is_some() {
                    return None;
                }
                self.rate_limiter.left(now, counter);
            }
            ToSend::Message {
                id,
                room: entry.room.clone(),
                body: entry.body.clone(),
            }
        };
        self.sent += 1;
        self.reached = self.reached.max(counter);
        Some(to_send)
    }

    /// The server wants a message again later: it and all after it wait, in order.
    pub(super) fn hold(&mut self, now: Duration, id: MessageId, wait: Duration) {
        if id.device != self.device || id.counter > self.reached {
            // An answer to what is to be sent again anyway.
            return;
        }
        self.rate_limiter.refused(now, id.counter, wait);
        self.sent = self.sent.min(self.place(id.counter));
        self.reached = id.counter.saturating_sub(1);
        // Those behind it are withdrawn in their turn: until then, their place does not exist.
        self.withdrawals.retain(|counter| *counter < id.counter);
        self.held_until = Some(now + wait.clamp(HOLD_MIN, HOLD_MAX));
    }

    /// The server said what became of a message: it leaves. `None`: it had left before.
    pub(super) fn settle(&mut self, id: MessageId) -> Option<OutboxEntry> {
        let at = self.find(id)?;
        let entry = self.remove(at)?;
        self.forget(&entry);
        Some(entry)
    }

    /// As [`Self::settle`], for an acknowledgement whose echo is still to come.
    pub(super) fn settle_before_echo(&mut self, id: MessageId) -> Option<OutboxEntry> {
        let entry = self.settle(id)?;
        if self.echoes.len() >= ECHOES_MAX {
            self.echoes.pop_front();
        }
        self.echoes.push_back((id.counter, entry.local));
        Some(entry)
    }

    /// The entry that an echo belongs to, if it was acknowledged before the echo came.
    pub(super) fn take_echo(&mut self, message: &Message) -> Option<LocalId> {
        if message.id.device != self.device {
            return None;
        }
        let counter = message.id.counter;
        if let Some(at) = self.echoes.iter().position(|(c, _)| *c == counter) {
            return self.echoes.remove(at).map(|(_, local)| local);
        }
        let here = |(entry, seq): &(OutboxEntry, u64)| {
            let sent = (&entry.room, *seq, &entry.body);
            sent == (&message.room, message.seq, &message.body)
        };
        let at = self.sent_elsewhere.iter().position(here)?;
        self.sent_elsewhere.remove(at).map(|(entry, _)| entry.local)
    }

    /// The log is another one: acknowledged messages have no echo to come.
    pub(super) fn forget_echoes(&mut self) {
        self.echoes.clear();
        self.sent_elsewhere.clear();
    }

    /// As [`Self::settle`], for a refusal for good: the text is kept to be sent again.
    pub(super) fn refuse(&mut self, id: MessageId, why: Line) -> Option<RestoredMessage> {
        let at = self.find(id)?;
        let entry = self.remove(at)?;
        if entry.withdrawn {
            self.forget(&entry);
            return Some(entry.news(Delivery::Withdrawn));
        }
        Some(self.keep_refused(entry, why))
    }

    /// The user takes a message back.
    pub(super) fn withdraw(&mut self, local: LocalId) -> Withdrawal {
        let Some(at) = self.entries.iter().position(|entry| entry.local == local) else {
            return Withdrawal::Unknown;
        };
        let entry = &mut self.entries[at];
        if entry.basic {
            return Withdrawal::TooLate;
        }
        if entry.submitted {
            return Withdrawal::Elsewhere(entry.news(Delivery::Pending));
        }
        let Some(counter) = entry.counter else {
            // It has used up nothing.
            let Some(entry) = self.remove(at) else {
                return Withdrawal::Unknown;
            };
            self.drop_entry(&entry, true);
            if !self.gone.contains_key(&entry.key) {
                return Withdrawal::Done(entry);
            }
            self.taking_back.push(entry);
            return Withdrawal::Saving;
        };
        if !std::mem::replace(&mut entry.withdrawn, true) {
            self.dirty.insert(entry.key);
            if at < self.sent {
                self.withdrawals.push_back(counter);
            } else if at == self.sent {
                // To take it back needs no waiting.
                self.held_until = None;
            }
        }
        Withdrawal::Asked
    }

    /// The next entry for a basic server, which is told each message once, and only what is for the
    /// lobby: it has no rooms, and all would read it. If it is not `certain` to be such a server,
    /// what comes behind a message for a room waits: later counters may not overtake that one.
    pub(super) fn next_for_basic(&self, certain: bool) -> Option<(MessageId, OutboxEntry)> {
        let for_lobby = |entry: &&OutboxEntry| entry.room == RoomName::lobby();
        let mut due = self.entries.iter().filter(|entry| entry.is_due());
        let entry = if certain {
            due.find(for_lobby)
        } else {
            due.next().filter(for_lobby)
        }?;
        let counter = entry.counter.filter(|_| entry.reserved)?;
        Some((self.id(counter), entry.clone()))
    }

    /// Whether [`Self::next_for_basic`] has one.
    pub(super) fn due_for_basic(&self, certain: bool) -> bool {
        // What was written comes first, and what may not leave yet last: mostly this is enough.
        let may_leave = |entry: &&OutboxEntry| entry.reserved;
        let any = self
            .entries
            .iter()
            .rev()
            .skip_while(|e| !may_leave(e))
            .any(OutboxEntry::is_due);
        any && self.next_for_basic(certain).is_some()
    }

    /// An entry was written to a basic server in full. It stays, in case a welcome comes late,
    /// until [`Self::forget_unconfirmed`]. Gives the entry as it was before.
    pub(super) fn written_to_basic(&mut self, id: MessageId) -> Option<OutboxEntry> {
        let at = self.find(id)?;
        let entry = &mut self.entries[at];
        let before = entry.clone();
        entry.basic = true;
        entry.counted = true;
        self.dirty.insert(entry.key);
        Some(before)
    }

    /// Lets go of all but the last `keep` messages that a basic server need not be told any more;
    /// gives those of them that it was not told in full, because the user took them back.
    pub(super) fn forget_unconfirmed(&mut self, keep: usize) -> Vec<OutboxEntry> {
        let over = |entry: &&OutboxEntry| !entry.is_due();
        let over = self.entries.iter().take_while(over).count();
        let mut withdrawn = Vec::new();
        for _ in keep..over {
            let Some(entry) = self.remove(0) else { break };
            self.forget(&entry);
            if !entry.basic {
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

    /// Where an entry with this counter stands, or would.
    fn place(&self, counter: u64) -> usize {
        let before = |entry: &OutboxEntry| entry.counter.is_some_and(|own| own < counter);
        self.entries.partition_point(before)
    }

    /// The entry that has this id for certain. One whose counter is not on disk yet never left:
    /// what the server says of that id is about another process's message.
    fn find(&self, id: MessageId) -> Option<usize> {
        let at = self.place(id.counter);
        let entry = self.entries.get(at)?;
        let there = entry.reserved && entry.counter == Some(id.counter);
        (there && id.device == self.device).then_some(at)
    }

    fn remove(&mut self, at: usize) -> Option<OutboxEntry> {
        let entry = self.entries.remove(at)?;
        self.bytes -= entry.body.as_str().len();
        if at < self.sent {
            self.sent -= 1;
            self.rate_limiter.settled();
        }
        Some(entry)
    }
}
