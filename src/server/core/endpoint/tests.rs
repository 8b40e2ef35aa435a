use super::*;
use crate::{
    protocol::{
        Fingerprint, RoomId,
        frame::{Bye, Departure},
    },
    server::{
        core::{replica::ReplicaLimits, testing::start},
        front::{self, AnyDialect},
    },
    text::Line,
};

fn channel() -> Channel {
    let [theirs, own] = ["192.0.2.1:7", "192.0.2.2:10500"].map(|a| a.parse().unwrap());
    Channel::plain(theirs, Fingerprint::from_bytes([7; 32]), own)
}

#[test]
fn the_end_is_told_in_the_turn_in_which_it_is_reached() {
    let mut replica = Replica::new([(RoomId::LOBBY, 0)], ReplicaLimits::default());
    let mut endpoint = fresh();
    // A legacy client gets no last frame for its own goodbye: nothing would follow.
    let join = br#"{"type":"join","nickname":"carol","clientID":"3"}"#;
    assert!(receive(&mut endpoint, start(), join).is_some());
    let last = Some(Box::new(ServerFrame::Bye(Bye {
        reason: Departure::Disconnect,
        message: Line::inert("Goodbye"),
        retry_after_ms: None,
    })));
    let close = ConnectionCommand::Close { last, drain: true };
    endpoint.handle_command(start(), &mut replica, close);
    assert!(matches!(
        endpoint.poll_turn(start(), &mut replica),
        Turn::Done
    ));
}

type Endpoint = front::Endpoint;

impl Endpoint {
    /// Writes all its answers.
    fn wrote_all(&mut self) {
        let mut replica = Replica::new([], ReplicaLimits::default());
        while let Turn::Write(gather) = self.poll_turn(start(), &mut replica) {
            let count = gather.slices().iter().map(|slice| slice.len()).sum();
            self.handle_written(start(), &replica, count);
        }
    }
}

fn fresh() -> Endpoint {
    Endpoint::new(channel(), AnyDialect::json(), start())
}

fn joined() -> Endpoint {
    let mut endpoint = fresh();
    endpoint.state = State::Joined;
    endpoint
}

/// The time after this many seconds.
fn at(seconds: u64) -> Now {
    let start = start();
    Now {
        mono: start.mono + Duration::from_secs(seconds),
        ..start
    }
}

fn receive(endpoint: &mut Endpoint, now: Now, bytes: &[u8]) -> Option<Request> {
    endpoint.space()[..bytes.len()].copy_from_slice(bytes);
    endpoint.handle_received(now, bytes.len());
    poll(endpoint)
}

fn poll(endpoint: &mut Endpoint) -> Option<Request> {
    let replica = Replica::new([], ReplicaLimits::default());
    endpoint.poll_request(&replica, || [0; 32])
}

#[test]
fn a_frame_that_does_not_end_ends_the_connection() {
    let mut endpoint = joined();
    assert!(receive(&mut endpoint, at(1), b"{").is_none());
    for second in 2..31 {
        assert!(receive(&mut endpoint, at(second), b" ").is_none());
        assert_eq!(endpoint.handle_tick(at(second)), Pulse::Fine);
    }
    assert_eq!(endpoint.handle_tick(at(31)), Pulse::Late);
    let Some(Request::Refused(refusal)) = poll(&mut endpoint) else {
        panic!("it is not refused");
    };
    assert!(refusal.fatal());
    assert!(refusal.message.contains("30 seconds"), "{refusal:?}");
}

#[test]
fn each_frame_has_a_time_of_its_own_and_only_while_it_is_read() {
    let mut endpoint = joined();
    let ping = b"{\"type\":\"ping\"}";
    assert!(receive(&mut endpoint, at(1), &ping[..5]).is_none());
    // Its rest arrives in time, and with it the beginning of the next one.
    let rest = [&ping[5..], &ping[..5]].concat();
    assert!(receive(&mut endpoint, at(30), &rest).is_some());
    assert!(poll(&mut endpoint).is_none());
    let tick = |endpoint: &mut Endpoint, second| {
        endpoint.handle_alive(at(second));
        endpoint.handle_tick(at(second))
    };
    assert_eq!(tick(&mut endpoint, 59), Pulse::Fine);
    // A frame that waits for the server is not late.
    endpoint.under_way = REQUESTS_MAX;
    assert_eq!(tick(&mut endpoint, 70), Pulse::Fine);
    endpoint.under_way = 0;
    assert_eq!(tick(&mut endpoint, 99), Pulse::Fine);
    assert_eq!(tick(&mut endpoint, 100), Pulse::Late);
    // Between frames there is no limit.
    let mut endpoint = joined();
    assert!(receive(&mut endpoint, at(1), ping).is_some());
    assert!(poll(&mut endpoint).is_none());
    assert_eq!(tick(&mut endpoint, 100), Pulse::Fine);
}

#[test]
fn a_client_told_to_retry_later_is_not_read_for_a_moment() {
    let mut replica = Replica::new([(RoomId::LOBBY, 0)], ReplicaLimits::default());
    let refusal = |wait| ErrorFrame {
        retry_after_ms: wait,
        ..ErrorFrame::new(ErrorCode::RateLimited, "Too fast")
    };
    let message =
        |wait| ConnectionCommand::Answer(Some(Box::new(ServerFrame::Error(refusal(wait)))));
    let look = |wait| ConnectionCommand::Query(Err(Box::new(refusal(wait))));
    let mut check = |command: ConnectionCommand, wait: Option<u64>, pause: Option<Duration>| {
        let mut endpoint = joined();
        endpoint.handle_command(at(1), &mut replica, command);
        endpoint.wrote_all();
        let until = pause.map(|pause| at(1).mono + pause);
        assert_eq!(endpoint.paused(), until, "told to wait {wait:?}");
        assert_eq!(endpoint.may_read(), pause.is_none());
        for (mono, may_read) in until.into_iter().flat_map(|until| {
            let before = until.saturating_sub(Duration::from_nanos(1));
            [(before, false), (until, true)]
        }) {
            endpoint.handle_time(Now { mono, ..at(1) });
            assert_eq!(endpoint.may_read(), may_read, "told to wait {wait:?}");
        }
    };
    for (wait, pause) in [
        (None, None),
        (Some(40), Some(Duration::from_millis(40))),
        (Some(60_000), Some(PAUSE_MAX)),
    ] {
        check(message(wait), wait, pause);
        check(look(wait), wait, pause);
    }
}
