//! Limits how often the readers of a room are woken for its member list alone.
//!
//! Waking `n` readers takes `n` writes, some microseconds each. If each change were sent at once, a
//! crowd that joins one room would cost the square of its number in writes, and a big room with
//! many joins and leaves would keep its worker busy with nothing else. So changes gather for a time
//! that grows with the number of readers, and sending them takes a bounded share of the worker for
//! each room ([`FOR_EACH_READER`]). A message does not wait: a reader woken by one also reads the
//! changes before it, in order.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
    mem,
    time::Duration,
};

use crate::protocol::RoomId;

/// The interval between two wakes of a room's readers, for each reader. A write takes 3 to 6 µs: so
/// at most a third of the worker's time, and 20 ms in a room of a thousand.
const FOR_EACH_READER: Duration = Duration::from_micros(20);
/// Shorter delays are skipped: timers are no finer.
const GATHER_MIN: Duration = Duration::from_millis(1);
/// The longest delay, for any number of readers: a room's changes are released a second after the
/// last one.
const GATHER_MAX: Duration = Duration::from_millis(500);

/// The state of a worker's rooms.
#[derive(Debug, Default)]
pub(super) struct PresenceThrottle {
    rooms: HashMap<RoomId, Room>,
    /// When to check a room: at most one alarm for each.
    alarms: BinaryHeap<Reverse<(Duration, RoomId)>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Room {
    /// Its readers are not woken before this time.
    next: Duration,
    /// There are changes to send then.
    waiting: bool,
    /// It has an alarm.
    alarm: bool,
}

impl PresenceThrottle {
    /// The member list of a room changed. Returns whether its readers are to be woken now;
    /// otherwise they are [`due`](Self::due) later.
    pub(super) fn changed(&mut self, now: Duration, room: RoomId, readers: usize) -> bool {
        let state = self.rooms.entry(room).or_default();
        if !state.waiting && now >= state.next {
            state.next = now + gather(readers);
            return true;
        }
        state.waiting = true;
        if !mem::replace(&mut state.alarm, true) {
            self.alarms.push(Reverse((state.next, room)));
        }
        false
    }

    /// The readers of a room are woken for something else, and so read the changes too.
    pub(super) fn woken(&mut self, room: RoomId) {
        if let Some(state) = self.rooms.get_mut(&room) {
            state.waiting = false;
        }
    }

    /// When to call [`take_due`](Self::take_due).
    pub(super) fn due(&self) -> Option<Duration> {
        self.alarms.peek().map(|Reverse((at, _))| *at)
    }

    /// A room whose readers are to be woken now, if any.
    pub(super) fn take_due(
        &mut self,
        now: Duration,
        readers: impl Fn(RoomId) -> usize,
    ) -> Option<RoomId> {
        while self.due().is_some_and(|at| at <= now) {
            let Reverse((_, room)) = self.alarms.pop()?;
            let state = self.rooms.entry(room).or_default();
            state.alarm = false;
            if !state.waiting {
                continue;
            }
            if now >= state.next {
                state.waiting = false;
                state.next = now + gather(readers(room));
                return Some(room);
            }
            // The alarm was for changes that were sent with a message.
            state.alarm = true;
            self.alarms.push(Reverse((state.next, room)));
        }
        None
    }
}

/// How long changes gather, for this number of readers.
fn gather(readers: usize) -> Duration {
    let readers = u32::try_from(readers).unwrap_or(u32::MAX);
    let long = FOR_EACH_READER.saturating_mul(readers).min(GATHER_MAX);
    if long < GATHER_MIN {
        Duration::ZERO
    } else {
        long
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOM: RoomId = RoomId::LOBBY;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn few_are_told_at_once_and_many_at_intervals() {
        let few = [(0, 0), (1, 0), (49, 0), (50, 1)];
        let many = [(1_000, 20), (10_000, 200), (25_000, 500), (usize::MAX, 500)];
        for (readers, wait) in few.into_iter().chain(many) {
            let mut throttle = PresenceThrottle::default();
            assert!(
                throttle.changed(ms(5), ROOM, readers),
                "{readers}: the first"
            );
            assert_eq!(
                throttle.changed(ms(5), ROOM, readers),
                wait == 0,
                "{readers}"
            );
            let due = (wait > 0).then_some(ms(5 + wait));
            assert_eq!(throttle.due(), due, "{readers}");
        }
    }

    #[test]
    fn gathered_changes_are_sent_once_and_later_ones_gather_again() {
        let mut throttle = PresenceThrottle::default();
        let readers = |_| 1_000;
        assert!(throttle.changed(ms(0), ROOM, 1_000));
        for time in 1..20 {
            assert!(!throttle.changed(ms(time), ROOM, 1_000));
            assert_eq!(throttle.take_due(ms(time), readers), None);
        }
        assert_eq!(throttle.take_due(ms(20), readers), Some(ROOM));
        assert_eq!(throttle.take_due(ms(20), readers), None);
        assert_eq!(throttle.due(), None);
        assert!(!throttle.changed(ms(39), ROOM, 1_000));
        assert_eq!(throttle.take_due(ms(40), readers), Some(ROOM));
        assert!(throttle.changed(ms(60), ROOM, 1_000), "it was quiet");
    }

    #[test]
    fn a_reader_woken_by_a_message_is_not_woken_again_for_the_changes_before_it() {
        let mut throttle = PresenceThrottle::default();
        let readers = |_| 1_000;
        assert!(throttle.changed(ms(0), ROOM, 1_000));
        assert!(!throttle.changed(ms(1), ROOM, 1_000));
        throttle.woken(ROOM);
        assert_eq!(throttle.take_due(ms(20), readers), None);
        // Except for later changes.
        assert!(throttle.changed(ms(20), ROOM, 1_000));
        assert!(!throttle.changed(ms(21), ROOM, 1_000));
        throttle.woken(ROOM);
        assert!(!throttle.changed(ms(22), ROOM, 1_000));
        assert_eq!(throttle.take_due(ms(39), readers), None);
        assert_eq!(throttle.take_due(ms(40), readers), Some(ROOM));
        assert_eq!(throttle.take_due(ms(40), readers), None);
    }

    #[test]
    fn however_often_both_happen_a_room_has_one_alarm() {
        let mut throttle = PresenceThrottle::default();
        for time in 0..1_000 {
            throttle.changed(ms(time), ROOM, 10_000);
            throttle.woken(ROOM);
            assert!(throttle.alarms.len() <= 1);
        }
        assert!(!throttle.changed(ms(999), ROOM, 10_000));
        let told = (999..2_000).find(|&time| throttle.take_due(ms(time), |_| 10_000).is_some());
        assert!((999..=1_000).contains(&told.unwrap()));
    }
}
