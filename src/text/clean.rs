//! Decides, character by character, what a text may hold.
//!
//! A text may hold every visible character, and invisible ones only where Unicode gives them a
//! meaning. Unfit are:
//!
//! - **Controls**: C0, C1, DEL; a body may hold newline and tab, a line neither.
//! - **Format characters** (`Cf`): the bidirectional controls, byte order mark, soft hyphen,
//!   zero-width space, word joiner, invisible operators, interlinear annotation and so on. The
//!   Arabic, Syriac and Kaithi number signs (`Prepended_Concatenation_Mark`) are `Cf` by name only:
//!   they are visible, and fit.
//! - **Line and paragraph separator** (U+2028, U+2029).
//! - **Default-ignorable characters** that are not `Cf`: Hangul fillers, grapheme joiner, Khmer
//!   inherent vowels, the code points reserved for more of the kind.
//! - **Noncharacters**, which are for a program's own use.
//! - **Joiners** (U+200C, U+200D) that have no letter of a joining script on either side, or that
//!   follow another joiner. Between emoji, U+200D fits, at most [`EMOJI_JOINERS_MAX`] times in one
//!   sequence.
//! - **Variation selectors** after anything but a character that they can select a form of.
//! - **Tags**, save in a subdivision's flag (U+1F3F4, three to six letters or digits, U+E007F).
//! - **A ninth character on top of another** ([`COMBINING_MARKS_MAX`]): marks, and whatever else
//!   has no column of its own (vowels and finals of decomposed Hangul, for example).
//!
//! Private-use characters fit: terminal fonts put icons there, and they are visible. So do
//! unassigned ones outside the reserved ranges above, so that next year's emoji need no new server.

use std::borrow::Cow;

use unicode_properties::{
    GeneralCategory, GeneralCategoryGroup, UnicodeEmoji, UnicodeGeneralCategory,
};
use unicode_width::UnicodeWidthChar;

use super::limits::{COMBINING_MARKS_MAX, EMOJI_JOINERS_MAX};

const NON_JOINER: char = '\u{200C}';
const JOINER: char = '\u{200D}';
const BLACK_FLAG: char = '\u{1F3F4}';
const CANCEL_TAG: char = '\u{E007F}';
const BRAILLE_BLANK: char = '\u{2800}';

/// The kind of text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// May hold newlines and tabs.
    Body,
    /// May hold neither newlines nor tabs.
    Line,
}

/// Whether nothing of it is visible.
pub(super) fn is_blank(text: &str) -> bool {
    text.chars()
        .all(|c| c.is_whitespace() || c == BRAILLE_BLANK)
}

/// The first character that doesn't fit, and its byte offset.
pub(super) fn first_unfit(text: &str, kind: Kind) -> Option<(usize, char)> {
    // Most messages are plain ASCII. The fold checks every byte instead of stopping early, because
    // the compiler can vectorize that.
    let plain = |byte: u8| matches!(byte, b' '..=b'~') || (kind == Kind::Body && byte == b'\n');
    if text.bytes().fold(true, |all, byte| all & plain(byte)) {
        return None;
    }
    let mut scan = Scan::new(kind);
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        match scan.take(c, &text[at + c.len_utf8()..]) {
            Ok(bytes) => at += bytes,
            Err(_) => return Some((at, c)),
        }
    }
    None
}

/// Returns the text with unfit characters replaced by visible ones: line ends by a newline (in a
/// line by a space), C0 and DEL by their pictures (`␛`), other characters by their number
/// (`‹U+202E›`). Marks over the limit are dropped. [`first_unfit`] finds nothing in the result.
pub(super) fn clean(text: &str, kind: Kind) -> Cow<'_, str> {
    mend(text, kind, |out, c, rest, why| {
        if why == Unfit::Other {
            out.replace(c, rest, kind);
        }
    })
}

/// Writes unfit characters of a line of JSON as `\u202e` escapes. The JSON keeps its meaning as
/// long as they stand in strings. [`first_unfit`] finds nothing in the result.
pub(super) fn escape(json: &str) -> Cow<'_, str> {
    mend(json, Kind::Line, |out, c, _, _| {
        for unit in c.encode_utf16(&mut [0; 2]) {
            format!("\\u{unit:04x}").chars().for_each(|c| out.push(c));
        }
    })
}

/// Copies the text, but calls `mend` for each unfit character with the text after it and the
/// reason.
fn mend(
    text: &str,
    kind: Kind,
    mut mend: impl FnMut(&mut Cleaned, char, &str, Unfit),
) -> Cow<'_, str> {
    let Some((unfit, _)) = first_unfit(text, kind) else {
        return Cow::Borrowed(text);
    };
    let mut out = Cleaned {
        text: String::with_capacity(text.len() + 32),
        scan: Scan::new(kind),
    };
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        let rest = &text[at + c.len_utf8()..];
        match out.scan.take(c, rest) {
            Ok(bytes) => {
                out.text.push_str(&text[at..at + bytes]);
                at += bytes;
                continue;
            }
            Err(why) => mend(&mut out, c, rest, why),
        }
        at += c.len_utf8();
    }
    debug_assert!(unfit < text.len() && first_unfit(&out.text, kind).is_none());
    Cow::Owned(out.text)
}

struct Cleaned {
    text: String,
    scan: Scan,
}

impl Cleaned {
    fn replace(&mut self, c: char, rest: &str, kind: Kind) {
        match (c, kind) {
            // The newline that follows stands for both.
            ('\r', _) if rest.starts_with('\n') => {}
            ('\r' | '\u{85}' | '\u{2028}' | '\u{2029}', Kind::Body) => self.push('\n'),
            ('\r' | '\n' | '\t' | '\u{85}' | '\u{2028}' | '\u{2029}', Kind::Line) => self.push(' '),
            ('\0'..='\x1f', _) => self.push(picture(c)),
            ('\x7f', _) => self.push('\u{2421}'),
            _ => {
                let number = format!("\u{2039}U+{:04X}\u{203A}", u32::from(c));
                number.chars().for_each(|c| self.push(c));
            }
        }
    }

    fn push(&mut self, c: char) {
        let taken = self.scan.take(c, "");
        debug_assert!(taken.is_ok(), "{c:?} replaces what is unfit");
        self.text.push(c);
    }
}

/// The picture of a C0 control: `␛` for escape.
fn picture(control: char) -> char {
    char::from_u32(0x2400 + u32::from(control)).unwrap_or(char::REPLACEMENT_CHARACTER)
}

/// Why a character doesn't fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Unfit {
    /// One mark too many on top of another character.
    Stacked,
    /// Anything else.
    Other,
}

/// The state of the scan: the properties of earlier characters that decide about the next.
struct Scan {
    kind: Kind,
    /// The previous character.
    before: char,
    /// Number of characters in a row without a column of their own.
    stacked: usize,
    /// Whether `before` ends an emoji, so that a joiner may join another to it.
    emoji: bool,
    /// Joiners in this emoji sequence.
    joiners: usize,
}

impl Scan {
    fn new(kind: Kind) -> Self {
        Self {
            kind,
            before: '\n',
            stacked: 0,
            emoji: false,
            joiners: 0,
        }
    }

    /// Takes `c` if it fits here and returns how many bytes of the text that consumes (more than
    /// `c`'s own where a flag made of tags begins). On an error nothing changes.
    ///
    /// Of `rest`, the text after `c`, it uses only what fits whatever comes before it; so replacing
    /// an unfit character never makes an already judged one unfit.
    fn take(&mut self, c: char, rest: &str) -> Result<usize, Unfit> {
        let whole = c.len_utf8();
        if is_plain(c) {
            self.begin(c, false);
            return Ok(whole);
        }
        match c {
            '\n' | '\t' if self.kind == Kind::Body => self.begin(c, false),
            NON_JOINER | JOINER => return self.take_joiner(c, rest).map(|()| whole),
            BLACK_FLAG => {
                self.begin(c, true);
                return Ok(whole + tags(rest));
            }
            _ if is_selector(c) => {
                if !selects(self.before, c) {
                    return Err(Unfit::Other);
                }
                self.stack(c)?;
            }
            _ if is_forbidden(c) => return Err(Unfit::Other),
            _ if is_stacking(c) => self.stack(c)?,
            _ if is_pictograph(c) => self.begin(c, true),
            _ if is_skin_tone(c) => self.begin(c, self.emoji),
            _ => self.begin(c, false),
        }
        Ok(whole)
    }

    /// Records that `c` stands by itself; `emoji` if a joiner may follow.
    fn begin(&mut self, c: char, emoji: bool) {
        let joined = self.before == JOINER || is_skin_tone(c);
        self.joiners = if emoji && joined { self.joiners } else { 0 };
        self.before = c;
        self.stacked = 0;
        self.emoji = emoji;
    }

    /// Records that `c` stands on top of the previous character.
    fn stack(&mut self, c: char) -> Result<(), Unfit> {
        if self.stacked == COMBINING_MARKS_MAX {
            return Err(Unfit::Stacked);
        }
        self.stacked += 1;
        self.before = c;
        self.emoji &= is_selector(c);
        Ok(())
    }

    fn take_joiner(&mut self, c: char, rest: &str) -> Result<(), Unfit> {
        let next = rest.chars().next();
        if c == JOINER && self.emoji && next.is_some_and(is_pictograph) {
            if self.joiners == EMOJI_JOINERS_MAX {
                return Err(Unfit::Other);
            }
            self.joiners += 1;
        } else {
            let repeated = matches!(self.before, JOINER | NON_JOINER);
            let useful = joins(self.before)
                || next
                    .is_some_and(|next| joins(next) && !is_forbidden(next) && !is_stacking(next));
            if repeated || !useful {
                return Err(Unfit::Other);
            }
        }
        // Marks before and after a joiner are counted together.
        self.before = c;
        self.emoji = false;
        Ok(())
    }
}

/// Length of the tags that turn a preceding black flag into another flag; 0 if they don't.
fn tags(rest: &str) -> usize {
    let mut letters = 0;
    for (at, c) in rest.char_indices() {
        match c {
            '\u{E0030}'..='\u{E0039}' | '\u{E0061}'..='\u{E007A}' if letters < 6 => letters += 1,
            CANCEL_TAG if letters >= 3 => return at + c.len_utf8(),
            _ => return 0,
        }
    }
    0
}

/// The commonest characters, which always fit and do not combine. Only a short cut: the tables say
/// the same of each.
fn is_plain(c: char) -> bool {
    matches!(c,
        ' '..='~'
        | 'À'..='\u{02FF}'
        | '\u{0400}'..='\u{0482}'
        | '\u{048A}'..='\u{052F}'
        | '\u{05D0}'..='\u{05EA}'
        | '\u{0620}'..='\u{064A}'
        | '\u{0E01}'..='\u{0E30}'
        | '\u{1E00}'..='\u{1EFF}'
        | '\u{3041}'..='\u{3096}'
        | '\u{30A1}'..='\u{30FF}'
        | '\u{3400}'..='\u{4DBF}'
        | '\u{4E00}'..='\u{9FFF}'
        | '\u{AC00}'..='\u{D7A3}')
}

/// Whether a character is unfit in every context.
fn is_forbidden(c: char) -> bool {
    let default_ignorable = matches!(c,
        '\u{034F}' | '\u{115F}' | '\u{1160}' | '\u{17B4}' | '\u{17B5}' | '\u{2065}' | '\u{3164}'
        | '\u{FFA0}' | '\u{FFF0}'..='\u{FFF8}' | '\u{E0000}'..='\u{E0FFF}');
    let noncharacter = matches!(c, '\u{FDD0}'..='\u{FDEF}') || u32::from(c) & 0xFFFE == 0xFFFE;
    default_ignorable
        || noncharacter
        || match c.general_category() {
            GeneralCategory::Control
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator => true,
            GeneralCategory::Format => !is_number_sign(c),
            _ => false,
        }
}

/// The visible format characters (`Prepended_Concatenation_Mark`).
fn is_number_sign(c: char) -> bool {
    matches!(
        c,
        '\u{0600}'
            ..='\u{0605}'
                | '\u{06DD}'
                | '\u{070F}'
                | '\u{0890}'
                | '\u{0891}'
                | '\u{08E2}'
                | '\u{110BD}'
                | '\u{110CD}'
    )
}

/// Whether a character has no column of its own.
fn is_stacking(c: char) -> bool {
    c.width() == Some(0) || c.general_category_group() == GeneralCategoryGroup::Mark
}

fn is_skin_tone(c: char) -> bool {
    matches!(c, '\u{1F3FB}'..='\u{1F3FF}')
}

fn is_regional_indicator(c: char) -> bool {
    matches!(c, '\u{1F1E6}'..='\u{1F1FF}')
}

/// Whether it is an emoji that a joiner can join to another.
fn is_pictograph(c: char) -> bool {
    !c.is_ascii() && c.is_emoji_char() && !is_skin_tone(c) && !is_regional_indicator(c)
}

fn is_selector(c: char) -> bool {
    matches!(c,
        '\u{FE00}'..='\u{FE0F}' | '\u{E0100}'..='\u{E01EF}'
        | '\u{180B}'..='\u{180D}' | '\u{180F}')
}

/// Whether Unicode has forms of `base` for this selector. Goes by class instead of Unicode's list
/// of sequences, so it accepts a few selectors too many, one after each character of the class.
fn selects(base: char, selector: char) -> bool {
    match selector {
        '\u{FE0E}' | '\u{FE0F}' => {
            base.is_emoji_char() && !is_skin_tone(base) && !is_regional_indicator(base)
        }
        '\u{FE00}'..='\u{FE02}' => {
            is_ideograph(base)
                || base.general_category() == GeneralCategory::MathSymbol
                || matches!(base,
                    // A zero with a stroke, quotation marks, Myanmar's dotted letters, 'Phags-pa,
                    // East Asian punctuation, hieroglyphs.
                    '0' | '\u{2018}'..='\u{201F}' | '\u{1000}'..='\u{109F}'
                    | '\u{A840}'..='\u{A87F}' | '\u{AA60}'..='\u{AA7F}' | '\u{3001}'..='\u{303F}'
                    | '\u{FF01}'..='\u{FF60}' | '\u{13000}'..='\u{143FF}')
        }
        '\u{FE03}'..='\u{FE06}' => matches!(base, '\u{13000}'..='\u{143FF}'),
        '\u{E0100}'..='\u{E01EF}' => is_ideograph(base),
        '\u{180B}'..='\u{180F}' => matches!(base, '\u{1820}'..='\u{18AA}'),
        _ => false,
    }
}

fn is_ideograph(c: char) -> bool {
    matches!(c,
        '\u{3400}'..='\u{4DBF}' | '\u{4E00}'..='\u{9FFF}' | '\u{F900}'..='\u{FAFF}'
        | '\u{20000}'..='\u{3FFFF}')
}

/// Whether it is a letter, mark or digit of a script in which joiners change what is visible:
/// letters that join (Arabic and its kin, Mongolian, N'Ko, Adlam), conjuncts (the Indic scripts and
/// those of South-East Asia), ligatures (Hebrew, Tifinagh).
fn joins(c: char) -> bool {
    let script = matches!(c,
        '\u{05D0}'..='\u{05F2}'
        | '\u{0600}'..='\u{0DFF}'
        | '\u{0F00}'..='\u{109F}'
        | '\u{1700}'..='\u{18AF}'
        | '\u{1A00}'..='\u{1AAF}'
        | '\u{1B00}'..='\u{1C4F}'
        | '\u{2D30}'..='\u{2D7F}'
        | '\u{A800}'..='\u{A8FF}'
        | '\u{A930}'..='\u{AA7F}'
        | '\u{AAE0}'..='\u{AAFF}'
        | '\u{ABC0}'..='\u{ABFF}'
        | '\u{FB50}'..='\u{FDCF}'
        | '\u{FE70}'..='\u{FEFC}'
        | '\u{10A00}'..='\u{10FFF}'
        | '\u{11000}'..='\u{11FFF}'
        | '\u{1E900}'..='\u{1E95F}');
    script
        && matches!(
            c.general_category_group(),
            GeneralCategoryGroup::Letter
                | GeneralCategoryGroup::Mark
                | GeneralCategoryGroup::Number
        )
}

/// Whether [`is_plain`] agrees with the rules without it.
#[cfg(test)]
pub(super) fn short_cut_holds(c: char) -> bool {
    !is_plain(c)
        || !(is_selector(c)
            || is_forbidden(c)
            || is_stacking(c)
            || is_pictograph(c)
            || is_skin_tone(c))
}
