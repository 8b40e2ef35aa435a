//! Finds names that could be mistaken for one another (UTS #39, Unicode's security mechanisms).
//!
//! Unicode's table of confusables says what a character *looks* like, with capitals and small
//! letters apart; but a nickname is the same in any case. These two conflict: Greek `Ν` looks like
//! `N` and `ν` like `v`, and yet `N` and `v` must stay apart. Here **the capital decides** wherever
//! it looks like an ASCII letter, and the small letter where only that does. The tests list what
//! this loses: a handful of letters in which only the small form, or only the rarer relation, looks
//! alike.
//!
//! `I` looks like `l`, and is an `i`: so `i`, `l`, `I` and `1` are equal.

use std::{array, sync::LazyLock};

use unicode_normalization::UnicodeNormalization;
use unicode_properties::{GeneralCategoryGroup, UnicodeGeneralCategory};
use unicode_security::{mixed_script::AugmentedScriptSet, skeleton};

/// Each pass works on the result of the one before; two or three reach a fixed point. The bound is
/// for future tables.
const PASSES_MAX: usize = 8;

/// Whether it mixes letters of scripts that are not written together. Digits, punctuation, emoji
/// and characters unknown to the tables go with every script.
pub(super) fn mixes_scripts(text: &str) -> bool {
    let latin = AugmentedScriptSet::for_char('a');
    let mut all = AugmentedScriptSet::default();
    let mut but_latin = AugmentedScriptSet::default();
    for set in text.chars().map(AugmentedScriptSet::for_char) {
        if set.is_empty() {
            continue;
        }
        all.intersect_with(set);
        let mut shared = latin;
        shared.intersect_with(set);
        if shared.base.is_empty() {
            but_latin.intersect_with(set);
        }
    }
    let with_latin = but_latin.jpan || but_latin.kore || but_latin.hanb;
    all.is_empty() && !with_latin
}

/// Whether a character could be mistaken for the colon between a nickname and a text. Some marks
/// could, such as the visarga, but languages need them.
pub(super) fn is_colon(c: char) -> bool {
    if c.is_ascii() {
        return c == ':';
    }
    let mut alike = String::new();
    look(c, &mut alike);
    alike == ":" && c.general_category_group() != GeneralCategoryGroup::Mark
}

/// The canonical form: the same for all texts that could be mistaken for one another. Idempotent.
pub(super) fn canonical(text: &str) -> String {
    let mut text = text.to_owned();
    for _ in 0..PASSES_MAX {
        let next = pass(&text);
        if next == text {
            break;
        }
        text = next;
    }
    text
}

fn pass(text: &str) -> String {
    let mut letters = String::with_capacity(2 * text.len());
    if text.is_ascii() {
        text.chars().for_each(|c| look(c, &mut letters));
    } else {
        text.nfd().for_each(|c| look(c, &mut letters));
    }
    let mut out = String::with_capacity(letters.len());
    for c in letters.chars() {
        match c {
            'i' | '1' | '|' => out.push('l'),
            '0' => out.push('o'),
            // Drawn where the letter's own dot is.
            '\u{307}' if out.ends_with(['l', 'j']) => {}
            // Several spaces look like one.
            c if c.is_whitespace() => {
                if !out.ends_with(' ') {
                    out.push(' ');
                }
            }
            c => out.push(c),
        }
    }
    let out = out.trim_matches(' ');
    if out.is_ascii() {
        return out.to_owned();
    }
    out.nfd().collect()
}

/// The look of each ASCII character, in small letters. Most nicknames are ASCII.
static ASCII: LazyLock<[Box<str>; 128]> = LazyLock::new(|| {
    array::from_fn(|code| {
        let small = char::from(u8::try_from(code).unwrap_or(0)).to_ascii_lowercase();
        let alike: String = skeleton(small.encode_utf8(&mut [0; 4])).collect();
        alike.into()
    })
});

/// Appends what one decomposed character looks like, in small letters.
fn look(c: char, out: &mut String) {
    // The table would turn this combining mark into another character.
    const VOICED: char = '\u{3099}';
    if c == VOICED {
        return out.push(c);
    }
    if let Some(alike) = ASCII.get(c as usize) {
        return out.push_str(alike);
    }
    let capital: String = c.to_uppercase().collect();
    let small: String = capital.chars().flat_map(char::to_lowercase).collect();
    let mut alike = String::new();
    for form in [&capital, &small] {
        alike = skeleton(form).collect();
        if alike.is_ascii() {
            alike.make_ascii_lowercase();
            return out.push_str(&alike);
        }
    }
    // Fullwidth letters, circled ones and the like, which the table doesn't know.
    let plain: String = small.nfkd().collect();
    out.push_str(&if plain == small {
        alike.to_lowercase()
    } else {
        plain
    });
}
