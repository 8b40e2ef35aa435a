//! Every frame, typed. [`super::wire`] converts them to JSON and back; `docs/PROTOCOL.md` says what
//! each means and which answers which.

use jiff::Timestamp;

use super::{
    admin::{AdminRequest, AdminResult, Password, Role},
    entry::{Content, ContentError, Entry},
    extent::Extent,
    invite::InviteToken,
    key::{DeviceCode, Fingerprint, Nonce, PublicKey, Signature},
    name::{ClientId, DeviceId, Epoch, MessageId, Nickname, RoomId, RoomName, Token, UserId},
    room::{ListedPerson, ListedRoom, Preferences, ReadMarker, ReadState, RoomInfo, RoomRules},
};
use crate::text::Line;

mod page;

pub use self::page::{
    ChangesPage, ChangesRequest, FoundPage, HistoryPage, HistoryRequest, InboxPage, ListPage,
    ListRequest, PageHead, Part, SearchRequest,
};

/// A frame from a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFrame {
    /// The first frame of every connection.
    Join(Box<Join>),
    /// Proves that the client holds the key named in its `join`; answers
    /// [`ServerFrame::Challenge`].
    Proof {
        /// Signs the nonce and the connection.
        signature: Signature,
    },
    /// An entry for a room's log.
    Submit(Submission),
    /// An admin command; answered by [`ServerFrame::Result`].
    Command(AdminRequest),
    /// Settles the counter of an entry that the user withdrew before its outcome was known.
    Withdraw {
        /// The withdrawn entry.
        id: MessageId,
    },
    /// Asks for a page of a room's log; answered by [`ServerFrame::History`].
    History(HistoryRequest),
    /// Searches a room's log; answered by [`ServerFrame::Found`].
    Search(SearchRequest),
    /// Asks which entries were changed; answered by [`ServerFrame::Changes`].
    Changes(ChangesRequest),
    /// The user has read a room up to a number, or sets their marker there by hand; answered by
    /// [`ServerFrame::Read`].
    Read {
        /// The room.
        room: RoomId,
        /// The marker, of the generation that the client knows, or of the next one if it is set by
        /// hand.
        marker: ReadMarker,
    },
    /// The user's settings of a room; answered by [`ServerFrame::Read`].
    Prefer {
        /// The room.
        room: RoomId,
        /// The settings.
        preferences: Preferences,
    },
    /// Names the rooms whose members, and their changes, the client wants to be told. At first these
    /// are the rooms that the join has named, or the lobby if it has named none.
    Watch {
        /// The rooms: at most [`JOIN_ROOMS_MAX`](super::limits::JOIN_ROOMS_MAX).
        rooms: Vec<RoomId>,
    },
    /// Asks for rooms that the user can find; answered by [`ServerFrame::RoomList`].
    ListRooms(ListRequest<RoomId>),
    /// Asks for people; answered by [`ServerFrame::PeopleList`].
    ListPeople {
        /// The members of this room; `None`: everybody whom the user may see.
        room: Option<RoomId>,
        /// Which of them.
        list: ListRequest<UserId>,
    },
    /// Asks for messages that mention the user, the newest first; answered by
    /// [`ServerFrame::Inbox`].
    Inbox {
        /// Older than this [position](InboxPage::next); `None`: from the newest.
        before: Option<u64>,
        /// Echoed in the answer.
        reference: Option<u64>,
    },
    /// Asks for another nickname.
    Nick {
        /// The nickname wanted.
        nickname: Nickname,
        /// Echoed in the answer.
        reference: Option<u64>,
    },
    /// Asks for a `pong`.
    Ping {
        /// Echoed in the `pong`.
        reference: Option<u64>,
    },
    /// Answers a `ping`.
    Pong {
        /// The `ping`'s reference.
        reference: Option<u64>,
    },
    /// Ends the session; answered by `bye`.
    Disconnect,
}

/// A client's request to join.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// The highest protocol version that the client speaks; `None` marks a *legacy* client.
    pub protocol: Option<u64>,
    /// The nickname wanted.
    pub nickname: Nickname,
    /// The nickname is the one that the server confirmed last, and not a new wish. If the user has
    /// another one by now, that one stays.
    pub keep_nickname: bool,
    /// Which of the user's devices or sessions this is.
    pub client_id: ClientId,
    /// Identifies the user across connections. A client without one makes a random one and keeps
    /// it, so that even a lost `welcome` cannot lock it out; if it sends none, the server makes it.
    pub token: Option<Token>,
    /// The key that the client will prove to hold; without one the user is unverified.
    pub key: Option<PublicKey>,
    /// An invite, for a key that was not admitted before.
    pub invite: Option<InviteToken>,
    /// The server's password, for a key that was not admitted before.
    pub password: Option<Password>,
    /// A code that adds the key to an existing user.
    pub code: Option<DeviceCode>,
    /// The lowest message counter that this client will still send: all below are settled.
    pub next: Option<u64>,
    /// The log that the client's positions belong to; `None` on a first join.
    pub epoch: Option<Epoch>,
    /// The rooms to join; none: the lobby.
    pub enter: Vec<RoomName>,
    /// The client's positions in rooms that it knows.
    pub rooms: Vec<Position>,
    /// How many of the latest messages to deliver for a room without a valid position.
    pub last: Option<u64>,
    /// At most how many of the messages missed since a position to deliver. Of more, only the
    /// latest are delivered; the rest is available as history. `None`: all of them.
    pub most: Option<u64>,
    /// The client's capabilities.
    pub can: Capabilities,
    /// Program and version, for the log.
    pub agent: Option<Line>,
}

/// Optional parts of the protocol that a side speaks. Only what both name is used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// Messages can be edited.
    pub edit: bool,
    /// Content can be erased.
    pub redact: bool,
    /// Rooms are made and entered while the client is connected: it is sent all rooms of its user.
    pub rooms: bool,
}

impl Capabilities {
    /// Those of this build.
    pub const ALL: Self = Self {
        edit: true,
        redact: true,
        rooms: true,
    };

    /// Whether a side that has them takes such a content.
    pub fn allow(self, content: &Content) -> bool {
        match content {
            Content::Text(_) => true,
            Content::Edit { .. } => self.edit,
            Content::Redaction { .. } => self.redact,
        }
    }
}

/// A client's position in one room: the last message that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The room.
    pub room: RoomId,
    /// The number of the last message held; delivery continues with the next. 0: from the start.
    pub seq: u64,
    /// That message's id, which shows the server whether the log is still the same.
    pub id: Option<MessageId>,
}

/// A new entry from a client.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The room; `lobby` if the frame named none.
    pub room: RoomId,
    /// Its id; `None` only from a legacy client.
    pub id: Option<MessageId>,
    /// The content, or why it is refused.
    pub content: Result<Content, ContentError>,
}

/// A frame from a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerFrame {
    /// Answers a `join` with a key, which the client must now prove to hold.
    Challenge {
        /// The nonce to sign.
        nonce: Nonce,
        /// The server's key, where the proof is bound to it.
        fingerprint: Option<Fingerprint>,
    },
    /// Accepts a `join`.
    Welcome(Welcome),
    /// A page of a room's member list.
    Members(MembersPage),
    /// One change of a room's member list.
    Presence(Presence),
    /// One entry of a room's log.
    Entry(Entry),
    /// A page of a room's log, by request.
    History(HistoryPage),
    /// The result of a search.
    Found(FoundPage),
    /// Entries that later entries have changed.
    Changes(ChangesPage),
    /// Rooms that the client is in: those that did not fit the `welcome`, and those that the user
    /// enters later. Their entries follow.
    Rooms(Vec<RoomStart>),
    /// What a room of the client is has changed.
    Room {
        /// The room.
        room: RoomId,
        /// What it is now.
        info: Box<RoomInfo>,
    },
    /// The user is no longer in a room: nothing of it follows, and what the client holds of it is to
    /// be dropped.
    RoomLeft {
        /// The room.
        room: RoomId,
        /// Who removed the user; `None`: they left.
        by: Option<Nickname>,
    },
    /// How far the user has read a room, and their settings of it, have changed on one of their
    /// devices.
    Read {
        /// The room.
        room: RoomId,
        /// The marker in force.
        marker: ReadMarker,
        /// The settings in force.
        preferences: Preferences,
    },
    /// A page of the list of rooms.
    RoomList(ListPage<ListedRoom>),
    /// A page of a list of people.
    PeopleList(ListPage<ListedPerson>),
    /// A page of the inbox.
    Inbox(InboxPage),
    /// The users whom this one ignores, instead of all before: at most
    /// [`IGNORED_MAX`](super::limits::IGNORED_MAX). Until it comes there are none.
    Ignored {
        /// The users.
        users: Vec<UserId>,
    },
    /// The result of a command.
    Result(AdminResult),
    /// Answers an entry whose echo the sender will not see soon, or a `withdraw`.
    Ack(Ack),
    /// Confirms a `nick`.
    Nick {
        /// The nickname now in force.
        nickname: Nickname,
        /// The request's reference.
        reference: Option<u64>,
    },
    /// Asks for a `pong`.
    Ping {
        /// Echoed in the `pong`.
        reference: Option<u64>,
    },
    /// Answers a `ping`.
    Pong {
        /// The `ping`'s reference.
        reference: Option<u64>,
    },
    /// A refusal or a failure.
    Error(ErrorFrame),
    /// The reason why the connection ends now.
    Bye(Bye),
    /// A type that this build does not know; ignored.
    Unknown,
}

/// The server's answer to an accepted `join`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The version that both sides will speak.
    pub protocol: u64,
    /// The server's program and version.
    pub server: Line,
    /// The client's user, permanent.
    pub user: UserId,
    /// The device part of this client's message ids: the same for the same token and client ID on
    /// every server and after every restart.
    pub device: DeviceId,
    /// The token in force: a secret to send with the next `join`.
    pub token: Token,
    /// The nickname in force.
    pub nickname: Nickname,
    /// The client's role.
    pub role: Role,
    /// The highest counter that the server has settled for this device; the next is one more.
    pub counter: u64,
    /// The log's epoch; positions of another epoch mean nothing here.
    pub epoch: Epoch,
    /// The server's time.
    pub time: Timestamp,
    /// The rooms that the client is in.
    pub rooms: Vec<RoomStart>,
    /// The server's capabilities.
    pub can: Capabilities,
    /// The limits that the server enforces for the client.
    pub limits: Limits,
}

/// The start of delivery in one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomStart {
    /// The room.
    pub room: RoomId,
    /// What it is.
    pub info: RoomInfo,
    /// How far the user has read it, and their settings.
    pub read: ReadState,
    /// The range of numbers that the room holds.
    pub extent: Extent,
    /// The number of the message that will be delivered next.
    pub next: u64,
    /// The highest number of an entry that changed another one; 0 if none did.
    pub changed: u64,
    /// The highest number of an entry that erased another one's content; 0 if none did.
    pub redacted: u64,
    /// Why the server did not resume from the client's position, if so.
    pub reset: Option<Reset>,
}

/// Why delivery did not resume from a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// The log is another one: the server was restarted without it, or restored.
    Epoch,
    /// The log ends before the client's position.
    Seq,
    /// The log holds another message at the client's position.
    Id,
}

/// The limits that a server enforces; see [`super::limits`] for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    missing_docs,
    reason = "each field is named after its constant in `limits`"
)]
pub struct Limits {
    pub frame_bytes: u64,
    pub text_bytes: u64,
    pub nickname_graphemes: u64,
    pub unanswered_messages: u64,
    pub ping_after_ms: u64,
    pub gone_after_ms: u64,
    /// Sustained rate of messages in a minute; `None`: no limit.
    pub messages_per_minute: Option<u64>,
    /// Messages that may be sent at once after a pause; `None`: no limit.
    pub messages_burst: Option<u64>,
}

/// One page of a room's member list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembersPage {
    /// The room.
    pub room: RoomId,
    /// Version of the list that this page was read from; later changes carry higher versions.
    pub version: u64,
    /// Whether this page restarts the list: the client discards what it held.
    pub start: bool,
    /// Whether another page follows.
    pub more: bool,
    /// The room's rules, on the page that starts the list.
    pub rules: Option<RoomRules>,
    /// The members on this page.
    pub members: Vec<Member>,
}

/// One member of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The user.
    pub user: UserId,
    /// Their present nickname.
    pub nickname: Nickname,
    /// When they joined the room.
    pub since: Timestamp,
    /// Their role.
    pub role: Role,
}

/// One change of a room's member list or rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// The room.
    pub room: RoomId,
    /// The list's version after this change; versions of a room are consecutive.
    pub version: u64,
    /// The member who changed; for a room's rules, the user who changed them.
    pub user: UserId,
    /// Their nickname after the change.
    pub nickname: Nickname,
    /// Their role after the change.
    pub role: Role,
    /// Time of the change.
    pub time: Timestamp,
    /// The change.
    pub change: Change,
}

/// A change of a member, or of the room's rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Joined.
    Joined,
    /// Left, with the reason.
    Left(Departure),
    /// Changed nickname.
    Renamed {
        /// The nickname before.
        was: Nickname,
    },
    /// Changed role.
    Promoted,
    /// The room's rules changed.
    Rules(RoomRules),
}

/// Why a member left, or a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Sent `disconnect`.
    Disconnect,
    /// The connection broke.
    Lost,
    /// Nothing was heard for [`super::limits::GONE_AFTER`].
    Timeout,
    /// The same user joined with the same client ID elsewhere.
    Replaced,
    /// Broke the protocol.
    Protocol,
    /// Kicked by a moderator.
    Kicked,
    /// Banned by a moderator.
    Banned,
    /// The server stopped.
    Shutdown,
}

/// Reports the outcome of a submitted entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The entry.
    pub id: MessageId,
    /// Its outcome.
    pub outcome: Outcome,
}

/// The outcome of an entry that the server settled without refusing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log.
    Stored {
        /// The room.
        room: RoomId,
        /// Its number there.
        seq: u64,
        /// When it was accepted.
        time: Timestamp,
    },
    /// It was withdrawn in time.
    Withdrawn,
    /// It would have changed nothing, and is not in the log.
    Unchanged,
    /// It was settled so long ago that its number is no longer known.
    Settled,
}

/// An `error` frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorFrame {
    /// The kind of error.
    pub code: ErrorCode,
    /// One plain sentence.
    pub message: Line,
    /// The message that it is about, if any.
    pub id: Option<MessageId>,
    /// The request's reference, if any.
    pub reference: Option<u64>,
    /// When the same request may be tried again; `None`: never.
    pub retry_after_ms: Option<u64>,
}

impl ErrorFrame {
    /// An error about no particular request, not to be retried.
    pub fn new(code: ErrorCode, message: &str) -> Self {
        Self {
            code,
            message: Line::inert(message),
            id: None,
            reference: None,
            retry_after_ms: None,
        }
    }
}

/// The kinds of error. For an unknown code a client goes by `retry_after_ms` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorCode {
    /// Not JSON, too long, too deep, or a field of the wrong kind. The connection closes.
    Malformed,
    /// A `type` that the server does not know. The connection stays open.
    UnknownType,
    /// No version in common. The connection closes.
    UnsupportedProtocol,
    /// The server requires encryption. The connection closes.
    PlaintextRefused,
    /// The client does not hold the key, or the proof is for another connection. The connection
    /// closes.
    BadProof,
    /// The client's address is not admitted without an invite. The connection closes.
    AccessDenied,
    /// A password is required, or was wrong. The connection closes.
    PasswordRequired,
    /// The invite is not from this server, has expired, was used up or revoked. The connection
    /// closes.
    BadInvite,
    /// The code is wrong or too old. After `join` the connection closes.
    BadCode,
    /// Banned. The connection closes.
    Banned,
    /// The client's role may not do that: see the message.
    NotAllowed,
    /// No user or item has that name.
    NotFound,
    /// The first frame was not `join`, or a second `join` came. The connection closes.
    JoinExpected,
    /// Another connected user has that nickname. After `join` the connection closes.
    NicknameInUse,
    /// An invalid nickname: empty, too long, or with deceptive characters.
    BadNickname,
    /// An invalid field.
    BadField,
    /// A refused text: see the message.
    BadText,
    /// The entry that it refers to is not in the log, or was erased.
    Gone,
    /// The room does not exist, or the client is not in it.
    NoSuchRoom,
    /// The id is not this device's, or its counter leaves a gap: the one before is missing.
    BadId,
    /// The server has as many clients as it accepts. The connection closes.
    ServerFull,
    /// Too many requests, or too many messages unanswered.
    RateLimited,
    /// An earlier message was refused temporarily and must come first.
    HeldBack,
    /// The message could not be stored.
    NotDurable,
    /// The requested data could not be read.
    Unavailable,
    /// The server is stopping.
    ShuttingDown,
    /// A code from a newer server.
    Other,
}

/// The last frame of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bye {
    /// The reason.
    pub reason: Departure,
    /// One plain sentence.
    pub message: Line,
    /// When to reconnect, if the server knows that it will be back.
    pub retry_after_ms: Option<u64>,
}
