//! The generator's messages, and their timing.
//!
//! A message has 100 bytes: `~~`, the room (5 digits), its publisher (2), the number of the
//! publisher's message there (9), its due time (14 digits of nanoseconds since the start), and `x`
//! to the end. No other received text has two tildes.

use std::{
    ops::Range,
    time::{Duration, Instant},
};

use super::{Load, PATIENCE};
use crate::client::Stage;

pub(super) const PAYLOAD: usize = 100;
pub(super) const MARK: &[u8] = b"~~";
pub(super) const ROOM: Range<usize> = 2..7;
pub(super) const PUBLISHER: Range<usize> = 7..9;
pub(super) const NUMBER: Range<usize> = 9..18;
pub(super) const DUE: Range<usize> = 18..32;

/// Windows that pass before the measurement.
const WARM_WINDOWS: u64 = 4;

impl Load {
    /// Sends the next message of a room, which was due at `due`.
    pub(crate) fn say(&mut self, room: usize, due: u64) -> usize {
        let number = room;
        let room = &mut self.rooms[room];
        let publisher = room.turn % room.publishers.len();
        room.turn += 1;
        let mut text = [b'x'; PAYLOAD];
        text[..MARK.len()].copy_from_slice(MARK);
        put(&mut text[ROOM], number as u64);
        put(&mut text[PUBLISHER], publisher as u64);
        put(&mut text[NUMBER], room.sent[publisher]);
        put(&mut text[DUE], due);
        room.sent[publisher] += 1;
        let client = room.publishers[publisher];
        self.clients[client].publish(number, &text);
        client
    }

    /// Like [`say`](Self::say), due now.
    pub(crate) fn say_now(&mut self, room: usize) {
        let client = self.say(room, self.now());
        self.flush(client);
    }

    /// Refills each room in which a message has arrived, until the slowest member is `window`
    /// messages behind; at least an eighth of that at a time.
    pub(crate) fn refill(&mut self, window: u64) {
        for number in std::mem::take(&mut self.touched) {
            self.rooms[number].touched = false;
            self.refill_room(number, window);
        }
    }

    /// Refills one room, even if nothing has arrived.
    pub(crate) fn refill_room(&mut self, number: usize, window: u64) {
        let free = window.saturating_sub(
            self.rooms[number]
                .said()
                .saturating_sub(self.slowest(number)),
        );
        if free == 0 || free < window / 8 {
            return;
        }
        for _ in 0..free {
            self.say(number, 0);
        }
        for publisher in self.rooms[number].publishers.clone() {
            self.flush(publisher);
        }
    }

    /// Marks all rooms for the first refill.
    pub(crate) fn touch_all(&mut self) {
        for (number, room) in self.rooms.iter_mut().enumerate() {
            if !room.touched && !room.publishers.is_empty() {
                room.touched = true;
                self.touched.push(number);
            }
        }
    }

    /// Returns the number of messages that the slowest member of a room has received.
    fn slowest(&self, number: usize) -> u64 {
        let room = &self.rooms[number];
        let members = room.members.iter().map(|&member| &self.clients[member]);
        members
            .filter(|client| client.stage != Stage::Gone)
            .map(|client| {
                let slot = &client.slots[number - client.rooms.start];
                slot.next.iter().flatten().sum()
            })
            .min()
            .unwrap_or(u64::MAX)
    }

    /// Runs with full windows for this time, and until a few windows have passed: in the first one
    /// the kernel's buffers grow, into memory that may be new to the machine itself.
    pub(crate) fn warm_up(&mut self, window: u64, time: Duration) {
        let rooms = self.rooms.iter().filter(|room| !room.publishers.is_empty());
        let members = rooms.map(|room| room.members.len() as u64).sum::<u64>();
        let enough = self.counts.deliveries + WARM_WINDOWS * window * members;
        let end = Instant::now() + time;
        while Instant::now() < end || self.counts.deliveries < enough {
            self.refill(window);
            self.poll(Duration::from_millis(10));
            assert!(end.elapsed() < PATIENCE, "it does not get warm");
        }
    }

    /// Runs with full windows for this time.
    pub(crate) fn talk(&mut self, window: u64, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.refill(window);
            self.poll(Duration::from_millis(10));
        }
    }

    /// Sends at a steady rate for this time, to these rooms in turn, whoever is late, and calls
    /// `besides` in each round. Returns the largest delay of the generator itself.
    pub(crate) fn beat(
        &mut self,
        rooms: Range<usize>,
        per_second: u64,
        time: Duration,
        mut besides: impl FnMut(&mut Self),
    ) -> Duration {
        let pause = 1_000_000_000 / per_second;
        let mut due = self.now();
        let end = due + u64::try_from(time.as_nanos()).unwrap();
        let mut room = rooms.clone().cycle();
        let mut late = 0;
        while due < end {
            let now = self.now();
            if due <= now {
                late = late.max(now - due);
                let client = self.say(room.next().unwrap(), due);
                self.flush(client);
                due += pause;
            }
            besides(self);
            let left = due.saturating_sub(self.now());
            self.poll(Duration::from_nanos(left));
        }
        Duration::from_nanos(late)
    }
}

fn put(digits: &mut [u8], mut number: u64) {
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + u8::try_from(number % 10).unwrap();
        number /= 10;
    }
}
