//! The network between one client and the server: two pipes with delay and little room.

use std::{collections::VecDeque, time::Duration};

use fastrand::Rng;

/// The quality of a link.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Quality {
    /// The least delay of bytes.
    pub(crate) delay: Duration,
    /// The largest additional delay.
    pub(crate) jitter: Duration,
    /// The capacity in bytes: more are not taken until some have arrived.
    pub(crate) room_bytes: usize,
    /// The longest piece in which bytes arrive.
    pub(crate) piece_bytes: usize,
}

impl Quality {
    /// Returns a typical network: a machine's own, a good one, a phone's, a very slow one.
    pub(crate) fn any(rng: &mut Rng) -> Self {
        let ms = Duration::from_millis;
        let (delay, jitter, room_bytes, piece_bytes) = match rng.u8(..4) {
            0 => (ms(0), ms(0), 1 << 20, 1 << 16),
            1 => (ms(1), ms(3), 1 << 16, 1448),
            2 => (ms(40), ms(200), 8 << 10, 1448),
            _ => (ms(5), ms(50), 512, 37),
        };
        Self {
            delay,
            jitter,
            room_bytes,
            piece_bytes,
        }
    }
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Pipe {
    quality: Quality,
    under_way: VecDeque<(Duration, Vec<u8>)>,
    bytes: usize,
    /// Bytes are dropped silently.
    pub(crate) black_hole: bool,
    last_arrival: Duration,
}

impl Pipe {
    /// Returns an empty pipe.
    pub(crate) fn new(quality: Quality) -> Self {
        Self {
            quality,
            under_way: VecDeque::new(),
            bytes: 0,
            black_hole: false,
            last_arrival: Duration::ZERO,
        }
    }

    /// Takes as many bytes as there is room for, and returns how many.
    pub(crate) fn write(&mut self, now: Duration, bytes: &[u8], rng: &mut Rng) -> usize {
        let room = self.quality.room_bytes.saturating_sub(self.bytes);
        let mut count = bytes.len().min(room);
        if count > 1 && rng.u8(..8) == 0 {
            count = rng.usize(1..=count); // A short write, as a kernel may make.
        }
        self.write_all(now, &bytes[..count], rng);
        count
    }

    /// Whether there is any room.
    pub(crate) fn has_room(&self) -> bool {
        self.bytes < self.quality.room_bytes
    }

    /// Takes all bytes, whether or not there is room for them.
    pub(crate) fn write_all(&mut self, now: Duration, mut rest: &[u8], rng: &mut Rng) {
        self.bytes += rest.len();
        while !rest.is_empty() {
            let piece = rest.len().min(rng.usize(1..=self.quality.piece_bytes));
            let jitter = self.quality.jitter.mul_f64(rng.f64());
            let delay = self.quality.delay + jitter;
            self.last_arrival = self.last_arrival.max(now + delay);
            self.under_way
                .push_back((self.last_arrival, rest[..piece].to_vec()));
            rest = &rest[piece..];
        }
    }

    /// Returns when the next bytes arrive. Those in a black hole never do, and fill it.
    pub(crate) fn next_arrival(&self) -> Option<Duration> {
        if self.black_hole {
            return None;
        }
        self.under_way.front().map(|(time, _)| *time)
    }

    /// Returns the bytes that have arrived by now.
    pub(crate) fn read(&mut self, now: Duration) -> Option<Vec<u8>> {
        if self.next_arrival()? > now {
            return None;
        }
        let (_, bytes) = self.under_way.pop_front()?;
        self.bytes -= bytes.len();
        Some(bytes)
    }

    /// Whether nothing is under way.
    pub(crate) fn is_empty(&self) -> bool {
        self.under_way.is_empty()
    }
}
