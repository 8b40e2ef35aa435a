//! Users with keys, for tests of what is kept about them.

use super::*;
use crate::{
    protocol::{
        Identity, RoomId, RoomName, ServerFrame,
        admin::{AdminCommand, AdminRequest},
        frame::{ListRequest, RoomStart},
    },
    server::{
        core::{
            rooms::RoomSettings,
            testing::{access_settings, binding},
        },
        log::StateStore,
    },
    text::Line,
};

/// Where everybody joins from.
const HERE: &str = "192.0.2.1";

pub(super) fn key(name: &str) -> Identity {
    let mut seed = [7; 32];
    seed[..name.len()].copy_from_slice(name.as_bytes());
    Identity::from_seed(seed)
}

pub(super) fn room_name(name: &str) -> RoomName {
    RoomName::parse(name).unwrap()
}

/// A message to a room.
pub(super) fn says(name: &str, counter: u64, room: RoomId, text: &str) -> ClientFrame {
    ClientFrame::Submit(Submission {
        room,
        id: Some(id(name, counter)),
        content: Ok(Content::Text(Body::inert(text))),
    })
}

pub(super) fn command(command: AdminCommand) -> ClientFrame {
    ClientFrame::Command(AdminRequest {
        command,
        reference: None,
    })
}

pub(super) fn list<T>(query: &str) -> ListRequest<T> {
    ListRequest {
        query: Line::inert(query),
        after: None,
        reference: None,
    }
}

/// A server with a lobby, and these users in it.
pub(super) fn with(names: &[&'static str]) -> World {
    let mut world = World::with_access(access_settings(), &[]);
    for name in names {
        world.arrives(name);
    }
    for name in names {
        world.hears(name);
    }
    world
}

impl World {
    /// A user joins.
    pub(super) fn arrives(&mut self, name: &'static str) {
        self.comes_as(name, name, |join| join);
    }

    /// A user joins on a connection with another name.
    pub(super) fn comes_as(
        &mut self,
        connection: &'static str,
        name: &'static str,
        change: impl FnOnce(Join) -> Join,
    ) {
        let heard = self.enter(connection, &key(name), HERE, change(join(name)));
        assert!(heard[0].starts_with("welcome"), "{heard:?}");
    }

    /// A user asks to join on a connection with another name.
    pub(super) fn comes_later_as(
        &mut self,
        connection: &'static str,
        name: &'static str,
        change: impl FnOnce(Join) -> Join,
    ) {
        let wish = Join {
            key: Some(key(name).public()),
            ..change(join(name))
        };
        self.connect(connection);
        self.post_frame(connection, &ClientFrame::Join(Box::new(wish)));
        let challenge = self.client(connection).heard.pop();
        let Some(ServerFrame::Challenge { nonce, .. }) = challenge else {
            panic!("{challenge:?}");
        };
        let signature = key(name).prove(&binding(), &nonce);
        self.post_frame(connection, &ClientFrame::Proof { signature });
    }

    /// The rooms of which a client was told.
    pub(super) fn started(&mut self, name: &str) -> Vec<RoomStart> {
        let heard = mem::take(&mut self.client(name).heard);
        let rooms = heard.into_iter().flat_map(|frame| match frame {
            ServerFrame::Welcome(welcome) => welcome.rooms,
            ServerFrame::Rooms(rooms) => rooms,
            _ => Vec::new(),
        });
        rooms.collect()
    }

    /// A user joins, and is told of these rooms.
    pub(super) fn joins(&mut self, name: &'static str) -> Vec<RoomStart> {
        self.comes_later_as(name, name, |join| join);
        self.started(name)
    }

    /// The answers to a command, and what comes with them.
    pub(super) fn commands(&mut self, name: &str, order: AdminCommand) -> Vec<String> {
        self.hears(name);
        self.say(name, &command(order))
    }

    /// The room in the result of a command. What else the client hears stays.
    pub(super) fn gets_room(&mut self, name: &str, order: AdminCommand) -> RoomId {
        self.hears(name);
        self.post_frame(name, &command(order));
        let heard = &mut self.client(name).heard;
        let is_result = |frame: &ServerFrame| matches!(frame, ServerFrame::Result(_));
        let at = heard.iter().position(is_result).expect("a result");
        let ServerFrame::Result(result) = heard.remove(at) else {
            unreachable!()
        };
        result.room.expect("a room")
    }

    /// Makes a room.
    pub(super) fn makes(&mut self, name: &str, room: &str, private: bool) -> RoomId {
        let name_of_room = room_name(room);
        let create = AdminCommand::Create {
            private,
            name: name_of_room,
        };
        self.gets_room(name, create)
    }

    /// Loses all records of rooms, as servers from before them had none, and starts again.
    pub(super) fn restart_without_records(&mut self) {
        let mut records = self.store.state().unwrap();
        records.retain(|record| matches!(&*record.kind, "room" | "member"));
        for record in &mut records {
            record.value = None;
        }
        let batch = Batch::new(self.now.wall, vec![Operation::PutState(records)]);
        self.store.append(batch).unwrap();
        self.restart();
    }

    /// Starts again with other rooms of the operator.
    pub(super) fn restart_with_rooms(&mut self, names: &[&str]) {
        let room = |name: &&str| RoomSettings {
            name: room_name(name),
            topic: None,
        };
        self.hub.settings.rooms = names.iter().map(room).collect();
        self.restart();
    }
}
