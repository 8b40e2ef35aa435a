//! The rows of entries, and how an entry is folded with those stored before it.
//!
//! Each row holds an entry as it stands by all stored ones, by the rules of [`fold`]; so rows are
//! the same in whatever order live entries and pages arrive. A text has columns of its own; an entry
//! of any other kind is stored as its whole frame, so that a later program can read what this one
//! does not know. A text that was erased is in no row, nor is that of an edit once a later one has
//! replaced it.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params, types::ValueRef};

use super::{
    StoreFault,
    device::{self, number, signed},
};
use crate::{
    client::session::persist_types::nanoseconds,
    protocol::{
        Author, Entry, EntryKind, Mentions, MessageId, Nickname, RoomId, UserId,
        entry::Text,
        fold,
        wire::{encode_entry, parse_entry},
    },
    text::Body,
};

/// The columns that [`read`] needs, in order.
pub(super) const COLUMNS: &str =
    "seq, id, user, nickname, time, body, clock_was, proven, kind, rev, mentions";

/// Values of the column `kind`; a text has none.
///
/// An edit with its text; of each target's edits, the latest only.
const EDIT: &str = "edit";
/// An edit without a text.
const EMPTY_EDIT: &str = "empty edit";
/// An entry that erases its target.
const ERASURE: &str = "erasure";
/// What stays of an erased entry.
const TOMBSTONE: &str = "tombstone";
/// Something that happened to the room or its membership.
const EVENT: &str = "event";
/// A kind that this build does not know.
const OTHER: &str = "other";

fn kind(entry: &Entry) -> Option<&'static str> {
    match &entry.kind {
        EntryKind::Text(_) => None,
        EntryKind::Edit { body: Some(_), .. } => Some(EDIT),
        EntryKind::Edit { body: None, .. } => Some(EMPTY_EDIT),
        EntryKind::Redaction { .. } => Some(ERASURE),
        EntryKind::Tombstone(_) => Some(TOMBSTONE),
        EntryKind::Event(_) => Some(EVENT),
        EntryKind::Unknown(unknown) if unknown.erases => Some(ERASURE),
        EntryKind::Unknown(_) => Some(OTHER),
    }
}

/// Reads an entry from the columns [`COLUMNS`].
pub(super) fn read(room: RoomId, row: &Row<'_>) -> Result<Entry, StoreFault> {
    let text = |column| {
        row.get_ref(column)?
            .as_str()
            .map_err(|_| StoreFault::Damaged)
    };
    let seq = number(row, 0)?;
    if row.get_ref(8)? != ValueRef::Null {
        let entry = parse_entry(text(5)?.as_bytes()).map_err(|_| StoreFault::Damaged)?;
        let is_its = entry.seq == seq && entry.room == room;
        return if is_its {
            Ok(entry)
        } else {
            Err(StoreFault::Damaged)
        };
    }
    let time = |nanoseconds: i64| {
        Timestamp::from_nanosecond(nanoseconds.into()).map_err(|_| StoreFault::Damaged)
    };
    let clock_was: Option<i64> = row.get(6)?;
    let edited = match row.get::<_, Option<i64>>(9)? {
        Some(_) => Some(number(row, 9)?),
        None => None,
    };
    Ok(Entry {
        room,
        seq,
        id: MessageId::parse(text(1)?).map_err(|_| StoreFault::Damaged)?,
        author: Author {
            user: UserId::parse(text(2)?).map_err(|_| StoreFault::Damaged)?,
            nickname: Nickname::inert(text(3)?),
            proven: row.get::<_, Option<bool>>(7)? != Some(false),
        },
        time: time(row.get(4)?)?,
        clock_was: clock_was.map(time).transpose()?,
        kind: EntryKind::Text(Text {
            body: Body::inert(text(5)?),
            mentions: mentions(row)?,
            edited,
        }),
    })
}

/// The mark for all members in the column `mentions`.
const EVERYONE: &str = "*";

/// Reads the users whom a text mentions.
fn mentions(row: &Row<'_>) -> Result<Mentions, StoreFault> {
    let mut mentions = Mentions::NONE;
    let stored: Option<String> = row.get(10)?;
    for word in stored.iter().flat_map(|stored| stored.split(' ')) {
        if word == EVERYONE {
            mentions.everyone = true;
        } else {
            let user = UserId::parse(word).map_err(|_| StoreFault::Damaged)?;
            mentions.users.push(user);
        }
    }
    Ok(mentions)
}

/// The value of the column `mentions`: ids, with spaces between them.
fn mentions_column(mentions: &Mentions) -> Option<String> {
    let everyone = mentions.everyone.then(|| EVERYONE.to_owned());
    let users = mentions.users.iter().map(UserId::to_string);
    let words: Vec<_> = everyone.into_iter().chain(users).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// Writes entries of one log.
pub(super) struct EntryWriter<'a> {
    database: &'a Connection,
    room: RoomId,
    log: i64,
    /// This user.
    user: UserId,
    /// Whether any stored entry refers to another; most logs hold few that do.
    has_targets: bool,
    /// Whether a stored text was erased.
    pub(super) erased: bool,
}

impl<'a> EntryWriter<'a> {
    pub(super) fn new(
        database: &'a Connection,
        room: RoomId,
        log: i64,
        user: UserId,
    ) -> Result<Self, StoreFault> {
        let has_targets = database
            .prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM message INDEXED BY message_target
                                WHERE log = ? AND target IS NOT NULL)",
            )?
            .query_row([log], |row| row.get(0))?;
        Ok(Self {
            database,
            room,
            log,
            user,
            has_targets,
            erased: false,
        })
    }

    /// Stores an entry, or adds what this copy of it knows to the stored one.
    pub(super) fn put(&mut self, entry: &Entry) -> Result<(), StoreFault> {
        if self.at(entry.seq)?.is_some() {
            return self.renew(entry);
        }
        let mut new = entry.clone();
        self.complete(&mut new)?;
        self.write(&new)?;
        self.apply(entry)
    }

    /// Brings the stored entries up to date by a copy of an entry, without storing that one.
    pub(super) fn renew(&mut self, entry: &Entry) -> Result<(), StoreFault> {
        if let Some(held) = self.at(entry.seq)? {
            let mut after = held.clone();
            if held.id != entry.id {
                // It is of another log, which the server has not said yet.
                return Ok(());
            }
            if fold::merge(&mut after, entry) {
                self.replace(&held, &after)?;
            }
        }
        self.apply(entry)
    }

    /// Applies to the stored entries what an entry says of them.
    fn apply(&mut self, entry: &Entry) -> Result<(), StoreFault> {
        // Its edits may be stored although it is not.
        for edit in self.edits(entry.id)? {
            self.empty_if(&edit, is_outdated(&edit, entry), entry.is_erased())?;
        }
        let Some(target) = entry.target() else {
            return Ok(());
        };
        if let Some(held) = self.with_id(target)? {
            let mut after = held.clone();
            if fold::apply(&mut after, entry) {
                self.replace(&held, &after)?;
            }
        }
        for edit in self.edits(target)? {
            let obsolete = fold::scrub(&mut edit.clone(), entry);
            self.empty_if(&edit, obsolete, entry.erases())?;
        }
        Ok(())
    }

    /// Adds to an entry what stored ones say of it.
    fn complete(&self, entry: &mut Entry) -> Result<(), StoreFault> {
        let EntryKind::Edit { target, .. } = entry.kind else {
            for later in self.changes(entry.id)? {
                fold::apply(entry, &later);
            }
            return Ok(());
        };
        for later in self.changes(target)? {
            fold::scrub(entry, &later);
        }
        if let Some(target) = self.with_id(target)?
            && is_outdated(entry, &target)
        {
            entry.take_edit();
        }
        Ok(())
    }

    /// Removes an edit's text if it is `obsolete`; `erased`: with its target's content.
    fn empty_if(&mut self, edit: &Entry, obsolete: bool, erased: bool) -> Result<(), StoreFault> {
        let EntryKind::Edit {
            body: Some(body), ..
        } = &edit.kind
        else {
            return Ok(());
        };
        if obsolete {
            let mut after = edit.clone();
            after.take_edit();
            self.write(&after)?;
            if erased {
                self.forget(edit, body)?;
            }
        }
        Ok(())
    }

    /// Replaces an entry by what it is now.
    fn replace(&mut self, before: &Entry, after: &Entry) -> Result<(), StoreFault> {
        self.write(after)?;
        // What an edit has replaced is gone like what was erased: nothing would lead to it later.
        if let Some(body) = before.text()
            && after.text() != Some(body)
        {
            self.forget(before, body)?;
        }
        Ok(())
    }

    /// Removes what else is stored of an entry's erased text.
    fn forget(&mut self, entry: &Entry, body: &Body) -> Result<(), StoreFault> {
        self.erased = true;
        if entry.author.user == self.user {
            device::forget_text(self.database, body.as_str())?;
        }
        Ok(())
    }

    fn write(&mut self, entry: &Entry) -> Result<(), StoreFault> {
        self.has_targets |= entry.target().is_some();
        let kind = kind(entry);
        let mut frame = Vec::new();
        if kind.is_some() {
            encode_entry(entry, &mut frame);
        }
        // Frames are UTF-8.
        let frame = String::from_utf8_lossy(frame.trim_ascii_end());
        // All other kinds have them in the frame.
        let mentions = kind.is_none().then(|| mentions_column(entry.mentions()));
        let mentions = mentions.flatten();
        let rev = Some(entry.rev()).filter(|rev| *rev > 0);
        self.database
            .prepare_cached(
                "INSERT OR REPLACE INTO message
                 (log, seq, id, user, nickname, time, body, clock_was, proven, kind, target, rev,
                  mentions)
                 VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            )?
            .execute(params![
                self.log,
                signed(entry.seq),
                entry.id.to_string(),
                entry.author.user.to_string(),
                entry.author.nickname.as_str(),
                nanoseconds(entry.time),
                kind.map_or(entry.words(), |_| &frame),
                entry.clock_was.map(nanoseconds),
                (!entry.author.proven).then_some(false),
                kind,
                entry.target().map(|target| target.to_string()),
                rev.map(signed),
                mentions,
            ])?;
        Ok(())
    }

    /// The stored entry with this number.
    fn at(&self, seq: u64) -> Result<Option<Entry>, StoreFault> {
        let entries = self.select("seq = ?2", signed(seq))?;
        Ok(entries.into_iter().next())
    }

    /// The stored entry with this id.
    fn with_id(&self, id: MessageId) -> Result<Option<Entry>, StoreFault> {
        let entries = self.select("id = ?2", id.to_string())?;
        Ok(entries.into_iter().next())
    }

    /// The stored edits of an entry that still have their text.
    fn edits(&self, target: MessageId) -> Result<Vec<Entry>, StoreFault> {
        if !self.has_targets {
            return Ok(Vec::new());
        }
        self.select("target = ?2 AND kind = 'edit'", target.to_string())
    }

    /// The stored entries that decide how their target stands: the first that erases it, and the
    /// latest edit.
    fn changes(&self, target: MessageId) -> Result<Vec<Entry>, StoreFault> {
        if !self.has_targets {
            return Ok(Vec::new());
        }
        let erasure = "target = ?2 AND kind = 'erasure' ORDER BY seq LIMIT 1";
        let mut changes = self.select(erasure, target.to_string())?;
        changes.extend(self.edits(target)?);
        Ok(changes)
    }

    fn select(&self, which: &str, key: impl rusqlite::ToSql) -> Result<Vec<Entry>, StoreFault> {
        let mut select = self.database.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM message WHERE log = ?1 AND {which}"
        ))?;
        let mut rows = select.query(params![self.log, key])?;
        let mut entries = Vec::new();
        while let Some(row) = rows.next()? {
            entries.push(read(self.room, row)?);
        }
        Ok(entries)
    }
}

/// Whether an edit's text is not the one that its target has.
fn is_outdated(edit: &Entry, target: &Entry) -> bool {
    target.is_erased() || target.edited() > Some(edit.seq)
}
