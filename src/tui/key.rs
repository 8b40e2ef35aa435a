//! A key press as the application sees it: independent of the terminal library, so that a test, a
//! terminal and a remote session can all press keys.

use std::fmt;

/// A key with its modifiers. Shift is set only for keys that have no shifted character.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key {
    /// The key itself.
    pub code: Code,
    /// Ctrl was held.
    pub ctrl: bool,
    /// Alt (Option, Meta) was held.
    pub alt: bool,
    /// Shift was held, with a key that is not a character.
    pub shift: bool,
}

/// Which key was pressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "each is named after the key")]
pub enum Code {
    Char(char),
    Enter,
    Tab,
    Backspace,
    Delete,
    Insert,
    Esc,
    Up,
    Down,
    Left,
    Right,
    Home,
    End,
    PageUp,
    PageDown,
    F(u8),
}

impl Key {
    /// The key without modifiers.
    pub const fn plain(code: Code) -> Self {
        Self {
            code,
            ctrl: false,
            alt: false,
            shift: false,
        }
    }

    /// With Ctrl.
    pub const fn ctrl(code: Code) -> Self {
        Self {
            ctrl: true,
            ..Self::plain(code)
        }
    }

    /// With Alt.
    pub const fn alt(code: Code) -> Self {
        Self {
            alt: true,
            ..Self::plain(code)
        }
    }

    /// With Shift.
    pub const fn shift(code: Code) -> Self {
        Self {
            shift: true,
            ..Self::plain(code)
        }
    }

    /// The character that this key types, if any.
    pub fn typed(self) -> Option<char> {
        match self.code {
            Code::Char(c) if !self.ctrl && !self.alt => Some(c),
            _ => None,
        }
    }
}

impl fmt::Display for Key {
    /// Writes the key as the help and docs/REFERENCE.md do: `Alt-Enter`, `Ctrl-K`, `PgUp`.
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for (held, name) in [
            (self.ctrl, "Ctrl-"),
            (self.alt, "Alt-"),
            (self.shift, "Shift-"),
        ] {
            if held {
                text.push_str(name);
            }
        }
        match self.code {
            Code::Char(' ') => text.push_str("Space"),
            Code::Char(c) if self.ctrl || self.alt => text.extend(c.to_uppercase()),
            Code::Char(c) => text.push(c),
            Code::PageUp => text.push_str("PgUp"),
            Code::PageDown => text.push_str("PgDn"),
            Code::F(n) => text.extend(["F", &n.to_string()]),
            other => return out.pad(&format!("{text}{other:?}")),
        }
        out.pad(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_as_in_the_help() {
        for (key, expected) in [
            (Key::ctrl(Code::Char('k')), "Ctrl-K"),
            (Key::alt(Code::Enter), "Alt-Enter"),
            (Key::plain(Code::PageUp), "PgUp"),
            (Key::plain(Code::F(1)), "F1"),
            (Key::shift(Code::Tab), "Shift-Tab"),
            (Key::plain(Code::Char('x')), "x"),
        ] {
            assert_eq!(key.to_string(), expected);
        }
    }
}
