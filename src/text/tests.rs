//! Tests which characters a text may hold, by tables and by properties.

use proptest::prelude::*;

use super::*;

/// Texts in many scripts that must come through byte for byte.
const GOOD: &[&str] = &[
    "plain ASCII, 100% ~ {}",
    "two\nlines\tand a tab",
    "naïve Ærøskøbing, e\u{301}le\u{300}ve",
    "می\u{200C}خواهم کتاب\u{200C}ها را ببینم",
    "PDF\u{200C}ها و ۲۰\u{200C}ساله و ه\u{200D}.ق",
    "हिन्दी क्\u{200D}ष र्\u{200D}य क्\u{200C}ष",
    "සිංහල ශ්\u{200D}රී",
    "മലയാളം ന്\u{200D}",
    "ภาษาไทย ก็ น้ำ",
    "ខ្មែរ, မြန်မာ, བོད་སྐད",
    "שָׁלוֹם עולם, العَرَبِيَّة",
    "日本語、中文、한국어",
    "\u{1112}\u{1161}\u{11AB}\u{1100}\u{1173}\u{11AF}",
    "葛\u{E0100}城市",
    "ｶﾞｷﾞ",
    "👨\u{200D}👩\u{200D}👧\u{200D}👦 👩🏽\u{200D}🚀 🏳\u{FE0F}\u{200D}🌈 👁\u{FE0F}\u{200D}🗨\u{FE0F}",
    "👩🏻\u{200D}❤\u{FE0F}\u{200D}💋\u{200D}👨🏿 🧑🏿\u{200D}🤝\u{200D}🧑🏻",
    "❤\u{FE0F} ☎\u{FE0E} ©\u{FE0F} 1\u{FE0F}\u{20E3}#\u{FE0F}\u{20E3}",
    "🇳🇴🇨🇭 🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F} 🏴\u{200D}☠\u{FE0F}",
    "Z\u{335}\u{321}\u{334}\u{322}\u{323}\u{324}\u{325}\u{326} has eight",
    "\u{2068A}∩\u{FE00} “\u{FE01}quoted” 0\u{FE00}",
    "icons \u{E0B0}\u{F0001}, a box ⠿⠀⠿, a no-break\u{A0}space\u{3000}",
    "؀١٢ \u{6DD}",
    "ᠮᠣᠩᠭᠣᠯ\u{180B} ᠤᠨ",
];

/// Unfit texts, the character that is named, and the visible form.
const BAD: &[(&str, char, &str)] = &[
    ("\u{1b}[31mred", '\u{1b}', "␛[31mred"),
    ("\u{1b}]0;title\u{7}", '\u{1b}', "␛]0;title␇"),
    ("\u{9b}2J", '\u{9b}', "‹U+009B›2J"),
    ("nul\0", '\0', "nul␀"),
    ("\u{7f}", '\u{7f}', "␡"),
    ("a\u{b}b\u{c}c", '\u{b}', "a␋b␌c"),
    ("a\r\nb\rc\r", '\r', "a\nb\nc\n"),
    ("a\u{2028}b\u{2029}c\u{85}d", '\u{2028}', "a\nb\nc\nd"),
    ("\u{202e}evil\u{202c}", '\u{202e}', "‹U+202E›evil‹U+202C›"),
    ("\u{2066}a\u{2069}", '\u{2066}', "‹U+2066›a‹U+2069›"),
    (
        "a\u{200e}\u{200f}\u{61c}",
        '\u{200e}',
        "a‹U+200E›‹U+200F›‹U+061C›",
    ),
    ("pay\u{200b}pal", '\u{200b}', "pay‹U+200B›pal"),
    ("pay\u{200c}pal", '\u{200c}', "pay‹U+200C›pal"),
    ("pay\u{200d}pal", '\u{200d}', "pay‹U+200D›pal"),
    (
        "می\u{200c}\u{200c}خواهم",
        '\u{200c}',
        "می\u{200c}‹U+200C›خواهم",
    ),
    ("👩\u{200d}x", '\u{200d}', "👩‹U+200D›x"),
    ("👩\u{200d}", '\u{200d}', "👩‹U+200D›"),
    (
        "👩\u{200d}👩\u{200d}👩\u{200d}👩\u{200d}👩\u{200d}👩",
        '\u{200d}',
        "👩\u{200d}👩\u{200d}👩\u{200d}👩\u{200d}👩‹U+200D›👩",
    ),
    (
        "👩🏽\u{200d}👩🏽\u{200d}👩🏽\u{200d}👩🏽\u{200d}👩🏽\u{200d}👩🏽",
        '\u{200d}',
        "👩🏽\u{200d}👩🏽\u{200d}👩🏽\u{200d}👩🏽\u{200d}👩🏽‹U+200D›👩🏽",
    ),
    ("👩\u{301}\u{200d}👩", '\u{200d}', "👩\u{301}‹U+200D›👩"),
    ("\u{feff}start", '\u{feff}', "‹U+FEFF›start"),
    ("soft\u{ad}hyphen", '\u{ad}', "soft‹U+00AD›hyphen"),
    (
        "\u{3164}\u{115f}\u{ffa0}",
        '\u{3164}',
        "‹U+3164›‹U+115F›‹U+FFA0›",
    ),
    ("\u{180e}", '\u{180e}', "‹U+180E›"),
    (
        "\u{fff9}a\u{fffa}b\u{fffb}",
        '\u{fff9}',
        "‹U+FFF9›a‹U+FFFA›b‹U+FFFB›",
    ),
    ("\u{2060}\u{2063}", '\u{2060}', "‹U+2060›‹U+2063›"),
    ("a\u{fe0f}", '\u{fe0f}', "a‹U+FE0F›"),
    ("❤\u{fe0f}\u{fe0f}", '\u{fe0f}', "❤\u{fe0f}‹U+FE0F›"),
    ("😀\u{e0100}\u{e0101}", '\u{e0100}', "😀‹U+E0100›‹U+E0101›"),
    ("葛\u{e0100}\u{e0101}", '\u{e0101}', "葛\u{e0100}‹U+E0101›"),
    ("\u{e0061}\u{e0062}", '\u{e0061}', "‹U+E0061›‹U+E0062›"),
    ("🏴\u{e0067}\u{e0062}", '\u{e0067}', "🏴‹U+E0067›‹U+E0062›"),
    (
        "🏴\u{e0067}\u{e0062}\u{e007f}",
        '\u{e0067}',
        "🏴‹U+E0067›‹U+E0062›‹U+E007F›",
    ),
    (
        "🏴\u{e0061}\u{e0061}\u{e0061}\u{e0061}\u{e0061}\u{e0061}\u{e0061}\u{e007f}",
        '\u{e0061}',
        "🏴‹U+E0061›‹U+E0061›‹U+E0061›‹U+E0061›‹U+E0061›‹U+E0061›‹U+E0061›‹U+E007F›",
    ),
    ("\u{fdd0}\u{10ffff}", '\u{fdd0}', "‹U+FDD0›‹U+10FFFF›"),
    (
        "x\u{34f}y\u{2065}\u{e0fff}",
        '\u{34f}',
        "x‹U+034F›y‹U+2065›‹U+E0FFF›",
    ),
];

fn body(text: &str) -> Result<String, BodyError> {
    Body::parse(text).map(|body| body.as_str().to_owned())
}

fn visible(text: &str) -> Result<String, BodyError> {
    Body::visible(text).map(|body| body.as_str().to_owned())
}

#[test]
fn good_text_survives_byte_for_byte() {
    for &text in GOOD {
        assert_eq!(body(text).as_deref(), Ok(text));
        assert_eq!(visible(text).as_deref(), Ok(text));
        assert_eq!(Body::inert(text).as_str(), text);
    }
}

#[test]
fn harmful_text_is_refused_named_and_made_visible() {
    for &(text, named, shown) in BAD {
        assert_eq!(body(text), Err(BodyError::Character(named)), "{text:?}");
        assert_eq!(visible(text).as_deref(), Ok(shown), "{text:?}");
        assert_eq!(body(shown).as_deref(), Ok(shown));
    }
}

#[test]
fn every_control_is_refused_but_newline_and_tab() {
    for control in ('\0'..='\u{9f}').filter(|c| c.is_control()) {
        let text = format!("a{control}b");
        let fits = matches!(control, '\n' | '\t');
        assert_eq!(Body::parse(&text).is_ok(), fits, "{control:?}");
        assert_eq!(first_unfit_for_line(&text), Some(control));
    }
}

#[test]
fn nothing_invisible_fits_between_latin_letters() {
    // Unicode's Default_Ignorable_Code_Point, including the bidirectional controls.
    let invisible = [
        '\u{AD}'..='\u{AD}',
        '\u{34F}'..='\u{34F}',
        '\u{61C}'..='\u{61C}',
        '\u{115F}'..='\u{1160}',
        '\u{17B4}'..='\u{17B5}',
        '\u{180B}'..='\u{180F}',
        '\u{200B}'..='\u{200F}',
        '\u{2028}'..='\u{202E}',
        '\u{2060}'..='\u{206F}',
        '\u{3164}'..='\u{3164}',
        '\u{FE00}'..='\u{FE0F}',
        '\u{FEFF}'..='\u{FEFF}',
        '\u{FFA0}'..='\u{FFA0}',
        '\u{FFF0}'..='\u{FFFB}',
        '\u{1BCA0}'..='\u{1BCA3}',
        '\u{1D173}'..='\u{1D17A}',
        '\u{E0000}'..='\u{E0FFF}',
    ];
    for c in invisible.into_iter().flatten() {
        assert_eq!(body(&format!("a{c}b")), Err(BodyError::Character(c)));
        assert_eq!(first_unfit_for_line(&format!("a{c}b")), Some(c));
    }
}

#[test]
fn the_short_cut_for_common_characters_agrees_with_the_tables() {
    for c in '\0'..=char::MAX {
        assert!(clean::short_cut_holds(c), "{c:?}");
    }
}

#[test]
fn eight_marks_may_stand_on_a_letter_and_no_ninth() {
    for mark in ['\u{301}', '\u{93E}', '\u{11A8}', '\u{605}'] {
        let marks = |count| format!("a{}b", String::from(mark).repeat(count));
        assert_eq!(body(&marks(8)), Ok(marks(8)));
        assert_eq!(body(&marks(9)), Err(BodyError::Character(mark)));
        assert_eq!(visible(&marks(5000)), Ok(marks(8)));
    }
    let apart = "a\u{301}\u{302}\u{303}\u{304}\u{305}b\u{306}\u{307}\u{308}\u{309}";
    assert_eq!(body(apart).as_deref(), Ok(apart));
}

#[test]
fn a_body_has_one_byte_to_16_kib() {
    let full = "x".repeat(TEXT_BYTES_MAX);
    assert_eq!(body(&full), Ok(full.clone()));
    assert_eq!(visible(&full), Ok(full.clone()));
    assert_eq!(body(&(full.clone() + "x")), Err(BodyError::TooLong));
    assert_eq!(visible(&(full + "x")), Err(BodyError::TooLong));
    // The pictures are longer than the controls.
    assert_eq!(
        visible(&"\u{1b}".repeat(TEXT_BYTES_MAX)),
        Err(BodyError::TooLong)
    );
    for blank in ["", " ", "\n\t \n", "\u{a0}\u{3000}", "\u{2800}"] {
        assert_eq!(body(blank), Err(BodyError::Empty), "{blank:?}");
        assert_eq!(visible(blank), Err(BodyError::Empty), "{blank:?}");
    }
}

#[test]
fn a_line_has_neither_newlines_nor_tabs() {
    for (text, shown) in [
        ("one line", "one line"),
        ("two\nlines", "two lines"),
        ("two\r\nlines\ttab\u{2028}x", "two lines tab x"),
        ("\u{1b}[2Jhello", "␛[2Jhello"),
        (
            "🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}",
            "🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}",
        ),
        ("", ""),
    ] {
        assert_eq!(Line::inert(text).as_str(), shown);
        assert_eq!(first_unfit_for_line(shown), None);
    }
}

#[test]
fn json_says_the_same_when_it_can_be_shown() {
    let tower = "\u{301}".repeat(50);
    for text in BAD.iter().map(|&(text, ..)| text).chain([&tower[..]]) {
        let json = serde_json::to_string(text).unwrap();
        let shown = inert_json(&json);
        assert_eq!(first_unfit_for_line(&shown), None);
        assert_eq!(serde_json::from_str::<String>(&shown).unwrap(), text);
    }
    assert_eq!(inert_json("\"\u{9b}\u{e0061}\""), r#""\u009b\udb40\udc61""#);
    for &text in GOOD.iter().filter(|text| !text.contains(['\n', '\t'])) {
        assert_eq!(inert_json(text), text);
    }
}

#[test]
fn a_line_is_cut_between_graphemes() {
    let family = "👨\u{200D}👩\u{200D}👧\u{200D}👦";
    for (text, bytes) in [
        ("x".repeat(LINE_BYTES_MAX), LINE_BYTES_MAX),
        ("x".repeat(LINE_BYTES_MAX + 1), LINE_BYTES_MAX),
        ("é".repeat(LINE_BYTES_MAX), LINE_BYTES_MAX),
        (
            family.repeat(100),
            LINE_BYTES_MAX / family.len() * family.len(),
        ),
        ("\u{1100}".repeat(1000), LINE_BYTES_MAX / 3 * 3),
        // The joiner was there for the letter that is cut.
        (
            "x".repeat(LINE_BYTES_MAX - 3) + "\u{200C}ها",
            LINE_BYTES_MAX - 3,
        ),
        ("\u{1b}".repeat(100_000), LINE_BYTES_MAX / 3 * 3),
    ] {
        let line = Line::inert(&text);
        assert_eq!(line.as_str().len(), bytes);
        assert_eq!(first_unfit_for_line(line.as_str()), None);
    }
}

/// Random texts of the characters that the rules are about.
fn mischief() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        3 => prop::sample::select(vec![
            "\u{200c}", "\u{200d}", "\u{fe0f}", "\u{fe00}", "\u{e0100}", "\u{180b}", "\u{301}",
            "\u{94d}", "\u{e0067}", "\u{e007f}", "\u{20e3}", "🏽", "🇳", "🏴", "👩", "❤", "1", "葛",
            "م", "क", "a", " ", "\n", "\r", "\t", "\u{1b}", "\u{9b}", "\u{202e}", "\u{2028}",
            "\u{d4e}", "\u{1100}", "\u{1161}", "\u{605}", "ᠮ",
            "🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}",
        ]).prop_map(str::to_owned),
        1 => any::<char>().prop_map(String::from),
        1 => (prop::sample::select(vec!["\u{301}", "\u{200d}👩", "\u{1100}"]), 0..12_usize)
            .prop_map(|(piece, count)| piece.repeat(count)),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn text_made_visible_is_accepted_and_stays(text in mischief()) {
        if let Ok(shown) = visible(&text) {
            prop_assert_eq!(body(&shown), Ok(shown.clone()));
            prop_assert_eq!(visible(&shown), Ok(shown.clone()));
            prop_assert_eq!(Body::inert(&text).as_str().to_owned(), shown);
        }
        prop_assert_eq!(Line::inert(Line::inert(&text).as_str()), Line::inert(&text));
    }

    #[test]
    fn nothing_that_a_terminal_obeys_is_left(text in mischief()) {
        for shown in [Body::inert(&text).as_str(), Line::inert(&text).as_str()] {
            prop_assert!(!shown.contains(|c: char| c.is_control() && c != '\n' && c != '\t'));
            let steers = shown.contains(['\u{202e}', '\u{2028}', '\u{feff}']);
            prop_assert!(!steers);
        }
        prop_assert!(!Line::inert(&text).as_str().contains(['\n', '\t']));
        prop_assert_eq!(first_unfit_for_line(Line::inert(&text).as_str()), None);
    }

    #[test]
    fn refused_is_what_would_be_changed(text in mischief()) {
        match visible(&text) {
            Ok(shown) => prop_assert_eq!(body(&text).is_ok(), shown == text),
            Err(error) => prop_assert_eq!(body(&text), Err(error)),
        }
    }
}
