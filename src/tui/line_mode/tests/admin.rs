//! Tests of admin commands.

use super::*;
use crate::{
    client::event::{Credential, CredentialWanted, ExplanationPart, Security, VerifiedBy},
    protocol::{
        DeviceCode, Extent, Fingerprint, InviteId, InviteKey, InviteToken, RoomRules,
        admin::{AdminCommand, AdminResult},
        frame::{Member, RoomStart},
    },
};

const COMMANDS: LineModeOptions = LineModeOptions {
    commands: true,
    ..SCRIPT
};
const KEY: Fingerprint = Fingerprint::from_bytes([0xa7; 32]);

fn first_use() -> Event {
    Event::Security(Security::Encrypted {
        verified_by: VerifiedBy::FirstUse,
        fingerprint: KEY,
    })
}

fn result(message: &str, lines: &[&str]) -> AdminResult {
    AdminResult {
        message: Line::inert(message),
        lines: lines.iter().map(|line| Line::inert(line)).collect(),
        invite: None,
        code: None,
        room: None,
        reference: None,
    }
}

fn answer(model: &mut Model, request: u64, answer: Result<AdminResult, &str>) {
    model.event(Event::Admin {
        request,
        answer: answer.map_err(Line::inert),
    });
}

fn said(model: &mut Model) -> String {
    model.status.drain(..).collect()
}

#[test]
fn a_command_is_sent_and_waited_for() {
    let mut model = model(COMMANDS);
    line(&mut model, "/kick \"too loud\" go away");
    let kick = AdminCommand::Kick {
        nickname: name("too loud"),
        reason: Some(Line::inert("go away")),
    };
    let expected = Command::Admin {
        request: 0,
        command: kick,
    };
    assert_eq!(model.commands.pop_front(), Some(expected));
    model.input_ended(None);
    assert_eq!(
        model.commands.pop_front(),
        None,
        "not before it is answered"
    );
    answer(&mut model, 0, Ok(result("too loud was sent away", &[])));
    assert_eq!(said(&mut model), "too loud was sent away\n");
    assert_eq!(model.commands.pop_front(), Some(Command::Leave));
    model.event(Event::Ended(Summary::default()));
    assert_eq!(model.exit_status(), ExitStatus::Good);
}

#[test]
fn commands_that_a_script_could_not_run_are_counted() {
    for refused in ["/kick", "/bans"] {
        let mut model = model(COMMANDS);
        line(&mut model, refused);
        answer(&mut model, 0, Err("Only moderators can do that"));
        model.input_ended(None);
        model.event(Event::Ended(Summary::default()));
        assert_eq!(model.exit_status(), ExitStatus::NotDelivered, "{refused}");
    }
    let mut model = model(PERSON);
    line(&mut model, "/bans");
    answer(&mut model, 0, Err("Only moderators can do that"));
    assert_eq!(said(&mut model), "Only moderators can do that\n");
    assert_eq!(model.undelivered(), 0);
}

#[test]
fn a_list_has_a_line_for_each() {
    let mut model = model(PERSON);
    line(&mut model, "/bans");
    let lines = &["eve until lifted", "mallory\nuntil\u{1b}[2J lifted"];
    answer(&mut model, 0, Ok(result("2 are kept out", lines)));
    let said = said(&mut model);
    assert_eq!(said.lines().count(), 3, "{said}");
    assert!(!said.contains('\u{1b}'), "{said}");
}

#[test]
fn an_invite_and_a_code_are_told_whole() {
    let key = InviteKey::from_bytes([9; 32]);
    let token = InviteToken::mint(&key, InviteId::from_bytes([5; 8]), 1_800_000_000, 1);
    let mut model = model(PERSON);
    model.event(first_use());
    said(&mut model);
    let invited = AdminResult {
        invite: Some(token),
        ..result("One may come in", &[])
    };
    answer(&mut model, 0, Ok(invited));
    let told = said(&mut model);
    let invite = told.lines().find(|line| line.starts_with("chat-tui://"));
    let invite = crate::protocol::Invite::parse(invite.unwrap()).unwrap();
    assert_eq!(
        (invite.host.as_str(), invite.fingerprint),
        ("chat.lan", KEY)
    );

    let code = DeviceCode::parse("mfrg-gzdf").unwrap();
    let added = AdminResult {
        code: Some(code),
        ..result("Another device can come in", &[])
    };
    answer(&mut model, 1, Ok(added));
    let how = format!("chat-tui --device-code mfrg-gzdf --trust {KEY} chat.lan 10500 bot 1");
    assert!(said(&mut model).contains(&how));

    // A nickname from the server that looks like an option does not become one in the command.
    model.nickname = Nickname::parse("-x").unwrap();
    let added = AdminResult {
        code: Some(code),
        ..result("Another device can come in", &[])
    };
    answer(&mut model, 2, Ok(added));
    let how = format!("--trust {KEY} -- chat.lan 10500 -x 1");
    assert!(said(&mut model).contains(&how));
}

#[test]
fn a_new_server_is_told_to_scripts_too() {
    let mut model = started(SCRIPT);
    model.event(first_use());
    let told = said(&mut model);
    assert!(
        told.starts_with("First connection to chat.lan:10500."),
        "{told}"
    );
    assert!(told.contains(&KEY.to_string()), "{told}");
}

#[test]
fn a_server_that_is_not_trusted_is_explained() {
    let mut model = started(SCRIPT);
    let command = "chat-tui --trust aaaa chat.lan 10500 bot 9";
    model.event(Event::Distrusted(vec![
        ExplanationPart::Words(Line::inert("It has another key.")),
        ExplanationPart::Key {
            label: Line::inert("The key offered now"),
            key: KEY,
        },
        ExplanationPart::Command(Line::inert(command)),
    ]));
    model.event(Event::Connection(ConnectionStatus::Stopped {
        brief: "Not let in!",
        why: Line::inert("chat.lan:10500 has another key"),
        wants: None,
    }));
    let told = format!(
        "It has another key.\nThe key offered now: {KEY}\n{command}\nchat.lan:10500 has another \
         key\n"
    );
    assert_eq!(said(&mut model), told);
    model.event(Event::Ended(Summary::default()));
    assert_eq!(model.exit_status(), ExitStatus::NoServer);
}

#[test]
fn a_missing_credential_is_explained_with_its_option() {
    for (wanted, option) in [
        (CredentialWanted::Password, "--password-file FILE"),
        (CredentialWanted::Invite, "--invite-file FILE"),
        (CredentialWanted::Code, "--device-code-file FILE"),
    ] {
        let mut model = started(SCRIPT);
        model.event(Event::Connection(ConnectionStatus::Stopped {
            brief: "Not let in!",
            why: Line::inert("This server wants more"),
            wants: Some(wanted),
        }));
        let told = said(&mut model);
        assert!(told.contains(option), "{told}");
        model.event(Event::Ended(Summary::default()));
        assert_eq!(model.exit_status(), ExitStatus::NoServer);
    }
}

#[test]
fn a_code_lets_a_person_in_who_is_asked_for_a_nickname() {
    let mut model = started(PERSON);
    model.event(Event::NicknameRefused {
        nickname: name("bot"),
        why: Line::inert("Nickname already in use"),
        waiting: true,
    });
    line(&mut model, "/device mfrg-gzdf");
    let code = DeviceCode::parse("mfrg-gzdf").unwrap();
    let expected = Command::Credential(Credential::Code(code));
    assert_eq!(model.commands.pop_front(), Some(expected));
}

#[test]
fn changes_are_reported_only_to_those_who_want_them() {
    let rules = RoomRules {
        topic: Some(Line::inert("release day")),
        announce: true,
        slow_seconds: 0,
    };
    let bot = UserId::from_bytes([7; 12]);
    for (options, expected) in [
        (
            PERSON,
            "bob set the topic: release day\nbob lets only moderators write here\n\
             bot is a moderator now\n",
        ),
        (SCRIPT, ""),
    ] {
        let mut model = model(options);
        model.event(Event::Members {
            room: RoomId::LOBBY,
            members: vec![Member {
                user: bot,
                nickname: name("bot"),
                since: Timestamp::UNIX_EPOCH,
                role: Role::Member,
            }],
        });
        model.event(Event::Rules {
            room: RoomId::LOBBY,
            rules: rules.clone(),
            by: Some(name("bob")),
        });
        model.event(Event::Promoted {
            room: RoomId::LOBBY,
            user: bot,
            role: Role::Moderator,
        });
        assert_eq!(said(&mut model), expected);
        line(&mut model, "/who");
        if options.commands {
            assert_eq!(
                said(&mut model),
                "#lobby has 1 here\ntopic: release day\nonly moderators can write\nmoderator: bot\n"
            );
        }
    }
}

#[test]
fn commands_are_about_the_current_room() {
    let mut model = in_build(COMMANDS);
    line(&mut model, "/topic release day");
    let asked = model.commands.pop_front();
    let Some(Command::Admin {
        command: AdminCommand::Topic { room, .. },
        ..
    }) = asked
    else {
        panic!("{asked:?}");
    };
    assert_eq!(room, RoomId::parse("build").unwrap());
    answer(&mut model, 0, Ok(result("The topic is set", &[])));
    model.event(first_use());
    said(&mut model);
    line(&mut model, "/device add");
    let code = Some(DeviceCode::parse("mfrg-gzdf").unwrap());
    let result = AdminResult {
        code,
        ..result("A code", &[])
    };
    answer(&mut model, 1, Ok(result));
    let told = said(&mut model);
    assert!(
        told.contains("--room build chat.lan 10500 bot 1\n"),
        "{told}"
    );
    line(&mut model, "/who");
    assert!(said(&mut model).starts_with("#build has"));
}

#[test]
fn an_announced_change_is_not_confirmed_again() {
    let mut model = model(PERSON);
    let rules = |topic: &str| Event::Rules {
        room: RoomId::LOBBY,
        rules: RoomRules {
            topic: Some(Line::inert(topic)),
            ..RoomRules::default()
        },
        by: Some(name("bot")),
    };
    line(&mut model, "/topic tea at 4");
    model.event(rules("tea at 4"));
    answer(&mut model, 0, Ok(result("Done", &[])));
    assert_eq!(said(&mut model), "bot set the topic: tea at 4\n");
    line(&mut model, "/topic tea at 4");
    model.event(rules("tea at 4"));
    answer(&mut model, 1, Ok(result("Done", &[])));
    assert_eq!(said(&mut model), "Done\n", "nothing is new");
    line(&mut model, "/topic tea at 5");
    model.event(rules("tea at 5"));
    answer(&mut model, 2, Err("It is done, but not written down"));
    let told = said(&mut model);
    assert!(told.ends_with("not written down\n"), "{told}");
}

#[test]
fn a_script_is_told_where_it_could_take_a_plain_link_for_another() {
    let told = |server: &str, plaintext: bool| {
        let mut model = started(SCRIPT);
        model.server = server.to_owned();
        model.plaintext = plaintext;
        model.event(Event::Security(Security::Plain));
        model.event(Event::Security(Security::Plain));
        said(&mut model)
    };
    assert_eq!(told("localhost:10500", false), "");
    assert_eq!(told("127.0.0.1:10500", false), "");
    assert_eq!(told("ci.lan:10500", true), "", "it asked for it");
    let words = "Not encrypted: others on the network can read the messages\n";
    assert_eq!(told("ci.lan:10500", false), words, "once");
}

#[test]
fn in_a_script_a_command_waits_until_what_it_needs_is_there() {
    let mut model = started(COMMANDS);
    for text in ["first", "/who", "/topic x", "last"] {
        line(&mut model, text);
    }
    model.input_ended(None);
    assert_eq!(commands(&mut model), ["send first"], "what follows waits");
    model.event(Event::Connection(ConnectionStatus::Connecting));
    model.event(Event::Connection(ConnectionStatus::Online));
    model.event(Event::Entered(Entered {
        user: Some(UserId::from_bytes([7; 12])),
        nickname: name("bot"),
        role: Role::Member,
        server: None,
        limits: None,
    }));
    model.event(Event::Room(Box::new(RoomStart {
        changed: 0,
        redacted: 0,
        room: RoomId::LOBBY,
        info: RoomInfo::public(RoomName::lobby()),
        read: ReadState::default(),
        extent: Extent::new(1, 0),
        next: 1,
        reset: None,
    })));
    model.event(outbox(1, Delivery::Pending));
    model.event(outbox(1, Delivery::Sent { seq: Some(1) }));
    assert_eq!(said(&mut model), "", "nobody knows yet who is in");
    members(&mut model);
    assert!(said(&mut model).starts_with("#lobby has"));
    let asked = commands(&mut model);
    assert!(asked.len() == 1 && asked[0].contains("Topic"), "{asked:?}");
    answer(&mut model, 0, Ok(result("The topic is set", &[])));
    assert_eq!(commands(&mut model), ["send last"]);
    model.event(outbox(2, Delivery::Pending));
    model.event(outbox(2, Delivery::Sent { seq: Some(2) }));
    assert_eq!(commands(&mut model), ["Leave"]);
    model.event(Event::Ended(Summary::default()));
    assert_eq!(model.exit_status(), ExitStatus::Good);
}

#[test]
fn a_nickname_asked_for_in_a_script_is_waited_for() {
    let mut taken = model(COMMANDS);
    taken.user = Some(UserId::from_bytes([7; 12]));
    line(&mut taken, "/nick other");
    taken.input_ended(None);
    assert_eq!(commands(&mut taken).len(), 1, "no Leave before the answer");
    taken.event(Event::Renamed {
        room: RoomId::LOBBY,
        user: UserId::from_bytes([7; 12]),
        was: name("bot"),
        nickname: name("other"),
        time: Timestamp::UNIX_EPOCH,
    });
    assert_eq!(commands(&mut taken), ["Leave"]);

    let mut refused = model(COMMANDS);
    line(&mut refused, "/nick alice");
    refused.input_ended(None);
    commands(&mut refused);
    refused.event(Event::NicknameRefused {
        nickname: name("alice"),
        why: Line::inert("Nickname already in use"),
        waiting: false,
    });
    assert_eq!(commands(&mut refused), ["Leave"]);
    refused.event(Event::Ended(Summary::default()));
    assert_eq!(refused.exit_status(), ExitStatus::NotDelivered);
}

#[test]
fn a_script_that_never_comes_in_has_not_done_what_waits() {
    let mut model = started(COMMANDS);
    line(&mut model, "/bans");
    line(&mut model, "hello");
    model.input_ended(None);
    model.out_of_time();
    model.event(Event::Ended(Summary::default()));
    assert_eq!(model.exit_status(), ExitStatus::NoServer);
    assert_eq!(model.last_words(true), ["2 messages were not delivered.\n"]);
}

#[test]
fn an_answer_that_never_comes_holds_up_nothing_for_ever() {
    let mut model = model(COMMANDS);
    line(&mut model, "/bans");
    line(&mut model, "hello");
    assert_eq!(commands(&mut model).len(), 1);
    assert!(model.progress().is_some(), "though the input has not ended");
    model.out_of_time();
    assert!(said(&mut model).contains("Gave up waiting for the result"));
    assert_eq!(commands(&mut model), ["send hello"], "and it stays");
    model.event(outbox(1, Delivery::Pending));
    model.event(outbox(1, Delivery::Sent { seq: Some(1) }));
    // A connection that does not come back is not waited for, either.
    model.event(Event::Connection(ConnectionStatus::Waiting {
        why: Line::inert("Lost"),
        retry_in: Duration::from_secs(1),
    }));
    line(&mut model, "/who");
    assert!(model.progress().is_some());
    model.out_of_time();
    assert!(said(&mut model).contains("Line 3 was not carried out"));
    model.input_ended(None);
    model.event(Event::Ended(Summary::default()));
    assert_eq!(model.exit_status(), ExitStatus::NotDelivered);
    assert_eq!(model.undelivered(), 2);
}
