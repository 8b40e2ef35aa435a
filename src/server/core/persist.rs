//! Records of the server's state: values under a kind and a key, of which the store has the latest.
//!
//! A [`RecordMap`] holds all records of one kind in memory and notes which of them changed. The hub
//! takes the changes for its next commit ([`Persist::take`]) and reports afterwards whether they
//! were stored ([`Persist::stored`], [`Persist::not_stored`]). Values are JSON; a field that a
//! later version added has a default, since older servers' records lack it.

use std::{collections::BTreeMap, fmt, ops::Deref};

use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error},
};

use crate::{
    protocol::{InviteId, PublicKey, Role, UserId},
    server::log::StateRecord,
};

/// A value that is stored.
pub trait Record: Sized {
    /// The kind of its records.
    const KIND: &'static str;
    /// The type of its keys.
    type Key: Clone + Ord + fmt::Debug;

    /// The key in its stored form.
    fn key(key: &Self::Key) -> String;

    /// The value in its stored form.
    fn encode(&self) -> String;

    /// Reads a record; `None` if it is damaged.
    fn decode(key: &str, value: &str) -> Option<(Self::Key, Self)>;

    /// Whether a stored key that can be read is in a form of older servers, and not what
    /// [`key`](Self::key) writes.
    fn is_outdated_key(_key: &str) -> bool {
        false
    }
}

/// A value as JSON.
pub(super) fn to_json(value: &impl Serialize) -> String {
    // Strings and numbers only, so this can't fail.
    serde_json::to_string(value).expect("a record becomes JSON")
}

/// Reads JSON.
pub(super) fn from_json<T: DeserializeOwned>(value: &str) -> Option<T> {
    serde_json::from_str(value).ok()
}

/// Writes ids and roles in records as text.
macro_rules! as_text {
    ($($type:ty),*) => {$(
        impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }
    )*};
}

as_text!(InviteId, PublicKey, Role, UserId);

/// A key of records whose stored form is its text.
pub(super) trait RecordKey: Sized {
    /// The stored form.
    fn write(&self) -> String;
    /// Reads the stored form.
    fn read(text: &str) -> Option<Self>;
}

/// Numbers are stored so that they sort numerically.
impl RecordKey for u64 {
    fn write(&self) -> String {
        format!("{self:020}")
    }

    fn read(text: &str) -> Option<Self> {
        text.parse().ok()
    }
}

impl RecordKey for UserId {
    fn write(&self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

impl RecordKey for InviteId {
    fn write(&self) -> String {
        self.to_string()
    }

    fn read(text: &str) -> Option<Self> {
        Self::parse(text).ok()
    }
}

/// Stores a type as its own JSON, under a key's text.
macro_rules! json_record {
    ($record:ty, $kind:literal, $key:ty) => {
        impl $crate::server::core::persist::Record for $record {
            const KIND: &'static str = $kind;
            type Key = $key;

            fn key(key: &$key) -> String {
                $crate::server::core::persist::RecordKey::write(key)
            }

            fn encode(&self) -> String {
                $crate::server::core::persist::to_json(self)
            }

            fn decode(key: &str, value: &str) -> Option<($key, Self)> {
                let key = $crate::server::core::persist::RecordKey::read(key)?;
                Some((key, $crate::server::core::persist::from_json(value)?))
            }
        }
    };
}

pub(super) use json_record;

/// Reads a record of one kind; `None` if it is damaged.
pub fn decode<R: Record>(record: &StateRecord) -> Option<(R::Key, R)> {
    R::decode(&record.key, record.value.as_deref()?)
}

/// How soon a changed value is to be stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Haste {
    /// It can wait a moment, so that a commit stores many changes.
    Lazily,
    /// With the next commit.
    Soon,
    /// With the next commit; no client may be told of it before.
    Owed,
}

/// Whether there are changes for the next commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changes {
    /// There are none.
    None,
    /// All of them can wait a moment.
    Lazy,
    /// There are some that are to be stored now.
    Due,
}

/// All records of one kind. Reads go to the map; every change is noted for the store.
#[derive(Debug)]
pub struct RecordMap<R: Record> {
    map: BTreeMap<R::Key, R>,
    /// Keys changed since the last [`Persist::take`].
    dirty: BTreeMap<R::Key, Haste>,
    /// Whether one of them can't wait.
    is_due: bool,
    /// Keys taken for a commit that has no outcome yet.
    storing: BTreeMap<R::Key, Haste>,
    /// Stored keys of an older form, to be deleted by the next commit: their values are written
    /// under the present ones.
    outdated: Vec<String>,
}

impl<R: Record> Deref for RecordMap<R> {
    type Target = BTreeMap<R::Key, R>;

    fn deref(&self) -> &Self::Target {
        &self.map
    }
}

impl<R: Record> RecordMap<R> {
    /// Loads the records of this kind. Damaged ones are left out: the caller has checked for them.
    pub fn load(records: &[StateRecord]) -> Self {
        let own = || records.iter().filter(|record| &*record.kind == R::KIND);
        let is_outdated = |record: &&StateRecord| R::is_outdated_key(&record.key);
        let present = own().filter(|record| !is_outdated(record));
        let mut loaded = Self {
            map: present.filter_map(decode::<R>).collect(),
            dirty: BTreeMap::new(),
            is_due: false,
            storing: BTreeMap::new(),
            outdated: Vec::new(),
        };
        for record in own().filter(is_outdated) {
            let Some((key, value)) = decode::<R>(record) else {
                continue;
            };
            loaded.outdated.push(record.key.clone());
            // What is under the present key is newer.
            if !loaded.map.contains_key(&key) {
                loaded.insert(key, value);
            }
        }
        loaded
    }

    /// Inserts a value that is in force while none is stored, and is not stored itself.
    pub fn insert_default(&mut self, key: R::Key, value: R) {
        self.map.entry(key).or_insert(value);
    }

    /// Inserts or replaces a value.
    pub fn insert(&mut self, key: R::Key, value: R) {
        self.mark(key.clone(), Haste::Soon);
        self.map.insert(key, value);
    }

    /// Removes a value.
    pub fn remove(&mut self, key: &R::Key) -> Option<R> {
        let removed = self.map.remove(key)?;
        self.mark(key.clone(), Haste::Soon);
        Some(removed)
    }

    /// Changes a value, if there is one.
    pub fn update<T>(&mut self, key: &R::Key, change: impl FnOnce(&mut R) -> T) -> Option<T> {
        let value = self.map.get_mut(key)?;
        let result = change(value);
        self.mark(key.clone(), Haste::Soon);
        Some(result)
    }

    /// Like [`update`](Self::update), for a change that need not be stored at once.
    pub fn update_lazily<T>(
        &mut self,
        key: &R::Key,
        change: impl FnOnce(&mut R) -> T,
    ) -> Option<T> {
        let value = self.map.get_mut(key)?;
        let result = change(value);
        self.mark(key.clone(), Haste::Lazily);
        Some(result)
    }

    /// Removes all values but those to keep; returns the keys of the removed ones.
    pub fn retain(&mut self, keep: impl Fn(&R) -> bool) -> Vec<R::Key> {
        let over = self.map.iter().filter(|(_, value)| !keep(value));
        let over: Vec<_> = over.map(|(key, _)| key.clone()).collect();
        for key in &over {
            self.remove(key);
        }
        over
    }

    /// Marks a value as owed: no client may be told of it before it is stored, since a power
    /// failure would undo it.
    pub fn owe(&mut self, key: R::Key) {
        self.mark(key, Haste::Owed);
    }

    /// Whether a value is owed and not stored yet.
    pub fn is_owed(&self, key: &R::Key) -> bool {
        let owed = |noted: &BTreeMap<R::Key, Haste>| noted.get(key) == Some(&Haste::Owed);
        owed(&self.dirty) || owed(&self.storing)
    }

    fn mark(&mut self, key: R::Key, haste: Haste) {
        self.is_due |= haste > Haste::Lazily;
        let known = self.dirty.entry(key).or_insert(haste);
        *known = haste.max(*known);
    }
}

/// The interface of a [`RecordMap`] to commits.
pub trait Persist {
    /// Whether there are changes that were not taken yet.
    fn changes(&self) -> Changes;

    /// Appends the latest value of each record that changed since the last call; `None` for a value
    /// that was removed.
    fn take(&mut self, changed: &mut Vec<StateRecord>);

    /// Notes that the records taken last are stored.
    fn stored(&mut self);

    /// Notes that they could not be stored: the next [`take`](Self::take) returns their values as
    /// they are then.
    fn not_stored(&mut self);
}

impl<R: Record> Persist for RecordMap<R> {
    fn changes(&self) -> Changes {
        match (self.is_due, self.dirty.is_empty()) {
            (true, _) => Changes::Due,
            (false, false) => Changes::Lazy,
            (false, true) => Changes::None,
        }
    }

    fn take(&mut self, changed: &mut Vec<StateRecord>) {
        for key in &self.outdated {
            changed.push(StateRecord {
                kind: R::KIND.into(),
                key: key.clone(),
                value: None,
            });
        }
        self.is_due = false;
        for (key, haste) in std::mem::take(&mut self.dirty) {
            changed.push(StateRecord {
                kind: R::KIND.into(),
                key: R::key(&key),
                value: self.map.get(&key).map(R::encode),
            });
            let known = self.storing.entry(key).or_insert(haste);
            *known = haste.max(*known);
        }
    }

    fn stored(&mut self) {
        self.storing.clear();
        self.outdated.clear();
    }

    fn not_stored(&mut self) {
        for (key, haste) in std::mem::take(&mut self.storing) {
            self.mark(key, haste);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq, Eq, Deserialize, Serialize)]
    struct Word(String);

    json_record!(Word, "word", u64);

    fn word(text: &str) -> Word {
        Word(text.to_owned())
    }

    fn taken(words: &mut RecordMap<Word>) -> Vec<(u64, String)> {
        let mut changed = Vec::new();
        words.take(&mut changed);
        let number = |record: &StateRecord| record.key.parse().unwrap();
        changed
            .into_iter()
            .map(|record| {
                let value = record.value.as_deref().unwrap_or("removed");
                (number(&record), value.trim_matches('"').to_owned())
            })
            .collect()
    }

    fn owned((number, text): (u64, &str)) -> (u64, String) {
        (number, text.to_owned())
    }

    #[test]
    fn every_change_is_taken_once_as_it_is_then() {
        let mut words = RecordMap::<Word>::load(&[]);
        words.insert(2, word("two"));
        words.insert(1, word("one"));
        words.insert(3, word("three"));
        words.update(&2, |word| word.0.push('!'));
        words.remove(&3);
        assert_eq!(words.remove(&4), None);
        let expected = [(1, "one"), (2, "two!"), (3, "removed")];
        assert_eq!(taken(&mut words), expected.map(owned));
        assert_eq!(taken(&mut words), []);
        // Not stored: the latest value comes again.
        words.update(&1, |word| word.0.push('?'));
        words.not_stored();
        let expected = [(1, "one?"), (2, "two!"), (3, "removed")];
        assert_eq!(taken(&mut words), expected.map(owned));
        words.stored();
        words.not_stored();
        assert_eq!(taken(&mut words), []);
        assert_eq!(words.retain(|word| word.0.starts_with('o')), [2]);
        assert_eq!(taken(&mut words), [(2, "removed")].map(owned));
    }

    #[test]
    fn a_value_is_owed_until_it_is_stored() {
        let mut words = RecordMap::<Word>::load(&[]);
        words.insert(1, word("one"));
        assert!(!words.is_owed(&1));
        words.owe(1);
        assert!(words.is_owed(&1) && !words.is_owed(&2));
        taken(&mut words);
        assert!(words.is_owed(&1));
        words.not_stored();
        assert!(words.is_owed(&1));
        taken(&mut words);
        // A later change is not owed by itself.
        words.update(&1, |word| word.0.push('!'));
        words.stored();
        assert!(!words.is_owed(&1));
    }

    #[test]
    fn a_lazy_change_waits_for_others_and_is_taken_with_them() {
        let mut words = RecordMap::<Word>::load(&[]);
        assert_eq!(words.changes(), Changes::None);
        words.insert(1, word("one"));
        assert_eq!(words.changes(), Changes::Due);
        taken(&mut words);
        words.stored();
        words.update_lazily(&1, |word| word.0.push('!'));
        assert_eq!(words.changes(), Changes::Lazy);
        words.insert(2, word("two"));
        words.update_lazily(&2, |word| word.0.push('!'));
        assert_eq!(words.changes(), Changes::Due);
        let expected = [(1, "one!"), (2, "two!")];
        assert_eq!(taken(&mut words), expected.map(owned));
        assert_eq!(words.changes(), Changes::None);
        words.not_stored();
        assert_eq!(words.changes(), Changes::Due);
    }

    /// A record that older servers wrote under a number without leading zeros.
    #[derive(Debug, PartialEq, Eq)]
    struct Padded(String);

    impl Record for Padded {
        const KIND: &'static str = "padded";
        type Key = u64;

        fn key(key: &u64) -> String {
            RecordKey::write(key)
        }

        fn encode(&self) -> String {
            self.0.clone()
        }

        fn decode(key: &str, value: &str) -> Option<(u64, Self)> {
            Some((RecordKey::read(key)?, Self(value.to_owned())))
        }

        fn is_outdated_key(key: &str) -> bool {
            key.len() < 20
        }
    }

    #[test]
    fn an_outdated_key_is_replaced() {
        let record = |key: &str, value: Option<&str>| StateRecord {
            kind: Padded::KIND.into(),
            key: key.to_owned(),
            value: value.map(str::to_owned),
        };
        let (one, two) = ("00000000000000000001", "00000000000000000002");
        let stored = [
            record("1", Some("old")),
            record(one, Some("new")),
            record("2", Some("old")),
            record("x", Some("damaged")),
        ];
        let mut padded = RecordMap::<Padded>::load(&stored);
        assert_eq!(padded[&1], Padded("new".to_owned()));
        assert_eq!(padded[&2], Padded("old".to_owned()));
        let expected = [
            record("1", None),
            record("2", None),
            record(two, Some("old")),
        ];
        for _ in 0..2 {
            let mut changed = Vec::new();
            padded.take(&mut changed);
            assert_eq!(changed, expected);
            padded.not_stored();
        }
        padded.take(&mut Vec::new());
        padded.stored();
        let mut changed = Vec::new();
        padded.take(&mut changed);
        assert_eq!(changed, []);
    }

    #[test]
    fn a_default_is_not_stored_before_it_is_changed() {
        let mut words = RecordMap::<Word>::load(&[]);
        words.insert(1, word("one"));
        words.insert_default(1, word("none"));
        words.insert_default(2, word("two"));
        assert_eq!(words[&2], word("two"));
        assert_eq!(taken(&mut words), [(1, "one")].map(owned));
        words.update(&2, |word| word.0.push('!'));
        assert_eq!(taken(&mut words), [(2, "two!")].map(owned));
    }

    #[test]
    fn other_kinds_and_damaged_records_are_left_out() {
        let record = |kind: &str, key: &str, value: Option<&str>| StateRecord {
            kind: kind.into(),
            key: key.to_owned(),
            value: value.map(str::to_owned),
        };
        let words = RecordMap::<Word>::load(&[
            record("word", "00000000000000000007", Some("\"seven\"")),
            record("number", "1", Some("\"one\"")),
            record("word", "x", Some("\"x\"")),
            record("word", "2", Some("2")),
            record("word", "3", None),
        ]);
        let all: Vec<_> = words.iter().collect();
        assert_eq!(all, [(&7, &word("seven"))]);
    }
}
