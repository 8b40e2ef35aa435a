//! `--json`: objects in, objects out.

use serde_json::{Value, json};

use super::*;
use crate::{
    client::event::ListedPage,
    protocol::admin::{AdminCommand, AdminResult},
};

const OBJECTS: LineModeOptions = LineModeOptions {
    json: true,
    stamps: true,
    ..SCRIPT
};

fn joined() -> Model {
    let mut model = started(OBJECTS);
    enter(&mut model, 0, 1);
    model.output.clear();
    model
}

fn take(model: &mut Model, object: &Value) {
    model.line(InputLine::Text {
        text: object.to_string(),
        damaged: false,
    });
}

/// What was written since the last time.
fn written(model: &mut Model) -> Vec<Value> {
    let lines = model.output.drain(..);
    lines
        .map(|line| {
            assert!(line.ends_with('\n') && !line.trim_end().contains('\n'));
            serde_json::from_str(&line).unwrap()
        })
        .collect()
}

#[test]
fn who_joins_is_told_who_they_are_and_which_rooms_there_are() {
    let mut model = started(OBJECTS);
    enter(&mut model, 0, 1);
    let written = written(&mut model);
    assert_eq!(written[0]["type"], "welcome");
    assert_eq!(written[0]["user"], "070707070707070707070707");
    assert_eq!(written[0]["nickname"], "bot");
    assert_eq!(written[1]["type"], "rooms");
    assert_eq!(written[1]["rooms"][0]["room"], "lobby");
    assert_eq!(written[2]["type"], "members");
    assert!(model.status.is_empty(), "{:?}", model.status);
}

#[test]
fn an_object_goes_where_it_says_or_to_the_first_room_and_its_ref_comes_back() {
    let mut model = started_in(OBJECTS, "build");
    enter(&mut model, 0, 1);
    written(&mut model);
    let build = RoomId::named(&RoomName::parse("build").unwrap(), 0);
    take(&mut model, &json!({"type": "message", "message": "here"}));
    let elsewhere = json!({"type": "message", "room": "lobby", "message": "there", "ref": 5});
    take(&mut model, &elsewhere);
    let sent: Vec<_> = model.commands.drain(..).collect();
    let text = |room, text| Command::Send {
        room,
        content: Content::Text(Body::inert(text)),
    };
    assert_eq!(sent, [text(build, "here"), text(RoomId::LOBBY, "there")]);
    for (local, room) in [(1, build), (2, RoomId::LOBBY)] {
        model.event(Event::Outbox(OutboxMessage {
            local: LocalId(local),
            room,
            content: Content::Text(Body::inert("x")),
            delivery: Delivery::Sent { seq: Some(7) },
        }));
    }
    let acks = written(&mut model);
    let ack = json!({"type": "ack", "ref": 5, "room": "lobby", "seq": 7});
    assert_eq!(acks, [ack]);
}

#[test]
fn what_fails_is_an_object_and_counts_as_not_delivered() {
    let mut model = joined();
    for (line, why) in [
        ("not json", "Not a frame"),
        (
            "{\"type\":\"join\",\"nickname\":\"x\",\"clientID\":\"1\"}",
            "not taken",
        ),
        ("{\"type\":\"entry\",\"kind\":\"poll\"}", "not taken"),
        (
            "{\"type\":\"entry\",\"kind\":\"edit\",\"message\":\"x\"}",
            "target",
        ),
    ] {
        model.line(InputLine::Text {
            text: line.to_owned(),
            damaged: false,
        });
        let written = written(&mut model);
        assert_eq!(written.len(), 1, "{line}");
        assert_eq!(written[0]["type"], "error");
        let said = written[0]["message"].as_str().unwrap();
        assert!(said.contains(why), "{line}: {said}");
    }
    take(
        &mut model,
        &json!({"type": "message", "message": "x", "ref": 9}),
    );
    model.event(Event::Outbox(OutboxMessage {
        local: LocalId(1),
        room: RoomId::LOBBY,
        content: Content::Text(Body::inert("x")),
        delivery: Delivery::Failed {
            why: Line::inert("You are muted"),
        },
    }));
    let refused = json!({"type": "error", "ref": 9, "message": "You are muted"});
    assert_eq!(written(&mut model), [refused]);
    model.input_ended(None);
    model.event(Event::Ended(Summary::default()));
    assert_eq!(model.exit_status(), ExitStatus::NotDelivered);
}

#[test]
fn entries_are_written_as_they_came_whoever_sent_them() {
    let mut model = joined();
    let said = |seq, user: u8, kind| {
        Event::Message(Received {
            said: Said::Logged(Entry {
                room: RoomId::LOBBY,
                seq,
                id: MessageId {
                    device: DeviceId::from_bytes([user; 12]),
                    counter: seq,
                },
                author: Author {
                    user: UserId::from_bytes([user; 12]),
                    nickname: name("x"),
                    proven: true,
                },
                time: Timestamp::UNIX_EPOCH,
                clock_was: None,
                kind,
            }),
            local: None,
        })
    };
    let text = |text: &str| {
        EntryKind::Text(Text {
            body: Body::inert(text),
            mentions: Mentions::default(),
            edited: None,
        })
    };
    model.event(said(1, 5, text("two\nlines")));
    model.event(said(2, 7, text("mine, of another device")));
    let edit = EntryKind::Edit {
        target: MessageId {
            device: DeviceId::from_bytes([5; 12]),
            counter: 1,
        },
        body: Some(Body::inert("one line")),
        mentions: Mentions::default(),
    };
    model.event(said(3, 5, edit));
    let written = written(&mut model);
    assert_eq!(written.len(), 3, "{written:?}");
    assert_eq!(written[0]["message"], "two\nlines");
    assert_eq!(written[1]["user"], "070707070707070707070707");
    assert_eq!(written[2]["kind"], "edit");
    assert_eq!(written[2]["message"], "one line");
}

#[test]
fn answers_have_the_ref_of_what_they_answer() {
    let mut model = joined();
    let create = json!({"type": "command", "command": "create", "name": "ops", "ref": 1});
    take(&mut model, &create);
    let Some(Command::Admin { request, command }) = model.commands.pop_front() else {
        panic!("no command");
    };
    assert!(matches!(command, AdminCommand::Create { .. }));
    model.event(Event::Admin {
        request,
        answer: Ok(AdminResult {
            message: Line::inert("You made #ops"),
            lines: Vec::new(),
            invite: None,
            code: None,
            room: Some(RoomId::LOBBY),
            reference: None,
        }),
    });
    take(&mut model, &json!({"type": "list_rooms", "ref": 2}));
    let Some(Command::ListRooms { request, .. }) = model.commands.pop_front() else {
        panic!("no request");
    };
    model.event(Event::RoomList {
        request,
        rooms: Ok(ListedPage {
            list: Vec::new(),
            more: false,
        }),
    });
    let written = written(&mut model);
    let kinds: Vec<_> = written
        .iter()
        .map(|object| (object["type"].as_str().unwrap(), object["ref"].as_u64()))
        .collect();
    assert_eq!(kinds, [("result", Some(1)), ("room_list", Some(2))]);
    assert!(model.status.is_empty(), "{:?}", model.status);
}

#[test]
fn a_request_waits_for_the_connection_and_a_message_does_not() {
    let mut model = started(OBJECTS);
    take(&mut model, &json!({"type": "message", "message": "early"}));
    assert_eq!(model.commands.len(), 1);
    take(&mut model, &json!({"type": "list_rooms"}));
    assert_eq!(model.commands.len(), 1);
    enter(&mut model, 0, 1);
    assert_eq!(model.commands.len(), 2);
}
