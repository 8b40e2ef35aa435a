//! What the session tells of who can read along, and of a server that is not trusted.

use jiff::civil::date;

use super::*;
use crate::{client::event::VerifiedBy, protocol::Fingerprint};

const KEY: Fingerprint = Fingerprint::from_bytes([1; 32]);

fn encrypted(verified_by: VerifiedBy) -> Channel {
    Channel {
        security: Security::Encrypted {
            verified_by,
            fingerprint: KEY,
        },
        exporter: Some([5; 32]),
    }
}

fn told(run: &mut Run) -> Vec<String> {
    run.events.drain(..).map(|e| event_in_short(&e)).collect()
}

#[test]
fn who_can_read_along_is_told_before_anything_is_said() {
    for (channel, told) in [
        (Channel::PLAIN, "plain"),
        (encrypted(VerifiedBy::Roots), "encrypted (Roots)"),
        (encrypted(VerifiedBy::Pin), "encrypted (Pin)"),
    ] {
        let mut run = Run::new();
        run.open_over(channel);
        run.told(&["connecting", told]);
    }
}

#[test]
fn a_server_that_is_met_for_the_first_time_is_told_with_its_key() {
    let mut run = Run::new();
    run.open_over(encrypted(VerifiedBy::FirstUse));
    let told = told(&mut run);
    assert_eq!(told[..2], ["connecting", "encrypted (FirstUse)"]);
    assert!(told[2].contains("First time on chat.lan:10500"), "{told:?}");
    assert!(told[2].contains(&KEY.to_string()), "{told:?}");
}

#[test]
fn of_a_server_of_this_machine_there_is_nothing_to_compare() {
    for host in ["localhost", "127.0.0.1", "[::1]"] {
        let mut run = Run::new();
        run.session.config.host = host.to_owned();
        run.open_over(encrypted(VerifiedBy::FirstUse));
        run.told(&["connecting", "encrypted (FirstUse)"]);
    }
}

#[test]
fn a_changed_key_stops_until_the_user_wants_otherwise() {
    let mut run = Run::new();
    run.events.clear();
    let distrust = Distrust::Changed {
        expected: KEY,
        source: Source::Known(date(2026, 11, 22)),
        offered: Fingerprint::from_bytes([2; 32]),
    };
    run.close(&Closed::Distrusted(distrust));
    let told = told(&mut run);
    let (last, lines) = told.split_last().unwrap();
    assert!(
        last.starts_with("stopped: chat.lan:10500 has another key"),
        "{last}"
    );
    assert!(lines.last().unwrap().contains("chat-tui --trust "));
    // However long nobody does anything.
    run.pass(Duration::from_hours(24));
    assert!(!run.connected && run.events.is_empty());
    run.command(Command::RetryNow);
    assert!(run.connected);
}
