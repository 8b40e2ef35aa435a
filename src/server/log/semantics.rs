//! Rules that all stores share: the order of counters, the encoding of entries, the size of pages.

use std::ops::{Range, RangeInclusive};

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};

use crate::server::log::{
    CORRECTION_MIN, Changed, ChangedSince, DeviceOwner, Found, Inbox, OpResult, Page,
};
use crate::{
    protocol::{
        Author, Count, Entry, Extent, Role, UserId,
        frame::{Member, Part},
        limits::{HISTORY_BYTES_MAX, HISTORY_PAGE_MAX, NUMBER_MAX, UNREAD_COUNT_MAX},
        wire::parse_entry,
    },
    search::{Query, times::first_not},
};

/// Entries that one search without an index reads at most.
pub(in crate::server) const SCANNED_MAX: u64 = 5_000;
/// Bytes that such a search reads at most, plus one entry: a few milliseconds, however long the
/// texts are.
const SCANNED_BYTES_MAX: usize = 2 * 1024 * 1024;

/// Entries without a place of their own that a page passes over at most. Together with
/// [`SCANNED_BYTES_MAX`] it bounds a page's work, about as much as that of a search.
const PASSED_MAX: u64 = 2_000;
/// Changes that a page of changed entries looks at, and one more if it is of the last revision: an
/// entry changes its target and, if that was edited before, the earlier edit.
pub(in crate::server) const CHANGES_MAX: usize = 5_000;

/// The order of a counter relative to those that a device has settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::server) enum CounterOrder {
    /// It was settled earlier.
    Settled,
    /// It is the next one.
    Next,
    /// An earlier one is missing, or the number is beyond [`NUMBER_MAX`], which no client could
    /// read.
    Ahead,
}

/// Classifies `counter` where all up to `settled` are settled.
pub(in crate::server) fn place(settled: u64, counter: u64) -> CounterOrder {
    if counter <= settled {
        CounterOrder::Settled
    } else if counter == settled + 1 && counter <= NUMBER_MAX {
        CounterOrder::Next
    } else {
        CounterOrder::Ahead
    }
}

/// How far beyond the log's own knowledge a device's claim of settled counters is believed. A log
/// that was lost, or restored from an older backup, knows less than the device; but a false claim
/// must not use up a device's numbers. At 10 messages a minute it is three years.
pub(in crate::server) const AHEAD_MAX: u64 = 1 << 24;

/// What is known of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::server) struct DeviceRecord {
    /// The highest counter settled.
    pub(in crate::server) counter: u64,
    /// The owner, if they have a key.
    pub(in crate::server) user: Option<UserId>,
}

/// Opens a device to a client that claims `next` as its next counter, and returns its record then;
/// or why it is not opened.
pub(in crate::server) fn open(
    device: DeviceRecord,
    owner: Option<DeviceOwner>,
    next: Option<u64>,
) -> Result<DeviceRecord, OpResult> {
    let DeviceRecord { counter, user } = device;
    let is_theirs =
        |user| owner.is_some_and(|owner: DeviceOwner| user == owner.user || user == owner.key_user);
    if user.is_some_and(|user| !is_theirs(user)) {
        return Err(OpResult::Foreign);
    }
    let said = next.map_or(0, |next| next.saturating_sub(1));
    if said > counter.saturating_add(AHEAD_MAX) {
        return Err(OpResult::TooFarAhead);
    }
    Ok(DeviceRecord {
        counter: said.max(counter),
        // The key's own user id, which does not change with the account that the key belongs to.
        user: user.or(owner.map(|owner| owner.key_user)),
    })
}

/// Returns an entry's time, to the millisecond as on the wire and on disk; and, if the clock was
/// corrected since the room's last entry, the time that it would have shown otherwise. Times go
/// back only at such a mark; for less than [`CORRECTION_MIN`] they stand still instead. `last` is
/// the last entry's time, `by` the known correction since.
pub(in crate::server) fn entry_time(
    now: Timestamp,
    by: SignedDuration,
    last: Option<Timestamp>,
) -> (Timestamp, Option<Timestamp>) {
    let to_millisecond =
        |time: Timestamp| Timestamp::from_millisecond(time.as_millisecond()).unwrap_or(time);
    let now = to_millisecond(now);
    let Some(last) = last else {
        return (now, None);
    };
    let edge = if by.is_negative() {
        Timestamp::MAX
    } else {
        Timestamp::MIN
    };
    let mut was = to_millisecond(now.checked_sub(by).unwrap_or(edge));
    // A correction while no server ran is not in `by`.
    let behind = last.duration_since(now);
    if behind.is_positive() && behind.unsigned_abs() > CORRECTION_MIN {
        was = was.max(last);
    }
    if was.duration_since(now).unsigned_abs() <= CORRECTION_MIN {
        return (now.max(last), None);
    }
    let time = if was > now { now } else { now.max(last) };
    (time, Some(was))
}

/// Finds the lowest number that is kept because of its age: all entries below it are older than
/// `since`; `None` if the first one is kept already. A time in the future is wrong, so such an
/// entry goes together with the next one whose time is not in the future, which was stored after
/// it. So it does not hold up later entries for years, and no entry is dropped whose time is
/// between `since` and now.
pub(in crate::server) fn first_young<E>(
    stretches: impl IntoIterator<Item = Range<u64>>,
    since: Timestamp,
    now: Timestamp,
    mut time_at: impl FnMut(u64) -> Result<Timestamp, E>,
) -> Result<Option<u64>, E> {
    let mut young = None;
    for stretch in stretches {
        let Range { start, end } = stretch;
        let seq = first_not(stretch, |seq| Ok(time_at(seq)? < since))?;
        if seq > start {
            young = Some(seq);
        }
        if seq < end && time_at(seq)? <= now {
            break;
        }
    }
    Ok(young)
}

/// The author of a member's entries.
pub(in crate::server) fn author(member: &Member) -> Author {
    Author {
        user: member.user,
        nickname: member.nickname.clone(),
        proven: member.role != Role::Unverified,
    }
}

/// Entries that are looked at to count unread ones at most. Few don't count.
pub(in crate::server) const UNREAD_SCANNED_MAX: u64 = 2_000;
/// Mentions that are looked at for a page of an inbox at most: also those in what the user may not
/// read.
const INBOX_SCANNED_MAX: u64 = 10_000;

/// Mentions of a room that are counted at most.
pub(in crate::server) const MENTIONS_COUNTED_MAX: u32 = 100;

/// Whether one of these ranges holds a number.
pub(in crate::server) fn holds(ranges: &[RangeInclusive<u64>], seq: u64) -> bool {
    ranges.iter().any(|range| range.contains(&seq))
}

/// Whether an entry is unread for a user who has not read up to it. `ignored`: whom they ignore, in
/// order.
pub(in crate::server) fn is_unread(entry: &Entry, user: UserId, ignored: &[UserId]) -> bool {
    entry.counts() && is_heard(entry.author.user, user, ignored)
}

/// Whether what an author writes counts for a user.
fn is_heard(author: UserId, user: UserId, ignored: &[UserId]) -> bool {
    author != user && ignored.binary_search(&author).is_err()
}

/// A count of unread entries in the making.
#[derive(Debug)]
pub(in crate::server) struct UnreadScan<'a> {
    user: UserId,
    /// Whom they ignore, in order.
    ignored: &'a [UserId],
    entries: u64,
    looked_at: u64,
    bytes: usize,
}

impl<'a> UnreadScan<'a> {
    pub(in crate::server) fn new(user: UserId, ignored: &'a [UserId]) -> Self {
        Self {
            user,
            ignored,
            entries: 0,
            looked_at: 0,
            bytes: 0,
        }
    }

    /// Looks at the next entry, the newest first. Returns false if that is enough.
    pub(in crate::server) fn look(&mut self, frame: &[u8]) -> bool {
        self.bytes += frame.len();
        // What can't be read counts for nobody.
        let entry = decode_entry(frame).filter(Entry::counts);
        self.count(entry.map(|entry| entry.author.user))
    }

    /// Like [`look`](Self::look), where the author is known if the entry counts.
    pub(in crate::server) fn count(&mut self, author: Option<UserId>) -> bool {
        let is_heard = |author| is_heard(author, self.user, self.ignored);
        self.entries += u64::from(author.is_some_and(is_heard));
        self.looked_at += 1;
        self.entries < UNREAD_COUNT_MAX
            && self.looked_at < UNREAD_SCANNED_MAX
            && self.bytes < SCANNED_BYTES_MAX
    }

    pub(in crate::server) fn finish(self) -> Count {
        Count::new(self.entries)
    }
}

/// A page of an inbox in the making.
#[derive(Debug, Default)]
pub(in crate::server) struct InboxScan {
    frames: Frames,
    looked_at: u64,
    next: Option<u64>,
}

impl InboxScan {
    /// Looks at the mention of a position, the newest first. Returns false if the page ends before it.
    pub(in crate::server) fn look(&mut self, position: u64) -> bool {
        self.looked_at += 1;
        let may = self.looked_at <= INBOX_SCANNED_MAX;
        if !may {
            self.next = Some(position + 1);
        }
        may
    }

    /// Adds the entry of that mention. Returns false if the page ends before it.
    pub(in crate::server) fn add(&mut self, position: u64, frame: &[u8]) -> bool {
        let fits = self.frames.add(frame);
        if !fits {
            self.next = Some(position + 1);
        }
        fits
    }

    pub(in crate::server) fn finish(self) -> Inbox {
        Inbox {
            frames: self.frames.frames,
            next: self.next,
        }
    }
}

/// Decodes an entry; `None` if the frame is none.
pub(in crate::server) fn decode_entry(frame: &[u8]) -> Option<Entry> {
    parse_entry(frame).ok()
}

/// The range of held numbers that a part covers, and whether the page is filled from its end.
/// `since` finds the first entry of a time.
pub(in crate::server) fn span<E>(
    extent: Extent,
    part: Part,
    since: impl FnOnce(Timestamp) -> Result<u64, E>,
) -> Result<((u64, u64), bool), E> {
    Ok(match part {
        Part::Forward { from, to } => (extent.clamp(from, to), false),
        Part::Backward { from, to } => (extent.clamp(from, to), true),
        Part::Since(time) => ((since(time)?, extent.head), false),
    })
}

/// The frames of one page, within its limits.
#[derive(Debug, Default)]
pub(in crate::server) struct Frames {
    frames: Vec<Bytes>,
    bytes: usize,
}

impl Frames {
    /// Adds a frame. Returns false if the page is full. The first one always fits.
    pub(in crate::server) fn add(&mut self, frame: &[u8]) -> bool {
        // One byte for the separator.
        let bytes = self.bytes + frame.len() + 1;
        if !self.frames.is_empty() && bytes > HISTORY_BYTES_MAX || self.is_full() {
            return false;
        }
        self.bytes = bytes;
        self.frames.push(Bytes::copy_from_slice(frame));
        true
    }

    fn is_full(&self) -> bool {
        self.frames.len() == HISTORY_PAGE_MAX
    }
}

/// A page in the making.
#[derive(Debug)]
pub(in crate::server) struct PageScan {
    extent: Extent,
    from: u64,
    to: u64,
    ends: bool,
    frames: Frames,
    /// Numbers covered so far.
    covered: u64,
    /// Bytes of the entries that were passed over.
    passed: usize,
}

impl PageScan {
    /// A page of the numbers `from` to `to` that begins or `ends` there.
    pub(in crate::server) fn new(extent: Extent, (from, to): (u64, u64), ends: bool) -> Self {
        Self {
            extent,
            from,
            to,
            ends,
            frames: Frames::default(),
            covered: 0,
            passed: 0,
        }
    }

    /// Takes the next entry: the newest first if the page ends at `to`. Returns false if the page
    /// ends here. `carried`: whether it is in the page, and not passed over: it is shown, or it bears
    /// the mark of a corrected clock, by which a reader finds times.
    pub(in crate::server) fn take(&mut self, carried: bool, frame: &[u8]) -> bool {
        if carried {
            if !self.frames.add(frame) {
                return false;
            }
        } else {
            if self.covered >= PASSED_MAX || self.passed >= SCANNED_BYTES_MAX {
                return false;
            }
            self.passed += frame.len();
        }
        self.covered += 1;
        true
    }

    /// The page, as far as it was filled.
    pub(in crate::server) fn finish(self) -> Page {
        let mut frames = self.frames.frames;
        let (from, to) = if self.ends {
            frames.reverse();
            (self.to + 1 - self.covered, self.to)
        } else {
            (self.from, self.from + self.covered - 1)
        };
        Page {
            extent: self.extent,
            from,
            to,
            frames,
        }
    }
}

/// A page of changed entries in the making.
#[derive(Debug)]
pub(in crate::server) struct ChangedScan {
    extent: Extent,
    to: u64,
    frames: Frames,
    /// All wanted changes by entries up to this number are in the page.
    through: u64,
    /// The revision of the entry that was taken last, and how many of that revision are in the
    /// page.
    last: (u64, usize),
    seen: usize,
    more: bool,
}

impl ChangedScan {
    /// A page of what is wanted.
    pub(in crate::server) fn new(extent: Extent, wanted: ChangedSince) -> Self {
        Self {
            extent,
            to: wanted.to,
            frames: Frames::default(),
            through: wanted.since,
            last: (wanted.since, 0),
            seen: 0,
            more: false,
        }
    }

    /// Takes the next change in the order of revisions. `frame` reads the changed entry's frame, if
    /// it is wanted. Returns false if the page ends here.
    pub(in crate::server) fn take<E>(
        &mut self,
        rev: u64,
        seq: u64,
        frame: impl FnOnce() -> Result<Bytes, E>,
    ) -> Result<bool, E> {
        if rev > self.last.0 {
            self.through = self.last.0;
            self.last = (rev, 0);
            // A revision is never split, so that the next page begins behind it.
            self.more = self.seen >= CHANGES_MAX;
        }
        if !self.more && seq <= self.to {
            self.more = !self.frames.add(&frame()?);
            self.last.1 += usize::from(!self.more);
        }
        self.seen += 1;
        Ok(!self.more)
    }

    /// The page.
    pub(in crate::server) fn finish(mut self) -> Changed {
        if self.more {
            // Of a revision that does not fit, nothing is in the page.
            let whole = self.frames.frames.len() - self.last.1;
            self.frames.frames.truncate(whole);
        } else {
            self.through = self.extent.head;
        }
        Changed {
            extent: self.extent,
            through: self.through,
            more: self.more,
            frames: self.frames.frames,
        }
    }
}

/// A search that reads entries, newest first.
#[derive(Debug)]
pub(in crate::server) struct Scan<'a> {
    query: &'a Query,
    extent: Extent,
    to: u64,
    frames: Frames,
    /// The lowest number that was searched.
    from: u64,
    /// Bytes read so far.
    bytes: usize,
}

impl<'a> Scan<'a> {
    /// A search from `to` downwards.
    pub(in crate::server) fn new(query: &'a Query, extent: Extent, to: u64) -> Self {
        let to = to.min(extent.head);
        Self {
            query,
            extent,
            to,
            frames: Frames::default(),
            from: to + 1,
            bytes: 0,
        }
    }

    /// The highest number to search.
    pub(in crate::server) fn to(&self) -> u64 {
        self.to
    }

    /// The lowest number to search.
    pub(in crate::server) fn until(&self) -> u64 {
        let bound = (self.to + 1).saturating_sub(SCANNED_MAX);
        self.extent.first.max(bound)
    }

    /// Checks the next entry. Returns false if the search ends here.
    pub(in crate::server) fn look(&mut self, seq: u64, frame: &[u8]) -> bool {
        let hit = decode_entry(frame).is_some_and(|entry| {
            let nickname = &entry.author.nickname;
            entry
                .text()
                .is_some_and(|text| self.query.matches(nickname, entry.time, text.as_str()))
        });
        if hit && !self.frames.add(frame) {
            return false;
        }
        self.from = seq;
        self.bytes += frame.len();
        !self.frames.is_full() && self.bytes < SCANNED_BYTES_MAX
    }

    /// The result. There is no index, so `indexed` is the head.
    pub(in crate::server) fn finish(self) -> Found {
        Found {
            extent: self.extent,
            from: self.from,
            to: self.to,
            indexed: self.extent.head,
            frames: self.frames.frames,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_looks_at_so_many_bytes_and_goes_on_from_there() {
        let query = Query::parse("tea", &jiff::tz::TimeZone::UTC).unwrap();
        let extent = Extent::new(1, 1_000);
        let frame = vec![b'x'; SCANNED_BYTES_MAX / 10];
        let search = |to| {
            let mut scan = Scan::new(&query, extent, to);
            let mut numbers = (scan.until()..=scan.to()).rev();
            while numbers.next().is_some_and(|seq| scan.look(seq, &frame)) {}
            scan.finish()
        };
        let found = search(1_000);
        // One more than fits: each is a little less than a tenth.
        assert_eq!((found.from, found.to), (990, 1_000));
        assert_eq!(search(found.from - 1).from, 979);
    }
}
