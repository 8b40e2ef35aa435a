//! The struct that every frame is read into and written from.

use std::{borrow::Cow, fmt};

use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::value::RawValue;

use crate::protocol::{
    RoomId, RoomName,
    frame::Limits,
    limits::{
        CAPABILITIES_MAX, DIRECT_PEOPLE_MAX, HISTORY_PAGE_MAX, IGNORED_MAX, JOIN_ROOMS_MAX,
        LIST_PAGE_MAX, MEMBERS_PAGE_MAX, MENTIONS_MAX, NUMBER_MAX, RESULT_LINES_MAX,
    },
};

/// A string of the frame: borrowed unless it held an escape.
#[derive(Debug, Default, Deserialize, Serialize)]
#[serde(transparent)]
pub(in crate::protocol) struct Str<'a>(#[serde(borrow)] Cow<'a, str>);

impl Str<'_> {
    pub(in crate::protocol) fn as_str(&self) -> &str {
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

/// A number of the protocol: unsigned, at most [`NUMBER_MAX`].
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(transparent)]
pub(in crate::protocol) struct Number(pub(in crate::protocol) u64);

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u64::deserialize(deserializer)?;
        if number > NUMBER_MAX {
            return Err(de::Error::custom("a number is below 2^53"));
        }
        Ok(Self(number))
    }
}

/// An array of at most `N` elements; one more is an error before it is stored.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(in crate::protocol) struct List<T, const N: usize>(pub(in crate::protocol) Vec<T>);

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

/// Declares [`Flat`]: every field optional, where absent and `null` mean the same. (Serde must be
/// told which fields borrow.)
macro_rules! flat {
    (
        borrowed { $($(#[$of_text:meta])* $text:ident: $text_kind:ty,)* }
        owned { $($(#[$of_value:meta])* $value:ident: $value_kind:ty,)* }
    ) => {
        /// Every field of every frame; `kind` (`type` on the wire) selects the ones that apply.
        #[derive(Debug, Default, Deserialize, Serialize)]
        #[serde(default)]
        pub(in crate::protocol) struct Flat<'a> {
            $(
                #[serde(borrow, skip_serializing_if = "Option::is_none")]
                $(#[$of_text])*
                pub(in crate::protocol) $text: Option<$text_kind>,
            )*
            $(
                #[serde(skip_serializing_if = "Option::is_none")]
                $(#[$of_value])*
                pub(in crate::protocol) $value: Option<$value_kind>,
            )*
        }
    };
}

flat! {
    borrowed {
        #[serde(rename = "type")]
        kind: Str<'a>,
        #[serde(rename = "kind")]
        entry_kind: Str<'a>,
        code: Str<'a>,
        server: Str<'a>,
        agent: Str<'a>,
        room: Str<'a>,
        id: Str<'a>,
        target: Str<'a>,
        user: Str<'a>,
        device: Str<'a>,
        token: Str<'a>,
        key: Str<'a>,
        invite: Str<'a>,
        password: Str<'a>,
        nonce: Str<'a>,
        fingerprint: Str<'a>,
        signature: Str<'a>,
        command: Str<'a>,
        role: Str<'a>,
        topic: Str<'a>,
        lines: List<Str<'a>, RESULT_LINES_MAX>,
        nickname: Str<'a>,
        nicknames: List<Str<'a>, DIRECT_PEOPLE_MAX>,
        history: Str<'a>,
        by: Str<'a>,
        was: Str<'a>,
        #[serde(rename = "clientID")]
        client_id: Str<'a>,
        message: Str<'a>,
        alt: Str<'a>,
        mentions: List<Str<'a>, MENTIONS_MAX>,
        users: List<Str<'a>, IGNORED_MAX>,
        change: Str<'a>,
        who: Str<'a>,
        name: Str<'a>,
        reason: Str<'a>,
        outcome: Str<'a>,
        timestamp: Str<'a>,
        clock_was: Str<'a>,
        epoch: Str<'a>,
        can: List<Str<'a>, CAPABILITIES_MAX>,
        enter: List<Str<'a>, JOIN_ROOMS_MAX>,
        rooms: List<RoomFlat<'a>, JOIN_ROOMS_MAX>,
        members: List<MemberFlat<'a>, MEMBERS_PAGE_MAX>,
        info: RoomFlat<'a>,
        list: List<ListedFlat<'a>, LIST_PAGE_MAX>,
        notify: Str<'a>,
        quiet_until: Str<'a>,
        query: Str<'a>,
        sender: Str<'a>,
        since: Str<'a>,
        after: Str<'a>,
        before: Str<'a>,
        /// Written by [`splice_entries`](super::server).
        entries: List<&'a RawValue, HISTORY_PAGE_MAX>,
    }
    owned {
        protocol: Number,
        seq: Number,
        at: Number,
        rev: Number,
        edited: Number,
        redacted: Number,
        erases: bool,
        counts: bool,
        everyone: bool,
        version: Number,
        start: bool,
        more: bool,
        next: Number,
        counter: Number,
        last: Number,
        most: Number,
        first: Number,
        head: Number,
        from: Number,
        to: Number,
        back: bool,
        proven: bool,
        keep_nickname: bool,
        indexed: Number,
        seconds: Number,
        uses: Number,
        on: bool,
        block: bool,
        private: bool,
        announce: bool,
        slow_seconds: Number,
        generation: Number,
        favourite: bool,
        hidden: bool,
        limits: LimitsFlat,
        #[serde(rename = "ref")]
        reference: Number,
        retry_after_ms: Number,
    }
}

/// An element of `rooms`: a position in `join`, a start in `welcome` and `rooms`, a name in `watch`;
/// and `info`.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(in crate::protocol) struct RoomFlat<'a> {
    #[serde(borrow)]
    pub(in crate::protocol) room: Str<'a>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) kind: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) name: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) topic: Option<Str<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) announce: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) slow_seconds: Option<Number>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) history: Option<Str<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) archived: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) moderator: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) member_count: Option<Number>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) people: Option<List<PersonFlat<'a>, DIRECT_PEOPLE_MAX>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) read: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) generation: Option<Number>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) notify: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) quiet_until: Option<Str<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) favourite: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) hidden: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) unread: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) mentioned: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) seq: Option<Number>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) id: Option<Str<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) first: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) head: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) next: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) changed: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) redacted: Option<Number>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) reset: Option<Str<'a>>,
}

/// An element of `people`.
#[derive(Debug, Deserialize, Serialize)]
pub(in crate::protocol) struct PersonFlat<'a> {
    #[serde(borrow)]
    pub(in crate::protocol) user: Str<'a>,
    #[serde(borrow)]
    pub(in crate::protocol) nickname: Str<'a>,
}

/// An element of `list`: a room, or a user.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(in crate::protocol) struct ListedFlat<'a> {
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) room: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) name: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) topic: Option<Str<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) member_count: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) joined: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) archived: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) private: Option<bool>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) user: Option<Str<'a>>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) nickname: Option<Str<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) online: Option<bool>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) last_seen: Option<Str<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) moderator: Option<bool>,
}

/// An element of `members`.
#[derive(Debug, Deserialize, Serialize)]
pub(in crate::protocol) struct MemberFlat<'a> {
    #[serde(borrow)]
    pub(in crate::protocol) user: Str<'a>,
    #[serde(borrow)]
    pub(in crate::protocol) nickname: Str<'a>,
    #[serde(borrow)]
    pub(in crate::protocol) since: Str<'a>,
    #[serde(borrow, skip_serializing_if = "Option::is_none")]
    pub(in crate::protocol) role: Option<Str<'a>>,
}

/// `limits` in `welcome`.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
pub(in crate::protocol) struct LimitsFlat {
    frame_bytes: Number,
    text_bytes: Number,
    nickname_graphemes: Number,
    unanswered_messages: Number,
    ping_after_ms: Number,
    gone_after_ms: Number,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages_per_minute: Option<Number>,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages_burst: Option<Number>,
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
            messages_per_minute: flat.messages_per_minute.map(|Number(number)| number),
            messages_burst: flat.messages_burst.map(|Number(number)| number),
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
            messages_per_minute: limits.messages_per_minute.map(Number),
            messages_burst: limits.messages_burst.map(Number),
        }
    }
}

/// Reads one object; the error is one plain sentence.
pub(in crate::protocol) fn read_flat(frame: &[u8]) -> Result<Flat<'_>, String> {
    // Checked once as a whole, so that serde_json need not check each string.
    let text = std::str::from_utf8(frame).map_err(|_| "A frame is UTF-8".to_owned())?;
    serde_json::from_str(text).map_err(|error| format!("Not a frame: {error}"))
}

/// Appends a frame as one line.
pub(in crate::protocol) fn write(flat: &Flat<'_>, out: &mut Vec<u8>) {
    // Writing strings and numbers to memory can't fail.
    serde_json::to_writer(&mut *out, flat).expect("a flat struct becomes JSON");
    out.push(b'\n');
}

/// A field written as its value's `Display` form.
#[expect(clippy::unnecessary_wraps, reason = "every field is optional")]
pub(in crate::protocol) fn shown<'a>(value: impl fmt::Display) -> Option<Str<'a>> {
    Some(value.to_string().into())
}

/// A room's id, as a field.
pub(in crate::protocol) fn room_id<'a>(room: RoomId) -> Str<'a> {
    if room == RoomId::LOBBY {
        return RoomName::LOBBY.into();
    }
    room.to_string().into()
}

/// A field that is a number.
#[expect(clippy::unnecessary_wraps, reason = "every field is optional")]
pub(in crate::protocol) fn number(value: u64) -> Option<Number> {
    Some(Number(value))
}

impl<'a> Flat<'a> {
    /// A frame of one type, with no other field set.
    pub(in crate::protocol) fn of(kind: &'a str) -> Self {
        Self {
            kind: Some(kind.into()),
            ..Self::default()
        }
    }
}
