//! Tests trust over the runs of one directory.

use jiff::civil::date;

use super::*;

const OURS: Fingerprint = Fingerprint::from_bytes([1; 32]);
const OTHER: Fingerprint = Fingerprint::from_bytes([2; 32]);
const TODAY: Date = date(2026, 11, 22);

fn policy(directory: &tempfile::TempDir) -> Policy {
    Policy {
        directory: Some(directory.path().to_owned()),
        ..Policy::default()
    }
}

fn host(text: &str) -> Host {
    Host::parse(text).unwrap()
}

fn trust(policy: Policy) -> Trust {
    Trust::new(&host("Chat.lan"), 10500, policy)
}

/// Connects to a server for the first time.
fn meet(trust: &Trust, by: VerifiedBy) {
    let expected = trust.expected().unwrap();
    assert_eq!(expected, Expected::Anything);
    assert_eq!(trust.accepted(TODAY, expected, by, OURS), Ok(None));
    assert_eq!(trust.let_in(), Ok(None));
}

/// Only a key that is vouched for, or that the user named, is stored at once.
#[test]
fn a_key_at_first_sight_is_kept_once_its_server_has_let_us_in() {
    let directory = tempfile::tempdir().unwrap();
    let run = trust(policy(&directory));
    let known = |key| Ok(Expected::Key(key, KeySource::Known(TODAY)));
    let see = |key| {
        let expected = run.expected().unwrap();
        let seen = run.accepted(TODAY, expected, VerifiedBy::FirstUse, key);
        assert_eq!(seen, Ok(None));
    };
    see(OTHER);
    // This run accepts no other; the next one does not know it.
    assert_eq!(run.expected(), known(OTHER));
    assert_eq!(trust(policy(&directory)).expected(), Ok(Expected::Anything));
    // It was somebody in between: the genuine server may still come.
    run.doubt();
    assert_eq!(run.let_in(), Ok(None));
    assert_eq!(run.expected(), Ok(Expected::Anything));
    see(OURS);
    assert_eq!(run.let_in(), Ok(None));
    // A stored key stays, whatever is doubted later.
    run.doubt();
    assert_eq!(run.expected(), known(OURS));
    assert_eq!(trust(policy(&directory)).expected(), known(OURS));
}

#[test]
fn a_key_that_was_met_is_expected_by_this_run_and_the_next() {
    let directory = tempfile::tempdir().unwrap();
    let first = trust(policy(&directory));
    meet(&first, VerifiedBy::FirstUse);
    let known = Ok(Expected::Key(OURS, KeySource::Known(TODAY)));
    assert_eq!(first.expected(), known);
    assert_eq!(trust(policy(&directory)).expected(), known);
    // The name is case-insensitive, and another port is another server.
    let capitals = Trust::new(&host("CHAT.LAN."), 10500, policy(&directory));
    assert_eq!(capitals.expected(), known);
    let other = Trust::new(&host("chat.lan"), 10501, policy(&directory));
    assert_eq!(other.expected(), Ok(Expected::Anything));
}

#[test]
fn without_a_directory_a_key_is_expected_for_the_run() {
    let first = trust(Policy::default());
    meet(&first, VerifiedBy::FirstUse);
    let known = Ok(Expected::Key(OURS, KeySource::Known(TODAY)));
    assert_eq!(first.expected(), known);
    assert_eq!(trust(Policy::default()).expected(), Ok(Expected::Anything));
}

#[test]
fn a_server_that_the_system_vouched_for_is_vouched_for_ever_after() {
    let directory = tempfile::tempdir().unwrap();
    meet(&trust(policy(&directory)), VerifiedBy::Roots);
    let second = trust(policy(&directory));
    assert_eq!(second.expected(), Ok(Expected::System(TODAY)));
    // Its key may change, and an invite may name the one before.
    let invited = trust(Policy {
        invited: Some(OTHER),
        ..policy(&directory)
    });
    assert_eq!(invited.expected(), Ok(Expected::System(TODAY)));
}

#[test]
fn a_key_that_is_given_takes_the_place_of_what_is_known_once_it_is_seen() {
    let directory = tempfile::tempdir().unwrap();
    meet(&trust(policy(&directory)), VerifiedBy::FirstUse);
    let given = trust(Policy {
        accept: Some(OTHER),
        ..policy(&directory)
    });
    let expected = given.expected().unwrap();
    assert_eq!(expected, Expected::Key(OTHER, KeySource::Given));
    // Not seen yet: the known key stays.
    let known = |key| Ok(Expected::Key(key, KeySource::Known(TODAY)));
    assert_eq!(trust(policy(&directory)).expected(), known(OURS));
    given
        .accepted(TODAY, expected, VerifiedBy::Pin, OTHER)
        .unwrap();
    assert_eq!(given.expected(), known(OTHER));
    assert_eq!(trust(policy(&directory)).expected(), known(OTHER));
}

#[test]
fn an_invite_names_the_key_of_a_server_that_is_not_known_and_of_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let invited = trust(Policy {
        invited: Some(OURS),
        ..policy(&directory)
    });
    let expected = invited.expected().unwrap();
    assert_eq!(expected, Expected::Key(OURS, KeySource::Invite));
    invited
        .accepted(TODAY, expected, VerifiedBy::Pin, OURS)
        .unwrap();
    assert_eq!(
        trust(policy(&directory)).expected(),
        Ok(Expected::Key(OURS, KeySource::Known(TODAY)))
    );
    let forged = trust(Policy {
        invited: Some(OTHER),
        ..policy(&directory)
    });
    assert_eq!(
        forged.expected(),
        Err(Distrust::Invite {
            known: OURS,
            since: TODAY,
            invited: OTHER
        })
    );
}

#[test]
fn of_two_who_meet_two_servers_at_once_the_second_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (trust(policy(&directory)), trust(policy(&directory)));
    let (first, second) = (one.expected().unwrap(), two.expected().unwrap());
    assert_eq!(
        one.accepted(TODAY, first, VerifiedBy::FirstUse, OURS),
        Ok(None)
    );
    // A third run has met the other server, and joins after the first.
    let three = trust(policy(&directory));
    let third = three.expected().unwrap();
    let met = three.accepted(TODAY, third, VerifiedBy::FirstUse, OTHER);
    assert_eq!(met, Ok(None));
    assert_eq!(one.let_in(), Ok(None));
    let let_in = three.let_in();
    assert!(
        matches!(let_in, Err(Distrust::Changed { .. })),
        "{let_in:?}"
    );
    assert_eq!(
        two.accepted(TODAY, second, VerifiedBy::FirstUse, OTHER),
        Err(Distrust::Changed {
            expected: OURS,
            source: KeySource::Known(TODAY),
            offered: OTHER
        })
    );
}

#[test]
fn of_two_who_meet_one_that_is_vouched_for_and_one_that_is_not_the_second_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let (one, two) = (trust(policy(&directory)), trust(policy(&directory)));
    let (first, second) = (one.expected().unwrap(), two.expected().unwrap());
    assert_eq!(
        one.accepted(TODAY, first, VerifiedBy::Roots, OURS),
        Ok(None)
    );
    let told = two.accepted(TODAY, second, VerifiedBy::FirstUse, OTHER);
    let Err(Distrust::NotVouched { since, offered, .. }) = told else {
        panic!("{told:?}");
    };
    assert_eq!((since, offered), (TODAY, OTHER));
    // Two certificates of one server may both be vouched for.
    assert_eq!(
        two.accepted(TODAY, second, VerifiedBy::Roots, OTHER),
        Ok(None)
    );
}

#[test]
fn a_key_that_is_given_and_can_not_be_kept_is_given_for_the_run() {
    let directory = tempfile::tempdir().unwrap();
    meet(&trust(policy(&directory)), VerifiedBy::FirstUse);
    // The file can be read, but not replaced: a directory is in the place of the new file.
    let file = directory.path().join(FILE);
    let new = file.with_extension(format!("{}.new", std::process::id()));
    std::fs::create_dir(&new).unwrap();
    let given = trust(Policy {
        accept: Some(OTHER),
        ..policy(&directory)
    });
    for is_told in [true, false] {
        let expected = given.expected().unwrap();
        assert_eq!(expected, Expected::Key(OTHER, KeySource::Given));
        let told = given.accepted(TODAY, expected, VerifiedBy::Pin, OTHER);
        assert_eq!(told.unwrap().is_some(), is_told);
    }
}

#[test]
fn in_the_clear_is_spoken_on_this_machine_with_who_never_encrypted() {
    let local = |port| SocketAddr::from(([127, 0, 0, 1], port));
    let mapped: SocketAddr = "[::ffff:127.0.0.1]:10500".parse().unwrap();
    let elsewhere = SocketAddr::from(([192, 168, 1, 20], 10500));
    let trust = trust(Policy::default());
    let expected = Expected::Anything;
    assert!(trust.may_be_plain(expected, local(10500)));
    assert!(trust.may_be_plain(expected, mapped));
    assert!(!trust.may_be_plain(expected, elsewhere));
    assert!(!trust.may_be_plain(Expected::Key(OURS, KeySource::Known(TODAY)), local(10500)));
    assert!(!trust.may_be_plain(Expected::System(TODAY), local(10500)));
    trust.is_plain(local(10500));
    assert!(trust.was_plain(local(10500)) && !trust.was_plain(local(10501)));
    trust.ask_again();
    assert!(!trust.was_plain(local(10500)));
    meet(&trust, VerifiedBy::FirstUse);
    assert!(!trust.may_be_plain(expected, local(10500)));
}

#[test]
fn a_server_that_is_known_is_not_spoken_to_in_the_clear_even_if_asked_to() {
    let directory = tempfile::tempdir().unwrap();
    let plaintext = || {
        trust(Policy {
            plaintext: true,
            ..policy(&directory)
        })
    };
    assert_eq!(plaintext().expected(), Ok(Expected::Anything));
    meet(&trust(policy(&directory)), VerifiedBy::FirstUse);
    let refused = Err(Distrust::Plaintext { since: TODAY });
    assert_eq!(plaintext().expected(), refused);
    assert_eq!(
        forget(directory.path(), &host("CHAT.lan."), 10500),
        Ok(true)
    );
    assert_eq!(
        forget(directory.path(), &host("CHAT.lan."), 10500),
        Ok(false)
    );
    assert_eq!(plaintext().expected(), Ok(Expected::Anything));
}

#[test]
fn a_file_that_makes_no_sense_trusts_nobody() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join(FILE), "chat.lan:10500 yes\n").unwrap();
    let Err(Distrust::Unreadable(why)) = trust(policy(&directory)).expected() else {
        panic!("it trusts");
    };
    assert!(why.as_str().contains("Line 1 of"), "{why}");
}

#[test]
fn trust_that_can_not_be_stored_holds_for_the_run_and_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let place = directory.path().join("file");
    std::fs::write(&place, "").unwrap();
    // A directory that can't be made, because a file is in its place.
    let trust = trust(Policy {
        directory: Some(place.join("state")),
        ..Policy::default()
    });
    let expected = trust.expected().unwrap();
    let seen = trust.accepted(TODAY, expected, VerifiedBy::FirstUse, OURS);
    assert_eq!(seen, Ok(None));
    let told = trust.let_in().unwrap().expect("a word");
    assert!(told.as_str().contains("this run only"), "{told}");
    let known = Expected::Key(OURS, KeySource::Known(TODAY));
    assert_eq!(trust.expected(), Ok(known));
}
