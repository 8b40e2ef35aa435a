//! Any split of a log into live entries and pages, in any order, gives the same rows.

use proptest::prelude::*;

use super::{
    entries::{changed, edit, live, opened_changed, page, redaction, text, unknown, vanish},
    *,
};
use crate::protocol::fold;

/// A log as a server keeps it: every entry as it stands.
#[derive(Clone, Debug, Default)]
struct Log(Vec<Entry>);

impl Log {
    fn push(&mut self, entry: Entry) {
        for earlier in &mut self.0 {
            if entry.target() == Some(earlier.id) {
                fold::apply(earlier, &entry);
            }
            if entry.target().is_some() && entry.target() == earlier.target() {
                fold::scrub(earlier, &entry);
            }
        }
        self.0.push(entry);
    }

    fn at(&self, seq: u64) -> &Entry {
        &self.0[usize::try_from(seq).unwrap() - 1]
    }
}

#[derive(Clone, Debug)]
enum Step {
    Text,
    Edit(prop::sample::Index),
    Redact(u8, prop::sample::Index),
    Vanish(u8, prop::sample::Index),
    Poll(bool),
}

fn step() -> impl Strategy<Value = Step> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        3 => Just(Step::Text),
        4 => at().prop_map(Step::Edit),
        1 => (1..3_u8, at()).prop_map(|(user, at)| Step::Redact(user, at)),
        1 => (1..3_u8, at()).prop_map(|(user, at)| Step::Vanish(user, at)),
        1 => any::<bool>().prop_map(Step::Poll),
    ]
}

/// The log at each of its lengths: `logs[n]` holds the entries 1 to n.
fn logs(steps: &[Step]) -> Vec<Log> {
    let mut log = Log::default();
    let mut logs = vec![log.clone()];
    for (seq, step) in (1..).zip(steps) {
        let user = u8::try_from(seq % 2 + 1).unwrap();
        let target = |at: &prop::sample::Index| at.index(log.0.len().max(1)) as u64 + 1;
        // The server refuses what has no effect; and what erases others is not erased.
        let stands = |target: u64| !log.0.is_empty() && !log.at(target).erases();
        let entry = match step {
            Step::Edit(at) if stands(target(at)) && log.at(target(at)).text().is_some() => {
                let author = if log.at(target(at)).author.user == UserId::from_bytes([1; 12]) {
                    1
                } else {
                    2
                };
                edit(seq, author, target(at), &format!("edit {seq}"))
            }
            Step::Redact(user, at) if stands(target(at)) => redaction(seq, *user, target(at)),
            Step::Vanish(user, at) if stands(target(at)) => vanish(seq, *user, target(at)),
            Step::Poll(true) => unknown(seq, user, r#","alt":"a poll""#),
            Step::Poll(false) => unknown(seq, user, ""),
            Step::Text | Step::Edit(_) | Step::Redact(..) | Step::Vanish(..) => {
                text(seq, user, &format!("text {seq}"))
            }
        };
        log.push(entry);
        logs.push(log.clone());
    }
    logs
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Entries come live, with a gap while the client is away, and in pages that were made at any
    /// time, in any order.
    #[test]
    fn parts_in_any_order_give_the_same_rows(
        steps in prop::collection::vec(step(), 1..24),
        bounds in prop::array::uniform3(any::<prop::sample::Index>()),
        is_away: bool,
        pages in prop::collection::vec((
            any::<prop::sample::Index>(),
            any::<prop::sample::Index>(),
            any::<prop::sample::Index>(),
            any::<prop::sample::Index>(),
        ), 0..6),
        saves in prop::collection::vec(1..6_usize, 24),
        restarts in prop::collection::vec(prop::bool::weighted(0.2), 48),
    ) {
        let logs = logs(&steps);
        let end = steps.len();
        // The client is online for the entries after `bounds[0]` to `bounds[1]`, and again for
        // those after `bounds[2]`.
        let mut bounds = bounds.map(|at| at.index(end + 1));
        bounds.sort_unstable();
        let [start, left, back] = bounds;
        let back = if is_away { back } else { left };
        // Live entries as they stand at that time, in saves of some.
        let mut live_parts = Vec::new();
        let mut sizes = saves.iter();
        let online = [(start, left), (back, end)];
        for (session, (mut from, to)) in online.into_iter().enumerate() {
            while from < to {
                let until = to.min(from + sizes.next().copied().unwrap_or(1));
                let made = if session == 0 { until } else { to };
                let entries = logs[made].0[from..until].to_vec();
                live_parts.push((session, live(entries)));
                from = until;
            }
        }
        // Pages, made while the client is online: after the beginning, or after it came back.
        let mut parts: Vec<(usize, StoreChange)> = Vec::new();
        let count = live_parts.len();
        let mut at_place: Vec<Vec<StoreChange>> = vec![Vec::new(); count + 1];
        for (first, last, made, place) in &pages {
            let place = place.index(count + 1);
            // Before the gap, nothing later is known.
            let first_session = live_parts[..place].iter().all(|(session, _)| *session == 0)
                && place < count && live_parts[place].0 == 0;
            let (low, high) = if first_session { (start, left) } else { (back, end) };
            let made = low + made.index(high - low + 1);
            if made == 0 {
                continue;
            }
            let (a, b) = (first.index(made), last.index(made));
            let (from, to) = (a.min(b), a.max(b) + 1);
            let shown = logs[made].0[from..to].iter().filter(|entry| entry.is_shown());
            at_place[place].push(page(from as u64 + 1, to as u64, shown.cloned().collect()));
        }
        let mut session_now = 0;
        for place in 0..=count {
            let is_back = place == count || live_parts[place].0 == 1;
            if is_back && session_now == 0 {
                // It is told of the latest change.
                session_now = 1;
                let changed = logs[back].0.iter().map(Entry::rev).max().unwrap_or(0);
                parts.push((1, opened_changed(end as u64, back as u64 + 1, changed)));
            }
            parts.extend(at_place[place].drain(..).map(|part| (session_now, part)));
            if place < count {
                parts.push(live_parts[place].clone());
            }
        }
        let home = Home::new();
        let mut store = home.open().store;
        store.keep(vec![opened_changed(start as u64, start as u64 + 1, start as u64)]);
        for ((_, part), restart) in parts.into_iter().zip(restarts.iter().cycle()) {
            store.keep(vec![part]);
            if *restart {
                drop(store);
                store = home.open().store;
            }
        }
        // What changed since then is asked for.
        let since = store.folded();
        prop_assert!(since <= end as u64);
        let stale = logs[end].0.iter().filter(|entry| entry.rev() > since);
        store.keep(vec![changed(since, end as u64, stale.cloned().collect())]);
        prop_assert_eq!(store.folded(), end as u64);
        for held in store.rows() {
            prop_assert_eq!(&held, logs[end].at(held.seq));
        }
        let held: Vec<u64> = store.rows().iter().map(|entry| entry.seq).collect();
        for (from, to) in online {
            for seq in from as u64 + 1..=to as u64 {
                prop_assert!(held.contains(&seq), "{} is missing", seq);
            }
        }
    }
}
