//! Messages of ours whose outcome is not known: in order, each under an id that never changes once
//! it has left this machine, sent again until the server has said what became of it.
//!
//! An entry leaves by echo, by acknowledgement, by a refusal for good, or by withdrawal; never
//! because a connection broke. [`Outbox::push`] is the one place where an entry comes to be: a
//! store that must hold it before it is shown as pending goes between that and its event.

use std::{collections::VecDeque, time::Duration};

use crate::{
    client::event::LocalId,
    protocol::{
        DeviceId, MessageId, RoomName,
        limits::{NUMBER_MAX, TEXT_BYTES_MAX, UNANSWERED_MESSAGES_MAX},
    },
    text::Body,
};

use super::words::Fault;

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

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) local: LocalId,
    pub(super) room: RoomName,
    pub(super) body: Body,
    counter: u64,
    reach: Reach,
    /// Whether the user took it back: its place is then used up by a `withdraw`.
    pub(super) withdrawn: bool,
    /// Whether the farewell's figures have it already.
    pub(super) counted: bool,
}

/// How far an entry has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// Its id was never on a wire: nobody else knows it, and it may change.
    Here,
    /// Its id was on a wire: it is kept.
    Wire,
    /// It was also written in full to what looked like a basic server, which never answers.
    Basic,
}

impl Entry {
    /// Whether a basic server has yet to be told.
    fn is_due(&self) -> bool {
        self.reach != Reach::Basic && !self.withdrawn
    }
}

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
    /// It had not left: it is gone.
    Done(Entry),
    /// The server has to say whether it was in time.
    Asked,
    /// It was written to a basic server, where nothing can be taken back.
    TooLate,
    /// No such entry.
    Unknown,
}

/// The entries and how far this connection has come with them.
#[derive(Debug)]
pub(super) struct Outbox {
    device: DeviceId,
    entries: VecDeque<Entry>,
    bytes: usize,
    /// The counter of the next message that is typed.
    next_counter: u64,
    next_local: u64,
    /// `entries[..sent]` were written on this connection and are not answered yet.
    sent: usize,
    /// The highest counter that was written on this connection, or that the server has settled.
    reached: u64,
    /// How many may be so at once.
    window: usize,
    /// A refusal that may pass: nothing is sent before then.
    held_until: Option<Duration>,
    /// The message so refused. Until its outcome is known nothing behind it is sent: it would be
    /// refused as well, all of it, each time.
    held: Option<u64>,
    /// Entries that were already sent when they were withdrawn.
    withdrawals: VecDeque<u64>,
    /// `join.next` of this connection.
    joined_next: u64,
    refused: VecDeque<Entry>,
    /// Counters whose acknowledgement came before their echo.
    echoes: VecDeque<(u64, LocalId)>,
}

impl Outbox {
    pub(super) fn new(device: DeviceId) -> Self {
        Self {
            device,
            entries: VecDeque::new(),
            bytes: 0,
            next_counter: 1,
            next_local: 1,
            sent: 0,
            reached: 0,
            window: 1,
            held_until: None,
            held: None,
            withdrawals: VecDeque::new(),
            joined_next: 1,
            refused: VecDeque::new(),
            echoes: VecDeque::new(),
        }
    }

    /// Takes a message. `Err` holds the entry when there is no room: it counts as refused.
    pub(super) fn push(&mut self, room: RoomName, body: Body) -> Result<LocalId, LocalId> {
        let local = LocalId(self.next_local);
        self.next_local += 1;
        self.enter(local, room, body)
    }

    /// Takes a refused message again, under a new id and at the end. `None`: not known (any more).
    pub(super) fn push_again(&mut self, local: LocalId) -> Option<Result<Entry, Entry>> {
        let at = self.refused.iter().position(|entry| entry.local == local)?;
        let entry = self.refused.remove(at)?;
        Some(
            match self.enter(local, entry.room.clone(), entry.body.clone()) {
                Ok(_) => Ok(entry),
                Err(_) => Err(entry),
            },
        )
    }

    fn enter(&mut self, local: LocalId, room: RoomName, body: Body) -> Result<LocalId, LocalId> {
        let entry = Entry {
            local,
            room,
            body,
            counter: self.next_counter,
            reach: Reach::Here,
            withdrawn: false,
            counted: false,
        };
        let bytes = self.bytes + entry.body.as_str().len();
        if self.entries.len() >= OUTBOX_MESSAGES_MAX || bytes > OUTBOX_BYTES_MAX {
            self.keep_refused(entry);
            return Err(local);
        }
        self.next_counter += 1;
        self.bytes = bytes;
        self.entries.push_back(entry);
        Ok(local)
    }

    fn keep_refused(&mut self, entry: Entry) {
        if self.refused.len() >= REFUSED_MAX {
            self.refused.pop_front();
        }
        self.refused.push_back(entry);
    }

    /// How many have no outcome and were not written to a basic server either.
    pub(super) fn unsettled(&self) -> usize {
        self.entries
            .iter()
            .filter(|entry| entry.reach != Reach::Basic)
            .count()
    }

    fn lowest(&self) -> u64 {
        self.entries
            .front()
            .map_or(self.next_counter, |entry| entry.counter)
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
        self.held = None;
        self.withdrawals.clear();
    }

    /// A welcome came: `highest` is the highest counter that the server has settled for us. Our
    /// own log of counters may be behind it (another run used this device); ids that never left
    /// us then move up.
    pub(super) fn welcome(&mut self, highest: u64, window: u64) -> Result<(), Fault> {
        if highest + 1 < self.joined_next || highest >= NUMBER_MAX / 2 {
            return Err(Fault::new(format!(
                "{highest} messages settled where {} was next",
                self.joined_next
            )));
        }
        self.close();
        self.reached = highest;
        let window = usize::try_from(window).unwrap_or(usize::MAX);
        self.window = window.clamp(1, UNANSWERED_MESSAGES_MAX);
        for entry in &mut self.entries {
            if entry.reach == Reach::Basic {
                entry.reach = Reach::Wire;
            }
        }
        let fresh = self
            .entries
            .iter()
            .position(|entry| entry.reach == Reach::Here);
        let fresh = fresh.unwrap_or(self.entries.len());
        let lowest = self
            .entries
            .get(fresh)
            .map_or(self.next_counter, |entry| entry.counter);
        if lowest <= highest {
            let up = highest + 1 - lowest;
            for entry in self.entries.range_mut(fresh..) {
                entry.counter += up;
            }
            self.next_counter += up;
        }
        Ok(())
    }

    /// When a hold ends, if one is on.
    pub(super) fn held_until(&self) -> Option<Duration> {
        self.held_until
    }

    /// What to write next on this connection, if anything may be.
    pub(super) fn next_to_send(&mut self, now: Duration) -> Option<ToSend> {
        if let Some(counter) = self.withdrawals.pop_front() {
            return Some(ToSend::Withdraw(self.id(counter)));
        }
        if self.held_until.is_some_and(|until| now < until) {
            return None;
        }
        self.held_until = None;
        if self.sent >= self.window {
            return None;
        }
        let device = self.device;
        let entry = self.entries.get_mut(self.sent)?;
        if entry.counter > self.reached + 1 {
            // What stood there was settled before the one in front of it, by a server that may
            // have forgotten both since: its place has to be used up again.
            self.reached += 1;
            return Some(ToSend::Withdraw(self.id(self.reached)));
        }
        if self.held.is_some_and(|held| entry.counter > held) {
            return None;
        }
        self.sent += 1;
        self.reached = self.reached.max(entry.counter);
        entry.reach = Reach::Wire;
        let id = MessageId {
            device,
            counter: entry.counter,
        };
        Some(if entry.withdrawn {
            ToSend::Withdraw(id)
        } else {
            ToSend::Message {
                id,
                room: entry.room.clone(),
                body: entry.body.clone(),
            }
        })
    }

    /// The server wants a message again later: it and all after it wait, in order.
    pub(super) fn hold(&mut self, now: Duration, id: MessageId, wait: Duration) {
        if id.device != self.device || id.counter > self.reached {
            // An answer to what is to be sent again anyway.
            return;
        }
        let known = self.find(id).is_some();
        let at = |entry: &Entry| entry.counter < id.counter;
        self.sent = self.sent.min(self.entries.partition_point(at));
        self.reached = id.counter.saturating_sub(1);
        self.held = known.then_some(id.counter);
        // Those behind it are withdrawn in their turn: until then, their place does not exist.
        self.withdrawals.retain(|counter| *counter < id.counter);
        self.held_until = Some(now + wait.clamp(HOLD_MIN, HOLD_MAX));
    }

    /// The server said what became of a message: it leaves. `None`: it had left before.
    pub(super) fn settle(&mut self, id: MessageId) -> Option<Entry> {
        let at = self.find(id)?;
        self.remove(at)
    }

    /// As [`Self::settle`], for an acknowledgement whose echo is still to come.
    pub(super) fn settle_before_echo(&mut self, id: MessageId) -> Option<Entry> {
        let entry = self.settle(id)?;
        if self.echoes.len() >= ECHOES_MAX {
            self.echoes.pop_front();
        }
        self.echoes.push_back((entry.counter, entry.local));
        Some(entry)
    }

    /// The entry that an echo belongs to, if it was acknowledged before the echo came.
    pub(super) fn take_echo(&mut self, id: MessageId) -> Option<LocalId> {
        if id.device != self.device {
            return None;
        }
        let at = self.echoes.iter().position(|(c, _)| *c == id.counter)?;
        self.echoes.remove(at).map(|(_, local)| local)
    }

    /// The log is another one: acknowledged messages have no echo to come.
    pub(super) fn forget_echoes(&mut self) {
        self.echoes.clear();
    }

    /// As [`Self::settle`], for a refusal for good: the text is kept to be sent again.
    pub(super) fn refuse(&mut self, id: MessageId) -> Option<Entry> {
        let entry = self.settle(id)?;
        if !entry.withdrawn {
            self.keep_refused(entry.clone());
        }
        Some(entry)
    }

    /// The user takes a message back.
    pub(super) fn withdraw(&mut self, local: LocalId) -> Withdrawal {
        let Some(at) = self.entries.iter().position(|entry| entry.local == local) else {
            return Withdrawal::Unknown;
        };
        let entry = &mut self.entries[at];
        if entry.reach == Reach::Basic {
            return Withdrawal::TooLate;
        }
        if entry.reach == Reach::Here {
            // Nobody knows its id, nor those of the entries behind it: they close up.
            for later in self.entries.range_mut(at + 1..) {
                later.counter -= 1;
            }
            self.next_counter -= 1;
            return self
                .remove(at)
                .map_or(Withdrawal::Unknown, Withdrawal::Done);
        }
        if !std::mem::replace(&mut entry.withdrawn, true) {
            if at < self.sent {
                self.withdrawals.push_back(entry.counter);
            } else if at == self.sent {
                // To take it back needs no waiting.
                self.held_until = None;
                self.held = None;
            }
        }
        Withdrawal::Asked
    }

    /// The next entry for a basic server, which is told each message once in a run.
    pub(super) fn next_for_basic(&mut self) -> Option<(MessageId, Entry)> {
        let device = self.device;
        let entry = self.entries.iter_mut().find(|entry| entry.is_due())?;
        entry.reach = Reach::Wire;
        let id = MessageId {
            device,
            counter: entry.counter,
        };
        Some((id, entry.clone()))
    }

    /// Whether [`Self::next_for_basic`] has one.
    pub(super) fn due_for_basic(&self) -> bool {
        // What was written comes first, so the last one tells.
        self.entries.iter().rev().any(Entry::is_due)
    }

    /// An entry was written to a basic server in full. It stays, in case a welcome comes late,
    /// until [`Self::forget_unconfirmed`]. Gives the entry as it was before.
    pub(super) fn written_to_basic(&mut self, id: MessageId) -> Option<Entry> {
        let at = self.find(id)?;
        let before = self.entries[at].clone();
        self.entries[at].reach = Reach::Basic;
        self.entries[at].counted = true;
        Some(before)
    }

    /// Lets go of all but the last `keep` messages that a basic server need not be told any more;
    /// gives those of them that it was not told in full, because the user took them back.
    pub(super) fn forget_unconfirmed(&mut self, keep: usize) -> Vec<Entry> {
        let over = |entry: &&Entry| !entry.is_due();
        let over = self.entries.iter().take_while(over).count();
        (keep..over)
            .filter_map(|_| self.remove(0))
            .filter(|entry| entry.reach != Reach::Basic)
            .collect()
    }

    fn id(&self, counter: u64) -> MessageId {
        MessageId {
            device: self.device,
            counter,
        }
    }

    fn find(&self, id: MessageId) -> Option<usize> {
        if id.device != self.device {
            return None;
        }
        self.entries
            .binary_search_by_key(&id.counter, |entry| entry.counter)
            .ok()
    }

    fn remove(&mut self, at: usize) -> Option<Entry> {
        let entry = self.entries.remove(at)?;
        self.bytes -= entry.body.as_str().len();
        self.held = self.held.filter(|held| *held != entry.counter);
        if at < self.sent {
            self.sent -= 1;
        }
        Some(entry)
    }
}
