//! Erasing, with a server and without, and what is left of erased texts.

use super::*;

/// Checks that no file of a data directory holds these bytes, except for the keys.
fn is_nowhere(data: &Path, secret: &str) {
    for entry in fs::read_dir(data).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() || path.ends_with("control.sock") {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        let found = memchr::memmem::find(&bytes, secret.as_bytes());
        assert_eq!(found, None, "{}", path.display());
    }
}

#[test]
fn an_erased_text_is_in_no_file_any_more() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let mut alice = server.join("alice");
    let secret = "correcthorsebatterystaple ".repeat(300);
    alice.say("public");
    let before = alice.say(secret.trim());
    alice.say("public too");
    server.stop();
    refused(
        data.path(),
        &["erase", "2", "9"],
        "holds the messages 1 to 3",
    );
    refused(data.path(), &["erase", "--room", "tea", "1"], "no room tea");
    done(data.path(), &["erase", "2"]);
    is_nowhere(data.path(), "batterystaple");
    // Once more is harmless.
    done(data.path(), &["erase", "2"]);
    let server = Server::start(data.path());
    let mut bob = server.join("bob");
    assert_eq!(bob.next("message")["message"], "public");
    let after = bob.next("message");
    assert_eq!(after["message"], Value::Null);
    assert_eq!(
        (&after["redacted"], &after["by"]),
        (&json!(4), &json!("server"))
    );
    for field in ["seq", "id", "user", "nickname", "timestamp"] {
        assert_eq!(after[field], before[field], "{field}");
    }
    assert_eq!(bob.next("message")["message"], "public too");
    assert_eq!(bob.next("entry")["kind"], "redaction");
    // What looks like the tombstones of earlier versions is a text.
    let text = "[removed by the operator]";
    let seq = bob.say(text)["seq"].to_string();
    assert_eq!(seq, "5");
    server.stop();
    assert!(done(data.path(), &["export"]).contains(text));
}

#[test]
fn a_running_server_erases_for_all_who_are_connected() {
    let data = tempfile::tempdir().unwrap();
    let server = Server::start(data.path());
    let socket = data.path().join("control.sock");
    let mode = fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let mut alice = server.join("alice");
    let mut bob = server.join("bob");
    let mut ids = Vec::new();
    for text in ["one", "the secret", "three", "four"] {
        ids.push(alice.say(text)["id"].clone());
    }
    refused(data.path(), &["erase", "9"], "holds the messages 1 to 4");
    refused(data.path(), &["erase", "--room", "tea", "1"], "no room tea");
    done(data.path(), &["erase", "2", "3"]);
    for client in [&mut alice, &mut bob] {
        for (id, seq) in ids[1..3].iter().zip([5, 6]) {
            let redaction = client.next("entry");
            assert_eq!(redaction["kind"], "redaction");
            assert_eq!((&redaction["target"], &redaction["seq"]), (id, &json!(seq)));
            assert_eq!(redaction["nickname"], "server");
        }
    }
    // It has its number and its place, and no text.
    bob.send(&json!({"type": "history", "from": 1, "to": 6, "ref": 1}));
    let page = bob.next("history")["entries"].clone();
    let texts: Vec<_> = page
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| &entry["message"])
        .collect();
    assert_eq!(
        texts,
        [&json!("one"), &Value::Null, &Value::Null, &json!("four")]
    );
    assert_eq!(
        (&page[1]["redacted"], &page[1]["by"]),
        (&json!(5), &json!("server"))
    );
    // Erased ones and redactions are left out.
    done(data.path(), &["erase", "1", "6"]);
    assert_eq!(alice.next("entry")["target"], ids[0]);
    assert_eq!(alice.next("entry")["target"], ids[3]);
    assert_eq!(alice.say("still here")["seq"], 9);
    server.stop();
    assert!(!socket.exists());
    let exported = done(data.path(), &["export"]);
    assert!(!exported.contains("secret"), "{exported}");
    assert_eq!(seqs(&exported), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let ledger = fs::read_to_string(data.path().join("erasures.jsonl")).unwrap();
    let noted = ledger
        .lines()
        .map(|line| serde_json::from_str(line).unwrap());
    let noted: Vec<Value> = noted.map(|line: Value| line["id"].clone()).collect();
    assert_eq!(
        noted,
        [&ids[1], &ids[2], &ids[0], &ids[3]].map(Value::clone)
    );
}

#[test]
fn a_restore_erases_again_what_was_erased_since_the_backup() {
    let data = filled();
    let (_, backup) = path(&data, "backup.db");
    done(data.path(), &["backup", &backup]);
    assert!(done(data.path(), &["export"]).contains("zwei"));
    done(data.path(), &["erase", "3", "4"]);
    fs::remove_file(data.path().join("index.db")).unwrap_or_default();
    let said = |data: &Path, backup: &str| {
        let output = run(data, &["restore", backup]);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    };
    assert!(said(data.path(), &backup).contains("2 entries were erased again"));
    let exported = done(data.path(), &["export"]);
    assert!(!exported.contains("zwei"), "{exported}");
    assert_eq!(seqs(&exported), [1, 2, 3, 4, 5, 6, 7, 8]);
    fs::remove_file(&backup).unwrap();
    is_nowhere(data.path(), "zwei");
    done(data.path(), &["backup", &backup]);
    assert!(!said(data.path(), &backup).contains("erased again"));

    // Without the ledger, the old text is back.
    let other = tempfile::tempdir().unwrap();
    done(other.path(), &["restore", &backup]);
    let fresh = filled();
    let (_, older) = path(&fresh, "older.db");
    done(fresh.path(), &["backup", &older]);
    done(fresh.path(), &["erase", "3"]);
    fs::remove_file(fresh.path().join("erasures.jsonl")).unwrap();
    done(fresh.path(), &["restore", &older]);
    assert!(done(fresh.path(), &["export"]).contains("zwei"));
}
