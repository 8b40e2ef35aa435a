//! Texts for edited, deleted and unknown entries, for the screen and for line mode.

use std::borrow::Cow;

use crate::protocol::{
    Entry, EntryKind,
    entry::{Tombstone, UnknownKind},
};

/// The mark behind an edited text.
pub const EDITED: &str = "(edited)";

/// The words for an entry that has a place of its own.
pub fn words(entry: &Entry) -> Cow<'_, str> {
    match &entry.kind {
        EntryKind::Text(_) => Cow::Borrowed(entry.words()),
        EntryKind::Tombstone(tombstone) => Cow::Owned(deleted(tombstone)),
        EntryKind::Unknown(unknown) => self::unknown(unknown),
        EntryKind::Edit { .. } | EntryKind::Redaction { .. } => Cow::Borrowed(""),
    }
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
