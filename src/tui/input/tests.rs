//! Tests of the form: text with the cursor marked by `|`, edits, text.

use proptest::prelude::*;
use unicode_segmentation::UnicodeSegmentation;

use super::{Edit::*, *};
use crate::text::wrap::Row;

const FAMILY: &str = "👨\u{200D}👩\u{200D}👧\u{200D}👦";

/// An editor with a text and no history.
fn editor(marked: &str) -> Editor {
    let cursor = marked.find('|').expect("the cursor is marked");
    let mut editor = Editor::new();
    editor.restore(&Draft {
        text: marked.replacen('|', "", 1),
        cursor,
    });
    editor
}

fn marked(editor: &Editor) -> String {
    let (before, after) = editor.text().split_at(editor.cursor());
    format!("{before}|{after}")
}

#[track_caller]
fn check(before: &str, edits: &[Edit], after: &str) {
    let mut editor = editor(before);
    for &edit in edits {
        let _ = editor.apply(edit);
    }
    assert_eq!(marked(&editor), after, "{before:?} {edits:?}");
}

/// Types character by character.
fn type_in(editor: &mut Editor, text: &str) {
    for c in text.chars() {
        assert_eq!(
            editor.insert(c.encode_utf8(&mut [0; 4])),
            EditOutcome::Changed
        );
    }
}

#[test]
fn the_cursor_moves_by_grapheme_clusters() {
    check("|", &[Left, Right], "|");
    check("ab|c", &[Left], "a|bc");
    check("ab|c", &[Right], "abc|");
    check("a\n|b", &[Left], "a|\nb");
    check(&format!("a{FAMILY}|b"), &[Left], &format!("a|{FAMILY}b"));
    check(&format!("a|{FAMILY}b"), &[Right], &format!("a{FAMILY}|b"));
    check("e\u{301}|", &[Left], "|e\u{301}");
    check("🇳🇴🇨🇭|", &[Left], "🇳🇴|🇨🇭");
    check("क्षि|", &[Left], "|क्षि");
}

#[test]
fn a_deletion_takes_a_grapheme_cluster() {
    check("|", &[Backspace, Delete], "|");
    check("ab|c", &[Backspace], "a|c");
    check("ab|c", &[Delete], "ab|");
    check("a\n|b", &[Backspace], "a|b");
    check(&format!("a{FAMILY}|b"), &[Backspace], "a|b");
    check(&format!("a|{FAMILY}b"), &[Delete], "a|b");
    check("1\u{FE0F}\u{20E3}|", &[Backspace], "|");
    check("🇳🇴🇨🇭|", &[Backspace], "🇳🇴|");
}

#[test]
fn words_are_letters_digits_and_emoji() {
    check("one two|", &[WordLeft], "one |two");
    check("one |two", &[WordLeft], "|one two");
    check("one, (two)|", &[WordLeft], "one, (|two)");
    check(
        "it's 10.5 foo_bar|",
        &[WordLeft, WordLeft],
        "it's |10.5 foo_bar",
    );
    check("|one, two", &[WordRight], "one|, two");
    check("one|, two", &[WordRight], "one, two|");
    check("|\n\nx", &[WordRight], "\n\nx|");
    check("fine 👍|", &[WordLeft], "fine |👍");
    check("  |", &[WordLeft], "|  ");
    check("日本|", &[WordLeft], "日|本");
    check("می\u{200C}خواهم|", &[WordLeft], "|می\u{200C}خواهم");
}

#[test]
fn lines_and_the_text_have_ends() {
    check("one\ntw|o", &[Home], "one\n|two");
    check("one\nt|wo\nx", &[End], "one\ntwo|\nx");
    check("one\n|", &[Home], "one\n|");
    check("one\nt|wo", &[TextStart], "|one\ntwo");
    check("o|ne\ntwo", &[TextEnd], "one\ntwo|");
    check("a|b", &[NewLine], "a\n|b");
}

#[test]
fn kills_take_words_and_ends_of_lines() {
    check("git log --all|", &[KillWordLeft], "git log --|");
    check("git log --all|", &[KillToBlank], "git log |");
    check("git log  |x", &[KillToBlank], "git |x");
    check("a |one, two", &[KillWordRight], "a |, two");
    check("x\none |two", &[KillToStart], "x\n|two");
    check("x\n|two", &[KillToStart], "x|two");
    check("one| two\nx", &[KillToEnd], "one|\nx");
    check("one|\nx", &[KillToEnd], "one|x");
    check(
        "|",
        &[KillToEnd, KillToStart, KillToBlank, KillWordLeft, Yank],
        "|",
    );
}

#[test]
fn kills_are_yanked() {
    check("one two|", &[KillWordLeft, Home, Yank], "two|one ");
    // Consecutive kills are one.
    check(
        "one two three|",
        &[KillWordLeft, KillWordLeft, Home, Yank],
        "two three|one ",
    );
    check(
        "one |two three",
        &[KillWordRight, KillWordRight, Home, Yank],
        "two three|one ",
    );
    check(
        "one |two six",
        &[KillWordRight, KillWordLeft, Yank],
        "one two| six",
    );
    check("a |b c", &[KillToEnd, Left, KillToStart, Yank], "a| ");
    // Other kills stay in the ring.
    let kill_both = [KillToBlank, Left, KillToBlank];
    let two = "one two|";
    check(two, &[kill_both.as_slice(), &[Yank]].concat(), "one| ");
    check(
        two,
        &[kill_both.as_slice(), &[Yank, YankOlder]].concat(),
        "two| ",
    );
    check(
        two,
        &[kill_both.as_slice(), &[Yank, YankOlder, YankOlder]].concat(),
        "one| ",
    );
    check(
        two,
        &[kill_both.as_slice(), &[Yank, Left, YankOlder]].concat(),
        "on|e ",
    );
    check(two, &[YankOlder, Yank], two);
}

#[test]
fn a_yank_that_grows_together_with_what_follows_is_replaced_without_it() {
    let mut editor = editor("x 🇳|");
    for edit in [KillToBlank, Left, KillToStart, TextStart] {
        let _ = editor.apply(edit);
    }
    assert_eq!(editor.insert("🇴"), EditOutcome::Changed);
    for edit in [TextStart, Yank, YankOlder] {
        let _ = editor.apply(edit);
    }
    assert_eq!(editor.apply(YankOlder), EditOutcome::Changed);
    assert_eq!(editor.text(), "x🇴 ");
}

#[test]
fn transposing_exchanges_neighbours() {
    check("ab|c", &[Transpose], "acb|");
    check("abc|", &[Transpose], "acb|");
    check("|abc", &[Transpose], "|abc");
    check("a|", &[Transpose], "a|");
    check("x\n|ab", &[Transpose], "x\n|ab");
    check("x\na|b", &[Transpose], "x\nba|");
    check("x\nab|\ny", &[Transpose], "x\nba|\ny");
    check(
        &format!("{FAMILY}|e\u{301}"),
        &[Transpose],
        &format!("e\u{301}{FAMILY}|"),
    );
}

#[test]
fn undo_goes_word_by_word_and_kill_by_kill() {
    let mut editor = Editor::new();
    type_in(&mut editor, "one two");
    for (edit, expected) in [
        (Undo, "one |"),
        (Undo, "|"),
        (Undo, "|"),
        (Redo, "one |"),
        (Redo, "one two|"),
        (Redo, "one two|"),
        (KillWordLeft, "one |"),
        (KillWordLeft, "|"),
        (Undo, "one |"),
        (Undo, "one two|"),
        (Backspace, "one tw|"),
        (Backspace, "one t|"),
        (Undo, "one two|"),
        (Home, "|one two"),
        (Delete, "|ne two"),
        (Delete, "|e two"),
        (Undo, "|one two"),
    ] {
        let _ = editor.apply(edit);
        assert_eq!(marked(&editor), expected, "{edit:?}");
    }
}

#[test]
fn a_motion_ends_a_step_and_a_change_forgets_what_was_undone() {
    let mut editor = Editor::new();
    type_in(&mut editor, "ab");
    let _ = editor.apply(Left);
    let _ = editor.apply(Right);
    type_in(&mut editor, "cd");
    let _ = editor.apply(Undo);
    assert_eq!(marked(&editor), "ab|");
    type_in(&mut editor, "x");
    assert_eq!(editor.apply(Redo), EditOutcome::Nothing);
    let _ = editor.apply(Undo);
    assert_eq!(marked(&editor), "ab|");
}

#[test]
fn a_paste_is_undone_at_once_and_its_line_ends_become_newlines() {
    let mut editor = editor("a|b");
    assert_eq!(editor.insert("one\r\ntwo\rthree"), EditOutcome::Changed);
    assert_eq!(marked(&editor), "aone\ntwo\nthree|b");
    let _ = editor.apply(Undo);
    assert_eq!(marked(&editor), "a|b");
}

#[test]
fn rows_are_walked_at_the_column_where_the_walk_began() {
    let cases = [
        // 6 columns are 5 and the cursor's.
        ("one two three fou|r", &[Up][..], "one two thr|ee four"),
        ("one two three fou|r", &[Up, Up], "one two| three four"),
        ("abcde\nf\nghijk|", &[Up, Up], "abcde|\nf\nghijk"),
        (
            "abcde\nf\nghijk|",
            &[Up, Up, Down, Down],
            "abcde\nf\nghijk|",
        ),
        ("abcde\nf\nghijk|", &[Up, Left, Up], "|abcde\nf\nghijk"),
        ("ab|c\n日本語", &[Down], "abc\n日|本語"),
        ("a|bc\n日本語", &[Down], "abc\n|日本語"),
        ("\n\n|", &[Up, Up, Up], "|\n\n"),
        // A row without white space ends before its last character.
        ("abcdefgh\nvwxyz|", &[Up, Up], "abcd|efgh\nvwxyz"),
    ];
    for (before, edits, after) in cases {
        let mut editor = editor(before);
        editor.set_columns(6);
        for &edit in edits {
            let _ = editor.apply(edit);
        }
        assert_eq!(marked(&editor), after, "{before:?} {edits:?}");
    }
}

#[test]
fn the_layout_has_a_place_for_the_cursor_everywhere() {
    for (text, columns, rows, at) in [
        ("|", 6, &[""][..], (0, 0)),
        ("hello|", 6, &["hello"], (0, 5)),
        ("hello |", 6, &["hello", ""], (1, 0)),
        ("hello| ", 6, &["hello", ""], (0, 5)),
        ("hello w|", 6, &["hello", "w"], (1, 1)),
        ("hello  |", 6, &["hello", " "], (1, 1)),
        ("helloworld|", 6, &["hello", "world"], (1, 5)),
        ("hello|world", 6, &["hello", "world"], (1, 0)),
        ("a\n|", 6, &["a", ""], (1, 0)),
        ("日本|語", 6, &["日本", "語"], (1, 0)),
        ("\u{1b}|[m\t", 9, &["␛[m "], (0, 1)),
        ("ab|", 1, &["a", "b"], (1, 0)),
        ("ab|", 0, &["a", "b"], (1, 0)),
    ] {
        let editor = editor(text);
        let layout = editor.layout(columns);
        let drawn: Vec<_> = layout
            .rows
            .iter()
            .map(|row| row.to_text(editor.text()))
            .collect();
        assert_eq!(drawn, rows, "{text:?}");
        assert_eq!((layout.cursor_row, layout.cursor_column), at, "{text:?}");
    }
}

#[test]
fn the_window_holds_the_cursor() {
    let layout = |marked| editor(marked).layout(20);
    assert_eq!(layout("|1\n2\n3\n4\n5\n6").window(3), 0..3);
    assert_eq!(layout("1\n2\n3\n|4\n5\n6").window(3), 2..5);
    assert_eq!(layout("1\n2\n3\n4\n5\n6|").window(3), 3..6);
    assert_eq!(layout("1\n2|").window(3), 0..2);
    assert_eq!(layout("1\n2|").window(1), 1..2);
    assert_eq!(layout("1\n2|").window(0), 1..1);
}

/// An editor with a history.
fn with_history(texts: &[&str]) -> Editor {
    let mut editor = Editor::new();
    for text in texts {
        assert_eq!(editor.insert(text), EditOutcome::Changed);
        assert_eq!(editor.take(), *text);
    }
    editor
}

#[test]
fn up_goes_to_what_was_sent_and_down_back_to_the_draft() {
    let mut editor = with_history(&["first", "second", "second", "two\nrows"]);
    type_in(&mut editor, "draft");
    let _ = editor.apply(Left);
    for (edit, expected) in [
        (Down, "draf|t"),
        (Up, "two\nrows|"),
        (Up, "second|"),
        (Up, "first|"),
        (Up, "first|"),
        (Down, "second|"),
        (Down, "two\nrows|"),
        (Down, "draf|t"),
        (Down, "draf|t"),
    ] {
        let _ = editor.apply(edit);
        assert_eq!(marked(&editor), expected, "{edit:?}");
    }
}

#[test]
fn a_text_from_the_history_that_was_touched_is_walked_by_rows_first() {
    let mut editor = with_history(&["first", "two\nrows"]);
    type_in(&mut editor, "draft");
    for (edit, expected) in [
        (Up, "two\nrows|"),
        (Backspace, "two\nrow|"),
        (Up, "two|\nrow"),
        (Up, "first|"),
        // Undo brings the edited text back.
        (Undo, "two|\nrow"),
        (Undo, "two\nrows|"),
        (Undo, "draft|"),
        (Up, "two\nrows|"),
        (Down, "draft|"),
    ] {
        let _ = editor.apply(edit);
        assert_eq!(marked(&editor), expected, "{edit:?}");
    }
}

#[test]
fn going_back_to_a_draft_like_what_is_shown_is_nothing() {
    let mut editor = with_history(&["sent"]);
    assert_eq!(editor.apply(Up), EditOutcome::Changed);
    assert_eq!(editor.apply(KillToStart), EditOutcome::Changed);
    assert_eq!(editor.apply(Down), EditOutcome::Nothing);
    assert_eq!(editor.insert("sent"), EditOutcome::Changed);
    let _ = editor.apply(Home);
    assert_eq!(editor.apply(Up), EditOutcome::Moved);
    assert_eq!(editor.apply(Down), EditOutcome::Moved);
}

#[test]
fn the_kill_ring_is_bounded() {
    let mut editor = Editor::new();
    for number in 0..40 {
        assert_eq!(editor.insert(&format!("{number:02}")), EditOutcome::Changed);
        assert_eq!(editor.apply(KillToStart), EditOutcome::Changed);
    }
    let _ = editor.apply(Yank);
    assert_eq!(editor.text(), "39");
    let mut oldest = String::new();
    while editor.apply(YankOlder) == EditOutcome::Changed && editor.text() != "39" {
        oldest = editor.text().to_owned();
    }
    assert_eq!(oldest, "08");
}

#[test]
fn the_history_is_bounded_and_keeps_no_blanks() {
    let mut editor = Editor::new();
    for number in 0..300 {
        editor.remember(&number.to_string());
        editor.remember(" \n");
    }
    let ups = (0..1000)
        .take_while(|_| editor.apply(Up) == EditOutcome::Changed)
        .count();
    assert_eq!((ups, editor.text()), (200, "100"));
}

#[test]
fn a_draft_is_put_aside_and_taken_up_again() {
    let mut editor = with_history(&["sent"]);
    type_in(&mut editor, "draft");
    let _ = editor.apply(Left);
    let _ = editor.apply(Up);
    let draft = editor.draft();
    assert_eq!((draft.text.as_str(), draft.cursor), ("draft", 4));
    // A changed text of the history is a draft, too.
    type_in(&mut editor, "!");
    assert_eq!(editor.draft().text, "sent!");
    editor.restore(&draft);
    assert_eq!(marked(&editor), "draf|t");
    assert_eq!(editor.apply(Undo), EditOutcome::Nothing);
    editor.restore(&Draft {
        text: "日".repeat(TEXT_BYTES_MAX),
        cursor: 1,
    });
    assert_eq!(
        (editor.text().len(), editor.cursor()),
        (TEXT_BYTES_MAX - 1, 3)
    );
}

#[test]
fn taking_a_text_starts_anew() {
    let mut editor = editor("one two|");
    let _ = editor.apply(KillWordLeft);
    assert_eq!(editor.take(), "one ");
    assert!(editor.is_empty());
    assert_eq!(editor.apply(Undo), EditOutcome::Nothing);
    let _ = editor.apply(Yank);
    assert_eq!(marked(&editor), "two|");
}

#[test]
fn a_text_has_at_most_16_kib_and_a_longer_one_is_refused_whole() {
    let mut editor = Editor::new();
    let full = "x".repeat(TEXT_BYTES_MAX);
    assert_eq!(editor.insert(&full[1..]), EditOutcome::Changed);
    assert_eq!(editor.insert("é"), EditOutcome::TooLong);
    assert_eq!(editor.insert("y"), EditOutcome::Changed);
    assert_eq!(editor.apply(NewLine), EditOutcome::TooLong);
    assert_eq!(editor.set_text(&(full.clone() + "z")), EditOutcome::TooLong);
    assert_eq!(editor.text(), full[1..].to_owned() + "y");
    assert_eq!(editor.replace(0..1, "ab"), EditOutcome::TooLong);
    let _ = editor.apply(KillToStart);
    assert_eq!(editor.apply(Yank), EditOutcome::Changed);
    assert_eq!(editor.apply(Yank), EditOutcome::TooLong);
    assert_eq!(editor.text().len(), TEXT_BYTES_MAX);
}

#[test]
fn a_completion_takes_the_place_of_a_word() {
    let mut editor = editor("hi al| there");
    assert_eq!(editor.replace(3..5, "alice:"), EditOutcome::Changed);
    assert_eq!(marked(&editor), "hi alice:| there");
    let _ = editor.apply(Undo);
    assert_eq!(marked(&editor), "hi al| there");
    // Only whole grapheme clusters are replaced.
    assert_eq!(editor.set_text(FAMILY), EditOutcome::Changed);
    assert_eq!(editor.replace(4..7, "x"), EditOutcome::Changed);
    assert_eq!(marked(&editor), "x|");
    assert_eq!(editor.set_text("x"), EditOutcome::Nothing);
}

#[test]
fn text_that_merges_with_its_neighbour_keeps_the_cursor_outside() {
    let mut editor = editor("👩|👧");
    assert_eq!(editor.insert("\u{200D}"), EditOutcome::Changed);
    assert_eq!(marked(&editor), "👩\u{200D}👧|");
    let _ = editor.apply(Undo);
    assert_eq!(marked(&editor), "👩|👧");
}

#[derive(Clone, Debug)]
enum Step {
    Insert(String),
    Apply(Edit),
    Columns(usize),
}

const EDITS: &[Edit] = &[
    Left,
    Right,
    WordLeft,
    WordRight,
    Home,
    End,
    TextStart,
    TextEnd,
    Up,
    Down,
    NewLine,
    Backspace,
    Delete,
    KillWordLeft,
    KillWordRight,
    KillToBlank,
    KillToStart,
    KillToEnd,
    Yank,
    YankOlder,
    Transpose,
    Undo,
    Redo,
];

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let piece = prop::sample::select(vec![
        "a", "b ", " ", "\n", "\t", "👩", "\u{200d}", "🇳", "🇴", "\u{301}", "日本", "क", "\u{94d}",
        "\u{1b}", "\r\n", "one two", "\u{1100}", "\u{1161}", "\u{605}",
    ]);
    let step = prop_oneof![
        4 => piece.prop_map(|text| Step::Insert(text.to_owned())),
        4 => prop::sample::select(EDITS).prop_map(Step::Apply),
        1 => (0..9_usize).prop_map(Step::Columns),
    ];
    prop::collection::vec(step, 0..60)
}

fn run(editor: &mut Editor, step: &Step) -> EditOutcome {
    match step {
        Step::Insert(text) => editor.insert(text),
        Step::Apply(edit) => editor.apply(*edit),
        Step::Columns(columns) => {
            editor.set_columns(*columns);
            EditOutcome::Nothing
        }
    }
}

fn is_boundary(text: &str, at: usize) -> bool {
    at == text.len() || text.grapheme_indices(true).any(|(start, _)| start == at)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_cursor_never_stands_within_a_character(steps in steps()) {
        let mut editor = with_history(&["sent 🇳", "sent\nbefore"]);
        for step in steps {
            let before = (editor.text().to_owned(), editor.cursor());
            let outcome = run(&mut editor, &step);
            prop_assert!(is_boundary(editor.text(), editor.cursor()), "{:?}", editor);
            let changed = editor.text() != before.0;
            prop_assert_eq!(outcome == EditOutcome::Changed, changed, "{:?}", step);
            if !changed {
                prop_assert_eq!(outcome == EditOutcome::Moved, editor.cursor() != before.1);
            }
        }
    }

    #[test]
    fn undoing_all_and_redoing_all_comes_back(steps in steps()) {
        let mut editor = Editor::new();
        for step in steps {
            let _ = run(&mut editor, &step);
        }
        let end = editor.text().to_owned();
        while editor.apply(Redo) == EditOutcome::Changed {}
        let last = editor.text().to_owned();
        while editor.apply(Undo) == EditOutcome::Changed {}
        prop_assert_eq!(editor.text(), "");
        let mut texts = vec![String::new()];
        while editor.apply(Redo) == EditOutcome::Changed {
            texts.push(editor.text().to_owned());
        }
        prop_assert_eq!(editor.text(), last);
        prop_assert!(texts.contains(&end));
    }

    #[test]
    fn the_cursor_is_where_its_text_ends_on_its_row(steps in steps(), columns in 0..12_usize) {
        let mut editor = Editor::new();
        for step in steps {
            let _ = run(&mut editor, &step);
        }
        let layout = editor.layout(columns);
        prop_assert!(layout.cursor_column < columns.max(1));
        let row: &Row = &layout.rows[layout.cursor_row];
        let last = layout.cursor_row + 1 == layout.rows.len();
        prop_assert!(row.start <= editor.cursor());
        prop_assert!(editor.cursor() < row.next || (last && editor.cursor() == row.next));
        prop_assert!(layout.window(3).contains(&layout.cursor_row));
    }
}
