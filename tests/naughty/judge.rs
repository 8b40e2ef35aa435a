//! Decides whether a terminal would obey a text, or a reader be deceived. It is independent of the
//! programs' own rules, except for the sequences that the full screen has to write.

use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// The sequences of the full screen, after `ESC [`, without the digits.
const OURS: &[&str] = &[
    // The cursor, and clearing.
    "?25h", "?25l", "2J", "K",
    // The alternate screen, synchronized drawing, pastes, focus, the wheel, the saved and restored
    // title.
    "?1049h", "?1049l", "?2026h", "?2026l", "?2004h", "?2004l", "?1004h", "?1004l", "?1007h",
    "?1007l", "?7h", "?7l", "22;2t", "23;2t", // Whether keys can be reported unambiguously.
    "?u",
];

/// Fails if the bytes for a pipe or a file hold anything but visible lines.
pub(crate) fn plain(what: &str, bytes: &[u8]) {
    fail(what, utf8(bytes).and_then(seen));
}

/// Fails if the bytes for a terminal hold a sequence that is not the program's own, or anything
/// invisible between them. A log's colours are a program's own too.
pub(crate) fn terminal(what: &str, bytes: &[u8]) {
    fail(what, utf8(bytes).and_then(obeyed));
}

fn fail(what: &str, verdict: Result<(), String>) {
    if let Err(why) = verdict {
        panic!("{what}: {why}");
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let around = &bytes[at.saturating_sub(20)..bytes.len().min(at + 20)];
        format!("no UTF-8: {}", around.escape_ascii())
    })
}

/// Checks that a text is visible, apart from ends of lines.
fn seen(text: &str) -> Result<(), String> {
    match text.char_indices().find(|&(at, c)| is_unseen(text, at, c)) {
        None => Ok(()),
        Some((at, c)) => {
            let from = text.floor_char_boundary(at.saturating_sub(60));
            let to = text.ceil_char_boundary((at + 60).min(text.len()));
            Err(format!("U+{:04X} in {:?}", u32::from(c), &text[from..to]))
        }
    }
}

fn is_unseen(text: &str, at: usize, c: char) -> bool {
    match c {
        // They have a meaning in some places only; here it is enough that they are rare.
        '\u{200c}' | '\u{200d}' => text[..at].ends_with(['\u{200c}', '\u{200d}']),
        // In the flags of England, Scotland and Wales.
        '\u{e0020}'..='\u{e007f}' => {
            let tags = |c| matches!(c, '\u{e0020}'..='\u{e007f}');
            !text[..at].trim_end_matches(tags).ends_with('\u{1f3f4}')
        }
        // Number signs are visible, whatever they are called.
        '\n'
        | '\t'
        | '\u{600}'..='\u{605}'
        | '\u{6dd}'
        | '\u{70f}'
        | '\u{890}'
        | '\u{891}'
        | '\u{8e2}'
        | '\u{110bd}'
        | '\u{110cd}' => false,
        '\u{34f}'
        | '\u{115f}'
        | '\u{1160}'
        | '\u{17b4}'
        | '\u{17b5}'
        | '\u{3164}'
        | '\u{ffa0}'
        | '\u{fff0}'..='\u{fffb}'
        | '\u{fdd0}'..='\u{fdef}' => true,
        _ => {
            u32::from(c) & 0xfffe == 0xfffe
                || matches!(
                    c.general_category(),
                    GeneralCategory::Control
                        | GeneralCategory::Format
                        | GeneralCategory::LineSeparator
                        | GeneralCategory::ParagraphSeparator
                )
        }
    }
}

/// Checks that a terminal gets only visible characters and the programs' own sequences.
fn obeyed(text: &str) -> Result<(), String> {
    // Added by the terminal's driver.
    let text = text.replace("\r\n", "\n");
    let mut drawn = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once('\u{1b}') {
        drawn.push_str(before);
        // Separate for the eye, so separate here.
        drawn.push('\n');
        let Some(next) = own_sequence(after)? else {
            let to = after.ceil_char_boundary(after.len().min(60));
            return Err(format!("an escape sequence: {:?}", &after[..to]));
        };
        rest = next;
    }
    drawn.push_str(rest);
    seen(&drawn)
}

/// Returns the rest after one of the programs' own sequences, without its ESC; `None` after another
/// sequence.
fn own_sequence(after: &str) -> Result<Option<&str>, String> {
    if let Some(csi) = after.strip_prefix('[') {
        let Some(end) = csi.find(|c: char| matches!(c, '@'..='~')) else {
            return Ok(None);
        };
        let (body, rest) = csi.split_at(end + 1);
        let figures = |c: char| c.is_ascii_digit() || c == ';' || c == ':';
        let looks = body.strip_suffix('m').is_some_and(|body| {
            // No blinking, no hidden text.
            body.chars().all(figures) && !matches!(body, "5" | "6" | "8") && body != "31;5;8"
        });
        let place = body
            .strip_suffix('H')
            .is_some_and(|body| body.chars().all(figures));
        Ok((looks || place || OURS.contains(&body)).then_some(rest))
    } else if let Some((title, rest)) = after
        .strip_prefix("]0;")
        .and_then(|title| title.split_once('\u{7}'))
    {
        seen(title)?;
        Ok((title.is_empty() || title.starts_with("#lobby ")).then_some(rest))
    } else {
        Ok(after.strip_prefix("]11;?\u{1b}\\"))
    }
}

#[test]
fn the_judge_finds_what_a_terminal_would_obey() {
    const NEEDED: &[&str] = &[
        "]11;?\u{1b}\\",
        "[2J",
        "[1;1H",
        "[?1049l",
        "[?2004l",
        "[?25l",
        "[31m",
    ];
    for text in crate::corpus::sequences() {
        assert!(seen(&text).is_err(), "{text:?}");
        // Some sequences are among those that the screen needs; if these got through, others would.
        let needed = |tail: &&str| text.contains(&format!("\u{1b}{tail}"));
        assert!(
            obeyed(&text).is_err() || NEEDED.iter().any(needed),
            "{text:?}"
        );
    }
    for text in [
        "\u{202e}",
        "a\u{200b}",
        "\u{9b}",
        "\u{7f}",
        "\u{e0061}",
        "\u{2028}",
        "\u{ad}",
    ] {
        assert!(seen(text).is_err(), "{text:?}");
    }
    assert!(utf8(b"\x9b2J").is_err());
    assert_eq!(
        obeyed("\u{1b}[31mred\u{1b}[0m\r\n\u{1b}]0;#lobby here\u{7}"),
        Ok(())
    );
}
