//! The table of keys. The update looks keys up here; the hint line, the help screen and the list in
//! docs/REFERENCE.md are written from it.

use super::{
    input::Edit,
    key::{Code, Key},
};

/// The action of a key. Its effect depends on which layers are open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the table below says what each does")]
pub enum Action {
    Send,
    NewLine,
    Complete,
    CompleteBack,
    Up,
    Down,
    PageUp,
    PageDown,
    RowUp,
    RowDown,
    Start,
    End,
    Unread,
    Search,
    GoTo,
    NextRoom,
    PreviousRoom,
    UnreadRoom,
    NextMention,
    PreviousMention,
    MarkRead,
    Inbox,
    LastRoom,
    /// The room at this place of the list, counted from 0.
    Room(u8),
    SideColumn,
    Home,
    EndOfLine,
    Help,
    RetryNow,
    SendAgain,
    TakeBack,
    Interrupt,
    Escape,
    Suspend,
    Redraw,
    Copy,
    Edit(Edit),
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Binding {
    /// Any of these keys triggers the action.
    pub keys: &'static [Key],
    /// The action.
    pub action: Action,
    /// The text of the help.
    pub help: &'static str,
}

/// Rows under one heading.
#[derive(Clone, Copy, Debug)]
pub struct Section {
    /// The heading.
    pub title: &'static str,
    /// The rows.
    pub bindings: &'static [Binding],
}

const fn row(keys: &'static [Key], action: Action, help: &'static str) -> Binding {
    Binding { keys, action, help }
}

const fn edit(keys: &'static [Key], edit: Edit, help: &'static str) -> Binding {
    Binding {
        keys,
        action: Action::Edit(edit),
        help,
    }
}

const fn plain(code: Code) -> Key {
    Key::plain(code)
}

const fn ctrl(c: char) -> Key {
    Key::ctrl(Code::Char(c))
}

const fn alt(c: char) -> Key {
    Key::alt(Code::Char(c))
}

/// The table.
pub const SECTIONS: &[Section] = &[
    Section {
        title: "Talk",
        bindings: &[
            row(&[plain(Code::Enter)], Action::Send, "send"),
            row(
                &[Key::alt(Code::Enter), Key::shift(Code::Enter), ctrl('j')],
                Action::NewLine,
                "new line",
            ),
            row(
                &[plain(Code::Tab)],
                Action::Complete,
                "complete a name or /command",
            ),
            row(
                &[Key::shift(Code::Tab)],
                Action::CompleteBack,
                "the completion before",
            ),
            row(&[plain(Code::Up)], Action::Up, "row up, or sent before"),
            row(
                &[plain(Code::Down)],
                Action::Down,
                "row down, or sent after",
            ),
            row(&[alt('s')], Action::SendAgain, "send again what failed"),
            row(&[alt('x')], Action::TakeBack, "take back what is not sent"),
        ],
    },
    Section {
        title: "Read",
        bindings: &[
            row(&[plain(Code::PageUp)], Action::PageUp, "page up"),
            row(&[plain(Code::PageDown)], Action::PageDown, "page down"),
            row(
                &[Key::ctrl(Code::Up), Key::alt(Code::Up)],
                Action::RowUp,
                "row up",
            ),
            row(
                &[Key::ctrl(Code::Down), Key::alt(Code::Down)],
                Action::RowDown,
                "row down",
            ),
            row(
                &[Key::ctrl(Code::Home), Key::alt(Code::Home)],
                Action::Start,
                "first message",
            ),
            row(
                &[Key::ctrl(Code::End), Key::alt(Code::End)],
                Action::End,
                "last message",
            ),
            row(&[alt('u')], Action::Unread, "first unread message"),
            row(&[ctrl('f')], Action::Search, "search"),
        ],
    },
    Section {
        title: "Between rooms",
        bindings: &[
            row(
                &[ctrl('g'), plain(Code::F(2))],
                Action::GoTo,
                "go to a room, person or command",
            ),
            row(&[ctrl('n')], Action::NextRoom, "next room"),
            row(&[ctrl('p')], Action::PreviousRoom, "previous room"),
            row(
                &[alt('a')],
                Action::UnreadRoom,
                "next room with something new",
            ),
            row(
                &[alt('n')],
                Action::NextMention,
                "next room that mentions you",
            ),
            row(
                &[alt('p')],
                Action::PreviousMention,
                "previous room that mentions you",
            ),
            row(&[alt('r')], Action::MarkRead, "mark read; again: undo"),
            row(
                &[plain(Code::F(3))],
                Action::Inbox,
                "messages that mention you",
            ),
            row(&[alt('/')], Action::LastRoom, "the room before"),
            row(
                &[
                    alt('1'),
                    alt('2'),
                    alt('3'),
                    alt('4'),
                    alt('5'),
                    alt('6'),
                    alt('7'),
                    alt('8'),
                    alt('9'),
                    alt('0'),
                ],
                Action::Room(0),
                "room 1 to 10 of the list",
            ),
            row(
                &[plain(Code::F(4)), alt('m')],
                Action::SideColumn,
                "show or hide the column",
            ),
        ],
    },
    Section {
        title: "Everything else",
        bindings: &[
            row(&[plain(Code::F(1))], Action::Help, "this help"),
            row(&[ctrl('r')], Action::RetryNow, "connect now"),
            row(
                &[plain(Code::Esc)],
                Action::Escape,
                "close; else disconnect",
            ),
            row(&[alt('c')], Action::Copy, "copy an invite, code or key"),
            row(&[ctrl('c')], Action::Interrupt, "clear; twice: disconnect"),
            row(&[ctrl('l')], Action::Redraw, "draw the screen again"),
            row(&[ctrl('z')], Action::Suspend, "suspend (fg comes back)"),
        ],
    },
    Section {
        title: "Write",
        bindings: &[
            edit(&[plain(Code::Left), ctrl('b')], Edit::Left, "left"),
            edit(&[plain(Code::Right)], Edit::Right, "right"),
            edit(
                &[alt('b'), Key::ctrl(Code::Left), Key::alt(Code::Left)],
                Edit::WordLeft,
                "word left",
            ),
            edit(
                &[alt('f'), Key::ctrl(Code::Right), Key::alt(Code::Right)],
                Edit::WordRight,
                "word right",
            ),
            row(
                &[plain(Code::Home)],
                Action::Home,
                "start of the line, or of all",
            ),
            row(
                &[plain(Code::End)],
                Action::EndOfLine,
                "end of the line, or of all",
            ),
            edit(&[ctrl('a')], Edit::Home, "start of the line"),
            edit(&[ctrl('e')], Edit::End, "end of the line"),
            edit(
                &[plain(Code::Backspace), ctrl('h')],
                Edit::Backspace,
                "delete left",
            ),
            edit(
                &[plain(Code::Delete), ctrl('d')],
                Edit::Delete,
                "delete right",
            ),
            edit(
                &[Key::alt(Code::Backspace), Key::ctrl(Code::Backspace)],
                Edit::KillWordLeft,
                "delete the word before",
            ),
            edit(&[ctrl('w')], Edit::KillToBlank, "delete back to a space"),
            edit(&[alt('d')], Edit::KillWordRight, "delete the word after"),
            edit(&[ctrl('u')], Edit::KillToStart, "delete to the start"),
            edit(
                &[ctrl('k')],
                Edit::KillToEnd,
                "delete to the end; go to, if empty",
            ),
            edit(&[ctrl('y')], Edit::Yank, "put back what was deleted"),
            edit(
                &[alt('y')],
                Edit::YankOlder,
                "then: what was deleted before",
            ),
            edit(&[ctrl('t')], Edit::Transpose, "exchange two characters"),
            edit(&[ctrl('_')], Edit::Undo, "undo"),
            edit(&[alt('_')], Edit::Redo, "redo"),
            edit(&[alt('<')], Edit::TextStart, "start of the text"),
            edit(&[alt('>')], Edit::TextEnd, "end of the text"),
        ],
    },
];

impl Binding {
    /// The keys as the help writes them. Those that go to the places of a list are a range.
    pub fn labels(&self) -> Vec<String> {
        match (self.action, self.keys) {
            (Action::Room(_), [first, .., last]) => vec![format!("{first} … {last}")],
            (_, keys) => keys.iter().map(ToString::to_string).collect(),
        }
    }
}

/// The action of a key.
pub fn action(key: Key) -> Option<Action> {
    let (binding, at) = bindings().find_map(|binding| {
        let mut keys = binding.keys.iter();
        Some((binding, keys.position(|other| *other == key)?))
    })?;
    Some(match binding.action {
        Action::Room(_) => Action::Room(u8::try_from(at).ok()?),
        action => action,
    })
}

/// The first key of an action, as the help writes it.
pub fn label(action: Action) -> String {
    bindings()
        .find(|binding| binding.action == action)
        .and_then(|binding| binding.keys.first())
        .map(Key::to_string)
        .unwrap_or_default()
}

/// Renders the table as Markdown, for docs/REFERENCE.md.
pub fn markdown() -> String {
    let section = |section: &Section| {
        let rows = section.bindings.iter().map(|binding| {
            let labels = binding.labels();
            let keys: Vec<String> = labels.iter().map(|key| format!("`{key}`")).collect();
            format!("| {} | {} |\n", keys.join(" "), binding.help)
        });
        format!("| **{}** | |\n", section.title) + &rows.collect::<String>()
    };
    let rows: String = SECTIONS.iter().map(section).collect();
    format!("| key | does |\n|---|---|\n{rows}")
}

fn bindings() -> impl Iterator<Item = &'static Binding> {
    SECTIONS.iter().flat_map(|section| section.bindings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_key_has_two_meanings() {
        let mut seen = std::collections::HashSet::new();
        for key in bindings().flat_map(|binding| binding.keys) {
            assert!(seen.insert(key), "{key} stands twice in the table");
        }
    }

    #[test]
    fn every_row_has_a_key_and_a_help() {
        for binding in bindings() {
            assert!(!binding.keys.is_empty() && !binding.help.is_empty());
        }
    }
}
