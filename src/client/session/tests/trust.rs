//! Tests what the session tells about encryption, and about a server that is not trusted.

use jiff::civil::date;

use super::*;
use crate::{client::event::VerifiedBy, protocol::Fingerprint};

const KEY: Fingerprint = Fingerprint::from_bytes([1; 32]);

fn encrypted(verified_by: VerifiedBy) -> Channel {
    Channel::Encrypted {
        verified_by,
        fingerprint: KEY,
        exporter: [5; 32],
    }
}

fn told(run: &mut TestSession) -> Vec<String> {
    run.events.drain(..).map(|e| event_in_short(&e)).collect()
}

#[test]
fn the_protection_of_a_connection_is_told_before_anything_is_sent() {
    for (channel, told) in [
        (PLAIN, "plain"),
        (encrypted(VerifiedBy::Roots), "encrypted (Roots)"),
        (encrypted(VerifiedBy::Pin), "encrypted (Pin)"),
        (encrypted(VerifiedBy::FirstUse), "encrypted (FirstUse)"),
    ] {
        let mut run = TestSession::new();
        run.open_over(channel);
        run.told(&["connecting", told]);
    }
}

#[test]
fn a_changed_key_stops_until_the_user_wants_otherwise() {
    let mut run = TestSession::new();
    run.events.clear();
    let distrust = Distrust::Changed {
        expected: KEY,
        source: KeySource::Known(date(2026, 11, 22)),
        offered: Fingerprint::from_bytes([2; 32]),
    };
    run.close(&Closed::Distrusted(distrust));
    let told = told(&mut run);
    let (last, lines) = told.split_last().unwrap();
    assert!(
        last.starts_with("stopped: chat.lan:10500 has another key"),
        "{last}"
    );
    let told = lines.last().unwrap();
    assert!(told.contains("Its key since 2026-11-22"), "{told}");
    assert!(told.contains("chat-tui --trust "), "{told}");
    // However long the user does nothing.
    run.pass(Duration::from_hours(24));
    assert!(!run.connected && run.events.is_empty());
    run.command(Command::RetryNow);
    assert!(run.connected);
}
