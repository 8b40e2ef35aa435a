//! The facts of the house that changed and are to be stored: of each fact the latest value.

use std::collections::{BTreeMap, BTreeSet, btree_map::Entry};

use crate::server::log::StateRecord;

/// Which fact: its kind and its key.
type Name = (Box<str>, String);

/// See the module's docs. It holds as many as there are facts: one that changes again takes no more
/// room.
#[derive(Debug, Default)]
pub(super) struct Dirty {
    facts: BTreeMap<Name, Option<String>>,
    /// Those of which nobody may be told before they are stored.
    owed: BTreeSet<Name>,
    /// Those of `owed` that are being stored.
    storing: BTreeSet<Name>,
}

fn name(fact: &StateRecord) -> Name {
    (fact.kind.clone(), fact.key.clone())
}

impl Dirty {
    /// Notes a fact's value, in place of what was noted of it before.
    pub(super) fn push(&mut self, fact: StateRecord) {
        self.facts.insert((fact.kind, fact.key), fact.value);
    }

    /// Notes a fact's value, of which nobody may be told before it is stored.
    pub(super) fn owe(&mut self, fact: StateRecord) {
        self.owed.insert(name(&fact));
        self.push(fact);
    }

    /// Whether a fact is owed and not stored yet.
    pub(super) fn is_owed(&self, fact: &StateRecord) -> bool {
        if self.owed.is_empty() && self.storing.is_empty() {
            return false;
        }
        let name = name(fact);
        self.owed.contains(&name) || self.storing.contains(&name)
    }

    /// Notes all of these.
    pub(super) fn extend(&mut self, facts: impl IntoIterator<Item = StateRecord>) {
        for fact in facts {
            self.push(fact);
        }
    }

    /// Takes out all that is noted, to be stored.
    pub(super) fn take(&mut self) -> Vec<StateRecord> {
        self.storing.append(&mut self.owed);
        let all = std::mem::take(&mut self.facts).into_iter();
        all.map(|((kind, key), value)| StateRecord { kind, key, value })
            .collect()
    }

    /// What was taken out is stored.
    pub(super) fn stored(&mut self) {
        self.storing.clear();
    }

    /// Notes once more what was taken out and could not be stored; what changed since then is newer,
    /// and stays.
    pub(super) fn put_back(&mut self, facts: Vec<StateRecord>) {
        self.owed.append(&mut self.storing);
        for StateRecord { kind, key, value } in facts {
            if let Entry::Vacant(place) = self.facts.entry((kind, key)) {
                place.insert(value);
            }
        }
    }
}
