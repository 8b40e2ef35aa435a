//! Tests which nicknames are valid and which are equal, by tables, over all of Unicode, and by
//! properties.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use unicode_security::skeleton;

use super::*;

fn nickname(text: &str) -> Result<String, NicknameError> {
    Nickname::parse(text).map(|nickname| nickname.0.into())
}

fn canonical(text: &str) -> String {
    Nickname::parse(text).unwrap().canonical()
}

#[test]
fn a_nickname_is_one_line_that_is_seen() {
    for (text, expected) in [
        ("carol", Ok("carol")),
        (" carol the 3rd ", Ok("carol the 3rd")),
        ("Zoe\u{308}", Ok("Zoë")),
        ("نگار\u{200C}ها", Ok("نگار\u{200C}ها")),
        ("👩\u{200D}🚀", Ok("👩\u{200D}🚀")),
        ("", Err(NicknameError::Empty)),
        ("  ", Err(NicknameError::Empty)),
        ("\u{2800}\u{3000}", Err(NicknameError::Empty)),
        ("a\tb", Err(NicknameError::Character('\t'))),
        ("a\nb", Err(NicknameError::Character('\n'))),
        ("\u{1b}[31m", Err(NicknameError::Character('\u{1b}'))),
        ("a\u{a0}b", Err(NicknameError::Character('\u{a0}'))),
        ("ca\u{200B}rol", Err(NicknameError::Character('\u{200B}'))),
        ("ca\u{200C}rol", Err(NicknameError::Character('\u{200C}'))),
        ("\u{202E}lorac", Err(NicknameError::Character('\u{202E}'))),
        ("\u{301}", Err(NicknameError::Character('\u{301}'))),
        ("\u{e0b0}carol", Err(NicknameError::Character('\u{e0b0}'))),
        ("alice: yes", Err(NicknameError::Character(':'))),
        (
            "alice\u{ff1a} yes",
            Err(NicknameError::Character('\u{ff1a}')),
        ),
        (
            "alice\u{2236} yes",
            Err(NicknameError::Character('\u{2236}')),
        ),
        (
            "alice\u{a789} yes",
            Err(NicknameError::Character('\u{a789}')),
        ),
        ("दुःख", Ok("दुःख")),
    ] {
        assert_eq!(nickname(text), expected.map(str::to_owned), "{text:?}");
    }
}

#[test]
fn a_nickname_has_at_most_32_characters_and_128_bytes() {
    let family = "👨\u{200D}👩\u{200D}👧";
    for (text, fits) in [
        ("é".repeat(32), true),
        ("é".repeat(33), false),
        ("👍".repeat(32), true),
        (family.repeat(7), true),
        (family.repeat(8), false),
        ("e\u{301}".repeat(32), true),
        ("x".repeat(100_000), false),
    ] {
        let expected = if fits {
            Ok(())
        } else {
            Err(NicknameError::TooLong)
        };
        assert_eq!(nickname(&text).map(drop), expected, "{text:?}");
    }
}

#[test]
fn a_nickname_is_written_as_people_write() {
    for text in [
        "Carol-Anne O'Neil_42",
        "José Ærøskøbing",
        "Nguyễn Thị Ánh",
        "Владимир 7",
        "Ђорђе",
        "Αλέξανδρος",
        "Արմեն",
        "გიორგი",
        "דָּוִד",
        "سارة ٢",
        "نگار\u{200C}ها",
        "प्रिया",
        "வணக்கம்",
        "สมชาย",
        "ጌታቸው",
        "ᎦᎶᎯ",
        "𞤀𞤣𞤤𞤢𞤥",
        // Japanese, Korean, Chinese: mixed with one another and with Latin letters.
        "山田 太郎",
        "さくらサクラ",
        "Kenji山田さんカ",
        "김철수 Kim",
        "金철수",
        "王ㄨㄤˊ Wang",
        // Characters of no script go with all scripts.
        "🦀 crab",
        "★Иван★",
        "carol!?",
        "❤\u{FE0F}",
    ] {
        assert_eq!(nickname(text).as_deref(), Ok(text));
    }
}

#[test]
fn alphabets_are_not_mixed() {
    for text in [
        // A Cyrillic a, o, e, c, p; a Greek omicron; an Armenian o; a Cherokee A.
        "c\u{430}rol",
        "car\u{43e}l",
        "alic\u{435}",
        "\u{441}arol",
        "\u{440}eter",
        "b\u{3bf}b",
        "b\u{585}b",
        "\u{13aa}lice",
        "Алисa",
        "νίκοs",
        "Carol (Кэрол)",
        "carolสม",
        "سara",
        "こんにちは한국",
        "ㄨ한",
        "山Иван",
    ] {
        assert_eq!(nickname(text), Err(NicknameError::MixedScripts), "{text:?}");
        let known = Nickname::known(text).map(|nickname| nickname.0.into_string());
        assert_eq!(known.as_deref(), Ok(text));
        assert_eq!(Nickname::inert(text).as_str(), text);
    }
}

#[test]
fn confusable_nicknames_are_equal() {
    for names in [
        "carol = CAROL = Carol = car0l = caro1 = caroI = ＣＡＲＯＬ = 𝓬𝓪𝓻𝓸𝓵",
        "modern = rnodern = MODERN = mode\u{ff52}n",
        "bob = B0B = b0b = ＢＯＢ",
        "Ill = lll = 111 = ill = ILL = ||| = ıll",
        "ÉMILE = e\u{301}mile = Émile",
        "Straße = STRASSE = strasse",
        "a b = a  b =  a b ",
        // Entirely in another alphabet.
        "capo = саро = САРО = ϹΑΡΟ",
        "xa = ха = ΧΑ",
        "HOT = НОТ = нот = ΗΟΤ = ηοτ",
        "ssh = ѕѕһ",
        "cop = ϲορ = СОР",
        "apple = аррӏе",
        "Νίκος = νίκος = ΝΊΚΟΣ",
        "İbrahim = ibrahim = IBRAHIM",
        // Scripts that may be mixed.
        "ニ = 二",
        "カナ = 力ナ = ｶナ",
        "口 = ロ",
        "ガ = ｶﾞ",
        "❤ = ❤\u{FE0F}",
    ] {
        let forms = names.split(" = ").map(|name| known(name).canonical());
        let forms = forms.collect::<BTreeSet<_>>();
        assert_eq!(forms.len(), 1, "{names}: {forms:?}");
    }
}

fn known(text: &str) -> Nickname {
    Nickname::known(text).unwrap()
}

#[test]
fn nicknames_that_look_different_stay_apart() {
    let names = [
        "alice",
        "bob",
        "carol",
        "carole",
        "karol",
        "car ol",
        "dave",
        "ana",
        "ava",
        "dan",
        "dav",
        "cárol",
        "Ольга",
        "Иван",
        "Ιβαν",
        "山田",
        "田山",
        "🦀",
        "🐙",
        "👍",
        "👍🏽",
        "a1",
        "a2",
        "a7",
        "user 3",
        "user 8",
        "x",
        "y",
        "z",
        "s",
        "5",
        "b",
        "6",
        "g",
        "9",
        "q",
        "u",
        "v",
        "w",
        "n",
        "h",
        "c",
        "e",
        "_",
        "-",
        ".",
    ];
    let mut seen = BTreeMap::new();
    for name in names {
        if let Some(other) = seen.insert(canonical(name), name) {
            panic!("{name} and {other} are one");
        }
    }
}

#[test]
fn the_servers_nickname_is_reserved() {
    for text in ["server", "Server", "SERVER", "ｓｅｒｖｅｒ", "ѕегѵег"] {
        assert!(known(text).is_reserved(), "{text}");
    }
    for text in ["servers", "serve", "sever", "servant"] {
        assert!(!known(text).is_reserved(), "{text}");
    }
}

#[test]
fn of_all_characters_only_these_are_not_what_they_look_like() {
    // Capitals decide (see `alike`): these small letters look like one letter and their capitals
    // like another, or the capital like a letter and the small one like a digit.
    let but = "ſƽνυϭյᲄﬅ𑣆𑣕𑣜";
    let assigned = |c: &char| {
        !matches!(
            c.general_category(),
            GeneralCategory::Unassigned | GeneralCategory::PrivateUse
        )
    };
    for c in (char::MIN..=char::MAX).filter(assigned) {
        let text = String::from(c);
        let looks: String = skeleton(&text).collect();
        let same = [
            text.to_uppercase(),
            text.to_lowercase(),
            text.nfc().collect(),
            text.nfd().collect(),
        ];
        let stands = |other: &str| other == text;
        if same.iter().all(|same| stands(same)) && stands(&looks) && text.nfkd().eq([c]) {
            // No confusable is known.
            continue;
        }
        let form = alike::canonical(&text);
        assert_eq!(alike::canonical(&form), form, "U+{:04X}", u32::from(c));
        for same in same {
            assert_eq!(
                alike::canonical(&same),
                form,
                "U+{:04X} {same:?}",
                u32::from(c)
            );
        }
        if looks.is_ascii() && !but.contains(c) {
            assert_eq!(
                alike::canonical(&looks),
                form,
                "U+{:04X} {looks}",
                u32::from(c)
            );
        }
    }
}

#[test]
fn of_ascii_only_these_are_one() {
    let mut forms: BTreeMap<String, String> = BTreeMap::new();
    for c in ('!'..='~').filter(|c| !c.is_ascii_uppercase()) {
        let form = alike::canonical(&String::from(c));
        forms.entry(form).or_default().push(c);
    }
    let several: Vec<&str> = forms
        .values()
        .map(String::as_str)
        .filter(|of| of.len() > 1)
        .collect();
    assert_eq!(several, ["'`", "1il|", "0o"]);
}

#[test]
fn any_nickname_can_be_shown() {
    for (text, shown) in [
        ("carol", "carol"),
        ("c\u{430}rol", "c\u{430}rol"),
        ("\u{e0b0}carol", "\u{e0b0}carol"),
        ("\u{1b}[31mred", "␛[31mred"),
        ("a\u{9d}0;x\u{7}", "a‹U+009D›0;x␇"),
        ("a\nb\tc\u{a0}d\u{3000}e", "a b c d e"),
        ("\u{202E}lorac", "‹U+202E›lorac"),
        ("\u{301}carol", "carol"),
        ("", "?"),
        ("  ", "?"),
        ("\u{2800}", "?"),
        ("\u{301}", "?"),
    ] {
        assert_eq!(Nickname::inert(text).as_str(), shown, "{text:?}");
    }
    assert_eq!(
        Nickname::inert(&"x".repeat(100_000)).as_str(),
        "x".repeat(32)
    );
    let family = "👨\u{200D}👩\u{200D}👧";
    assert_eq!(
        Nickname::inert(&family.repeat(99)).as_str(),
        family.repeat(7)
    );
}

/// Names as an impersonator would try them.
fn names() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => prop::sample::select(vec![
            "a", "A", "o", "O", "0", "l", "I", "1", "i", "m", "rn", "M", "N", "ν", "Ν", "а", "А",
            "е", "о", "г", "Г", "ι", "\u{345}", "\u{307}", "\u{301}", "\u{327}", "\u{338}", "ß",
            "ẞ", "ſ", "ﬁ", "Ａ", "ﾞ", "カ", "力", "\u{3099}", "ﷺ", "%", "|", " ", "  ", "か",
            "\u{1100}\u{1161}", "각", "①", "İ", "ı", "ǅ", "K", "Å", "👩\u{200d}🚀", "❤\u{fe0f}",
            "\u{200c}", "\u{1b}", "\u{9b}", "\u{202e}",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn the_canonical_form_is_its_own_and_that_of_all_cases(name in names()) {
        let name: String = name.nfc().collect();
        let form = alike::canonical(&name);
        prop_assert_eq!(&alike::canonical(&form), &form);
        prop_assert_eq!(&alike::canonical(&name.to_uppercase()), &form);
        prop_assert_eq!(&alike::canonical(&name.to_lowercase()), &form);
        prop_assert_eq!(&alike::canonical(&name.nfd().collect::<String>()), &form);
    }

    #[test]
    fn a_valid_nickname_is_shown_as_it_is(name in names()) {
        let shown = Nickname::inert(&name);
        prop_assert_eq!(&Nickname::inert(shown.as_str()), &shown);
        prop_assert_eq!(&Nickname::known(shown.as_str()), &Ok(shown.clone()));
        prop_assert!(text::first_unfit_for_line(shown.as_str()).is_none());
        prop_assert!(text::width(shown.as_str()) > 0);
        if let Ok(taken) = Nickname::parse(&name) {
            prop_assert_eq!(&taken, &shown);
            prop_assert_eq!(&Nickname::parse(taken.as_str()), &Ok(taken.clone()));
            prop_assert!(!taken.canonical().is_empty());
        }
    }
}

#[test]
fn a_nickname_that_holds_a_colon_all_the_same_says_nothing_for_another() {
    let check = |held: &str, shown: &str| {
        let nickname = Nickname::inert(held);
        assert_eq!(nickname.as_str(), held, "a log keeps what it holds");
        assert_eq!(nickname.before_a_colon(), shown);
    };
    check("carol", "carol");
    check("alice: yes", "alice· yes");
    check("alice\u{ff1a} yes", "alice· yes");
    let wrong = Nickname::parse("alice: yes").unwrap_err();
    assert_eq!(wrong.to_string(), "A nickname can't hold the character ':'");
}
