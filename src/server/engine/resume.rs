//! Where a client's reading of a room begins.

use crate::{
    protocol::{
        MessageId,
        frame::{Position, Reset},
    },
    server::store::Extent,
};

/// The number of the message to be delivered first, and why the client's position was not taken
/// up, if it was not.
///
/// `same_log`: whether the client's positions are in this log's epoch. `id_at`: the id that the
/// log holds at the position. `last`: how many of the latest messages to give instead.
pub(super) fn start(
    extent: Extent,
    same_log: bool,
    position: Option<&Position>,
    id_at: Option<MessageId>,
    last: u64,
) -> (u64, Option<Reset>) {
    let afresh = (extent.head + 1).saturating_sub(last).max(extent.first);
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
        // Evicted entries leave a gap that the client sees in the numbers.
        return ((position.seq + 1).max(extent.first), None);
    };
    (afresh, Some(reset))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{DeviceId, RoomName};

    fn id(counter: u64) -> MessageId {
        MessageId {
            device: DeviceId::from_bytes([1; 12]),
            counter,
        }
    }

    #[test]
    fn where_reading_begins() {
        let log = Extent { first: 5, head: 9 };
        let empty = Extent { first: 1, head: 0 };
        let check = |extent, same_log, seq: Option<u64>, held, here, last, expected| {
            let position = seq.map(|seq| Position {
                room: RoomName::lobby(),
                seq,
                id: held,
            });
            let found = start(extent, same_log, position.as_ref(), here, last);
            assert_eq!(found, expected, "{seq:?} in {extent:?}, last {last}");
        };
        // No position: the last n, as far as they are held.
        check(log, true, None, None, None, 0, (10, None));
        check(log, true, None, None, None, 2, (8, None));
        check(log, true, None, None, None, 5, (5, None));
        check(log, true, None, None, None, 99, (5, None));
        check(empty, true, None, None, None, 99, (1, None));
        // A position that holds: what follows it.
        check(log, true, Some(7), Some(id(7)), Some(id(7)), 99, (8, None));
        check(log, true, Some(9), Some(id(9)), Some(id(9)), 99, (10, None));
        check(empty, true, Some(0), None, None, 99, (1, None));
        // What follows it was evicted, up to and past the edge.
        check(log, true, Some(4), Some(id(4)), None, 0, (5, None));
        check(log, true, Some(3), Some(id(3)), None, 0, (5, None));
        check(log, true, Some(0), None, None, 0, (5, None));
        // One that does not hold.
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
}
