//! Unreadable records of accounts and bans: the server says so, and admits nobody by mistake.

use std::path::Path;

use rusqlite::Connection;

use crate::harness::{Server, program, run};

/// Changes a data directory's log while no server runs.
fn damage(data: &Path, sql: &str) {
    let database = Connection::open(data.join("log.db")).unwrap();
    database.execute_batch(sql).unwrap();
}

/// Adds a record to the log's state.
fn keep(data: &Path, kind: &str, key: &str, value: &str) {
    damage(
        data,
        &format!("INSERT INTO record(kind, key, value) VALUES('{kind}', '{key}', {value})"),
    );
}

#[test]
fn a_server_whose_records_are_damaged_does_not_start_until_its_operator_decides() {
    let user = "1b2c3d4e5f60718293a4b5c6";
    let ban = "00000000000000000001";
    let owner =
        r#"'{"role":"owner","admitted":true,"since":1,"keys":[{"key":"zz","added":1,"seen":1}]}'"#;
    let role = r#"'{"role":"king","admitted":true,"since":1,"keys":[]}'"#;
    let truncated = r#"'{"user":"1b2c3d4e5f60718293a4b5c6","nickname":"bo'"#;
    for (kind, key, value) in [
        ("account", user, owner),
        ("account", user, role),
        ("account", "nobody", "'{}'"),
        ("ban", ban, truncated),
        ("ban", ban, "''"),
        ("ban", ban, "CAST(x'ff00' AS TEXT)"),
        ("ban", "one", "'{}'"),
        ("mute", user, truncated),
        ("nickname", "0a", "'[]'"),
        ("invite", "0102030405060708", "'{\"expires\":-1}'"),
        ("room", "lobby", "'null'"),
        ("audit", ban, truncated),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path();
        drop(Server::start(data, &[]));
        keep(data, kind, key, value);
        let refused = program(data, &["0"]).output().unwrap();
        let said = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(2), "{kind} {value}: {said}");
        for words in [kind, key, "restore FILE", "--drop-damaged"] {
            assert!(said.contains(words), "{kind} {value}: {said}");
        }
        // No code is shown, so nobody can claim the server.
        assert!(!said.contains("/owner"), "{said}");
        let server = Server::start(data, &["--drop-damaged"]);
        server.says(&format!("deleted the damaged record {kind} \"{key}\""));
        drop(server);
        Server::start(data, &[]).says("this server has no owner yet");
    }
}

#[test]
fn records_of_a_newer_server_are_kept_and_named() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path();
    drop(Server::start(data, &[]));
    keep(data, "badge", "carol", "'{\"of\":\"gold\"}'");
    for options in [&[][..], &["--drop-damaged"]] {
        Server::start(data, options)
            .says("1 records of the kind \"badge\" are from a newer server");
    }
    let database = Connection::open(data.join("log.db")).unwrap();
    let count = "SELECT count(*) FROM record WHERE kind = 'badge'";
    let count: u32 = database.query_row(count, (), |row| row.get(0)).unwrap();
    assert_eq!(count, 1);
    drop(database);
    // Commands that only read messages still work.
    assert!(run(data, &["export"]).status.success());
}
