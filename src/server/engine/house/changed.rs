//! What changed of the house and is to be written down: of each fact what holds now.

use std::collections::{BTreeMap, btree_map::Entry};

use crate::server::store::Fact;

/// See the module's docs. As many as there are facts: what changes again takes no more room.
#[derive(Debug, Default)]
pub(super) struct Changed(BTreeMap<(Box<str>, String), Option<String>>);

impl Changed {
    /// Notes what holds now, instead of what was noted of it before.
    pub(super) fn push(&mut self, fact: Fact) {
        self.0.insert((fact.kind, fact.key), fact.value);
    }

    /// Notes all of these.
    pub(super) fn extend(&mut self, facts: impl IntoIterator<Item = Fact>) {
        for fact in facts {
            self.push(fact);
        }
    }

    /// Takes out all that is noted.
    pub(super) fn take(&mut self) -> Vec<Fact> {
        let all = std::mem::take(&mut self.0).into_iter();
        all.map(|((kind, key), value)| Fact { kind, key, value })
            .collect()
    }

    /// Notes once more what was taken out; what changed since then is newer, and stays.
    pub(super) fn put_back(&mut self, facts: Vec<Fact>) {
        for Fact { kind, key, value } in facts {
            if let Entry::Vacant(place) = self.0.entry((kind, key)) {
                place.insert(value);
            }
        }
    }
}
