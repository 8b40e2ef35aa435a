//! Every frame, typed. [`super::wire`] turns them into JSON and back; what each means, and which
//! answers which, is told in `docs/PROTOCOL.md`.

use jiff::Timestamp;

use super::{
    admin::{AdminRequest, AdminResult, Password, Role, RoomRules},
    invite::InviteToken,
    key::{DeviceCode, Fingerprint, Nonce, PublicKey, Signature},
    name::{ClientId, DeviceId, Epoch, MessageId, Nickname, RoomName, Token, UserId},
};
use crate::{
    search::Query,
    text::{Body, BodyError, Line},
};

/// What a client sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClientFrame {
    /// The first frame of every connection.
    Join(Box<Join>),
    /// Proves that the key named in the `join` is held; answers [`ServerFrame::Challenge`].
    Proof {
        /// Over the nonce and the connection.
        signature: Signature,
    },
    /// A text for a room.
    Message(Submission),
    /// Keeps order in the admin; answered by [`ServerFrame::Result`].
    Command(AdminRequest),
    /// Uses up the counter of a message that the user took back before its outcome was known.
    Withdraw {
        /// The message taken back.
        id: MessageId,
    },
    /// Asks for a page of a room's log; answered by [`ServerFrame::History`].
    History(HistoryRequest),
    /// Looks for messages in a room's log; answered by [`ServerFrame::Found`].
    Search(SearchRequest),
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
        /// What the `ping` carried.
        reference: Option<u64>,
    },
    /// Leaves; answered by `bye`.
    Disconnect,
}

/// A client's wish to enter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// The highest protocol version that the client speaks; `None` marks a *legacy* client.
    pub protocol: Option<u64>,
    /// The nickname wanted.
    pub nickname: Nickname,
    /// The nickname is no wish: the client was told it last, and only comes back. If the user has
    /// another one by now, that one stays.
    pub keep_nickname: bool,
    /// Which of the user's devices or sessions this is.
    pub client_id: ClientId,
    /// Proof of being the same user as before. A client that has none yet makes one by chance
    /// and keeps it, so that even a lost `welcome` cannot lock it out; without one, the server
    /// makes it.
    pub token: Option<Token>,
    /// The key that the client will prove to hold; without one it is unverified.
    pub key: Option<PublicKey>,
    /// An invite, for a key that was not let in before.
    pub invite: Option<InviteToken>,
    /// The server's password, for a key that was not let in before.
    pub password: Option<Password>,
    /// The code by which the key becomes one of somebody who is known already.
    pub code: Option<DeviceCode>,
    /// The lowest message counter that this client will still send: all below are settled for it.
    pub next: Option<u64>,
    /// The log that the client's positions are in; `None` on a first join.
    pub epoch: Option<Epoch>,
    /// The rooms to be in; none: the lobby.
    pub enter: Vec<RoomName>,
    /// Where the client stands in rooms that it knows.
    pub rooms: Vec<Position>,
    /// How many of the latest messages to give for a room where no position is known or holds.
    pub last: Option<u64>,
    /// How many of the messages missed since a position are wanted at most; where there are
    /// more, only the latest so many are delivered, and the rest can be asked for as history.
    /// `None`: all of them.
    pub most: Option<u64>,
    /// Program and version, for the log.
    pub agent: Option<Line>,
}

/// A wish for a page of a room's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRequest {
    /// The room; `lobby` where the frame named none.
    pub room: RoomName,
    /// Which part of it.
    pub part: Part,
    /// Echoed in the answer.
    pub reference: Option<u64>,
}

/// A part of a room's log. A page gives as much of it as fits; numbers include both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Beginning with the number `from`.
    Forward {
        /// The lowest number.
        from: u64,
        /// The highest number.
        to: u64,
    },
    /// Ending with the number `to`.
    Backward {
        /// The lowest number.
        from: u64,
        /// The highest number.
        to: u64,
    },
    /// Beginning with the first message of this time or later.
    Since(Timestamp),
}

/// A search in a room's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SearchRequest {
    /// The room; `lobby` where the frame named none.
    pub room: RoomName,
    /// What for.
    pub query: Query,
    /// The highest number to be looked at; `None`: the log's end.
    pub to: Option<u64>,
    /// Echoed in the answer.
    pub reference: Option<u64>,
}

/// Where a client stands in one room: the last message that it holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The room.
    pub room: RoomName,
    /// The number of the last message held; delivery goes on with the next. 0: from the start.
    pub seq: u64,
    /// That message's id, by which the server sees whether it is the same log still.
    pub id: Option<MessageId>,
}

/// A message on its way to the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The room; `lobby` where the frame named none.
    pub room: RoomName,
    /// Its id; `None` from a legacy client only.
    pub id: Option<MessageId>,
    /// The text, or why it can't be taken.
    pub body: Result<Body, BodyError>,
}

/// What a server sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ServerFrame {
    /// Answers a `join` with a key: that it is held has to be proven.
    Challenge {
        /// To be signed.
        nonce: Nonce,
        /// The server's own key, where it is what the proof is bound to.
        fingerprint: Option<Fingerprint>,
    },
    /// Answers a good `join`.
    Welcome(Welcome),
    /// A page of a room's member list.
    Members(MembersPage),
    /// One change of a room's member list.
    Presence(Presence),
    /// One entry of a room's log.
    Message(Message),
    /// A page of a room's log, asked for.
    History(HistoryPage),
    /// What a search found.
    Found(FoundPage),
    /// What a command came to.
    Result(AdminResult),
    /// Answers a message whose echo the sender will not see soon, or a `withdraw`.
    Ack(Ack),
    /// Confirms a `nick`.
    Nick {
        /// The nickname now in force.
        nickname: Nickname,
        /// What the request carried.
        reference: Option<u64>,
    },
    /// Asks for a `pong`.
    Ping {
        /// Echoed in the `pong`.
        reference: Option<u64>,
    },
    /// Answers a `ping`.
    Pong {
        /// What the `ping` carried.
        reference: Option<u64>,
    },
    /// Something was refused or went wrong.
    Error(ErrorFrame),
    /// The connection ends now, and why.
    Bye(Bye),
    /// A type that this build does not know: to be ignored.
    Unknown,
}

/// The server's answer to a good `join`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Welcome {
    /// The version that both will speak.
    pub protocol: u64,
    /// The server's program and version.
    pub server: Line,
    /// Who the client is, for ever.
    pub user: UserId,
    /// The device part of this client's message ids: the same for the same token and client ID
    /// on every server and after every restart.
    pub device: DeviceId,
    /// The token in force, to be kept secret and sent with the next `join`.
    pub token: Token,
    /// The nickname in force.
    pub nickname: Nickname,
    /// What the client may do.
    pub role: Role,
    /// The highest counter that the server has settled for this device; the next is one more.
    pub counter: u64,
    /// Which log this is; positions of another epoch mean nothing here.
    pub epoch: Epoch,
    /// The server's time.
    pub time: Timestamp,
    /// The rooms that the client is in now.
    pub rooms: Vec<RoomStart>,
    /// The limits that the server holds the client to.
    pub limits: Limits,
}

/// Where delivery starts in one room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomStart {
    /// The room.
    pub room: RoomName,
    /// What it is about, if anything was said.
    pub topic: Option<Line>,
    /// The lowest number still held; 1 + `head` where nothing is.
    pub first: u64,
    /// The highest number given; 0 in an empty room.
    pub head: u64,
    /// The number of the message that will be delivered next.
    pub next: u64,
    /// Why the position that the client named was not taken up, if it was not.
    pub reset: Option<Reset>,
}

/// Why a resume started afresh.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reset {
    /// The log is another one: the server was restarted without it, or restored.
    Epoch,
    /// The log ends before the client's position.
    Seq,
    /// At the client's position the log holds another message.
    Id,
}

/// What a server holds a client to; see [`super::limits`] for each meaning.
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
    /// Messages that may be sent in a minute, on the whole; `None`: no limit.
    pub messages_per_minute: Option<u64>,
    /// Messages that may be sent at once after a pause; `None`: no limit.
    pub messages_burst: Option<u64>,
}

/// One page of a room's member list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MembersPage {
    /// The room.
    pub room: RoomName,
    /// The state of the list that this page was read from; later changes carry higher versions.
    pub version: u64,
    /// Whether this page starts the list anew: what the client held of it is void.
    pub start: bool,
    /// Whether another page follows.
    pub more: bool,
    /// How the room is run; told on the page that starts the list.
    pub rules: Option<RoomRules>,
    /// The members on this page.
    pub members: Vec<Member>,
}

/// One member of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who.
    pub user: UserId,
    /// What he is called now.
    pub nickname: Nickname,
    /// Since when he has been in the room.
    pub since: Timestamp,
    /// What he may do.
    pub role: Role,
}

/// One change of a room's member list, or of how the room is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Presence {
    /// The room.
    pub room: RoomName,
    /// The list's version with this change; versions of a room are consecutive.
    pub version: u64,
    /// Who changed; of a room's rules, who changed them.
    pub user: UserId,
    /// His nickname after the change.
    pub nickname: Nickname,
    /// What he may do after the change.
    pub role: Role,
    /// When.
    pub time: Timestamp,
    /// What changed.
    pub change: Change,
}

/// What changed about a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Came in.
    Joined,
    /// Went, and why.
    Left(Departure),
    /// Took another nickname.
    Renamed {
        /// The one before.
        was: Nickname,
    },
    /// May do more or less than before.
    Promoted,
    /// The room is run otherwise.
    Rules(RoomRules),
}

/// Why somebody left, or why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Departure {
    /// Said so.
    Disconnect,
    /// The connection broke.
    Lost,
    /// Nothing was heard for [`super::limits::GONE_AFTER`].
    Timeout,
    /// The same user joined with the same client ID elsewhere.
    Replaced,
    /// Broke the protocol.
    Protocol,
    /// Sent away by a moderator.
    Kicked,
    /// Sent away by a moderator, not to come again.
    Banned,
    /// The server stopped.
    Shutdown,
}

/// One entry of a room's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The room.
    pub room: RoomName,
    /// Its number: 1, 2, 3, … in each room, without holes.
    pub seq: u64,
    /// Its id.
    pub id: MessageId,
    /// Who sent it.
    pub user: UserId,
    /// What the sender was called then.
    pub nickname: Nickname,
    /// When the server took it; before an earlier entry's time only where the clock was set back.
    pub time: Timestamp,
    /// Set where the server's clock was corrected since the entry before: what it would have shown,
    /// had it been left alone.
    pub clock_was: Option<Timestamp>,
    /// Whether its sender was unverified when they sent it, which holds for ever. Older servers did
    /// not say, so that false may mean that nobody knows.
    pub unproven: bool,
    /// The text. What a log holds is never refused: a receiver makes it inert.
    pub body: Body,
}

/// A page of a room's log: all messages with the numbers `from` to `to`, both included, that
/// were asked for and are still held. Where there is nothing, `to` is one less than `from`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryPage {
    /// Which part it is.
    pub head: PageHead,
    /// The messages, oldest first.
    pub messages: Vec<Message>,
}

/// What a search found among the messages with the numbers `from` to `to`, both included. What
/// is older than `from` was not looked at yet: to search further is to ask with `to` one less.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundPage {
    /// Where was looked.
    pub head: PageHead,
    /// The number up to which the server's index reaches. Of what is newer, only the latest
    /// messages were looked at.
    pub indexed: u64,
    /// The messages, newest first.
    pub messages: Vec<Message>,
}

/// What the pages of a log have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageHead {
    /// The room.
    pub room: RoomName,
    /// The lowest number still held; 1 + `head` where nothing is.
    pub first: u64,
    /// The highest number given; 0 in an empty room.
    pub head: u64,
    /// The lowest number that the page covers.
    pub from: u64,
    /// The highest number that the page covers.
    pub to: u64,
    /// What the request carried.
    pub reference: Option<u64>,
}

/// What became of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The message.
    pub id: MessageId,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a message that the server has settled without refusing it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is in the log.
    Stored {
        /// The room.
        room: RoomName,
        /// Its number there.
        seq: u64,
        /// When it was taken.
        time: Timestamp,
    },
    /// It was withdrawn in time.
    Withdrawn,
    /// It was settled so long ago that its number is no longer at hand.
    Settled,
}

/// An error, as it stands on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorFrame {
    /// What kind.
    pub code: ErrorCode,
    /// One plain sentence.
    pub message: Line,
    /// The message that it is about, if it is about one.
    pub id: Option<MessageId>,
    /// What the request carried, if it carried one.
    pub reference: Option<u64>,
    /// When the same request may be tried again; `None`: never.
    pub retry_after_ms: Option<u64>,
}

impl ErrorFrame {
    /// An error about no request in particular, not to be tried again.
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

/// The kinds of error. A client treats a code that it does not know by `retry_after_ms` alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErrorCode {
    /// Not JSON, too long, too deep, or a field of the wrong kind. The connection closes.
    Malformed,
    /// A `type` that the server does not know. The connection goes on.
    UnknownType,
    /// No version in common. The connection closes.
    UnsupportedProtocol,
    /// The server is to be spoken to encrypted. The connection closes.
    PlaintextRefused,
    /// The key is not held, or the proof is about another connection. The connection closes.
    BadProof,
    /// Who comes from there is not let in without an invite. The connection closes.
    AccessDenied,
    /// A password is wanted, or was wrong. The connection closes.
    PasswordRequired,
    /// The invite is not of this server, has expired, was used up or revoked. The connection
    /// closes.
    BadInvite,
    /// The code is wrong or too old. After `join` the connection closes.
    BadCode,
    /// Banned. The connection closes.
    Banned,
    /// That is for others to do: see the message.
    NotAllowed,
    /// Nobody, or nothing, by that name.
    NotFound,
    /// The first frame was not `join`, or a second `join` came. The connection closes.
    JoinExpected,
    /// Somebody else present has that nickname. After `join` the connection closes.
    NicknameInUse,
    /// A nickname that can't be: empty, too long, or with characters that deceive.
    BadNickname,
    /// A field that can't be.
    BadField,
    /// A text that can't be taken: see the message.
    BadText,
    /// No such room, or not one that the client is in.
    NoSuchRoom,
    /// The id is not this device's, or its counter leaves a hole: the one before is missing.
    BadId,
    /// As many clients are in as the server takes. The connection closes.
    ServerFull,
    /// Too many requests, or too many messages unanswered.
    RateLimited,
    /// An earlier message was refused for the time being and must come first.
    HeldBack,
    /// Could not be stored.
    NotDurable,
    /// What was asked for could not be read.
    Unavailable,
    /// The server is stopping.
    ShuttingDown,
    /// A code from a newer server.
    Other,
}

/// The last frame of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Bye {
    /// Why.
    pub reason: Departure,
    /// One plain sentence.
    pub message: Line,
    /// When to come back, if the server knows that it will be back.
    pub retry_after_ms: Option<u64>,
}
