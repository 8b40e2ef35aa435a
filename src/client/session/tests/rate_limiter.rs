//! The session against a server with limits, over a slow network: how many messages are refused,
//! and how long all take.

use std::collections::VecDeque;

use super::*;
use crate::client::session::outbox::{FLIGHT_FIRST, TRIAL};

const MS: Duration = Duration::from_millis(1);

/// A server that limits the rate by the rule in PROTOCOL.md.
struct Limited {
    cost: Duration,
    burst: u32,
    paid: Duration,
    /// The pause between two messages in the room.
    slow: Duration,
    wrote: Option<Duration>,
    settled: u64,
    held: Option<u64>,
    refused: usize,
}

impl Limited {
    fn new(per_minute: u32, burst: u32) -> Self {
        Self {
            cost: Duration::from_mins(1) / per_minute,
            burst,
            paid: Duration::ZERO,
            slow: Duration::ZERO,
            wrote: None,
            settled: 0,
            held: None,
            refused: 0,
        }
    }

    /// For how long a message is too early.
    fn wait(&self, now: Duration) -> Duration {
        let debt_max = self.cost * (self.burst - 1);
        let pace = self.paid.saturating_sub(now).saturating_sub(debt_max);
        let slow = self.wrote.map_or(Duration::ZERO, |wrote| wrote + self.slow);
        pace.max(slow.saturating_sub(now))
    }

    fn count(&mut self, now: Duration) {
        self.paid = self.paid.max(now) + self.cost;
    }

    fn answer(&mut self, now: Duration, frame: &ClientFrame) -> Option<ServerFrame> {
        let ClientFrame::Submit(message) = frame else {
            return None;
        };
        let counter = message.id?.counter;
        if self.held.is_some_and(|held| counter > held) || counter > self.settled + 1 {
            self.refused += 1;
            return Some(refusal(counter, ErrorCode::HeldBack, Some(250)));
        }
        assert_eq!(counter, self.settled + 1, "none is sent that is settled");
        let wait = self.wait(now);
        if !wait.is_zero() {
            self.refused += 1;
            self.held = Some(counter);
            let ms = u64::try_from(wait.as_millis()).unwrap() + 1;
            return Some(refusal(counter, ErrorCode::RateLimited, Some(ms)));
        }
        self.count(now);
        self.held = None;
        self.wrote = Some(now);
        self.settled = counter;
        Some(echo(
            counter,
            counter,
            message.content.as_ref().unwrap().words(),
        ))
    }
}

/// Frames on their way.
struct Network {
    seed: u64,
    least: Duration,
    most: Duration,
    up: VecDeque<(Duration, ClientFrame)>,
    down: VecDeque<(Duration, ServerFrame)>,
}

impl Network {
    /// When a frame sent now arrives: not before the one sent before it.
    fn arrives(&mut self, now: Duration, before: Option<Duration>) -> Duration {
        self.seed = self.seed.wrapping_mul(6_364_136_223_846_793_005) + 1;
        let span = self.most.saturating_sub(self.least).as_micros();
        let span = u64::try_from(span).unwrap() + 1;
        let latency = self.least + Duration::from_micros((self.seed >> 33) % span);
        (now + latency).max(before.unwrap_or_default())
    }
}

/// A user who sends many messages at once.
struct Talk {
    messages: u64,
    /// The limits in `welcome`.
    told: Option<(u64, u64)>,
    /// How long a frame is on its way.
    latency: (Duration, Duration),
    /// How often another device of the user sends too.
    other: Option<Duration>,
}

impl Talk {
    /// How long it took until all messages were accepted.
    fn hold(&self, server: &mut Limited) -> Duration {
        let mut run = TestSession::new();
        run.enter(Welcome {
            limits: Limits {
                unanswered_messages: 1000,
                messages_per_minute: self.told.map(|told| told.0),
                messages_burst: self.told.map(|told| told.1),
                ..welcome().limits
            },
            ..welcome()
        });
        run.events.clear();
        let mut network = Network {
            seed: self.messages,
            least: self.latency.0,
            most: self.latency.1,
            up: VecDeque::new(),
            down: VecDeque::new(),
        };
        let since = run.elapsed;
        let mut others = self.other.map(|every| since + every);
        for number in 1..=self.messages {
            run.send(&number.to_string());
        }
        while server.settled < self.messages {
            for frame in run.frames() {
                let before = network.up.back().map(|(at, _)| *at);
                let at = network.arrives(run.elapsed, before);
                network.up.push_back((at, frame));
            }
            let up = network.up.front().map(|(at, _)| *at);
            let down = network.down.front().map(|(at, _)| *at);
            let next = [up, down, run.session.deadline(), others];
            run.elapsed = next.into_iter().flatten().min().unwrap().max(run.elapsed);
            let now = run.elapsed;
            assert!(
                now.saturating_sub(since) < Duration::from_hours(1),
                "it hangs"
            );
            if others.is_some_and(|at| at <= now) {
                others = self.other.map(|every| now + every);
                if server.wait(now).is_zero() {
                    server.count(now);
                }
            }
            if let Some((_, frame)) = network.up.pop_front_if(|(at, _)| *at <= now) {
                if let Some(answer) = server.answer(now, &frame) {
                    let before = network.down.back().map(|(at, _)| *at);
                    let at = network.arrives(now, before);
                    network.down.push_back((at, answer));
                }
            } else if let Some((_, frame)) = network.down.pop_front_if(|(at, _)| *at <= now) {
                run.say(frame);
            } else {
                let moment = run.now();
                run.session.handle_time(moment);
                run.settle();
            }
        }
        run.elapsed.saturating_sub(since)
    }
}

/// Three hundred at once, to a server with the usual limits.
fn usual() -> Talk {
    Talk {
        messages: 300,
        told: Some((600, 200)),
        latency: (10 * MS, 10 * MS),
        other: None,
    }
}

#[test]
fn messages_sent_at_once_leave_at_the_servers_rate() {
    for (least, most) in [(0, 0), (10, 10), (1, 300), (200, 600)] {
        let mut server = Limited::new(600, 200);
        let talk = Talk {
            latency: (least * MS, most * MS),
            ..usual()
        };
        let took = talk.hold(&mut server);
        // A hundred are above the burst, ten in a second.
        let due = Duration::from_secs(10);
        let round_trips = 20 * most * MS;
        assert!(
            took < due + Duration::from_secs(1) + round_trips,
            "{took:?}"
        );
        assert!(server.refused <= 5, "{} refused, {most} ms", server.refused);
    }
}

#[test]
fn few_messages_are_refused_whatever_was_used_before() {
    let mut server = Limited::new(600, 200);
    server.paid = 200 * server.cost;
    let took = usual().hold(&mut server);
    assert!(server.refused <= FLIGHT_FIRST, "{} refused", server.refused);
    assert!(took < Duration::from_secs(32), "{took:?}");
}

#[test]
fn a_server_that_does_not_tell_its_pace_refuses_one_a_message_at_most() {
    for told in [None, Some((6000, 2000))] {
        let mut server = Limited::new(600, 100);
        let talk = Talk { told, ..usual() };
        talk.hold(&mut server);
        // Those sent before the first refusal arrived, and then at most one for each.
        assert!(server.refused <= 600, "{} refused", server.refused);
    }
}

#[test]
fn another_device_of_the_same_user_costs_one_refusal_a_message_at_most() {
    let mut server = Limited::new(600, 50);
    let talk = Talk {
        messages: 150,
        told: Some((600, 50)),
        other: Some(100 * MS),
        ..usual()
    };
    talk.hold(&mut server);
    assert!(server.refused <= 150 + FLIGHT_FIRST, "{}", server.refused);
}

#[test]
fn a_slowed_room_refuses_one_a_message_at_most() {
    let mut server = Limited::new(600, 200);
    server.slow = Duration::from_secs(30);
    let talk = Talk {
        messages: 20,
        ..usual()
    };
    let took = talk.hold(&mut server);
    assert!(server.refused <= 19 + FLIGHT_FIRST, "{}", server.refused);
    assert!(took < 20 * server.slow, "{took:?}");
}

#[test]
fn after_a_refusal_one_goes_and_more_only_when_they_are_taken() {
    let mut run = TestSession::online();
    for number in 1..=20 {
        run.send(&number.to_string());
    }
    run.wrote(&["1 1", "2 2", "3 3", "4 4"]);
    run.say(refusal(1, ErrorCode::NotDurable, Some(1000)));
    for counter in 2..=4 {
        run.say(refusal(counter, ErrorCode::HeldBack, Some(250)));
    }
    run.wrote(&[]);
    run.time();
    for counter in 1..=u64::from(TRIAL) + 1 {
        run.wrote(&[&format!("{counter} {counter}")]);
        run.say(echo(counter, counter, "x"));
    }
    run.wrote(&["10 10", "11 11"]);
}

#[test]
fn a_connection_begins_with_few_and_sends_again_what_was_paid_for() {
    let limits = Limits {
        unanswered_messages: 1000,
        messages_per_minute: Some(60),
        messages_burst: Some(12),
        ..welcome().limits
    };
    let wide = || Welcome {
        limits,
        ..welcome()
    };
    let mut run = TestSession::new();
    run.enter(wide());
    for number in 1..=15 {
        run.send(&number.to_string());
    }
    let sent = run.frames().len();
    assert_eq!(sent, 11, "the rest at the pace");
    run.lose();
    run.enter(wide());
    assert!(
        run.frames().len() >= sent,
        "as before, and what is due by now"
    );
    // A message that waits for its time wakes the session.
    run.time();
    assert_eq!(run.frames().len(), 1);
}
