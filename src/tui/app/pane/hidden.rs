//! The numbers of a log whose entries have no place in the timeline.

use std::collections::BTreeMap;

/// The most ranges that are kept. The numbers of others count as not loaded.
const RANGES_MAX: usize = 10_000;

/// The numbers of known entries that have no place in the timeline: edits and deletions, which only
/// change another entry.
#[derive(Debug, Default)]
pub struct Hidden {
    /// The log and the first number of each range, with its last number. Ranges do not touch.
    ranges: BTreeMap<(u32, u64), u64>,
}

impl Hidden {
    /// Adds the numbers `from` to `to` of a log. Returns whether any of them is new.
    pub fn add(&mut self, log: u32, mut from: u64, mut to: u64) -> bool {
        let held = |range: (u64, u64)| range.0 <= from && to <= range.1;
        if from > to || self.range_at(log, from).is_some_and(held) {
            return false;
        }
        while let Some((first, last)) = self.last_up_to(log, to.saturating_add(1))
            && last.saturating_add(1) >= from
        {
            self.ranges.remove(&(log, first));
            (from, to) = (from.min(first), to.max(last));
        }
        self.ranges.insert((log, from), to);
        true
    }

    /// The lowest number at or after this one that is not hidden.
    pub fn next_shown(&self, log: u32, seq: u64) -> u64 {
        self.range_at(log, seq).map_or(seq, |(_, last)| last + 1)
    }

    /// The highest number at or before this one that is not hidden.
    pub fn previous_shown(&self, log: u32, seq: u64) -> u64 {
        self.range_at(log, seq)
            .map_or(seq, |(first, _)| first.saturating_sub(1))
    }

    /// How many numbers from `from` up to, but not including, `end` are hidden.
    pub fn count(&self, log: u32, from: u64, end: u64) -> u64 {
        let first = self.range_at(log, from).map_or(from, |(first, _)| first);
        if first >= end {
            return 0;
        }
        let ranges = self.ranges.range((log, first)..(log, end));
        let inside = |(&(_, first), &last): (&(u32, u64), &u64)| {
            (last + 1).min(end).saturating_sub(first.max(from))
        };
        ranges.map(inside).sum()
    }

    /// Forgets the numbers of a log below this one.
    pub fn begin_at(&mut self, log: u32, first: u64) {
        self.ranges
            .retain(|&(of, _), last| of != log || *last >= first);
    }

    /// Drops ranges that exceed the limit, farthest from `near` first.
    pub fn limit(&mut self, log: u32, near: u64) {
        while self.ranges.len() > RANGES_MAX {
            let first = self.ranges.first_key_value();
            let last = self.ranges.last_key_value();
            let (Some((&first, _)), Some((&last, _))) = (first, last) else {
                return;
            };
            let above = first.0 < log || near.abs_diff(first.1) >= near.abs_diff(last.1);
            self.ranges.remove(if above { &first } else { &last });
        }
    }

    /// The highest range of a log that begins at or below a number.
    fn last_up_to(&self, log: u32, seq: u64) -> Option<(u64, u64)> {
        let mut ranges = self.ranges.range((log, 0)..=(log, seq));
        ranges.next_back().map(|(&(_, first), &last)| (first, last))
    }

    /// The range that holds a number.
    fn range_at(&self, log: u32, seq: u64) -> Option<(u64, u64)> {
        self.last_up_to(log, seq).filter(|(_, last)| seq <= *last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn ranges_are_as_the_set_of_their_numbers(
            parts in prop::collection::vec((1..60_u64, 0..9_u64), 0..20),
        ) {
            let (mut hidden, mut set) = (Hidden::default(), BTreeSet::new());
            hidden.add(1, 5, 50);
            for (from, more) in parts {
                let to = from + more;
                let new = (from..=to).any(|seq| !set.contains(&seq));
                prop_assert_eq!(hidden.add(2, from, to), new);
                set.extend(from..=to);
            }
            for seq in 1..80 {
                let next = (seq..=99).find(|seq| !set.contains(seq)).unwrap();
                let previous = (0..=seq).rev().find(|seq| !set.contains(seq)).unwrap();
                prop_assert_eq!(hidden.next_shown(2, seq), next);
                prop_assert_eq!(hidden.previous_shown(2, seq), previous);
                for end in seq..80 {
                    prop_assert_eq!(hidden.count(2, seq, end), set.range(seq..end).count() as u64);
                }
            }
        }
    }

    #[test]
    fn the_ranges_farthest_from_the_reader_are_forgotten() {
        let mut hidden = Hidden::default();
        let most = RANGES_MAX as u64;
        for at in 0..most + 10 {
            hidden.add(0, 3 * at + 1, 3 * at + 1);
        }
        hidden.limit(0, 1);
        assert_eq!(hidden.ranges.len(), RANGES_MAX);
        assert_eq!(hidden.next_shown(0, 1), 2);
        assert_eq!(hidden.next_shown(0, 3 * (most + 9) + 1), 3 * (most + 9) + 1);
    }
}
