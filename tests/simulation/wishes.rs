//! The users' wishes. The server's log and the screens may agree with each other and still differ
//! from what users wanted: each user's actions are recorded here, and compared with the outcome.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chat_tui::{
    client::event::{Delivery, Event, OutboxMessage},
    protocol::{Content, EntryKind, Epoch, Nickname, RoomId, UserId},
};

use crate::truth::{Entry, Fault, Truth, key};

/// See the module's docs. A client is named by its index.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    names: BTreeMap<UserId, Name>,
    /// By the [`key`] of the content.
    said: HashMap<String, Said>,
    submitted: u64,
    /// How far users have read, or said so, in each room.
    read: BTreeMap<(UserId, RoomId), BTreeSet<u64>>,
}

/// The nickname that a user wants.
#[derive(Debug, Default)]
struct Name {
    /// Each device's unanswered request.
    asked: BTreeMap<usize, Nickname>,
    /// The nickname that each was told last.
    told: BTreeMap<usize, Nickname>,
    /// The possible nicknames when all is quiet: the last requests.
    wanted: BTreeSet<Nickname>,
}

/// A message, an edit or a redaction that a user sent.
#[derive(Debug)]
struct Said {
    by: UserId,
    client: usize,
    room: RoomId,
    /// Its place in the order of all.
    order: u64,
    taken_back: bool,
    /// Its user was told that it does not arrive, or can't expect it to.
    excused: bool,
}

impl Wishes {
    /// A user requests a nickname: by a command, or by starting with it.
    pub(crate) fn asks(&mut self, user: UserId, client: usize, nickname: Nickname) {
        let name = self.names.entry(user).or_default();
        name.asked.insert(client, nickname);
    }

    /// Whether a user's request of a nickname is pending. Users here make no other request before:
    /// the order of two would be random.
    pub(crate) fn waits_for_name(&self, user: UserId) -> bool {
        let name = self.names.get(&user);
        name.is_some_and(|name| !name.asked.is_empty())
    }

    /// Whether a client's user has a nickname there already.
    pub(crate) fn has_name(&self, user: UserId, client: usize, nickname: &Nickname) -> bool {
        let name = self.names.get(&user);
        name.is_some_and(|name| name.told.get(&client) == Some(nickname))
    }

    /// Returns the nickname by which a user would start a device again.
    pub(crate) fn name(&self, user: UserId) -> Option<&Nickname> {
        let name = self.names.get(&user)?;
        name.asked.values().chain(&name.wanted).next()
    }

    /// The server process is gone, and its nicknames with it: a device that had not heard of the
    /// last one may reconnect first, with the one that it knows.
    pub(crate) fn server_is_gone(&mut self) {
        for name in self.names.values_mut() {
            let told: Vec<_> = name.told.values().cloned().collect();
            name.wanted.extend(told);
        }
    }

    /// Whether a content was sent before: a second time it would not be distinguishable.
    pub(crate) fn was_said(&self, content: &Content) -> bool {
        self.said.contains_key(&key(content))
    }

    /// A user sends a message, an edit or a redaction.
    pub(crate) fn says(&mut self, by: UserId, client: usize, room: RoomId, content: &Content) {
        self.submitted += 1;
        let said = Said {
            by,
            client,
            room,
            order: self.submitted,
            taken_back: false,
            excused: false,
        };
        self.said.insert(key(content), said);
    }

    /// A user sends a refused one again, behind all others.
    pub(crate) fn says_again(&mut self, key: &str) {
        self.submitted += 1;
        if let Some(said) = self.said.get_mut(key) {
            said.order = self.submitted;
        }
    }

    /// A user withdraws a message: it may be too late.
    pub(crate) fn takes_back(&mut self, key: &str) {
        if let Some(said) = self.said.get_mut(key) {
            said.taken_back = true;
        }
    }

    /// A user has read a room up to a number, or sets their marker there by hand.
    pub(crate) fn marks(&mut self, user: UserId, room: RoomId, seq: u64) {
        self.read.entry((user, room)).or_default().insert(seq);
    }

    /// Checks that a device shows a room as read as far as its user has said, or was when they
    /// entered.
    pub(crate) fn check_marker(&mut self, user: UserId, event: &Event) -> Result<(), Fault> {
        match event {
            Event::Room(start) => self.marks(user, start.room, start.read.marker.seq),
            Event::ReadState { room, read } => {
                let marker = read.marker;
                let said = self.read.get(&(user, *room));
                if marker.seq > 0 && !said.is_some_and(|said| said.contains(&marker.seq)) {
                    return Err(format!("{marker:?} of {user} in {room} is nobody's wish"));
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// A process ended: messages that it had not shown as pending may be lost.
    pub(crate) fn process_ended(&mut self, client: usize, was_shown: impl Fn(&str) -> bool) {
        for (key, said) in &mut self.said {
            said.excused |= said.client == client && !was_shown(key);
        }
    }

    /// Handles an event of a client.
    pub(crate) fn told(&mut self, user: UserId, client: usize, event: &Event) {
        match event {
            Event::Entered(entered) if entered.user == Some(user) => {
                self.is_called(user, client, &entered.nickname);
            }
            Event::Renamed {
                user: of, nickname, ..
            } if *of == user => self.is_called(user, client, nickname),
            Event::Members { members, .. } => {
                for own in members.iter().filter(|member| member.user == user) {
                    self.is_called(user, client, &own.nickname);
                }
            }
            Event::NicknameRefused { nickname, .. } => {
                if let Some(name) = self.names.get_mut(&user) {
                    name.asked
                        .retain(|of, asked| *of != client || asked != nickname);
                    name.told
                        .retain(|of, told| *of != client || told != nickname);
                    name.wanted.remove(nickname);
                }
            }
            Event::Outbox(OutboxMessage {
                content,
                delivery: Delivery::Failed { .. } | Delivery::Withdrawn | Delivery::Unchanged,
                ..
            }) => {
                if let Some(said) = self.said.get_mut(&key(content)) {
                    said.excused = true;
                }
            }
            Event::Ended(_) => {
                self.process_ended(client, |_| false);
                if let Some(name) = self.names.get_mut(&user) {
                    name.asked.remove(&client);
                    name.told.remove(&client);
                }
            }
            _ => {}
        }
    }

    fn is_called(&mut self, user: UserId, client: usize, nickname: &Nickname) {
        let name = self.names.entry(user).or_default();
        name.told.insert(client, nickname.clone());
        // A refused nickname, which was free when the user connected once more.
        let once_more = name.asked.is_empty() && name.wanted.is_empty();
        if name.asked.get(&client) == Some(nickname) || once_more {
            name.asked.remove(&client);
            name.wanted = BTreeSet::from([nickname.clone()]);
        }
    }

    /// Checks that a user has the requested nickname, in the list and on each of their devices.
    pub(crate) fn check_name(&self, user: UserId, listed: &Nickname) -> Result<(), Fault> {
        let Some(name) = self.names.get(&user) else {
            return Ok(());
        };
        // A granted nickname is an event only once all devices are told. If the server ended right
        // then, another device of the user, which has not heard of it, may have reconnected first:
        // the earlier wish stands, and the user sees that.
        let overtaken = name.told.len() > 1 && name.wanted.contains(listed);
        if !name.asked.is_empty() && !overtaken {
            return Err(format!("{user} still waits for {:?}", name.asked));
        }
        if !name.wanted.contains(listed) {
            let wanted = &name.wanted;
            return Err(format!(
                "{user} is called {listed}, and asked for {wanted:?}"
            ));
        }
        let device = name.told.iter().find(|(_, told)| *told != listed);
        match device {
            Some((client, told)) => Err(format!(
                "{user} is called {listed}, and {told} on client {client}"
            )),
            None => Ok(()),
        }
    }

    /// Checks that the log holds what was sent, in its rooms and under its users, and nothing else
    /// of these users.
    pub(crate) fn check_said(&self, truth: &Truth, epoch: Epoch) -> Result<(), Fault> {
        for (room, _, entry) in truth.entries(epoch) {
            // What happens to rooms is not said by anybody.
            let Some(key) = entry.key() else { continue };
            match self.said.get(&key) {
                Some(said) if said.room == room && said.by == entry.user => {}
                Some(said) => {
                    let (by, of) = (entry.user, &said.room);
                    return Err(format!(
                        "{key:?} of {} for #{of} is in #{room}, by {by}",
                        said.by
                    ));
                }
                // Legacy clients are not checked here.
                None if !self.names.contains_key(&entry.user) => {}
                None => return Err(format!("nobody said {key:?} in #{room}")),
            }
        }
        // An edit or a redaction that changed nothing has its user's wish.
        let arrived = |key: &str| truth.was_stored(key) || truth.was_unchanged(key);
        let lost = self
            .said
            .iter()
            .find(|(key, said)| !said.taken_back && !said.excused && !arrived(key));
        match lost {
            Some((key, said)) => Err(format!("{key:?} of client {} is nowhere", said.client)),
            None => self.check_texts(truth, epoch),
        }
    }

    /// Checks that the text of each message is the last that its author asked for on one of their
    /// devices, of those that are in the log; and that it has none if somebody who may has erased
    /// it.
    fn check_texts(&self, truth: &Truth, epoch: Epoch) -> Result<(), Fault> {
        let mut edits: HashMap<_, Vec<&Entry>> = HashMap::new();
        let mut erased = HashMap::new();
        for (_, _, entry) in truth.entries(epoch) {
            match entry.content() {
                None | Some(Content::Text(_)) => {}
                Some(Content::Edit { target, .. }) => {
                    edits.entry(*target).or_default().push(entry);
                }
                Some(Content::Redaction { target, .. }) => {
                    erased.insert(*target, entry.user);
                }
            }
        }
        for (room, seq, entry) in truth.entries(epoch) {
            let text = match truth.kind(epoch, room, seq, truth.head(epoch, room)) {
                Some(EntryKind::Text(text)) => text.body,
                Some(EntryKind::Tombstone(_)) if erased.contains_key(&entry.id) => continue,
                Some(
                    EntryKind::Edit { .. } | EntryKind::Redaction { .. } | EntryKind::Event(_),
                ) => {
                    continue;
                }
                kind => return Err(format!("{seq} of #{room} is {kind:?}")),
            };
            if let Some(user) = erased.get(&entry.id) {
                return Err(format!("{user} has erased {seq} of #{room}, {text:?}"));
            }
            // The last of each device.
            let mut last: BTreeMap<usize, (u64, &Entry)> = BTreeMap::new();
            for edit in edits.get(&entry.id).into_iter().flatten() {
                let key = edit.key().unwrap_or_default();
                if let Some(said) = self.said.get(&key) {
                    let last = last.entry(said.client).or_insert((said.order, edit));
                    if said.order > last.0 {
                        *last = (said.order, edit);
                    }
                }
            }
            let mut wanted: Vec<_> = last.values().map(|(_, edit)| edit.body()).collect();
            if wanted.is_empty() {
                wanted.push(entry.body());
            }
            if !wanted.contains(&Some(&text)) {
                return Err(format!(
                    "{seq} of #{room} is {text:?}, not one of {wanted:?}"
                ));
            }
        }
        Ok(())
    }
}
