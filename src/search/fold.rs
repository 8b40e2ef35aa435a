//! Cuts a text into words and folds them, so that the matcher, the highlighter and the server's
//! index agree on which words are equal.
//!
//! - **A word** is a run of letters, digits and their marks. Everything else separates words:
//!   `don't` is two, `foo_bar` and `12:30` are two each.
//! - **A character of a script without spaces** (Han, kana, Hangul, Thai, Lao, Khmer, Burmese) is a
//!   word of its own, and so is every emoji and private-use icon. A query with a run of them is a
//!   phrase, and so is found within any longer run.
//! - **Equal** are words that differ in case (`Straße`, `STRASSE`), in accents (`café`, `cafe`), in
//!   vowel points, in width or style (`ｆｕｌｌ`, `ﬁ`, `²`), in joiners, variation selectors and skin
//!   tones. That is: NFKD, upper and lower case, without the marks that readers also omit; a few
//!   letters without a decomposition that people take for one (`ø`, `ł`, `đ`, `æ`) are folded too.
//!   Marks that make another letter are kept: Indic vowel signs and viramas, the voicing of kana,
//!   Thai tones.
//!
//! A very long run of letters is cut into words of [`WORD_BYTES_MAX`] everywhere, so that one word
//! can't fill an index's pages.

use std::ops::Range;

use unicode_normalization::char::{canonical_combining_class, compose, decompose_compatible};
use unicode_properties::{GeneralCategory, UnicodeGeneralCategory};

/// Bytes of one folded word. A longer run of letters is several words.
pub const WORD_BYTES_MAX: usize = 64;

/// Calls `each` with every folded word of a text and its byte range. A folded word is not empty,
/// has at most [`WORD_BYTES_MAX`] bytes, and its ASCII characters are lower-case letters and
/// digits.
///
/// Some characters stand for several words (`㍿`); these words share one range.
pub fn words(text: &str, mut each: impl FnMut(&str, Range<usize>)) {
    let bytes = text.as_bytes();
    let mut lower = [0; WORD_BYTES_MAX];
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte.is_ascii() && !byte.is_ascii_alphanumeric() {
            at += 1;
            continue;
        }
        // Fast path: nearly all words are short and ASCII throughout.
        let run = &bytes[at..];
        let length = run
            .iter()
            .position(|byte| !byte.is_ascii_alphanumeric())
            .unwrap_or(run.len());
        let plain = run.get(length).is_none_or(u8::is_ascii);
        at = if plain && length <= WORD_BYTES_MAX {
            let end = at + length;
            let word = &text[at..end];
            if word.bytes().any(|byte| byte.is_ascii_uppercase()) {
                let lower = &mut lower[..length];
                lower.copy_from_slice(word.as_bytes());
                lower.make_ascii_lowercase();
                // Never fails: ASCII is valid UTF-8.
                each(str::from_utf8(lower).unwrap_or_default(), at..end);
            } else {
                each(word, at..end);
            }
            end
        } else {
            Folding::new(&mut each).run(text, at)
        };
    }
}

/// How a decomposed character affects the current word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Continues the word, or begins one.
    Letter,
    /// As a letter, but case folding does not apply.
    Mark,
    /// Is a word by itself.
    Alone,
    /// Composes with the character before where Unicode has such a composition; otherwise is a word
    /// by itself.
    Joined,
    /// Is skipped.
    Nothing,
    /// Ends the word.
    Break,
}

fn part(c: char) -> Part {
    match c {
        'a'..='z' | 'A'..='Z' | '0'..='9' => Part::Letter,
        '\0'..='\x7f' => Part::Break,
        // Tatweel only stretches a word; skin tones, variation selectors and tags only change a
        // picture's appearance.
        '\u{300}'..='\u{36F}'
        | '\u{640}'
        | '\u{FE00}'..='\u{FE0F}'
        | '\u{1F3FB}'..='\u{1F3FF}'
        | '\u{E0000}'..='\u{E0FFF}' => Part::Nothing,
        // Vowels and finals of decomposed Hangul, the voicing of kana.
        '\u{1160}'..='\u{11FF}' | '\u{D7B0}'..='\u{D7FF}' | '\u{3099}' | '\u{309A}' => Part::Joined,
        _ if is_unspaced(c) => Part::Alone,
        _ => general(c),
    }
}

fn general(c: char) -> Part {
    use GeneralCategory as Is;

    // Accents, Hebrew and Arabic points, overlays. Other classes are marks that make another letter
    // (nukta, virama) and those of scripts with classes of their own.
    if matches!(canonical_combining_class(c), 1 | 10..=36 | 200..=240) {
        return Part::Nothing;
    }
    match c.general_category() {
        Is::NonspacingMark | Is::SpacingMark => Part::Mark,
        Is::EnclosingMark | Is::Format => Part::Nothing,
        Is::OtherSymbol | Is::PrivateUse => Part::Alone,
        _ if c.is_alphanumeric() => Part::Letter,
        _ => Part::Break,
    }
}

/// Letters, digits and marks of the scripts that put no spaces between words, and Hangul.
fn is_unspaced(c: char) -> bool {
    match c {
        // Thai, Lao, Burmese, Khmer and their kin. Their blocks hold punctuation too.
        '\u{E00}'..='\u{EFF}'
        | '\u{1000}'..='\u{109F}'
        | '\u{1780}'..='\u{17FF}'
        | '\u{1950}'..='\u{19DF}'
        | '\u{1A20}'..='\u{1AAF}'
        | '\u{A9E0}'..='\u{A9FF}'
        | '\u{AA60}'..='\u{AA7F}' => {
            c.is_alphanumeric()
                || matches!(
                    c.general_category(),
                    GeneralCategory::NonspacingMark | GeneralCategory::SpacingMark
                )
        }
        '\u{1100}'..='\u{115F}'
        | '\u{A960}'..='\u{A97F}'
        | '\u{AC00}'..='\u{D7A3}'
        | '\u{3005}'..='\u{3007}'
        | '\u{3021}'..='\u{3029}'
        | '\u{3031}'..='\u{3035}'
        | '\u{3038}'..='\u{303C}'
        | '\u{3041}'..='\u{3096}'
        | '\u{309D}'..='\u{309F}'
        | '\u{30A1}'..='\u{30FA}'
        | '\u{30FC}'..='\u{30FF}'
        | '\u{3105}'..='\u{318E}'
        | '\u{31A0}'..='\u{31BF}'
        | '\u{31F0}'..='\u{31FF}'
        | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}'
        | '\u{F900}'..='\u{FAFF}'
        | '\u{1AFF0}'..='\u{1B16F}'
        | '\u{20000}'..='\u{3FFFD}' => true,
        _ => false,
    }
}

/// Whether a character is a word of its own, so that no word continues after it.
pub(super) fn stands_alone(c: char) -> bool {
    matches!(part(c), Part::Alone | Part::Joined)
}

/// The state of reading a word character by character.
struct Folding<F> {
    each: F,
    word: String,
    at: Range<usize>,
    /// Whether a letter may continue the word.
    open: bool,
}

impl<F: FnMut(&str, Range<usize>)> Folding<F> {
    fn new(each: F) -> Self {
        Self {
            each,
            word: String::new(),
            at: 0..0,
            open: false,
        }
    }

    /// Reads from `at` to the first ASCII character that is not part of a word, and returns its
    /// offset.
    fn run(mut self, text: &str, at: usize) -> usize {
        let mut end = text.len();
        for (offset, c) in text[at..].char_indices() {
            if c.is_ascii() && !c.is_ascii_alphanumeric() {
                end = at + offset;
                break;
            }
            let at = at + offset..at + offset + c.len_utf8();
            match c {
                // Decomposed, these would be several characters each.
                '\u{3131}'..='\u{318E}' | '\u{AC00}'..='\u{D7A3}' => self.take(c, &at),
                _ => decompose_compatible(c, |c| self.take(c, &at)),
            }
        }
        self.flush();
        end
    }

    fn take(&mut self, c: char, at: &Range<usize>) {
        match part(c) {
            Part::Letter => fold_case(c, |c| self.push(c, at)),
            Part::Mark => self.push(c, at),
            Part::Alone => self.alone(c, at),
            Part::Joined => match self.word.chars().next_back().and_then(|l| compose(l, c)) {
                Some(whole) => {
                    self.word.pop();
                    self.word.push(whole);
                    self.at.end = at.end;
                }
                None => self.alone(c, at),
            },
            Part::Nothing if self.word.is_empty() => {}
            Part::Nothing => self.at.end = at.end,
            Part::Break => self.flush(),
        }
    }

    fn push(&mut self, c: char, at: &Range<usize>) {
        let full = self.word.len() + c.len_utf8() > WORD_BYTES_MAX;
        if !self.open && canonical_combining_class(c) == 0 || full {
            self.flush();
        }
        if self.word.is_empty() {
            self.at.start = at.start;
            self.open = true;
        }
        self.word.push(c);
        self.at.end = at.end;
    }

    fn alone(&mut self, c: char, at: &Range<usize>) {
        self.flush();
        self.word.push(c);
        self.at = at.clone();
    }

    fn flush(&mut self) {
        if !self.word.is_empty() {
            (self.each)(&self.word, self.at.clone());
            self.word.clear();
        }
        self.open = false;
    }
}

/// Folds the case of a letter, through upper case to lower: there `ß` and `ss`, `ς` and `σ`, `ı`
/// and `i` meet.
fn fold_case(c: char, mut push: impl FnMut(char)) {
    for upper in c.to_uppercase() {
        for lower in upper.to_lowercase() {
            match lower {
                'ø' => push('o'),
                'ł' => push('l'),
                'đ' => push('d'),
                'ħ' => push('h'),
                'æ' => ['a', 'e'].into_iter().for_each(&mut push),
                'œ' => ['o', 'e'].into_iter().for_each(&mut push),
                // Capital `ẞ` is its own upper case.
                'ß' => ['s', 's'].into_iter().for_each(&mut push),
                _ => push(lower),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split(text: &str) -> Vec<String> {
        let mut found = Vec::new();
        words(text, |word, _| found.push(word.to_owned()));
        found
    }

    #[test]
    fn a_text_is_cut_into_words() {
        for (text, expected) in [
            ("", ""),
            (" … -- ", ""),
            ("Hello, World!", "hello world"),
            ("don't foo_bar 12:30", "don t foo bar 12 30"),
            ("http://Example.com/a?b=1", "http example com a b 1"),
            ("CAFÉ cafe\u{301} naïve", "cafe cafe naive"),
            ("Straße STRASSE", "strasse strasse"),
            ("ΣΊΣΥΦΟΣ Σίσυφος", "σισυφοσ σισυφοσ"),
            ("İstanbul ısı", "istanbul isi"),
            ("Łódź Ærø", "lodz aero"),
            ("ﬁne ｆｕｌｌ m²", "fine full m2"),
            ("Ёлка ёж", "елка еж"),
            ("東京タワー", "東 京 タ ワ ー"),
            ("ﾀﾜｰ カ\u{3099} ガ", "タ ワ ー ガ ガ"),
            ("한국어 \u{1112}\u{1161}\u{11ab}", "한 국 어 한"),
            ("ㅋㅋ", "ㅋ ㅋ"),
            ("v2東x", "v2 東 x"),
            ("ไทย ที่", "ไ ท ย ท ี \u{e48}"),
            ("हिन्दी", "हिन्दी"),
            ("مَدْرَسَة", "مدرسة"),
            ("نمی\u{200C}خواهم", "نمیخواهم"),
            ("שָׁלוֹם", "שלום"),
            ("ok 👍🏽 ❤\u{FE0F} 🇩🇪", "ok 👍 ❤ 🇩 🇪"),
            ("3 € + 4", "3 4"),
            ("㍿", "株 式 会 社"),
        ] {
            assert_eq!(split(text).join(" "), expected, "{text:?}");
        }
    }

    #[test]
    fn a_word_stands_where_it_was_read() {
        let text = "Ab, cafe\u{301}x 東京 o\u{FE0F}";
        let mut found = Vec::new();
        words(text, |_, at| found.push(&text[at]));
        assert_eq!(found, ["Ab", "cafe\u{301}x", "東", "京", "o\u{FE0F}"]);
    }

    #[test]
    fn a_long_run_of_letters_is_several_words() {
        for (letter, length) in [("x", 1), ("X", 1), ("é", 1), ("я", 2), ("ß", 2)] {
            let text = letter.repeat(200 * length);
            let lengths: Vec<usize> = split(&text).iter().map(String::len).collect();
            assert!(lengths.iter().all(|&length| length <= WORD_BYTES_MAX));
            assert!(
                lengths.len() > 200 / WORD_BYTES_MAX,
                "{letter}: {lengths:?}"
            );
        }
        assert_eq!(split(&"x".repeat(WORD_BYTES_MAX)).len(), 1);
        // The same with a letter that takes the slow path.
        assert_eq!(split(&"x".repeat(65)), split(&"x\u{301}".repeat(65)));
    }

    #[test]
    fn no_character_is_cut_differently_once_it_is_folded() {
        for c in '\0'..=char::MAX {
            let once = split(c.encode_utf8(&mut [0; 4]));
            assert_eq!(split(&once.join(" ")), once, "U+{:04X}", u32::from(c));
        }
    }

    proptest! {
        #[test]
        fn words_are_in_order_and_fold_to_themselves(text in any::<String>()) {
            let mut end = 0;
            let mut all = Vec::new();
            words(&text, |word, at| {
                assert!(at.start < at.end && text.get(at.clone()).is_some());
                assert!(at.end >= end);
                end = at.end;
                assert!(!word.is_empty() && word.len() <= WORD_BYTES_MAX);
                assert!(word.chars().all(|c| !c.is_ascii() || c.is_ascii_lowercase() || c.is_ascii_digit()));
                all.push(word.to_owned());
            });
            // Indexes split the words again after joining them by spaces; that must change nothing.
            prop_assert_eq!(split(&all.join(" ")), all);
        }
    }
}
