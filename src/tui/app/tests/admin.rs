//! Tests of admin commands.

use super::*;
use crate::{
    protocol::{
        DeviceCode, Fingerprint, InviteId, InviteKey, InviteToken, Role, RoomRules,
        admin::{AdminCommand, AdminResult},
    },
    tui::testing::user,
};

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

fn rules(topic: Option<&str>, announce: bool, slow_seconds: u64) -> RoomRules {
    RoomRules {
        topic: topic.map(Line::inert),
        announce,
        slow_seconds,
    }
}

impl Desk {
    fn ruled(&mut self, rules: RoomRules, by: Option<&str>) -> &mut Self {
        self.heard(Event::Rules {
            room: RoomId::LOBBY,
            rules,
            by: by.map(nickname),
        })
    }

    fn promoted(&mut self, who: &str, role: Role) -> &mut Self {
        self.heard(Event::Promoted {
            room: RoomId::LOBBY,
            user: user(who),
            role,
        })
    }

    fn answered(&mut self, answer: AdminResult) -> &mut Self {
        self.heard(Event::Admin {
            request: 0,
            answer: Ok(answer),
        })
    }

    fn commanded(&mut self) -> Vec<AdminCommand> {
        let done = self.did().into_iter();
        let commands = done.filter_map(|effect| match effect {
            Effect::Command(Command::Admin { command, .. }) => Some(command),
            _ => None,
        });
        commands.collect()
    }

    fn remark(&self) -> &str {
        self.model.remark().unwrap_or_default()
    }
}

#[test]
fn commands_go_to_the_server_each_under_a_number_of_its_own() {
    let mut desk = Desk::online();
    desk.typed("/kick bob too loud").key(ENTER);
    desk.typed("/bans").key(ENTER);
    let expected = [
        (
            0,
            AdminCommand::Kick {
                nickname: nickname("bob"),
                reason: Some(Line::inert("too loud")),
            },
        ),
        (1, AdminCommand::Bans),
    ];
    let expected =
        expected.map(|(request, command)| Effect::Command(Command::Admin { request, command }));
    assert_eq!(desk.did(), expected);
    assert_eq!(desk.text(), "");
}

#[test]
fn a_command_that_can_not_be_sent_stays_to_be_mended() {
    let mut desk = Desk::online();
    desk.typed("/ban bob 3 strikes").key(ENTER);
    assert!(desk.remark().ends_with("/ban NAME [TIME] [REASON]"));
    assert_eq!(desk.text(), "/ban bob 3 strikes");

    let mut desk = Desk::new();
    desk.typed("/bans").key(ENTER);
    assert!(desk.remark().starts_with("Not connected"));
    assert_eq!((desk.commanded(), desk.text()), (vec![], "/bans"));

    desk.heard(Event::Connection(ConnectionStatus::Legacy))
        .key(ENTER);
    assert!(desk.remark().contains("older"), "{}", desk.remark());
    assert_eq!(desk.commanded(), []);
}

#[test]
fn an_answer_is_a_notice_and_not_a_message() {
    let mut desk = Desk::full();
    desk.msg(Msg::Focus(false));
    desk.answered(result(
        "2 are banned",
        &["bob, for 1 hour", "eve, until lifted"],
    ));
    let said = "2 are banned\nbob, for 1 hour\neve, until lifted";
    assert_eq!(desk.entries().last().unwrap(), said);
    assert_eq!(desk.model.pane().unread(), 0);
    desk.heard(Event::Admin {
        request: 1,
        answer: Err(Line::inert("Only moderators can do that")),
    });
    assert_eq!(
        desk.entries().last().unwrap(),
        "Only moderators can do that"
    );
}

#[test]
fn an_invite_is_shown_whole() {
    let key = InviteKey::from_bytes([9; 32]);
    let token = InviteToken::mint(&key, InviteId::from_bytes([5; 8]), 1_800_000_000, 1);
    let mut desk = Desk::online();
    desk.answered(AdminResult {
        invite: Some(token),
        ..result("One may come in by this invite", &[])
    });
    let entries = desk.entries();
    let [_, invite, how] = entries.as_slice() else {
        panic!("{entries:?}");
    };
    let read = crate::protocol::Invite::parse(invite).unwrap();
    assert_eq!((read.host.as_str(), read.port), ("localhost", 10500));
    assert_eq!(read.token, token);
    assert!(how.contains("chat-tui INVITE") && how.contains("replace localhost by"));

    let mut desk = Desk::online();
    desk.heard(Event::Security(Security::Plain));
    desk.typed("/invite").key(ENTER);
    assert_eq!(desk.commanded(), [], "one that could not be told");
    assert!(desk.remark().contains("chat-server invite"));
    desk.key(Key::ctrl(Code::Char('u')));
    desk.typed("/device add").key(ENTER);
    assert_eq!(desk.commanded(), [], "a code without the server's key");
    assert!(desk.remark().contains("connect encrypted"));
    desk.answered(AdminResult {
        invite: Some(token),
        ..result("One may come in by this invite", &[])
    });
    let secret = token.expose();
    assert!(!desk.entries().iter().any(|entry| entry.contains(&secret)));
}

#[test]
fn the_code_of_a_device_is_shown_with_the_command_to_type_there() {
    let mut desk = Desk::online();
    desk.answered(AdminResult {
        code: Some(DeviceCode::parse("mfrg-gzdf").unwrap()),
        ..result("Another device can come in", &[])
    });
    let entries = desk.entries();
    assert_eq!(entries[1].trim(), "mfrg-gzdf");
    let key = Fingerprint::from_bytes([0xa7; 32]);
    let how = format!("chat-tui --device-code mfrg-gzdf --trust {key} HOST 10500 carol 1");
    assert_eq!(entries[3], how);
}

#[test]
fn the_last_offered_text_can_be_copied_without_its_layout() {
    let copy = Key::alt(Code::Char('c'));
    let mut desk = Desk::online();
    desk.key(copy);
    assert_eq!(desk.did(), []);
    desk.answered(AdminResult {
        code: Some(DeviceCode::parse("mfrg-gzdf").unwrap()),
        ..result("Another device can come in", &[])
    });
    desk.message(1, "bob", "hi").key(copy);
    let key = Fingerprint::from_bytes([0xa7; 32]);
    let command = format!("chat-tui --device-code mfrg-gzdf --trust {key} HOST 10500 carol 1");
    assert_eq!(desk.did(), [Effect::Copy(command)]);
    desk.typed("/security").key(ENTER).key(copy);
    assert_eq!(desk.did(), [Effect::Copy(key.to_string())]);
}

#[test]
fn changes_of_a_rooms_rules_are_shown() {
    let mut desk = Desk::online();
    desk.ruled(rules(Some("the lab"), false, 0), None);
    assert_eq!(desk.entries(), [""; 0], "as it was before");
    desk.ruled(rules(Some("release day"), true, 90), Some("bob"));
    desk.ruled(rules(None, false, 0), Some("bert"));
    assert_eq!(
        desk.entries(),
        [
            "bob set the topic: release day · bob lets only moderators write here · bob set \
             slow mode: one message every 1m 30s · bert removed the topic · bert lets \
             everybody write here again · bert ended slow mode"
        ]
    );
}

#[test]
fn our_own_role_is_known_and_changes_are_shown() {
    let mut desk = Desk::online();
    assert_eq!(desk.model.server.role, Role::Member);
    desk.promoted("carol", Role::Moderator);
    assert_eq!(desk.model.server.role, Role::Moderator);
    desk.promoted("bob", Role::Owner)
        .promoted("bert", Role::Unverified)
        .promoted("carol", Role::Member);
    assert_eq!(desk.model.server.role, Role::Member);
    assert_eq!(
        desk.entries(),
        ["carol is a moderator now · bob is the owner now · carol is no longer a moderator"]
    );
}

#[test]
fn members_and_encryption_can_be_asked_for() {
    let mut desk = Desk::online();
    desk.promoted("bob", Role::Moderator)
        .promoted("bert", Role::Unverified);
    desk.typed("/who").key(ENTER);
    assert_eq!(
        desk.entries().last().unwrap(),
        "#lobby has 3 here\nmoderator: bob\nmember: carol\nwithout a key: bert"
    );
    desk.typed("/security").key(ENTER);
    let told = desk.entries().join("\n");
    for part in [
        "Server: localhost:10500",
        "Encrypted: nobody",
        "  u6t2-pj5h-u6t2-pj5h\n",
        "You: carol, a member, with the key 5a17c388",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert_eq!(desk.commanded(), [], "nobody else is asked");
}

/// The user may have gone to another room before the answer comes.
#[test]
fn an_answer_is_shown_in_the_room_in_which_the_command_was_typed() {
    let mut desk = Desk::online();
    desk.opens_room("build", 0).typed("/bans").key(ENTER);
    desk.key(Key::ctrl(Code::Char('n')));
    assert_eq!(desk.model.room_title(), "#build");
    desk.answered(result("Nobody is banned", &[]));
    assert_eq!(desk.entries(), Vec::<String>::new());
    desk.key(Key::ctrl(Code::Char('n')));
    assert_eq!(desk.entries(), ["Nobody is banned"]);
}

#[test]
fn an_answer_of_a_hostile_server_stays_one_notice_of_limited_length() {
    let mut desk = Desk::online();
    let lines = vec!["\u{1b}]52;c;x\u{7}\u{202e}evil\n\n"; 200];
    desk.answered(result("\u{1b}[2J", &lines));
    let entries = desk.entries();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].lines().count(), 201, "no line becomes two");
    assert!(!entries[0].contains(['\u{1b}', '\u{7}', '\u{202e}']));
}

#[test]
fn an_announced_change_is_not_confirmed_again() {
    let mut desk = Desk::online();
    let done = |request| Event::Admin {
        request,
        answer: Ok(AdminResult {
            message: Line::inert("Done"),
            lines: Vec::new(),
            invite: None,
            code: None,
            room: None,
            reference: None,
        }),
    };
    let ruled = |by: &str| Event::Rules {
        room: RoomId::LOBBY,
        rules: rules(Some("tea at 4"), false, 0),
        by: Some(nickname(by)),
    };
    desk.typed("/topic tea at 4").key(ENTER);
    desk.heard(ruled("carol")).heard(done(0));
    assert_eq!(desk.entries(), ["carol set the topic: tea at 4"]);
    desk.typed("/topic tea at 4").key(ENTER);
    desk.heard(ruled("carol")).heard(done(1));
    let entries = desk.entries();
    assert_eq!(entries.last().map(String::as_str), Some("Done"));
}
