//! Long messages are folded: their first rows and a count, until the reader unfolds them.

use super::*;
use crate::{
    client::event::{LocalId, Received, SearchPage},
    text::Body,
    tui::app::{Effect, Msg, pane::Scroll},
};

/// Numbered lines: "1", "2", …
fn lines(count: usize) -> String {
    let lines: Vec<_> = (1..=count).map(|line| format!("line {line}")).collect();
    lines.join("\n")
}

impl Screen {
    fn command(&mut self, text: &str) -> &mut Self {
        self.typed(text).key(Key::plain(Code::Enter))
    }

    fn rows(&self) -> Vec<String> {
        self.text().lines().map(ToOwned::to_owned).collect()
    }

    /// The row with this text, if there is one.
    fn row_of(&self, words: &str) -> Option<usize> {
        self.rows().iter().position(|row| row.contains(words))
    }
}

#[test]
fn a_long_message_is_folded_with_a_count_at_any_size() {
    for (width, height, shown, words) in [
        (100, 30, 15, "… 7,985 more lines · /unfold"),
        (80, 24, 12, "… 7,988 more lines · /unfold"),
        (40, 12, 10, "… 7,990 more · /unfold"),
        (20, 5, 10, "… 7,990 more"),
    ] {
        let mut screen = Screen::entered(width, height);
        screen.numbered(1, "x\n".repeat(8_000).trim_end());
        let text = screen.text();
        assert!(text.contains(words), "{text}");
        let layout = screen.desk.model.layout();
        let pane = screen.desk.model.pane();
        let above = pane.rows_above(0, &layout.columns);
        assert_eq!(pane.item_rows(0, &layout.columns) - above, shown + 1);
    }
}

#[test]
fn whatever_makes_a_message_long_it_is_folded() {
    let one_line = "word ".repeat(3_000);
    let no_blank = "x".repeat(16_000);
    let empty = format!("a{}b", "\n".repeat(8_000));
    for text in [one_line.trim_end(), &no_blank, &empty, &lines(100)] {
        let mut screen = Screen::entered(80, 24);
        screen.numbered(1, text);
        assert!(screen.text().contains("more lines · /unfold"), "{text:.20}");
        // Our own as well: pending, refused, or sent.
        let mut ours = Screen::entered(80, 24);
        for delivery in [
            Delivery::Pending,
            Delivery::Failed {
                why: Line::inert("No"),
            },
            Delivery::Unconfirmed,
        ] {
            ours.sending(1, text, delivery);
            assert!(ours.text().contains("more lines · /unfold"), "{text:.20}");
        }
    }
    let mut screen = Screen::entered(80, 24);
    screen.numbered(1, &lines(24));
    assert!(!screen.text().contains("more lines"), "it fits a screen");
}

#[test]
fn the_view_stays_when_a_message_is_unfolded_and_goes_on_below() {
    let mut screen = Screen::entered(80, 24);
    for _ in 0..20 {
        screen.message("22T09:41:00", "alice", "before");
    }
    screen
        .message("22T09:41:01", "bob", &lines(300))
        .message("22T09:41:02", "alice", "after");
    let before = screen.rows();
    let count = screen.row_of("288 more lines").expect("the count");
    screen.command("/unfold");
    let after = screen.rows();
    assert_eq!(before[..count], after[..count]);
    assert!(after[count].contains("line 13"), "{}", after[count]);
    assert_eq!(screen.row_of("after"), None);
    // New messages do not move anything either.
    screen.message("22T09:41:03", "alice", "and more");
    assert_eq!(screen.rows()[..count], after[..count]);
    // Folded again, it is as it was.
    screen.key(Key::plain(Code::Esc)).command("/fold");
    assert!(screen.row_of("288 more lines").is_some());
    assert!(screen.row_of("and more").is_some());
}

#[test]
fn a_click_on_the_count_unfolds_and_one_elsewhere_does_not() {
    let mut screen = Screen::entered(80, 24);
    screen
        .message("22T09:41:01", "bob", &lines(300))
        .command("/mouse");
    let row = screen.row_of("… 288 more lines · /unfold or click");
    let row = u16::try_from(row.expect("the count")).unwrap();
    let clicked = |screen: &mut Screen, column, row| {
        screen.desk.msg(Msg::Clicked { column, row });
        screen.row_of("288 more lines").is_none()
    };
    for (column, row) in [(30, row - 1), (30, row + 1), (75, row), (30, 200), (0, 0)] {
        assert!(!clicked(&mut screen, column, row), "{column}, {row}");
    }
    screen.key(Key::plain(Code::F(1)));
    screen.desk.msg(Msg::Clicked { column: 30, row });
    screen.key(Key::plain(Code::Esc));
    assert!(screen.row_of("288 more lines").is_some(), "under the help");
    assert!(clicked(&mut screen, 30, row));
}

#[test]
fn the_lowest_folded_one_is_unfolded_then_the_next_above_and_then_there_is_none() {
    let mut screen = Screen::entered(80, 24);
    screen
        .message("22T09:41:01", "bob", &lines(300))
        .message("22T09:41:02", "alice", &lines(200))
        .command("/unfold")
        .key(Key::plain(Code::Esc));
    let model = &screen.desk.model;
    let columns = model.layout().columns;
    assert!(model.pane().folded(0, &columns).is_some());
    assert!(model.pane().folded(1, &columns).is_none());
    // It is off the screen by now: the reader is led to it.
    screen.command("/unfold");
    assert!(screen.row_of("line 13").is_some(), "{}", screen.text());
    screen.command("/unfold");
    assert!(screen.text().contains("No message here is folded"));
}

#[test]
fn a_pending_message_that_was_unfolded_stays_so_in_the_log() {
    let mut screen = Screen::entered(80, 24);
    let text = lines(300);
    screen
        .sending(1, &text, Delivery::Pending)
        .command("/unfold");
    assert!(screen.row_of("more lines").is_none());
    screen.heard(Event::Message(Received {
        local: Some(LocalId(1)),
        ..logged(1, time("22T09:45:00"), "carol", &text).into()
    }));
    assert!(screen.row_of("more lines").is_none(), "{}", screen.text());
}

#[test]
fn a_match_in_a_folded_message_is_shown() {
    for (wanted, unfolds) in [("line 3", false), ("line 250", true)] {
        let mut screen = Screen::entered(80, 24);
        let text = lines(300);
        let message = logged(1, time("22T09:41:00"), "bob", &text);
        screen.heard(Event::Message(message.clone().into()));
        screen.desk.done();
        screen
            .key(Key::ctrl(Code::Char('f')))
            .command(&format!("\"{wanted}\""));
        let search = screen
            .desk
            .done()
            .into_iter()
            .find_map(|effect| match effect {
                Effect::Command(crate::client::event::Command::Search { search, .. }) => {
                    Some(search)
                }
                _ => None,
            });
        screen.heard(Event::Found {
            search: search.expect("a search"),
            room: RoomId::LOBBY,
            found: Ok(SearchPage {
                first: 1,
                from: 1,
                to: 1,
                entries: vec![message],
                indexed: None,
                offline: false,
            }),
        });
        screen.key(Key::plain(Code::Enter));
        let words = format!("│ {wanted}");
        let marked = format!("┃ {wanted}");
        let text = screen.text();
        assert!(text.contains(&words) || text.contains(&marked), "{text}");
        assert_eq!(screen.row_of("more lines").is_none(), unfolds, "{text}");
    }
}

#[test]
fn nothing_moves_when_a_long_message_comes_while_the_reader_is_further_up() {
    let mut screen = Screen::entered(80, 24);
    for seq in 1..=60 {
        screen.numbered(seq, &format!("message {seq}"));
    }
    screen.key(Key::plain(Code::PageUp));
    assert!(matches!(screen.desk.model.pane().scroll, Scroll::At { .. }));
    let end = screen.desk.model.layout().messages.bottom();
    let before = screen.rows()[1..usize::from(end)].to_vec();
    screen.numbered(61, &lines(500));
    assert_eq!(screen.rows()[1..usize::from(end)], before);
}

proptest! {
    #[test]
    fn a_folded_message_takes_no_more_rows_than_it_says(
        width in 1..=200_u16,
        height in 1..=80_u16,
        text in prop_oneof!["[a-z \n世]{1,4000}", "(a?\n){0,3000}x", "[x ]{1,4000}"],
        unfold: bool,
    ) {
        let mut screen = Screen::entered(width, height);
        let body = Body::inert(&text);
        screen.numbered(1, body.as_str());
        screen.sending(1, body.as_str(), Delivery::Pending);
        if unfold {
            screen.command("/unfold");
        }
        let layout = screen.desk.model.layout();
        let pane = screen.desk.model.pane();
        for index in 0..pane.items() {
            let rows = pane.item_rows(index, &layout.columns);
            let text_rows = rows - pane.rows_above(index, &layout.columns);
            let limit = u32::from(height.max(20));
            if let Some(folded) = pane.folded(index, &layout.columns) {
                prop_assert_eq!(text_rows, folded.shown + 1);
                prop_assert!(text_rows <= limit);
                prop_assert!(folded.shown + folded.hidden > limit);
            } else if !unfold {
                prop_assert!(text_rows <= limit);
            }
        }
        screen.buffer();
    }
}

/// Signs that the help does not explain: separators and parts of words.
const NO_SIGNS: &str = "─│┴┊›…·–—";

#[test]
fn every_sign_on_the_screen_is_explained_by_the_help() {
    let mut explained = String::new();
    for (width, height) in [(100, 30), (80, 24), (40, 12)] {
        let mut help = Screen::entered(width, height);
        help.key(Key::plain(Code::F(1)));
        let mut all = String::new();
        for _ in 0..40 {
            all += &help.text();
            help.key(Key::plain(Code::PageDown));
        }
        for legend in crate::tui::signs::legends() {
            for (sign, help) in legend.signs {
                let words = help.split(' ').next().unwrap();
                let said = |row: &str| row.contains(sign) && row.contains(words);
                assert!(all.lines().any(said), "{width}: {sign} {help}");
                explained.push_str(sign);
            }
        }
    }
    let mut screens = vec![Screen::conversation(100, 30), Screen::guessing(100, 30)];
    let mut all = Screen::conversation(100, 40);
    admin::furnish(&mut all);
    all.numbered(30, "@carol look");
    all.sending(2, "a", Delivery::Unconfirmed);
    all.sending(
        3,
        "b",
        Delivery::Failed {
            why: Line::inert("No"),
        },
    );
    all.command("kept");
    screens.push(all);
    let mut silent = Screen::conversation(100, 30);
    silent.heard(Event::Unanswered(Some(std::time::Duration::from_secs(3))));
    screens.push(silent);
    let mut offline = Screen::conversation(100, 30);
    offline.heard(Event::Connection(ConnectionStatus::Waiting {
        why: Line::inert("Gone"),
        retry_in: std::time::Duration::from_secs(3),
    }));
    screens.push(offline);
    let mut seen = std::collections::BTreeSet::new();
    for screen in &screens {
        seen.extend(screen.text().chars().filter(|c| {
            !c.is_alphanumeric()
                && !c.is_whitespace()
                && !c.is_ascii()
                && !NO_SIGNS.contains(*c)
                && *c < '\u{3000}'
        }));
    }
    // Texts of users are exempt.
    for c in ['\u{301}', '\u{200d}', 'é'] {
        seen.remove(&c);
    }
    for sign in &seen {
        assert!(explained.contains(*sign), "{sign} is not explained");
    }
    for sign in "✓✗●◌○◆◇┃┄".chars() {
        assert!(seen.contains(&sign), "{sign} was not drawn here");
    }
}
