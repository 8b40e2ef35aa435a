//! What is said about rooms: their starts in `welcome` and `rooms`, changes of them, markers and lists.

use jiff::Timestamp;

use super::{
    error::{WireError, need},
    flat::{Flat, List, ListedFlat, Number, PersonFlat, RoomFlat, Str, number, room_id, shown},
    names::{HISTORY_ACCESS, NOTIFY_LEVELS, ROOM_KINDS, find, known, name_of},
    refusal::Refusal,
};
use crate::{
    protocol::{
        Count, Extent, HistoryAccess, Nickname, Person, Preferences, ReadMarker, ReadState, RoomId,
        RoomInfo, RoomKind, RoomName, RoomRules, UserId,
        frame::{ListPage, Reset, RoomStart},
        room::{ListedPerson, ListedRoom},
    },
    text::Line,
};

fn text(field: Option<&Str<'_>>) -> Option<Line> {
    field.map(|text| Line::inert(text.as_str()))
}

fn value(field: Option<Number>) -> u64 {
    field.map_or(0, |Number(number)| number)
}

/// A flag, which is written only if it is set.
fn flag(set: bool) -> Option<bool> {
    set.then_some(true)
}

/// A number, which is written only if it is not 0.
fn positive(value: u64) -> Option<Number> {
    (value > 0).then_some(Number(value))
}

/// A name from a table, which is written only if it is not the default.
fn unless_default<T: Default + PartialEq>(
    table: &'static [(T, &'static str)],
    value: &T,
) -> Option<Str<'static>> {
    (*value != T::default()).then(|| name_of(table, value).into())
}

/// A time that a server tells; one that is not valid is as good as none.
fn moment(field: Option<&Str<'_>>) -> Option<Timestamp> {
    field.and_then(|text| text.as_str().parse().ok())
}

/// Reads where delivery in a room starts.
pub(super) fn room_start(flat: &RoomFlat<'_>) -> Result<RoomStart, WireError> {
    let (room, info) = room_info(flat)?;
    Ok(RoomStart {
        room,
        info,
        read: ReadState {
            marker: ReadMarker {
                seq: value(flat.read),
                generation: value(flat.generation),
            },
            preferences: Preferences {
                notify: known(NOTIFY_LEVELS, flat.notify.as_ref()),
                quiet_until: moment(flat.quiet_until.as_ref()),
                favourite: flat.favourite.unwrap_or(false),
                hidden: flat.hidden.unwrap_or(false),
            },
            unread: Count::new(value(flat.unread)),
            mentions: Count::new(value(flat.mentioned)),
        },
        extent: Extent::new(
            need("rooms.first", flat.first)?.0,
            need("rooms.head", flat.head)?.0,
        ),
        next: need("rooms.next", flat.next)?.0,
        changed: value(flat.changed),
        redacted: value(flat.redacted),
        reset: flat.reset.as_ref().map(|reset| match reset.as_str() {
            "seq" => Reset::Seq,
            "id" => Reset::Id,
            // For an unknown reason too, everything held is void.
            _ => Reset::Epoch,
        }),
    })
}

/// Reads what a room is.
pub(super) fn room_info(flat: &RoomFlat<'_>) -> Result<(RoomId, RoomInfo), WireError> {
    let name = match &flat.name {
        Some(name) => Some(RoomName::parse(name.as_str())?),
        // Servers without the capability `rooms` send the name in the id's place.
        None => RoomName::parse(flat.room.as_str()).ok(),
    };
    let kind = known(ROOM_KINDS, flat.kind.as_ref());
    let people = flat.people.as_ref().map_or(&[][..], |people| &people.0);
    let info = RoomInfo {
        kind,
        name,
        rules: RoomRules {
            topic: text(flat.topic.as_ref()),
            announce: flat.announce.unwrap_or(false),
            slow_seconds: value(flat.slow_seconds),
        },
        history: match kind {
            RoomKind::Public | RoomKind::Direct => HistoryAccess::All,
            RoomKind::Private => known(HISTORY_ACCESS, flat.history.as_ref()),
        },
        archived: flat.archived.unwrap_or(false),
        moderator: flat.moderator.unwrap_or(false),
        members: value(flat.member_count),
        people: people
            .iter()
            .map(|person| {
                Ok(Person {
                    user: UserId::parse(person.user.as_str())?,
                    nickname: Nickname::inert(person.nickname.as_str()),
                })
            })
            .collect::<Result<_, WireError>>()?,
    };
    Ok((RoomId::parse(flat.room.as_str())?, info))
}

/// Writes where delivery in a room starts.
pub(super) fn start_flat(start: &RoomStart) -> RoomFlat<'_> {
    let ReadState {
        marker,
        preferences,
        unread,
        mentions,
    } = start.read;
    RoomFlat {
        read: positive(marker.seq),
        generation: positive(marker.generation),
        notify: unless_default(NOTIFY_LEVELS, &preferences.notify),
        quiet_until: preferences.quiet_until.and_then(shown),
        favourite: flag(preferences.favourite),
        hidden: flag(preferences.hidden),
        unread: positive(unread.get()),
        mentioned: positive(mentions.get()),
        first: number(start.extent.first),
        head: number(start.extent.head),
        next: number(start.next),
        changed: positive(start.changed),
        redacted: positive(start.redacted),
        reset: start.reset.map(|reset| {
            match reset {
                Reset::Epoch => "epoch",
                Reset::Seq => "seq",
                Reset::Id => "id",
            }
            .into()
        }),
        ..info_flat(start.room, &start.info)
    }
}

/// Writes what a room is.
pub(super) fn info_flat(room: RoomId, info: &RoomInfo) -> RoomFlat<'_> {
    let person = |person: &Person| PersonFlat {
        user: person.user.to_string().into(),
        nickname: person.nickname.as_str().to_owned().into(),
    };
    RoomFlat {
        room: room_id(room),
        kind: unless_default(ROOM_KINDS, &info.kind),
        name: info.name.as_ref().map(|name| name.as_str().into()),
        topic: info.rules.topic.as_ref().map(|topic| topic.as_str().into()),
        announce: flag(info.rules.announce),
        slow_seconds: positive(info.rules.slow_seconds),
        history: match info.kind {
            RoomKind::Public | RoomKind::Direct => None,
            RoomKind::Private => unless_default(HISTORY_ACCESS, &info.history),
        },
        archived: flag(info.archived),
        moderator: flag(info.moderator),
        member_count: positive(info.members),
        people: (!info.people.is_empty()).then(|| List(info.people.iter().map(person).collect())),
        ..RoomFlat::default()
    }
}

/// Reads a user's settings of a room from their client: what the server does not understand it would
/// not keep.
pub(super) fn wanted_preferences(flat: &Flat<'_>) -> Result<Preferences, Refusal> {
    let found = preferences(flat);
    let unknown = |level: &Str<'_>| find(NOTIFY_LEVELS, level).is_none();
    if flat.notify.as_ref().is_some_and(unknown) {
        let wrong = "the server does not know this level";
        return Err(Refusal::field("notify", wrong, false));
    }
    if flat.quiet_until.is_some() && found.quiet_until.is_none() {
        let wrong = "a time is written as RFC 3339 says";
        return Err(Refusal::field("quiet_until", wrong, false));
    }
    Ok(found)
}

/// Reads settings of a room.
pub(super) fn preferences(flat: &Flat<'_>) -> Preferences {
    Preferences {
        notify: known(NOTIFY_LEVELS, flat.notify.as_ref()),
        quiet_until: moment(flat.quiet_until.as_ref()),
        favourite: flat.favourite.unwrap_or(false),
        hidden: flat.hidden.unwrap_or(false),
    }
}

/// Reads a marker.
pub(super) fn marker(flat: &Flat<'_>) -> ReadMarker {
    ReadMarker {
        seq: value(flat.seq),
        generation: value(flat.generation),
    }
}

/// Writes a marker.
pub(super) fn marker_flat(room: RoomId, marker: ReadMarker) -> Flat<'static> {
    Flat {
        room: Some(room_id(room)),
        seq: number(marker.seq),
        generation: positive(marker.generation),
        ..Flat::of("read")
    }
}

/// Writes settings of a room into a frame.
pub(super) fn preferences_flat<'a>(preferences: &Preferences, flat: Flat<'a>) -> Flat<'a> {
    Flat {
        notify: unless_default(NOTIFY_LEVELS, &preferences.notify),
        quiet_until: preferences.quiet_until.and_then(shown),
        favourite: flag(preferences.favourite),
        hidden: flag(preferences.hidden),
        ..flat
    }
}

/// Reads a page of a list of rooms or people.
pub(super) fn list<T>(
    flat: &Flat<'_>,
    read: impl Fn(&ListedFlat<'_>) -> Result<T, WireError>,
) -> Result<ListPage<T>, WireError> {
    Ok(ListPage {
        list: need("list", flat.list.as_ref())?
            .0
            .iter()
            .map(read)
            .collect::<Result<_, _>>()?,
        more: flat.more.unwrap_or(false),
        reference: flat.reference.map(|Number(number)| number),
    })
}

/// Writes a page of a list.
pub(super) fn list_flat<'a, T>(
    kind: &'a str,
    page: &'a ListPage<T>,
    write: impl Fn(&'a T) -> ListedFlat<'a>,
) -> Flat<'a> {
    Flat {
        list: Some(List(page.list.iter().map(write).collect())),
        more: flag(page.more),
        reference: page.reference.map(Number),
        ..Flat::of(kind)
    }
}

/// Reads an element of a list of rooms.
pub(super) fn listed_room(flat: &ListedFlat<'_>) -> Result<ListedRoom, WireError> {
    Ok(ListedRoom {
        room: RoomId::parse(need("list.room", flat.room.as_ref())?.as_str())?,
        name: RoomName::parse(need("list.name", flat.name.as_ref())?.as_str())?,
        topic: text(flat.topic.as_ref()),
        members: value(flat.member_count),
        joined: flat.joined.unwrap_or(false),
        archived: flat.archived.unwrap_or(false),
        private: flat.private.unwrap_or(false),
    })
}

/// Writes an element of a list of rooms.
pub(super) fn listed_room_flat(listed: &ListedRoom) -> ListedFlat<'_> {
    ListedFlat {
        room: Some(room_id(listed.room)),
        name: Some(listed.name.as_str().into()),
        topic: listed.topic.as_ref().map(|topic| topic.as_str().into()),
        member_count: positive(listed.members),
        joined: flag(listed.joined),
        archived: flag(listed.archived),
        private: flag(listed.private),
        ..ListedFlat::default()
    }
}

/// Reads an element of a list of people.
pub(super) fn listed_person(flat: &ListedFlat<'_>) -> Result<ListedPerson, WireError> {
    Ok(ListedPerson {
        person: Person {
            user: UserId::parse(need("list.user", flat.user.as_ref())?.as_str())?,
            nickname: Nickname::inert(need("list.nickname", flat.nickname.as_ref())?.as_str()),
        },
        online: flat.online.unwrap_or(false),
        last_seen: moment(flat.last_seen.as_ref()),
        moderator: flat.moderator.unwrap_or(false),
    })
}

/// Writes an element of a list of people.
pub(super) fn listed_person_flat(listed: &ListedPerson) -> ListedFlat<'_> {
    ListedFlat {
        user: shown(listed.person.user),
        nickname: Some(listed.person.nickname.as_str().into()),
        online: flag(listed.online),
        last_seen: listed.last_seen.and_then(shown),
        moderator: flag(listed.moderator),
        ..ListedFlat::default()
    }
}
