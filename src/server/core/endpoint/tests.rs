use super::*;
use crate::{
    protocol::{
        Extent, Fingerprint, ReadState, RoomId, RoomInfo, RoomName,
        frame::{Bye, Departure, RoomStart, Welcome},
        wire::parse_server,
    },
    server::{
        core::{event::Joined, replica::ReplicaLimits, testing::start},
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

const WELCOME: &str = r#"{"type":"welcome","server":"chat-tui","user":"1b2c3d4e5f60718293a4b5c6",
    "device":"a3f1c09b7d2e4f5a6b7c8d9e","nickname":"carol","timestamp":"2026-11-22T09:22:21Z",
    "token":"8f3a5f8e9b1c4d2e8f3a5f8e9b1c4d2e8f3a5f8e9b1c4d2e8f3a5f8e9b1c4d2e","protocol":2,
    "epoch":"00c0ffee00c0ffee","rooms":[],"counter":0,"limits":{"frame_bytes":65536,
    "text_bytes":16384,"nickname_graphemes":32,"unanswered_messages":1000,"ping_after_ms":20000,
    "gone_after_ms":45000}}"#;

/// The welcome of a user in very many rooms is longer than what else may wait for a client.
#[test]
fn a_long_welcome_is_not_taken_for_a_client_that_reads_too_slowly() {
    let mut replica = Replica::new([], ReplicaLimits::default());
    let mut endpoint = joined();
    let start = RoomStart {
        room: RoomId::LOBBY,
        info: RoomInfo::public(RoomName::lobby()),
        read: ReadState::default(),
        extent: Extent::new(1, 0),
        next: 1,
        changed: 0,
        redacted: 0,
        reset: None,
    };
    let rooms = vec![start; UNREAD_BYTES_MAX / 50];
    let tell = |frame| ConnectionCommand::Tell(Box::new(frame));
    let ServerFrame::Welcome(welcome) = parse_server(WELCOME.as_bytes()).unwrap() else {
        unreachable!()
    };
    let joined = Joined {
        rooms: Vec::new(),
        watched: Vec::new(),
        welcome: Welcome {
            rooms: rooms.clone(),
            ..welcome
        },
    };
    let admit = ConnectionCommand::Admit(Box::new(joined));
    endpoint.handle_command(at(1), &mut replica, admit);
    assert!(endpoint.held_bytes() > UNREAD_BYTES_MAX);
    let few = ServerFrame::Rooms(vec![rooms[0].clone()]);
    endpoint.handle_command(at(1), &mut replica, tell(few.clone()));
    assert!(!endpoint.is_closing());
    // Once it is written, there is no more room than for others.
    endpoint.wrote_all();
    endpoint.handle_command(at(1), &mut replica, tell(ServerFrame::Rooms(rooms)));
    assert!(!endpoint.is_closing(), "nothing waited before");
    endpoint.handle_command(at(1), &mut replica, tell(few));
    assert!(endpoint.is_closing());
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
