//! Texts for edited, deleted and unknown entries, for the screen and for line mode.

use std::borrow::Cow;

use jiff::{Timestamp, tz::TimeZone};

use crate::protocol::{
    Entry, EntryKind, Nickname,
    entry::{Tombstone, UnknownKind},
};

/// The mark behind an edited text.
pub const EDITED: &str = "(edited)";

/// The words for an entry that has a place of its own.
pub fn words(entry: &Entry) -> Cow<'_, str> {
    match &entry.kind {
        EntryKind::Text(_) | EntryKind::Event(_) => Cow::Borrowed(entry.words()),
        EntryKind::Tombstone(tombstone) => Cow::Owned(deleted(tombstone)),
        EntryKind::Unknown(unknown) => self::unknown(unknown),
        EntryKind::Edit { .. } | EntryKind::Redaction { .. } => Cow::Borrowed(""),
    }
}

/// A message in words: `your message of 14:02`, or `bob's message of 21 Nov 14:02` if it is not of
/// today. `author` is `None` for one's own.
pub fn named(
    author: Option<&Nickname>,
    time: Timestamp,
    now: Timestamp,
    zone: &TimeZone,
) -> String {
    let whose = author.map_or_else(|| "your".to_owned(), |author| format!("{author}'s"));
    format!("{whose} message of {}", moment(time, now, zone))
}

/// A time of day, with its day if that is not today.
pub fn moment(time: Timestamp, now: Timestamp, zone: &TimeZone) -> String {
    let (time, now) = (time.to_zoned(zone.clone()), now.to_zoned(zone.clone()));
    let format = if time.date() == now.date() {
        "%H:%M"
    } else {
        "%-d %b %H:%M"
    };
    time.strftime(format).to_string()
}

/// The words for an entry that was deleted.
fn deleted(tombstone: &Tombstone) -> String {
    let what = match tombstone.kind {
        None => "message",
        Some(_) => "entry",
    };
    match &tombstone.by {
        None => format!("{what} deleted"),
        Some(by) => format!("{what} deleted by {by}"),
    }
}

/// The words for an entry of a kind that this version does not know.
fn unknown(unknown: &UnknownKind) -> Cow<'_, str> {
    match &unknown.alt {
        Some(alt) => Cow::Borrowed(alt.as_str()),
        None => Cow::Owned(format!(
            "an entry of a kind that this version does not know ({})",
            unknown.name
        )),
    }
}
