//! Edits, deletions and unknown kinds in line mode.

use super::*;
use crate::protocol::entry::{Tombstone, UnknownKind};

const SCRIPT_WITH_COMMANDS: LineModeOptions = LineModeOptions {
    commands: true,
    ..SCRIPT
};

/// 14:00 on the first day, and minutes after it.
fn at(minutes: i64) -> i64 {
    (14 * 60 + minutes) * 60
}

fn id(seq: u64) -> MessageId {
    logged(seq, 0, "").id
}

fn own(seq: u64, minutes: i64, text: &str) -> Entry {
    let mut entry = logged(seq, at(minutes), text);
    entry.author.user = UserId::from_bytes([7; 12]);
    entry.author.nickname = name("bot");
    entry
}

fn edit(seq: u64, minutes: i64, target: u64, text: Option<&str>) -> Entry {
    Entry {
        kind: EntryKind::Edit {
            target: id(target),
            body: text.map(Body::inert),
            mentions: Mentions::NONE,
        },
        ..logged(seq, at(minutes), "")
    }
}

fn redaction(seq: u64, minutes: i64, target: u64) -> Entry {
    Entry {
        kind: EntryKind::Redaction {
            target: id(target),
            reason: None,
        },
        ..logged(seq, at(minutes), "")
    }
}

fn tombstone(seq: u64, redacted: u64) -> Entry {
    Entry {
        kind: EntryKind::Tombstone(Tombstone {
            redacted,
            by: None,
            kind: None,
        }),
        ..logged(seq, at(0), "")
    }
}

fn edited(seq: u64, text: &str, by: u64) -> Entry {
    Entry {
        kind: EntryKind::Text(Text {
            body: Body::inert(text),
            mentions: Mentions::NONE,
            edited: Some(by),
        }),
        ..logged(seq, at(0), "")
    }
}

fn poll(seq: u64, alt: Option<&str>, target: Option<u64>) -> Entry {
    Entry {
        kind: EntryKind::Unknown(Box::new(UnknownKind {
            name: Line::inert("poll"),
            target: target.map(id),
            erases: false,
            counts: true,
            alt: alt.map(Line::inert),
            raw: "{}".into(),
        })),
        ..logged(seq, at(0), "")
    }
}

fn came(entry: Entry) -> Event {
    Event::Message(entry.into())
}

/// The echo of an entry that this process sent.
fn echo(entry: Entry, local: u64) -> Event {
    Event::Message(Received {
        local: Some(LocalId(local)),
        ..entry.into()
    })
}

fn output(model: &mut Model) -> Vec<String> {
    let lines = model.output.drain(..);
    lines.map(|line| line.trim_end().to_owned()).collect()
}

fn contents(model: &mut Model) -> Vec<Content> {
    let commands = model.commands.drain(..);
    commands
        .filter_map(|command| match command {
            Command::Send { content, .. } => Some(content),
            _ => None,
        })
        .collect()
}

#[test]
fn edits_and_deletions_are_lines() {
    let mut model = model(PERSON);
    for entry in [
        logged(1, at(2), "teh text"),
        edit(2, 5, 1, Some("the text\nand more")),
        redaction(3, 6, 1),
        redaction(4, 7, 1),
        edit(5, 8, 1, Some("again")),
        poll(6, Some("lunch?"), None),
        poll(7, None, None),
        poll(8, None, Some(6)),
    ] {
        model.event(came(entry));
    }
    assert_eq!(
        output(&mut model),
        [
            "14:02 alice: teh text",
            "14:05 alice (edited): the text\n      and more",
            "-- a message of alice (14:02) was deleted --",
            "-- lunch? --",
            "-- an entry of a kind that this version does not know (poll) --",
        ]
    );
    // Of messages that were not printed here.
    let mut model = super::model(FOLLOWER);
    model.event(came(edit(1, 5, 77, Some("the text"))));
    model.event(came(redaction(2, 6, 78)));
    assert_eq!(
        output(&mut model),
        [
            "14:05 alice (edited): the text",
            "-- a message was deleted --"
        ]
    );
}

#[test]
fn what_came_while_away_is_told_once() {
    let mut model = model(FOLLOWER);
    // Served as it stands now, with the entries that made it so.
    for entry in [
        edited(1, "the text", 3),
        tombstone(2, 4),
        edit(3, 5, 1, Some("the text")),
        redaction(4, 6, 2),
        logged(5, at(7), "kept"),
        edit(6, 8, 5, None),
        edit(7, 9, 5, Some("kept on")),
    ] {
        model.event(came(entry));
    }
    assert_eq!(
        output(&mut model),
        [
            "14:00 alice: the text",
            "-- message deleted --",
            "14:07 alice: kept",
            "14:09 alice (edited): kept on",
        ]
    );
    let changed = Event::Changed {
        room: RoomId::LOBBY,
        entries: vec![edited(1, "The text", 9), tombstone(2, 4), tombstone(5, 10)],
    };
    model.event(changed.clone());
    model.event(changed);
    assert_eq!(
        output(&mut model),
        [
            "14:00 alice (edited): The text",
            "-- a message of alice (14:07) was deleted --",
        ]
    );
}

#[test]
fn a_page_has_present_texts_even_if_it_is_older_than_the_change() {
    let mut model = started(LineModeOptions {
        history: 4,
        ..FOLLOWER
    });
    enter(&mut model, 4, 5);
    model.event(came(redaction(5, 9, 2)));
    model.event(came(edit(6, 9, 3, Some("three!"))));
    let page = Page {
        extent: Extent::new(1, 6),
        from: 1,
        to: 6,
        entries: vec![
            tombstone(1, 4),
            logged(2, at(2), "two"),
            logged(3, at(3), "three"),
        ],
        offline: false,
    };
    model.event(Event::Page {
        room: RoomId::LOBBY,
        part: Part::Backward { from: 1, to: 4 },
        page: Ok(page),
    });
    assert_eq!(
        output(&mut model),
        [
            "-- message deleted --",
            "-- message deleted --",
            "14:03 alice: three!"
        ]
    );
    model.event(came(redaction(7, 10, 3)));
    assert_eq!(
        output(&mut model),
        ["-- a message of alice (14:03) was deleted --"]
    );
}

#[test]
fn a_script_changes_the_message_before() {
    let mut model = model(SCRIPT_WITH_COMMANDS);
    line(&mut model, "teh text");
    line(&mut model, "/edit the text");
    line(&mut model, "/delete");
    assert_eq!(contents(&mut model).len(), 1, "it waits for the message");
    model.event(outbox(1, Delivery::Pending));
    model.event(outbox(1, Delivery::Sent { seq: Some(1) }));
    assert_eq!(contents(&mut model), [], "it waits for the echo");
    model.event(echo(own(1, 2, "teh text"), 1));
    let edit_it = Content::Edit {
        target: id(1),
        body: Body::inert("the text"),
    };
    assert_eq!(contents(&mut model), std::slice::from_ref(&edit_it));
    let outbox = |model: &mut Model, local, content: &Content, delivery| {
        model.event(Event::Outbox(OutboxMessage {
            local: LocalId(local),
            room: RoomId::LOBBY,
            content: content.clone(),
            delivery,
        }));
    };
    outbox(&mut model, 2, &edit_it, Delivery::Pending);
    model.event(echo(edit(2, 3, 1, Some("the text")), 2));
    outbox(&mut model, 2, &edit_it, Delivery::Sent { seq: Some(2) });
    let delete_it = Content::Redaction {
        target: id(1),
        reason: None,
    };
    assert_eq!(contents(&mut model), std::slice::from_ref(&delete_it));
    let why = Line::inert("You are muted");
    outbox(&mut model, 3, &delete_it, Delivery::Failed { why });
    assert_eq!(
        model.status,
        ["Message 3, a deletion, was not delivered: You are muted\n"]
    );
    assert_eq!(
        output(&mut model),
        Vec::<String>::new(),
        "nothing is repeated"
    );
}

#[test]
fn what_can_not_be_changed_is_said_in_a_sentence() {
    let mut model = model(PERSON);
    for entry in [
        logged(1, at(1), "alice's"),
        own(2, 2, "mine"),
        own(3, 3, "deleted"),
        redaction(4, 4, 3),
    ] {
        model.event(came(entry));
    }
    for (typed, says) in [
        ("/edit", "Write the new text: /edit TEXT, or /edit #N TEXT"),
        ("/edit #1 x", "You can change only your own messages"),
        (
            "/delete #1",
            "Only moderators can delete messages of others",
        ),
        ("/delete #3", "That message is deleted already"),
        ("/delete #9", "Message #9 has not been seen here"),
        (
            "/delete it",
            "Write /delete, or /delete #N with the number of a message",
        ),
    ] {
        model.status.clear();
        line(&mut model, typed);
        assert_eq!(model.status, [format!("{says}\n")]);
    }
    assert_eq!(contents(&mut model), []);
    line(&mut model, "/delete");
    let content = Content::Redaction {
        target: id(2),
        reason: None,
    };
    assert_eq!(contents(&mut model), [content]);
}
