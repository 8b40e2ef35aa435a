//! Tests of the list to go to a room, a person or a command.

use super::*;
use crate::tui::app::layers::picker::PickerEntry;

const CTRL_G: Key = Key::ctrl(Code::Char('g'));
const DOWN: Key = Key::plain(Code::Down);

fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

impl Desk {
    /// A screen with the lobby, ops and build; build has the latest message, and nothing is new.
    fn with_rooms() -> Self {
        let mut desk = Self::online();
        for (name, time) in [("ops", 100), ("build", 200)] {
            desk.opens_room(name, 0);
            desk.hears_in(name, 1, second(time), "carol", "it is quiet here");
        }
        desk.done();
        desk
    }

    /// The rows of the list, the chosen one marked.
    fn listing(&self) -> Vec<String> {
        let picker = self.model.layers.picker().expect("the list is open");
        let row = |(entry, chosen): (&PickerEntry, bool)| {
            let mark = if chosen { "▌" } else { "" };
            format!("{mark}{}{}", entry.sigil, entry.name)
        };
        picker.rows(50).map(row).collect()
    }

    fn is_open(&self) -> bool {
        self.model.layers.picker().is_some()
    }

    fn label(&self) -> String {
        self.model.room_title()
    }
}

#[test]
fn three_keys_open_the_list() {
    for key in [CTRL_G, Key::plain(Code::F(2)), Key::ctrl(Code::Char('k'))] {
        let mut desk = Desk::with_rooms();
        desk.key(key);
        assert!(desk.is_open(), "{key}");
        desk.key(ESC);
        assert!(!desk.is_open(), "{key}");
    }
    let mut desk = Desk::with_rooms();
    desk.typed("half a thought").key(Key::ctrl(Code::Char('a')));
    desk.key(Key::ctrl(Code::Char('k')));
    assert!(!desk.is_open(), "in a draft Ctrl-K deletes");
    assert_eq!(desk.text(), "");
    desk.key(CTRL_G).key(CTRL_G);
    assert!(!desk.is_open(), "the same key closes it");
}

#[test]
fn the_first_row_is_the_next_unread_room_and_the_second_the_one_before() {
    let mut desk = Desk::with_rooms();
    desk.key(CTRL_G);
    assert_eq!(
        desk.listing(),
        ["▌#lobby", "#build", "#ops", "@bert", "@bob"],
        "with nothing new, Enter stays"
    );
    desk.key(ENTER);
    assert_eq!(desk.label(), "#lobby");
    desk.hears_in("ops", 2, second(300), "bob", "the nas is full")
        .key(CTRL_G);
    assert_eq!(desk.listing()[0], "▌#ops");
    desk.key(ENTER);
    assert_eq!((desk.label(), desk.is_open()), ("#ops".to_owned(), false));
    desk.key(CTRL_G);
    assert_eq!(desk.listing()[..3], ["▌#ops", "#lobby", "#build"]);
    desk.key(DOWN).key(ENTER);
    assert_eq!(desk.label(), "#lobby");
}

#[test]
fn what_is_typed_goes_into_the_list_and_not_into_the_draft() {
    let mut desk = Desk::with_rooms();
    desk.typed("half a thought").key(CTRL_G).typed("bu");
    assert_eq!(desk.listing(), ["▌#build"]);
    desk.key(Key::plain(Code::Backspace)).pasted("ob\nmore");
    assert_eq!(desk.listing(), ["▌@bob"]);
    desk.key(Key::ctrl(Code::Char('u')))
        .typed("build")
        .key(ENTER);
    assert_eq!((desk.label(), desk.text()), ("#build".to_owned(), ""));
    desk.key(CTRL_G).typed("lob").key(ENTER);
    assert_eq!(desk.text(), "half a thought");
    desk.key(CTRL_G).typed("zzz").key(ENTER);
    assert!(desk.is_open(), "there is nothing to go to");
}

#[test]
fn rows_are_chosen_by_keys_wheel_and_mouse() {
    let mut desk = Desk::with_rooms();
    desk.key(CTRL_G);
    for (key, chosen) in [
        (DOWN, 1),
        (Key::ctrl(Code::Char('n')), 2),
        (Key::ctrl(Code::Char('p')), 1),
        (Key::plain(Code::Up), 0),
        (Key::plain(Code::Up), 0),
        (Key::plain(Code::PageDown), 4),
        (Key::plain(Code::PageUp), 0),
    ] {
        desk.key(key);
        let place = desk.listing().iter().position(|row| row.starts_with('▌'));
        assert_eq!(place, Some(chosen), "{key}");
    }
    desk.msg(Msg::Wheel(1)).msg(Msg::Wheel(3));
    assert_eq!(desk.listing()[2], "▌#ops");
    let areas = {
        let picker = desk.model.layers.picker().unwrap();
        picker.areas(&desk.model.layout())
    };
    desk.msg(Msg::Clicked {
        column: areas.list.x + 2,
        row: areas.list.y + 1,
    });
    assert_eq!((desk.label(), desk.is_open()), ("#build".to_owned(), false));
    desk.key(CTRL_G).msg(Msg::Clicked {
        column: areas.list.x + 2,
        row: areas.writing.y,
    });
    assert!(desk.is_open());
    desk.msg(Msg::Clicked { column: 0, row: 0 });
    assert!(!desk.is_open(), "a click beside the box closes it");
}

#[test]
fn the_list_holds_still_while_it_is_open() {
    let mut desk = Desk::with_rooms();
    desk.key(CTRL_G);
    let before = desk.listing();
    let order = |desk: &Desk| -> Vec<_> {
        let rooms = desk.model.rooms();
        rooms.into_iter().map(|row| row.name).collect()
    };
    let rooms = order(&desk);
    desk.hears_in("ops", 2, second(300), "bob", "@carol the nas is full");
    assert_eq!(desk.listing(), before);
    assert_eq!(order(&desk), rooms);
    let picker = desk.model.layers.picker().unwrap();
    let ops = picker
        .rows(9)
        .find(|(entry, _)| entry.name == "ops")
        .unwrap()
        .0;
    assert_eq!(ops.news.badge(), "@1", "but the counts are those of now");
    assert_eq!(ops.note, "bob: @carol the nas is full");
    desk.key(ESC);
    desk.typed("x");
    assert_eq!(order(&desk)[0], "ops");
}

/// A person has no conversation yet: the command that begins one is run as if it had been typed.
#[test]
fn a_person_is_written_to_by_the_command() {
    let mut desk = Desk::with_rooms();
    desk.typed("half a thought").key(CTRL_G).typed("@bert");
    assert_eq!(desk.listing(), ["▌@bert"]);
    desk.key(ENTER);
    assert_eq!(desk.text(), "half a thought");
    desk.key(Key::ctrl(Code::Char('u')))
        .key(Key::plain(Code::Up));
    assert_eq!(desk.text(), "/msg bert", "the history of the input has it");
}

#[test]
fn people_with_whom_there_is_a_conversation_are_listed_once() {
    let mut desk = Desk::with_rooms();
    desk.opens_room("bob", 0);
    desk.talks_with("bob");
    desk.key(CTRL_G).typed("@");
    assert_eq!(desk.listing(), ["▌@bob", "@bert"]);
}

#[test]
fn a_command_is_run_or_waits_for_its_arguments() {
    let mut desk = Desk::with_rooms();
    desk.typed("half a thought")
        .key(CTRL_G)
        .typed(">who")
        .key(ENTER);
    assert_eq!(desk.text(), "half a thought");
    assert!(
        desk.entries().last().unwrap().contains("bert"),
        "it was run"
    );
    desk.key(CTRL_G).typed(">/kick").key(ENTER);
    assert_eq!(desk.text(), "/kick ");
    desk.key(Key::ctrl(Code::Char('u')))
        .key(Key::plain(Code::Up));
    assert_eq!(desk.text(), "half a thought", "it was put aside");
}

/// A command from the list may end the program: the draft is there at the next start.
#[test]
fn leaving_from_the_list_keeps_the_draft() {
    let mut desk = Desk::with_rooms();
    desk.typed("half a thought")
        .key(CTRL_G)
        .typed(">/quit")
        .key(ENTER);
    let done = desk.done();
    assert!(done.contains(&Effect::Command(Command::Leave)));
    let drafts: Vec<_> = done
        .iter()
        .filter_map(|effect| match effect {
            Effect::Command(Command::Draft { text, .. }) => Some(text.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(drafts, ["half a thought"]);
}

#[test]
fn escape_closes_the_list_before_anything_else() {
    let mut desk = Desk::full();
    desk.opens_room("build", 0);
    desk.key(PAGE_UP)
        .typed("x")
        .key(CTRL_G)
        .typed("bu")
        .key(ESC);
    assert!(!desk.is_open());
    assert!(!desk.follows());
    assert_eq!(desk.text(), "x");
    desk.key(ESC);
    assert!(desk.follows());
    let mut desk = Desk::with_rooms();
    desk.key(CTRL_G).key(CTRL_C);
    assert!(!desk.is_open());
}

#[test]
fn what_the_list_covers_is_not_read() {
    let mut desk = Desk::with_rooms();
    desk.key(CTRL_G);
    desk.message(1, "bob", "anybody here?");
    assert_eq!(desk.pane_in("lobby").counts().unread, 1);
    desk.key(ESC);
    assert_eq!(desk.pane_in("lobby").counts().unread, 0);
}
