//! Tests the proof of a key, and the credentials that admit a new one.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::*;
use crate::{
    client::event::{Credential, VerifiedBy},
    protocol::{
        Binding, ClientId, DeviceCode, Entry, Fingerprint, Identity, Invite, InviteId, InviteKey,
        InviteToken, Nonce, admin::Password,
    },
};

const NONCE: Nonce = Nonce::from_bytes([3; 32]);
const SERVER: Fingerprint = Fingerprint::from_bytes([4; 32]);
const EXPORTER: [u8; 32] = [5; 32];
/// 15 January 2027, the date of these tests.
const TODAY: u64 = 1_800_000_000;

fn identity() -> Identity {
    Identity::from_seed([6; 32])
}

fn keyed() -> Credentials {
    Credentials {
        identity: Some(identity()),
        ..Credentials::default()
    }
}

fn run(credentials: Credentials) -> TestSession {
    let (mut run, _) = TestSession::with_credentials(Disk::default(), credentials);
    run.events.clear();
    run
}

fn encrypted() -> Channel {
    Channel::Encrypted {
        verified_by: VerifiedBy::Pin,
        fingerprint: SERVER,
        exporter: EXPORTER,
    }
}

/// Unencrypted, and not on this machine.
const ELSEWHERE: Channel = Channel::Plain {
    server: SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 10500),
};

fn challenge(fingerprint: Option<Fingerprint>) -> ServerFrame {
    ServerFrame::Challenge {
        nonce: NONCE,
        fingerprint,
    }
}

fn invite(fingerprint: Fingerprint, expires: u64) -> Invite {
    let key = InviteKey::from_bytes([1; 32]);
    Invite {
        host: "chat.lan".to_owned(),
        port: 10500,
        fingerprint,
        token: InviteToken::mint(&key, InviteId::from_bytes([2; 8]), expires, 1),
    }
}

fn password(text: &str) -> Password {
    Password::parse(text).unwrap()
}

/// The only frame that was written.
fn proof(run: &mut TestSession) -> crate::protocol::Signature {
    match run.frames().as_slice() {
        [ClientFrame::Proof { signature }] => *signature,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_key_is_proven_on_the_connection_that_it_is_asked_for_on() {
    let Channel::Plain { server: address } = PLAIN else {
        unreachable!()
    };
    let on_this_machine = Binding::Plain {
        server: SERVER,
        address,
    };
    for (channel, told, binding) in [
        (encrypted(), None, Binding::Exporter(EXPORTER)),
        // The connection's own values count more than the server's claims.
        (encrypted(), Some(SERVER), Binding::Exporter(EXPORTER)),
        (PLAIN, Some(SERVER), on_this_machine),
    ] {
        let mut run = run(keyed());
        run.open_over(channel);
        assert_eq!(run.join().key, Some(identity().public()));
        run.say(challenge(told));
        let proof = proof(&mut run);
        assert!(identity().public().proves(&binding, &NONCE, &proof));
        run.say(ServerFrame::Welcome(welcome()));
        assert!(matches!(run.events.last(), Some(Event::Room(_))));
    }
}

#[test]
fn nothing_is_proven_twice_or_for_nothing() {
    let fault = |run: &mut TestSession, says: &str| {
        let told = event_in_short(run.events.last().unwrap());
        assert!(told.contains(says), "{told}");
    };
    let mut again = run(keyed());
    again.open_over(encrypted());
    again.frames();
    again.say(challenge(None));
    again.say(challenge(None));
    fault(&mut again, "second proof");

    let mut bare = run(Credentials::default());
    bare.open_over(encrypted());
    assert_eq!(bare.join().key, None);
    bare.say(challenge(None));
    assert!(!bare.connected);

    let mut unbound = run(keyed());
    unbound.open();
    unbound.frames();
    unbound.say(challenge(None));
    assert!(unbound.frames().is_empty() && !unbound.connected);
}

#[test]
fn a_server_that_asked_for_a_proof_is_no_older_one() {
    let mut run = run(keyed());
    run.open_over(encrypted());
    run.frames();
    run.say(challenge(None));
    run.pass(Duration::from_mins(1));
    let legacy = |event: &Event| matches!(event, Event::Connection(ConnectionStatus::Legacy));
    assert!(!run.events.iter().any(legacy), "{:?}", run.events);
}

#[test]
fn a_user_with_a_key_is_whom_the_server_says_and_is_so_at_the_next_start() {
    let account = UserId::from_bytes([9; 12]);
    let (mut run, _) = TestSession::with_credentials(Disk::default(), keyed());
    run.enter(Welcome {
        user: account,
        ..welcome()
    });
    run.frames();
    // Our own messages are not counted as received.
    run.send("hi");
    let ServerFrame::Entry(ours) = echo(1, 1, "hi") else {
        unreachable!()
    };
    run.say(ServerFrame::Entry(Entry {
        author: Author {
            user: account,
            ..ours.author
        },
        ..ours
    }));
    assert_eq!(run.disk.kept().user, Some(account));
    run.command(Command::Leave);
    run.say(bye(Departure::Disconnect, None));
    assert_eq!(
        event_in_short(run.events.last().unwrap()),
        "ended: sent 1/2, received 0/0, unsent 0"
    );
}

#[test]
fn where_a_device_is_somebody_elses_our_key_has_one_of_its_own() {
    let own = token().device_of_key(&ClientId::parse("3").unwrap(), &identity().public());
    let taken = |device| Welcome {
        device,
        ..welcome()
    };
    let mut run = run(keyed());
    run.enter(taken(own));
    run.frames();
    run.send("hi");
    match run.frames().as_slice() {
        [ClientFrame::Submit(said)] => assert_eq!(said.id.unwrap().device, own),
        other => panic!("{other:?}"),
    }
    // No other id is ours; nor is that one without the key.
    for (credentials, device) in [
        (keyed(), DeviceId::from_bytes([9; 12])),
        (Credentials::default(), own),
    ] {
        let (mut run, _) = TestSession::with_credentials(Disk::default(), credentials);
        run.enter(taken(device));
        assert!(!run.connected);
    }
}

#[test]
fn a_user_without_a_key_is_whom_the_token_makes_them() {
    let mut run = run(Credentials::default());
    run.enter(Welcome {
        user: UserId::from_bytes([9; 12]),
        ..welcome()
    });
    assert!(!run.connected);
}

#[test]
fn an_invite_and_a_code_are_shown_until_they_have_let_us_in() {
    let code = DeviceCode::from_bytes([1; 5]);
    let invite = invite(SERVER, TODAY + 60);
    let token = invite.token;
    let mut run = run(Credentials {
        invite: Some(invite),
        code: Some(code),
        ..keyed()
    });
    for _ in 0..2 {
        run.open_over(encrypted());
        let join = run.join();
        assert_eq!((join.invite, join.code), (Some(token), Some(code)));
        run.lose();
    }
    run.enter(welcome());
    run.lose();
    run.open();
    let join = run.join();
    assert_eq!((join.invite, join.code), (None, None));
    assert_eq!(join.key, Some(identity().public()));
}

#[test]
fn a_password_is_shown_to_a_server_that_asks_for_one() {
    let mut run = run(Credentials {
        password: Some(password("sesame")),
        ..keyed()
    });
    run.open();
    assert_eq!(run.join().password, None);
    let asks = || ServerFrame::Error(error(ErrorCode::PasswordRequired, "A password"));
    run.say(asks());
    assert!(run.connected, "it is tried at once");
    run.open();
    assert_eq!(run.join().password, Some(password("sesame")));
    run.events.clear();
    // A wrong one is not tried twice.
    run.say(asks());
    run.told(&["stopped: A password, wants: Password"]);
    run.command(Command::Credential(Credential::Password(password("open"))));
    run.open();
    assert_eq!(run.join().password, Some(password("open")));
    run.say(ServerFrame::Welcome(welcome()));
    run.lose();
    run.open();
    assert_eq!(run.join().password, None);
}

#[test]
fn a_wanted_credential_is_named_and_may_be_given() {
    let code = DeviceCode::from_bytes([1; 5]);
    let good = invite(SERVER, TODAY + 60);
    for (refused, wants, credential) in [
        (
            ErrorCode::AccessDenied,
            "Invite",
            Credential::Invite(good.clone()),
        ),
        (ErrorCode::BadInvite, "Invite", Credential::Code(code)),
        (ErrorCode::BadCode, "Code", Credential::Code(code)),
    ] {
        let mut run = run(keyed());
        run.open_over(encrypted());
        run.frames();
        run.events.clear();
        run.say(ServerFrame::Error(error(refused, "No")));
        run.told(&[&format!("stopped: No, wants: {wants}")]);
        run.command(Command::Credential(credential.clone()));
        run.open_over(encrypted());
        let join = run.join();
        match credential {
            Credential::Invite(_) => assert_eq!(join.invite, Some(good.token)),
            _ => assert_eq!(join.code, Some(code)),
        }
    }
}

#[test]
fn a_refused_credential_is_not_sent_again() {
    let mut run = run(Credentials {
        invite: Some(invite(SERVER, TODAY + 60)),
        code: Some(DeviceCode::from_bytes([1; 5])),
        ..keyed()
    });
    run.open_over(encrypted());
    run.say(ServerFrame::Error(error(ErrorCode::BadInvite, "No")));
    run.written.clear();
    run.command(Command::RetryNow);
    run.open_over(encrypted());
    let join = run.join();
    assert!(join.invite.is_none() && join.code.is_some());
    run.say(ServerFrame::Error(error(ErrorCode::BadCode, "No")));
    run.command(Command::RetryNow);
    run.open_over(encrypted());
    assert_eq!(run.join().code, None);
}

/// The last notices to the user, without the connection's status.
fn notices(run: &mut TestSession) -> String {
    let told = run.events.drain(..).filter_map(|event| match event {
        Event::Notice(line) => Some(line.as_str().to_owned()),
        _ => None,
    });
    told.collect::<Vec<_>>().join(". ")
}

#[test]
fn an_invite_of_another_server_or_an_old_one_is_shown_to_nobody() {
    let other = Fingerprint::from_bytes([8; 32]);
    for (channel, invite, says) in [
        (encrypted(), invite(other, TODAY + 60), "another server"),
        (encrypted(), invite(SERVER, TODAY - 60), "has expired"),
        (
            PLAIN,
            invite(SERVER, TODAY + 60),
            "start with the invite instead",
        ),
        (
            ELSEWHERE,
            invite(SERVER, TODAY + 60),
            "start without --plaintext",
        ),
    ] {
        let mut run = run(keyed());
        run.open_over(channel);
        run.frames();
        run.say(ServerFrame::Error(error(ErrorCode::AccessDenied, "No")));
        run.events.clear();
        run.command(Command::Credential(Credential::Invite(invite)));
        let told = notices(&mut run);
        assert!(told.contains(says), "{told}");
        assert!(!run.connected);
    }
}

/// Typed before there was a connection, or given at the start.
#[test]
fn an_invite_is_shown_to_none_but_the_server_that_it_names() {
    let other = Fingerprint::from_bytes([8; 32]);
    for (channel, key, says) in [
        (encrypted(), SERVER, None),
        (encrypted(), other, Some("names another key than chat.lan")),
        (PLAIN, SERVER, Some("start with the invite instead")),
        (ELSEWHERE, SERVER, Some("start with the invite instead")),
    ] {
        let invite = invite(key, TODAY + 60);
        let mut typed = run(keyed());
        typed.command(Command::Credential(Credential::Invite(invite.clone())));
        let named = run(Credentials {
            invite: Some(invite.clone()),
            ..keyed()
        });
        for mut run in [typed, named] {
            run.open_over(channel);
            let shown = says.is_none().then_some(invite.token);
            assert_eq!(run.join().invite, shown, "{channel:?}");
            let told = notices(&mut run);
            assert!(says.is_none_or(|says| told.contains(says)), "{told}");
            // The user is told once, and the join continues.
            run.say(ServerFrame::Welcome(welcome()));
            run.lose();
            run.open_over(channel);
            assert_eq!(notices(&mut run), "");
        }
    }
}

#[test]
fn where_others_can_read_along_nothing_of_ours_is_shown() {
    let code = DeviceCode::from_bytes([1; 5]);
    let mut run = run(Credentials {
        password: Some(password("sesame")),
        code: Some(code),
        ..keyed()
    });
    run.open_over(ELSEWHERE);
    let join = run.join();
    assert_eq!((join.key, join.code, join.password), (None, None, None));
    let told = notices(&mut run);
    assert!(told.contains("you join without your key"), "{told}");
    // The user is not asked for a credential that would not be sent.
    for wanted in [
        ErrorCode::PasswordRequired,
        ErrorCode::AccessDenied,
        ErrorCode::BadCode,
    ] {
        run.say(ServerFrame::Error(error(wanted, "No")));
        let told = event_in_short(run.events.last().unwrap());
        assert_eq!(told, "stopped: No");
        let told = notices(&mut run);
        assert!(told.contains("start without --plaintext"), "{told}");
        run.command(Command::Credential(Credential::Password(password("open"))));
        assert!(!run.connected);
        run.command(Command::RetryNow);
        run.open_over(ELSEWHERE);
        assert_eq!(run.join().password, None);
        run.events.clear();
    }
    // A server that asks for a proof has not been sent a key.
    run.say(challenge(Some(SERVER)));
    assert!(run.frames().is_empty() && !run.connected);
}

#[test]
fn a_user_who_sends_no_key_is_whom_the_token_makes_them() {
    let (mut before, _) = TestSession::with_credentials(Disk::default(), keyed());
    before.enter(Welcome {
        user: UserId::from_bytes([9; 12]),
        ..welcome()
    });
    let (mut run, _) = TestSession::with_credentials(before.disk, keyed());
    run.open_over(ELSEWHERE);
    run.say(ServerFrame::Welcome(welcome()));
    assert!(run.connected, "{:?}", run.events);
    assert_eq!(run.disk.kept().user, Some(us()));
}

#[test]
fn that_an_invite_has_expired_is_said_before_anything_else() {
    // The session begins in 1970.
    let (mut run, _) = TestSession::with_credentials(
        Disk::default(),
        Credentials {
            invite: Some(invite(SERVER, 0)),
            ..keyed()
        },
    );
    run.told(&[
        "notice: The invite expired on 1970-01-01: it only works for a key that it admitted \
        before",
        "connecting",
    ]);
    run.open_over(encrypted());
    assert_eq!(run.join().invite, None);
}

#[test]
fn a_server_that_requires_encryption_is_probed_again_once() {
    let mut run = run(keyed());
    let refused = || ServerFrame::Error(error(ErrorCode::PlaintextRefused, "Encrypt"));
    run.open();
    run.say(refused());
    assert!(run.connected);
    run.open();
    run.events.clear();
    run.say(refused());
    run.told(&["stopped: The server refused the join: Encrypt"]);
}

#[test]
fn with_all_that_lets_in_a_join_is_still_one_that_older_servers_take() {
    let mut run = run(Credentials {
        invite: Some(invite(SERVER, TODAY + 60)),
        code: Some(DeviceCode::from_bytes([1; 5])),
        ..keyed()
    });
    run.open_over(encrypted());
    assert!(run.written.len() <= 1024, "{}", run.written.len());
}
