//! What the session tells whoever shows it (screen, line mode, simulation), and what it is told.
//!
//! Both are plain values that travel over an mpsc channel.

use std::time::Duration;

use jiff::Timestamp;

use crate::{
    protocol::{
        DeviceCode, Fingerprint, Invite, MessageId, Nickname, Role, RoomName, RoomRules, UserId,
        admin::{AdminCommand, AdminResult, Password},
        frame::{Departure, Limits, Member, Part, Reset},
    },
    search::Query,
    text::{Body, Line},
};

/// A message of this client, from the moment it was typed or found: consecutive from 1 within one
/// run. Those that other processes hand over meanwhile are numbered apart from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalId(pub u64);

impl LocalId {
    /// The numbers of messages that other processes handed over begin here.
    pub const OF_OTHERS: u64 = 1 << 62;

    /// Whether another process handed it over while this one ran.
    pub fn is_of_others(self) -> bool {
        self.0 >= Self::OF_OTHERS
    }
}

/// What the user wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Send a text. Taken in any state of the connection: it waits in the outbox.
    Send {
        /// Where to.
        room: RoomName,
        /// The text.
        body: Body,
    },
    /// Take back a message whose outcome is not known yet; or let go of one that was refused, so
    /// that it is not kept for the next start either.
    Withdraw(LocalId),
    /// Send a message again that was refused, under a new id.
    SendAgain(LocalId),
    /// Send an admin command; answered by [`Event::Admin`].
    Admin {
        /// Which, chosen by whoever asks and echoed in the answer.
        request: u64,
        /// What.
        command: AdminCommand,
    },
    /// Take another nickname: at once when online, with the next join otherwise.
    Nick(Nickname),
    /// A page of a room's log is wanted; answered by [`Event::Page`].
    Page {
        /// The room.
        room: RoomName,
        /// Which part of it.
        part: Part,
    },
    /// Messages are looked for; answered by [`Event::Found`].
    Search {
        /// Which search, chosen by whoever asks and echoed in the answer.
        search: u64,
        /// The room.
        room: RoomName,
        /// What for.
        query: Query,
        /// The highest number to be looked at; `None`: the log's end.
        to: Option<u64>,
    },
    /// The user has read a room up to this number.
    Read {
        /// The room.
        room: RoomName,
        /// The number.
        seq: u64,
    },
    /// The text being written in a room, to be kept for the next start; empty: none.
    Draft {
        /// The room.
        room: RoomName,
        /// The text.
        text: String,
    },
    /// A text was sent: to be offered again by the input's history, in later runs too.
    Typed(String),
    /// Something that may let us in where we were not; connects, if we are stopped.
    Credential(Credential),
    /// The user is at the keys: if the server has said nothing for a while, find out whether it
    /// answers.
    Probe,
    /// Do not wait for the next attempt to connect.
    RetryNow,
    /// Say goodbye and end.
    Leave,
}

/// What lets a key in that a server has not let in yet. Shown to that server only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Credential {
    /// The server's password.
    Password(Password),
    /// An invite of this server's; that of another is refused.
    Invite(Invite),
    /// The code that another of the user's devices was given: by it, this one's key becomes one of
    /// that user's.
    Code(DeviceCode),
}

/// What a server wants before it lets us in; answered by [`Command::Credential`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialWanted {
    /// Its password.
    Password,
    /// An invite, or another one; a device's code may do as well.
    Invite,
    /// A device's code, or another one.
    Code,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The connection's status changed. Whatever the last [`Event::Unanswered`] said is past.
    Connection(ConnectionStatus),
    /// The server has not answered for so long what it has to; `None`: it answers again.
    Unanswered(Option<Duration>),
    /// A connection was opened: who can read along on it. Comes before anything is said there.
    Security(Security),
    /// The server let us in (again). Follows `Connection` with `Online`, `Basic` or `Unidentified`.
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
    /// A page of a room's log, asked for with [`Command::Page`].
    Page {
        /// The room.
        room: RoomName,
        /// What was asked for.
        part: Part,
        /// The page, or why there is none, in one plain sentence.
        page: Result<Page, Line>,
    },
    /// What a search found, asked for with [`Command::Search`].
    Found {
        /// Which search.
        search: u64,
        /// The room.
        room: RoomName,
        /// What was found, or why nothing could be looked for, in one plain sentence.
        found: Result<SearchPage, Line>,
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
    /// Somebody may do more or less than before; perhaps ourselves.
    Promoted {
        /// The room.
        room: RoomName,
        /// Who.
        user: UserId,
        /// What he may do now.
        role: Role,
    },
    /// How a room is run.
    Rules {
        /// The room.
        room: RoomName,
        /// The rules now in force.
        rules: RoomRules,
        /// Who changed them just now; `None` where they were so before.
        by: Option<Nickname>,
    },
    /// What a [`Command::Admin`] came to.
    Admin {
        /// Which.
        request: u64,
        /// The result, or why there is none, in one plain sentence.
        answer: Result<AdminResult, Line>,
    },
    /// The nickname was refused: taken, or not a possible one. On a join the session waits for
    /// [`Command::Nick`], and [`ConnectionStatus::Stopped`] follows; when online the old one stays in force.
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
    /// Why a server is not trusted; [`ConnectionStatus::Stopped`] follows.
    Distrusted(Vec<ExplanationPart>),
    /// The session is over: nothing follows.
    Ended(Summary),
}

impl Event {
    /// The room in which it happened. What becomes of our own messages is told wherever we are.
    pub fn room(&self) -> Option<&RoomName> {
        match self {
            Self::Room(opened) => Some(&opened.room),
            Self::Message(received) => Some(&received.room),
            Self::Page { room, .. }
            | Self::Found { room, .. }
            | Self::Members { room, .. }
            | Self::Joined { room, .. }
            | Self::Left { room, .. }
            | Self::Renamed { room, .. }
            | Self::Promoted { room, .. }
            | Self::Rules { room, .. } => Some(room),
            Self::Connection(_)
            | Self::Unanswered(_)
            | Self::Security(_)
            | Self::Entered(_)
            | Self::Outbox { .. }
            | Self::Admin { .. }
            | Self::NicknameRefused { .. }
            | Self::Notice(_)
            | Self::Distrusted(_)
            | Self::Ended(_) => None,
        }
    }
}

/// The status of the connection to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConnectionStatus {
    /// Looking up the name, opening the connection, waiting for the welcome.
    Connecting,
    /// In.
    Online,
    /// In, on a server that knows no history, members or receipts.
    Basic,
    /// Connected, but what listens has not said anything: a server as with [`ConnectionStatus::Basic`], or none
    /// at all.
    Unidentified,
    /// Not connected; the next attempt comes by itself.
    Waiting {
        /// What went wrong, in one plain sentence.
        why: Line,
        /// How long until the next attempt, from when this was sent.
        retry_in: Duration,
    },
    /// Not connected: another process has this device's place, and sends what is typed here. When
    /// it has ended, an attempt comes by itself.
    Standby,
    /// Not connected, and no attempt comes by itself ([`Command::RetryNow`] makes one).
    Stopped {
        /// Why, in one plain sentence.
        why: Line,
        /// The same in a word or two, for where nothing else fits: at most 20 columns.
        brief: &'static str,
        /// What would let us in.
        wants: Option<CredentialWanted>,
    },
}

/// A part of what is told of a server that is not trusted: what that may mean, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExplanationPart {
    /// Plain sentences.
    Words(Line),
    /// A key.
    Key {
        /// Which: "The key offered now".
        label: Line,
        /// The key.
        key: Fingerprint,
    },
    /// What to type, as a whole, if all is well.
    Command(Line),
}

impl ExplanationPart {
    /// The passage on one line.
    pub fn to_line(&self) -> Line {
        match self {
            Self::Words(line) | Self::Command(line) => line.clone(),
            Self::Key { label, key } => Line::inert(&format!("{label}: {key}")),
        }
    }
}

/// Who can read along, and how the server is known to be the one that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Nobody on the way.
    Encrypted {
        /// How the server is known.
        verified_by: VerifiedBy,
        /// Its key.
        fingerprint: Fingerprint,
    },
    /// Everybody on the way.
    Plain,
}

/// How a server is known to be the one that is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifiedBy {
    /// Certificates that the system trusts vouch for it.
    Roots,
    /// It has the key that it is known by.
    Pin,
    /// It is met for the first time, and known by its key from now on. If somebody else answered in
    /// its place, this is the moment to find out: by comparing the key.
    FirstUse,
}

/// Who we are on this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    /// Our id; `None` on a basic server.
    pub user: Option<UserId>,
    /// Our nickname there.
    pub nickname: Nickname,
    /// What we may do there.
    pub role: Role,
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
    /// Set where the server's clock was corrected since the message before: what it would have shown
    /// otherwise.
    pub clock_was: Option<Timestamp>,
    /// Whether its sender is known to have been unverified when they sent it.
    pub unproven: bool,
    /// The text, inert.
    pub body: Body,
    /// Set when this is the echo of a message typed in this run.
    pub local: Option<LocalId>,
}

/// A gap-free part of a room's log: all messages with the numbers `from` to `to`, both included.
/// Where there is nothing, `to` is one less than `from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The lowest number that can be had: history begins here. From the client's own store, the
    /// last that the server said.
    pub first: u64,
    /// The highest number given, as far as is known.
    pub head: u64,
    /// The lowest number of the page.
    pub from: u64,
    /// The highest number of the page.
    pub to: u64,
    /// The messages, oldest first.
    pub messages: Vec<Received>,
    /// Whether this is from the client's own store, which may have gaps, because the server can't
    /// be asked at the moment.
    pub offline: bool,
}

/// What a search found among the messages with the numbers `from` to `to`, both included. It goes
/// on with `to` one less than `from`, until that is below `first`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchPage {
    /// The lowest number that can be had.
    pub first: u64,
    /// The lowest number that was looked at.
    pub from: u64,
    /// The highest number that was looked at.
    pub to: u64,
    /// The messages, newest first.
    pub messages: Vec<Received>,
    /// Set when the server's index is behind: the number that it reaches to.
    pub indexed: Option<u64>,
    /// Whether only the client's own store was searched, because the server can't be asked at the
    /// moment.
    pub offline: bool,
}

/// What the client's own store holds from earlier runs: enough to show the conversation before
/// the network answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// Our id on this server.
    pub user: Option<UserId>,
    /// The rooms.
    pub rooms: Vec<RestoredRoom>,
    /// Messages whose outcome is not known, in order of typing. Their states come as
    /// [`Event::Outbox`].
    pub outbox: Vec<RestoredMessage>,
    /// Texts sent earlier, oldest first.
    pub typed: Vec<String>,
}

/// A room, as the client's own store holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredRoom {
    /// The room.
    pub room: RoomName,
    /// What it was about.
    pub topic: Option<Line>,
    /// The latest messages held.
    pub page: Page,
    /// The number up to which the user has read.
    pub read: u64,
    /// The text that was being written; empty: none.
    pub draft: String,
}

/// A message of ours from an earlier run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredMessage {
    /// Which, in this run.
    pub local: LocalId,
    /// Where to.
    pub room: RoomName,
    /// The text.
    pub body: Body,
    /// How it stands: pending, or failed.
    pub delivery: Delivery,
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
    /// Another process of ours has dealt with it while it had this device's outbox: it was sent,
    /// and then the log brings it like anybody's message, or it was taken back.
    SettledElsewhere,
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
