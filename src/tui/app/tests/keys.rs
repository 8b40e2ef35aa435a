//! Tests of the user's input.

use super::*;
use crate::client::event::CredentialWanted;

/// The time after which an Esc leaves when the one before closed something.
const GUARD: Duration = Duration::from_millis(1_500);

#[test]
fn escape_closes_what_is_open_before_it_disconnects() {
    let mut desk = Desk::full();
    desk.typed("@b").key(Key::plain(Code::Tab));
    assert!(desk.model.pane().composer.completion.is_some());
    desk.key(PAGE_UP).key(Key::plain(Code::F(1)));

    desk.key(ESC);
    assert_eq!(desk.dialog(), None, "the help closes first");
    desk.key(ESC);
    assert_eq!(
        desk.model.pane().composer.completion,
        None,
        "then the completion"
    );
    assert!(!desk.follows());
    desk.key(ESC);
    assert!(desk.follows(), "then the view scrolled back");
    assert_eq!(desk.text(), "@bert ");
    desk.key(ESC);
    assert_eq!(desk.text(), "", "then the draft is put aside");
    let typed = Effect::Command(Command::Typed("@bert ".to_owned()));
    assert_eq!(desk.done(), [typed]);
    desk.passes(GUARD).key(ESC);
    assert_eq!(desk.did(), leaves(), "and then it disconnects");
    desk.key(ESC);
    assert_eq!(desk.done(), [Effect::Quit], "at once, if asked again");
}

/// After an Esc that closed something, the next one leaves only after a while, and says so; repeats
/// of a key that is held down never leave.
#[test]
fn an_escape_soon_after_one_that_closed_something_does_not_leave() {
    type Opens = fn(&mut Desk) -> &mut Desk;
    let closed: [(&str, Opens); 6] = [
        ("help", |desk| desk.key(Key::plain(Code::F(1)))),
        ("a paste", |desk| desk.pasted(&"line\n".repeat(11))),
        ("search", |desk| desk.key(Key::ctrl(Code::Char('f')))),
        ("the past", |desk| desk.key(PAGE_UP)),
        ("a draft", |desk| desk.typed("half a thought")),
        ("a password", |desk| {
            desk.heard(Event::Connection(ConnectionStatus::Stopped {
                why: Line::inert("A password is wanted"),
                brief: "not in",
                wants: Some(CredentialWanted::Password),
            }))
        }),
    ];
    let millis = Duration::from_millis;
    for (what, opens) in closed {
        let mut desk = Desk::full();
        opens(&mut desk).key(ESC).did();
        desk.passes(millis(200)).key(ESC);
        assert_eq!(desk.did(), [], "{what}");
        let told = desk.model.flash.as_ref().map(|(words, _)| words.as_str());
        assert_eq!(told, Some("Esc again disconnects"), "{what}");
        desk.passes(millis(1_499)).key(ESC);
        assert_eq!(desk.did(), [], "{what}");
        desk.passes(millis(1_800)).key(ESC);
        assert_eq!(desk.did(), leaves(), "{what}");
    }
    let mut desk = Desk::full();
    desk.key(Key::ctrl(Code::Char('f'))).did();
    for step in 0..100 {
        desk.passes(millis(step * 33)).key(ESC);
        // A user who presses keys may be about to write: probing the server is not leaving.
        let did = desk.did();
        let asks = |effect: &Effect| *effect == Effect::Command(Command::Probe);
        assert!(did.iter().all(asks), "held down for {step} steps: {did:?}");
    }
    desk.passes(millis(99 * 33 + 300)).key(ESC);
    assert_eq!(desk.did(), leaves());
}

#[test]
fn an_escape_would_leave_where_nothing_is_open() {
    let mut desk = Desk::full();
    let leaves = |desk: &Desk| crate::tui::app::keys::escape_leaves(&desk.model);
    assert!(leaves(&desk));
    desk.key(PAGE_UP);
    assert!(!leaves(&desk));
    desk.key(ESC);
    assert!(leaves(&desk), "soon: it is waited out all the same");
    desk.key(Key::plain(Code::F(1)));
    assert!(!leaves(&desk));
}

#[test]
fn a_draft_put_aside_comes_back() {
    let mut desk = Desk::online();
    desk.typed("half a thought")
        .key(ESC)
        .key(Key::plain(Code::Up));
    assert_eq!(desk.text(), "half a thought");
}

#[test]
fn q_and_exclamation_mark_disconnects_and_nothing_else_does() {
    for (typed, expected) in [
        ("q!", leaves()),
        ("/quit", leaves()),
        ("q", vec![]),
        ("q! ", vec![]),
    ] {
        let mut desk = Desk::online();
        desk.typed(typed).key(ENTER);
        let mut done = desk.did();
        done.retain(|effect| !matches!(effect, Effect::Command(Command::Send { .. })));
        assert_eq!(done, expected, "{typed:?}");
    }
    let mut desk = Desk::new();
    refuse_nickname(&mut desk);
    desk.key(Key::ctrl(Code::Char('u'))).typed("q!").key(ENTER);
    assert_eq!(desk.did(), leaves(), "from anywhere");
}

#[test]
fn ctrl_c_clears_the_input_and_twice_leaves() {
    let mut desk = Desk::online();
    desk.typed("text").key(CTRL_C);
    assert_eq!((desk.done(), desk.text()), (vec![], ""));
    let (words, _) = desk.model.flash.clone().unwrap();
    assert!(words.contains("Up brings the text back"), "{words}");
    desk.typed("x").key(CTRL_C);
    assert_eq!(
        (desk.done(), desk.text()),
        (vec![], ""),
        "another key between"
    );
    desk.key(CTRL_C);
    assert_eq!(desk.did(), leaves());
}

#[test]
fn leaving_takes_a_second_at_most() {
    let mut desk = Desk::online();
    desk.passes(Duration::from_secs(10)).key(ESC);
    desk.done();
    desk.passes(Duration::from_millis(10_900));
    assert_eq!(desk.done(), []);
    assert_eq!(desk.model.wakes_in(), Some(Duration::from_millis(100)));
    desk.passes(Duration::from_secs(11));
    assert_eq!(desk.done(), [Effect::Quit]);

    let mut desk = Desk::online();
    desk.key(ESC).done();
    desk.heard(Event::Ended(Summary::default()));
    assert_eq!(desk.done(), [Effect::Quit]);
}

#[test]
fn a_host_is_asked_what_becomes_of_the_server() {
    for (key, expected) in [
        ('k', vec![Effect::Host(HostChoice::KeepRunning)]),
        ('e', vec![Effect::Host(HostChoice::Stop)]),
    ] {
        let mut desk = Desk::online();
        desk.model.hosting = true;
        desk.key(ESC);
        assert_eq!(
            desk.dialog().as_deref(),
            Some("Host(HostQuestion { others: 2 })")
        );
        desk.key(ESC);
        assert_eq!((desk.done(), desk.dialog()), (vec![], None), "stays");
        desk.passes(GUARD).key(ESC).key(Key::plain(Code::Char(key)));
        assert_eq!(desk.did(), [expected, leaves()].concat());
    }
    let mut alone = Desk::new();
    alone.model.hosting = true;
    alone.key(ESC);
    let stop = vec![Effect::Host(HostChoice::Stop)];
    assert_eq!(alone.did(), [stop, leaves()].concat());
}

/// A user in a hurry, or whose terminal is closed, is not asked: the server keeps running if others
/// use it, and ends otherwise.
#[test]
fn a_host_who_is_not_asked_takes_along_a_server_that_nobody_uses() {
    let stop = vec![Effect::Host(HostChoice::Stop)];
    let ways: [fn(&mut Desk) -> &mut Desk; 2] = [
        |desk| desk.msg(Msg::Terminate),
        |desk| desk.key(CTRL_C).key(CTRL_C),
    ];
    for way in ways {
        for (mut desk, expected) in [(Desk::online(), vec![]), (Desk::new(), stop.clone())] {
            desk.model.hosting = true;
            way(&mut desk);
            assert_eq!(desk.did(), [expected, leaves()].concat());
        }
    }
}

#[test]
fn typed_text_is_sent_unchanged() {
    let mut desk = Desk::online();
    desk.typed("hello ").key(ENTER);
    desk.typed("  two")
        .key(Key::alt(Code::Enter))
        .typed("lines")
        .key(ENTER);
    desk.typed("//nick").key(ENTER).typed("   ").key(ENTER);
    assert_eq!(desk.sent(), ["hello", "  two\nlines", "/nick"]);
    assert_eq!(desk.text(), "");
}

#[test]
fn a_remark_goes_with_the_next_thing_sent() {
    let mut desk = Desk::online();
    desk.typed("/nick").key(ENTER);
    assert!(desk.model.flash.is_some());
    desk.typed(" dave").key(ENTER);
    assert_eq!(desk.model.flash, None);
}

#[test]
fn an_unknown_command_is_kept_and_not_sent() {
    let mut desk = Desk::online();
    desk.typed("/etc/hosts is missing").key(ENTER);
    assert_eq!(desk.sent(), Vec::<String>::new());
    assert_eq!(desk.text(), "/etc/hosts is missing");
    assert!(desk.model.flash.is_some());
}

#[test]
fn a_pasted_newline_never_sends_and_a_large_paste_asks() {
    let mut desk = Desk::online();
    desk.pasted("one\r\ntwo\r");
    assert_eq!(desk.text(), "one\ntwo\n");
    assert_eq!(desk.done(), []);

    let large = "line\n".repeat(11);
    for (key, expected) in [(ENTER, large.as_str()), (ESC, "")] {
        let mut desk = Desk::online();
        desk.pasted(&large);
        assert_eq!(desk.text(), "", "asks first");
        desk.typed("x").key(key);
        assert_eq!(desk.text(), expected);
        assert_eq!(desk.done(), []);
    }
    let mut desk = Desk::online();
    desk.pasted(&"x".repeat(3000));
    assert!(matches!(desk.model.layers.dialog(), Some(Layer::Paste(_))));
    let mut desk = Desk::online();
    desk.pasted(&"x".repeat(20_000));
    assert_eq!(desk.dialog(), None, "nothing to ask about");
    assert_eq!(desk.text(), "", "more than a message can hold");
    assert!(desk.model.flash.is_some());
}

#[test]
fn a_paste_that_comes_in_parts_is_asked_about_once() {
    let part = "line\n".repeat(11);
    let mut desk = Desk::online();
    desk.pasted(&part).pasted(&part).pasted("end");
    assert_eq!(desk.text(), "");
    desk.key(ENTER);
    assert_eq!(desk.text(), format!("{part}{part}end"));
    assert_eq!(desk.done(), []);
    let mut desk = Desk::online();
    desk.pasted(&"x".repeat(10_000)).pasted(&"x".repeat(10_000));
    assert_eq!(desk.dialog(), None, "more than a message can hold");
    assert!(desk.model.flash.is_some());
}

/// Without bracketed paste, a paste looks like keys.
#[test]
fn lines_that_come_at_once_are_not_sent_before_they_are_seen() {
    let mut desk = Desk::online();
    desk.typed("see: ");
    desk.msg(Msg::CameAtOnce("one\rq!\r/quit\r".to_owned()));
    assert_eq!(desk.text(), "see: one\nq!\n/quit\n");
    let told = desk.model.flash.as_ref().map(|(words, _)| words.as_str());
    assert_eq!(told, Some("Several lines were pasted: Enter sends them"));
    assert_eq!(desk.done(), []);
    desk.key(ENTER);
    assert_eq!(desk.sent(), ["see: one\nq!\n/quit"]);
    desk.msg(Msg::CameAtOnce("line\r".repeat(20)));
    assert!(matches!(desk.model.layers.dialog(), Some(Layer::Paste(_))));
}

#[test]
fn a_view_scrolled_back_keeps_its_place() {
    let mut desk = Desk::full();
    desk.key(PAGE_UP).key(PAGE_UP);
    let place = desk.on_top();
    desk.message(101, "bob", "new")
        .message(102, "bert", "newer");
    desk.echo(103, "carol", "ours from elsewhere", None);
    assert_eq!(desk.on_top(), place, "whatever arrives");
    assert_eq!(desk.model.pane().new_below(), 2);
    desk.msg(Msg::Resized {
        width: 35,
        height: 12,
    });
    assert_eq!(desk.on_top(), place, "whatever the size");
    desk.key(Key::plain(Code::End));
    assert!(desk.follows());
    assert_eq!(desk.model.pane().new_below(), 0);
}

#[test]
fn pages_and_rows_go_there_and_back() {
    for (back, forth) in [
        (PAGE_UP, Key::plain(Code::PageDown)),
        (Key::ctrl(Code::Up), Key::ctrl(Code::Down)),
        (Key::ctrl(Code::Home), Key::ctrl(Code::End)),
        (Key::plain(Code::Home), Key::plain(Code::End)),
    ] {
        let mut desk = Desk::full();
        desk.key(back);
        assert!(!desk.follows(), "{back}");
        desk.key(forth);
        assert!(desk.follows(), "{forth}");
    }
    let mut desk = Desk::full();
    desk.typed("text").key(Key::plain(Code::Home));
    assert!(desk.follows(), "Home moves in the text, if there is one");
    desk.key(Key::ctrl(Code::Home));
    assert_eq!(desk.on_top(), "message 1");
}

#[test]
fn sending_goes_back_to_the_end() {
    let mut desk = Desk::full();
    desk.key(PAGE_UP).typed("here").key(ENTER);
    assert!(desk.follows());
}

#[test]
fn help_scrolls_no_further_than_it_goes() {
    let mut desk = Desk::online();
    desk.key(Key::plain(Code::F(1)));
    for _ in 0..20 {
        desk.key(Key::plain(Code::PageDown));
    }
    let end = desk.dialog();
    desk.key(PAGE_UP);
    assert_ne!(desk.dialog(), end, "the first page back is seen");
    desk.key(Key::plain(Code::End));
    assert_eq!(desk.dialog(), end);
    desk.key(Key::plain(Code::Home));
    assert_eq!(
        desk.dialog().as_deref(),
        Some("Help(HelpScreen { top: 0 })")
    );
}

#[test]
fn nicknames_and_commands_are_completed() {
    let tab = Key::plain(Code::Tab);
    for (typed, tabs, expected) in [
        ("be", 1, "bert: "),
        ("hi @be", 1, "hi @bert "),
        ("b", 1, "bert: "),
        ("b", 2, "bob: "),
        ("b", 3, "bert: "),
        ("ca", 1, "ca"),
        ("/n", 1, "/nick "),
        ("hi /n", 1, "hi /n"),
        ("", 1, ""),
    ] {
        let mut desk = Desk::online();
        desk.typed(typed);
        for _ in 0..tabs {
            desk.key(tab);
        }
        assert_eq!(desk.text(), expected, "{typed:?} with {tabs}");
    }
}
