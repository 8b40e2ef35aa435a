//! Numbered frames in contiguous runs of bytes: the tail of a log, held in memory.
//!
//! A room's messages and its member changes are both such logs: consecutive numbers, each with one
//! encoded frame. A commit adds one [`Segment`]; readers hold only a number.

use std::{collections::VecDeque, io::IoSlice, sync::Arc};

use bytes::Bytes;

/// Slices that one write call takes at most.
const SLICES_MAX: usize = 8;
/// The memory that a segment takes besides its frames, for accounting.
const SEGMENT_OVERHEAD_BYTES: usize = 128;

/// Frames with consecutive numbers, in one run of bytes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Segment {
    first: u64,
    bytes: Bytes,
    /// The end of each frame within `bytes`.
    ends: Arc<[u32]>,
}

impl Segment {
    /// An empty segment at this number.
    pub fn empty(first: u64) -> Self {
        SegmentBuilder::new(first).finish()
    }

    /// The first frame's number.
    pub fn first(&self) -> u64 {
        self.first
    }

    /// One past the last frame's number.
    pub fn next(&self) -> u64 {
        self.first + self.ends.len() as u64
    }

    /// Whether it holds no frame.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The memory that it takes.
    pub fn cost_bytes(&self) -> usize {
        self.bytes.len() + 4 * self.ends.len() + SEGMENT_OVERHEAD_BYTES
    }

    /// The bytes of all frames.
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// One frame, if the segment holds it.
    pub fn frame(&self, number: u64) -> Option<&[u8]> {
        let index = usize::try_from(number.checked_sub(self.first)?).ok()?;
        let end = *self.ends.get(index)? as usize;
        Some(&self.bytes[self.start(index)..end])
    }

    /// The same segment with another frame under this number; `None` if it does not hold it.
    fn with(&self, number: u64, frame: &[u8]) -> Option<Self> {
        self.frame(number)?;
        let mut run = SegmentBuilder::new(self.first);
        for held in self.first..self.next() {
            let frame = if held == number {
                frame
            } else {
                self.frame(held).unwrap_or_default()
            };
            run.push(|out| out.extend_from_slice(frame));
        }
        Some(run.finish())
    }

    /// The frames from this number on.
    pub(in crate::server) fn since(&self, number: u64) -> &[u8] {
        &self.bytes[self.start(self.index(number))..]
    }

    fn index(&self, number: u64) -> usize {
        let index = number.saturating_sub(self.first);
        usize::try_from(index).map_or(self.ends.len(), |index| index.min(self.ends.len()))
    }

    fn start(&self, index: usize) -> usize {
        match index.checked_sub(1) {
            None => 0,
            Some(before) => self.ends[before] as usize,
        }
    }

    /// The position of a reader that was before `number` and has written `count` bytes since: the
    /// number behind the frame that it is in, and the rest of that frame.
    pub fn advance(&self, number: u64, count: usize) -> (u64, &[u8]) {
        let index = self.index(number);
        let reached = self.start(index) + count;
        let passed = self.ends[index..].partition_point(|&end| end as usize <= reached);
        let number = number + passed as u64;
        if reached == self.start(index + passed) {
            (number, &[])
        } else {
            let end = self.ends[index + passed] as usize;
            (number + 1, &self.bytes[reached..end])
        }
    }
}

/// Builds a [`Segment`].
#[derive(Debug)]
pub struct SegmentBuilder {
    first: u64,
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl SegmentBuilder {
    /// An empty builder; the first frame will have this number.
    pub fn new(first: u64) -> Self {
        Self {
            first,
            bytes: Vec::new(),
            ends: Vec::new(),
        }
    }

    /// Adds the next frame: `encode` appends it.
    ///
    /// # Panics
    /// If a run grows to 4 GiB; batches are far smaller.
    pub fn push(&mut self, encode: impl FnOnce(&mut Vec<u8>)) {
        encode(&mut self.bytes);
        let end = u32::try_from(self.bytes.len());
        self.ends
            .push(end.unwrap_or_else(|_| unreachable!("a run is below 4 GiB")));
    }

    /// The number that the next frame will have.
    pub fn next(&self) -> u64 {
        self.first + self.ends.len() as u64
    }

    /// Whether it holds no frame yet.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes so far.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Completes the segment.
    pub fn finish(mut self) -> Segment {
        self.bytes.shrink_to_fit();
        Segment {
            first: self.first,
            bytes: self.bytes.into(),
            ends: self.ends.into(),
        }
    }
}

/// The slices for one vectored write.
#[derive(Debug)]
pub struct Gather<'a> {
    slices: [IoSlice<'a>; SLICES_MAX],
    count: usize,
}

impl<'a> Gather<'a> {
    /// No slices yet.
    pub fn new() -> Self {
        Self {
            slices: [IoSlice::new(&[]); SLICES_MAX],
            count: 0,
        }
    }

    /// A single slice.
    pub fn one(slice: &'a [u8]) -> Self {
        let mut gather = Self::new();
        gather.push(slice);
        gather
    }

    /// Adds a slice. Returns false once there is no space for another.
    fn push(&mut self, slice: &'a [u8]) -> bool {
        if let Some(free) = self.slices.get_mut(self.count) {
            *free = IoSlice::new(slice);
            self.count += 1;
        }
        self.count < SLICES_MAX
    }

    /// The slices, in order.
    pub fn slices(&self) -> &[IoSlice<'a>] {
        &self.slices[..self.count]
    }
}

impl Default for Gather<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// The latest frames of a log; its owner decides how many are kept.
#[derive(Clone, Debug)]
pub struct Tail {
    segments: VecDeque<Segment>,
    next: u64,
    cost_bytes: usize,
}

impl Tail {
    /// An empty tail; the next frame will have this number.
    pub fn new(next: u64) -> Self {
        Self {
            segments: VecDeque::new(),
            next,
            cost_bytes: 0,
        }
    }

    /// The lowest number held; [`next`](Self::next) if none is.
    pub fn first(&self) -> u64 {
        self.segments.front().map_or(self.next, Segment::first)
    }

    /// One past the highest number ever pushed.
    pub fn next(&self) -> u64 {
        self.next
    }

    /// The memory that it takes.
    pub fn cost_bytes(&self) -> usize {
        self.cost_bytes
    }

    /// Appends the next segment.
    ///
    /// # Panics
    /// If the numbers are not consecutive.
    pub fn push(&mut self, segment: Segment) {
        assert_eq!(segment.first(), self.next, "a log has no holes");
        if segment.is_empty() {
            return;
        }
        self.next = segment.next();
        self.cost_bytes += segment.cost_bytes();
        self.segments.push_back(segment);
    }

    /// One past the highest number of the oldest segment; `None` if there is none.
    pub fn first_segment_next(&self) -> Option<u64> {
        self.segments.front().map(Segment::next)
    }

    /// Drops the oldest segment and returns how many bytes that freed; `None` if there is none.
    pub fn drop_oldest(&mut self) -> Option<usize> {
        let segment = self.segments.pop_front()?;
        self.cost_bytes -= segment.cost_bytes();
        Some(segment.cost_bytes())
    }

    fn position(&self, number: u64) -> usize {
        // Most readers want the newest segment, and its neighbours are not in the processor's
        // cache.
        match self.segments.back() {
            Some(newest) if newest.first() <= number => {
                self.segments.len() - usize::from(number < newest.next())
            }
            _ => self
                .segments
                .partition_point(|segment| segment.next() <= number),
        }
    }

    /// One frame, if it is held.
    pub fn frame(&self, number: u64) -> Option<&[u8]> {
        self.segments.get(self.position(number))?.frame(number)
    }

    /// The frames held from a number on, as much as one write takes, without segments that begin at
    /// `until` or later.
    pub fn gather(&self, number: u64, until: u64) -> Gather<'_> {
        let mut gather = Gather::new();
        for segment in self.segments.range(self.position(number)..) {
            if segment.first() >= until || !gather.push(segment.since(number)) {
                break;
            }
        }
        gather
    }

    /// See [`Segment::advance`]; over all segments held.
    pub fn advance(&self, mut number: u64, mut count: usize) -> (u64, &[u8]) {
        for segment in self.segments.range(self.position(number)..) {
            let here = segment.since(number).len();
            if count < here {
                return segment.advance(number, count);
            }
            count -= here;
            number = segment.next();
        }
        (number, &[])
    }

    /// Replaces a frame, if it is held: an entry's content was edited or erased. Readers hold
    /// segments of their own while they write, and what they have begun they end as it was. Returns
    /// the bytes by which the tail grew.
    pub fn replace(&mut self, number: u64, frame: &[u8]) -> isize {
        let position = self.position(number);
        let held = self.segments.get_mut(position);
        let Some((held, changed)) = held.and_then(|held| {
            let changed = held.with(number, frame)?;
            Some((held, changed))
        }) else {
            return 0;
        };
        let (before, after) = (held.cost_bytes(), changed.cost_bytes());
        *held = changed;
        self.cost_bytes = self.cost_bytes - before + after;
        after.cast_signed() - before.cast_signed()
    }

    /// Copies the frames from a number on into one segment: at least one if there is one, then as
    /// many as fit. Starts at `first` where older ones are no longer held.
    pub fn copy(&self, number: u64, bytes_max: usize) -> Segment {
        let number = number.clamp(self.first(), self.next);
        let mut run = SegmentBuilder::new(number);
        // The space at once: a page that grows is copied several times.
        let mut bytes = 0;
        for segment in self.segments.range(self.position(number)..) {
            bytes += segment.bytes().len();
            if bytes >= bytes_max {
                break;
            }
        }
        run.bytes.reserve(bytes.min(bytes_max));
        for segment in self.segments.range(self.position(number)..) {
            for number in number.max(segment.first())..segment.next() {
                let frame = segment.frame(number).unwrap_or_default();
                if !run.is_empty() && run.len() + frame.len() > bytes_max {
                    return run.finish();
                }
                run.push(|out| out.extend_from_slice(frame));
            }
        }
        run.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(first: u64, frames: &[&str]) -> Segment {
        let mut run = SegmentBuilder::new(first);
        for frame in frames {
            run.push(|out| out.extend_from_slice(frame.as_bytes()));
        }
        run.finish()
    }

    fn tail() -> Tail {
        let mut tail = Tail::new(5);
        tail.push(segment(5, &["aa", "bbb"]));
        tail.push(segment(7, &["c"]));
        tail.push(segment(8, &["dddd", "ee"]));
        tail
    }

    fn text(gather: &Gather<'_>) -> String {
        gather
            .slices()
            .iter()
            .map(|slice| String::from_utf8_lossy(slice).into_owned())
            .collect::<Vec<_>>()
            .join("|")
    }

    #[test]
    fn a_reader_gets_what_follows_its_number() {
        let check = |number, expected: &str| {
            assert_eq!(
                text(&tail().gather(number, u64::MAX)),
                expected,
                "from {number}"
            );
        };
        check(5, "aabbb|c|ddddee");
        check(6, "bbb|c|ddddee");
        check(7, "c|ddddee");
        check(9, "ee");
        check(10, "");
    }

    #[test]
    fn every_count_of_written_bytes_leads_to_the_right_place() {
        let all = "aabbbcddddee";
        let ends = [(2, 6), (5, 7), (6, 8), (10, 9), (12, 10)];
        for count in 0..=all.len() {
            let tail = tail();
            let (number, rest) = tail.advance(5, count);
            let expected = ends.iter().find(|(end, _)| count <= *end);
            let &(end, next) = expected.unwrap_or(&(12, 10));
            if count == 0 {
                assert_eq!((number, rest), (5, &b""[..]));
            } else {
                assert_eq!(number, next, "after {count} bytes");
                assert_eq!(rest, &all.as_bytes()[count..end], "after {count} bytes");
            }
        }
    }

    #[test]
    fn dropped_segments_are_gone_from_the_front() {
        let mut tail = tail();
        let before = tail.cost_bytes();
        let freed = tail.drop_oldest().unwrap();
        assert_eq!(tail.cost_bytes() + freed, before);
        assert_eq!((tail.first(), tail.next()), (7, 10));
        assert_eq!(tail.frame(6), None);
        assert_eq!(tail.frame(8), Some(&b"dddd"[..]));
        while tail.drop_oldest().is_some() {}
        assert_eq!((tail.first(), tail.next(), tail.cost_bytes()), (10, 10, 0));
    }

    #[test]
    fn a_copy_has_at_least_one_frame_and_keeps_to_the_size() {
        let check = |number, bytes_max, first, expected: &str| {
            let copy = tail().copy(number, bytes_max);
            assert_eq!(copy.first(), first);
            assert_eq!(copy.bytes(), expected.as_bytes());
        };
        check(5, 0, 5, "aa");
        check(5, 4, 5, "aa");
        check(5, 5, 5, "aabbb");
        check(6, 100, 6, "bbbcddddee");
        check(1, 2, 5, "aa");
        check(10, 100, 10, "");
        check(99, 100, 10, "");
    }

    #[test]
    fn a_replaced_frame_is_another_for_who_comes_later() {
        let mut tail = tail();
        let before = tail.cost_bytes();
        let begun = tail.advance(5, 4).1.to_vec();
        assert_eq!(tail.replace(6, b"longer"), 3);
        assert_eq!(tail.cost_bytes(), before + 3);
        assert_eq!(begun, b"b", "what was begun ends as it was");
        assert_eq!(text(&tail.gather(5, u64::MAX)), "aalonger|c|ddddee");
        assert_eq!(tail.replace(6, b""), -6);
        assert_eq!(tail.frame(6), Some(&b""[..]));
        for absent in [4, 10] {
            assert_eq!(tail.replace(absent, b"x"), 0);
        }
    }

    #[test]
    #[should_panic(expected = "no holes")]
    fn a_gap_is_a_broken_invariant() {
        tail().push(segment(11, &["x"]));
    }
}
