//! The checks of one client's screen, event by event, and at the end.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chat_tui::{
    client::event::{ConnectionStatus, Delivery, Event, LocalId, OutboxMessage, Received, Said},
    protocol::{Epoch, Extent, Nickname, RoomName, UserId, frame::RoomStart},
};

use crate::truth::{Fault, Truth, rooms};

/// One client's typed and shown messages.
#[derive(Debug)]
pub(crate) struct Witness {
    name: String,
    /// The log of its open connection, or of the last one.
    epoch: Option<Epoch>,
    rooms: HashMap<RoomName, Room>,
    typed: BTreeMap<LocalId, Typed>,
    texts: HashMap<String, LocalId>,
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
}

#[derive(Debug)]
struct Typed {
    text: String,
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
    fn new(text: String, delivery: Delivery) -> Self {
        Self {
            text,
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
    pub(crate) fn new(name: String, shares: bool) -> Self {
        Self {
            name,
            epoch: None,
            rooms: HashMap::new(),
            typed: BTreeMap::new(),
            texts: HashMap::new(),
            ended: false,
            shares,
        }
    }

    /// The client's process was restarted: its screen begins with the stored state.
    pub(crate) fn restarted(
        &mut self,
        truth: &Truth,
        restored: Vec<OutboxMessage>,
        shown: &BTreeMap<RoomName, (Epoch, u64)>,
        there: &[String],
    ) -> Result<(), Fault> {
        let before = std::mem::take(&mut self.typed);
        self.texts.clear();
        for message in restored {
            let text = message.content.words().to_owned();
            self.texts.insert(text.clone(), message.local);
            let mut typed = Typed::new(text, message.delivery);
            typed.restored = true;
            self.typed.insert(message.local, typed);
        }
        // Another process has it.
        let is_shared = |text: &String| self.shares && there.contains(text);
        let lost = before.into_values().find(|typed| {
            is_open(&typed.delivery)
                && !typed.taken_back
                && !self.texts.contains_key(&typed.text)
                && !is_shared(&typed.text)
                && !truth.was_stored(&typed.text)
        });
        if let Some(Typed { text, .. }) = lost {
            return Err(format!("{}: {text:?} was pending and is gone", self.name));
        }
        // A join names one log.
        let epoch = shown.values().map(|(epoch, _)| *epoch).next();
        let held = |(name, (of, seq)): (&RoomName, &(Epoch, u64))| {
            let held = Some((*of, *seq)).filter(|_| Some(*of) == epoch);
            let room = Room {
                held,
                ..Room::default()
            };
            (name.clone(), room)
        };
        self.rooms = shown.iter().map(held).collect();
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

    /// Whether a text of this client's user is or was on the screen.
    pub(crate) fn shows(&self, text: &str) -> bool {
        self.texts.contains_key(text)
    }

    /// The text of a message.
    pub(crate) fn text(&self, local: LocalId) -> Option<&str> {
        self.typed.get(&local).map(|typed| typed.text.as_str())
    }

    /// Whether the session is over.
    pub(crate) fn ended(&self) -> bool {
        self.ended
    }

    /// Returns the members of a room according to this client.
    pub(crate) fn members(&self, room: &RoomName) -> BTreeMap<UserId, Nickname> {
        self.rooms
            .get(room)
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
            Event::Message(received) => self.message(truth, received),
            Event::Outbox(OutboxMessage {
                local,
                content,
                delivery,
                ..
            }) => self.outbox(truth, *local, content.words(), delivery),
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
        let name = &opened.room;
        let room = self.rooms.entry(name.clone()).or_default();
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
        if next != due {
            return Err(format!("#{name} goes on with {next} where {due} is due"));
        }
        room.held = Some((epoch, next - 1));
        room.due = Some(next);
        Ok(())
    }

    fn message(&mut self, truth: &Truth, received: &Received) -> Result<(), Fault> {
        let epoch = self.epoch.ok_or("a message without a connection")?;
        let Said::Logged(message) = &received.said else {
            return Err("a message without a number".into());
        };
        let (seq, text) = (message.seq, message.words());
        let room = self.rooms.entry(message.room.clone()).or_default();
        if room.due != Some(seq) || room.held != Some((epoch, seq - 1)) {
            let (due, held) = (room.due, room.held);
            return Err(format!("{seq} came where {due:?} was due after {held:?}"));
        }
        let entry = truth
            .entry(epoch, &message.room, seq)
            .ok_or(format!("{seq} was shown before its commit"))?;
        if entry.id != message.id || entry.text != text {
            let kept = &entry.text;
            return Err(format!("{seq} is {kept:?} in the log, shown as {text:?}"));
        }
        room.due = Some(seq + 1);
        room.held = Some((epoch, seq));
        let ours = self.texts.get(text).copied();
        // In another log than the one of its acknowledgement, our message is one among others.
        let settled_before = ours
            .and_then(|local| self.typed.get(&local))
            .is_some_and(|typed| typed.settled_in.is_some_and(|of| of != epoch));
        let by_another = settled_before || self.shares;
        if ours != received.local && !(by_another && received.local.is_none()) {
            let shown = received.local;
            return Err(format!("{text:?} is {ours:?} of ours, shown as {shown:?}"));
        }
        if let Some(local) = ours
            && let Some(typed) = self.typed.get_mut(&local)
            && !typed.echoed.insert(epoch)
        {
            return Err(format!("{text:?} was shown twice"));
        }
        Ok(())
    }

    fn outbox(
        &mut self,
        truth: &Truth,
        local: LocalId,
        text: &str,
        delivery: &Delivery,
    ) -> Result<(), Fault> {
        let epoch = self.epoch;
        let typed = self
            .typed
            .entry(local)
            .or_insert_with(|| Typed::new(text.to_owned(), Delivery::Pending));
        self.texts.insert(text.to_owned(), local);
        // A message that is sent again may fail again, for another reason.
        let sent_again = matches!(typed.delivery, Delivery::Failed { .. })
            && matches!(delivery, Delivery::Pending | Delivery::Failed { .. });
        if !is_open(&typed.delivery) && typed.delivery != *delivery && !sent_again {
            let was = &typed.delivery;
            return Err(format!("{text:?} was {was:?} and becomes {delivery:?}"));
        }
        typed.delivery = delivery.clone();
        if is_open(delivery) {
            return Ok(());
        }
        typed.settled_in = epoch;
        let stored = epoch.and_then(|epoch| truth.find(epoch, text));
        let true_to_the_log = match delivery {
            // Another process with the same outbox has sent it, in whatever log: in this simulation
            // users do not withdraw messages that two processes share.
            Delivery::SettledElsewhere => self.shares && truth.was_stored(text),
            Delivery::Sent { .. } if self.shares => truth.was_stored(text),
            Delivery::Sent { seq: None } if typed.may_be_of_another_log() => truth.was_stored(text),
            Delivery::Sent { seq } => stored.is_some() && (seq.is_none() || *seq == stored),
            _ => stored.is_none(),
        };
        if !true_to_the_log {
            return Err(format!(
                "{text:?} is {delivery:?}, in the log as {stored:?}"
            ));
        }
        Ok(())
    }

    /// Checks what must hold once all faults are over and all is quiet.
    pub(crate) fn settled(&self, truth: &Truth, epoch: Epoch) -> Result<(), Fault> {
        let fault = |fault: String| Err(format!("{}: {fault}", self.name));
        for typed in self.typed.values() {
            let Typed {
                text,
                delivery,
                settled_in,
                ..
            } = typed;
            if is_open(delivery) {
                return fault(format!("{text:?} is still {delivery:?}"));
            }
            let there = settled_in.is_some_and(|epoch| truth.find(epoch, text).is_some())
                || (self.shares || typed.may_be_of_another_log()) && truth.was_stored(text);
            let done = matches!(delivery, Delivery::Sent { .. } | Delivery::SettledElsewhere);
            if done != there {
                return fault(format!("{text:?} is {delivery:?}, in the log: {there}"));
            }
        }
        for name in rooms() {
            let all = Some((epoch, truth.head(epoch, &name)));
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
