//! Tests that bytes are decoded into the same keys however they are split, and whatever time passes
//! between them.

use proptest::prelude::*;

use super::*;
use crate::tui::key::Code;

/// Later than any patience.
const AT_LAST: Duration = Duration::from_hours(1);
const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn pressed(key: Key) -> Vec<Input> {
    vec![Input::Key(key)]
}

fn alt(c: char) -> Vec<Input> {
    pressed(Key::alt(Code::Char(c)))
}

/// The inputs of a typed text.
fn typed(text: &str) -> Vec<Input> {
    let key = |c| match c {
        '\r' => Key::plain(Code::Enter),
        c => Key::plain(Code::Char(c)),
    };
    text.chars().map(|c| Input::Key(key(c))).collect()
}

fn decode(bytes: &[u8]) -> Vec<Input> {
    reads(&[(0, bytes)])
}

/// The inputs of reads at these times, in milliseconds.
fn reads(reads: &[(u64, &[u8])]) -> Vec<Input> {
    let mut decoder = Decoder::default();
    let mut found = Vec::new();
    for (at, bytes) in reads {
        found.extend(decoder.feed(ms(*at), bytes));
    }
    found.extend(decoder.pass(AT_LAST));
    found
}

/// Spells inputs the same whether they came as keys or as lines: the text, and other inputs by
/// themselves.
fn spelled(inputs: &[Input]) -> Vec<String> {
    let mut spelled = vec![String::new()];
    // Other inputs do not wait for lines to be complete, so their order among them differs.
    let is_typed =
        |input: &&Input| matches!(input, Input::Key(_) | Input::Lines(_) | Input::Paste(_));
    let reported = inputs.iter().filter(|input| !is_typed(input));
    let reported: Vec<_> = reported.map(|input| format!("{input:?}")).collect();
    for input in inputs.iter().filter(is_typed) {
        let text = match input {
            Input::Lines(text) | Input::Paste(text) => Some(text.clone()),
            Input::Key(key) if key.code == Code::Enter && !key.alt => Some("\r".to_owned()),
            Input::Key(key) => key.typed().map(String::from),
            _ => None,
        };
        match (text, spelled.last_mut()) {
            (Some(text), Some(last)) => last.push_str(&text),
            _ => spelled.extend([format!("{input:?}"), String::new()]),
        }
    }
    spelled.retain(|text| !text.is_empty());
    spelled.extend(reported);
    spelled
}

#[test]
fn bytes_are_the_keys_that_were_pressed() {
    let plain = |code| pressed(Key::plain(code));
    for (bytes, expected) in [
        ("a", plain(Code::Char('a'))),
        ("é", plain(Code::Char('é'))),
        ("世", plain(Code::Char('世'))),
        ("\r", plain(Code::Enter)),
        ("\n", pressed(Key::ctrl(Code::Char('j')))),
        ("\x7f", plain(Code::Backspace)),
        ("\x03", pressed(Key::ctrl(Code::Char('c')))),
        ("\x1f", pressed(Key::ctrl(Code::Char('_')))),
        ("\x1b", plain(Code::Esc)),
        ("\x1ba", pressed(Key::alt(Code::Char('a')))),
        ("\x1bé", pressed(Key::alt(Code::Char('é')))),
        ("\x1b\r", pressed(Key::alt(Code::Enter))),
        ("\x1b[", pressed(Key::alt(Code::Char('[')))),
        ("\x1bO", pressed(Key::alt(Code::Char('O')))),
        ("\x1b]", pressed(Key::alt(Code::Char(']')))),
        ("\x1b[A", plain(Code::Up)),
        ("\x1bOA", plain(Code::Up)),
        ("\x1b[1;5A", pressed(Key::ctrl(Code::Up))),
        ("\x1b[1;3D", pressed(Key::alt(Code::Left))),
        ("\x1b\x1b[A", pressed(Key::alt(Code::Up))),
        ("\x1b[3~", plain(Code::Delete)),
        ("\x1b[5;5~", pressed(Key::ctrl(Code::PageUp))),
        ("\x1bOP", plain(Code::F(1))),
        ("\x1b[11~", plain(Code::F(1))),
        ("\x1b[[A", plain(Code::F(1))),
        ("\x1b[24~", plain(Code::F(12))),
        ("\x1b[Z", pressed(Key::shift(Code::Tab))),
        ("\x1b[27u", plain(Code::Esc)),
        ("\x1b[13;2u", pressed(Key::shift(Code::Enter))),
        ("\x1b[27;2;13~", pressed(Key::shift(Code::Enter))),
        ("\x1b[99;5u", pressed(Key::ctrl(Code::Char('c')))),
        ("\x1b[120;3u", pressed(Key::alt(Code::Char('x')))),
        ("\x1b[97;1:3u", vec![]),
        ("\x1b[57358u", vec![]),
        ("\x1b[I", vec![Input::Focus(true)]),
        ("\x1b[O", vec![Input::Focus(false)]),
        ("\x1b[<64;10;5M", vec![Input::Wheel(-1)]),
        ("\x1b[<65;10;5M", vec![Input::Wheel(1)]),
        ("\x1b[<0;10;5M", vec![Input::Click { column: 9, row: 4 }]),
        ("\x1b[<16;1;1M", vec![Input::Click { column: 0, row: 0 }]),
        // Release, another button, motion; and outside the screen.
        ("\x1b[<0;10;5m\x1b[<2;10;5M\x1b[<32;10;5M", vec![]),
        ("\x1b[<0;0;5M\x1b[<0;5M\x1b[<0;99999;1M", vec![]),
        ("\x1b[M !!", vec![]),
        ("\x1b[?1u", vec![Input::KeyboardProtocol]),
        (
            "\x1b]11;rgb:ffff/ffff/ffff\x1b\\",
            vec![Input::Background { light: true }],
        ),
        (
            "\x1b]11;rgb:18/18/1b\x07",
            vec![Input::Background { light: false }],
        ),
        ("\x1b]11;rgb:nonsense\x07", vec![]),
        ("\x1b]0;title\x07", vec![]),
        ("\x1bPanything\x1b\\", vec![]),
        ("\u{9b}", vec![]),
        ("\x1b[h", [alt('['), typed("h")].concat()),
        ("\x1b[12h", vec![]),
        ("\x1b[12", [alt('['), typed("12")].concat()),
        ("\x1b[?12", vec![]),
        ("\x1b[é", [alt('['), typed("é")].concat()),
        ("\x1bO5C", pressed(Key::ctrl(Code::Right))),
        ("\x1bOu", typed("5")),
        ("\x1bOM", plain(Code::Enter)),
        ("\x1bOz", [alt('O'), typed("z")].concat()),
        ("\x1b[5n", vec![]),
        ("\x1b[?64;1;2c", vec![]),
    ] {
        assert_eq!(decode(bytes.as_bytes()), expected, "{bytes:?}");
    }
    assert_eq!(decode(b"\xff\xc3("), typed("("));
}

/// Esc and one of these introduce sequences; a user who holds Alt types them as well.
const OPENINGS: &str = "[O]P^_X";

#[test]
fn an_alt_key_held_down_is_pressed_each_time() {
    for c in OPENINGS.chars() {
        let held = format!("\x1b{c}").repeat(6);
        assert_eq!(decode(held.as_bytes()), vec![alt(c); 6].concat(), "{c}");
        let mut decoder = Decoder::default();
        let mut found = Vec::new();
        for step in 0..6 {
            found.extend(decoder.feed(ms(step * 33), format!("\x1b{c}").as_bytes()));
            let told = usize::try_from(step).unwrap();
            assert_eq!(found.len(), told, "{c}: each but the last at once");
        }
        found.extend(decoder.pass(AT_LAST));
        assert_eq!(found, vec![alt(c); 6].concat(), "{c}");
    }
}

#[test]
fn text_typed_after_an_alt_key_is_not_swallowed() {
    for c in OPENINGS.chars() {
        for text in ["z", "zealous words\r", "\r", "é", "世界", "\r\rz", " z"] {
            let bytes = format!("\x1b{c}{text}");
            let expected = [alt(c), typed(text)].concat();
            assert_eq!(
                spelled(&decode(bytes.as_bytes())),
                spelled(&expected),
                "{bytes:?}"
            );
        }
        // Typing goes on: the text does not wait for an end.
        let mut decoder = Decoder::default();
        let mut found = decoder.feed(ms(0), format!("\x1b{c}").as_bytes());
        for (at, key) in [(100, "z"), (200, "e"), (300, "b")] {
            found.extend(decoder.feed(ms(at), key.as_bytes()));
        }
        assert_eq!(found, [alt(c), typed("zeb")].concat(), "{c}");
        // A key that is not text breaks it off at once.
        for (key, code) in [("\x7f", Code::Backspace), ("\r", Code::Enter)] {
            let mut decoder = Decoder::default();
            let found = decoder.feed(ms(0), format!("\x1b{c}z{key}").as_bytes());
            let found = [found, decoder.pass(ms(60))].concat();
            let expected = [alt(c), typed("z"), pressed(Key::plain(code))].concat();
            assert_eq!(found, expected, "{c} {key:?}");
        }
    }
    assert_eq!(decode(b"\x1b_Go"), [alt('_'), typed("Go")].concat());
    assert_eq!(
        decode(b"\x1b]5 euros"),
        [alt(']'), typed("5 euros")].concat()
    );
    let long = "word ".repeat(1000);
    let bytes = format!("\x1b^{long}");
    assert_eq!(
        spelled(&decode(bytes.as_bytes())),
        spelled(&[alt('^'), typed(&long)].concat())
    );
}

#[test]
fn an_escape_is_alone_only_when_nothing_follows_in_time() {
    let first = |leaves, unambiguous, after| {
        let mut decoder = Decoder::default();
        decoder.escape_leaves(leaves);
        if unambiguous {
            decoder.feed(ms(0), b"\x1b[?1u");
        }
        decoder.feed(ms(0), b"\x1b");
        let at = decoder.deadline();
        assert_eq!(decoder.pass(ms(after)), vec![], "not before {after}");
        let rest = decoder.feed(ms(after), b"[A");
        (at, [rest, decoder.feed(ms(after + 1), b"z")].concat())
    };
    let up = [pressed(Key::plain(Code::Up)), typed("z")].concat();
    assert_eq!(first(false, false, 149), (Some(ms(150)), up.clone()));
    assert_eq!(first(true, false, 499), (Some(ms(500)), up.clone()));
    assert_eq!(first(false, true, 999), (Some(ms(1000)), up));
    // An Esc that would leave, and half of an Alt key.
    let mut decoder = Decoder::default();
    decoder.escape_leaves(true);
    decoder.feed(ms(0), b"\x1b");
    assert_eq!(decoder.feed(ms(250), b"a"), alt('a'));
    // An Esc that the terminal reports as such needs no waiting.
    let mut decoder = Decoder::default();
    decoder.escape_leaves(true);
    assert_eq!(
        decoder.feed(ms(0), b"\x1b[27u"),
        pressed(Key::plain(Code::Esc))
    );
}

/// After a reported Esc, the rest of the key that it belonged to is not text.
#[test]
fn the_rest_of_a_key_that_a_slow_link_has_split_is_not_typed() {
    let esc = pressed(Key::plain(Code::Esc));
    let background = vec![Input::Background { light: false }];
    let pasted = vec![Input::Paste("one\rtwo".to_owned())];
    for (rest, expected) in [
        ("[A", pressed(Key::plain(Code::Up))),
        ("[1;5C", pressed(Key::ctrl(Code::Right))),
        ("[3~", pressed(Key::plain(Code::Delete))),
        ("OP", pressed(Key::plain(Code::F(1)))),
        ("[27u", esc.clone()),
        ("[I", vec![Input::Focus(true)]),
        ("[200~one\rtwo\x1b[201~", pasted),
        ("]11;rgb:18/18/1b\x07", background),
        ("P>|tmux 3.4\x1b\\", vec![]),
        ("[", typed("[")),
        ("a", typed("a")),
        ("_", typed("_")),
        ("P", typed("P")),
        ("[x] done", typed("[x] done")),
    ] {
        let found = reads(&[(0, b"\x1b"), (250, rest.as_bytes())]);
        assert_eq!(found, [esc.clone(), expected].concat(), "{rest:?}");
    }
    let typed_by_hand = reads(&[(0, b"\x1b"), (400, b"["), (500, b"A")]);
    assert_eq!(typed_by_hand, [esc.clone(), typed("[A")].concat());
    let later = reads(&[(0, b"\x1b"), (1200, b"[A")]);
    assert_eq!(later, [esc, typed("[A")].concat());
}

const REPORTS: [&str; 9] = [
    "\x1b]11;rgb:1818/1818/1b1b\x1b\\",
    "\x1b]11;rgb:18/18/1b\x07",
    "\x1b]4;255;rgb:ee/ee/ee\x1b\\",
    "\x1b]52;c;aGVsbG8gd29ybGQ=\x1b\\",
    "\x1bP>|tmux 3.3a\x1b\\",
    "\x1bP1$r0;1m\x1b\\",
    "\x1bP1+r544e=787465726d\x1b\\",
    "\x1b_Gi=31;OK\x1b\\",
    "\x1b[?64;1;2;6c",
];

fn has_no_key(found: &[Input]) -> bool {
    found
        .iter()
        .all(|input| matches!(input, Input::Background { .. }))
}

#[test]
fn a_report_of_any_length_is_swallowed_to_its_end() {
    for length in [10, 500, 510, 511, 512, 513, 514, 1000, 100_000] {
        for (opening, end) in [("]52;c;", "\x1b\\"), ("]52;c;", "\x07"), ("P1+r", "\x1b\\")] {
            let report = format!("\x1b{opening}{}{end}z", "a".repeat(length));
            for part in [1, 7, 100, 4096] {
                let mut decoder = Decoder::default();
                let mut found = Vec::new();
                for (at, bytes) in (0..).zip(report.as_bytes().chunks(part)) {
                    found.extend(decoder.feed(ms(at), bytes));
                    assert!(decoder.buffer.len() <= SEQUENCE_BYTES_MAX + part);
                }
                assert_eq!(found, typed("z"), "{opening} {length} {part}");
            }
        }
    }
}

#[test]
fn a_report_whose_end_is_lost_does_not_swallow_typing_for_ever() {
    let begun: [&[u8]; 3] = [b"\x1b]11;rgb:18", b"\x1b]52;c;", b"\x1bP>|te"];
    for bytes in begun {
        let bytes = [bytes, &[b'a'; 600]].concat();
        for kept in [&bytes[..8], &bytes] {
            assert_eq!(
                reads(&[(0, kept), (100, b"gone\r"), (200, b"z")]),
                typed("\rz")
            );
            assert_eq!(
                reads(&[(0, kept), (100, b"\x1b_"), (900, b"z")]),
                [alt('_'), typed("z")].concat()
            );
            assert_eq!(reads(&[(0, kept), (3000, b"z")]), typed("z"));
            // The rest is still dropped, however late it comes.
            let late: &[(u64, &[u8])] =
                &[(0, kept), (60_000, b"18/1b1b\x1b\\z"), (61_000, b"y\x07")];
            let expected = [typed("zy"), pressed(Key::ctrl(Code::Char('g')))].concat();
            assert_eq!(reads(late), expected);
        }
    }
}

#[test]
fn a_bracketed_paste_is_one_input_for_any_content() {
    let text = "one\ntwo \x1b[A \x03 é";
    let bytes = format!("a\x1b[200~{text}\x1b[201~b");
    let paste = vec![Input::Paste(text.to_owned())];
    let expected = [typed("a"), paste, typed("b")].concat();
    assert_eq!(decode(bytes.as_bytes()), expected);
}

#[test]
fn a_bracketed_paste_that_stalls_is_pasted_to_its_end() {
    let paste = |text: &str| vec![Input::Paste(text.to_owned())];
    let begin: (u64, &[u8]) = (0, b"\x1b[200~one\rtwo");
    for (rest, expected) in [
        // The rest, with bytes that look like keys.
        (
            &[(4000, &b"\rq!\r\x03\x03\x1b[201~"[..]), (4100, b"z")][..],
            [paste("\rq!\r\x03\x03"), typed("z")].concat(),
        ),
        (
            &[(4000, b"\rq!\r"), (9000, b"/quit\r"), (9900, b"\x1b[201~")],
            [paste("\rq!\r"), paste("/quit\r")].concat(),
        ),
        // Its last line's Enter, and part of its end.
        (
            &[(4000, b"\r\x1b[20"), (9000, b"1~z")],
            [paste("\r"), typed("z")].concat(),
        ),
        // Split within its end, and within a character.
        (
            &[(4000, b"\r\xc3"), (9000, b"\xa9\x1b[2"), (30_000, b"01~z")],
            [paste("\r"), paste("é"), typed("z")].concat(),
        ),
        // The end is lost: single keys are keys, but a line that comes at once is not.
        (
            &[(4000, b"z"), (4100, b"\r"), (4200, b"q"), (4300, b"\r")],
            typed("z\rq\r"),
        ),
        (
            &[(4000, b"q!\r"), (9000, b"\x1b"), (9900, b"z")],
            [paste("q!\r"), pressed(Key::plain(Code::Esc)), typed("z")].concat(),
        ),
        (
            &[(4000, b"\x1b[A"), (4100, b"q"), (4300, b"\r")],
            [pressed(Key::plain(Code::Up)), typed("q\r")].concat(),
        ),
    ] {
        let all = [&[begin], rest].concat();
        let told = [paste("one\rtwo"), expected].concat();
        assert_eq!(reads(&all), told, "{rest:?}");
    }
    // It is reported as far as it came while it stalls.
    let mut decoder = Decoder::default();
    assert_eq!(decoder.feed(ms(0), b"\x1b[200~one\xc3"), vec![]);
    assert_eq!(decoder.pass(ms(2999)), vec![]);
    assert_eq!(decoder.pass(ms(3000)), paste("one"));
    assert_eq!(decoder.deadline(), None);
}

#[test]
fn a_paste_is_bounded() {
    let mut decoder = Decoder::default();
    decoder.feed(ms(0), b"\x1b[200~");
    for _ in 0..100 {
        assert_eq!(decoder.feed(ms(1), &[b'x'; 4096]), vec![]);
        assert!(decoder.buffer.len() < 8192);
    }
    let length = |found: &[Input]| match found {
        [Input::Paste(text)] => text.len(),
        other => panic!("{other:?}"),
    };
    assert!(length(&decoder.pass(ms(4000))) <= PASTE_BYTES_MAX + PASTE_END.len());
    // The rest is not kept either, if the end does not come.
    for _ in 0..100 {
        decoder.feed(ms(4001), &[b'x'; 4096]);
        assert!(decoder.buffer.len() <= PASTE_BYTES_MAX + 4096);
    }
    let mut decoder = Decoder::default();
    decoder.feed(ms(0), b"x\rx");
    for _ in 0..100 {
        assert_eq!(decoder.feed(ms(1), &[b'x'; 4096]), vec![]);
    }
    match decoder.pass(AT_LAST).as_slice() {
        [Input::Lines(text)] => assert_eq!(text.len(), PASTE_BYTES_MAX),
        other => panic!("{other:?}"),
    }
}

/// From a terminal without bracketed paste: lines that nobody can have typed send nothing.
#[test]
fn an_enter_with_text_behind_it_in_one_piece_is_no_key() {
    let lines = |text: &str| vec![Input::Lines(text.to_owned())];
    let up = pressed(Key::plain(Code::Up));
    for (pieces, expected) in [
        // Typed, or sent by a program: a line and its Enter.
        (&[(0, &b"hello\r"[..])][..], typed("hello\r")),
        (&[(0, b"hello"), (1, b"\r")], typed("hello\r")),
        (
            &[(0, b"h"), (100, b"i"), (200, b"\r"), (300, b"z")],
            typed("hi\rz"),
        ),
        (
            &[(0, b"hello\r"), (60, b"world\r")],
            typed("hello\rworld\r"),
        ),
        (&[(0, b"\r"), (1, b"z")], typed("\rz")),
        (&[(0, b"hello\r\n"), (100, b"z")], typed("hello\rz")),
        (&[(0, b"\r\r\r")], typed("\r\r\r")),
        (
            &[(0, b"a\r\x1b[A\r")],
            [typed("a\r"), up.clone(), typed("\r")].concat(),
        ),
        // Pasted lines.
        (&[(0, b"one\rtwo\r")], lines("one\rtwo\r")),
        (&[(0, b"one\r\rq!\r")], lines("one\r\rq!\r")),
        (&[(0, b"one\r\ntwo\tx\r\n")], lines("one\r\ntwo\tx\r\n")),
        (&[(0, b"\rtwo")], lines("\rtwo")),
        // In reads that end after an Enter, or anywhere, shortly after each other.
        (
            &[(0, b"one\r"), (30, b"two\r"), (70, b"q!\r")],
            [typed("one"), lines("\rtwo\rq!\r")].concat(),
        ),
        (
            &[(0, b"one\rt"), (40, b"wo\rq"), (80, b"!\r")],
            lines("one\rtwo\rq!\r"),
        ),
        (
            &[(0, b"one\rtwo"), (40, b"\r"), (80, b"q!"), (120, b"\r")],
            lines("one\rtwo\rq!\r"),
        ),
        // They go on after a stall.
        (
            &[(0, b"one\rtwo\r"), (900, b"q!\r")],
            [lines("one\rtwo\r"), lines("q!\r")].concat(),
        ),
        (
            &[(0, b"one\rtwo\r"), (900, b"q!"), (905, b"\r")],
            [lines("one\rtwo\r"), lines("q!\r")].concat(),
        ),
        (
            &[(0, b"one\rtwo\r"), (500, b"\r")],
            [lines("one\rtwo\r"), typed("\r")].concat(),
        ),
        (
            &[(0, b"one\rtwo\r"), (1200, b"q!\r")],
            [lines("one\rtwo\r"), typed("q!\r")].concat(),
        ),
        // Other keys among them are reported as themselves.
        (
            &[(0, b"one\rtwo\x1b[Athree\rfour")],
            [
                lines("one\rtwo"),
                up.clone(),
                typed("three"),
                lines("\rfour"),
            ]
            .concat(),
        ),
        (
            &[(0, b"a\r\x1b[Ab")],
            [lines("a\r"), up, typed("b")].concat(),
        ),
    ] {
        assert_eq!(reads(pieces), expected, "{pieces:?}");
    }
    // A key by itself does not wait.
    let mut decoder = Decoder::default();
    assert_eq!(decoder.feed(ms(0), b"hi"), typed("hi"));
    assert_eq!(decoder.feed(ms(30), b"\r"), typed("\r"));
    assert_eq!(decoder.feed(ms(31), b"one"), typed("one"));
}

proptest! {
    /// Without time between them, the pieces mean the same as the whole.
    #[test]
    fn bytes_split_anywhere_are_the_same_keys(
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "a", "世", "\x1b[A", "\x1b[1;5C", "\x1bOP", "\x1bx", "\r", "\x1b\x1b[B",
                "\x1b[200~pasted\ntext\x1b[201~", "\x1b]11;rgb:1/2/3\x07", "\x1b[<65;1;1M",
                "\x1b[[A", "\x1b_", "\x1b]z", "\x1bPz", "\x1b[", "\x1bO",
            ]),
            0..8,
        ),
        cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
    ) {
        let bytes = pieces.concat().into_bytes();
        let whole = spelled(&decode(&bytes));
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
        cuts.extend([0, bytes.len()]);
        cuts.sort_unstable();
        let parts: Vec<_> = cuts.windows(2).map(|cut| (0, &bytes[cut[0]..cut[1]])).collect();
        prop_assert_eq!(spelled(&reads(&parts)), whole);
    }

    /// Typed keys arrive, with any time between the bytes. (The two bytes of an Alt key may be as
    /// far apart as Esc is waited for.)
    #[test]
    fn typed_keys_are_the_same_whatever_time_passes(
        keys in prop::collection::vec(
            (prop::sample::select(vec![
                "z", "g", "é", "世", " ", "!", "\r", "\x7f", "\x1bx", "\x1b_", "\x1b^", "\x1bX",
                "\x1b]", "\x1bP", "\x1b[", "\x1bO",
            ]), 0..3000_u64, 0..149_u64),
            0..12,
        ),
    ) {
        let mut now = 0;
        let mut parts: Vec<(u64, &[u8])> = Vec::new();
        let mut expected = Vec::new();
        for (key, pause, within) in &keys {
            now += pause;
            for at in 0..key.len() {
                parts.push((now, &key.as_bytes()[at..=at]));
                now += within;
            }
            expected.extend(match key.as_bytes() {
                [ESC, c] => alt(char::from(*c)),
                [0x7f] => pressed(Key::plain(Code::Backspace)),
                _ => typed(key),
            });
        }
        prop_assert_eq!(spelled(&reads(&parts)), spelled(&expected));
    }

    /// A report never becomes keys, with up to a second between any of its bytes except those of
    /// its introducer.
    #[test]
    fn a_report_is_never_a_key_whatever_time_passes(
        report in prop::sample::select(REPORTS.to_vec()),
        cuts in prop::collection::vec((any::<prop::sample::Index>(), 0..999_u64), 0..6),
    ) {
        let opening = if report.starts_with("\x1b_") { 3 } else { 2 };
        let bytes = report.as_bytes();
        let mut pauses = vec![None; bytes.len()];
        for (cut, pause) in cuts {
            pauses[opening + cut.index(bytes.len() - opening)] = Some(pause);
        }
        let (mut decoder, mut found, mut now, mut begin) = (Decoder::default(), Vec::new(), 0, 0);
        for (at, pause) in pauses.into_iter().enumerate() {
            if let Some(pause) = pause {
                found.extend(decoder.feed(ms(now), &bytes[begin..at]));
                begin = at;
                now += pause;
            }
        }
        found.extend(decoder.feed(ms(now), &bytes[begin..]));
        found.extend(decoder.pass(AT_LAST));
        prop_assert!(has_no_key(&found), "{:?}", found);
    }

    /// No part of a bracketed paste becomes keys, however often and long it stalls, if it comes in
    /// pieces of more than one key.
    #[test]
    fn a_marked_paste_is_never_keys_whatever_time_passes(
        pieces in prop::collection::vec(
            (prop::sample::select(vec![
                "one\r", "q!\r", "é\r\r", "\x03\x03", "\x1b[A\x1b[A", "/quit\r", "\x7f\x7f", "世界",
            ]), 0..10_000_u64),
            1..8,
        ),
        end in 2..6_usize,
    ) {
        let text: String = pieces.iter().map(|(piece, _)| *piece).collect();
        let mut now = 0;
        let mut parts: Vec<(u64, &[u8])> = vec![(0, b"\x1b[200~")];
        for (piece, pause) in &pieces {
            now += pause;
            parts.push((now, piece.as_bytes()));
        }
        parts.extend([(now + 9000, &PASTE_END[..end]), (now + 20_000, &PASTE_END[end..])]);
        let found = reads(&parts);
        let pasted = found.iter().map(|input| match input {
            Input::Paste(text) => text.as_str(),
            other => panic!("{other:?}"),
        });
        prop_assert_eq!(pasted.collect::<String>(), text);
    }

    #[test]
    fn any_bytes_are_taken(chunks in prop::collection::vec((any::<Vec<u8>>(), 0..5000_u64), 0..8)) {
        let mut decoder = Decoder::default();
        let mut now = 0;
        for (chunk, pause) in chunks {
            now += pause;
            decoder.feed(ms(now), &chunk);
        }
        decoder.pass(AT_LAST);
        prop_assert!(decoder.deadline().is_none());
    }
}
