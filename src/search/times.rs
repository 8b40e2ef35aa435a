//! Finds entries by time in a log whose clock may have been corrected, so that times can go back.
//!
//! A log is divided into *stretches*: runs of sequence numbers within which times never go back. A
//! new stretch begins with each entry that is marked as the first after a correction. Within a
//! stretch a binary search works.

use std::ops::Range;

use jiff::Timestamp;

/// Clock corrections of one log that are considered; a log with more is searched from the latest of
/// them.
pub const CORRECTIONS_MAX: usize = 1_000;

/// The stretches of the numbers `all`, in order; a new one begins at each of `marks` (ascending).
/// With [`CORRECTIONS_MAX`] marks there may be more, so the numbers below the first mark are left
/// out.
pub fn stretches(
    all: Range<u64>,
    marks: &[u64],
) -> impl DoubleEndedIterator<Item = Range<u64>> + use<> {
    let mut starts = Vec::with_capacity(marks.len() + 1);
    if marks.len() < CORRECTIONS_MAX {
        starts.push(all.start);
    }
    starts.extend(marks.iter().copied().filter(|mark| all.contains(mark)));
    starts.dedup();
    let ends: Vec<u64> = starts.iter().copied().skip(1).chain([all.end]).collect();
    starts.into_iter().zip(ends).map(|(from, to)| from..to)
}

/// The first number in a range for which `before` is false. `before` must be true for all lower
/// numbers and false for all higher ones.
pub fn first_not<E>(
    range: Range<u64>,
    mut before: impl FnMut(u64) -> Result<bool, E>,
) -> Result<u64, E> {
    let Range { mut start, mut end } = range;
    while start < end {
        let middle = start + (end - start) / 2;
        if before(middle)? {
            start = middle + 1;
        } else {
            end = middle;
        }
    }
    Ok(start)
}

/// The entry with the earliest time that is not before `time`; of several, the lowest number.
/// `None` if all times are earlier. Where no clock was corrected, it is the first entry that is not
/// before `time`.
pub fn since<E>(
    stretches: impl IntoIterator<Item = Range<u64>>,
    time: Timestamp,
    mut time_at: impl FnMut(u64) -> Result<Timestamp, E>,
) -> Result<Option<u64>, E> {
    let mut best: Option<(Timestamp, u64)> = None;
    for stretch in stretches {
        let end = stretch.end;
        let seq = first_not(stretch, |seq| Ok(time_at(seq)? < time))?;
        if seq < end {
            let found = (time_at(seq)?, seq);
            best = Some(best.map_or(found, |best| best.min(found)));
        }
    }
    Ok(best.map(|(_, seq)| seq))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    /// `times` are those of the numbers from 1 on; a new stretch begins where they go back.
    fn found(times: &[i64], time: i64) -> Option<u64> {
        let count = times.len() as u64;
        let goes_back = |pair: &(u64, &[i64])| pair.1[0] > pair.1[1];
        let marks: Vec<u64> = (2..)
            .zip(times.windows(2))
            .filter(goes_back)
            .map(|(seq, _)| seq)
            .collect();
        let time_at = |seq| Ok::<_, Infallible>(at(times[usize::try_from(seq).unwrap() - 1]));
        let Ok(found) = since(stretches(1..count + 1, &marks), at(time), time_at);
        found
    }

    #[test]
    fn the_earliest_entry_from_a_time_on_is_found_after_clock_corrections() {
        let right = [10, 20, 20, 30];
        // The clock was far ahead for one entry; far behind; an hour ahead and then corrected.
        let ahead = [10, 20, 9_000, 30, 40];
        let behind = [10, 20, 1, 2, 30, 40];
        let twice = [10, 20, 50, 60, 30, 40, 50];
        for (times, time, seq) in [
            (&right[..], 5, Some(1)),
            (&right, 20, Some(2)),
            (&right, 21, Some(4)),
            (&right, 31, None),
            (&ahead, 20, Some(2)),
            (&ahead, 21, Some(4)),
            (&ahead, 41, Some(3)),
            (&ahead, 9_001, None),
            (&behind, 0, Some(3)),
            (&behind, 10, Some(1)),
            (&behind, 21, Some(5)),
            (&behind, 41, None),
            (&twice, 25, Some(5)),
            (&twice, 45, Some(3)),
            (&twice, 55, Some(4)),
            (&[], 5, None),
        ] {
            assert_eq!(found(times, time), seq, "{time} in {times:?}");
            // A linear scan finds the same.
            let all = (1..).zip(times).filter(|(_, at)| **at >= time);
            let least = all.min_by_key(|(seq, at)| (**at, *seq));
            assert_eq!(seq, least.map(|(seq, _)| seq));
        }
    }

    #[test]
    fn only_the_latest_corrections_count() {
        let marks: Vec<u64> = (101..).take(CORRECTIONS_MAX).collect();
        let end = 101 + CORRECTIONS_MAX as u64;
        assert_eq!(stretches(1..end, &marks[1..]).next(), Some(1..102));
        assert_eq!(stretches(1..end, &marks).next(), Some(101..102));
        assert_eq!(stretches(1..end, &marks).last(), Some(end - 1..end));
        // Marks outside the range do not count.
        assert_eq!(
            stretches(500..510, &[500, 505, 600]).collect::<Vec<_>>(),
            [500..505, 505..510]
        );
        assert!(stretches(5..5, &[]).all(|stretch| stretch.is_empty()));
    }
}
