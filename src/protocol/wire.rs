//! One frame's JSON to a typed frame, and back.
//!
//! All frames are read into, and written from, one flat struct ([`Flat`]) whose strings are
//! borrowed from the frame. (A tagged enum would buffer the whole object first: measured at 25
//! times the memory and time for a long frame.) So a field's name means one kind of value in all
//! frames: that is a rule of the protocol, and this struct is where it is kept.

use std::{borrow::Cow, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, de};

use super::{
    frame::{
        Ack, Bye, Change, ClientFrame, Departure, ErrorCode, ErrorFrame, Join, Limits, Member,
        MembersPage, Message, Outcome, Position, Presence, Reset, RoomStart, ServerFrame,
        Submission, Welcome,
    },
    limits::{JOIN_ROOMS_MAX, MEMBERS_PAGE_MAX, NUMBER_MAX},
    name::{
        ClientId, DeviceId, Epoch, MessageId, NameError, Nickname, NicknameError, RoomName, Token,
        UserId,
    },
};
use crate::text::{Body, Line};

/// A string as it stands in the frame: borrowed unless it held an escape.
#[derive(Debug, Deserialize, Serialize)]
#[serde(transparent)]
pub(super) struct Str<'a>(#[serde(borrow)] Cow<'a, str>);

impl Str<'_> {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl<'a> From<&'a str> for Str<'a> {
    fn from(text: &'a str) -> Self {
        Self(Cow::Borrowed(text))
    }
}

impl From<String> for Str<'_> {
    fn from(text: String) -> Self {
        Self(Cow::Owned(text))
    }
}

/// A number as the protocol has them: unsigned, at most [`NUMBER_MAX`].
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(transparent)]
pub(super) struct Number(u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        if number > NUMBER_MAX {
            return Err(de::Error::custom("a number is below 2^53"));
        }
        Ok(Self(number))
    }
}

/// An array of at most `N` elements; one more is an error before it is kept.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(super) struct List<T, const N: usize>(Vec<T>);

impl<'de, T: Deserialize<'de>, const N: usize> Deserialize<'de> for List<T, N> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor<T, const N: usize>(std::marker::PhantomData<T>);
        impl<'de, T: Deserialize<'de>, const N: usize> de::Visitor<'de> for Visitor<T, N> {
            type Value = List<T, N>;

            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(out, "an array of at most {N} elements")
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = seq.next_element()? {
                    if list.len() == N {
                        return Err(de::Error::invalid_length(N + 1, &self));
                    }
                    list.push(element);
                }
                Ok(List(list))
            }
        }
        deserializer.deserialize_seq(Visitor(std::marker::PhantomData))
    }
}

/// Declares [`Flat`]: every field optional, absent or `null` meaning the same. (Serde wants to be
/// told which fields borrow.)
macro_rules! flat {
    (
        borrowed { $($(#[$of_text:meta])* $text:ident: $text_kind:ty,)* }
        owned { $($(#[$of_value:meta])* $value:ident: $value_kind:ty,)* }
    ) => {
        /// Every field of every frame; `kind` (`type` on the wire) says which are meant.
        #[derive(Debug, Default, Deserialize, Serialize)]
        #[serde(default)]
        pub(super) struct Flat<'a> {
            $(
                #[serde(borrow, skip_serializing_if = "Option::is_none")]
                $(#[$of_text])*
                pub(super) $text: Option<$text_kind>,
            )*
            $(
                #[serde(skip_serializing_if = "Option::is_none")]
                $(#[$of_value])*
                pub(super) $value: Option<$value_kind>,
            )*
        }
    };
}

flat! {
    borrowed {
        #[serde(rename = "type")]
        kind: Str<'a>,
        code: Str<'a>,
        server: Str<'a>,
        agent: Str<'a>,
        room: Str<'a>,
        id: Str<'a>,
        user: Str<'a>,
        device: Str<'a>,
        token: Str<'a>,
        nickname: Str<'a>,
        was: Str<'a>,
        #[serde(rename = "clientID")]
        client_id: Str<'a>,
        message: Str<'a>,
        reason: Str<'a>,
        outcome: Str<'a>,
        timestamp: Str<'a>,
        epoch: Str<'a>,
        rooms: List<RoomFlat<'a>, JOIN_ROOMS_MAX>,
        members: List<MemberFlat<'a>, MEMBERS_PAGE_MAX>,
    }
    owned {
        protocol: Number,
        seq: Number,
        version: Number,
        start: bool,
        more: bool,
        next: Number,
        counter: Number,
        last: Number,
        limits: LimitsFlat,
        #[serde(rename = "ref")]
        reference: Number,
        retry_after_ms: Number,
    }
}

/// An element of `rooms`: a position in `join`, a start in `welcome`.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct RoomFlat<'a> {
    #[serde(borrow)]
    room: Str<'a>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    topic: Option<Str<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<Number>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    id: Option<Str<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    first: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    head: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<Number>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    reset: Option<Str<'a>>,
}

/// An element of `members`.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct MemberFlat<'a> {
    #[serde(borrow)]
    user: Str<'a>,
    #[serde(borrow)]
    nickname: Str<'a>,
    #[serde(borrow)]
    since: Str<'a>,
}

/// `limits` in `welcome`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(super) struct LimitsFlat {
    frame_bytes: Number,
    text_bytes: Number,
    nickname_graphemes: Number,
    unanswered_messages: Number,
    ping_after_ms: Number,
    gone_after_ms: Number,
}

/// A client's frame that the server can't take as it stands, and what to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of error.
    pub code: ErrorCode,
    /// One plain sentence.
    pub message: String,
    /// The message that the frame was about.
    pub id: Option<MessageId>,
    /// What the frame carried as `ref`.
    pub reference: Option<u64>,
    /// Whether the connection closes behind the answer.
    fatal: bool,
}

impl Refusal {
    /// A frame that breaks the protocol: answered, and the connection closes.
    pub fn malformed(message: impl fmt::Display) -> Self {
        Self {
            code: ErrorCode::Malformed,
            message: message.to_string(),
            id: None,
            reference: None,
            fatal: true,
        }
    }

    fn field(name: &str, wrong: impl fmt::Display, fatal: bool) -> Self {
        Self {
            code: ErrorCode::BadField,
            message: format!("{name}: {wrong}"),
            id: None,
            reference: None,
            fatal,
        }
    }

    /// Whether the connection closes behind the answer.
    pub fn fatal(&self) -> bool {
        self.fatal
    }

    /// The answer.
    pub fn frame(&self) -> ErrorFrame {
        ErrorFrame {
            code: self.code,
            message: Line::inert(&self.message),
            id: self.id,
            reference: self.reference,
            retry_after_ms: None,
        }
    }
}

/// A server's frame that makes no sense: the server, or what lies between, is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireError(String);

impl fmt::Display for WireError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for WireError {}

impl From<NameError> for WireError {
    fn from(error: NameError) -> Self {
        Self(error.to_string())
    }
}

impl From<NicknameError> for WireError {
    fn from(error: NicknameError) -> Self {
        Self(error.to_string())
    }
}

pub(super) fn read_flat(frame: &[u8]) -> Result<Flat<'_>, String> {
    // Checked as a whole, once: serde_json then need not look at each string.
    let text = std::str::from_utf8(frame).map_err(|_| "A frame is UTF-8".to_owned())?;
    serde_json::from_str(text).map_err(|error| format!("Not a frame: {error}"))
}

/// Reads what a client sent: one whole object, as [`super::codec::Decoder`] gives it.
pub fn parse_client(frame: &[u8]) -> Result<ClientFrame, Refusal> {
    let flat = read_flat(frame).map_err(Refusal::malformed)?;
    let reference = flat.reference.map(|Number(number)| number);
    let kind = flat
        .kind
        .as_ref()
        .ok_or_else(|| Refusal::malformed("A frame has a type"))?;
    match kind.as_str() {
        "join" => join(&flat).map(ClientFrame::Join),
        "message" => submission(&flat).map(ClientFrame::Message),
        "withdraw" => {
            let id = flat.id.as_ref().map_or("", Str::as_str);
            let id = MessageId::parse(id).map_err(|wrong| Refusal::field("id", wrong, true))?;
            Ok(ClientFrame::Withdraw { id })
        }
        "nick" => {
            let nickname = Nickname::parse(flat.nickname.as_ref().map_or("", Str::as_str))
                .map_err(|wrong| Refusal {
                    reference,
                    ..bad_nickname(wrong, false)
                })?;
            Ok(ClientFrame::Nick {
                nickname,
                reference,
            })
        }
        "ping" => Ok(ClientFrame::Ping { reference }),
        "pong" => Ok(ClientFrame::Pong { reference }),
        "disconnect" => Ok(ClientFrame::Disconnect),
        _ => Err(Refusal {
            code: ErrorCode::UnknownType,
            message: "The server does not know this type of frame".to_owned(),
            // Whoever sent an id waits for its answer, whatever the frame was.
            id: flat
                .id
                .as_ref()
                .and_then(|id| MessageId::parse(id.as_str()).ok()),
            reference,
            fatal: false,
        }),
    }
}

fn bad_nickname(wrong: NicknameError, fatal: bool) -> Refusal {
    Refusal {
        code: ErrorCode::BadNickname,
        message: wrong.to_string(),
        id: None,
        reference: None,
        fatal,
    }
}

fn join(flat: &Flat<'_>) -> Result<Join, Refusal> {
    fn optional<T>(
        name: &str,
        text: Option<&Str<'_>>,
        parse: impl FnOnce(&str) -> Result<T, NameError>,
    ) -> Result<Option<T>, Refusal> {
        text.map(|text| parse(text.as_str()))
            .transpose()
            .map_err(|wrong| Refusal::field(name, wrong, true))
    }
    let positions = flat.rooms.as_ref().map_or(&[][..], |rooms| &rooms.0);
    Ok(Join {
        protocol: flat.protocol.map(|Number(number)| number),
        nickname: Nickname::parse(flat.nickname.as_ref().map_or("", Str::as_str))
            .map_err(|wrong| bad_nickname(wrong, true))?,
        client_id: ClientId::parse(flat.client_id.as_ref().map_or("", Str::as_str))
            .map_err(|wrong| Refusal::field("clientID", wrong, true))?,
        token: optional("token", flat.token.as_ref(), Token::parse)?,
        next: flat.next.map(|Number(number)| number),
        epoch: optional("epoch", flat.epoch.as_ref(), Epoch::parse)?,
        rooms: positions
            .iter()
            .map(|position| {
                Ok(Position {
                    room: RoomName::parse(position.room.as_str())
                        .map_err(|wrong| Refusal::field("rooms.room", wrong, true))?,
                    seq: position.seq.map_or(0, |Number(number)| number),
                    id: optional("rooms.id", position.id.as_ref(), MessageId::parse)?,
                })
            })
            .collect::<Result<_, Refusal>>()?,
        last: flat.last.map(|Number(number)| number),
        agent: flat.agent.as_ref().map(|agent| Line::inert(agent.as_str())),
    })
}

fn submission(flat: &Flat<'_>) -> Result<Submission, Refusal> {
    let id = flat
        .id
        .as_ref()
        .map(|id| MessageId::parse(id.as_str()))
        .transpose()
        .map_err(|wrong| Refusal::field("id", wrong, true))?;
    let room = match &flat.room {
        None => RoomName::lobby(),
        Some(room) => RoomName::parse(room.as_str()).map_err(|wrong| Refusal {
            code: ErrorCode::NoSuchRoom,
            id,
            ..Refusal::field("room", wrong, false)
        })?,
    };
    let text = flat.message.as_ref().map_or("", Str::as_str);
    // A basic client knows nothing of what a text may hold: the server does for it what other
    // clients do before they send.
    let body = if id.is_some() {
        Body::parse(text)
    } else {
        Body::visible(text)
    };
    Ok(Submission { room, id, body })
}

/// Reads what a server sent: one whole object, as [`super::codec::Decoder`] gives it.
pub fn parse_server(frame: &[u8]) -> Result<ServerFrame, WireError> {
    Fields(read_flat(frame).map_err(WireError)?).frame()
}

/// A server's fields, each asked for by what it must be.
struct Fields<'a>(Flat<'a>);

fn need<T>(name: &str, value: Option<T>) -> Result<T, WireError> {
    value.ok_or_else(|| WireError(format!("The server left out {name}")))
}

fn time(text: &str) -> Result<Timestamp, WireError> {
    text.parse()
        .map_err(|_| WireError("The server sent a time that is not RFC 3339".to_owned()))
}

impl Fields<'_> {
    fn frame(&self) -> Result<ServerFrame, WireError> {
        let flat = &self.0;
        let reference = flat.reference.map(|Number(number)| number);
        Ok(match need("type", flat.kind.as_ref())?.as_str() {
            "welcome" => ServerFrame::Welcome(self.welcome()?),
            "members" => ServerFrame::Members(self.members()?),
            "joined" => ServerFrame::Presence(self.presence(Change::Joined)?),
            "left" => {
                let reason = departure(flat.reason.as_ref().map_or("", Str::as_str));
                ServerFrame::Presence(self.presence(Change::Left(reason))?)
            }
            "renamed" => {
                let was = Nickname::parse(need("was", flat.was.as_ref())?.as_str())?;
                ServerFrame::Presence(self.presence(Change::Renamed { was })?)
            }
            "message" => ServerFrame::Message(self.message()?),
            "ack" => ServerFrame::Ack(Ack {
                id: self.id()?,
                outcome: self.outcome()?,
            }),
            "nick" => ServerFrame::Nick {
                nickname: self.nickname()?,
                reference,
            },
            "ping" => ServerFrame::Ping { reference },
            "pong" => ServerFrame::Pong { reference },
            "error" => ServerFrame::Error(ErrorFrame {
                // A basic server's errors have no code.
                code: flat
                    .code
                    .as_ref()
                    .map_or(ErrorCode::Other, |code| error_code(code.as_str())),
                message: self.line(),
                id: flat
                    .id
                    .as_ref()
                    .map(|id| MessageId::parse(id.as_str()))
                    .transpose()?,
                reference,
                retry_after_ms: flat.retry_after_ms.map(|Number(number)| number),
            }),
            "bye" => ServerFrame::Bye(Bye {
                reason: departure(flat.reason.as_ref().map_or("", Str::as_str)),
                message: self.line(),
                retry_after_ms: flat.retry_after_ms.map(|Number(number)| number),
            }),
            _ => ServerFrame::Unknown,
        })
    }

    fn room(&self) -> Result<RoomName, WireError> {
        Ok(RoomName::parse(
            need("room", self.0.room.as_ref())?.as_str(),
        )?)
    }

    fn id(&self) -> Result<MessageId, WireError> {
        Ok(MessageId::parse(need("id", self.0.id.as_ref())?.as_str())?)
    }

    fn user(&self) -> Result<UserId, WireError> {
        Ok(UserId::parse(need("user", self.0.user.as_ref())?.as_str())?)
    }

    fn nickname(&self) -> Result<Nickname, WireError> {
        Ok(Nickname::parse(
            need("nickname", self.0.nickname.as_ref())?.as_str(),
        )?)
    }

    fn time(&self) -> Result<Timestamp, WireError> {
        time(need("timestamp", self.0.timestamp.as_ref())?.as_str())
    }

    fn epoch(&self) -> Result<Epoch, WireError> {
        Ok(Epoch::parse(
            need("epoch", self.0.epoch.as_ref())?.as_str(),
        )?)
    }

    fn line(&self) -> Line {
        Line::inert(self.0.message.as_ref().map_or("", Str::as_str))
    }

    fn seq(&self) -> Result<u64, WireError> {
        Ok(need("seq", self.0.seq)?.0)
    }

    fn version(&self) -> Result<u64, WireError> {
        Ok(need("version", self.0.version)?.0)
    }

    fn message(&self) -> Result<Message, WireError> {
        Ok(Message {
            room: self.room()?,
            seq: self.seq()?,
            id: self.id()?,
            user: self.user()?,
            nickname: self.nickname()?,
            time: self.time()?,
            body: Body::inert(need("message", self.0.message.as_ref())?.as_str()),
        })
    }

    fn outcome(&self) -> Result<Outcome, WireError> {
        match need("outcome", self.0.outcome.as_ref())?.as_str() {
            "stored" => Ok(Outcome::Stored {
                room: self.room()?,
                seq: self.seq()?,
                time: self.time()?,
            }),
            "withdrawn" => Ok(Outcome::Withdrawn),
            // Whatever a newer server calls it: an `ack` means that it is settled.
            _ => Ok(Outcome::Settled),
        }
    }

    fn presence(&self, change: Change) -> Result<Presence, WireError> {
        Ok(Presence {
            room: self.room()?,
            version: self.version()?,
            user: self.user()?,
            nickname: self.nickname()?,
            time: self.time()?,
            change,
        })
    }

    fn members(&self) -> Result<MembersPage, WireError> {
        let members = need("members", self.0.members.as_ref())?;
        Ok(MembersPage {
            room: self.room()?,
            version: self.version()?,
            start: self.0.start.unwrap_or(false),
            more: self.0.more.unwrap_or(false),
            members: members
                .0
                .iter()
                .map(|member| {
                    Ok(Member {
                        user: UserId::parse(member.user.as_str())?,
                        nickname: Nickname::parse(member.nickname.as_str())?,
                        since: time(member.since.as_str())?,
                    })
                })
                .collect::<Result<_, WireError>>()?,
        })
    }

    fn welcome(&self) -> Result<Welcome, WireError> {
        let flat = &self.0;
        Ok(Welcome {
            protocol: need("protocol", flat.protocol)?.0,
            server: Line::inert(flat.server.as_ref().map_or("", Str::as_str)),
            user: self.user()?,
            device: DeviceId::parse(need("device", flat.device.as_ref())?.as_str())?,
            token: Token::parse(need("token", flat.token.as_ref())?.as_str())?,
            nickname: self.nickname()?,
            counter: need("counter", flat.counter)?.0,
            epoch: self.epoch()?,
            time: self.time()?,
            rooms: need("rooms", flat.rooms.as_ref())?
                .0
                .iter()
                .map(room_start)
                .collect::<Result<_, _>>()?,
            limits: need("limits", flat.limits)?.into(),
        })
    }
}

fn room_start(flat: &RoomFlat<'_>) -> Result<RoomStart, WireError> {
    Ok(RoomStart {
        room: RoomName::parse(flat.room.as_str())?,
        topic: flat.topic.as_ref().map(|topic| Line::inert(topic.as_str())),
        first: need("rooms.first", flat.first)?.0,
        head: need("rooms.head", flat.head)?.0,
        next: need("rooms.next", flat.next)?.0,
        reset: flat.reset.as_ref().map(|reset| match reset.as_str() {
            "seq" => Reset::Seq,
            "id" => Reset::Id,
            // Whatever else the reason: what was held is void.
            _ => Reset::Epoch,
        }),
    })
}

impl From<LimitsFlat> for Limits {
    fn from(flat: LimitsFlat) -> Self {
        Self {
            frame_bytes: flat.frame_bytes.0,
            text_bytes: flat.text_bytes.0,
            nickname_graphemes: flat.nickname_graphemes.0,
            unanswered_messages: flat.unanswered_messages.0,
            ping_after_ms: flat.ping_after_ms.0,
            gone_after_ms: flat.gone_after_ms.0,
        }
    }
}

impl From<Limits> for LimitsFlat {
    fn from(limits: Limits) -> Self {
        Self {
            frame_bytes: Number(limits.frame_bytes),
            text_bytes: Number(limits.text_bytes),
            nickname_graphemes: Number(limits.nickname_graphemes),
            unanswered_messages: Number(limits.unanswered_messages),
            ping_after_ms: Number(limits.ping_after_ms),
            gone_after_ms: Number(limits.gone_after_ms),
        }
    }
}

/// Every error code and its name on the wire.
pub const ERROR_CODES: &[(ErrorCode, &str)] = &[
    (ErrorCode::Malformed, "malformed"),
    (ErrorCode::UnknownType, "unknown_type"),
    (ErrorCode::UnsupportedProtocol, "unsupported_protocol"),
    (ErrorCode::JoinExpected, "join_expected"),
    (ErrorCode::NicknameInUse, "nickname_in_use"),
    (ErrorCode::BadNickname, "bad_nickname"),
    (ErrorCode::BadField, "bad_field"),
    (ErrorCode::BadText, "bad_text"),
    (ErrorCode::NoSuchRoom, "no_such_room"),
    (ErrorCode::BadId, "bad_id"),
    (ErrorCode::ServerFull, "server_full"),
    (ErrorCode::RateLimited, "rate_limited"),
    (ErrorCode::HeldBack, "held_back"),
    (ErrorCode::NotDurable, "not_durable"),
    (ErrorCode::ShuttingDown, "shutting_down"),
    (ErrorCode::Other, "other"),
];

/// Every reason for a departure and its name on the wire.
pub const DEPARTURES: &[(Departure, &str)] = &[
    (Departure::Disconnect, "disconnect"),
    (Departure::Lost, "lost"),
    (Departure::Timeout, "timeout"),
    (Departure::Replaced, "replaced"),
    (Departure::Protocol, "protocol"),
    (Departure::Shutdown, "shutdown"),
];

fn error_code(name: &str) -> ErrorCode {
    let known = ERROR_CODES.iter().find(|(_, known)| *known == name);
    known.map_or(ErrorCode::Other, |(code, _)| *code)
}

/// A reason that this build does not know is treated as a lost connection.
fn departure(name: &str) -> Departure {
    let known = DEPARTURES.iter().find(|(_, known)| *known == name);
    known.map_or(Departure::Lost, |(reason, _)| *reason)
}

fn name_of<T: PartialEq>(table: &'static [(T, &'static str)], value: &T) -> &'static str {
    table
        .iter()
        .find(|(known, _)| known == value)
        .map_or("other", |(_, name)| name)
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(name_of(ERROR_CODES, self))
    }
}

impl fmt::Display for Departure {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(name_of(DEPARTURES, self))
    }
}

/// Appends a frame as one line.
pub(super) fn write(flat: &Flat<'_>, out: &mut Vec<u8>) {
    // Writing strings and numbers to memory has no way to fail.
    serde_json::to_writer(&mut *out, flat).expect("a flat struct becomes JSON");
    out.push(b'\n');
}

#[expect(clippy::unnecessary_wraps, reason = "every field is optional")]
fn shown<'a>(value: impl fmt::Display) -> Option<Str<'a>> {
    Some(value.to_string().into())
}

#[expect(clippy::unnecessary_wraps, reason = "every field is optional")]
fn number(value: u64) -> Option<Number> {
    Some(Number(value))
}

impl<'a> Flat<'a> {
    pub(super) fn of(kind: &'a str) -> Self {
        Self {
            kind: Some(kind.into()),
            ..Self::default()
        }
    }
}

/// Appends a client's frame to `out`, newline-ended.
///
/// What a basic server wants besides is written by [`encode_join`] and [`super::basic`].
pub fn encode_client(frame: &ClientFrame, out: &mut Vec<u8>) {
    let flat = match frame {
        ClientFrame::Join(join) => join_flat(join),
        ClientFrame::Message(submission) => Flat {
            room: Some(submission.room.as_str().into()),
            id: submission.id.and_then(shown),
            message: submission
                .body
                .as_ref()
                .ok()
                .map(|body| body.as_str().into()),
            ..Flat::of("message")
        },
        ClientFrame::Withdraw { id } => Flat {
            id: shown(id),
            ..Flat::of("withdraw")
        },
        ClientFrame::Nick {
            nickname,
            reference,
        } => Flat {
            nickname: Some(nickname.as_str().into()),
            reference: reference.map(Number),
            ..Flat::of("nick")
        },
        ClientFrame::Ping { reference } => Flat {
            reference: reference.map(Number),
            ..Flat::of("ping")
        },
        ClientFrame::Pong { reference } => Flat {
            reference: reference.map(Number),
            ..Flat::of("pong")
        },
        ClientFrame::Disconnect => Flat::of("disconnect"),
    };
    write(&flat, out);
}

fn join_flat(join: &Join) -> Flat<'_> {
    Flat {
        protocol: join.protocol.map(Number),
        nickname: Some(join.nickname.as_str().into()),
        client_id: Some(join.client_id.as_str().into()),
        token: join.token.as_ref().map(|token| token.expose().into()),
        next: join.next.map(Number),
        epoch: join.epoch.and_then(shown),
        rooms: (!join.rooms.is_empty())
            .then(|| List(join.rooms.iter().map(position_flat).collect())),
        last: join.last.map(Number),
        agent: join.agent.as_ref().map(|agent| agent.as_str().into()),
        ..Flat::of("join")
    }
}

/// Appends a `join` that a basic server takes as well: `timestamp` is the one in its format.
pub fn encode_join(join: &Join, timestamp: &str, out: &mut Vec<u8>) {
    write(
        &Flat {
            timestamp: Some(timestamp.into()),
            ..join_flat(join)
        },
        out,
    );
}

fn position_flat(position: &Position) -> RoomFlat<'_> {
    RoomFlat {
        room: position.room.as_str().into(),
        topic: None,
        seq: number(position.seq),
        id: position.id.and_then(shown),
        first: None,
        head: None,
        next: None,
        reset: None,
    }
}

/// Appends a server's frame to `out`, newline-ended.
pub fn encode_server(frame: &ServerFrame, out: &mut Vec<u8>) {
    let flat = match frame {
        ServerFrame::Welcome(welcome) => welcome_flat(welcome),
        ServerFrame::Members(page) => Flat {
            room: Some(page.room.as_str().into()),
            version: number(page.version),
            start: Some(page.start),
            more: Some(page.more),
            members: Some(List(page.members.iter().map(member_flat).collect())),
            ..Flat::of("members")
        },
        ServerFrame::Presence(presence) => presence_flat(presence),
        ServerFrame::Message(message) => Flat {
            room: Some(message.room.as_str().into()),
            seq: number(message.seq),
            id: shown(message.id),
            user: shown(message.user),
            nickname: Some(message.nickname.as_str().into()),
            message: Some(message.body.as_str().into()),
            timestamp: shown(message.time),
            ..Flat::of("message")
        },
        ServerFrame::Ack(ack) => ack_flat(ack),
        ServerFrame::Nick {
            nickname,
            reference,
        } => Flat {
            nickname: Some(nickname.as_str().into()),
            reference: reference.map(Number),
            ..Flat::of("nick")
        },
        ServerFrame::Ping { reference } => Flat {
            reference: reference.map(Number),
            ..Flat::of("ping")
        },
        ServerFrame::Pong { reference } => Flat {
            reference: reference.map(Number),
            ..Flat::of("pong")
        },
        ServerFrame::Error(error) => Flat {
            code: Some(name_of(ERROR_CODES, &error.code).into()),
            message: Some(error.message.as_str().into()),
            id: error.id.and_then(shown),
            reference: error.reference.map(Number),
            retry_after_ms: error.retry_after_ms.map(Number),
            ..Flat::of("error")
        },
        ServerFrame::Bye(bye) => Flat {
            reason: Some(name_of(DEPARTURES, &bye.reason).into()),
            message: Some(bye.message.as_str().into()),
            retry_after_ms: bye.retry_after_ms.map(Number),
            ..Flat::of("bye")
        },
        // Nothing that we would ever say.
        ServerFrame::Unknown => return,
    };
    write(&flat, out);
}

fn welcome_flat(welcome: &Welcome) -> Flat<'_> {
    Flat {
        protocol: number(welcome.protocol),
        server: Some(welcome.server.as_str().into()),
        user: shown(welcome.user),
        device: shown(welcome.device),
        token: Some(welcome.token.expose().into()),
        nickname: Some(welcome.nickname.as_str().into()),
        counter: number(welcome.counter),
        epoch: shown(welcome.epoch),
        timestamp: shown(welcome.time),
        rooms: Some(List(
            welcome
                .rooms
                .iter()
                .map(|start| RoomFlat {
                    room: start.room.as_str().into(),
                    topic: start.topic.as_ref().map(|topic| topic.as_str().into()),
                    seq: None,
                    id: None,
                    first: number(start.first),
                    head: number(start.head),
                    next: number(start.next),
                    reset: start.reset.map(|reset| {
                        match reset {
                            Reset::Epoch => "epoch",
                            Reset::Seq => "seq",
                            Reset::Id => "id",
                        }
                        .into()
                    }),
                })
                .collect(),
        )),
        limits: Some(welcome.limits.into()),
        ..Flat::of("welcome")
    }
}

fn member_flat(member: &Member) -> MemberFlat<'_> {
    MemberFlat {
        user: member.user.to_string().into(),
        nickname: member.nickname.as_str().into(),
        since: member.since.to_string().into(),
    }
}

fn presence_flat(presence: &Presence) -> Flat<'_> {
    let flat = match &presence.change {
        Change::Joined => Flat::of("joined"),
        Change::Left(reason) => Flat {
            reason: Some(name_of(DEPARTURES, reason).into()),
            ..Flat::of("left")
        },
        Change::Renamed { was } => Flat {
            was: Some(was.as_str().into()),
            ..Flat::of("renamed")
        },
    };
    Flat {
        room: Some(presence.room.as_str().into()),
        version: number(presence.version),
        user: shown(presence.user),
        nickname: Some(presence.nickname.as_str().into()),
        timestamp: shown(presence.time),
        ..flat
    }
}

fn ack_flat(ack: &Ack) -> Flat<'_> {
    let flat = match &ack.outcome {
        Outcome::Stored { room, seq, time } => Flat {
            outcome: Some("stored".into()),
            room: Some(room.as_str().into()),
            seq: number(*seq),
            timestamp: shown(time),
            ..Flat::of("ack")
        },
        Outcome::Withdrawn => Flat {
            outcome: Some("withdrawn".into()),
            ..Flat::of("ack")
        },
        Outcome::Settled => Flat {
            outcome: Some("settled".into()),
            ..Flat::of("ack")
        },
    };
    Flat {
        id: shown(ack.id),
        ..flat
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::limits::{FRAME_DEPTH_MAX, NICKNAME_GRAPHEMES_MAX};
    use proptest::prelude::*;

    const ID: &str = "0123456789abcdef01234567-7";

    /// The frame as it comes back from its own bytes.
    fn through_client(frame: &ClientFrame) -> ClientFrame {
        let mut bytes = Vec::new();
        encode_client(frame, &mut bytes);
        assert_eq!(bytes.pop(), Some(b'\n'));
        parse_client(&bytes).expect("what we write we read")
    }

    fn through_server(frame: &ServerFrame) -> ServerFrame {
        let mut bytes = Vec::new();
        encode_server(frame, &mut bytes);
        assert_eq!(bytes.pop(), Some(b'\n'));
        parse_server(&bytes).expect("what we write we read")
    }

    #[test]
    fn every_field_of_a_join_arrives() {
        let join = ClientFrame::Join(Join {
            protocol: Some(1),
            nickname: Nickname::parse("Zoë \"z\"").unwrap(),
            client_id: ClientId::parse("3").unwrap(),
            token: Some(Token::from_bytes([0xa5; 32])),
            next: Some(8),
            epoch: Some(Epoch::from_bytes([1; 8])),
            rooms: vec![Position {
                room: RoomName::lobby(),
                seq: 12,
                id: Some(MessageId::parse(ID).unwrap()),
            }],
            last: Some(200),
            agent: Some(Line::inert("test 1")),
        });
        assert_eq!(through_client(&join), join);
    }

    #[test]
    fn the_two_joins_of_the_seed_and_of_today_are_told_apart() {
        let check = |frame: &str, protocol: Option<u64>| match parse_client(frame.as_bytes()) {
            Ok(ClientFrame::Join(join)) => {
                assert_eq!(join.protocol, protocol);
                assert_eq!(join.nickname.as_str(), "carol");
                assert_eq!(join.client_id.as_str(), "3");
            }
            other => panic!("{frame}: {other:?}"),
        };
        check(
            r#"{"type": "join", "nickname": "carol", "clientID": "3", "timestamp": "2026-11-22 09:22:21"}"#,
            None,
        );
        check(
            r#"{"type":"join","protocol":1,"nickname":" carol ","clientID":"3"}"#,
            Some(1),
        );
    }

    #[test]
    fn what_a_client_may_not_send_is_answered() {
        use ErrorCode::*;

        let check = |frame: &str, code: ErrorCode, fatal: bool| match parse_client(frame.as_bytes())
        {
            Err(refusal) => {
                assert_eq!((refusal.code, refusal.fatal()), (code, fatal), "{frame}");
                assert!(!refusal.message.is_empty());
            }
            Ok(taken) => panic!("{frame} was taken as {taken:?}"),
        };
        check(r#"{"nickname":"x"}"#, Malformed, true);
        check(r#"{"type":"ping","type":"pong"}"#, Malformed, true);
        check(r#"{"type":"ping","ref":-1}"#, Malformed, true);
        check(r#"{"type":"ping","ref":1.0}"#, Malformed, true);
        check(r#"{"type":"ping","ref":9007199254740992}"#, Malformed, true);
        check(r#"{"type":"ping",}"#, Malformed, true);
        check(r#"{"type":7}"#, Malformed, true);
        check(r#"{"type":"message","message":{}}"#, Malformed, true);
        check(r#"{"type":"dance"}"#, UnknownType, false);
        check(
            r#"{"type":"join","nickname":"","clientID":"3"}"#,
            BadNickname,
            true,
        );
        check(
            r#"{"type":"join","nickname":"a\u001bb","clientID":"3"}"#,
            BadNickname,
            true,
        );
        check(
            r#"{"type":"join","nickname":"a","clientID":""}"#,
            BadField,
            true,
        );
        check(
            r#"{"type":"join","nickname":"a","clientID":"3","token":"5"}"#,
            BadField,
            true,
        );
        check(r#"{"type":"nick","nickname":""}"#, BadNickname, false);
        check(r#"{"type":"withdraw"}"#, BadField, true);
        check(
            r#"{"type":"message","id":"7","message":"x"}"#,
            BadField,
            true,
        );
        check(
            &format!(r#"{{"type":"message","id":"{ID}","room":"No Room","message":"x"}}"#),
            NoSuchRoom,
            false,
        );
        let rooms = |count: usize| vec![r#"{"room":"a"}"#; count].join(",");
        let join = |count| {
            format!(
                r#"{{"type":"join","nickname":"a","clientID":"3","rooms":[{}]}}"#,
                rooms(count)
            )
        };
        assert!(parse_client(join(JOIN_ROOMS_MAX).as_bytes()).is_ok());
        check(&join(JOIN_ROOMS_MAX + 1), Malformed, true);
        assert_eq!(
            parse_client(b"{\"type\":\"\xff\"}").unwrap_err().code,
            Malformed
        );
    }

    #[test]
    fn numbers_at_the_limit_are_taken() {
        assert_eq!(
            parse_client(br#"{"type":"ping","ref":9007199254740991}"#),
            Ok(ClientFrame::Ping {
                reference: Some(NUMBER_MAX)
            })
        );
    }

    #[test]
    fn nicknames_are_counted_in_graphemes() {
        let join = |nickname: &str| {
            let frame = format!(r#"{{"type":"join","nickname":"{nickname}","clientID":"3"}}"#);
            parse_client(frame.as_bytes())
                .map(drop)
                .map_err(|refusal| refusal.code)
        };
        assert_eq!(join(&"e\u{301}".repeat(NICKNAME_GRAPHEMES_MAX)), Ok(()));
        assert_eq!(
            join(&"x".repeat(NICKNAME_GRAPHEMES_MAX + 1)),
            Err(ErrorCode::BadNickname)
        );
    }

    #[test]
    fn a_refused_text_keeps_its_id() {
        let frame = format!(r#"{{"type":"message","id":"{ID}","message":"a\u001b[2Jb"}}"#);
        match parse_client(frame.as_bytes()) {
            Ok(ClientFrame::Message(submission)) => {
                assert_eq!(submission.id, MessageId::parse(ID).ok());
                assert!(submission.body.is_err());
            }
            other => panic!("{other:?}"),
        }
        // Without an id it is a basic client's, and made visible instead.
        match parse_client(br#"{"type":"message","message":"a\u001b[2Jb"}"#) {
            Ok(ClientFrame::Message(submission)) => {
                assert!(!submission.body.unwrap().as_str().contains('\u{1b}'));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn unknown_fields_and_types_of_a_server_are_ignored() {
        assert_eq!(
            parse_server(br#"{"type":"pong","ref":5,"mood":{"a":[1]}}"#),
            Ok(ServerFrame::Pong { reference: Some(5) })
        );
        assert_eq!(
            parse_server(br#"{"type":"dance"}"#),
            Ok(ServerFrame::Unknown)
        );
    }

    #[test]
    fn every_code_and_reason_has_its_own_name() {
        for (code, name) in ERROR_CODES {
            assert_eq!(error_code(name), *code);
            assert_eq!(code.to_string(), *name);
        }
        for (reason, name) in DEPARTURES {
            assert_eq!(departure(name), *reason);
            assert_eq!(reason.to_string(), *name);
        }
    }

    #[test]
    fn our_own_frames_nest_less_than_the_limit() {
        // The deepest are `welcome`, `members` and `join`: frame, array, element.
        const { assert!(FRAME_DEPTH_MAX > 3) };
    }

    proptest! {
        #[test]
        fn any_text_arrives_as_it_was_sent(text in any::<String>(), counter in 1..=NUMBER_MAX) {
            let Ok(body) = Body::visible(&text) else { return Ok(()) };
            let device = DeviceId::from_bytes([7; 12]);
            let id = MessageId { device, counter };
            let sent = ClientFrame::Message(Submission {
                room: RoomName::lobby(),
                id: Some(id),
                body: Ok(body.clone()),
            });
            prop_assert_eq!(through_client(&sent), sent);
            let echoed = ServerFrame::Message(Message {
                room: RoomName::lobby(),
                seq: counter,
                id,
                user: UserId::from_bytes([9; 12]),
                nickname: Nickname::parse("carol").unwrap(),
                time: Timestamp::from_millisecond(1_795_339_341_123).unwrap(),
                body,
            });
            prop_assert_eq!(through_server(&echoed), echoed);
        }

        #[test]
        fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), text in ".*") {
            let _ = parse_client(&bytes);
            let _ = parse_server(&bytes);
            let _ = parse_client(format!("{{\"type\":{text}}}").as_bytes());
        }
    }
}
