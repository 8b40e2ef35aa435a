//! RFC 8259 (JSON) case by case, as a stream from a client: invalid JSON is `malformed`, valid JSON
//! is a frame or is refused by a rule of `docs/PROTOCOL.md`; nothing panics, and nothing is
//! misread.
//!
//! The cases are our own, made from the grammar, by category; those whose outcome the RFC leaves
//! open have one of ours.

use chat_tui::protocol::{
    ClientFrame,
    codec::Decoder,
    frame::ErrorCode,
    limits::{FRAME_BYTES_MAX, FRAME_DEPTH_MAX},
    wire::parse_client,
};

/// The outcome of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// This many pings.
    Pings(usize),
    /// Answered `malformed`; the connection closes.
    Malformed,
    /// More has to come. (It ends with the connection, or after [`LINE_WITHIN`] seconds.)
    ///
    /// [`LINE_WITHIN`]: chat_tui::protocol::limits::LINE_WITHIN
    Unfinished,
}

/// Returns the outcome of a stream. Any other answer fails the test.
fn outcome(stream: &[u8]) -> Outcome {
    let mut decoder = Decoder::new();
    let mut rest = stream;
    let mut pings = 0;
    loop {
        match decoder.next_frame() {
            Err(_) => return Outcome::Malformed,
            Ok(Some(frame)) => match parse_client(frame) {
                Ok(ClientFrame::Ping { .. }) => pings += 1,
                Err(refusal) if refusal.code == ErrorCode::Malformed => return Outcome::Malformed,
                other => panic!("{}: {other:?}", stream.escape_ascii()),
            },
            Ok(None) if rest.is_empty() => break,
            Ok(None) => rest = &rest[decoder.feed(rest)..],
        }
    }
    // White space between frames is ignored.
    let finished = stream.trim_ascii_end().ends_with(b"}") && pings > 0;
    if finished || stream.trim_ascii().is_empty() {
        Outcome::Pings(pings)
    } else {
        Outcome::Unfinished
    }
}

/// Returns a ping with this value in an unknown field, where it need only be valid JSON.
fn with(value: &[u8]) -> Vec<u8> {
    [br#"{"type":"ping","unknown":"#, value, b"}"].concat()
}

fn check(stream: &[u8], expected: Outcome) {
    assert_eq!(outcome(stream), expected, "{}", stream.escape_ascii());
}

fn is_json(value: impl AsRef<[u8]>) {
    check(&with(value.as_ref()), Outcome::Pings(1));
}

/// Checks that a value makes the frame malformed, or leaves it unfinished.
fn is_no_json(value: impl AsRef<[u8]>) {
    let stream = with(value.as_ref());
    let found = outcome(&stream);
    assert!(
        matches!(found, Outcome::Malformed | Outcome::Unfinished),
        "{}: {found:?}",
        stream.escape_ascii()
    );
}

const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "-1",
    "9",
    "10",
    "123",
    "-123",
    "0.0",
    "0.5",
    "-0.5",
    "1.0",
    "123.456",
    "0.00000000000000000000000000000000000001",
    "1e1",
    "1E1",
    "1e+1",
    "1E+1",
    "1e-1",
    "1E-1",
    "1.5e10",
    "-1.5E-10",
    "0e0",
    "0e+1",
    "0E1",
    "1e00",
    "20e1",
    "123e45",
    "123.456e78",
    "9007199254740991",
    "9007199254740993",
    "18446744073709551616",
    "-9223372036854775809",
    "100000000000000000000000000000000000000000",
    "1e400",
    "-1e400",
    "1e-400",
    "0.1e1000000",
    "1e999999999999999999999",
    "3.14159265358979323846264338327950288419716939937510582097494459",
];

const NO_NUMBERS: &[&str] = &[
    "+1",
    "++1",
    "+",
    "-",
    "--1",
    "- 1",
    "-a",
    "01",
    "-01",
    "00",
    "00.5",
    "012",
    "-012",
    "0x1",
    "0x",
    "0X1",
    "0b1",
    "0o7",
    "1_000",
    "1 000",
    "1,000,",
    ".5",
    "-.5",
    "+.5",
    ".",
    "5.",
    "-5.",
    "1.e1",
    ".1e1",
    "1.2.3",
    "1..2",
    "1e",
    "1e+",
    "1e-",
    "1E",
    "1E+",
    "1eE2",
    "1e1e1",
    "1e 1",
    "1 e1",
    "1e1.5",
    "1e+-1",
    "1+2",
    "1-2",
    "0e",
    "0.e1",
    "0.3e",
    "0.3e+",
    "1.0e",
    "1.0e-",
    "NaN",
    "nan",
    "-NaN",
    "Inf",
    "Infinity",
    "-Infinity",
    "inf",
    "1f",
    "1d",
    "1L",
    "1n",
    "1a",
    "0a",
    "1.5x",
    "1e1x",
    "-0x1",
    "１",
    "٣",
    "½",
    "1\u{a0}",
    "1/2",
    "1#",
    "1\"",
    "\u{221e}",
];

const STRINGS: &[&str] = &[
    r#""""#,
    r#"" ""#,
    r#""a""#,
    r#""\"""#,
    r#""\\""#,
    r#""\/""#,
    r#""/""#,
    r#""\b\f\n\r\t""#,
    r#""\u0000""#,
    r#""\u001f""#,
    r#""\u0022""#,
    r#""\u005C""#,
    r#""\u00e9""#,
    r#""\u00E9""#,
    r#""\u20AC""#,
    r#""\uFFFF""#,
    r#""\ufdd0""#,
    r#""\ud834\udd1e""#,
    r#""\uD834\uDD1E""#,
    r#""\uDBFF\uDFFF""#,
    r#""\\u0041""#,
    r#""\\\"""#,
    r#""\u0041\u0042""#,
    "\"é\"",
    "\"€\"",
    "\"𝄞\"",
    "\"\u{7f}\"",
    "\"\u{80}\"",
    "\"\u{9f}\"",
    "\"\u{2028}\u{2029}\"",
    "\"\u{feff}\"",
    "\"\u{fffd}\"",
    "\"\u{ffff}\"",
    "\"\u{10ffff}\"",
    "\"\u{202e}\"",
    "\"{}[],:\"",
    "\"}\"",
    "\"{\"",
    "\"]\"",
    "\"'\"",
    "\"/* no comment */\"",
    "\"// nor this\"",
    "\"null\"",
];

/// Cases whose outcome the RFC leaves open. An unknown field's contents are not checked.
const LONE_SURROGATES: &[&str] = &[
    r#""\ud800""#,
    r#""\udfff""#,
    r#""\udd1e\ud834""#,
    r#""\ud800\ud800""#,
    r#""\ud800\n""#,
    r#""\ud800x""#,
    r#""\ud800\u0041""#,
    r#""x\udc00""#,
    r#""\uDADA""#,
];

const NO_STRINGS: &[&str] = &[
    "\"",
    "\"a",
    "a\"",
    "'a'",
    "'",
    "`a`",
    "“a”",
    "a",
    "\\\"a\"",
    r#""\""#,
    r#""\"#,
    r#""\\\""#,
    r#""\x41""#,
    r#""\a""#,
    r#""\v""#,
    r#""\0""#,
    r#""\'""#,
    r#""\e""#,
    r#""\U0041""#,
    r#""\ ""#,
    r#""\é""#,
    r#""\😀""#,
    r#""\101""#,
    r#""\u""#,
    r#""\u0""#,
    r#""\u00""#,
    r#""\u004""#,
    r#""\u004g""#,
    r#""\ug041""#,
    r#""\u 041""#,
    r#""\u+041""#,
    r#""\u-041""#,
    r#""\u{41}""#,
    r#""\ud834\u""#,
    r#""\ud834\ud""#,
    r#""\ud834\udd1""#,
    r#""\ud834\uqqqq""#,
    r#""a" "b""#,
    r#""a""b""#,
    r#""a"b"#,
    r#""a" + "b""#,
    r#""a"x"#,
    r#""""""#,
];

const ARRAYS: &[&str] = &[
    "[]",
    "[ ]",
    "[1]",
    "[1,2]",
    "[ 1 , 2 ]",
    "[null]",
    "[true,false]",
    "[\"\"]",
    "[[]]",
    "[[],[]]",
    "[[[1]]]",
    "[{}]",
    "[{},{}]",
    "[1,null,\"a\",[],{}]",
    "[\t\n\r ]",
    "[\"]\"]",
    "[\"[\"]",
    "[null,null,null,null]",
    "[-0]",
    "[1,1,1]",
];

const NO_ARRAYS: &[&str] = &[
    "[",
    "]",
    "[[]",
    "[]]",
    "[1",
    "1]",
    "[1,",
    "[,",
    "[,1]",
    "[1,]",
    "[1,,2]",
    "[1,,]",
    "[,]",
    "[1 2]",
    "[1 true]",
    "[1;2]",
    "[1:2]",
    "[\"a\":1]",
    "[1,2}",
    "{1,2]",
    "[1}",
    "[{]",
    "[{]}",
    "[[1]",
    "[\"a]",
    "[\"a\",",
    "[\"a\"",
    "[*]",
    "[-]",
    "[a]",
    "[\u{a0}]",
    "[\u{c}]",
    "[\u{b}]",
    "[\u{0}]",
    "[\u{feff}]",
    "[\u{2060}]",
    "[\u{2028}]",
    "[1]x",
    "[1]]",
    "[1],[",
    "(1)",
    "<1>",
    "[\\n]",
    "[#]",
    "[1,\n1\n,1",
    "[[[[",
    "[\"\",]",
    "[1,2,3,]",
    "[ , 1]",
    "[null,nul]",
];

const OBJECTS: &[&str] = &[
    "{}",
    "{ }",
    "{\"a\":1}",
    "{ \"a\" : 1 }",
    "{\"a\":1,\"b\":2}",
    "{\"\":0}",
    "{\"a\":{}}",
    "{\"a\":[]}",
    "{\"a\":{\"b\":{}}}",
    "{\"}\":\"{\"}",
    "{\"a\\u0000b\":1}",
    "{\"é\":1}",
    "{\"\\\"\":1}",
    "{\n\"a\"\n:\n1\n}",
    "{\"a\":null}",
    "{\"a\":\"b\",\"c\":[1,{}]}",
    // Inside an unknown field a name may occur twice.
    "{\"a\":1,\"a\":1}",
    "{\"a\":1,\"a\":2}",
    "{\"\":1,\"\":2}",
    "{\"type\":\"x\",\"type\":\"y\"}",
];

const NO_OBJECTS: &[&str] = &[
    "{",
    "{{",
    "{\"a\"",
    "{\"a\":",
    "{\"a\":1",
    "{\"a\":1,",
    "{\"a\":1,\"b\"",
    "{\"a\":1,}",
    "{,}",
    "{,\"a\":1}",
    "{\"a\":1,,\"b\":2}",
    "{\"a\" 1}",
    "{\"a\",1}",
    "{\"a\":1 \"b\":2}",
    "{\"a\":1;\"b\":2}",
    "{\"a\"::1}",
    "{\"a\":}",
    "{\"a\":,}",
    "{:1}",
    "{1:1}",
    "{null:1}",
    "{true:1}",
    "{[]:1}",
    "{{}:1}",
    "{a:1}",
    "{a:\"b\"}",
    "{'a':1}",
    "{\"a\"=1}",
    "{\"a\"=>1}",
    "{\"a\"}",
    "{\"a\",\"b\"}",
    "{\"a\":1]",
    "{\"a\":[}",
    "{\"a\":{]}",
    "{\"a\":1}/**/",
    "{\"a\":1}//",
    "{\"a\":1}#",
    "{\"a\":/**/1}",
    "{/**/}",
    "{//\n}",
    "{\"a\":1 // b\n}",
    "{\"a\":\"b\"}\"c\"",
    "{\"a\":\"b\"}x",
    "{\"\\x\":1}",
    "{\"a:1}",
    "{🇨🇭}",
    "{9999E1:1}",
    "{\"a\":true,\"b\":truee}",
    "{\"a\":1,#b\n\"c\":2}",
    "{\"\u{1}\":1}",
    "{\"a\":{\"b\":1}",
];

const LITERALS: &[&str] = &["null", "true", "false", " null", "true ", "\tfalse\n"];

const NO_LITERALS: &[&str] = &[
    "",
    " ",
    "nul",
    "nulL",
    "Null",
    "NULL",
    "null0",
    "nullnull",
    "tru",
    "True",
    "TRUE",
    "truth",
    "fals",
    "False",
    "falsey",
    "undefined",
    "none",
    "None",
    "nil",
    "yes",
    "no",
    "on",
    "off",
    "*",
    "&",
    "?",
    "$",
    "@",
    "!",
    "~",
    "^",
    "|",
    "\\",
    "/",
    "%",
    "<null>",
    "<",
    "true false",
    "true,",
    "null:null",
    "/*x*/null",
    "//\nnull",
    "#\nnull",
    "\u{feff}null",
    "\u{a0}null",
    "null\u{0}",
    "null\u{c}",
    "null\u{85}",
    "null\u{2028}",
    "new Date()",
    "a",
    "é",
    "[object]",
    "\u{2060}",
    "\\u0041",
    "\\u000Anull",
    "null;",
    "null\u{7f}",
    "=1",
    "...",
    "<?xml?>",
];

#[test]
fn every_value_of_the_grammar_is_taken() {
    let all = [NUMBERS, STRINGS, ARRAYS, OBJECTS, LITERALS].concat();
    for &value in &all {
        is_json(value);
        is_json(format!(" \t\r\n{value} \t\r\n"));
        is_json(format!("[{value}]"));
        is_json(format!("{{\"a\":{value}}}"));
        serde_json::from_str::<serde_json::Value>(value)
            .map(drop)
            .or_else(|error| {
                if error.to_string().contains("range") {
                    Ok(())
                } else {
                    Err(error)
                }
            })
            .unwrap_or_else(|error| panic!("another reader: {value}: {error}"));
    }
    for &value in LONE_SURROGATES {
        is_json(value);
    }
}

#[test]
fn an_invalid_json_value_makes_the_frame_malformed() {
    let all = [NO_NUMBERS, NO_STRINGS, NO_ARRAYS, NO_OBJECTS, NO_LITERALS].concat();
    for &value in &all {
        is_no_json(value);
        is_no_json(format!("[null,{value},null]"));
        is_no_json(format!("{{\"a\":{value}}}"));
        let other = serde_json::from_str::<serde_json::Value>(value);
        assert!(other.is_err(), "another reader takes {value:?}");
    }
}

#[test]
fn no_control_stands_in_a_string_or_between_values() {
    for control in 0..0x20_u8 {
        is_no_json([b'"', control, b'"']);
        is_no_json([b'"', b'\\', control, b'"']);
        let white = matches!(control, b' ' | b'\t' | b'\n' | b'\r');
        let between = [b'[', control, b']'];
        if white {
            is_json(between);
        } else {
            is_no_json(between);
        }
    }
    for letter in 0x20..0x7f_u8 {
        let escape = [b'"', b'\\', letter, b'"'];
        match letter {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => is_json(escape),
            _ => is_no_json(escape),
        }
    }
    for place in 0..4 {
        for wrong in ['g', 'G', ' ', '-', '+', '"', '\\', 'é', '\u{0}', 'x'] {
            let mut digits = ['0', '0', '4', '1'];
            digits[place] = wrong;
            is_no_json(format!("\"\\u{}\"", digits.iter().collect::<String>()));
        }
    }
}

#[test]
fn a_frame_is_utf_8_without_a_mark_before_it() {
    for bytes in [
        &b"\xff"[..],
        b"\xfe",
        b"\x80",
        b"\xbf",
        b"\xc0\xaf",
        b"\xc1\xbf",
        b"\xe0\x80\xaf",
        b"\xe0\x9f\xbf",
        b"\xed\xa0\x80",
        b"\xed\xbf\xbf",
        b"\xf0\x80\x80\xaf",
        b"\xf4\x90\x80\x80",
        b"\xf8\x88\x80\x80\x80",
        b"\xc3",
        b"\xe2\x82",
        b"\xf0\x9f\x98",
        b"\xe9",
        b"\xc3\x28",
    ] {
        is_no_json([b"\"", bytes, b"\""].concat());
        is_no_json([b"[", bytes, b"]"].concat());
        is_no_json([b"{\"", bytes, b"\":1}"].concat());
    }
    let ping = br#"{"type":"ping"}"#;
    check(&[b"\xef\xbb\xbf", &ping[..]].concat(), Outcome::Malformed);
    check(&[b"\xff\xfe", &ping[..]].concat(), Outcome::Malformed);
    let wide = |two: fn(u8) -> [u8; 2]| ping.iter().flat_map(|byte| two(*byte)).collect::<Vec<_>>();
    check(&wide(|byte| [0, byte]), Outcome::Malformed);
    check(&wide(|byte| [byte, 0]), Outcome::Malformed);
}

#[test]
fn only_objects_are_frames() {
    let ping = r#"{"type":"ping"}"#;
    for (stream, expected) in [
        ("", Outcome::Pings(0)),
        (" \t\r\n", Outcome::Pings(0)),
        (ping, Outcome::Pings(1)),
        (&format!("\n\n {ping}\r\n"), Outcome::Pings(1)),
        (&format!("{ping}{ping}\n{ping}"), Outcome::Pings(3)),
        ("null", Outcome::Malformed),
        ("1", Outcome::Malformed),
        ("\"a\"", Outcome::Malformed),
        ("[]", Outcome::Malformed),
        ("[{}]", Outcome::Malformed),
        ("\u{a0}{}", Outcome::Malformed),
        ("\u{b}{}", Outcome::Malformed),
        ("\0", Outcome::Malformed),
        ("}", Outcome::Malformed),
        ("/**/{}", Outcome::Malformed),
        ("#", Outcome::Malformed),
        ("<html>", Outcome::Malformed),
        (&format!("{ping},{ping}"), Outcome::Malformed),
        (&format!("{ping}]"), Outcome::Malformed),
        (&format!("{ping}}}"), Outcome::Malformed),
        (&format!("{ping};"), Outcome::Malformed),
        (&format!("{ping} x"), Outcome::Malformed),
        // Objects, but no frames.
        ("{}", Outcome::Malformed),
        (r#"{"unknown":1}"#, Outcome::Malformed),
        (r#"{"type":null}"#, Outcome::Malformed),
        (r#"{"type":1}"#, Outcome::Malformed),
        (r#"{"type":["ping"]}"#, Outcome::Malformed),
        (r#"{"type":"ping""#, Outcome::Unfinished),
        (r#"{"type":"ping"#, Outcome::Unfinished),
        ("{", Outcome::Unfinished),
    ] {
        check(stream.as_bytes(), expected);
    }
}

#[test]
fn a_field_occurs_once_and_has_its_kind_of_value() {
    for (stream, expected) in [
        (r#"{"type":"ping","type":"ping"}"#, Outcome::Malformed),
        (r#"{"type":"ping","ref":1,"ref":1}"#, Outcome::Malformed),
        (
            r#"{"type":"ping","ref":1,"\u0072ef":2}"#,
            Outcome::Malformed,
        ),
        (
            r#"{"type":"ping","unknown":1,"unknown":2}"#,
            Outcome::Pings(1),
        ),
        (r#"{"type":"p\u0069ng"}"#, Outcome::Pings(1)),
        (r#"{"type":"ping","ref":null}"#, Outcome::Pings(1)),
        (r#"{"type":"ping","ref":"1"}"#, Outcome::Malformed),
        (r#"{"type":"ping","ref":-1}"#, Outcome::Malformed),
        (r#"{"type":"ping","ref":1.0}"#, Outcome::Malformed),
        (r#"{"type":"ping","ref":1e3}"#, Outcome::Malformed),
        (
            r#"{"type":"ping","ref":9007199254740991}"#,
            Outcome::Pings(1),
        ),
        (
            r#"{"type":"ping","ref":9007199254740992}"#,
            Outcome::Malformed,
        ),
        (
            r#"{"type":"ping","ref":18446744073709551616}"#,
            Outcome::Malformed,
        ),
        (r#"{"type":"ping","ref":1e999}"#, Outcome::Malformed),
        (r#"{"type":"ping","message":"\ud800"}"#, Outcome::Malformed),
        (
            r#"{"type":"ping","message":"\udd1e\ud834"}"#,
            Outcome::Malformed,
        ),
        (
            r#"{"type":"ping","message":"\ud834\udd1e"}"#,
            Outcome::Pings(1),
        ),
        (r#"{"type":"ping","message":5}"#, Outcome::Malformed),
        (r#"{"type":"ping","rooms":{}}"#, Outcome::Malformed),
    ] {
        check(stream.as_bytes(), expected);
    }
}

#[test]
fn depth_and_length_are_bounded_to_the_level_and_to_the_byte() {
    let nested = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    check(
        &with(nested(FRAME_DEPTH_MAX - 1).as_bytes()),
        Outcome::Pings(1),
    );
    for deep in [FRAME_DEPTH_MAX, 100, 10_000, 60_000] {
        check(&with(nested(deep).as_bytes()), Outcome::Malformed);
        check(&with("[".repeat(deep).as_bytes()), Outcome::Malformed);
        check(&with("{\"a\":".repeat(deep).as_bytes()), Outcome::Malformed);
        check(
            &with("[{\"a\":".repeat(deep).as_bytes()),
            Outcome::Malformed,
        );
    }
    let room = FRAME_BYTES_MAX - with(b"\"\"").len();
    let text = |bytes: usize| format!("\"{}\"", "x".repeat(bytes));
    check(&with(text(room).as_bytes()), Outcome::Pings(1));
    check(&with(text(room + 1).as_bytes()), Outcome::Malformed);
    check(&with("9".repeat(60_000).as_bytes()), Outcome::Pings(1));
    check(
        &with(format!("1e{}", "9".repeat(60_000)).as_bytes()),
        Outcome::Pings(1),
    );
    check(
        &with(format!("0.{}", "1".repeat(60_000)).as_bytes()),
        Outcome::Pings(1),
    );
    check(&"[".repeat(100_000).into_bytes(), Outcome::Malformed);
    check(&"{".repeat(100_000).into_bytes(), Outcome::Malformed);
    check(&" ".repeat(1_000_000).into_bytes(), Outcome::Pings(0));
}
