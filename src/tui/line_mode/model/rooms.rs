//! The rooms of the user: which there are, what they are called, and which is written to.

use super::{Asked, ExitStatus, Model};
use crate::{
    client::Command,
    protocol::{Nickname, RoomId, RoomKind, frame::RoomStart},
    tui::{line_mode::room::LineRoom, user_text},
};

/// Digits of a room's id that tell it from others of the same name.
const ID_DIGITS: usize = 6;

impl Model {
    /// A room that the user is in, if it is known.
    pub(in crate::tui::line_mode) fn known_room(&self, room: RoomId) -> Option<&LineRoom> {
        if room == self.room {
            Some(&self.here)
        } else {
            self.others.get(&room)
        }
    }

    /// As [`Model::known_room`].
    pub(in crate::tui::line_mode) fn known_room_mut(
        &mut self,
        room: RoomId,
    ) -> Option<&mut LineRoom> {
        if room == self.room {
            Some(&mut self.here)
        } else {
            self.others.get_mut(&room)
        }
    }

    /// All rooms, the one that is written to first.
    pub(in crate::tui::line_mode) fn rooms(&self) -> impl Iterator<Item = (RoomId, &LineRoom)> {
        let others = self.others.iter().map(|(id, room)| (*id, room));
        std::iter::once((self.room, &self.here)).chain(others)
    }

    /// A room for people: `#build`, `@bob`. If other rooms have the same name, with digits of its id:
    /// `#build~12ab34`.
    pub(in crate::tui::line_mode) fn title(&self, room: RoomId) -> String {
        let Some(known) = self.known_room(room) else {
            return "a room that you are not in".to_owned();
        };
        let title = user_text::room_title(&known.info, self.user);
        let alike = |other: &LineRoom| {
            other.info.name == known.info.name && other.info.people == known.info.people
        };
        if self.rooms().filter(|(_, other)| alike(other)).count() < 2 {
            return title;
        }
        let id: String = room.to_string().chars().take(ID_DIGITS).collect();
        format!("{title}~{id}")
    }

    /// Takes the opening of a room.
    pub(super) fn opened(&mut self, start: &RoomStart) {
        if start.room != self.room && self.is_meant(start) {
            // Only its name was known until now.
            self.others.remove(&start.room);
            self.room = start.room;
        }
        // Its latest messages follow.
        let entering = self.going == Some(start.room)
            || self.asked.values().any(|asked| *asked == Asked::Place);
        let room = if start.room == self.room {
            &mut self.here
        } else {
            self.others
                .entry(start.room)
                .or_insert_with(|| LineRoom::new(start.info.clone(), 0))
        };
        let missing = room.opened(start);
        if entering && start.info.kind != RoomKind::Direct {
            room.older = start.extent.head;
        }
        let part = room.history.opened(start.extent, start.reset.is_some());
        if start.reset.is_some() {
            let told = "The server's history was replaced: earlier messages are not in it";
            let told = self.in_room(start.room, told);
            self.say(&told);
        } else if missing > 0 {
            let told =
                format!("{missing} messages are missing here: the server no longer has them");
            let told = self.in_room(start.room, &told);
            self.say(&told);
        }
        if let Some(part) = part {
            let room = start.room;
            self.commands.push_back(Command::Page { room, part });
        }
        if self.going == Some(start.room) {
            self.go(start.room);
        }
    }

    /// Whether a room is the one to write to, under another id than its name alone told.
    fn is_meant(&self, start: &RoomStart) -> bool {
        !self.here.open
            && start.info.kind == RoomKind::Public
            && self.here.info.kind == RoomKind::Public
            && start.info.name == self.here.info.name
    }

    /// Goes to the room with a name as people write it, or says why not.
    pub(super) fn go_to(&mut self, name: &str) {
        match self.find(name) {
            Ok(room) => self.go(room),
            Err(why) => self.not_gone(&why),
        }
    }

    /// The room that a name means.
    fn find(&self, name: &str) -> Result<RoomId, String> {
        if name.is_empty() {
            return Err("Which room? /go ROOM, /go NAME".to_owned());
        }
        let name = name.to_lowercase();
        let rooms: Vec<_> = self
            .rooms()
            .map(|(room, known)| {
                let plain = user_text::room_title(&known.info, self.user).to_lowercase();
                (room, self.title(room), plain)
            })
            .collect();
        let exact = rooms
            .iter()
            .filter(|(_, title, _)| title.to_lowercase() == name);
        let mut found: Vec<_> = exact.collect();
        if found.is_empty() {
            let named = |plain: &str| plain == name || plain.get(1..) == Some(&name);
            let named = rooms.iter().filter(|(_, _, plain)| named(plain));
            found = named.collect();
        }
        match found[..] {
            [(room, ..)] => Ok(*room),
            [] => Err(format!(
                "You are in no room {name}: /join enters a room, /msg writes to a person"
            )),
            _ => {
                let titles: Vec<_> = found.iter().map(|(_, title, _)| title.as_str()).collect();
                Err(format!("Which one: {}?", titles.join(", ")))
            }
        }
    }

    /// Goes to a room, now or as soon as it is open.
    pub(in crate::tui::line_mode) fn go(&mut self, room: RoomId) {
        self.going = None;
        if room != self.room {
            let Some(there) = self.others.remove(&room) else {
                self.going = Some(room);
                return;
            };
            let mut before = std::mem::replace(&mut self.here, there);
            let left = std::mem::replace(&mut self.room, room);
            // Nothing more is told of its members.
            before.members.clear();
            before.members_known = false;
            self.others.insert(left, before);
            self.commands.push_back(Command::Watch(vec![room]));
        }
        self.nowhere = false;
        let title = self.title(room);
        self.mention(&format!("Your lines go to {title} now"));
    }

    /// Says why the user does not go to a room. A script's lines for it must not go to another.
    pub(in crate::tui::line_mode) fn not_gone(&mut self, why: &str) {
        self.refuse(why);
        self.nowhere = !self.options.interactive;
    }

    /// Takes the end of our membership in a room. Lines must not go to a room that they were not
    /// written for.
    pub(super) fn left(&mut self, room: RoomId, by: Option<&Nickname>) {
        let title = self.title(room);
        let leaving = Asked::Leaving(room);
        let asked = by.is_none() && self.asked.values().any(|asked| *asked == leaving);
        let told = match by {
            Some(by) => format!("{by} removed you from {title}"),
            None => format!("You have left {title}"),
        };
        if room != self.room {
            self.others.remove(&room);
            return self.mention(&told);
        }
        self.here.close();
        if !asked {
            self.say(&told);
        }
        if (asked || self.options.interactive) && self.others.contains_key(&RoomId::LOBBY) {
            self.go(RoomId::LOBBY);
            self.others.remove(&room);
            self.nowhere = !self.options.interactive;
        } else {
            self.refused(ExitStatus::NoServer);
        }
    }
}
