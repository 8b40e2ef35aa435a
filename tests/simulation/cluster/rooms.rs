//! What the users do with rooms: they make, enter and leave them, invite and remove each other, and
//! say how far they have read.

use std::collections::BTreeSet;

use chat_tui::{
    client::event::Command,
    protocol::{
        HistoryAccess, Nickname, Preferences, RoomId, RoomName, UserId, admin::AdminCommand,
    },
    search::{Query, Words},
    text::Line,
};

use super::Cluster;
use crate::{
    server::members::Room,
    truth::{Fault, rooms},
};

/// Names of rooms that everybody can find, for which users compete.
const PUBLIC: [&str; 3] = ["tea", "chess", "plans"];
/// Names of private rooms; a stranger rarely wants one of them.
const PRIVATE: [&str; 8] = [
    "secret1", "secret2", "secret3", "secret4", "secret5", "secret6", "secret7", "secret8",
];

impl Cluster {
    /// A user does something with rooms.
    pub(super) fn use_rooms(&mut self, index: usize) -> Result<(), Fault> {
        let room = self.own_room(index);
        let command = match (self.rng.u8(..24), room) {
            (0..=1, _) | (2..=6, None) => Some(self.creation()),
            (2..=4 | 20..=21, Some(room)) => self.invitation(index, room),
            (5, Some(room)) => self.removal(index, room),
            (6, Some(room)) => Some(AdminCommand::Leave { room }),
            (7..=9, _) => Some(self.entry()),
            (10..=11, _) => Some(self.conversation(index)),
            (12, Some(room)) => Some(self.renaming(room)),
            (13, Some(room)) => Some(AdminCommand::Archive { room }),
            (14..=15, Some(room)) => Some(AdminCommand::Unarchive { room }),
            (16, Some(room)) => Some(AdminCommand::History {
                room,
                history: *self
                    .rng
                    .choice(&[HistoryAccess::All, HistoryAccess::Joined])
                    .expect("one of two"),
            }),
            (17, Some(room)) => {
                let on = self.rng.bool();
                let nickname = self.somebody(index);
                nickname.map(|nickname| AdminCommand::AppointModerator { room, nickname, on })
            }
            (18, Some(room)) => {
                let topic = self.rng.u8(..3) > 0;
                let topic = topic.then(|| Line::inert(&format!("topic {}", self.rng.u16(..))));
                Some(AdminCommand::Topic { room, topic })
            }
            (19 | 22, Some(room)) => return self.search(index, room),
            _ => {
                let list = Command::ListRooms {
                    request: 2,
                    query: Line::inert(""),
                    after: None,
                };
                return self.command(index, list);
            }
        };
        let Some(command) = command else {
            return Ok(());
        };
        let command = Command::Admin {
            request: 3,
            command,
        };
        self.command(index, command)
    }

    /// A room that a client has besides the operator's, a private one as a rule.
    pub(super) fn own_room(&mut self, index: usize) -> Option<RoomId> {
        let open = self.clients[index].witness.open_rooms();
        let own: Vec<_> = open.filter(|id| !rooms().contains(id)).collect();
        let is_public = |id: &RoomId| {
            let room = self.server.members.room(*id);
            room.is_none_or(Room::is_public)
        };
        let (public, private): (Vec<_>, Vec<_>) = own.into_iter().partition(is_public);
        let first = if private.is_empty() || self.rng.u8(..4) == 0 {
            &public
        } else {
            &private
        };
        self.rng.choice(first).copied()
    }

    pub(super) fn search(&mut self, index: usize, room: RoomId) -> Result<(), Fault> {
        let words = ["long", "two", "1*", "0*", "2*"];
        let words = self.rng.choice(words).unwrap_or_default();
        let search = Command::Search {
            search: 4,
            room,
            query: Query {
                words: Words::parse(words).expect("words"),
                sender: None,
                after: None,
                before: None,
            },
            to: None,
        };
        self.command(index, search)
    }

    fn any_name(&mut self, names: &[&str]) -> RoomName {
        let name = self.rng.choice(names).expect("a name");
        RoomName::parse(name).expect("a room's name")
    }

    fn creation(&mut self) -> AdminCommand {
        let private = self.rng.u8(..3) > 0;
        let is_odd = !private && self.rng.u8(..4) == 0;
        let name = self.any_name(if private || is_odd { &PRIVATE } else { &PUBLIC });
        AdminCommand::Create { private, name }
    }

    fn entry(&mut self) -> AdminCommand {
        let is_odd = self.rng.u8(..4) == 0;
        let name = self.any_name(if is_odd { &PRIVATE } else { &PUBLIC });
        AdminCommand::Enter { name }
    }

    fn renaming(&mut self, room: RoomId) -> AdminCommand {
        let is_public = self.server.members.room(room).is_none_or(Room::is_public);
        let name = self.any_name(if is_public { &PUBLIC } else { &PRIVATE });
        AdminCommand::RenameRoom { room, name }
    }

    /// Somebody's nickname, as a client shows it in the lobby.
    fn somebody(&mut self, index: usize) -> Option<Nickname> {
        let members = self.clients[index].witness.members(RoomId::LOBBY);
        let members: Vec<_> = members.into_values().collect();
        self.rng.choice(&members).cloned()
    }

    fn invitation(&mut self, index: usize, room: RoomId) -> Option<AdminCommand> {
        let nickname = self.somebody(index)?;
        Some(AdminCommand::InviteTo { room, nickname })
    }

    fn removal(&mut self, index: usize, room: RoomId) -> Option<AdminCommand> {
        Some(AdminCommand::Remove {
            room,
            nickname: self.somebody(index)?,
            reason: None,
        })
    }

    fn conversation(&mut self, index: usize) -> AdminCommand {
        let nicknames = (0..self.rng.u8(..3)).filter_map(|_| self.somebody(index));
        let nicknames = nicknames.collect();
        AdminCommand::Direct { nicknames }
    }

    /// A user reads in a room, or sets by hand how far they have read, or changes their settings.
    pub(super) fn read_room(&mut self, index: usize) -> Result<(), Fault> {
        let open: Vec<_> = self.clients[index].witness.open_rooms().collect();
        let Some(&room) = self.rng.choice(&open) else {
            return Ok(());
        };
        let held = self.clients[index].witness.last_held(room);
        let user = self.clients[index].user;
        let command = match self.rng.u8(..8) {
            0..=3 => {
                let seq = held.saturating_sub(self.rng.u64(..3));
                self.wishes.marks(user, room, seq);
                Command::MarkRead { room, seq }
            }
            4..=5 => {
                let seq = self.rng.u64(..=held);
                self.wishes.marks(user, room, seq);
                self.others_read(index, room)?;
                Command::SetMarker { room, seq }
            }
            _ => Command::Prefer {
                room,
                preferences: Preferences {
                    favourite: self.rng.bool(),
                    ..Preferences::default()
                },
            },
        };
        self.command(index, command)
    }

    /// The other devices of a client's user have read a room at the same time.
    fn others_read(&mut self, index: usize, room: RoomId) -> Result<(), Fault> {
        let user = self.clients[index].user;
        for other in (0..self.clients.len()).filter(|other| *other != index) {
            let client = &self.clients[other];
            let is_open = client.witness.open_rooms().any(|open| open == room);
            if client.user != user || client.is_gone() || !is_open {
                continue;
            }
            let seq = client.witness.last_held(room);
            self.wishes.marks(user, room, seq);
            self.command(other, Command::MarkRead { room, seq })?;
        }
        Ok(())
    }

    /// Checks that all of a user's devices have the rooms that the server has for them, and know the
    /// same of each.
    pub(super) fn rooms_agree(&self) -> Result<(), Fault> {
        let members = &self.server.members;
        members.check()?;
        let staying = self.clients.iter().filter(|client| !client.is_gone());
        for client in staying {
            let has_key = client.config.credentials.identity.is_some();
            if has_key {
                let shown: BTreeSet<_> = client.witness.open_rooms().collect();
                let kept = members.rooms_of(client.user);
                if shown != kept {
                    let user: UserId = client.user;
                    return Err(format!("{user} has {shown:?}, and is in {kept:?}"));
                }
                client.witness.check_rooms(members, client.user)?;
            }
            client
                .witness
                .check_unread(&self.truth, self.server.epoch(), client.user)?;
        }
        Ok(())
    }
}
