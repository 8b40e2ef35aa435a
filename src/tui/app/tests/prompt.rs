//! Tests of prompts before joining.

use super::*;
use crate::{
    client::event::{Credential, CredentialWanted, ExplanationPart},
    protocol::{DeviceCode, Fingerprint, Invite, InviteId, InviteKey, InviteToken, Password},
};

const CTRL_R: Key = Key::ctrl(Code::Char('r'));

fn stopped(wants: Option<CredentialWanted>, why: &str) -> Event {
    let why = Line::inert(why);
    Event::Connection(ConnectionStatus::Stopped {
        why,
        brief: "Not let in!",
        wants,
    })
}

fn shown(credential: Credential) -> Vec<Effect> {
    vec![Effect::Command(Command::Credential(credential))]
}

fn invite() -> Invite {
    let key = InviteKey::from_bytes([9; 32]);
    Invite {
        host: "chat.lan".to_owned(),
        port: 10500,
        fingerprint: Fingerprint::from_bytes([0xa7; 32]),
        token: InviteToken::mint(&key, InviteId::from_bytes([5; 8]), 1_800_000_000, 1),
    }
}

#[test]
fn the_top_layer_gets_the_keys() {
    let mut desk = Desk::full();
    desk.key(Key::ctrl(Code::Char('f'))).typed("words");
    desk.key(Key::plain(Code::F(1)));
    desk.heard(stopped(Some(CredentialWanted::Password), "A password"));
    assert!(desk.dialog().is_some(), "the help stays on top");
    desk.typed("xyz").key(Key::ctrl(Code::Char('f')));
    assert_eq!(desk.text(), "", "and takes what is typed");
    desk.key(ESC).typed("correct");
    assert_eq!(desk.dialog(), None);
    assert_eq!(desk.text(), "correct", "then the prompt, above the search");
    desk.key(ESC);
    assert!(desk.model.listing().is_some());
    assert_eq!(desk.text(), "words", "then the search");
    desk.key(ESC);
    assert_eq!(desk.text(), "", "then the pane");
}

#[test]
fn a_password_is_asked_for_and_told_to_nobody_else() {
    let mut desk = Desk::new();
    desk.typed("half a thought");
    desk.heard(stopped(
        Some(CredentialWanted::Password),
        "A password is wanted",
    ));
    desk.passes(Duration::from_secs(10));
    desk.done();
    desk.typed("correct horse")
        .key(Key::ctrl(Code::Char('w')))
        .typed("battery");
    desk.passes(Duration::from_secs(20)).key(ENTER);
    let password = Password::parse("correct battery").unwrap();
    assert_eq!(desk.done(), shown(Credential::Password(password)));
    desk.key(Key::plain(Code::Up))
        .key(Key::ctrl(Code::Char('y')));
    assert_eq!(desk.text(), "", "nothing of it can be had back");
    desk.heard(Event::Connection(ConnectionStatus::Connecting));
    assert_eq!(
        desk.model.status().as_deref(),
        Some("Connecting to localhost:10500 …")
    );
    desk.enters();
    assert_eq!(desk.text(), "half a thought", "a draft is left alone");
    desk.key(Key::ctrl(Code::Char('y')));
    assert_eq!(desk.text(), "half a thought");
}

#[test]
fn a_second_try_is_no_message_however_early_it_is_typed() {
    let mut desk = Desk::new();
    desk.heard(stopped(
        Some(CredentialWanted::Password),
        "A password is wanted",
    ));
    desk.typed("wrong").key(ENTER).typed("corr");
    desk.heard(Event::Connection(ConnectionStatus::Connecting))
        .typed("ect");
    desk.heard(stopped(
        Some(CredentialWanted::Password),
        "The password is wrong",
    ));
    let status = desk.model.status().unwrap();
    assert!(status.starts_with("The password is wrong"), "{status}");
    desk.done();
    desk.typed(" horse").key(ENTER);
    let password = Password::parse("correct horse").unwrap();
    assert_eq!(desk.did(), shown(Credential::Password(password)));
    desk.typed("correct").enters();
    assert_eq!(desk.text(), "", "what was begun goes with the question");
}

#[test]
fn a_password_that_can_be_none_is_not_sent() {
    let mut desk = Desk::new();
    desk.heard(stopped(
        Some(CredentialWanted::Password),
        "A password is wanted",
    ));
    desk.key(ENTER);
    assert_eq!(desk.did(), []);
    desk.pasted("pasted with its line's end\n").key(ENTER);
    let password = Password::parse("pasted with its line's end").unwrap();
    assert_eq!(desk.did(), shown(Credential::Password(password)));
}

#[test]
fn a_prompt_may_be_cancelled() {
    let mut desk = Desk::new();
    desk.heard(stopped(
        Some(CredentialWanted::Password),
        "A password is wanted",
    ));
    desk.typed("secret").key(CTRL_C);
    assert_eq!(desk.text(), "");
    desk.typed("secret").key(ESC);
    assert_eq!((desk.did(), desk.text()), (vec![], ""));
    desk.key(Key::plain(Code::Up));
    assert_eq!(desk.text(), "");
    desk.key(CTRL_R);
    assert_eq!(desk.did(), [Effect::Command(Command::RetryNow)]);
    desk.passes(Duration::from_secs(2)).key(ESC);
    assert_eq!(desk.did(), leaves());
}

#[test]
fn an_invite_or_a_code_lets_in() {
    let code = DeviceCode::parse("mfrg-gzdf").unwrap();
    for (typed, credential) in [
        (invite().expose(), Credential::Invite(invite())),
        ("MFRG gzdf".to_owned(), Credential::Code(code)),
        ("/device mfrg-gzdf".to_owned(), Credential::Code(code)),
    ] {
        let mut desk = Desk::new();
        desk.heard(stopped(
            Some(CredentialWanted::Invite),
            "Only the invited come in",
        ));
        desk.typed("no idea").key(ENTER);
        assert_eq!(desk.did(), []);
        desk.key(Key::ctrl(Code::Char('u')))
            .pasted(&typed)
            .key(ENTER);
        assert_eq!(desk.did(), shown(credential.clone()), "{typed}");

        let mut desk = Desk::new();
        desk.heard(stopped(
            Some(CredentialWanted::Invite),
            "Only the invited come in",
        ));
        let typed = if typed.starts_with("MFRG") {
            "/device MFRG gzdf"
        } else {
            &typed
        };
        desk.key(ESC).pasted(typed).key(ENTER);
        assert_eq!(desk.did(), shown(credential), "without being asked");
        assert_eq!(desk.text(), "");
    }
}

#[test]
fn a_nickname_of_ones_own_can_be_had_by_the_code_of_another_device() {
    let mut desk = Desk::new();
    refuse_nickname(&mut desk);
    desk.heard(stopped(None, "Nickname already in use"));
    desk.key(Key::ctrl(Code::Char('u')))
        .typed("/device mfrg-gzdf")
        .key(ENTER);
    let code = DeviceCode::parse("mfrg-gzdf").unwrap();
    assert_eq!(desk.did(), shown(Credential::Code(code)));
}

#[test]
fn a_code_is_not_sent_after_joining() {
    let mut desk = Desk::online();
    desk.typed("/device mfrg-gzdf").key(ENTER);
    assert_eq!(desk.did(), []);
    assert!(desk.model.remark().unwrap().contains("other device"));
}

#[test]
fn a_kicked_user_is_asked_nothing() {
    let mut desk = Desk::online();
    desk.heard(stopped(None, "A moderator sent you away: too loud"));
    assert_eq!(
        desk.model.status().as_deref(),
        Some("A moderator sent you away: too loud. Ctrl-R tries again.")
    );
    desk.key(CTRL_R);
    assert_eq!(desk.did(), [Effect::Command(Command::RetryNow)]);
}

#[test]
fn a_server_that_is_not_trusted_is_explained_with_what_to_type() {
    let command = "chat-tui --trust aaaa-bbbb chat.lan 10500 carol 3";
    let mut desk = Desk::new();
    let key = Fingerprint::from_bytes([0xa7; 32]);
    desk.heard(Event::Distrusted(vec![
        ExplanationPart::Words(Line::inert("It has another key.")),
        ExplanationPart::Key {
            label: Line::inert("Its key"),
            key,
        },
        ExplanationPart::Command(Line::inert(command)),
    ]));
    desk.heard(stopped(None, "chat.lan:10500 has another key than before"));
    let entries = desk.entries();
    assert_eq!(entries[0], "It has another key.");
    assert_eq!(
        entries[2].replace('\n', "-").replace(' ', ""),
        key.to_string()
    );
    assert_eq!(entries[3], command);
    for key in [ENTER, Key::plain(Code::Char('y')), ENTER] {
        desk.key(key);
    }
    let commands = desk.did();
    assert!(
        !commands.iter().any(|effect| matches!(
            effect,
            Effect::Command(Command::RetryNow | Command::Credential(_))
        )),
        "nothing accepts it: {commands:?}"
    );
    desk.key(Key::alt(Code::Char('c')));
    assert_eq!(desk.did(), [Effect::Copy(command.to_owned())]);
}

#[test]
fn the_key_of_a_new_server_is_to_be_compared_unless_it_is_this_machine() {
    let first = Event::Security(Security::Encrypted {
        verified_by: crate::client::event::VerifiedBy::FirstUse,
        fingerprint: Fingerprint::from_bytes([0xa7; 32]),
    });
    for host in ["localhost:10500", "127.0.0.1:10500", "[::1]:10500"] {
        let mut desk = Desk::new();
        desk.is_on(host);
        desk.heard(first.clone());
        assert_eq!(desk.entries(), [""; 0], "{host}");
    }
    let mut desk = Desk::new();
    desk.is_on("chat.lan:10500");
    desk.heard(first);
    let told = desk.entries().join("\n");
    for part in [
        "First connection to chat.lan:10500",
        "  u6t2-pj5h-u6t2-pj5h\n",
        "Compare",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[test]
fn messages_from_before_we_first_joined_are_not_unread() {
    let mut desk = Desk::new();
    desk.heard(Event::Notice(Line::inert("Something to read once")));
    desk.enters().opens(1, 30, 1);
    for seq in 1..=30 {
        desk.message(seq, "bob", "said before");
    }
    assert_eq!(desk.model.pane().unread(), 0);
    assert_eq!(desk.entries().last().unwrap(), "Something to read once");
    desk.msg(Msg::Focus(false)).message(31, "bob", "new");
    assert_eq!(desk.model.pane().unread(), 1);
}
