//! Tests queries as people write them, and their matches.

use proptest::prelude::*;

use super::*;

fn zone() -> TimeZone {
    TimeZone::get("America/New_York").unwrap()
}

fn query(text: &str) -> Query {
    Query::parse(text, &zone()).unwrap_or_else(|wrong| panic!("{text:?}: {wrong}"))
}

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn said(query: &Query, text: &str) -> bool {
    let nickname = Nickname::parse("alice").unwrap();
    query.matches(&nickname, Timestamp::UNIX_EPOCH, text)
}

#[test]
fn a_text_holds_what_was_looked_for() {
    let check = |written: &str, text: &str, expected: bool| {
        assert_eq!(
            said(&query(written), text),
            expected,
            "{written:?} in {text:?}"
        );
    };
    for (written, found, not_found) in [
        ("green", "The build is GREEN!", "greenish, evergreen"),
        ("green build", "build: green", "a green light"),
        ("gre*", "a Greenish one", "agree"),
        (
            "\"the build is\"",
            "so the build is red",
            "is the build red?",
        ),
        (
            "\"build is gr\"*",
            "the build is green",
            "the build is a green one",
        ),
        ("cafe", "im Café", "cafes"),
        ("Łódź", "lodz", "lod"),
        ("strasse", "die Straße", "stras"),
        ("foo_bar", "set foo-bar", "foo and bar"),
        ("12:30", "at 12:30 then", "30:12"),
        ("http://a.b", "see http://A.b/c", "http b a"),
        ("京都", "東京都に", "京の都"),
        ("東京*", "東京都", "東の京"),
        ("국어", "한국어를", "국 한어"),
        ("ที่", "อยู่ที่ไหน", "ทีม"),
        ("👍", "great 👍🏽", "great 👎"),
        ("\"a a b\"", "a a a b", "a b a b"),
        (
            "unclosed \"two wor",
            "two wor, unclosed",
            "unclosed wor two",
        ),
        ("say\"hi", "he said: say \"hi\"", "hi, say"),
        ("c++ - ok", "c ok", "c"),
    ] {
        check(written, found, true);
        check(written, not_found, false);
    }
    // A word longer than an index's limit is found whole, and by a prefix of any length.
    let long = "a1".repeat(60);
    check(&long, &format!("key {long}."), true);
    check(&long, &format!("key {long}a."), false);
    check(&format!("{}*", &long[..100]), &long, true);
    check(&format!("{}*", &long[..64]), &long, true);
    check(&long[..64], &long, true);
}

#[test]
fn a_query_names_its_sender_and_days() {
    let alice = Nickname::parse("Alice the 3rd").unwrap();
    let early = time("2026-11-20T04:59:59Z");
    let late = time("2026-11-20T05:00:00Z");
    for (written, matches_early, matches_late) in [
        ("from:\"alice THE 3rd\"", true, true),
        ("FROM:alice", false, false),
        ("after:2026-11-20", false, true),
        ("before:2026-11-20", true, false),
        ("after:2026-11-19 before:2026-11-21 hello", true, true),
        ("after:2026-11-20 goodbye", false, false),
    ] {
        let query = query(written);
        assert_eq!(
            query.matches(&alice, early, "hello"),
            matches_early,
            "{written}"
        );
        assert_eq!(
            query.matches(&alice, late, "hello"),
            matches_late,
            "{written}"
        );
    }
    let query = query("from:zoe\u{308}");
    for (name, matches) in [("Zoë", true), ("ZOË", true), ("zoe", false)] {
        let name = Nickname::parse(name).unwrap();
        assert_eq!(query.matches(&name, early, "hello"), matches, "{name}");
    }
}

#[test]
fn an_invalid_query_is_explained() {
    for (written, expected) in [
        (" ", QueryError::Empty),
        ("- ???", QueryError::NoWord),
        ("\"\"", QueryError::NoWord),
        ("*", QueryError::NoWord),
        ("from:", QueryError::Sender(NicknameError::Empty)),
        ("from:\"\"", QueryError::Sender(NicknameError::Empty)),
        ("after:yesterday", QueryError::Day(AFTER)),
        ("before:2026-1-2", QueryError::Day(BEFORE)),
        ("before:2026-02-30", QueryError::Day(BEFORE)),
        ("before:", QueryError::Day(BEFORE)),
        ("from:a from:b", QueryError::Twice(FROM)),
        ("after:2026-11-20 before:2026-11-20", QueryError::Backwards),
        ("a b c d e f g h i", QueryError::TooLong),
        (&"x".repeat(257), QueryError::TooLong),
        (&"x-".repeat(100), QueryError::TooLong),
        (&format!("\"{}", "x".repeat(255)), QueryError::TooLong),
    ] {
        let wrong = Query::parse(written, &zone()).unwrap_err();
        assert_eq!(wrong, expected, "{written:?}");
        assert!(!wrong.to_string().is_empty());
    }
    for fits in [
        "a b c d e f g h",
        &"x".repeat(256),
        "\"x y z\"*",
        "form:alice",
    ] {
        assert!(Query::parse(fits, &zone()).is_ok(), "{fits:?}");
    }
    // On the wire there may be no words if another condition is given.
    assert!(Words::parse(" ").is_ok_and(|words| words.is_empty()));
    assert_eq!(Words::parse("?"), Err(QueryError::NoWord));
}

#[test]
fn matches_are_found_in_their_place() {
    for (written, text, expected) in [
        (
            "green",
            "Green, not evergreen: GREEN",
            "[Green], not evergreen: [GREEN]",
        ),
        ("gre* build", "a greenish build", "a [greenish] [build]"),
        ("京都", "東京都", "東[京都]"),
        ("\"a b\" \"b c\"", "x a b c", "x [a b c]"),
        ("cafe", "un cafe\u{301}!", "un [cafe\u{301}]!"),
        ("from:alice", "green", "green"),
        ("\"a a\"", "a a a", "[a a a]"),
    ] {
        let mut shown = text.to_owned();
        for range in query(written).find(text).into_iter().rev() {
            shown.insert(range.end, ']');
            shown.insert(range.start, '[');
        }
        assert_eq!(shown, expected, "{written:?}");
    }
}

proptest! {
    #[test]
    fn words_come_back_as_they_were_written(text in r#"[a-c東か"* :ß-]{0,40}"#) {
        if let Ok(words) = Words::parse(&text) {
            prop_assert_eq!(Words::parse(&words.to_string()), Ok(words));
        }
    }

    #[test]
    fn the_words_of_any_query_come_back(text in any::<String>()) {
        if let Ok(query) = Query::parse(&text, &TimeZone::UTC) {
            prop_assert_eq!(Words::parse(&query.words.to_string()), Ok(query.words));
        }
    }

    #[test]
    fn found_ranges_are_what_matches(text in "[ab東京 é-]{0,30}", written in "[ab東京]{1,3}") {
        let query = query(&written);
        prop_assert_eq!(said(&query, &text), !query.find(&text).is_empty());
        let mut end = 0;
        for range in query.find(&text) {
            prop_assert!(range.start >= end && range.start < range.end);
            end = range.end;
        }
    }
}
