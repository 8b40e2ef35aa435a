//! Entries of every kind through export, import, backup and restore.

use super::*;

/// A log with entries of every kind, one to a line, as an export has them: texts, an edited one
/// and its edits, a redaction and its tombstone, and entries of kinds that nobody knows.
fn every_kind() -> String {
    let data = filled();
    let server = Server::start(data.path());
    let mut alice = server.join("alice");
    let target = alice.say("frist")["id"].clone();
    for text in ["first", "First"] {
        alice.counter += 1;
        let device = token("alice").device(&ClientId::parse("1").unwrap());
        let id = MessageId {
            device,
            counter: alice.counter,
        }
        .to_string();
        alice.send(
            &json!({"type": "entry", "kind": "edit", "id": id, "target": target,
            "message": text}),
        );
        assert_eq!(alice.next("entry")["message"], text);
    }
    server.stop();
    done(data.path(), &["erase", "2"]);
    let mut lines = done(data.path(), &["export"]);
    let seq = seqs(&lines).len() + 1;
    let last: Value = serde_json::from_str(lines.lines().last().unwrap()).unwrap();
    for (seq, (id, rest)) in (seq..).zip([
        (
            "1",
            r#","kind":"poll","alt":"Tea?","choices":["yes",{"no":[[]]}],"counts":true"#,
        ),
        (
            "2",
            &format!(r#","kind":"reaction","target":{target},"emoji":"🍵""#),
        ),
        (
            "3",
            r#","kind":"x","target":"ffffffffffffffffffffffff-9","erases":true"#,
        ),
    ]) {
        let time = &last["timestamp"];
        let line = format!(
            r#"{{ "room":"lobby", "type":"entry","seq":{seq},"id":"0123456789abcdef01234567-{id}","user":"0123456789abcdef01234567","nickname":"eve","timestamp":{time}{rest}}}"#
        );
        lines = lines + &line + "\n";
    }
    lines
}

#[test]
fn entries_of_every_kind_go_out_and_in_again_byte_for_byte() {
    let lines = every_kind();
    let first = tempfile::tempdir().unwrap();
    let (file, name) = path(&first, "lobby.jsonl");
    fs::write(&file, &lines).unwrap();
    done(first.path(), &["import", &name]);
    let exported = done(first.path(), &["export"]);
    assert_eq!(exported, lines);
    let (_, backup) = path(&first, "backup.db");
    done(first.path(), &["backup", &backup]);
    let second = tempfile::tempdir().unwrap();
    done(second.path(), &["restore", &backup]);
    assert_eq!(done(second.path(), &["export"]), lines);

    // A server serves them, and knows what was changed.
    let server = Server::start(second.path());
    let mut bob = server.join("bob");
    let head = seqs(&lines).len();
    let room = &bob.welcome["rooms"][0];
    assert_eq!(
        (&room["head"], &room["changed"]),
        (&json!(head), &json!(10))
    );
    assert_eq!(room["redacted"], 10);
    bob.send(&json!({"type": "changes", "rev": 0, "to": head, "ref": 1}));
    let page = bob.next("changes");
    let entries = page["entries"].as_array().unwrap().iter();
    let changed: Vec<_> = entries
        .map(|entry| entry["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(changed, [7, 8, 2]);
    let poll = (head - 2).to_string();
    done(second.path(), &["erase", &poll]);
    let tombstone = loop {
        let entry = bob.next("entry");
        if entry["kind"] == "redaction" && entry["seq"].as_u64() > Some(head as u64) {
            bob.send(&json!({"type": "history", "from": head - 2, "to": head - 2, "ref": 2}));
            break bob.next("history")["entries"][0].clone();
        }
    };
    assert_eq!(tombstone["kind"], "poll");
    assert_eq!(
        (&tombstone["alt"], &tombstone["redacted"]),
        (&Value::Null, &json!(head + 1))
    );
    server.stop();
    let exported = done(second.path(), &["export"]);
    let third = tempfile::tempdir().unwrap();
    let (file, name) = path(&third, "lobby.jsonl");
    fs::write(&file, &exported).unwrap();
    done(third.path(), &["import", &name]);
    assert_eq!(done(third.path(), &["export"]), exported);
}

/// Somebody may have put a file together from live frames, which are not folded.
#[test]
fn an_import_applies_edits_and_redactions_that_were_not_applied() {
    let lines = every_kind();
    let unfolded: Vec<String> = lines
        .lines()
        .map(|line| {
            let mut entry: Value = serde_json::from_str(line).unwrap();
            match entry["seq"].as_u64() {
                Some(2) => {
                    let fields = entry.as_object_mut().unwrap();
                    fields.remove("redacted");
                    fields.remove("by");
                    fields.insert("message".to_owned(), json!("the secret"));
                }
                Some(7) => {
                    entry.as_object_mut().unwrap().remove("edited");
                    entry["message"] = json!("frist");
                }
                Some(8) => entry["message"] = json!("first"),
                _ => return line.to_owned(),
            }
            entry.to_string()
        })
        .collect();
    let unfolded = unfolded.join("\n");
    assert!(unfolded.contains("the secret"));
    let data = tempfile::tempdir().unwrap();
    let (file, name) = path(&data, "lobby.jsonl");
    fs::write(&file, &unfolded).unwrap();
    done(data.path(), &["import", &name]);
    assert_eq!(done(data.path(), &["export"]), lines);
}
