//! The commands that a session takes.

use super::LocalId;
use crate::{
    protocol::{
        Content, DeviceCode, Invite, Nickname, Preferences, RoomId, UserId,
        admin::{AdminCommand, Password},
        frame::Part,
    },
    search::Query,
    text::Line,
};

/// A command from the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Send a new entry. Accepted in any state of the connection: it waits in the outbox.
    Send {
        /// The room to send it to.
        room: RoomId,
        /// The content.
        content: Content,
    },
    /// Withdraw a message whose outcome is not known yet; or discard one that was refused, so that
    /// the next start does not restore it.
    Withdraw(LocalId),
    /// Send a refused message again, under a new id.
    SendAgain(LocalId),
    /// Send an admin command; answered by [`Event::Admin`](super::Event::Admin).
    Admin {
        /// The request's number, chosen by the sender and echoed in the answer.
        request: u64,
        /// The command.
        command: AdminCommand,
    },
    /// Change the nickname: at once when online, with the next join otherwise.
    Nick(Nickname),
    /// Request a page of a room's log; answered by [`Event::Page`](super::Event::Page).
    Page {
        /// The room.
        room: RoomId,
        /// The part wanted.
        part: Part,
    },
    /// Search messages; answered by [`Event::Found`](super::Event::Found).
    Search {
        /// The search's number, chosen by the sender and echoed in the answer.
        search: u64,
        /// The room.
        room: RoomId,
        /// The query.
        query: Query,
        /// The highest number to search; `None`: the log's end.
        to: Option<u64>,
    },
    /// The user has read a room up to this number; a lower one than before changes nothing.
    MarkRead {
        /// The room.
        room: RoomId,
        /// The number.
        seq: u64,
    },
    /// The user sets by hand how far they have read a room: back, to have it unread again, or on.
    SetMarker {
        /// The room.
        room: RoomId,
        /// Up to this number.
        seq: u64,
    },
    /// The user's settings of a room.
    Prefer {
        /// The room.
        room: RoomId,
        /// The settings.
        preferences: Preferences,
    },
    /// The rooms whose members the user wants to be told. Until this is said, these are the rooms that
    /// were named at the start, or the lobby.
    Watch(Vec<RoomId>),
    /// Request a page of the rooms that the user can find; answered by [`Event::RoomList`](super::Event::RoomList).
    ListRooms {
        /// The request's number, chosen by the sender and echoed in the answer.
        request: u64,
        /// What the names contain; empty: anything.
        query: Line,
        /// The last room of the page before; `None`: the first page.
        after: Option<RoomId>,
    },
    /// Request a page of people; answered by [`Event::PeopleList`](super::Event::PeopleList).
    ListPeople {
        /// The request's number, chosen by the sender and echoed in the answer.
        request: u64,
        /// The members of this room; `None`: everybody whom the user may see.
        room: Option<RoomId>,
        /// What the nicknames contain; empty: anything.
        query: Line,
        /// The last user of the page before; `None`: the first page.
        after: Option<UserId>,
    },
    /// Request messages that mention the user; answered by [`Event::Inbox`](super::Event::Inbox).
    Inbox {
        /// The request's number, chosen by the sender and echoed in the answer.
        request: u64,
        /// The position that the page before gave; `None`: from the newest.
        before: Option<u64>,
    },
    /// The unsent text in a room, to store for the next start; empty: none.
    Draft {
        /// The room.
        room: RoomId,
        /// The text.
        text: String,
    },
    /// A text that was sent, for the input's history, in later runs too.
    Typed(String),
    /// A credential that may admit us; connects if the session is stopped.
    Credential(Credential),
    /// The user is active: if the server has been silent for a while, check whether it answers.
    Probe,
    /// Connect now instead of waiting for the next attempt.
    RetryNow,
    /// Leave and end the session.
    Leave,
}

/// A credential that admits a key new to a server. Shown to that server only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The server's password.
    Password(Password),
    /// An invite of this server; another server's is refused.
    Invite(Invite),
    /// The code that another of the user's devices was given; it adds this device's key to that
    /// user.
    Code(DeviceCode),
}
