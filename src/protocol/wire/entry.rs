//! Entries of a log, as they stand in a frame of their own, in a page, and in the stores.

use super::{
    error::{WireError, need, time},
    flat::{Flat, List, Number, Str, number, read_flat, room_id, shown, write},
};
use crate::{
    protocol::{
        entry::{
            Author, Entry, EntryKind, Mentions, RoomChange, RoomEvent, Text, Tombstone, UnknownKind,
        },
        name::{MessageId, Nickname, RoomId, RoomName, UserId},
        room::Person,
    },
    text::{Body, Line},
};

/// The `type` of a message.
const MESSAGE: &str = "message";
/// The `type` of all entries of other kinds.
const ENTRY: &str = "entry";
/// The `kind` of an edit.
pub(super) const EDIT: &str = "edit";
/// The `kind` of a redaction.
pub(super) const REDACTION: &str = "redaction";
/// The `kind` of an event of the membership.
const MEMBERSHIP: &str = "membership";
/// The `kind` of an event of the room.
const ROOM: &str = "room";

/// Reads one entry, as [`encode_entry`] writes it; with or without a newline at the end.
///
/// # Errors
/// If it is no entry, or lacks a field of the envelope.
pub fn parse_entry(frame: &[u8]) -> Result<Entry, WireError> {
    let frame = frame.trim_ascii_end();
    let flat = read_flat(frame).map_err(WireError::new)?;
    if is_entry(&flat) {
        entry(&flat, frame)
    } else {
        Err(WireError::new("Not an entry".to_owned()))
    }
}

/// Whether a frame is an entry: its type is `message`, or it has a kind, whichever that is.
pub(super) fn is_entry(flat: &Flat<'_>) -> bool {
    flat.entry_kind.is_some()
        || flat
            .kind
            .as_ref()
            .is_some_and(|kind| kind.as_str() == MESSAGE)
}

/// Reads the entry of a frame.
pub(super) fn entry(flat: &Flat<'_>, frame: &[u8]) -> Result<Entry, WireError> {
    Ok(Entry {
        room: RoomId::parse(need("room", flat.room.as_ref())?.as_str())?,
        seq: need("seq", flat.seq)?.0,
        id: MessageId::parse(need("id", flat.id.as_ref())?.as_str())?,
        author: Author {
            user: UserId::parse(need("user", flat.user.as_ref())?.as_str())?,
            nickname: Nickname::inert(need("nickname", flat.nickname.as_ref())?.as_str()),
            proven: flat.proven != Some(false),
        },
        time: time(need("timestamp", flat.timestamp.as_ref())?.as_str())?,
        clock_was: flat
            .clock_was
            .as_ref()
            .map(|was| time(was.as_str()))
            .transpose()?,
        kind: kind(flat, frame)?,
    })
}

fn kind(flat: &Flat<'_>, frame: &[u8]) -> Result<EntryKind, WireError> {
    let name = flat.entry_kind.as_ref().map(Str::as_str);
    let line = |text: &Option<Str<'_>>| text.as_ref().map(|text| Line::inert(text.as_str()));
    if let Some(Number(redacted)) = flat.redacted {
        return Ok(EntryKind::Tombstone(Tombstone {
            redacted,
            by: flat.by.as_ref().map(|by| Nickname::inert(by.as_str())),
            kind: line(&flat.entry_kind),
        }));
    }
    let target = flat
        .target
        .as_ref()
        .and_then(|target| MessageId::parse(target.as_str()).ok());
    if let Some(change) = name.and_then(|name| change(name, flat))
        && let Some(alt) = line(&flat.alt).filter(|alt| !alt.as_str().is_empty())
    {
        return Ok(EntryKind::Event(Box::new(RoomEvent { change, alt })));
    }
    Ok(match (name, target) {
        (None, _) => EntryKind::Text(Text {
            body: Body::inert(need("message", flat.message.as_ref())?.as_str()),
            mentions: mentions(flat),
            edited: flat.edited.map(|Number(edited)| edited),
        }),
        (Some(EDIT), Some(target)) => EntryKind::Edit {
            target,
            body: flat.message.as_ref().map(|text| Body::inert(text.as_str())),
            mentions: mentions(flat),
        },
        (Some(REDACTION), Some(target)) => EntryKind::Redaction {
            target,
            reason: line(&flat.reason),
        },
        (Some(name), target) => EntryKind::Unknown(Box::new(UnknownKind {
            name: Line::inert(name),
            target,
            erases: flat.erases.unwrap_or(false),
            counts: flat.counts.unwrap_or(false),
            alt: line(&flat.alt),
            raw: one_line(frame),
        })),
    })
}

/// A frame as one line. [`read_flat`] has found it to be UTF-8, and a string of JSON holds no line break:
/// those that are there mean nothing.
fn one_line(frame: &[u8]) -> Box<str> {
    let frame = String::from_utf8_lossy(frame.trim_ascii());
    frame.replace(['\n', '\r'], " ").into()
}

fn mentions(flat: &Flat<'_>) -> Mentions {
    let users = flat.mentions.as_ref().map_or(&[][..], |users| &users.0);
    let users = users
        .iter()
        .filter_map(|user| UserId::parse(user.as_str()).ok());
    Mentions {
        users: users.collect(),
        everyone: flat.everyone.unwrap_or(false),
    }
}

/// What happened; `None` for something that this build does not know.
fn change(kind: &str, flat: &Flat<'_>) -> Option<RoomChange> {
    let name = || flat.name.as_ref().map(Str::as_str);
    let person = || {
        Some(Person {
            user: UserId::parse(flat.who.as_ref()?.as_str()).ok()?,
            nickname: Nickname::inert(name()?),
        })
    };
    Some(match (kind, flat.change.as_ref()?.as_str()) {
        (MEMBERSHIP, "joined") => RoomChange::Joined,
        (MEMBERSHIP, "left") => RoomChange::Left,
        (MEMBERSHIP, "invited") => RoomChange::Invited(person()?),
        (MEMBERSHIP, "removed") => RoomChange::Removed(person()?),
        (ROOM, "created") => RoomChange::Created,
        (ROOM, "renamed") => RoomChange::Renamed(RoomName::parse(name()?).ok()?),
        (ROOM, "topic") => RoomChange::Topic(flat.topic.as_ref().map(|t| Line::inert(t.as_str()))),
        (ROOM, "archived") => RoomChange::Archived,
        (ROOM, "unarchived") => RoomChange::Unarchived,
        _ => return None,
    })
}

fn event_flat<'a>(event: &'a RoomEvent, envelope: Flat<'a>) -> Flat<'a> {
    let (kind, change) = match &event.change {
        RoomChange::Joined => (MEMBERSHIP, "joined"),
        RoomChange::Left => (MEMBERSHIP, "left"),
        RoomChange::Invited(_) => (MEMBERSHIP, "invited"),
        RoomChange::Removed(_) => (MEMBERSHIP, "removed"),
        RoomChange::Created => (ROOM, "created"),
        RoomChange::Renamed(_) => (ROOM, "renamed"),
        RoomChange::Topic(_) => (ROOM, "topic"),
        RoomChange::Archived => (ROOM, "archived"),
        RoomChange::Unarchived => (ROOM, "unarchived"),
    };
    let (who, name, topic) = match &event.change {
        RoomChange::Invited(person) | RoomChange::Removed(person) => {
            (shown(person.user), Some(person.nickname.as_str()), None)
        }
        RoomChange::Renamed(name) => (None, Some(name.as_str()), None),
        RoomChange::Topic(topic) => (None, None, topic.as_ref().map(Line::as_str)),
        RoomChange::Joined
        | RoomChange::Left
        | RoomChange::Created
        | RoomChange::Archived
        | RoomChange::Unarchived => (None, None, None),
    };
    Flat {
        kind: Some(ENTRY.into()),
        entry_kind: Some(kind.into()),
        change: Some(change.into()),
        who,
        name: name.map(Into::into),
        topic: topic.map(Into::into),
        alt: Some(event.alt.as_str().into()),
        ..envelope
    }
}

/// The fields that say whom a text mentions.
fn mentions_flat<'a>(mentions: &Mentions, flat: Flat<'a>) -> Flat<'a> {
    let users = || mentions.users.iter().map(|user| user.to_string().into());
    Flat {
        mentions: (!mentions.users.is_empty()).then(|| List(users().collect())),
        everyone: mentions.everyone.then_some(true),
        ..flat
    }
}

/// Appends an entry and a newline to `out`. An entry of a kind that this build does not know is
/// written as it was read.
pub fn encode_entry(entry: &Entry, out: &mut Vec<u8>) {
    if let EntryKind::Unknown(unknown) = &entry.kind {
        out.extend_from_slice(unknown.raw.as_bytes());
        out.push(b'\n');
        return;
    }
    let envelope = Flat {
        room: Some(room_id(entry.room)),
        seq: number(entry.seq),
        id: shown(entry.id),
        user: shown(entry.author.user),
        nickname: Some(entry.author.nickname.as_str().into()),
        timestamp: shown(entry.time),
        clock_was: entry.clock_was.and_then(shown),
        // Written only for an author who had not proven a key, since most have.
        proven: (!entry.author.proven).then_some(false),
        ..Flat::default()
    };
    let flat = match &entry.kind {
        EntryKind::Text(text) => Flat {
            kind: Some(MESSAGE.into()),
            message: Some(text.body.as_str().into()),
            edited: text.edited.map(Number),
            ..mentions_flat(&text.mentions, envelope)
        },
        EntryKind::Edit {
            target,
            body,
            mentions,
        } => Flat {
            kind: Some(ENTRY.into()),
            entry_kind: Some(EDIT.into()),
            target: shown(target),
            message: body.as_ref().map(|body| body.as_str().into()),
            ..mentions_flat(mentions, envelope)
        },
        EntryKind::Redaction { target, reason } => Flat {
            kind: Some(ENTRY.into()),
            entry_kind: Some(REDACTION.into()),
            target: shown(target),
            reason: reason.as_ref().map(|reason| reason.as_str().into()),
            ..envelope
        },
        EntryKind::Tombstone(tombstone) => Flat {
            kind: Some(tombstone.kind.as_ref().map_or(MESSAGE, |_| ENTRY).into()),
            entry_kind: tombstone.kind.as_ref().map(|kind| kind.as_str().into()),
            redacted: number(tombstone.redacted),
            by: tombstone.by.as_ref().map(|by| by.as_str().into()),
            ..envelope
        },
        EntryKind::Event(event) => event_flat(event, envelope),
        EntryKind::Unknown(_) => return,
    };
    write(&flat, out);
}
