//! Writes and syncs that fail under a running server, and a disk that is full.

use std::{fs, process::Command};

use crate::{
    client::Client,
    disk::{Disk, Failing},
    load::Load,
    process::Process,
    rounds,
};

/// The system's error numbers.
const EIO: i32 = 5;
const ENOSPC: i32 = 28;
const EROFS: i32 = 30;
const EDQUOT: i32 = 122;

/// Sends a message and waits for its outcome: refused for a while, or taken.
fn try_once(client: &mut Client) {
    client.write().unwrap();
    while client.out() > 0 {
        client.read().unwrap();
    }
}

fn say_until_quiet(client: &mut Client) {
    while !client.is_quiet() {
        try_once(client);
    }
}

/// A full disk: messages are refused for a while, readers are served, and when there is room again
/// the same server takes the waiting messages, in order.
fn full_and_free_again(server: Process, fill: impl FnOnce(&Process), free: impl FnOnce(&Process)) {
    let mut talker = Client::new(1);
    talker.resume(server.address).unwrap();
    talker.say();
    say_until_quiet(&mut talker);
    fill(&server);
    // Space inside the files may last for a while.
    while talker.refusals.is_empty() {
        talker.say();
        try_once(&mut talker);
    }
    assert_eq!(talker.refusals[0], "not_durable");
    // The server uses the space of its write-ahead log as long as it can.
    while talker.pending.len() < 5 {
        talker.say();
        try_once(&mut talker);
    }
    let mut reader = Client::new(2);
    let head = reader.join(server.address).unwrap().rooms[0].extent.head;
    assert_eq!(head, talker.promised.len() as u64);
    reader.resume(server.address).unwrap();
    while (reader.log.len() as u64) < head {
        reader.read().unwrap();
    }
    free(&server);
    say_until_quiet(&mut talker);
    while reader.log.len() < talker.promised.len() {
        reader.read().unwrap();
    }
    talker.check(&reader.log);
    server.stop();
}

#[test]
fn writes_that_the_system_refuses_hold_messages_back_and_lose_none() {
    for errno in [ENOSPC, EDQUOT, EROFS] {
        let disk = Disk::new();
        let server = Process::start(&disk.data(), |server| disk.under(server));
        let full = Failing {
            pass: 3,
            fail: -1,
            errno,
        };
        full_and_free_again(
            server,
            |_| disk.writes(full),
            |_| disk.writes(Failing::NEVER),
        );
    }
}

/// The same with a real file system that is full: a tmpfs of its own for the server.
#[test]
fn a_full_file_system_holds_messages_back_and_loses_none() {
    let data = tempfile::tempdir().unwrap();
    let server = Process::start(data.path(), |server| {
        let mut inside = Command::new("unshare");
        inside
            .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
            .arg(r#"mount -t tmpfs -o size=4m,mode=700 tmpfs "$0" && exec "$@""#)
            .arg(data.path())
            .arg(server.get_program())
            .args(server.get_args())
            .env("HOME", data.path());
        *server = inside;
    });
    let filler = |server: &Process| {
        let root = format!("/proc/{}/root", server.id());
        let place = data.path().strip_prefix("/").unwrap();
        std::path::Path::new(&root).join(place).join("filler")
    };
    full_and_free_again(
        server,
        |server| {
            let mut out = fs::File::create(filler(server)).unwrap();
            while std::io::Write::write_all(&mut out, &[0; 4096]).is_ok() {}
        },
        |server| fs::remove_file(filler(server)).unwrap(),
    );
}

/// A server that is started on a full disk serves readers, and takes messages again when there is
/// room.
#[test]
fn a_server_starts_on_a_full_disk_and_serves_readers() {
    let disk = Disk::new();
    let mut talker = Client::new(1);
    for relaxed in [false, true] {
        let start = |relaxed: bool| {
            Process::start(&disk.data(), |server| {
                disk.under(server);
                if relaxed {
                    server.args(["--durability", "relaxed"]);
                }
            })
        };
        let server = start(false);
        talker.resume(server.address).unwrap();
        for _ in 0..200 {
            talker.say();
            say_until_quiet(&mut talker);
        }
        // Killed, with all of that in the write-ahead log.
        drop(server);
        disk.writes(Failing {
            // The lock file, and the memory that connections share.
            pass: 10,
            fail: -1,
            errno: ENOSPC,
        });
        // There is no room for a mark either.
        let server = start(relaxed);
        let mut reader = Client::new(2);
        reader.resume(server.address).unwrap();
        while reader.log.len() < talker.promised.len() {
            reader.read().unwrap();
        }
        disk.writes(Failing::NEVER);
        talker.resume(server.address).unwrap();
        talker.say();
        say_until_quiet(&mut talker);
        server.stop();
    }
}

/// Writes or syncs fail from the Nth on, then from the N + 1st, …: nothing more is acknowledged,
/// the server ends and says why, and the next one has all acknowledged messages.
fn ends_and_loses_nothing(fail: impl Fn(&Disk, Failing)) {
    let disk = Disk::new();
    let mut load = Load::new(3);
    for pass in 0..rounds("SYNC_ROUNDS", 12).into() {
        let server = Process::start(&disk.data(), |server| disk.under(server));
        let address = server.address;
        let failing = Failing {
            pass,
            fail: -1,
            errno: EIO,
        };
        fail(&disk, failing);
        let mut ended = None;
        load.talk(address, || ended = Some(server.ended()));
        let (status, log) = ended.unwrap();
        assert_eq!(status.code(), Some(1), "{log}");
        assert!(log.contains("can't be stored any more"), "{log}");
        fail(&disk, Failing::NEVER);
        // After such an error the page cache can't be trusted, and need not be.
        disk.cut_power(None);
        let server = Process::start(&disk.data(), |server| disk.under(server));
        load.settle(server.address);
        server.stop();
    }
}

#[test]
fn after_a_failed_sync_the_server_ends_and_the_next_one_has_what_was_promised() {
    ends_and_loses_nothing(Disk::syncs);
}

#[test]
fn after_a_failed_write_the_server_ends_and_the_next_one_has_what_was_promised() {
    ends_and_loses_nothing(Disk::writes);
}

/// Before the disk is full the operator is warned, twice, however it fills; and told when there is
/// space again.
#[test]
fn the_operator_is_warned_before_the_disk_is_full() {
    const MIB: usize = 1 << 20;
    let data = tempfile::tempdir().unwrap();
    let server = Process::start(data.path(), |server| {
        let mut inside = Command::new("unshare");
        inside
            .args(["--user", "--map-root-user", "--mount", "sh", "-c"])
            .arg(r#"mount -t tmpfs -o size=100m,mode=700 tmpfs "$0" && exec "$@""#)
            .arg(data.path())
            .arg(server.get_program())
            .args(server.get_args())
            .env("HOME", data.path());
        *server = inside;
    });
    let place = data.path().strip_prefix("/").unwrap().join("filler");
    let place = std::path::Path::new(&format!("/proc/{}/root", server.id())).join(place);
    let fill = |bytes: usize| fs::write(&place, vec![7; bytes]).unwrap();
    fill(92 * MIB);
    server.says(" WARN the disk of the log has ");
    let left = |free: usize| {
        let mut out = fs::File::options().append(true).open(&place).unwrap();
        while {
            let disk = rustix::fs::statvfs(&place).unwrap();
            disk.f_bavail * disk.f_frsize > free as u64
        } {
            std::io::Write::write_all(&mut out, &[7; 4096]).unwrap();
        }
    };
    left(MIB / 2);
    server.says(" WARN the disk of the log has ");
    fs::remove_file(&place).unwrap();
    server.says(" again");
    server.stop();
}
