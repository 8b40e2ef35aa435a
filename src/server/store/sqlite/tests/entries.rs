//! Entries that change others, on disk; and kinds that this program does not know.

use super::*;
use crate::{
    protocol::{Content, EntryKind, MessageId, frame::ErrorCode},
    server::log::{ChangedSince, Retention},
    text::Body,
};

/// Submits a content to the lobby as the user of the device.
fn submit(name: u8, counter: u64, submitted: Content, may: bool) -> Operation {
    let mut operation = message(name, counter);
    if let Operation::Append {
        content, moderates, ..
    } = &mut operation
    {
        *content = submitted;
        *moderates = may;
    }
    operation
}

fn edit(target: MessageId, text: &str) -> Content {
    Content::Edit {
        target,
        body: Body::inert(text),
    }
}

fn redaction(target: MessageId) -> Content {
    Content::Redaction {
        target,
        reason: None,
    }
}

const ERASED: ChangedSince = ChangedSince {
    since: 0,
    to: u64::MAX,
    erased: true,
};

/// Puts a frame in the place of an entry of the lobby, as an import would.
fn put(directory: &Path, seq: u64, fields: &str, shown: bool) {
    let connection = Connection::open(directory.join("log.db")).unwrap();
    let (user, id) = ("0".repeat(24), id(1, seq));
    let frame = format!(
        "{{\"type\":\"entry\",\"room\":\"lobby\",\"seq\":{seq},\"id\":\"{id}\",\"user\":\"{user}\",\
         \"nickname\":\"alice\",\"timestamp\":\"1970-01-01T00:00:01Z\",{fields}}}\n"
    );
    let changed = connection.execute(
        "UPDATE entry SET frame = ?2, shown = ?3 WHERE id = ?1",
        (schema::entry_key(1, seq), frame.as_bytes(), shown),
    );
    assert_eq!(changed.unwrap(), 1);
    let hidden = i64::from(!shown);
    let count = "UPDATE room SET unshown = unshown + ?1 WHERE no = 1";
    connection.execute(count, [hidden]).unwrap();
}

#[test]
fn entries_of_unknown_kinds_are_served_whole_and_can_be_erased() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    for counter in 1..=4 {
        append(&mut store, 1, [message(1, counter)]);
    }
    drop(store);
    let poll = "\"kind\":\"poll\",\"alt\":\"a poll about tea\",\"options\":[\"hot\",{\"deep\":1}]";
    put(directory.path(), 2, poll, true);
    let vote = format!("\"kind\":\"vote\",\"target\":\"{}\",\"option\":1", id(1, 2));
    put(directory.path(), 3, &vote, false);
    let mut store = open(directory.path());
    let mut reader = store.reader().unwrap().unwrap();
    let read = reader.read(LOBBY, 1, 100_000).unwrap();
    assert_eq!((read.first(), read.next()), (1, 5));
    for (seq, fields) in [(2, poll), (3, vote.as_str())] {
        let frame = std::str::from_utf8(read.frame(seq).unwrap()).unwrap();
        assert!(frame.contains(fields), "{frame}");
    }
    let all = Part::Forward { from: 1, to: 4 };
    let page = reader.page(LOBBY, all).unwrap();
    assert_eq!((page.frames.len(), page.from, page.to), (3, 1, 4));
    assert_eq!(page.frames[1], read.frame(2).unwrap());
    let query = Query::parse("tea", &jiff::tz::TimeZone::UTC).unwrap();
    assert!(reader.search(LOBBY, &query, 4).unwrap().frames.is_empty());

    let results = append(
        &mut store,
        2,
        [
            submit(2, 1, edit(id(1, 2), "new"), true),
            submit(2, 2, redaction(id(1, 2)), false),
            submit(2, 3, redaction(id(1, 3)), true),
            submit(2, 4, redaction(id(1, 2)), true),
        ],
    )
    .results;
    let refused = |code| OpResult::Done(MessageOutcome::Refused(code));
    assert_eq!(
        results,
        [
            refused(ErrorCode::Gone),
            refused(ErrorCode::NotAllowed),
            // What refers to another entry stays.
            refused(ErrorCode::Gone),
            OpResult::Done(stored(5, 2)),
        ]
    );
    let erased = reader.changed(LOBBY, ERASED).unwrap();
    let [frame] = &erased.frames[..] else {
        panic!("{erased:?}")
    };
    let text = std::str::from_utf8(frame).unwrap();
    assert!(
        text.contains("\"kind\":\"poll\"") && !text.contains("tea"),
        "{text}"
    );
    let entry = semantics::decode_entry(frame).unwrap();
    assert!(matches!(entry.kind, EntryKind::Tombstone(_)), "{entry:?}");
    // Three entries are shown; the vote and the redaction take no one's place.
    let retain = Operation::Retain(Retention {
        messages_max: Some(2),
        ..Retention::default()
    });
    append(&mut store, 3, [retain]);
    assert_eq!(extent(&store, LOBBY), Extent::new(2, 5));
}

#[test]
fn an_erased_text_is_in_no_file_once_the_write_ahead_log_is_emptied() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    append(&mut store, 1, [message_in(LOBBY, 1, 1, "secret one")]);
    append(&mut store, 1, [message_in(LOBBY, 1, 2, "public")]);
    append(
        &mut store,
        1,
        [submit(1, 3, edit(id(1, 1), "secret two"), false)],
    );
    let files = ["log.db", "log.db-wal"].map(|name| directory.path().join(name));
    assert!(files.iter().any(|path| holds(path, "secret")));
    append(&mut store, 2, [submit(1, 4, redaction(id(1, 1)), false)]);
    store.checkpoints.as_ref().unwrap().settle();
    for path in &files {
        assert!(!holds(path, "secret"), "{path:?}");
    }
    assert!(files.iter().any(|path| holds(path, "public")));
}

#[test]
fn a_message_that_is_damaged_cannot_be_changed() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    let texts = (1..=30).map(|counter| message(1, counter));
    append(&mut store, 1, texts.collect::<Vec<_>>());
    // No entry; and one of another room.
    let elsewhere = "CAST(replace(CAST(frame AS TEXT), 'lobby', 'tea') AS BLOB)";
    for (seq, frame) in [(1, "x'00'"), (3, elsewhere)] {
        let key = schema::entry_key(1, seq);
        let damage = format!("UPDATE entry SET frame = {frame} WHERE id = {key}");
        store.connection.execute_batch(&damage).unwrap();
    }
    let gone = OpResult::Done(MessageOutcome::Refused(ErrorCode::Gone));
    for (counter, target) in [(31, 1), (32, 3)] {
        let late = submit(1, counter, redaction(id(1, target)), false);
        let results = append(&mut store, 2, [late]).results;
        assert_eq!(results, std::slice::from_ref(&gone));
    }
    // Its neighbours can.
    let neighbour = submit(1, 33, redaction(id(1, 4)), false);
    let expected = [OpResult::Done(stored(31, 2))];
    assert_eq!(append(&mut store, 2, [neighbour]).results, expected);
}

#[test]
fn a_log_of_before_there_were_edits_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let mut connection = Connection::open(directory.path().join("log.db")).unwrap();
    schema::create_at(&mut connection, 4);
    let (device, user) = (id(1, 1).device, "0".repeat(24));
    let frame = |seq: u64| {
        format!(
            "{{\"type\":\"message\",\"room\":\"lobby\",\"id\":\"{device}-{seq}\",\
             \"user\":\"{user}\",\"nickname\":\"alice\",\"message\":\"before {seq}\",\
             \"timestamp\":\"1970-01-01T00:00:01Z\",\"seq\":{seq}}}\n"
        )
    };
    connection
        .execute(
            "INSERT INTO device(no, id, counter) VALUES(1, ?1, 2)",
            [device.to_bytes()],
        )
        .unwrap();
    for seq in [1, 2] {
        let key = schema::entry_key(1, seq);
        connection
            .execute(
                "INSERT INTO entry(id, time, device, counter, frame) VALUES(?1, 1000, 1, ?2, ?3)",
                (key, schema::number(seq), frame(seq).as_bytes()),
            )
            .unwrap();
    }
    connection
        .execute_batch(
            "INSERT INTO meta VALUES('epoch', '0102030405060708');
             INSERT INTO house VALUES('ban', 'x', '1');
             INSERT INTO room(name, first, head, last_time) VALUES('lobby', 1, 2, 1000)",
        )
        .unwrap();
    drop(connection);
    let mut store = open(directory.path());
    assert_eq!(store.epoch().to_string(), "0102030405060708");
    assert_eq!(store.state().unwrap(), [conformance::fact("x", Some("1"))]);
    let read = store.read(LOBBY, 1, 100_000).unwrap();
    assert_eq!(read.bytes(), (frame(1) + &frame(2)).as_bytes());
    let standing = conformance::standing(&store, LOBBY);
    assert_eq!((standing.extent.head, standing.revised.changed), (2, 0));
    // Whoever wrote it: a moderator may erase it.
    let erase = submit(2, 1, redaction(id(1, 1)), true);
    append(&mut store, 2, [erase]);
    assert_eq!(store.changed(LOBBY, ERASED).unwrap().frames.len(), 1);
    let read = store.read(LOBBY, 1, 100_000).unwrap();
    let text = std::str::from_utf8(read.bytes()).unwrap();
    assert!(
        !text.contains("before 1") && text.contains("before 2"),
        "{text}"
    );
}
