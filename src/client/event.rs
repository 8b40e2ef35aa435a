//! What the session tells whoever shows it (screen, line mode, simulation), and what it is told.
//!
//! Both are plain values that travel over an mpsc channel.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    protocol::{
        MessageId, Nickname, RoomName, UserId,
        frame::{Departure, Limits, Member, Reset},
    },
    text::{Body, Line},
};

/// A message of this client, from the moment it was typed: consecutive from 1 within one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalId(pub u64);

/// What the user wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Send a text. Taken in any state of the link: it waits in the outbox.
    Send {
        /// Where to.
        room: RoomName,
        /// The text.
        body: Body,
    },
    /// Take back a message whose outcome is not known yet.
    Withdraw(LocalId),
    /// Send a message again that was refused, under a new id.
    SendAgain(LocalId),
    /// Take another nickname: at once when online, with the next join otherwise.
    Nick(Nickname),
    /// Do not wait for the next attempt to connect.
    RetryNow,
    /// Say goodbye and end.
    Leave,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The link's state changed.
    Link(Link),
    /// The server let us in (again). Follows `Link(Online)` or `Link(Basic)`.
    Entered(Entered),
    /// A room is open: its messages follow from `next`.
    Room(RoomOpened),
    /// A message arrived. In each room their order of arrival is their order; a number comes
    /// once.
    Message(Received),
    /// A message of ours changed its state.
    Outbox {
        /// Which.
        local: LocalId,
        /// Where to.
        room: RoomName,
        /// The text.
        body: Body,
        /// The new state.
        delivery: Delivery,
    },
    /// A room's whole member list, in place of what was known.
    Members {
        /// The room.
        room: RoomName,
        /// Everybody in it, ourselves included, in no order.
        members: Vec<Member>,
    },
    /// Somebody came in.
    Joined {
        /// The room.
        room: RoomName,
        /// Who.
        member: Member,
    },
    /// Somebody went.
    Left {
        /// The room.
        room: RoomName,
        /// Who.
        user: UserId,
        /// What he was called.
        nickname: Nickname,
        /// When.
        time: Timestamp,
        /// Why.
        reason: Departure,
    },
    /// Somebody took another nickname; perhaps ourselves.
    Renamed {
        /// The room.
        room: RoomName,
        /// Who.
        user: UserId,
        /// What he was called before.
        was: Nickname,
        /// What he is called now.
        nickname: Nickname,
        /// When.
        time: Timestamp,
    },
    /// The nickname was refused: taken, or not a possible one. On a join the session waits for
    /// [`Command::Nick`], and [`Link::Stopped`] follows; when online the old one stays in force.
    NicknameRefused {
        /// The one refused.
        nickname: Nickname,
        /// Why, in one plain sentence.
        why: Line,
        /// Whether the session now waits for another before it can enter.
        waiting: bool,
    },
    /// Something that the user should read once, in one plain sentence.
    Notice(Line),
    /// The session is over: nothing follows.
    Ended(Summary),
}

/// How the link stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Link {
    /// Looking up the name, opening the connection, waiting for the welcome.
    Connecting,
    /// In.
    Online,
    /// In, on a server that knows no history, members or receipts.
    Basic,
    /// Not connected; the next attempt comes by itself.
    Waiting {
        /// What went wrong, in one plain sentence.
        why: Line,
        /// How long until the next attempt, from when this was sent.
        retry_in: Duration,
    },
    /// Not connected, and no attempt comes by itself ([`Command::RetryNow`] makes one).
    Stopped {
        /// Why, in one plain sentence.
        why: Line,
    },
}

/// Who we are on this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    /// Our id; `None` on a basic server.
    pub user: Option<UserId>,
    /// Our nickname there.
    pub nickname: Nickname,
    /// The server's program and version.
    pub server: Option<Line>,
    /// What it holds us to.
    pub limits: Option<Limits>,
}

/// Where a room's messages go on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomOpened {
    /// The room.
    pub room: RoomName,
    /// What it is about.
    pub topic: Option<Line>,
    /// The lowest number that the server still holds.
    pub first: u64,
    /// The highest number when we entered.
    pub head: u64,
    /// The number of the message that comes next. More than one above the last one held: a gap.
    pub next: u64,
    /// Set when what we hold is not part of this log (any more): show a break; numbers start
    /// anew.
    pub reset: Option<Reset>,
}

/// A message from the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The room.
    pub room: RoomName,
    /// Its number; `None` from a basic server.
    pub seq: Option<u64>,
    /// Its id; `None` from a basic server.
    pub id: Option<MessageId>,
    /// Who sent it; `None` from a basic server.
    pub user: Option<UserId>,
    /// What the sender was called.
    pub nickname: Nickname,
    /// When: the server's time, or that of arrival from a basic server.
    pub time: Timestamp,
    /// The text, inert.
    pub body: Body,
    /// Set when this is the echo of a message typed in this run.
    pub local: Option<LocalId>,
}

/// What is known about a message of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In the outbox: not sent yet, or sent and not answered yet.
    Pending,
    /// In the log. (Its echo comes as [`Event::Message`], before or after this.)
    Sent {
        /// Its number, where the server still knew it.
        seq: Option<u64>,
    },
    /// Written to a basic server, which never confirms.
    Unconfirmed,
    /// Refused for good.
    Failed {
        /// Why, in one plain sentence.
        why: Line,
    },
    /// Taken back by the user in time.
    Withdrawn,
}

/// The figures for the farewell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Messages of ours that were sent.
    pub messages_sent: u64,
    /// Characters (grapheme clusters) in them.
    pub characters_sent: u64,
    /// Messages of others received live or on resuming.
    pub messages_received: u64,
    /// Characters in them.
    pub characters_received: u64,
    /// Messages of ours whose outcome was still unknown.
    pub unsent: u64,
}
