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

/// All records of one kind. Reads go to the map; every change is noted for the store.
#[derive(Debug)]
pub struct RecordMap<R: Record> {
    map: BTreeMap<R::Key, R>,
    /// Keys changed since the last [`Persist::take`]; `true`: owed, no client may be told before it
    /// is stored.
    dirty: BTreeMap<R::Key, bool>,
    /// Keys taken for a commit that has no outcome yet.
    storing: BTreeMap<R::Key, bool>,
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
        let own = records.iter().filter(|record| &*record.kind == R::KIND);
        Self {
            map: own.filter_map(decode::<R>).collect(),
            dirty: BTreeMap::new(),
            storing: BTreeMap::new(),
        }
    }

    /// Inserts or replaces a value.
    pub fn insert(&mut self, key: R::Key, value: R) {
        self.mark(key.clone(), false);
        self.map.insert(key, value);
    }

    /// Removes a value.
    pub fn remove(&mut self, key: &R::Key) -> Option<R> {
        let removed = self.map.remove(key)?;
        self.mark(key.clone(), false);
        Some(removed)
    }

    /// Changes a value, if there is one.
    pub fn update<T>(&mut self, key: &R::Key, change: impl FnOnce(&mut R) -> T) -> Option<T> {
        let value = self.map.get_mut(key)?;
        let result = change(value);
        self.mark(key.clone(), false);
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
        self.mark(key, true);
    }

    /// Whether a value is owed and not stored yet.
    pub fn is_owed(&self, key: &R::Key) -> bool {
        let owed = |noted: &BTreeMap<R::Key, bool>| noted.get(key) == Some(&true);
        owed(&self.dirty) || owed(&self.storing)
    }

    fn mark(&mut self, key: R::Key, owed: bool) {
        *self.dirty.entry(key).or_default() |= owed;
    }
}

/// The interface of a [`RecordMap`] to commits.
pub trait Persist {
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
    fn take(&mut self, changed: &mut Vec<StateRecord>) {
        for (key, owed) in std::mem::take(&mut self.dirty) {
            changed.push(StateRecord {
                kind: R::KIND.into(),
                key: R::key(&key),
                value: self.map.get(&key).map(R::encode),
            });
            *self.storing.entry(key).or_default() |= owed;
        }
    }

    fn stored(&mut self) {
        self.storing.clear();
    }

    fn not_stored(&mut self) {
        for (key, owed) in std::mem::take(&mut self.storing) {
            self.mark(key, owed);
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
