//! How often the readers of a room are woken for its member list alone.
//!
//! To wake `n` readers is to write `n` times, some microseconds each. Were each change told at once, a
//! crowd that comes into one room would cost the square of its number in writes, and a big room whose
//! people come and go all day would have its worker do nothing else. So changes gather for a time that
//! grows with the readers, and telling them takes a bounded share of the worker for each room
//! ([`FOR_EACH_READER`]). A message does not wait: who is woken by one reads the changes before it as
//! well, in their order.

use std::{cmp::Reverse, collections::BinaryHeap, mem, time::Duration};

use crate::server::log::RoomIndex;

/// Between one time that a room's readers are told and the next, for each of them. A write takes 3 to
/// 6 µs: so a third of the worker's time at the most, and 20 ms in a room of a thousand.
const FOR_EACH_READER: Duration = Duration::from_micros(20);
/// Nobody waits for less: timers are no finer.
const GATHER_MIN: Duration = Duration::from_millis(1);
/// Nobody waits for longer, however many they are: what a room keeps of its changes is given back a
/// second after the last one.
const GATHER_MAX: Duration = Duration::from_millis(500);

/// The rooms of one worker.
#[derive(Debug, Default)]
pub(super) struct PresenceThrottle {
    rooms: Vec<Room>,
    /// When to look at a room: one alarm for each at the most.
    alarms: BinaryHeap<Reverse<(Duration, RoomIndex)>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Room {
    /// Its readers are not told before this time.
    next: Duration,
    /// There is something to tell them then.
    waiting: bool,
    /// It has an alarm.
    alarm: bool,
}

impl PresenceThrottle {
    /// The member list of a room changed: whether its readers are to be woken now. Otherwise they are
    /// [`due`](Self::due).
    pub(super) fn changed(&mut self, now: Duration, room: RoomIndex, readers: usize) -> bool {
        let index = room.at();
        if self.rooms.len() <= index {
            self.rooms.resize(index + 1, Room::default());
        }
        let state = &mut self.rooms[index];
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

    /// The readers of a room are woken for something else, and so are told.
    pub(super) fn woken(&mut self, room: RoomIndex) {
        if let Some(state) = self.rooms.get_mut(room.at()) {
            state.waiting = false;
        }
    }

    /// When to ask [`take_due`](Self::take_due).
    pub(super) fn due(&self) -> Option<Duration> {
        self.alarms.peek().map(|Reverse((at, _))| *at)
    }

    /// A room whose readers are to be woken now, if there is one.
    pub(super) fn take_due(
        &mut self,
        now: Duration,
        readers: impl Fn(RoomIndex) -> usize,
    ) -> Option<RoomIndex> {
        while self.due().is_some_and(|at| at <= now) {
            let Reverse((_, room)) = self.alarms.pop()?;
            let state = &mut self.rooms[room.at()];
            state.alarm = false;
            if !state.waiting {
                continue;
            }
            if now >= state.next {
                state.waiting = false;
                state.next = now + gather(readers(room));
                return Some(room);
            }
            // The alarm was for what they were told with a message.
            state.alarm = true;
            self.alarms.push(Reverse((state.next, room)));
        }
        None
    }
}

/// How long changes gather for so many readers.
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

    const ROOM: RoomIndex = RoomIndex::LOBBY;

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
    fn what_gathered_is_told_once_and_the_next_gathers_anew() {
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
    fn who_is_woken_by_a_message_is_not_woken_again_for_what_he_read_with_it() {
        let mut throttle = PresenceThrottle::default();
        let readers = |_| 1_000;
        assert!(throttle.changed(ms(0), ROOM, 1_000));
        assert!(!throttle.changed(ms(1), ROOM, 1_000));
        throttle.woken(ROOM);
        assert_eq!(throttle.take_due(ms(20), readers), None);
        // But for what comes behind it.
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
