//! The checks of one client's screen, event by event, and at the end.

mod reading;

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chat_tui::{
    client::event::{
        ConnectionStatus, Delivery, Event, LocalId, OutboxMessage, Page, Received, Said,
    },
    protocol::{
        Content, Entry, Epoch, Extent, Nickname, ReadState, RoomId, RoomInfo, UserId,
        frame::RoomStart,
    },
};

use crate::{
    mutant::Mutant,
    screen::Screen,
    truth::{self, Fault, Truth, key, rooms},
};

/// One client's typed and shown messages.
#[derive(Debug)]
pub(crate) struct Witness {
    name: String,
    /// The log of its open connection, or of the last one.
    epoch: Option<Epoch>,
    rooms: BTreeMap<RoomId, Room>,
    typed: BTreeMap<LocalId, Typed>,
    /// The typed messages by their [`key`]s.
    keys: HashMap<String, LocalId>,
    screen: Screen,
    /// The rooms that the user has left: back there, what they said is shown as history.
    left: BTreeSet<RoomId>,
    /// Pages that were asked for and have not come.
    pages: u32,
    ended: bool,
    /// Another process uses the same outbox: it may send lines typed here.
    shares: bool,
}

#[derive(Debug, Default)]
struct Room {
    /// The log of its copy, and the last number that it holds or cannot have any more.
    held: Option<(Epoch, u64)>,
    /// The number that must come next on this connection.
    due: Option<u64>,
    /// The members according to the member list.
    members: BTreeMap<UserId, Nickname>,
    /// What it is; `None`: it is not open for the user.
    info: Option<RoomInfo>,
    read: ReadState,
    /// All entries from this number on, up to the last one held, have arrived in order.
    from: u64,
    /// The lowest number in the log that it was told last.
    first: u64,
}

#[derive(Debug)]
struct Typed {
    /// The [`key`] of its content.
    key: String,
    delivery: Delivery,
    /// The log in which the message was acknowledged.
    settled_in: Option<Epoch>,
    echoed: BTreeSet<Epoch>,
    /// Its user has withdrawn it.
    taken_back: bool,
    /// It is from before the process ended.
    restored: bool,
}

impl Typed {
    fn new(key: String, delivery: Delivery) -> Self {
        Self {
            key,
            delivery,
            settled_in: None,
            echoed: BTreeSet::new(),
            taken_back: false,
            restored: false,
        }
    }

    /// Whether its outcome may concern a log that the server has lost. A process that lost its
    /// power may have lost the acknowledgement of a message, after it had told the server's next
    /// log, in its join, that the message was settled: more can't be known.
    fn may_be_of_another_log(&self) -> bool {
        self.restored && self.delivery == Delivery::Sent { seq: None }
    }
}

impl Witness {
    /// Returns the witness of a new client.
    pub(crate) fn new(name: String, shares: bool, mutant: Option<Mutant>) -> Self {
        Self {
            name,
            epoch: None,
            rooms: BTreeMap::new(),
            typed: BTreeMap::new(),
            keys: HashMap::new(),
            screen: Screen::new(mutant),
            left: BTreeSet::new(),
            pages: 0,
            ended: false,
            shares,
        }
    }

    /// The client's process was restarted: its screen begins with the stored state.
    pub(crate) fn restarted(
        &mut self,
        truth: &Truth,
        restored: Vec<OutboxMessage>,
        shown: BTreeMap<RoomId, (Epoch, u64, Vec<Entry>)>,
        there: &[String],
        mutant: Option<Mutant>,
    ) -> Result<(), Fault> {
        let before = std::mem::take(&mut self.typed);
        self.keys.clear();
        for message in restored {
            let key = key(&message.content);
            self.keys.insert(key.clone(), message.local);
            let mut typed = Typed::new(key, message.delivery);
            typed.restored = true;
            self.typed.insert(message.local, typed);
        }
        // Another process has it.
        let is_shared = |key: &String| self.shares && there.contains(key);
        let lost = before.into_values().find(|typed| {
            is_open(&typed.delivery)
                && !typed.taken_back
                && !self.keys.contains_key(&typed.key)
                && !is_shared(&typed.key)
                && !truth.was_stored(&typed.key)
                && !truth.was_unchanged(&typed.key)
        });
        if let Some(Typed { key, .. }) = lost {
            return Err(format!("{}: {key:?} was pending and is gone", self.name));
        }
        self.pages = 0;
        self.screen = Screen::new(mutant);
        self.rooms.clear();
        // A join names one log: that of a room which the command line names, if it is stored.
        let wanted = shown.iter().find(|(name, _)| rooms().contains(name));
        let epoch = wanted.or(shown.iter().next());
        let epoch = epoch.map(|(_, (epoch, ..))| *epoch);
        for (name, (of, seq, entries)) in shown {
            let held = Some((of, seq)).filter(|_| Some(of) == epoch);
            if held.is_some() {
                self.screen.put(name, &entries)?;
            }
            let room = Room {
                held,
                ..Room::default()
            };
            self.rooms.insert(name, room);
        }
        Ok(())
    }

    /// The user withdraws a message.
    pub(crate) fn takes_back(&mut self, local: LocalId) {
        if let Some(typed) = self.typed.get_mut(&local) {
            typed.taken_back = true;
        }
    }

    /// A connection to a server with this log is open.
    pub(crate) fn opened(&mut self, epoch: Epoch) {
        self.epoch = Some(epoch);
        for room in self.rooms.values_mut() {
            room.due = None;
        }
    }

    /// The log of its connection, or of the last one.
    pub(crate) fn epoch(&self) -> Option<Epoch> {
        self.epoch
    }

    /// The messages whose outcome the client does not know.
    pub(crate) fn pending(&self) -> Vec<LocalId> {
        self.that_are(|delivery| *delivery == Delivery::Pending)
    }

    /// The refused messages.
    pub(crate) fn failed(&self) -> Vec<LocalId> {
        self.that_are(|delivery| matches!(delivery, Delivery::Failed { .. }))
    }

    fn that_are(&self, so: impl Fn(&Delivery) -> bool) -> Vec<LocalId> {
        let typed = self.typed.iter().filter(|(_, typed)| so(&typed.delivery));
        typed.map(|(local, _)| *local).collect()
    }

    /// Whether a message of this client's user is or was on the screen, by its [`key`].
    pub(crate) fn shows(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// The [`key`] of a message.
    pub(crate) fn key(&self, local: LocalId) -> Option<&str> {
        self.typed.get(&local).map(|typed| typed.key.as_str())
    }

    /// The messages of all rooms that it shows.
    pub(crate) fn shown(&self) -> impl Iterator<Item = &Entry> {
        self.screen.entries()
    }

    /// The user asks for a page.
    pub(crate) fn asks(&mut self) {
        self.pages += 1;
    }

    /// Whether the session is over.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Returns the members of a room according to this client.
    pub(crate) fn members(&self, room: RoomId) -> BTreeMap<UserId, Nickname> {
        self.rooms
            .get(&room)
            .map(|room| room.members.clone())
            .unwrap_or_default()
    }

    /// Handles an event of the client's screen.
    pub(crate) fn see(&mut self, truth: &Truth, event: &Event) -> Result<(), Fault> {
        self.check(truth, event)
            .map_err(|fault| format!("{}: {fault}", self.name))
    }

    fn check(&mut self, truth: &Truth, event: &Event) -> Result<(), Fault> {
        if self.ended {
            return Err(format!("{event:?} after the end"));
        }
        match event {
            Event::Room(opened) => self.room(truth, opened),
            Event::RoomInfo { room, info } => self.described(*room, info),
            Event::RoomLeft { room, .. } => {
                self.left(*room);
                Ok(())
            }
            Event::ReadState { room, read } => {
                self.read(*room, *read);
                Ok(())
            }
            Event::Message(received) => self.message(truth, received),
            Event::Changed { room, entries } => self.changed(truth, *room, entries),
            Event::Page { room, page, .. } => self.page(truth, *room, page.as_ref().ok()),
            Event::Outbox(OutboxMessage {
                local,
                content,
                delivery,
                ..
            }) => self.outbox(truth, *local, content, delivery),
            Event::Members { .. }
            | Event::Joined { .. }
            | Event::Left { .. }
            | Event::Renamed { .. } => self.presence(event),
            Event::Notice(line)
            | Event::Connection(ConnectionStatus::Waiting { why: line, .. })
                if line.as_str().contains("broke the protocol") =>
            {
                Err(line.to_string())
            }
            Event::Ended(_) => {
                self.ended = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn presence(&mut self, event: &Event) -> Result<(), Fault> {
        let (Event::Members { room, .. }
        | Event::Joined { room, .. }
        | Event::Left { room, .. }
        | Event::Renamed { room, .. }) = event
        else {
            return Ok(());
        };
        let room = self.rooms.get_mut(room);
        let members = &mut room.ok_or("members of a room that is not open")?.members;
        let (known, expected) = match event {
            Event::Joined { member, .. } => {
                let nickname = member.nickname.clone();
                (members.insert(member.user, nickname), None)
            }
            Event::Left { user, nickname, .. } => (members.remove(user), Some(nickname)),
            Event::Renamed {
                user,
                was,
                nickname,
                ..
            } => (members.insert(*user, nickname.clone()), Some(was)),
            Event::Members { members: all, .. } => {
                let all = all.iter().map(|m| (m.user, m.nickname.clone()));
                *members = all.collect();
                return Ok(());
            }
            _ => return Ok(()),
        };
        if known.as_ref() != expected {
            return Err(format!("{event:?}, who was listed as {known:?}"));
        }
        Ok(())
    }

    fn room(&mut self, truth: &Truth, opened: &RoomStart) -> Result<(), Fault> {
        let epoch = self.epoch.ok_or("a room without a connection")?;
        let name = opened.room;
        let room = self.rooms.entry(name).or_default();
        let RoomStart { extent, next, .. } = *opened;
        let Extent { first, head } = extent;
        if first > truth.first(epoch, name) || head > truth.head(epoch, name) {
            return Err(format!("#{name} is said to hold {first} to {head}"));
        }
        // A gap is there where the server no longer holds the numbers, and nowhere else.
        let due = match room.held {
            Some((held, _)) if held != epoch && opened.reset.is_none() => {
                return Err("the log is another one, and nobody said so".into());
            }
            Some((held, seq)) if held == epoch => {
                if opened.reset.is_some() {
                    return Err(format!("a reset without need: {:?}", opened.reset));
                }
                first.max(seq + 1)
            }
            _ => first,
        };
        // Of others the server may begin later: where the user may read.
        let is_due = if rooms().contains(&name) {
            next == due
        } else {
            next >= due && next <= head.max(due - 1) + 1
        };
        if !is_due {
            return Err(format!("#{name} goes on with {next} where {due} is due"));
        }
        let same_log = room.held.is_some_and(|(held, _)| held == epoch);
        let goes_on = room.held == Some((epoch, next - 1)) && room.from > 0;
        if !goes_on {
            room.from = next;
        }
        room.first = if same_log {
            room.first.max(first)
        } else {
            first
        };
        room.info = Some(opened.info.clone());
        room.read = opened.read;
        room.held = Some((epoch, next - 1));
        room.due = Some(next);
        self.screen.open(name, first, same_log);
        Ok(())
    }

    fn message(&mut self, truth: &Truth, received: &Received) -> Result<(), Fault> {
        let epoch = self.epoch.ok_or("a message without a connection")?;
        let Said::Logged(message) = &received.said else {
            return Err("a message without a number".into());
        };
        let seq = message.seq;
        let room = self.rooms.entry(message.room).or_default();
        if room.due != Some(seq) || room.held != Some((epoch, seq - 1)) {
            let (due, held) = (room.due, room.held);
            return Err(format!("{seq} came where {due:?} was due after {held:?}"));
        }
        truth.check_once(epoch, message)?;
        room.due = Some(seq + 1);
        room.held = Some((epoch, seq));
        self.screen.take(message)?;
        let entry = truth.entry(epoch, message.room, seq);
        let key = entry.and_then(truth::Entry::key).unwrap_or_default();
        let ours = self.keys.get(&key).copied();
        // In another log than the one of its acknowledgement, our message is one among others.
        let settled_before = ours
            .and_then(|local| self.typed.get(&local))
            .is_some_and(|typed| typed.settled_in.is_some_and(|of| of != epoch));
        let is_history = self.left.contains(&message.room) && received.local.is_none();
        let by_another = settled_before || self.shares || is_history;
        // A process knows only the number of what another one has sent for it, in whatever log. An
        // entry there that has lost its text may be that.
        let unclear = self.shares && message.rev() > 0;
        if ours != received.local && !(by_another && received.local.is_none()) && !unclear {
            let shown = received.local;
            return Err(format!("{key:?} is {ours:?} of ours, shown as {shown:?}"));
        }
        if let Some(local) = ours
            && let Some(typed) = self.typed.get_mut(&local)
            && !typed.echoed.insert(epoch)
            && !is_history
        {
            return Err(format!("{key:?} was shown twice"));
        }
        Ok(())
    }

    fn changed(&mut self, truth: &Truth, room: RoomId, entries: &[Entry]) -> Result<(), Fault> {
        let epoch = self.epoch.ok_or("a change without a connection")?;
        for entry in entries {
            truth.check_once(epoch, entry)?;
        }
        self.screen.change(room, entries)
    }

    fn page(&mut self, truth: &Truth, room: RoomId, page: Option<&Page>) -> Result<(), Fault> {
        self.pages = self.pages.checked_sub(1).ok_or("a page for nothing")?;
        let held = self.rooms.get(&room).and_then(|room| room.held);
        // A process that has not joined yet, and began with an empty disk, shows pages of whatever
        // log another process has stored there.
        let (Some(page), Some((epoch, _))) = (page, held) else {
            return Ok(());
        };
        let mut numbers = page.from..page.to + 1;
        for entry in &page.entries {
            truth.check_once(epoch, entry)?;
            if numbers.all(|seq| seq != entry.seq) {
                return Err(format!("{} is no part of the page in order", entry.seq));
            }
        }
        let shown = |seq: &u64| {
            let entry = truth.entry(epoch, room, *seq);
            entry.is_some_and(|entry| entry.target().is_none()) && *seq >= page.extent.first
        };
        let here = |seq: u64| page.entries.iter().any(|entry| entry.seq == seq);
        // Of others some may be withheld from the user.
        let is_open = rooms().contains(&room);
        let mut missing = (page.from..=page.to).filter(shown);
        let missing = missing.find(|seq| is_open && !here(*seq));
        if let Some(seq) = missing {
            return Err(format!("{seq} is left out of a page of #{room}"));
        }
        if let Some(room) = self.rooms.get_mut(&room) {
            room.first = room.first.max(page.extent.first);
        }
        self.screen.put(room, &page.entries)
    }

    fn outbox(
        &mut self,
        truth: &Truth,
        local: LocalId,
        content: &Content,
        delivery: &Delivery,
    ) -> Result<(), Fault> {
        let epoch = self.epoch;
        let key = key(content);
        let typed = self
            .typed
            .entry(local)
            .or_insert_with(|| Typed::new(key.clone(), Delivery::Pending));
        self.keys.insert(key.clone(), local);
        // A message that is sent again may fail again, for another reason.
        let sent_again = matches!(typed.delivery, Delivery::Failed { .. })
            && matches!(delivery, Delivery::Pending | Delivery::Failed { .. });
        if !is_open(&typed.delivery) && typed.delivery != *delivery && !sent_again {
            let was = &typed.delivery;
            return Err(format!("{key:?} was {was:?} and becomes {delivery:?}"));
        }
        typed.delivery = delivery.clone();
        if is_open(delivery) {
            return Ok(());
        }
        typed.settled_in = epoch;
        let stored = epoch.and_then(|epoch| truth.find(epoch, &key));
        let settled = truth.was_stored(&key) || truth.was_unchanged(&key);
        let true_to_the_log = match delivery {
            // Another process with the same outbox has sent it, in whatever log: in this simulation
            // users do not withdraw messages that two processes share.
            Delivery::SettledElsewhere => self.shares && settled,
            // It may have been refused for good, to another process, by a log that is lost since: the
            // server knows only that it was settled.
            Delivery::Sent { seq: None } if self.shares && truth.was_refused(&key) => true,
            Delivery::Sent { seq: None } if self.shares || typed.may_be_of_another_log() => settled,
            Delivery::Sent { .. } if self.shares => truth.was_stored(&key),
            Delivery::Sent { seq } => stored.is_some() && (seq.is_none() || *seq == stored),
            Delivery::Unchanged => truth.was_unchanged(&key) && (self.shares || stored.is_none()),
            // Another process may have been refused by another log.
            _ => self.shares || stored.is_none(),
        };
        if !true_to_the_log {
            return Err(format!("{key:?} is {delivery:?}, in the log as {stored:?}"));
        }
        Ok(())
    }

    /// Checks what must hold once all faults are over and all is quiet.
    pub(crate) fn settled(&self, truth: &Truth, epoch: Epoch) -> Result<(), Fault> {
        let fault = |fault: String| Err(format!("{}: {fault}", self.name));
        for typed in self.typed.values() {
            let Typed {
                key,
                delivery,
                settled_in,
                ..
            } = typed;
            if is_open(delivery) {
                return fault(format!("{key:?} is still {delivery:?}"));
            }
            let here = settled_in.is_some_and(|epoch| truth.find(epoch, key).is_some());
            let done = matches!(delivery, Delivery::Sent { .. } | Delivery::SettledElsewhere);
            let as_told = if self.shares || typed.may_be_of_another_log() {
                !done || truth.was_stored(key) || truth.was_unchanged(key)
            } else {
                done == here
            };
            if !as_told {
                return fault(format!("{key:?} is {delivery:?}, in the log: {here}"));
            }
        }
        if self.pages > 0 {
            return fault(format!("{} pages were not answered", self.pages));
        }
        self.screen.settled(truth, epoch).or_else(fault)?;
        // A user without a key is in other rooms only until their connection ends.
        let on_this = |id: &RoomId| self.rooms[id].due.is_some();
        for name in rooms().into_iter().chain(self.open_rooms().filter(on_this)) {
            let all = Some((epoch, truth.head(epoch, name)));
            let holds = self.rooms.get(&name).and_then(|room| room.held);
            if holds != all {
                return fault(format!("holds {holds:?} of #{name}, not {all:?}"));
            }
        }
        Ok(())
    }
}

/// Whether the outcome is not known yet. (A slow server may be taken for a legacy one, which never
/// confirms; that is corrected later.)
fn is_open(delivery: &Delivery) -> bool {
    matches!(delivery, Delivery::Pending | Delivery::Unconfirmed)
}
