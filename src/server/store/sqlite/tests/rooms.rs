//! Rooms come to be in the log with their first entry; older logs name them.

use super::*;
use crate::{
    protocol::{Content, RoomId},
    server::log::conformance::TEA,
};

/// What an older server wrote: the room's name in place of its id.
fn named(directory: &Path, name: &str) -> RoomName {
    let name = RoomName::parse(name).unwrap();
    let room = RoomId::named(&name, 0);
    let mut store = open(directory);
    append(&mut store, 1, [message_in(room, 1, 1, "old words")]);
    drop(store);
    let connection = Connection::open(directory.join("log.db")).unwrap();
    let id = room.to_string();
    let rename = "UPDATE room SET name = ?2 WHERE name = ?1";
    assert_eq!(connection.execute(rename, [&id, name.as_str()]), Ok(1));
    let rename = "UPDATE entry SET frame = CAST(replace(CAST(frame AS TEXT), ?1, ?2) AS BLOB)";
    assert_eq!(connection.execute(rename, [&id, name.as_str()]), Ok(1));
    name
}

fn texts(reader: &mut dyn Reader, room: RoomId) -> Vec<String> {
    let read = reader.read(room, 1, 100_000).unwrap();
    let text = |seq| {
        let entry = semantics::decode_entry(read.frame(seq).unwrap()).unwrap();
        assert_eq!((entry.room, entry.seq), (room, seq));
        entry.text().unwrap().as_str().to_owned()
    };
    (read.first()..read.next()).map(text).collect()
}

#[test]
fn a_room_that_an_older_server_named_goes_on_under_its_id() {
    let directory = tempfile::tempdir().unwrap();
    let name = named(directory.path(), "build");
    let room = RoomId::named(&name, 0);
    let mut store = open(directory.path());
    let mut reader = store.reader().unwrap().unwrap();
    let mut edit = message_in(room, 1, 3, "edited words");
    if let Operation::Append { content, .. } = &mut edit {
        let body = content.body().unwrap().clone();
        let target = id(1, 1);
        *content = Content::Edit { target, body };
    }
    let again = message_in(room, 1, 1, "old words");
    let committed = append(&mut store, 2, [again, message_in(room, 1, 2, "new words")]);
    let stored = |seq, second| MessageOutcome::Stored {
        room,
        seq,
        time: at(second),
    };
    assert_eq!(
        committed.results,
        [
            OpResult::Repeated(stored(1, 1)),
            OpResult::Done(stored(2, 2))
        ]
    );
    for reader in [&mut store as &mut dyn Reader, &mut *reader] {
        assert_eq!(texts(reader, room), ["old words", "new words"]);
    }
    append(&mut store, 3, [edit]);
    assert_eq!(store.extents(), [(room, Extent::new(1, 3))]);
    let found = reader.page(room, Part::Forward { from: 1, to: 2 }).unwrap();
    assert!(found.frames[0].windows(6).any(|part| part == b"edited"));
    drop((store, reader));
    let mut lines = Vec::new();
    let named = NamedRoom::from(&name);
    maintenance::export(directory.path(), &named, &mut lines).unwrap();
    let other = tempfile::tempdir().unwrap();
    let imported = maintenance::import(other.path(), &named, &mut &lines[..]);
    assert_eq!(imported.unwrap(), 3);
    assert_eq!(open(other.path()).extents(), [(room, Extent::new(1, 3))]);
}

#[test]
fn what_was_erased_in_a_room_that_an_older_server_named_is_erased_again_after_a_restore() {
    let directory = tempfile::tempdir().unwrap();
    let name = named(directory.path(), "build");
    let room = RoomId::named(&name, 0);
    let backup = directory.path().join("backup.db");
    maintenance::backup(directory.path(), &backup).unwrap();
    let (from, to) = (1, 1);
    append(
        &mut open(directory.path()),
        2,
        [Operation::Erase { room, from, to }],
    );
    // The older server's ledger has the name, too.
    let ledger = directory.path().join("erasures.jsonl");
    let lines = fs::read_to_string(&ledger).unwrap();
    assert!(lines.contains(&room.to_string()));
    for text in [
        lines.clone(),
        lines.replace(&room.to_string(), name.as_str()),
    ] {
        fs::write(&ledger, text).unwrap();
        let restored = maintenance::restore(directory.path(), &backup).unwrap();
        assert_eq!(restored.again.entries, 1);
        assert_eq!(restored.again.unread, 0);
    }
}

#[test]
fn a_reader_finds_rooms_that_were_made_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    let mut reader = store.reader().unwrap().unwrap();
    assert_eq!(texts(&mut *reader, TEA), [""; 0]);
    append(&mut store, 1, [message_in(TEA, 1, 1, "hot")]);
    assert_eq!(texts(&mut *reader, TEA), ["hot"]);
    assert_eq!(store.extents(), [(TEA, Extent::new(1, 1))]);
}

#[test]
fn a_batch_that_is_refused_makes_no_room() {
    let directory = tempfile::tempdir().unwrap();
    let mut store = open(directory.path());
    append(&mut store, 1, [message(1, 1)]);
    limit(&store, pages(&store));
    let long = "x".repeat(10_000);
    let batch = || Batch::new(at(2), vec![message_in(TEA, 1, 2, &long)]);
    assert_eq!(store.append(batch()).unwrap_err(), StoreError::Refused);
    assert_eq!(store.extents(), [(LOBBY, Extent::new(1, 1))]);
    limit(&store, 10_000);
    store.append(batch()).unwrap();
    let expected = [(LOBBY, Extent::new(1, 1)), (TEA, Extent::new(1, 1))];
    assert_eq!(store.extents(), expected);
    drop(store);
    assert_eq!(open(directory.path()).extents(), expected);
}

#[test]
fn a_log_in_which_two_rows_are_the_same_room_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let name = named(directory.path(), "build");
    let path = directory.path().join("log.db");
    for (text, expected) in [
        (RoomId::named(&name, 0).to_string(), "has another row"),
        ("no room!".to_owned(), "table room is damaged"),
    ] {
        let connection = Connection::open(&path).unwrap();
        connection
            .execute_batch("DELETE FROM room WHERE no > 1")
            .unwrap();
        let add = "INSERT INTO room(name, first, head, last_time) VALUES(?1, 1, 0, 0)";
        connection.execute(add, [text]).unwrap();
        drop(connection);
        let said = refusal(directory.path()).to_string();
        assert!(said.contains(expected), "{said}");
    }
}
