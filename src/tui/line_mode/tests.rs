mod admin;
mod entries;
mod objects;
mod rooms;

use std::time::Duration;

use jiff::{Timestamp, tz::TimeZone};

use super::{
    line_splitter::InputLine,
    model::{ExitStatus, LineModeOptions, LocalUser, Model},
};
use crate::{
    client::{
        Command, Event,
        event::{
            ConnectionStatus, Delivery, Entered, LocalId, OutboxMessage, Page, Received, Restored,
            Said, Summary, Unlogged,
        },
    },
    protocol::{
        Author, Content, DeviceId, Entry, EntryKind, Extent, Mentions, MessageId, Nickname,
        ReadState, Role, RoomId, RoomInfo, RoomName, UserId,
        entry::Text,
        frame::{Member, Part, Reset, RoomStart},
    },
    text::{Body, Line},
};

const SCRIPT: LineModeOptions = LineModeOptions {
    interactive: false,
    commands: false,
    follow: false,
    stamps: false,
    reader: false,
    json: false,
    history: 0,
};
const PERSON: LineModeOptions = LineModeOptions {
    interactive: true,
    commands: true,
    ..SCRIPT
};
const FOLLOWER: LineModeOptions = LineModeOptions {
    follow: true,
    ..SCRIPT
};

fn name(text: &str) -> Nickname {
    Nickname::parse(text).unwrap()
}

fn enter(model: &mut Model, head: u64, next: u64) {
    model.event(Event::Connection(ConnectionStatus::Connecting));
    model.event(Event::Connection(ConnectionStatus::Online));
    model.event(Event::Entered(Entered {
        user: Some(UserId::from_bytes([7; 12])),
        nickname: name("bot"),
        role: Role::Member,
        server: None,
        limits: None,
    }));
    model.event(Event::Room(Box::new(RoomStart {
        changed: 0,
        redacted: 0,
        room: model.room,
        info: model.here.info.clone(),
        read: ReadState::default(),
        extent: Extent::new(1, head),
        next,
        reset: None,
    })));
    members(model);
}

/// The server sends an empty member list.
fn members(model: &mut Model) {
    model.event(Event::Members {
        room: model.room,
        members: Vec::new(),
    });
}

/// A model before anything has happened.
fn started(options: LineModeOptions) -> Model {
    started_in(options, RoomName::LOBBY)
}

/// A model before anything has happened, which writes to a room.
fn started_in(options: LineModeOptions, room: &str) -> Model {
    let local_user = LocalUser {
        server: "chat.lan:10500".to_owned(),
        nickname: name("bot"),
        room: RoomName::parse(room).unwrap(),
        place: None,
        plaintext: false,
        key: None,
    };
    Model::new(options, local_user, TimeZone::UTC)
}

/// A model that has joined a room other than the lobby.
fn in_build(options: LineModeOptions) -> Model {
    let mut model = started_in(options, "build");
    enter(&mut model, 0, 1);
    model.status.clear();
    model
}

/// A model that has joined an empty lobby.
fn model(options: LineModeOptions) -> Model {
    let mut model = started(options);
    enter(&mut model, 0, 1);
    model.status.clear();
    model
}

fn line(model: &mut Model, text: &str) {
    model.line(InputLine::Text {
        text: text.to_owned(),
        damaged: false,
    });
}

fn logged(seq: u64, second: i64, text: &str) -> Entry {
    Entry {
        room: RoomId::LOBBY,
        seq,
        id: MessageId {
            device: DeviceId::from_bytes([9; 12]),
            counter: seq,
        },
        author: Author {
            user: UserId::from_bytes([1; 12]),
            nickname: name("alice"),
            proven: true,
        },
        time: Timestamp::from_second(second).unwrap(),
        clock_was: None,
        kind: EntryKind::Text(Text {
            body: Body::inert(text),
            mentions: Mentions::NONE,
            edited: None,
        }),
    }
}

fn message(seq: u64, second: i64, text: &str) -> Event {
    Event::Message(logged(seq, second, text).into())
}

fn outbox(local: u64, delivery: Delivery) -> Event {
    Event::Outbox(OutboxMessage {
        local: LocalId(local),
        room: RoomId::LOBBY,
        content: Content::Text(Body::inert("x")),
        delivery,
    })
}

fn failed() -> Delivery {
    Delivery::Failed {
        why: Line::inert("No"),
    }
}

fn ended(unsent: u64) -> Event {
    Event::Ended(Summary {
        unsent,
        ..Summary::default()
    })
}

/// The texts and other commands since the last call.
fn commands(model: &mut Model) -> Vec<String> {
    let commands = model.commands.drain(..).map(|command| match command {
        Command::Send { content, .. } => format!("send {}", content.words()),
        other => format!("{other:?}"),
    });
    commands.collect()
}

#[test]
fn a_message_is_a_line_and_its_further_lines_are_indented() {
    let mut model = model(FOLLOWER);
    let morning = 1_763_804_520; // 2025-11-22 09:42 UTC
    model.event(message(1, morning, "hi\nthere"));
    model.event(message(2, morning + 86_400, "\u{1b}[31mred"));
    let output: Vec<_> = model.output.drain(..).collect();
    assert_eq!(output[0], "09:42 alice: hi\n      there\n");
    assert_eq!(output[1], "-- 2025-11-23 --\n");
    assert!(output[2].starts_with("09:42 alice: "), "{output:?}");
    assert!(!output[2].contains('\u{1b}'), "{output:?}");
}

#[test]
fn literal_input_is_sent_as_it_is() {
    let mut model = model(SCRIPT);
    for text in ["/nick x", "q!", "//", "", "   ", " indented"] {
        line(&mut model, text);
    }
    assert_eq!(
        commands(&mut model),
        ["send /nick x", "send q!", "send //", "send  indented"]
    );
}

#[test]
fn input_with_commands_knows_them() {
    let mut model = model(PERSON);
    for text in ["/nick dave", "//etc", "/help", "hello", "q!"] {
        line(&mut model, text);
    }
    let commands = commands(&mut model);
    assert!(commands[0].starts_with("Nick("), "{commands:?}");
    assert_eq!(commands[1..], ["send /etc", "send hello", "Leave"]);
    assert!(model.status.iter().any(|line| line.contains("/nick NAME")));
}

#[test]
fn q_in_a_script_is_the_end_of_its_input() {
    let mut model = model(LineModeOptions {
        commands: true,
        follow: true,
        ..SCRIPT
    });
    for text in ["a", "q!", "never sent"] {
        line(&mut model, text);
    }
    assert_eq!(commands(&mut model), ["send a"]);
    model.event(outbox(1, Delivery::Pending));
    model.event(outbox(1, Delivery::Sent { seq: Some(1) }));
    assert_eq!(commands(&mut model), ["Leave"]);
}

#[test]
fn an_unknown_command_in_a_script_is_a_failure() {
    let mut model = model(LineModeOptions {
        commands: true,
        ..SCRIPT
    });
    line(&mut model, "/nonsense");
    assert!(commands(&mut model).is_empty());
    assert!(model.status[0].contains("no command /nonsense"));
    model.event(ended(0));
    assert_eq!(model.exit_status(), ExitStatus::NotDelivered);
}

#[test]
fn it_leaves_when_the_input_ended_and_all_was_acknowledged() {
    let mut model = model(SCRIPT);
    line(&mut model, "a");
    line(&mut model, "b");
    model.input_ended(None);
    assert_eq!(commands(&mut model), ["send a", "send b"]);
    model.event(outbox(1, Delivery::Pending));
    model.event(outbox(2, Delivery::Pending));
    model.event(outbox(1, Delivery::Sent { seq: Some(1) }));
    assert!(commands(&mut model).is_empty(), "one is on its way");
    model.event(outbox(2, Delivery::Sent { seq: Some(2) }));
    assert_eq!(commands(&mut model), ["Leave"]);
    model.event(ended(0));
    assert_eq!(model.exit_status(), ExitStatus::Good);
}

#[test]
fn unconfirmed_messages_have_an_outcome_of_their_own() {
    let mut model = model(SCRIPT);
    line(&mut model, "a");
    model.input_ended(None);
    commands(&mut model);
    model.event(Event::Connection(ConnectionStatus::Legacy));
    model.event(outbox(1, Delivery::Pending));
    model.event(outbox(1, Delivery::Unconfirmed));
    assert_eq!(commands(&mut model), ["Leave"]);
    model.event(ended(0));
    assert_eq!(model.exit_status(), ExitStatus::Unconfirmed);
    assert_eq!(
        model.last_words(true),
        ["1 message was sent, but not confirmed: an older server, or none, received it.\n"]
    );
    // The welcome came late.
    model.event(outbox(1, Delivery::Sent { seq: Some(1) }));
    model.event(Event::Connection(ConnectionStatus::Online));
    assert_eq!(model.exit_status(), ExitStatus::Good);
    assert!(model.last_words(true).is_empty());
}

#[test]
fn a_server_that_never_answers_is_reported() {
    let mut model = started(SCRIPT);
    model.input_ended(None);
    model.event(Event::Connection(ConnectionStatus::Legacy));
    assert_eq!(commands(&mut model), ["Leave"]);
    model.event(ended(0));
    assert_eq!(model.exit_status(), ExitStatus::Unconfirmed);
    let words = model.last_words(true);
    assert!(
        words[0].contains("No answer from chat.lan:10500"),
        "{words:?}"
    );
    model.ended = None;
    model.event(Event::Message(Received {
        said: Said::Unlogged(Unlogged {
            room: RoomId::LOBBY,
            user: None,
            nickname: name("alice"),
            time: Timestamp::UNIX_EPOCH,
            body: Body::inert("hi"),
        }),
        local: None,
    }));
    assert_eq!(
        model.exit_status(),
        ExitStatus::Good,
        "an older server, and it is there"
    );
}

#[test]
fn a_run_answers_for_its_own_lines() {
    let mut model = started(SCRIPT);
    let left = |local, delivery| OutboxMessage {
        local: LocalId(local),
        room: RoomId::parse("nope").unwrap(),
        content: Content::Text(Body::inert("left\nover")),
        delivery,
    };
    model.restored(&Restored {
        outbox: vec![left(1, Delivery::Pending), left(2, Delivery::Pending)],
        ..Restored::default()
    });
    enter(&mut model, 0, 1);
    line(&mut model, "mine");
    model.input_ended(None);
    commands(&mut model);
    model.status.clear();
    model.event(Event::Outbox(OutboxMessage {
        local: LocalId(1),
        room: RoomId::parse("nope").unwrap(),
        content: Content::Text(Body::inert("left\nover")),
        delivery: failed(),
    }));
    let told = model.status.pop_front().unwrap();
    assert!(
        told.starts_with(
            "A message of an earlier run, for a room that you are not in, was not delivered"
        ),
        "{told}"
    );
    assert!(told.ends_with("send it again:\n  left\n  over\n"), "{told}");
    model.event(outbox(3, Delivery::Pending));
    model.event(outbox(3, Delivery::Sent { seq: Some(1) }));
    // A message of another process, which waits for it itself.
    model.event(outbox(LocalId::OF_OTHERS, Delivery::Pending));
    assert!(
        !commands(&mut model).contains(&"Leave".to_owned()),
        "the other is waited for"
    );
    model.out_of_time();
    model.event(ended(2));
    assert_eq!(model.exit_status(), ExitStatus::Good);
    let words = model.last_words(true);
    assert_eq!(
        words,
        ["1 message of earlier runs is still to be delivered: the next start sends it.\n"]
    );
}

#[test]
fn a_run_on_standby_waits_for_its_lines_and_for_nothing_else() {
    let mut model = started(SCRIPT);
    model.event(Event::Connection(ConnectionStatus::Standby));
    line(&mut model, "a");
    assert_eq!(model.progress(), None, "the input may take its time");
    model.input_ended(None);
    assert_eq!(commands(&mut model), ["send a"]);
    model.event(outbox(1, Delivery::Pending));
    assert!(model.progress().is_some());
    model.event(outbox(1, Delivery::Sent { seq: Some(7) }));
    assert_eq!(commands(&mut model), ["Leave"]);
    model.event(ended(0));
    assert_eq!(model.exit_status(), ExitStatus::Good);
    assert!(model.status.is_empty());

    // A line that needs the lease waits, perhaps for too long.
    let mut model = started(LineModeOptions {
        commands: true,
        ..SCRIPT
    });
    model.event(Event::Connection(ConnectionStatus::Standby));
    line(&mut model, "/bans");
    model.input_ended(None);
    assert!(commands(&mut model).is_empty());
    assert!(model.progress().is_some());
    model.out_of_time();
    model.event(ended(0));
    assert!(model.status[0].contains("give this one another client ID"));
    assert_eq!(model.exit_status(), ExitStatus::NoServer);
}

#[test]
fn the_action_of_another_process_is_the_outcome() {
    for (delivery, says) in [
        (failed(), "Message 1 was not delivered: No"),
        (Delivery::Withdrawn, "another process took it back"),
        (
            Delivery::SettledElsewhere,
            "It is not known whether message 1",
        ),
    ] {
        let mut model = started(SCRIPT);
        model.event(Event::Connection(ConnectionStatus::Standby));
        line(&mut model, "a");
        model.input_ended(None);
        model.event(outbox(1, Delivery::Pending));
        model.event(outbox(1, delivery));
        assert!(model.status[0].contains(says), "{:?}", model.status);
        model.event(ended(0));
        assert_eq!(model.exit_status(), ExitStatus::NotDelivered);
    }
}

#[test]
fn a_line_for_a_file_says_when_in_full() {
    let mut model = model(LineModeOptions {
        stamps: true,
        ..FOLLOWER
    });
    model.zone = TimeZone::fixed(jiff::tz::offset(2));
    model.event(message(1, 1_763_804_520, "hi\nthere"));
    model.event(message(2, 1_763_804_520 + 86_400, "next"));
    assert_eq!(
        model.output,
        [
            "2025-11-22T11:42:00+02:00 alice: hi\n      there\n",
            "2025-11-23T11:42:00+02:00 alice: next\n"
        ]
    );
}

#[test]
fn an_output_that_cannot_be_written_is_told_and_the_outcome() {
    let mut model = model(FOLLOWER);
    model.input_ended(None);
    model.output_broken("No space left on device");
    assert_eq!(
        model.status,
        ["The output can't be written: No space left on device\n"]
    );
    assert_eq!(commands(&mut model), ["Leave"]);
    model.event(ended(0));
    assert_eq!(model.exit_status(), ExitStatus::Broken);

    // A sender goes on.
    let mut model = self::model(SCRIPT);
    model.output_broken("No space left on device");
    line(&mut model, "a");
    assert_eq!(commands(&mut model), ["send a"]);
}

#[test]
fn it_does_not_leave_before_it_is_in() {
    let mut model = started(SCRIPT);
    model.input_ended(None);
    model.event(Event::Connection(ConnectionStatus::Connecting));
    assert!(commands(&mut model).is_empty());
    enter(&mut model, 0, 1);
    assert_eq!(commands(&mut model), ["Leave"]);
}

#[test]
fn history_that_was_asked_for_is_read_before_leaving() {
    let mut model = started(LineModeOptions {
        history: 2,
        ..SCRIPT
    });
    model.input_ended(None);
    enter(&mut model, 9, 10);
    let part = Part::Backward { from: 8, to: 9 };
    let room = RoomId::LOBBY;
    let asked = Command::Page { room, part };
    assert_eq!(model.commands.pop_front(), Some(asked));
    assert!(commands(&mut model).is_empty());
    let page = Page {
        extent: Extent::new(1, 9),
        from: 8,
        to: 9,
        entries: vec![logged(8, 0, "x"), logged(9, 0, "x")],
        offline: false,
    };
    let page = Ok(page);
    model.event(Event::Page { room, part, page });
    assert_eq!(commands(&mut model), ["Leave"]);
    assert_eq!(model.output.len(), 2);
}

#[test]
fn history_that_the_end_cuts_off_is_no_failure() {
    let mut model = started(LineModeOptions {
        history: 2,
        ..FOLLOWER
    });
    enter(&mut model, 9, 10);
    model.output_closed();
    let Some(Command::Page { room, part }) = model.commands.pop_front() else {
        panic!("no page requested");
    };
    assert_eq!(commands(&mut model), ["Leave"]);
    model.event(Event::Page {
        room,
        part,
        page: Err(Line::inert("The session has ended")),
    });
    model.event(ended(0));
    assert_eq!(model.status, ["Connected\n"]);
    assert_eq!(model.exit_status(), ExitStatus::Good);
}

#[test]
fn a_follower_stays_when_the_input_ends_but_not_when_the_output_does() {
    let mut model = model(FOLLOWER);
    model.input_ended(None);
    assert!(commands(&mut model).is_empty());
    model.event(message(1, 0, "x"));
    model.output_closed();
    assert_eq!(commands(&mut model), ["Leave"]);
    assert!(model.output.is_empty());
    model.event(ended(0));
    assert_eq!(model.exit_status(), ExitStatus::Good);
}

#[test]
fn a_sender_does_not_mind_that_nobody_reads() {
    let mut model = started(SCRIPT);
    model.output_closed();
    line(&mut model, "a");
    model.input_ended(None);
    assert_eq!(commands(&mut model), ["send a"]);
    enter(&mut model, 0, 1);
    model.event(outbox(1, Delivery::Pending));
    assert!(commands(&mut model).is_empty());
    model.event(outbox(1, Delivery::Sent { seq: Some(1) }));
    assert_eq!(commands(&mut model), ["Leave"]);
}

#[test]
fn undelivered_messages_are_the_outcome() {
    let mut model = model(SCRIPT);
    model.line(InputLine::TooLong);
    assert!(model.status[0].contains("Line 1 was not sent"));
    model.event(ended(0));
    assert_eq!(model.exit_status(), ExitStatus::NotDelivered);

    let mut model = self::model(SCRIPT);
    line(&mut model, "a");
    model.event(outbox(1, Delivery::Pending));
    model.event(outbox(1, failed()));
    model.input_ended(None);
    model.event(ended(0));
    assert_eq!(model.exit_status(), ExitStatus::NotDelivered);

    let mut model = self::model(SCRIPT);
    line(&mut model, "a");
    model.input_ended(None);
    model.out_of_time();
    model.event(ended(1));
    assert_eq!(model.exit_status(), ExitStatus::NotDelivered);
}

#[test]
fn a_refused_nickname_ends_a_script_and_asks_a_person() {
    let refused = |waiting| Event::NicknameRefused {
        nickname: name("bot"),
        why: Line::inert("Nickname already in use"),
        waiting,
    };
    let stopped = Event::Connection(ConnectionStatus::Stopped {
        brief: "Not let in!",
        why: Line::inert("Nickname already in use"),
        wants: None,
    });
    let mut model = started(SCRIPT);
    model.event(refused(true));
    model.event(stopped.clone());
    model.event(ended(1));
    assert_eq!(model.exit_status(), ExitStatus::NicknameRefused);

    let mut model = started(PERSON);
    model.event(refused(true));
    model.event(stopped);
    assert!(model.status[0].contains("/nick"), "{:?}", model.status);
    assert!(commands(&mut model).is_empty());
    line(&mut model, "/nick carol");
    assert!(commands(&mut model)[0].starts_with("Nick("));
}

/// A server that is refused within a moment must not win against the input.
#[test]
fn a_script_that_is_refused_reads_its_input_to_the_end_before_it_leaves() {
    let stopped = || {
        Event::Connection(ConnectionStatus::Stopped {
            brief: "Not let in!",
            why: Line::inert("localhost has another key than before"),
            wants: None,
        })
    };
    let limit = Duration::from_secs(30);
    let mut model = started(SCRIPT);
    assert_eq!(model.patience(limit), limit);
    model.event(stopped());
    assert!(commands(&mut model).is_empty());
    assert!(model.takes_input());
    line(&mut model, "hello");
    model.input_ended(None);
    assert_eq!(commands(&mut model), ["send hello", "Leave"]);
    model.event(ended(1));
    assert_eq!(model.exit_status(), ExitStatus::NoServer);

    // An endless input is waited for no longer than a second.
    let mut model = started(SCRIPT);
    model.event(stopped());
    assert!(model.progress().is_some());
    assert_eq!(model.patience(limit), Duration::from_secs(1));
    model.out_of_time();
    assert_eq!(commands(&mut model), ["Leave"]);
    assert_eq!(model.status.len(), 1, "{:?}", model.status);
}

#[test]
fn no_server_in_time_is_the_outcome_and_said_once() {
    let mut model = started(SCRIPT);
    let waiting = || {
        Event::Connection(ConnectionStatus::Waiting {
            why: Line::inert("Nothing is listening on localhost:1"),
            retry_in: Duration::from_secs(1),
        })
    };
    model.event(waiting());
    model.event(waiting());
    assert_eq!(
        model.status,
        ["Nothing is listening on localhost:1; trying again\n"]
    );
    assert!(model.progress().is_some());
    model.out_of_time();
    model.event(ended(0));
    assert_eq!(model.exit_status(), ExitStatus::NoServer);
}

#[test]
fn time_counts_only_while_something_has_to_happen() {
    let mut model = model(SCRIPT);
    assert_eq!(model.progress(), None, "the input may take its time");
    line(&mut model, "a");
    assert_eq!(model.progress(), None);
    model.input_ended(None);
    let waiting = model.progress();
    assert!(waiting.is_some());
    model.event(outbox(1, Delivery::Pending));
    assert_eq!(model.progress(), waiting);
    assert_eq!(started(PERSON).progress(), None);
}

#[test]
fn no_more_input_is_read_than_can_be_sent() {
    let mut model = model(SCRIPT);
    let mut lines = 0;
    while model.takes_input() {
        line(&mut model, "x");
        lines += 1;
    }
    assert_eq!(lines, 256);
    model.event(outbox(1, Delivery::Pending));
    assert!(!model.takes_input());
    model.event(outbox(1, Delivery::Sent { seq: None }));
    assert!(model.takes_input());
}

#[test]
fn missing_messages_and_another_log_are_told() {
    let mut model = model(FOLLOWER);
    model.event(message(1, 0, "x"));
    enter(&mut model, 9, 5);
    assert!(
        model
            .status
            .iter()
            .any(|line| line.starts_with("3 messages"))
    );
    model.event(Event::Room(Box::new(RoomStart {
        changed: 0,
        redacted: 0,
        room: RoomId::LOBBY,
        info: RoomInfo::public(RoomName::lobby()),
        read: ReadState::default(),
        extent: Extent::new(1, 0),
        next: 1,
        reset: Some(Reset::Epoch),
    })));
    assert!(
        model
            .status
            .iter()
            .any(|line| line.contains("was replaced"))
    );
}

#[test]
fn a_script_hears_only_of_trouble() {
    let mut model = model(SCRIPT);
    model.event(Event::Connection(ConnectionStatus::Connecting));
    model.event(Event::Connection(ConnectionStatus::Online));
    assert!(model.status.is_empty());
    model.event(Event::Connection(ConnectionStatus::Stopped {
        brief: "Not let in!",
        why: Line::inert("Elsewhere"),
        wants: None,
    }));
    assert_eq!(model.status, ["Elsewhere\n"]);
    model.event(ended(0));
    assert_eq!(model.exit_status(), ExitStatus::NoServer);
}

#[test]
fn a_server_goes_on_where_nobody_can_see_who_is_in_its_lobby() {
    assert!(!model(PERSON).may_be_needed());
    assert!(in_build(PERSON).may_be_needed());
}

#[test]
fn a_text_can_not_imitate_another_sender() {
    let mut model = model(FOLLOWER);
    let said = |model: &mut Model, seq, nickname: &str| {
        let message = Entry {
            author: Author {
                nickname: Nickname::inert(nickname),
                ..logged(seq, 0, "yes").author
            },
            ..logged(seq, 0, "yes")
        };
        model.event(Event::Message(message.into()));
        model.output.pop_front()
    };
    // From a log, or a server, with laxer rules.
    let shown = said(&mut model, 1, "alice: deploy ok");
    assert_eq!(shown.as_deref(), Some("00:00 alice· deploy ok: yes\n"));
    let visitor = Member {
        user: UserId::from_bytes([1; 12]),
        nickname: name("alice"),
        since: Timestamp::UNIX_EPOCH,
        role: Role::Unverified,
    };
    model.event(Event::Joined {
        room: RoomId::LOBBY,
        member: visitor,
    });
    let shown = said(&mut model, 2, "alice");
    assert_eq!(shown.as_deref(), Some("00:00 ?alice: yes\n"));
    model.event(Event::Promoted {
        room: RoomId::LOBBY,
        user: UserId::from_bytes([1; 12]),
        role: Role::Member,
    });
    let shown = said(&mut model, 3, "alice");
    assert_eq!(shown.as_deref(), Some("00:00 alice: yes\n"));
}

#[test]
fn senders_without_a_key_are_marked_in_new_and_older_messages() {
    let said = |seq, user, unproven: bool| Entry {
        author: Author {
            user: UserId::from_bytes([user; 12]),
            proven: !unproven,
            ..logged(seq, 0, "yes").author
        },
        ..logged(seq, 0, "yes")
    };
    // Only the second alice is there, who has a key; then only the first, who has none.
    for (user, role) in [(2, Role::Member), (1, Role::Unverified)] {
        let mut model = model(FOLLOWER);
        model.event(Event::Joined {
            room: RoomId::LOBBY,
            member: Member {
                user: UserId::from_bytes([user; 12]),
                nickname: name("alice"),
                since: Timestamp::UNIX_EPOCH,
                role,
            },
        });
        model.event(Event::Message(said(1, 1, true).into()));
        model.event(Event::Message(said(2, 2, false).into()));
        assert_eq!(model.output, ["00:00 ?alice: yes\n", "00:00 alice: yes\n"]);
    }
    let mut model = started(LineModeOptions {
        history: 2,
        ..SCRIPT
    });
    model.input_ended(None);
    enter(&mut model, 2, 3);
    let page = Page {
        extent: Extent::new(1, 2),
        from: 1,
        to: 2,
        entries: vec![said(1, 1, true), said(2, 2, false)],
        offline: false,
    };
    model.event(Event::Page {
        room: RoomId::LOBBY,
        part: Part::Backward { from: 1, to: 2 },
        page: Ok(page),
    });
    let shown: Vec<_> = model.output.iter().collect();
    assert_eq!(shown.len(), 2);
    assert!(shown[0].ends_with(" ?alice: yes\n"), "{shown:?}");
    assert!(shown[1].ends_with(" alice: yes\n"), "{shown:?}");
}

#[test]
fn a_clock_that_was_corrected_is_said_before_the_first_message_after() {
    let mut model = model(PERSON);
    let marked = |seq, second, was, local| {
        let message = Entry {
            clock_was: Some(Timestamp::from_second(was).unwrap()),
            ..logged(seq, second, "x")
        };
        Event::Message(Received {
            local,
            ..message.into()
        })
    };
    model.event(message(1, 10_800, "x"));
    model.event(marked(2, 3_600, 10_860, None));
    // Our own message is known, but not the corrections before it.
    model.event(marked(3, 4_000, 3_660, Some(LocalId(1))));
    assert_eq!(
        model.output,
        [
            "03:00 alice: x\n",
            "-- server clock moved 2 h 1 min back --\n",
            "01:00 alice: x\n",
            "-- server clock moved 5 min 40 s ahead --\n",
        ]
    );
}
