//! Counts the columns that a text takes on a terminal.
//!
//! The count agrees with ratatui's buffer, which draws the screen: it goes by grapheme cluster, and
//! each is as wide as `unicode-width` says. (Counting by character is wrong for emoji; by whole
//! string, ligatures across clusters would count once.) Emoji with a joiner, a skin tone or U+FE0F
//! after them, keycaps and flags are two columns wide. A cluster can be wider than two: an Indic
//! conjunct takes a column for each of its letters.

use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// Counts the columns of a text on one line. Controls, including newline and tab, count as nothing;
/// so do the few clusters that have no width, such as a combining mark without a letter.
pub fn width(text: &str) -> usize {
    if text.is_ascii() {
        text.bytes().filter(|byte| !byte.is_ascii_control()).count()
    } else {
        text.graphemes(true).map(grapheme_width).sum()
    }
}

/// Counts the columns of one grapheme cluster; 0 if it holds a control.
pub fn grapheme_width(grapheme: &str) -> usize {
    if let [byte] = grapheme.as_bytes() {
        return usize::from(!byte.is_ascii_control());
    }
    if grapheme.contains(char::is_control) {
        return 0;
    }
    // ratatui counts the halfwidth sound marks, which extend the cluster before them, once more
    // than the tables do.
    let sound_marks = grapheme.matches(['\u{FF9E}', '\u{FF9F}']).count();
    grapheme.width() + sound_marks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_those_that_a_terminal_uses() {
        for (text, columns) in [
            ("", 0),
            ("plain", 5),
            ("naïve", 5),
            ("e\u{301}", 1),
            ("日本語", 6),
            ("ｱｲｳ", 3),
            ("한국어", 6),
            ("\u{1112}\u{1161}\u{11AB}", 2),
            ("👍", 2),
            ("👍🏽", 2),
            ("👨‍👩‍👧‍👦", 2),
            ("❤\u{FE0F}", 2),
            ("1\u{FE0F}\u{20E3}", 2),
            ("🇳🇴", 2),
            (
                "🏴\u{E0067}\u{E0062}\u{E0073}\u{E0063}\u{E0074}\u{E007F}",
                2,
            ),
            ("می\u{200C}خواهم", 7),
            ("\t\n\u{1b}", 0),
            ("\u{301}", 0),
        ] {
            assert_eq!(width(text), columns, "{text:?}");
        }
    }

    #[cfg(feature = "tui")]
    #[allow(
        clippy::unicode_not_nfc,
        reason = "clusters of many characters are the point"
    )]
    mod ratatui_agrees {
        use proptest::prelude::*;
        use ratatui::{buffer::Buffer, layout::Rect, style::Style};

        use super::*;

        fn drawn(text: &str) -> usize {
            let mut buffer = Buffer::empty(Rect::new(0, 0, 4000, 1));
            usize::from(buffer.set_stringn(0, 0, text, 4000, Style::new()).0)
        }

        #[test]
        fn on_what_tables_differ_about() {
            for text in [
                "ｶﾞｷﾞﾊﾟ",
                "あﾞ",
                "त्र्य",
                "क्ष",
                "ᄀᄀᄀ",
                "☁️",
                "☁︎",
                "🏳️‍🌈",
                "ﷺ",
                "لا",
                "\u{605}",
                "–—…",
            ] {
                assert_eq!(width(text), drawn(text), "{text:?}");
            }
        }

        proptest! {
            #[test]
            fn on_any_text(text in any::<String>()) {
                prop_assert_eq!(width(&text), drawn(&text));
            }

            #[test]
            fn on_any_text_that_combines(
                text in "[a1一क्र각\u{301}\u{200D}\u{200C}\u{FE0F}\u{20E3}🇳🏴👩🏽❤ﾞ؀\u{E0067}\u{E007F}]{0,24}"
            ) {
                prop_assert_eq!(width(&text), drawn(&text));
            }
        }
    }
}
