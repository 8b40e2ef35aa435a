//! What the users do: they write, edit and erase, read, and join and leave.

use chat_tui::{
    client::event::Command,
    protocol::{
        Content, MessageId, Nickname, Role as UserRole, RoomId, UserId, admin::AdminCommand,
        frame::Part,
    },
    text::{Body, Line},
};

use super::{
    Client, Cluster, Task,
    clients::{CONTESTED, Role},
};
use crate::{
    mutant::Mutant,
    server::OWNER_CODE,
    truth::{Fault, rooms},
};

impl Cluster {
    /// A user does something, and schedules the next action.
    pub(super) fn act(&mut self, index: usize) -> Result<(), Fault> {
        if self.mended {
            return Ok(());
        }
        self.after_any(4000, Task::Act(index));
        let client = &self.clients[index];
        if client.is_gone() || client.leaving.is_some() || client.down {
            return Ok(());
        }
        // A message withdrawn at one process counts as sent at the other, so these users withdraw
        // none.
        let shares = matches!(client.role, Role::Original | Role::Twin);
        match self.rng.u8(..60) {
            0..=1 => self.command(index, Command::RetryNow),
            2..=3 => self.rename(index),
            4..=7 if !shares => {
                let pending = self.clients[index].witness.pending();
                match self.rng.choice(&pending) {
                    Some(local) => {
                        let witness = &mut self.clients[index].witness;
                        witness.takes_back(*local);
                        if let Some(key) = witness.key(*local) {
                            self.wishes.takes_back(key);
                        }
                        self.command(index, Command::Withdraw(*local))
                    }
                    None => Ok(()),
                }
            }
            8 if !shares => {
                let failed = self.clients[index].witness.failed();
                match self.rng.choice(&failed) {
                    Some(local) => {
                        if let Some(key) = self.clients[index].witness.key(*local) {
                            self.wishes.says_again(key);
                        }
                        self.command(index, Command::SendAgain(*local))
                    }
                    None => Ok(()),
                }
            }
            9 if self.clients[index].role == Role::Single => self.leave(index),
            10 => self.govern(index),
            11..=14 => self.browse(index),
            40..=49 => self.use_rooms(index),
            50..=59 => self.read_room(index),
            15..=20 => {
                let count = self.rng.u32(1..=3);
                (0..count).try_for_each(|_| self.change(index))
            }
            _ => {
                let count = self.rng.u32(1..=4);
                (0..count).try_for_each(|_| self.say(index))
            }
        }
    }

    fn say(&mut self, index: usize) -> Result<(), Fault> {
        let body = self.text(index);
        let [lobby, build] = rooms();
        let own = self.own_room(index);
        let room = match (self.rng.u8(..40), own) {
            (30.., Some(own)) => own,
            (0, _) => RoomId::from_bytes([0xee; 12]),
            (1..=9, _) => build,
            _ => lobby,
        };
        self.submit(index, room, Content::Text(body))
    }

    /// Returns a text that nobody typed before.
    fn text(&mut self, index: usize) -> Body {
        let client = &mut self.clients[index];
        client.typed += 1;
        let tail = match self.rng.u8(..20) {
            0 => "long ".repeat(self.rng.usize(..400)),
            1 => "\ntwo lines, \u{1f44b}\u{1f3fd}".to_owned(),
            _ => String::new(),
        };
        let text = format!("{index}.{}.{} {tail}", client.generation, client.typed);
        Body::visible(&text).expect("a text")
    }

    fn submit(&mut self, index: usize, room: RoomId, content: Content) -> Result<(), Fault> {
        if self.wishes.was_said(&content) {
            return Ok(());
        }
        let user = self.clients[index].user;
        self.wishes.says(user, index, room, &content);
        self.command(index, Command::Send { room, content })?;
        if self.mutant == Some(Mutant::ReadsBySending) {
            let seq = self.clients[index].witness.last_held(room);
            self.command(index, Command::MarkRead { room, seq })?;
        }
        Ok(())
    }

    /// A user edits or erases something: their own as a rule, and sometimes what they may not.
    fn change(&mut self, index: usize) -> Result<(), Fault> {
        let client = &self.clients[index];
        let user = client.user;
        let (own, others): (Vec<_>, Vec<_>) = client
            .witness
            .shown()
            .map(|entry| (entry.room, entry.id, entry.author.user))
            .partition(|(.., author)| *author == user);
        let place = |(room, id, _): &(RoomId, MessageId, UserId)| (*room, *id);
        let chosen = match self.rng.u8(..20) {
            0..=3 => {
                let others: Vec<_> = others.iter().map(place).collect();
                self.rng.choice(&others).copied()
            }
            4..=7 => {
                let ids = client.ids();
                self.rng.choice(&ids).copied()
            }
            8 => self.any_entry(),
            _ => {
                // The latest more often: many change the same message then.
                let late = own.len().saturating_sub(3);
                let own = &own[if self.rng.bool() { late } else { 0 }..];
                let own: Vec<_> = own.iter().map(place).collect();
                self.rng.choice(&own).copied()
            }
        };
        let Some((mut room, target)) = chosen else {
            return Ok(());
        };
        if self.rng.u8(..40) == 0 {
            let [lobby, build] = rooms();
            room = if room == lobby { build } else { lobby };
        }
        let content = match self.rng.u8(..10) {
            0..=2 => {
                let reason = self.text(index);
                let reason = reason.as_str().lines().next().unwrap_or_default();
                Content::Redaction {
                    target,
                    reason: Some(Line::inert(reason)),
                }
            }
            // Back to the first text, which may be the present one.
            3 => match self.first_text(target) {
                Some(body) => Content::Edit { target, body },
                None => return Ok(()),
            },
            _ => Content::Edit {
                target,
                body: self.text(index),
            },
        };
        self.submit(index, room, content)
    }

    /// Returns any entry of the log, of whatever kind, evicted or not; or one that never was.
    fn any_entry(&mut self) -> Option<(RoomId, MessageId)> {
        let entries = self.truth.entries(self.server.epoch());
        let entries: Vec<_> = entries.map(|(room, _, entry)| (room, entry.id)).collect();
        let mut entry = self.rng.choice(&entries).copied()?;
        if self.rng.u8(..4) == 0 {
            entry.1.counter += 1_000;
        }
        Some(entry)
    }

    fn first_text(&self, target: MessageId) -> Option<Body> {
        let epoch = self.server.epoch();
        let (room, seq) = self.truth.place(epoch, target)?;
        match self.truth.entry(epoch, room, seq)?.content()? {
            Content::Text(body) => Some(body.clone()),
            Content::Edit { .. } | Content::Redaction { .. } => None,
        }
    }

    /// A user becomes the owner, if the server has none, or gives a role to somebody.
    fn govern(&mut self, index: usize) -> Result<(), Fault> {
        let members = self.clients[index].witness.members(RoomId::LOBBY);
        let members: Vec<_> = members.into_values().collect();
        let command = match self.rng.choice(&members) {
            Some(nickname) if self.rng.bool() => AdminCommand::Role {
                nickname: nickname.clone(),
                role: UserRole::Moderator,
            },
            _ => AdminCommand::Own { code: OWNER_CODE },
        };
        self.command(
            index,
            Command::Admin {
                request: 1,
                command,
            },
        )
    }

    /// A user reads older messages.
    fn browse(&mut self, index: usize) -> Result<(), Fault> {
        let [lobby, build] = rooms();
        let own = self.own_room(index);
        let room = match (self.rng.u8(..5), own) {
            (0, _) => build,
            (1, Some(own)) => own,
            _ => lobby,
        };
        let head = self.truth.head(self.server.epoch(), room);
        let (from, to) = (self.rng.u64(1..=head + 1), self.rng.u64(1..=head + 1));
        let (from, to) = (from.min(to), from.max(to));
        let part = match self.rng.u8(..4) {
            0 => Part::Forward { from, to },
            1 => Part::Backward { from, to },
            _ => Part::Backward { from: 1, to: head },
        };
        self.clients[index].witness.asks();
        self.command(index, Command::Page { room, part })
    }

    pub(super) fn rename(&mut self, index: usize) -> Result<(), Fault> {
        let client = &mut self.clients[index];
        let waits = self.wishes.waits_for_name(client.user);
        if !client.may_be_renamed() || waits || client.is_gone() || client.down {
            return Ok(());
        }
        client.renames += 1;
        let single = client.role == Role::Single;
        let name = if single && !self.mended && self.rng.u8(..4) == 0 {
            CONTESTED[index % 2].to_owned()
        } else {
            format!("c{index}g{}r{}", client.generation, client.renames)
        };
        let nickname = Nickname::parse(&name).expect("a nickname");
        if self.wishes.has_name(client.user, index, &nickname) {
            return Ok(());
        }
        client.own_nickname = nickname.clone();
        self.wishes.asks(client.user, index, nickname.clone());
        self.command(index, Command::Nick(nickname))
    }

    pub(super) fn retry(&mut self, index: usize) -> Result<(), Fault> {
        if self.mended && self.clients[index].role == Role::Twin {
            return Ok(());
        }
        self.command(index, Command::RetryNow)
    }

    /// A user leaves, for good.
    pub(super) fn leave(&mut self, index: usize) -> Result<(), Fault> {
        let client = &mut self.clients[index];
        if client.is_gone() || client.leaving.is_some() || client.down {
            return Ok(());
        }
        client.leaving = Some(self.now).filter(|_| !client.asleep);
        self.command(index, Command::Leave)
    }

    /// Once the faults end, the client that only replaces others leaves.
    pub(super) fn twins_leave(&mut self) -> Result<(), Fault> {
        let twin = |client: &Client| client.role == Role::Twin;
        let twin = self.clients.iter().position(twin);
        twin.map_or(Ok(()), |index| self.leave(index))
    }

    /// Starts another user's client, unless the run is coming to rest.
    pub(super) fn anew(&mut self, index: usize) {
        if self.mended {
            return;
        }
        let generation = self.clients[index].generation + 1;
        self.clients[index] = self.person(index, Role::Single, generation);
    }

    pub(super) fn command(&mut self, index: usize, command: Command) -> Result<(), Fault> {
        if self.clients[index].down {
            return Ok(());
        }
        if self.loud {
            println!("{:?} client {index} {command:?}", self.now);
        }
        let now = self.now();
        self.clients[index].session.handle_command(now, command);
        self.listen(index)
    }
}
