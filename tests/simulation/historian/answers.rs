//! The checks of answers about the log.

use chat_tui::{
    protocol::{
        Entry, EntryKind, Epoch,
        frame::{ChangesPage, ChangesRequest, PageHead, Part},
        limits::{HISTORY_BYTES_MAX, HISTORY_PAGE_MAX},
    },
    search::Query,
};

use crate::truth::{Fault, Truth};

fn is_full(page: &[Entry]) -> bool {
    let bytes: usize = page.iter().map(|m| m.words().len() + 300).sum();
    // The longest message has about 2,000 bytes.
    page.len() == HISTORY_PAGE_MAX || bytes + 4_000 > HISTORY_BYTES_MAX
}

/// Checks a page of history.
pub(super) fn check_page(
    truth: &Truth,
    epoch: Epoch,
    part: Part,
    head: &PageHead,
    page: &[Entry],
) -> Result<(), Fault> {
    let numbers: Vec<u64> = page.iter().map(|message| message.seq).collect();
    // By the marks of a corrected clock a client finds times.
    let shown = |seq: &u64| {
        let entry = truth.entry(epoch, head.room, *seq);
        entry.is_some_and(|entry| entry.target().is_none() || entry.clock_was.is_some())
    };
    let expected: Vec<u64> = (head.from..=head.to).filter(shown).collect();
    if numbers != expected {
        return Err(format!("it holds {numbers:?}, not {expected:?}"));
    }
    let clamp = |from: u64, to: u64| (from.max(head.extent.first), to.min(head.extent.head));
    let (from, to) = match part {
        Part::Forward { from, to } | Part::Backward { from, to } => clamp(from, to),
        Part::Since(time) => {
            let late = |seq| {
                let entry = truth.entry(epoch, head.room, seq)?;
                (entry.time >= time).then_some((entry.time, seq))
            };
            let least = (head.extent.first..=head.extent.head)
                .filter_map(late)
                .min();
            let first = least.map(|(_, seq)| seq);
            (first.unwrap_or(head.extent.head + 1), head.extent.head)
        }
    };
    let complete = match part {
        _ if from > to => page.is_empty(),
        _ if is_full(page) => match part {
            Part::Backward { .. } => head.to == to && head.from >= from,
            Part::Forward { .. } | Part::Since(_) => head.from == from && head.to <= to,
        },
        _ => (head.from, head.to) == (from, to),
    };
    if complete {
        Ok(())
    } else {
        Err(format!("{part:?} should be {from} to {to}"))
    }
}

/// Checks the result of a search.
pub(super) fn check_found(
    truth: &Truth,
    epoch: Epoch,
    query: &Query,
    to: u64,
    head: &PageHead,
    page: &[Entry],
) -> Result<(), Fault> {
    let to = to.min(head.extent.head);
    let nothing = to < head.extent.first;
    if head.to != to && !nothing || head.from > head.extent.first && !is_full(page) && !nothing {
        return Err(format!(
            "the search does not go from {to} to {}",
            head.extent.first
        ));
    }
    let matches = |seq: &u64| {
        let entry = truth.entry(epoch, head.room, *seq);
        let Some(EntryKind::Text(text)) = truth.kind(epoch, head.room, *seq, head.extent.head)
        else {
            return false;
        };
        let text = text.body.as_str();
        entry.is_some_and(|entry| query.matches(&entry.nickname, entry.time, text))
    };
    let expected: Vec<u64> = (head.from..=head.to).rev().filter(matches).collect();
    let found: Vec<u64> = page.iter().map(|message| message.seq).collect();
    if found == expected {
        Ok(())
    } else {
        Err(format!("{query:?} found {found:?}, not {expected:?}"))
    }
}

/// Checks which entries were changed.
pub(super) fn check_changes(
    truth: &Truth,
    epoch: Epoch,
    asked: &ChangesRequest,
    page: &ChangesPage,
) -> Result<(), Fault> {
    let extent = page.head.extent;
    let changed = |seq: u64| {
        let (by, erased) = truth.changed(epoch, asked.room, seq, extent.head)?;
        let wanted = by > asked.since && (erased || !asked.erased);
        wanted.then_some((by, seq))
    };
    let to = asked.to.min(extent.head);
    let mut wanted: Vec<_> = (extent.first..=to).filter_map(changed).collect();
    wanted.sort_unstable();
    let through = if page.more { page.through } else { u64::MAX };
    let expected: Vec<_> = wanted.iter().filter(|(by, _)| *by <= through).collect();
    let given = page.entries.iter().filter_map(|entry| changed(entry.seq));
    let mut given: Vec<_> = given.collect();
    let in_order = given.is_sorted_by_key(|(by, _)| *by);
    given.sort_unstable();
    let goes_on = !page.more || is_full(&page.entries) && page.through > asked.since;
    let last = wanted.last().map_or(0, |(by, _)| *by);
    let reaches = page.more || page.through >= last;
    if given.len() == page.entries.len()
        && given.iter().eq(expected)
        && in_order
        && goes_on
        && reaches
    {
        Ok(())
    } else {
        Err(format!(
            "{asked:?} is answered by {given:?} through {}, wanted are {wanted:?}",
            page.through
        ))
    }
}
