//! The users' wishes. The server's log and the screens may agree with each other and still differ
//! from what users wanted: each user's actions are recorded here, and compared with the outcome.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use chat_tui::{
    client::event::{Delivery, Event, OutboxMessage},
    protocol::{Epoch, Nickname, RoomName, UserId},
};

use crate::truth::{Fault, Truth};

/// See the module's docs. A client is named by its index.
#[derive(Debug, Default)]
pub(crate) struct Wishes {
    names: BTreeMap<UserId, Name>,
    said: HashMap<String, Said>,
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

/// A message that a user sent.
#[derive(Debug)]
struct Said {
    by: UserId,
    client: usize,
    room: RoomName,
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

    /// A user sends a message.
    pub(crate) fn says(&mut self, by: UserId, client: usize, room: RoomName, text: &str) {
        let said = Said {
            by,
            client,
            room,
            taken_back: false,
            excused: false,
        };
        self.said.insert(text.to_owned(), said);
    }

    /// A user withdraws a message: it may be too late.
    pub(crate) fn takes_back(&mut self, text: &str) {
        if let Some(said) = self.said.get_mut(text) {
            said.taken_back = true;
        }
    }

    /// A process ended: messages that it had not shown as pending may be lost.
    pub(crate) fn process_ended(&mut self, client: usize, was_shown: impl Fn(&str) -> bool) {
        for (text, said) in &mut self.said {
            said.excused |= said.client == client && !was_shown(text);
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
                delivery: Delivery::Failed { .. } | Delivery::Withdrawn,
                ..
            }) => {
                if let Some(said) = self.said.get_mut(content.words()) {
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
        if name.asked.get(&client) == Some(nickname) {
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

    /// Checks that the log holds the sent messages, in their rooms and under their users, and no
    /// others of these users.
    pub(crate) fn check_said(&self, truth: &Truth, epoch: Epoch) -> Result<(), Fault> {
        for (room, entry) in truth.entries(epoch) {
            let text = &entry.text;
            match self.said.get(text) {
                Some(said) if said.room == *room && said.by == entry.user => {}
                Some(said) => {
                    let (by, of) = (entry.user, &said.room);
                    return Err(format!(
                        "{text:?} of {} for #{of} is in #{room}, by {by}",
                        said.by
                    ));
                }
                // Legacy clients are not checked here.
                None if !self.names.contains_key(&entry.user) => {}
                None => return Err(format!("nobody said {text:?} in #{room}")),
            }
        }
        let lost = self
            .said
            .iter()
            .find(|(text, said)| !said.taken_back && !said.excused && !truth.was_stored(text));
        match lost {
            Some((text, said)) => Err(format!("{text:?} of client {} is nowhere", said.client)),
            None => Ok(()),
        }
    }
}
