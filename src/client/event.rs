//! The events that a session sends to its user interface (screen, line mode, simulation), and the
//! commands that it takes.
//!
//! Both are plain values that travel over an mpsc channel.

mod command;

use std::{collections::BTreeSet, time::Duration};

use jiff::Timestamp;

use crate::{
    protocol::{
        Content, Entry, Extent, Fingerprint, Nickname, ReadState, Role, RoomId, RoomInfo,
        RoomRules, UserId,
        admin::AdminResult,
        frame::{Departure, Limits, Member, Part, RoomStart},
        room::{ListedPerson, ListedRoom},
    },
    text::{Body, Line},
};

pub use self::command::{Command, Credential};

/// The number of a message of this client, from typing on: consecutive from 1 within one run.
/// Messages from other processes are numbered in a range of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LocalId(pub u64);

impl LocalId {
    /// The first number of messages from other processes.
    pub const OF_OTHERS: u64 = 1 << 62;

    /// Whether another process handed it over while this one ran.
    pub fn is_of_others(self) -> bool {
        self.0 >= Self::OF_OTHERS
    }
}

/// The credential that a server asks for; answered by [`Command::Credential`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialWanted {
    /// Its password.
    Password,
    /// An invite, or another one; a device's code works too.
    Invite,
    /// A device's code, or another one.
    Code,
}

/// An event of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The connection's status changed. The last [`Event::Unanswered`] no longer holds.
    Connection(ConnectionStatus),
    /// The server has owed an answer for this long; `None`: it answers again.
    Unanswered(Option<Duration>),
    /// A connection was opened, with this protection. Comes before anything is sent on it.
    Security(Security),
    /// The client joined (again). Follows `Connection` with `Online`, `Legacy` or `Unidentified`.
    Entered(Entered),
    /// A room was opened: its messages follow from `next`. If that is more than one above the last one
    /// held, there is a gap. With a `reset`, the messages held are not part of this log: show a break;
    /// numbers start anew.
    Room(Box<RoomStart>),
    /// What a room is has changed.
    RoomInfo {
        /// The room.
        room: RoomId,
        /// What it is now.
        info: Box<RoomInfo>,
    },
    /// The user is no longer in a room: nothing of it follows.
    RoomLeft {
        /// The room.
        room: RoomId,
        /// Who removed the user; `None`: they left.
        by: Option<Nickname>,
    },
    /// An entry arrived, or a message of a legacy server. In each room entries arrive in the log's
    /// order, and each number once.
    Message(Received),
    /// Entries of a room as they stand now: later entries have changed them.
    Changed {
        /// The room.
        room: RoomId,
        /// The entries.
        entries: Vec<Entry>,
    },
    /// One of the user's messages changed its state.
    Outbox(OutboxMessage),
    /// A page of a room's log, asked for with [`Command::Page`].
    Page {
        /// The room.
        room: RoomId,
        /// The part asked for.
        part: Part,
        /// The page, or one plain sentence why there is none.
        page: Result<Page, Line>,
    },
    /// The result of a [`Command::Search`].
    Found {
        /// The search.
        search: u64,
        /// The room.
        room: RoomId,
        /// The matches, or one plain sentence why the search failed.
        found: Result<SearchPage, Line>,
    },
    /// How far the user has read a room, their settings of it, or what is unread there has changed.
    ReadState {
        /// The room.
        room: RoomId,
        /// All of it.
        read: ReadState,
    },
    /// The answer to a [`Command::ListRooms`].
    RoomList {
        /// The request.
        request: u64,
        /// The page, or one plain sentence why there is none.
        rooms: Result<ListedPage<ListedRoom>, Line>,
    },
    /// The answer to a [`Command::ListPeople`].
    PeopleList {
        /// The request.
        request: u64,
        /// The page, or one plain sentence why there is none.
        people: Result<ListedPage<ListedPerson>, Line>,
    },
    /// The answer to a [`Command::Inbox`].
    Inbox {
        /// The request.
        request: u64,
        /// The page, or one plain sentence why there is none.
        inbox: Result<InboxEntries, Line>,
    },
    /// The users whom this user ignores, instead of all before.
    Ignored(BTreeSet<UserId>),
    /// A room's whole member list, which replaces the earlier one.
    Members {
        /// The room.
        room: RoomId,
        /// All members, including this user, in no order.
        members: Vec<Member>,
    },
    /// A member joined.
    Joined {
        /// The room.
        room: RoomId,
        /// The member.
        member: Member,
    },
    /// A member left.
    Left {
        /// The room.
        room: RoomId,
        /// The user.
        user: UserId,
        /// Their nickname.
        nickname: Nickname,
        /// Time of the change.
        time: Timestamp,
        /// The reason.
        reason: Departure,
    },
    /// A member, perhaps this user, changed nickname.
    Renamed {
        /// The room.
        room: RoomId,
        /// The user.
        user: UserId,
        /// Their nickname before.
        was: Nickname,
        /// Their nickname now.
        nickname: Nickname,
        /// Time of the change.
        time: Timestamp,
    },
    /// A member, perhaps this user, changed role.
    Promoted {
        /// The room.
        room: RoomId,
        /// The user.
        user: UserId,
        /// Their role now.
        role: Role,
    },
    /// A room's rules.
    Rules {
        /// The room.
        room: RoomId,
        /// The rules now in force.
        rules: RoomRules,
        /// The user who changed them just now; `None` if they were already so.
        by: Option<Nickname>,
    },
    /// The answer to a [`Command::Admin`].
    Admin {
        /// The request.
        request: u64,
        /// The result, or one plain sentence why there is none.
        answer: Result<AdminResult, Line>,
    },
    /// The nickname was refused: taken, or invalid. On a join the session waits for
    /// [`Command::Nick`], and [`ConnectionStatus::Stopped`] follows; when online the old one stays
    /// in force.
    NicknameRefused {
        /// The refused nickname.
        nickname: Nickname,
        /// The reason, in one plain sentence.
        why: Line,
        /// Whether the session needs another nickname before it can join.
        waiting: bool,
    },
    /// A notice to the user, in one plain sentence.
    Notice(Line),
    /// Why the server is not trusted; [`ConnectionStatus::Stopped`] follows.
    Distrusted(Vec<ExplanationPart>),
    /// The session has ended: no event follows.
    Ended(Summary),
}

impl Event {
    /// The room of the event. `None` for the user's own messages, whose outcome is shown in every
    /// room.
    pub fn room(&self) -> Option<RoomId> {
        match self {
            Self::Room(opened) => Some(opened.room),
            Self::Message(received) => Some(received.said.room()),
            Self::RoomInfo { room, .. }
            | Self::ReadState { room, .. }
            | Self::RoomLeft { room, .. }
            | Self::Changed { room, .. }
            | Self::Page { room, .. }
            | Self::Found { room, .. }
            | Self::Members { room, .. }
            | Self::Joined { room, .. }
            | Self::Left { room, .. }
            | Self::Renamed { room, .. }
            | Self::Promoted { room, .. }
            | Self::Rules { room, .. } => Some(*room),
            Self::Connection(_)
            | Self::Unanswered(_)
            | Self::Security(_)
            | Self::Entered(_)
            | Self::Outbox(_)
            | Self::Admin { .. }
            | Self::RoomList { .. }
            | Self::PeopleList { .. }
            | Self::Inbox { .. }
            | Self::Ignored(_)
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
    /// Looking up the name, opening the connection, or waiting for the welcome.
    Connecting,
    /// Joined.
    Online,
    /// Joined, on a server without history, members or receipts.
    Legacy,
    /// Connected, but the other end has said nothing: it is a server as with
    /// [`ConnectionStatus::Legacy`], or no chat server at all.
    Unidentified,
    /// Not connected; the next attempt is scheduled.
    Waiting {
        /// The reason, in one plain sentence.
        why: Line,
        /// How long until the next attempt, from when this was sent.
        retry_in: Duration,
    },
    /// Not connected: another process of this device is, and sends the messages typed here. This
    /// one connects when that process ends.
    Standby,
    /// Not connected, and no attempt is scheduled ([`Command::RetryNow`] makes one).
    Stopped {
        /// The reason, in one plain sentence.
        why: Line,
        /// The reason in a word or two, for narrow places: at most 20 columns.
        brief: &'static str,
        /// The credential that would admit us.
        wants: Option<CredentialWanted>,
    },
}

/// A part of the explanation why a server is not trusted: what it may mean, and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ExplanationPart {
    /// Plain sentences.
    Words(Line),
    /// A key.
    Key {
        /// Its label: "The key offered now".
        label: Line,
        /// The key.
        key: Fingerprint,
    },
    /// A whole command to type if the server is the right one.
    Command(Line),
}

impl ExplanationPart {
    /// The part on one line.
    pub fn to_line(&self) -> Line {
        match self {
            Self::Words(line) | Self::Command(line) => line.clone(),
            Self::Key { label, key } => Line::inert(&format!("{label}: {key}")),
        }
    }
}

/// The protection of a connection: who can read it, and how the server was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Encrypted: nobody on the way can read it.
    Encrypted {
        /// How the server was verified.
        verified_by: VerifiedBy,
        /// Its key.
        fingerprint: Fingerprint,
    },
    /// Not encrypted: everybody on the way can read it.
    Plain,
}

/// How a server was verified.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerifiedBy {
    /// By certificates that the system trusts.
    Roots,
    /// By its known key.
    Pin,
    /// By nothing: its key was accepted at the first connection, and is known from now on. The user
    /// can only detect an impostor now, by comparing the key.
    FirstUse,
}

/// This user's session on the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entered {
    /// The user's id; `None` on a legacy server.
    pub user: Option<UserId>,
    /// The nickname in force.
    pub nickname: Nickname,
    /// The user's role.
    pub role: Role,
    /// The server's program and version.
    pub server: Option<Line>,
    /// The limits that it enforces.
    pub limits: Option<Limits>,
}

/// A message that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The message.
    pub said: Said,
    /// Set for the echo of a message typed in this run.
    pub local: Option<LocalId>,
}

impl From<Entry> for Received {
    fn from(message: Entry) -> Self {
        Self {
            said: Said::Logged(message),
            local: None,
        }
    }
}

/// A message as a front end shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Said {
    /// An entry of a room's log.
    Logged(Entry),
    /// A message that has no entry, as far as is known.
    Unlogged(Unlogged),
}

/// A message without an entry in a log: from a legacy server, or one of this user's that was sent and
/// whose echo has not arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unlogged {
    /// The room; the lobby on a legacy server.
    pub room: RoomId,
    /// The sender; `None` from a legacy server.
    pub user: Option<UserId>,
    /// The sender's nickname.
    pub nickname: Nickname,
    /// The time of arrival, or of sending.
    pub time: Timestamp,
    /// The text, inert.
    pub body: Body,
}

impl Said {
    /// The room.
    pub fn room(&self) -> RoomId {
        match self {
            Self::Logged(message) => message.room,
            Self::Unlogged(message) => message.room,
        }
    }

    /// The number in the room's log.
    pub fn seq(&self) -> Option<u64> {
        match self {
            Self::Logged(message) => Some(message.seq),
            Self::Unlogged(_) => None,
        }
    }

    /// The sender; `None` from a legacy server.
    pub fn user(&self) -> Option<UserId> {
        match self {
            Self::Logged(entry) => Some(entry.author.user),
            Self::Unlogged(message) => message.user,
        }
    }

    /// The sender's nickname then.
    pub fn nickname(&self) -> &Nickname {
        match self {
            Self::Logged(entry) => &entry.author.nickname,
            Self::Unlogged(message) => &message.nickname,
        }
    }

    /// The time.
    pub fn time(&self) -> Timestamp {
        match self {
            Self::Logged(message) => message.time,
            Self::Unlogged(message) => message.time,
        }
    }

    /// The time that the uncorrected clock would show, where the server's clock was corrected since the
    /// message before.
    pub fn clock_was(&self) -> Option<Timestamp> {
        match self {
            Self::Logged(message) => message.clock_was,
            Self::Unlogged(_) => None,
        }
    }

    /// Whether the sender is known to have been unverified then.
    pub fn unproven(&self) -> bool {
        match self {
            Self::Logged(entry) => !entry.author.proven,
            Self::Unlogged(_) => false,
        }
    }

    /// The words to show for it, inert; empty if there are none.
    pub fn words(&self) -> &str {
        match self {
            Self::Logged(entry) => entry.words(),
            Self::Unlogged(message) => message.body.as_str(),
        }
    }
}

/// A gap-free part of a room's log: all [shown](Entry::is_shown) entries from `from` to `to`, both
/// included. In an empty page `to` is one less than `from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The numbers available: history begins at `first`. From the client's own store, the last
    /// value from the server.
    pub extent: Extent,
    /// The lowest number of the page.
    pub from: u64,
    /// The highest number of the page.
    pub to: u64,
    /// The entries, oldest first.
    pub entries: Vec<Entry>,
    /// Whether it comes from the client's own store, which may have gaps, because the server can't
    /// be asked now.
    pub offline: bool,
}

/// The matches of a search among the messages from `from` to `to`, both included. To continue,
/// search with `to` one less than `from`, until that is below `first`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchPage {
    /// The lowest number available.
    pub first: u64,
    /// The lowest number searched.
    pub from: u64,
    /// The highest number searched.
    pub to: u64,
    /// The messages, newest first.
    pub entries: Vec<Entry>,
    /// Set when the server's index is behind: the number that it reaches.
    pub indexed: Option<u64>,
    /// Whether only the client's own store was searched, because the server can't be asked now.
    pub offline: bool,
}

/// A page of a list of rooms or people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPage<T> {
    /// The elements, in the list's order.
    pub list: Vec<T>,
    /// Whether there are more behind them.
    pub more: bool,
}

/// A page of the messages that mention the user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InboxEntries {
    /// The messages, of any rooms, newest first, as they stand now.
    pub entries: Vec<Entry>,
    /// The position to ask for the next page with; `None`: there is none.
    pub next: Option<u64>,
}

/// The contents of the client's own store from earlier runs: enough to show the conversation before
/// the server answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restored {
    /// The user's id on this server.
    pub user: Option<UserId>,
    /// The rooms.
    pub rooms: Vec<RestoredRoom>,
    /// Messages with unknown outcome, in order of typing. Their states come as [`Event::Outbox`].
    pub outbox: Vec<OutboxMessage>,
    /// Texts sent earlier, oldest first.
    pub typed: Vec<String>,
}

/// A room in the client's own store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RestoredRoom {
    /// The room.
    pub room: RoomId,
    /// What it is, when last known.
    pub info: RoomInfo,
    /// The latest messages held.
    pub page: Page,
    /// How far the user has read it, and their settings of it.
    pub read: ReadState,
    /// The unsent text; empty: none.
    pub draft: String,
}

/// An entry of this user on its way to the log, and its state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutboxMessage {
    /// Its number in this run.
    pub local: LocalId,
    /// Its room.
    pub room: RoomId,
    /// The content.
    pub content: Content,
    /// Its state; for a message from an earlier run: pending, or failed.
    pub delivery: Delivery,
}

/// The state of a message of this user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// In the outbox: not sent yet, or sent and not answered yet.
    Pending,
    /// In the log. (Its echo comes as [`Event::Message`], before or after this.)
    Sent {
        /// Its number, if the server still knew it.
        seq: Option<u64>,
    },
    /// Written to a legacy server, which never confirms.
    Unconfirmed,
    /// Refused permanently.
    Failed {
        /// The reason, in one plain sentence.
        why: Line,
    },
    /// Withdrawn by the user before it was stored.
    Withdrawn,
    /// It would have changed nothing.
    Unchanged,
    /// Another process of this user settled it while it had this device's outbox: either it was
    /// sent, and the log delivers it like any message, or it was withdrawn.
    SettledElsewhere,
}

/// The figures for the summary at exit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Messages that this user sent.
    pub messages_sent: u64,
    /// Characters (grapheme clusters) in them.
    pub characters_sent: u64,
    /// Messages from others, received live or on resuming.
    pub messages_received: u64,
    /// Characters in them.
    pub characters_received: u64,
    /// Messages of this user whose outcome was still unknown.
    pub unsent: u64,
}
