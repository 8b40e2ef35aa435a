//! Bytes from a terminal to keys. Pure: the shell says when so much time has passed that nothing
//! more belongs to what has come.
//!
//! This is our own, and not crossterm's reader, for two things which that one cannot do: over a
//! slow link the bytes of an arrow or of Alt-a arrive apart, and it takes the first for Esc, on
//! which we disconnect; and it types a terminal's answer about its background into the input.

use std::time::Duration;

use crate::tui::key::{Code, Key};

/// A lone Esc is believed after so long without another byte.
const ESC_PATIENCE: Duration = Duration::from_millis(150);
/// A pasted text is taken as it is after so long without another byte.
const PASTE_PATIENCE: Duration = Duration::from_secs(3);
/// Bytes of one pasted text that are kept; more than a message can hold, so that one which is
/// too long is seen to be.
const PASTE_BYTES_MAX: usize = 64 * 1024;
/// Bytes of a sequence; a longer one is dropped.
const SEQUENCE_BYTES_MAX: usize = 512;
const ESC: u8 = 0x1b;
const PASTE_END: &[u8] = b"\x1b[201~";

/// What a terminal sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key.
    Key(Key),
    /// A pasted text.
    Paste(String),
    /// The terminal came to be looked at, or no longer is.
    Focus(bool),
    /// The wheel: so many notches, down is positive.
    Wheel(i16),
    /// The first button was pressed on a cell of the screen; both count from 0.
    Click {
        /// Its column.
        column: u16,
        /// Its row.
        row: u16,
    },
    /// Answers what the background is: whether it is light.
    Background {
        /// Nearer to white than to black.
        light: bool,
    },
    /// Answers that it can report keys unambiguously.
    KeyboardProtocol,
}

/// Finds keys in bytes.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    paste: Option<Vec<u8>>,
}

/// What the start of the buffer is.
enum Found {
    /// So many bytes, and what they mean, if anything.
    Input(usize, Option<Input>),
    /// The bytes that open a pasted text.
    PasteBegins(usize),
    /// Not all of it has come.
    Incomplete,
}

impl Decoder {
    /// Takes bytes, split anywhere; answers what is complete.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Input> {
        self.buffer.extend_from_slice(bytes);
        self.run(false)
    }

    /// How long to wait for more before [`Self::flush`]; `None` if nothing has begun.
    pub fn patience(&self) -> Option<Duration> {
        if self.paste.is_some() {
            Some(PASTE_PATIENCE)
        } else {
            (!self.buffer.is_empty()).then_some(ESC_PATIENCE)
        }
    }

    /// Time has passed without a byte: what has begun does not go on.
    pub fn flush(&mut self) -> Vec<Input> {
        if let Some(mut pasted) = self.paste.take() {
            // Its end was lost on the way. Without this nothing could be typed any more.
            pasted.append(&mut self.buffer);
            return vec![Input::Paste(text_of(&pasted))];
        }
        self.run(true)
    }

    fn run(&mut self, at_end: bool) -> Vec<Input> {
        let mut found = Vec::new();
        loop {
            if self.paste.is_some() {
                match self.go_on_pasting() {
                    Some(input) => found.push(input),
                    None => break,
                }
                continue;
            }
            match sequence(&self.buffer, at_end) {
                Found::Input(used, input) => {
                    self.buffer.drain(..used);
                    found.extend(input);
                }
                Found::PasteBegins(used) => {
                    self.buffer.drain(..used);
                    self.paste = Some(Vec::new());
                }
                Found::Incomplete => {
                    if self.buffer.len() > SEQUENCE_BYTES_MAX {
                        self.buffer.clear();
                    }
                    break;
                }
            }
        }
        found
    }

    /// Moves what belongs to the pasted text over; answers it when its end has come.
    fn go_on_pasting(&mut self) -> Option<Input> {
        let pasted = self.paste.as_mut()?;
        let end = memchr::memmem::find(&self.buffer, PASTE_END);
        // The last bytes may be the beginning of the end.
        let keep = PASTE_END.len() - 1;
        let upto = end.unwrap_or(self.buffer.len().saturating_sub(keep));
        let room = PASTE_BYTES_MAX.saturating_sub(pasted.len());
        pasted.extend_from_slice(&self.buffer[..upto.min(room)]);
        self.buffer
            .drain(..upto + if end.is_some() { PASTE_END.len() } else { 0 });
        end?;
        let pasted = self.paste.take()?;
        Some(Input::Paste(text_of(&pasted)))
    }
}

fn text_of(pasted: &[u8]) -> String {
    String::from_utf8_lossy(pasted).into_owned()
}

fn key(used: usize, key: Key) -> Found {
    Found::Input(used, Some(Input::Key(key)))
}

/// What the buffer begins with.
fn sequence(bytes: &[u8], at_end: bool) -> Found {
    match bytes {
        [ESC] if at_end => key(1, Key::plain(Code::Esc)),
        [] | [ESC] => Found::Incomplete,
        [ESC, b'[', rest @ ..] if !(rest.is_empty() && at_end) => csi(rest, at_end),
        [ESC, b'O', rest @ ..] if !(rest.is_empty() && at_end) => match rest {
            [] => Found::Incomplete,
            [last, ..] => Found::Input(3, final_key(*last, 1).map(Input::Key)),
        },
        [ESC, b']' | b'P' | b'_' | b'^', rest @ ..] if !(rest.is_empty() && at_end) => {
            string(bytes[1], rest)
        }
        // Some terminals write Alt with an arrow as Esc and the arrow.
        [ESC, ESC] if !at_end => Found::Incomplete,
        [ESC, ESC, b'[' | b'O', ..] => match sequence(&bytes[1..], at_end) {
            Found::Input(used, Some(Input::Key(found))) => {
                key(used + 1, Key { alt: true, ..found })
            }
            Found::Input(used, other) => Found::Input(used + 1, other),
            Found::PasteBegins(_) => key(1, Key::plain(Code::Esc)),
            Found::Incomplete => Found::Incomplete,
        },
        [ESC, ESC, ..] => key(1, Key::plain(Code::Esc)),
        [ESC, rest @ ..] => match character(rest, at_end) {
            Found::Input(used, Some(Input::Key(found))) => {
                key(used + 1, Key { alt: true, ..found })
            }
            Found::Input(used, other) => Found::Input(used + 1, other),
            other => other,
        },
        _ => character(bytes, at_end),
    }
}

/// A control or a character.
fn character(bytes: &[u8], at_end: bool) -> Found {
    let Some(&first) = bytes.first() else {
        return Found::Incomplete;
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

fn utf8(bytes: &[u8], at_end: bool) -> Found {
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
            _ => Found::Input(length, None),
        },
        Err(error) if error.error_len().is_none() && !at_end => Found::Incomplete,
        Err(_) => Found::Input(1, None),
    }
}

/// What follows `ESC [`: parameters, then a final byte.
fn csi(rest: &[u8], at_end: bool) -> Found {
    const OPENING: usize = 2;
    // The Linux console's F1 to F5.
    if rest == b"[" && !at_end {
        return Found::Incomplete;
    }
    if let [b'[', which, ..] = rest {
        let f = Key::plain(Code::F(which.wrapping_sub(b'A').wrapping_add(1)));
        return Found::Input(
            OPENING + 2,
            (b'A'..=b'E').contains(which).then_some(Input::Key(f)),
        );
    }
    let Some(length) = rest.iter().position(|byte| !(0x20..=0x3f).contains(byte)) else {
        return if at_end {
            Found::Input(OPENING + rest.len(), None)
        } else {
            Found::Incomplete
        };
    };
    let (parameters, last) = (&rest[..length], rest[length]);
    let used = OPENING + length + 1;
    if !(0x40..=0x7e).contains(&last) {
        // Broken off by a control; what follows is looked at for itself.
        return Found::Input(used - 1, None);
    }
    if (parameters, last) == (b"200", b'~') {
        return Found::PasteBegins(used);
    }
    if (parameters, last) == (b"", b'M') {
        // A mouse report of the oldest kind: three more bytes.
        return match rest.len() {
            4.. => Found::Input(used + 3, None),
            _ if at_end => Found::Input(OPENING + rest.len(), None),
            _ => Found::Incomplete,
        };
    }
    Found::Input(used, report(parameters, last))
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
    // The third kind of event is a key let go.
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

/// Numbers parted by `;`, each with its first part after `:`.
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

/// A key told by its character's number, as the newer protocols do.
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
        // The rest of the private area are keys like CapsLock.
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

/// What follows `ESC ]` and the like: a text up to BEL or `ESC \`.
fn string(opening: u8, rest: &[u8]) -> Found {
    const OPENING: usize = 2;
    for (at, byte) in rest.iter().enumerate() {
        let end = match (byte, rest.get(at + 1)) {
            (0x07, _) => at + 1,
            (&ESC, Some(b'\\')) => at + 2,
            (&ESC, None) => return Found::Incomplete,
            // Broken off; what follows is looked at for itself.
            (0..=0x1f, _) => return Found::Input(OPENING + at, None),
            _ => continue,
        };
        let input = (opening == b']').then(|| background(&rest[..at])).flatten();
        return Found::Input(OPENING + end, input);
    }
    Found::Incomplete
}

/// `11;rgb:1818/1818/1b1b`: whether that is light.
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pressed(key: Key) -> Vec<Input> {
        vec![Input::Key(key)]
    }

    fn decode(bytes: &[u8]) -> Vec<Input> {
        let mut decoder = Decoder::default();
        let mut found = decoder.feed(bytes);
        if decoder.patience().is_some() {
            found.extend(decoder.flush());
        }
        found
    }

    #[test]
    fn bytes_are_the_keys_that_were_pressed() {
        let plain = |code| pressed(Key::plain(code));
        for (bytes, expected) in [
            ("a", plain(Code::Char('a'))),
            ("é", plain(Code::Char('é'))),
            ("世", plain(Code::Char('世'))),
            ("\r", plain(Code::Enter)),
            ("\n", pressed(Key::ctrl(Code::Char('j')))),
            ("\x7f", plain(Code::Backspace)),
            ("\x03", pressed(Key::ctrl(Code::Char('c')))),
            ("\x1f", pressed(Key::ctrl(Code::Char('_')))),
            ("\x1b", plain(Code::Esc)),
            ("\x1ba", pressed(Key::alt(Code::Char('a')))),
            ("\x1bé", pressed(Key::alt(Code::Char('é')))),
            ("\x1b\r", pressed(Key::alt(Code::Enter))),
            ("\x1b[", pressed(Key::alt(Code::Char('[')))),
            ("\x1bO", pressed(Key::alt(Code::Char('O')))),
            ("\x1b]", pressed(Key::alt(Code::Char(']')))),
            ("\x1b[A", plain(Code::Up)),
            ("\x1bOA", plain(Code::Up)),
            ("\x1b[1;5A", pressed(Key::ctrl(Code::Up))),
            ("\x1b[1;3D", pressed(Key::alt(Code::Left))),
            ("\x1b\x1b[A", pressed(Key::alt(Code::Up))),
            ("\x1b[3~", plain(Code::Delete)),
            ("\x1b[5;5~", pressed(Key::ctrl(Code::PageUp))),
            ("\x1bOP", plain(Code::F(1))),
            ("\x1b[11~", plain(Code::F(1))),
            ("\x1b[[A", plain(Code::F(1))),
            ("\x1b[24~", plain(Code::F(12))),
            ("\x1b[Z", pressed(Key::shift(Code::Tab))),
            ("\x1b[27u", plain(Code::Esc)),
            ("\x1b[13;2u", pressed(Key::shift(Code::Enter))),
            ("\x1b[27;2;13~", pressed(Key::shift(Code::Enter))),
            ("\x1b[99;5u", pressed(Key::ctrl(Code::Char('c')))),
            ("\x1b[120;3u", pressed(Key::alt(Code::Char('x')))),
            ("\x1b[97;1:3u", vec![]),
            ("\x1b[57358u", vec![]),
            ("\x1b[I", vec![Input::Focus(true)]),
            ("\x1b[O", vec![Input::Focus(false)]),
            ("\x1b[<64;10;5M", vec![Input::Wheel(-1)]),
            ("\x1b[<65;10;5M", vec![Input::Wheel(1)]),
            ("\x1b[<0;10;5M", vec![Input::Click { column: 9, row: 4 }]),
            ("\x1b[<16;1;1M", vec![Input::Click { column: 0, row: 0 }]),
            // Let go, another button, moved; and nowhere.
            ("\x1b[<0;10;5m\x1b[<2;10;5M\x1b[<32;10;5M", vec![]),
            ("\x1b[<0;0;5M\x1b[<0;5M\x1b[<0;99999;1M", vec![]),
            ("\x1b[M !!", vec![]),
            ("\x1b[?1u", vec![Input::KeyboardProtocol]),
            (
                "\x1b]11;rgb:ffff/ffff/ffff\x1b\\",
                vec![Input::Background { light: true }],
            ),
            (
                "\x1b]11;rgb:18/18/1b\x07",
                vec![Input::Background { light: false }],
            ),
            ("\x1b]11;rgb:nonsense\x07", vec![]),
            ("\x1b]0;title\x07", vec![]),
            ("\x1bPanything\x1b\\", vec![]),
            ("\u{9b}", vec![]),
        ] {
            assert_eq!(decode(bytes.as_bytes()), expected, "{bytes:?}");
        }
        assert_eq!(decode(b"\xff\xc3("), pressed(Key::plain(Code::Char('('))));
    }

    #[test]
    fn an_escape_is_alone_only_when_nothing_follows_in_time() {
        let mut decoder = Decoder::default();
        assert_eq!(decoder.feed(b"\x1b"), vec![]);
        assert_eq!(decoder.patience(), Some(ESC_PATIENCE));
        assert_eq!(decoder.feed(b"[A"), pressed(Key::plain(Code::Up)));
        assert_eq!(decoder.patience(), None);
        assert_eq!(decoder.feed(b"\x1b"), vec![]);
        assert_eq!(decoder.flush(), pressed(Key::plain(Code::Esc)));
    }

    #[test]
    fn a_pasted_text_is_one_input_whatever_it_holds() {
        let text = "one\ntwo \x1b[A \x03 é";
        let bytes = format!("a\x1b[200~{text}\x1b[201~b");
        let expected = [
            pressed(Key::plain(Code::Char('a'))),
            vec![Input::Paste(text.to_owned())],
            pressed(Key::plain(Code::Char('b'))),
        ]
        .concat();
        assert_eq!(decode(bytes.as_bytes()), expected);
    }

    #[test]
    fn a_paste_is_bounded_and_ends_though_its_end_is_lost() {
        let mut decoder = Decoder::default();
        decoder.feed(b"\x1b[200~");
        for _ in 0..100 {
            assert_eq!(decoder.feed(&[b'x'; 4096]), vec![]);
            assert!(decoder.buffer.len() < 8192);
        }
        assert_eq!(decoder.patience(), Some(PASTE_PATIENCE));
        let found = decoder.flush();
        let [Input::Paste(text)] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert!(text.len() <= PASTE_BYTES_MAX + PASTE_END.len());
        assert_eq!(decoder.feed(b"a"), pressed(Key::plain(Code::Char('a'))));
    }

    #[test]
    fn a_sequence_without_an_end_is_given_up() {
        let mut decoder = Decoder::default();
        decoder.feed(b"\x1b]11;");
        for _ in 0..100 {
            decoder.feed(b"aaaaaaaaaaaaaaaa");
        }
        assert!(decoder.buffer.len() <= SEQUENCE_BYTES_MAX);
    }

    proptest! {
        #[test]
        fn bytes_split_anywhere_are_the_same_keys(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "a", "世", "\x1b[A", "\x1b[1;5C", "\x1bOP", "\x1bx", "\r", "\x1b\x1b[B",
                    "\x1b[200~pasted\ntext\x1b[201~", "\x1b]11;rgb:1/2/3\x07", "\x1b[<65;1;1M",
                    "\x1b[[A",
                ]),
                0..8,
            ),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..8),
        ) {
            let bytes = pieces.concat().into_bytes();
            let whole = Decoder::default().feed(&bytes);
            let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut decoder = Decoder::default();
            let parts: Vec<Input> = cuts
                .windows(2)
                .flat_map(|cut| decoder.feed(&bytes[cut[0]..cut[1]]))
                .collect();
            prop_assert_eq!(parts, whole);
        }

        #[test]
        fn any_bytes_are_taken(chunks in prop::collection::vec(any::<Vec<u8>>(), 0..8)) {
            let mut decoder = Decoder::default();
            for chunk in chunks {
                decoder.feed(&chunk);
            }
            decoder.flush();
            decoder.flush();
            prop_assert!(decoder.patience().is_none() || decoder.buffer.len() <= SEQUENCE_BYTES_MAX);
        }
    }
}
