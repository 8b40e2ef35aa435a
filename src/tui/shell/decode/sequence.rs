//! Recognizes the sequence at the start of a buffer of terminal bytes.

use super::Input;
use crate::tui::key::{Code, Key};

pub(super) const ESC: u8 = 0x1b;
const BEL: u8 = 0x07;
/// The length of an introducer: Esc and one more byte.
const OPENING: usize = 2;

/// The sequence at the start of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum SequenceMatch {
    /// A number of bytes, and their meaning, if any.
    Input(usize, Option<Input>),
    /// The introducer of a bracketed paste, and its length.
    PasteBegins(usize),
    /// An incomplete sequence.
    Incomplete(Wait),
}

/// The kind of an incomplete sequence, which decides how long to wait for its rest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// Esc, or the first byte of a sequence.
    Escape,
    /// An Alt key and text, or a control string that no terminal is known to send.
    Text,
    /// The beginning of a key or a report, and hardly anything else.
    Rest,
    /// A report.
    Report,
    /// Part of a character.
    Character,
}

fn key(used: usize, key: Key) -> SequenceMatch {
    SequenceMatch::Input(used, Some(Input::Key(key)))
}

/// The sequence at the start of a buffer. `at_end`: no more bytes will come.
pub(super) fn sequence(bytes: &[u8], at_end: bool) -> SequenceMatch {
    match bytes {
        [] => SequenceMatch::Incomplete(Wait::Character),
        [ESC] | [ESC, ESC] if !at_end => SequenceMatch::Incomplete(Wait::Escape),
        [ESC, b'[', rest @ ..] => csi(rest, at_end),
        [ESC, b'O', rest @ ..] => ss3(rest, at_end),
        [ESC, b']' | b'P' | b'_' | b'^' | b'X', ..] => string(bytes, at_end),
        // Some terminals send Alt with an arrow as Esc and the arrow.
        [ESC, ESC, b'[' | b'O', ..] => match sequence(&bytes[1..], at_end) {
            SequenceMatch::Input(used, Some(Input::Key(found))) if used > OPENING => {
                key(used + 1, Key { alt: true, ..found })
            }
            SequenceMatch::Input(used, None) => SequenceMatch::Input(used + 1, None),
            SequenceMatch::Incomplete(wait) => SequenceMatch::Incomplete(wait),
            SequenceMatch::Input(..) | SequenceMatch::PasteBegins(_) => {
                key(1, Key::plain(Code::Esc))
            }
        },
        [ESC] | [ESC, ESC, ..] => key(1, Key::plain(Code::Esc)),
        [ESC, rest @ ..] => match character(rest, at_end) {
            SequenceMatch::Input(used, Some(Input::Key(found))) => {
                key(used + 1, Key { alt: true, ..found })
            }
            SequenceMatch::Input(used, other) => SequenceMatch::Input(used + 1, other),
            other => other,
        },
        _ => character(bytes, at_end),
    }
}

/// An Esc and a character that are no introducer: an Alt key; the following bytes stand for
/// themselves.
fn alt(opening: u8) -> SequenceMatch {
    key(OPENING, Key::alt(Code::Char(char::from(opening))))
}

/// A control or a character.
fn character(bytes: &[u8], at_end: bool) -> SequenceMatch {
    let Some(&first) = bytes.first() else {
        return SequenceMatch::Incomplete(Wait::Character);
    };
    let code = match first {
        b'\r' => Code::Enter,
        b'\t' => Code::Tab,
        0x7f => Code::Backspace,
        0 => return key(1, Key::ctrl(Code::Char(' '))),
        1..=0x1a => return key(1, Key::ctrl(Code::Char(char::from(first - 1 + b'a')))),
        0x1c..=0x1f => return key(1, Key::ctrl(Code::Char(char::from(first + 0x40)))),
        0x20..0x7f => Code::Char(char::from(first)),
        _ => return utf8(bytes, at_end),
    };
    key(1, Key::plain(code))
}

fn utf8(bytes: &[u8], at_end: bool) -> SequenceMatch {
    let length = match bytes[0] {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let there = &bytes[..length.min(bytes.len())];
    match std::str::from_utf8(there) {
        Ok(text) => match text.chars().next() {
            // C1 controls are not keys.
            Some(c) if !c.is_control() => key(length, Key::plain(Code::Char(c))),
            _ => SequenceMatch::Input(length, None),
        },
        Err(error) if error.error_len().is_none() && !at_end => {
            SequenceMatch::Incomplete(Wait::Character)
        }
        Err(_) => SequenceMatch::Input(1, None),
    }
}

/// After `ESC [`: parameters, then a final byte.
fn csi(rest: &[u8], at_end: bool) -> SequenceMatch {
    let incomplete = if at_end {
        alt(b'[')
    } else {
        SequenceMatch::Incomplete(Wait::Rest)
    };
    // F1 to F5 of the Linux console.
    match rest {
        [b'['] => return incomplete,
        [b'[', which @ b'A'..=b'E', ..] => {
            let f = Key::plain(Code::F(which - b'A' + 1));
            return key(OPENING + 2, f);
        }
        // No terminal sends these first.
        [b'[' | 0x20..=0x2f, ..] => return alt(b'['),
        _ => {}
    }
    let length = rest.iter().position(|byte| !(0x20..=0x3f).contains(byte));
    // Nobody types these after Alt-[.
    let is_report = matches!(rest.first(), Some(b'?' | b'<' | b'>' | b'='));
    let Some(length) = length else {
        return match incomplete {
            SequenceMatch::Input(..) if is_report => {
                SequenceMatch::Input(OPENING + rest.len(), None)
            }
            incomplete => incomplete,
        };
    };
    let (parameters, last) = (&rest[..length], rest[length]);
    let used = OPENING + length + 1;
    match (parameters, last) {
        // Broken off by a control character; the following bytes stand for themselves.
        (_, ..=0x3f | 0x7f..) if is_report => SequenceMatch::Input(used - 1, None),
        (_, ..=0x3f | 0x7f..) => alt(b'['),
        (b"200", b'~') => SequenceMatch::PasteBegins(used),
        // A mouse report of the oldest kind: three more bytes.
        (b"", b'M') => match rest.len() {
            4.. => SequenceMatch::Input(used + 3, None),
            _ if at_end => SequenceMatch::Input(OPENING + rest.len(), None),
            _ => SequenceMatch::Incomplete(Wait::Rest),
        },
        (b"", b'A'..=b'F' | b'H' | b'I' | b'O'..=b'S' | b'Z') | ([_, ..], _) => {
            SequenceMatch::Input(used, report(parameters, last))
        }
        (b"", _) => alt(b'['),
    }
}

/// After `ESC O`: a final byte, in old terminals after a digit for the modifiers.
fn ss3(rest: &[u8], at_end: bool) -> SequenceMatch {
    match rest {
        [] | [b'1'..=b'9'] if !at_end => SequenceMatch::Incomplete(Wait::Rest),
        [held @ b'1'..=b'9', last, ..] => match final_key(*last, u32::from(held - b'0')) {
            Some(found) => key(OPENING + 2, found),
            None => alt(b'O'),
        },
        [last, ..] => match final_key(*last, 1).or_else(|| keypad(*last)) {
            Some(found) => key(OPENING + 1, found),
            None => alt(b'O'),
        },
        [] => alt(b'O'),
    }
}

/// The keypad, if another program has left the terminal in application mode.
fn keypad(last: u8) -> Option<Key> {
    let code = match last {
        b'j'..=b'y' => Code::Char(char::from(last - b'j' + b'*')),
        b'X' => Code::Char('='),
        b'I' => Code::Tab,
        _ => return None,
    };
    Some(Key::plain(code))
}

fn report(parameters: &[u8], last: u8) -> Option<Input> {
    match (parameters.first(), last) {
        (Some(b'?'), b'u') => return Some(Input::KeyboardProtocol),
        (Some(b'<'), b'M') => return mouse(&numbers(&parameters[1..])),
        (Some(b'<' | b'?' | b'>' | b'='), _) => return None,
        (None, b'I') => return Some(Input::Focus(true)),
        (None, b'O') => return Some(Input::Focus(false)),
        _ => {}
    }
    let numbers = numbers(parameters);
    let number = |at: usize| numbers.get(at).map_or(0, |parts| parts.0);
    // The third kind of event is a key release.
    if numbers.get(1).is_some_and(|(_, kind)| *kind == 3) {
        return None;
    }
    let modifiers = number(1).max(1);
    let found = match last {
        b'~' if number(0) == 27 => coded(number(2), modifiers)?,
        b'~' => held(Key::plain(numbered(number(0))?), modifiers),
        b'u' => coded(number(0), modifiers)?,
        b'Z' => Key::shift(Code::Tab),
        other => final_key(other, modifiers)?,
    };
    Some(Input::Key(found))
}

/// Numbers separated by `;`, each with its first part after `:`.
fn numbers(parameters: &[u8]) -> Vec<(u32, u32)> {
    let text = std::str::from_utf8(parameters).unwrap_or_default();
    text.split(';')
        .map(|number| {
            let mut parts = number.split(':').map(|part| part.parse().unwrap_or(0));
            (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
        })
        .collect()
}

fn mouse(numbers: &[(u32, u32)]) -> Option<Input> {
    let at = |which: usize| u16::try_from(numbers.get(which)?.0.checked_sub(1)?).ok();
    match numbers.first()?.0 & !0b1_1100 {
        0 => Some(Input::Click {
            column: at(1)?,
            row: at(2)?,
        }),
        64 => Some(Input::Wheel(-1)),
        65 => Some(Input::Wheel(1)),
        _ => None,
    }
}

fn held(key: Key, modifiers: u32) -> Key {
    let bits = modifiers.saturating_sub(1);
    Key {
        shift: bits & 1 != 0,
        alt: bits & 0b10_0010 != 0,
        ctrl: bits & 0b100 != 0,
        ..key
    }
}

fn final_key(last: u8, modifiers: u32) -> Option<Key> {
    let code = match last {
        b'A' => Code::Up,
        b'B' => Code::Down,
        b'C' => Code::Right,
        b'D' => Code::Left,
        b'F' => Code::End,
        b'H' => Code::Home,
        b'M' => Code::Enter,
        b'P'..=b'S' => Code::F(last - b'P' + 1),
        _ => return None,
    };
    Some(held(Key::plain(code), modifiers))
}

fn numbered(number: u32) -> Option<Code> {
    Some(match number {
        1 | 7 => Code::Home,
        2 => Code::Insert,
        3 => Code::Delete,
        4 | 8 => Code::End,
        5 => Code::PageUp,
        6 => Code::PageDown,
        11..=15 => Code::F(u8::try_from(number - 10).ok()?),
        17..=21 => Code::F(u8::try_from(number - 11).ok()?),
        23 | 24 => Code::F(u8::try_from(number - 12).ok()?),
        _ => return None,
    })
}

/// A key given by its character's number, as in newer protocols.
fn coded(number: u32, modifiers: u32) -> Option<Key> {
    let code = match number {
        9 => Code::Tab,
        13 | 57414 => Code::Enter,
        27 => Code::Esc,
        127 => Code::Backspace,
        57399..=57408 => Code::Char(char::from_digit(number - 57399, 10)?),
        57409 => Code::Char('.'),
        57410 => Code::Char('/'),
        57411 => Code::Char('*'),
        57412 => Code::Char('-'),
        57413 => Code::Char('+'),
        57415 => Code::Char('='),
        57417 => Code::Left,
        57418 => Code::Right,
        57419 => Code::Up,
        57420 => Code::Down,
        57421 => Code::PageUp,
        57422 => Code::PageDown,
        57423 => Code::Home,
        57424 => Code::End,
        57425 => Code::Insert,
        57426 => Code::Delete,
        // The rest of the private area are keys such as CapsLock.
        57344..=63743 => return None,
        _ => Code::Char(char::from_u32(number).filter(|c| !c.is_control())?),
    };
    let found = held(Key::plain(code), modifiers);
    Some(match code {
        Code::Char(c) if found.shift => Key {
            shift: false,
            code: Code::Char(if found.ctrl {
                c
            } else {
                c.to_uppercase().next().unwrap_or(c)
            }),
            ..found
        },
        _ => found,
    })
}

/// After `ESC ]` or the like: a control string, or an Alt key and typed text.
fn string(bytes: &[u8], at_end: bool) -> SequenceMatch {
    let (opening, rest) = (bytes[1], &bytes[OPENING..]);
    let known = known_report(opening, rest);
    for (at, byte) in rest.iter().enumerate() {
        let end = match (*byte, rest.get(at + 1)) {
            (BEL, _) if opening == b']' => at + 1,
            (ESC, Some(b'\\')) => at + 2,
            (ESC, None) if !at_end => break,
            // Broken off; the following bytes stand for themselves.
            (..=0x1f | 0x7f, _) if known == Some(true) => {
                return SequenceMatch::Input(OPENING + at, None);
            }
            (..=0x1f | 0x7f, _) => return alt(opening),
            _ => continue,
        };
        if at == 0 {
            // Two keys: terminals send no empty strings.
            return alt(opening);
        }
        let input = (opening == b']').then(|| background(&rest[..at])).flatten();
        return SequenceMatch::Input(OPENING + end, input);
    }
    match known {
        Some(true) if at_end => SequenceMatch::Input(bytes.len(), None),
        _ if at_end => alt(opening),
        Some(true) => SequenceMatch::Incomplete(Wait::Report),
        Some(false) => SequenceMatch::Incomplete(Wait::Rest),
        None => SequenceMatch::Incomplete(Wait::Text),
    }
}

/// Whether terminals send this control string; `Some(false)`: it may become one.
fn known_report(opening: u8, rest: &[u8]) -> Option<bool> {
    let digits = |bytes: &[u8], more: &[u8]| {
        let is_one = |byte: &u8| byte.is_ascii_digit() || more.contains(byte);
        bytes.iter().take_while(|byte| is_one(byte)).count()
    };
    match opening {
        // `ESC ] 11 ; …`: colours, the clipboard.
        b']' => match (digits(rest, b""), rest.len()) {
            (count @ 0..=4, length) if count == length => Some(false),
            (count @ 1..=4, _) => (rest[count] == b';').then_some(true),
            _ => None,
        },
        // `ESC P > | …`, `ESC P 1 $ r …`, `ESC P 1 + r …`, `ESC P ! | …`: version and settings.
        b'P' => match rest.get(digits(rest, b";")..).unwrap_or_default() {
            [] if rest.len() <= 16 => Some(false),
            [b'>' | b'!'] => Some(false),
            [b'>' | b'!', b'|', ..] | [b'$' | b'+' | b'|', ..] => Some(true),
            _ => None,
        },
        // `ESC _ G i=1 ; …`: pictures. `ESC _` alone is our key for redo, which must not wait.
        b'_' => match rest {
            [b'G'] => Some(false),
            [b'G', letter] => letter.is_ascii_alphabetic().then_some(false),
            [b'G', letter, b'=', ..] => letter.is_ascii_alphabetic().then_some(true),
            _ => None,
        },
        _ => None,
    }
}

/// The end of a report in the following bytes, and whether it ended properly or was broken off.
pub(super) fn report_end(bytes: &[u8]) -> Option<(usize, bool)> {
    for (at, byte) in bytes.iter().enumerate() {
        match (*byte, bytes.get(at + 1)) {
            (BEL, _) => return Some((at + 1, true)),
            (ESC, Some(b'\\')) => return Some((at + 2, true)),
            (ESC, None) => return None,
            (..=0x1f | 0x7f, _) => return Some((at, false)),
            _ => {}
        }
    }
    None
}

/// Whether a colour such as `11;rgb:1818/1818/1b1b` is light.
fn background(answer: &[u8]) -> Option<Input> {
    let text = std::str::from_utf8(answer).ok()?.strip_prefix("11;")?;
    let colour = text
        .strip_prefix("rgb:")
        .or_else(|| text.strip_prefix("rgba:"))?;
    let mut parts = colour.split('/').map(|part| {
        let most = 16_u32.checked_pow(u32::try_from(part.len()).ok()?)? - 1;
        let value = u32::from_str_radix(part, 16).ok()?;
        (most > 0).then(|| f64::from(value) / f64::from(most))
    });
    let (red, green, blue) = (parts.next()??, parts.next()??, parts.next()??);
    let brightness = 0.299 * red + 0.587 * green + 0.114 * blue;
    Some(Input::Background {
        light: brightness > 0.5,
    })
}
