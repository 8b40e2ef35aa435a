//! Decides at which message a client starts to read a room.

use crate::protocol::{
    Extent, MessageId,
    frame::{Position, Reset},
};

/// Returns the number of the first message to deliver, and why the client's position was not used,
/// if it was not.
///
/// `same_log`: whether the client's positions are of this log's epoch. `id_at`: the id that the log
/// holds at the position. `last`: how many of the latest messages to deliver without a valid
/// position. `most`: how many to deliver at most after a valid one.
pub(super) fn start(
    extent: Extent,
    same_log: bool,
    position: Option<&Position>,
    id_at: Option<MessageId>,
    last: u64,
    most: Option<u64>,
) -> (u64, Option<Reset>) {
    let afresh = extent.latest(last);
    let Some(position) = position else {
        return (afresh, None);
    };
    let differs = |(held, here)| held != here;
    let reset = if !same_log {
        Reset::Epoch
    } else if position.seq > extent.head {
        Reset::Seq
    } else if position.id.zip(id_at).is_some_and(differs) {
        Reset::Id
    } else {
        // Erased messages, and those beyond `most`, leave a gap that the client sees in the
        // numbers.
        let follows = (position.seq + 1).max(extent.first);
        let bound = most.map_or(0, |most| extent.latest(most));
        return (follows.max(bound), None);
    };
    (afresh, Some(reset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{DeviceId, RoomId};

    fn id(counter: u64) -> MessageId {
        MessageId {
            device: DeviceId::from_bytes([1; 12]),
            counter,
        }
    }

    #[test]
    fn where_reading_begins() {
        let log = Extent::new(5, 9);
        let empty = Extent::new(1, 0);
        let check = |extent, same_log, seq: Option<u64>, held, here, last, expected| {
            let position = seq.map(|seq| Position {
                room: RoomId::LOBBY,
                seq,
                id: held,
            });
            let found = start(extent, same_log, position.as_ref(), here, last, None);
            assert_eq!(found, expected, "{seq:?} in {extent:?}, last {last}");
        };
        // No position: the last n, as far as they are held.
        check(log, true, None, None, None, 0, (10, None));
        check(log, true, None, None, None, 2, (8, None));
        check(log, true, None, None, None, 5, (5, None));
        check(log, true, None, None, None, 99, (5, None));
        check(empty, true, None, None, None, 99, (1, None));
        // A valid position: the messages after it.
        check(log, true, Some(7), Some(id(7)), Some(id(7)), 99, (8, None));
        check(log, true, Some(9), Some(id(9)), Some(id(9)), 99, (10, None));
        check(empty, true, Some(0), None, None, 99, (1, None));
        // The next messages were erased, up to and past the first held.
        check(log, true, Some(4), Some(id(4)), None, 0, (5, None));
        check(log, true, Some(3), Some(id(3)), None, 0, (5, None));
        check(log, true, Some(0), None, None, 0, (5, None));
        // An invalid position.
        check(
            log,
            false,
            Some(7),
            Some(id(7)),
            Some(id(7)),
            2,
            (8, Some(Reset::Epoch)),
        );
        check(
            log,
            true,
            Some(10),
            Some(id(9)),
            None,
            2,
            (8, Some(Reset::Seq)),
        );
        check(
            log,
            true,
            Some(7),
            Some(id(7)),
            Some(id(8)),
            2,
            (8, Some(Reset::Id)),
        );
    }

    #[test]
    fn more_than_is_wanted_is_left_to_history() {
        let log = Extent::new(5, 9);
        let empty = Extent::new(1, 0);
        let check = |extent, same_log, seq: Option<u64>, most, expected| {
            let position = seq.map(|seq| Position {
                room: RoomId::LOBBY,
                seq,
                id: None,
            });
            let found = start(extent, same_log, position.as_ref(), None, 2, Some(most));
            assert_eq!(found, expected, "{seq:?} in {extent:?}, most {most}");
        };
        // As many were missed as wanted, and one more.
        check(log, true, Some(6), 3, (7, None));
        check(log, true, Some(5), 3, (7, None));
        check(log, true, Some(6), 99, (7, None));
        check(log, true, Some(6), u64::MAX, (7, None));
        // None are wanted, or none were missed.
        check(log, true, Some(6), 0, (10, None));
        check(log, true, Some(9), 0, (10, None));
        check(log, true, Some(9), 3, (10, None));
        check(empty, true, Some(0), 0, (1, None));
        check(empty, true, Some(0), 3, (1, None));
        // Erased messages do not count.
        check(log, true, Some(1), 5, (5, None));
        check(log, true, Some(1), 6, (5, None));
        check(log, true, Some(1), 4, (6, None));
        // Without a valid position the last n are delivered.
        check(log, true, None, 1, (8, None));
        check(log, false, Some(6), 1, (8, Some(Reset::Epoch)));
        check(log, true, Some(10), 1, (8, Some(Reset::Seq)));
    }
}
