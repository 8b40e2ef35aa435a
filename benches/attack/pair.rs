//! Two members that chat, and the latency of their messages.

use std::{
    collections::HashMap,
    fmt,
    net::SocketAddr,
    time::{Duration, Instant},
};

use serde_json::Value;

use crate::{member::Member, peer::PATIENCE};

/// Pause between two messages of the pair, unless the measurement is too long for it.
const PAUSE: Duration = Duration::from_millis(20);
/// How long the attackers run before their effect is measured.
const WARM_UP: Duration = Duration::from_secs(1);
/// Messages that one of them may send at once, and in a second: somewhat below the server's limits.
const MAY_SAY: (f64, f64) = (180.0, 10.0);

/// The measured latencies.
#[derive(Clone, Copy)]
pub(crate) struct Figures {
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) worst: Duration,
}

impl Figures {
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)];
        Self {
            p50: at(50),
            p99: at(99),
            worst: at(100),
        }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        let (p50, p99, worst) = (ms(self.p50), ms(self.p99), ms(self.worst));
        write!(out, "{p50:>6.2} {p99:>6.2} {worst:>7.2}")
    }
}

/// See the module's docs.
pub(crate) struct Pair([Member; 2]);

impl Pair {
    /// Joins two users that the server does not know, so that their rate limits are unused.
    pub(crate) fn enter(to: SocketAddr, key: u64) -> Self {
        Self([0, 1].map(|number| {
            let key = key + number;
            Member::enter(to, &format!("honest{key}"), key)
        }))
    }

    /// Sends in turn, without waiting for answers. A message's latency counts from when it was due,
    /// so that a message that the attack delayed counts as late.
    pub(crate) fn talk(self, time: Duration) -> Figures {
        let Self(mut members) = self;
        let all = WARM_UP + time;
        let (burst, rate) = MAY_SAY;
        let messages = 2.0 * (burst + rate * all.as_secs_f64());
        let pause = PAUSE.max(all.div_f64(messages));
        let mut open = HashMap::new();
        let mut times = Vec::new();
        let begin = Instant::now();
        let mut due = begin;
        let mut number = 0_u64;
        while due < begin + all || !open.is_empty() {
            if due < begin + all && due <= Instant::now() {
                members[usize::from(number % 2 == 1)].say(&format!("beat {number}"));
                open.insert(number, due);
                number += 1;
                due += pause;
            }
            let patience = Instant::now() + PATIENCE;
            let until = if due < begin + all { due } else { patience };
            Member::wait(&members, until);
            for (turn, member) in members.iter_mut().enumerate() {
                while let Some(frame) = member.arrived() {
                    let now = Instant::now();
                    let Some(number) = beat(&frame) else { continue };
                    if usize::from(number % 2 == 1) == turn {
                        continue;
                    }
                    let due = open.remove(&number).expect("each is heard once");
                    if due >= begin + WARM_UP {
                        times.push(now - due);
                    }
                }
            }
            assert!(
                open.values().all(|due| due.elapsed() < PATIENCE),
                "one of the pair's messages was not heard"
            );
        }
        Figures::of(times)
    }
}

/// Returns the number of one of the pair's messages.
fn beat(frame: &[u8]) -> Option<u64> {
    let frame: Value = serde_json::from_slice(frame).unwrap();
    match frame["type"].as_str().unwrap() {
        "error" | "bye" => panic!("the pair was told {frame}"),
        "message" => {
            let text = frame["message"].as_str().unwrap();
            text.strip_prefix("beat ")?.parse().ok()
        }
        _ => None,
    }
}
