//! Invalid JSON, and JSON beyond a frame's limits: never taken for a frame.
//!
//! The table follows the classes of the JSON parsing test suite. If a copy of that is available,
//! its cases are tried as well: `JSON_TEST_SUITE=DIR`, the directory with its `y_*.json` and
//! `n_*.json`.

use std::{fs, net::Shutdown, path::Path};

use crate::{
    bounds,
    pair::Pair,
    peer::{Peer, join},
    process::Server,
};

const RIGHT: &[&[u8]] = &[
    b"null",
    b"true",
    b"false",
    b"0",
    b"-0",
    b"7",
    b"-1",
    b"123",
    b"0.5",
    b"-0.5",
    b"1.0e0",
    b"1E22",
    b"1e-2",
    b"1E+2",
    b"123e65",
    b"0e+1",
    b"0e1",
    b"20e1",
    b"123.456e78",
    b"-123",
    b"1.000000005",
    b"123456789012345678901234567890",
    b"-237462374673276894279832749832423479823246327846",
    b"\"\"",
    b"\" \"",
    b"\"a\"",
    b"\"\\\"\"",
    b"\"\\\\\"",
    b"\"\\/\"",
    b"\"\\b\\f\\n\\r\\t\"",
    b"\"\\u0012\"",
    b"\"\\u0000\"",
    b"\"\\uFFFF\"",
    b"\"\\uD801\\udc37\"",
    b"\"\\ud83d\\ude39\\ud83d\\udc8d\"",
    b"\"\\u2028\\u2029\"",
    b"\"\\uD834\\uDd1e\"",
    b"\"\\u0060\\u012a\\u12AB\"",
    b"\"\\\\u0000\"",
    b"\"\\uDBFF\\uDFFF\"",
    b"\"\\uA66D\"",
    b"\"\\u0022\"",
    b"\"\\u005C\"",
    b"\"\\u200B\"",
    b"\"\\uFDD0\"",
    b"\"asd\x7f\"",
    b"\"a/*b*/c/*d//e\"",
    b"\"{[}]\"",
    "\"π⍂㈴⍂\"".as_bytes(),
    "\"\u{feff}\"".as_bytes(),
    "\"\u{1bfff}\"".as_bytes(),
    "\"\u{10ffff}\"".as_bytes(),
    "\"\u{2028}\u{2029}\"".as_bytes(),
    "\"€𝄞\"".as_bytes(),
    b"[]",
    b"[ ]",
    b"[[]]",
    b"[[] ]",
    b"[1\n,2]",
    b" [1] ",
    b"[1,null,null,null,2]",
    b"[false,\"\",{},[]]",
    b"[[[[[[[1]]]]]]]",
    b"{}",
    b"{ }",
    b"{\"a\":\"b\"}",
    b"{\"a\":[]}",
    b"{\"\":0}",
    b"{\"a\\u0000b\":12}",
    b"{\n\"a\"\t:\r\"b\"\n}",
    b"{\"asd\":\"sdf\",\"dfg\":\"fgh\"}",
    b"{\"min\":-1.0e+28,\"max\":1.0e+28}",
    b"{\"x\":[{\"id\":\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\"}]}",
    b"{\"title\":\"\\u041f\\u043e\\u043b\\u0442\\u043e\\u0440\\u0430\"}",
];

const WRONG: &[&[u8]] = &[
    // Words.
    b"",
    b"nul",
    b"nulll",
    b"tru",
    b"truee",
    b"fals",
    b"True",
    b"FALSE",
    b"NULL",
    b"None",
    b"nan",
    b"NaN",
    b"-NaN",
    b"Infinity",
    b"-Infinity",
    b"+Inf",
    b"inf",
    b"undefined",
    b"yes",
    b"a",
    b"\xc3\xa5",
    b"&",
    b"\xf0\x9f\x92\xa9",
    b"\xff",
    b"\xe2\x81\xa0",
    b"\xef\xbb\xbf",
    b"\xef\xbb\xbf1",
    b"*",
    b"'",
    b"`1`",
    // Numbers.
    b"+1",
    b"++1",
    b"-",
    b"--1",
    b"-01",
    b"01",
    b"00",
    b"-00",
    b"012",
    b"-012",
    b"1.",
    b"-1.",
    b".1",
    b"-.1",
    b".",
    b".-1",
    b"-2.",
    b"2.e3",
    b"2.e+3",
    b"2.e-3",
    b"0.e1",
    b"0.3e",
    b"0.3e+",
    b"0e",
    b"0e+",
    b"1.0e",
    b"1.0e-",
    b"1.0e+",
    b"1eE2",
    b"1e1.5",
    b"9.e+",
    b"1 000",
    b"1_000",
    b"0x1",
    b"0x42",
    b"0b1",
    b"0o7",
    b"1a",
    b"1.2a",
    b"1.8011670033376514H-308",
    b"1+2",
    b"-x",
    b"- 1",
    b"-1x",
    b"1..2",
    b"1.2.3",
    b"\xef\xbc\x91",
    b"1\xe5",
    b"1e1\xe5",
    b"0\xe5",
    b"123\xe5",
    b"\xc2\xa01",
    b"1,000",
    // Strings.
    b"\"",
    b"\"a",
    b"\"\\\"",
    b"\"\\",
    b"\"\\a\"",
    b"\"\\x00\"",
    b"\"\\'\"",
    b"\"\\0\"",
    b"\"\\1\"",
    b"\"\\u\"",
    b"\"\\u0\"",
    b"\"\\u00A\"",
    b"\"\\u00g0\"",
    b"\"\\u{41}\"",
    b"\"\\U0041\"",
    b"\"\\ \"",
    b"\"\\\xc3\xa5\"",
    b"\"\\\xf0\x9f\x8c\x80\"",
    b"'a'",
    b"'a\"",
    b"\"a'",
    b"\"a\x00a\"",
    b"\"\x01\"",
    b"\"\x1f\"",
    b"\"new\nline\"",
    b"\"\t\"",
    b"\"\r\"",
    b"\"a\"b\"",
    b"\"a\" \"b\"",
    b"\"\"\"",
    b"\\u0020\"asd\"",
    b"\\n",
    b"\"asd\\u\"x",
    b"\xe2\x80\x9ca\xe2\x80\x9d",
    // Arrays.
    b"[",
    b"]",
    b"[1",
    b"[1,",
    b"[1,]",
    b"[,]",
    b"[,1]",
    b"[1,,2]",
    b"[1,,]",
    b"[1 true]",
    b"[1 2]",
    b"[1:2]",
    b"[a",
    b"[\"",
    b"[\"a\"",
    b"[\"a\",",
    b"[\"a\"\"b\"]",
    b"[\"x\"]]",
    b"[1]]",
    b"[1}",
    b"[3[4]]",
    b"[*]",
    b"[\"\": 1]",
    b"[\"a\",\n4\n,1,",
    b"[1,\n1\n,1",
    b"[{}",
    b"[\x0b\"a\"]",
    b"[\x0c]",
    b"[\xe2\x81\xa0]",
    b"[-",
    b"[ false, tru",
    b"[nul",
    b"[<null>]",
    b"[1]x",
    b"[\"\\a\"]",
    b"[1//c\n]",
    b"[1/*c*/]",
    b"[][]",
    // Objects.
    b"{",
    b"}",
    b"{]",
    b"{[",
    b"{,}",
    b"{1:1}",
    b"{a:1}",
    b"{'a':1}",
    b"{null:null}",
    b"{[]:1}",
    b"{\"a\"}",
    b"{\"a\":}",
    b"{\"a\":",
    b"{\"a\" 1}",
    b"{\"a\",1}",
    b"{\"a\"::1}",
    b"{:1}",
    b"{\"a\":1,}",
    b"{\"a\":1,,}",
    b"{\"a\":1,,\"b\":2}",
    b"{\"a\":1 \"b\":2}",
    b"{\"a\":1;\"b\":2}",
    b"{\"a\":1,\"b\"}",
    b"{\"a\":1,b:2}",
    b"{\"a\":\"a",
    b"{\"a\":\"b\"}/**/",
    b"{\"a\":\"b\"}//",
    b"{\"a\":\"b\"}/",
    b"{/*c*/\"a\":1}",
    b"{\"a\":/*c*/1}",
    b"{\"a\":a}",
    b"{\"a\":\"b\"}}",
    b"{\"a\":\"b\"},",
    b"{\"a\":\"b\"}#",
    b"{\"asd\":\"asd\"",
    b"{\"a\":01}",
    b"{\xf0\x9f\x87\xa8\xf0\x9f\x87\xad}",
    b"{\"x\", null}",
    b"{\"a\":1]",
    b"{\"a\":[}",
    b"{ \"foo\" : \"bar\", \"a\" }",
    b"{9999E9999:1}",
    b"{0:0}",
    b"{\"id\":0,,,,,}",
    b"{\"a\" b}",
    b"{\"\\u\":1}",
    b"{'",
    b"{\"",
    b"{\"a",
    // Around a value.
    b"1]",
    b"2@",
    b"1 1",
    b"null,",
    b"[][",
    b"{}}",
    b"<.>",
    b"<null>",
    b"\"x\",\"y\"",
    b"\x00",
    b"[\x00]",
    b"1\x00",
    b"{}\x00",
    b"\x1b[31m",
    b"/**/1",
    b"// 1\n1",
    b"#1",
    b"\xc2\x85[]",
    b"\x0b1",
    b"\x0c1",
    b"\x1f1",
];

/// A ping with this value in an unknown field.
fn around(value: &[u8]) -> Vec<u8> {
    [&br#"{"type":"ping","ref":5,"x":"#[..], value, b"}\n"].concat()
}

/// Returns the outcome: whether there was a pong, and the errors.
fn said(server: &Server, is_joined: bool, words: &[u8]) -> (bool, Vec<String>) {
    let mut peer = Peer::plain(server.address);
    if is_joined {
        peer.send(&join("tina"));
        peer.next("members");
    }
    let _ = peer.try_write(words);
    let _ = peer.socket.shutdown(Shutdown::Write);
    let (mut answered, mut codes) = (false, Vec::new());
    while let Some(frame) = peer.try_frame() {
        answered |= frame["type"] == "pong";
        codes.extend(frame["code"].as_str().map(str::to_owned));
    }
    (answered, codes)
}

/// Returns the cases of the suite's directory whose names begin with `kind`.
fn suite(directory: &Path, kind: &str) -> Vec<Vec<u8>> {
    let files = fs::read_dir(directory).unwrap().map(Result::unwrap);
    let ours = files.filter(|file| file.file_name().to_string_lossy().starts_with(kind));
    ours.map(|file| fs::read(file.path()).unwrap()).collect()
}

fn is_deep(value: &[u8]) -> bool {
    value.iter().filter(|byte| b"[{".contains(byte)).count() > 7
}

#[test]
fn malformed_json() {
    let mut server = Server::start(&[]);
    let pair = Pair::start(server.address);
    let mut right: Vec<_> = RIGHT.iter().map(|value| value.to_vec()).collect();
    let mut wrong: Vec<_> = WRONG.iter().map(|value| value.to_vec()).collect();
    if let Some(directory) = std::env::var_os("JSON_TEST_SUITE") {
        right.extend(suite(Path::new(&directory), "y_"));
        wrong.extend(suite(Path::new(&directory), "n_"));
    }
    assert!(right.len() > 60 && wrong.len() > 188);
    for value in right {
        // A value with a duplicate field is JSON, and no frame; so is one that is too deep.
        let (answered, codes) = said(&server, true, &around(&value));
        let shown = String::from_utf8_lossy(&value);
        let fits = answered && codes.is_empty() || is_deep(&value) && codes == ["malformed"];
        assert!(fits, "{shown}: {codes:?}");
    }
    for value in wrong {
        let shown = String::from_utf8_lossy(&value[..value.len().min(100)]);
        for is_joined in [true, false] {
            // An unfinished value was no frame either; a client that has left gets no answer.
            let (answered, codes) = said(&server, is_joined, &around(&value));
            // One brace too many ends the frame early.
            let early = value.ends_with(b"}}");
            let refused = codes.is_empty() || codes == ["malformed"] || codes == ["join_expected"];
            assert!(
                answered <= early && refused,
                "{is_joined} {shown}: {codes:?}"
            );
            let (answered, codes) = said(&server, is_joined, &value);
            let refused = codes.is_empty() || codes == ["malformed"];
            assert!(!answered && refused, "{is_joined} {shown}: {codes:?}");
        }
    }
    pair.ends_unharmed("no JSON");
    server.has_borne_it("no JSON", bounds::FEW);
}

#[test]
fn deep_huge_and_duplicate_json() {
    let mut server = Server::start(&[]);
    let pair = Pair::start(server.address);
    let deep = |open: &str| around(open.repeat(1_000_000 / open.len()).as_bytes());
    let mut all = vec![
        ("brackets", deep("[")),
        ("braces", deep("{\"a\":")),
        ("both", deep("[{\"\":")),
        (
            "a string",
            around(format!("\"{}\"", "x".repeat(1_000_000)).as_bytes()),
        ),
        (
            "escapes",
            around(format!("\"{}\"", "\\u0041".repeat(170_000)).as_bytes()),
        ),
        ("a number", around("7".repeat(1_000_000).as_bytes())),
        ("blanks", around(" ".repeat(1_000_000).as_bytes())),
        (
            "elements",
            around(format!("[{}7]", "7,".repeat(500_000)).as_bytes()),
        ),
        (
            "fields",
            around(format!("{{{}\"a\":7}}", "\"a\":7,".repeat(160_000)).as_bytes()),
        ),
    ];
    for field in ["type", "ref", "nickname"] {
        let twice = format!("{{\"type\":\"ping\",\"{field}\":null,\"{field}\":null}}");
        all.push(("twice", twice.into_bytes()));
    }
    for twice in [
        r#"{"type":"ping","type":"disconnect"}"#,
        r#"{"type":"ping","\u0074ype":"disconnect"}"#,
        r#"{"type":"ping","ref":1,"ref":2}"#,
        r#"{"type":"message","message":"good","message":"bad"}"#,
        r#"{"type":"message","message":"good","m\u0065ssage":"bad"}"#,
        r#"{"type":"history","from":1,"from":1}"#,
    ] {
        all.push(("twice", twice.as_bytes().to_vec()));
    }
    for (what, words) in all {
        for is_joined in [true, false] {
            let (answered, codes) = said(&server, is_joined, &words);
            let shown = String::from_utf8_lossy(&words[..words.len().min(100)]);
            let expected = codes == ["malformed"];
            assert!(
                !answered && expected,
                "{what} {is_joined} {shown}: {codes:?}"
            );
        }
    }
    pair.ends_unharmed("huge JSON");
    server.has_borne_it("huge JSON", bounds::FEW);
}
