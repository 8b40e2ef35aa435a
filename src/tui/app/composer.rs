//! The text being written: its editor and completions.

use std::ops::Range;

use jiff::Timestamp;
use unicode_segmentation::UnicodeSegmentation;

use crate::{
    protocol::MessageId,
    tui::input::{Draft, Edit, EditOutcome, Editor},
};

/// Shown in place of each character of a password.
const DOT: &str = "•";

/// The most completions that are offered at once.
const OPTIONS_MAX: usize = 64;

/// The commands before whose argument names of rooms are completed.
const GOES_TO_ROOM: &[&str] = &["/join", "/go", "/peek", "/rooms"];

/// The text being written.
#[derive(Debug, Default)]
pub struct Composer {
    /// The editor.
    pub editor: Editor,
    /// Completions that are offered.
    pub completion: Option<Completion>,
    /// The message that is being edited.
    editing: Option<Editing>,
}

/// A message of ours whose text is in the input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Editing {
    /// The message.
    pub target: MessageId,
    /// Its time.
    pub time: Timestamp,
    /// Its text.
    pub text: String,
    /// The draft that was in the input before.
    draft: Draft,
}

/// The completions that are offered for a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Completion {
    /// The words.
    pub options: Vec<String>,
    /// The index of the one that is in the text.
    pub chosen: usize,
    /// Its range in the text.
    range: Range<usize>,
}

impl Composer {
    /// The text.
    pub fn text(&self) -> &str {
        self.editor.text()
    }

    /// Whether nothing is written.
    pub fn is_empty(&self) -> bool {
        self.editor.is_empty()
    }

    /// Rows of the text at a width, at least one.
    pub fn rows(&self, columns: u16) -> u16 {
        let rows = self.editor.layout(usize::from(columns)).rows.len();
        u16::try_from(rows).unwrap_or(u16::MAX).max(1)
    }

    /// A copy of the editor that shows a dot for each character.
    pub fn masked(&self) -> Editor {
        let dots = |text: &str| DOT.repeat(text.graphemes(true).count());
        let (text, cursor) = (self.text(), self.editor.cursor());
        let mut editor = Editor::new();
        editor.restore(&Draft {
            text: dots(text),
            cursor: dots(&text[..cursor]).len(),
        });
        editor
    }

    /// Edits.
    pub fn edit(&mut self, edit: Edit) -> EditOutcome {
        self.completion = None;
        self.editor.apply(edit)
    }

    /// Inserts at the cursor.
    pub fn insert(&mut self, text: &str) -> EditOutcome {
        self.completion = None;
        self.editor.insert(text)
    }

    /// Replaces the text.
    pub fn set(&mut self, text: &str) -> EditOutcome {
        self.completion = None;
        self.editor.set_text(text)
    }

    /// Empties the text and keeps it in the history.
    pub fn put_aside(&mut self) {
        self.completion = None;
        self.editor.take();
    }

    /// The message that is being edited.
    pub fn editing(&self) -> Option<&Editing> {
        self.editing.as_ref()
    }

    /// Puts the text of a message into the input, to be edited; `written` is what the user has made
    /// of it. The draft waits.
    pub fn begin_editing(&mut self, target: MessageId, time: Timestamp, text: &str, written: &str) {
        let draft = self.end_editing().unwrap_or_else(|| self.editor.draft());
        self.completion = None;
        self.editor.restore(&Draft {
            text: written.to_owned(),
            cursor: written.len(),
        });
        self.editing = Some(Editing {
            target,
            time,
            text: text.to_owned(),
            draft,
        });
    }

    /// Ends the editing: the draft comes back. Returns it, if a message was being edited.
    pub fn end_editing(&mut self) -> Option<Draft> {
        let Editing { draft, .. } = self.editing.take()?;
        self.completion = None;
        self.editor.restore(&draft);
        Some(draft)
    }

    /// The draft worth keeping.
    pub fn draft(&self) -> Draft {
        match &self.editing {
            Some(editing) => editing.draft.clone(),
            None => self.editor.draft(),
        }
    }

    /// Removes texts that were erased from the input's history and from the draft that waits.
    pub fn forget(&mut self, erased: impl Fn(&str) -> bool) {
        if let Some(editing) = &mut self.editing
            && erased(&editing.draft.text)
        {
            editing.draft = Draft::default();
        }
        self.editor.forget(erased);
    }

    /// Puts a message that was taken back into the input; into its history, if another text is being
    /// written.
    pub fn take_back(&mut self, text: &str) {
        if self.is_empty() && self.editing.is_none() {
            let _fits_as_it_was_sent = self.set(text);
        } else {
            self.editor.remember(text);
        }
    }

    /// Puts a text into the input's history.
    pub fn remember(&mut self, text: &str) {
        self.editor.remember(text);
    }

    /// Completes the word before the cursor, or takes the next completion. After a command that goes
    /// to a room, names of rooms are among the words.
    pub fn complete<'a>(
        &mut self,
        forward: bool,
        nicknames: impl Iterator<Item = &'a str>,
        rooms: &'a [String],
    ) {
        let Some(mut completion) = self.completion.take() else {
            return self.begin_completion(nicknames, rooms);
        };
        let count = completion.options.len();
        completion.chosen = (completion.chosen + if forward { 1 } else { count - 1 }) % count;
        let option = &completion.options[completion.chosen];
        if self.editor.replace(completion.range.clone(), option) == EditOutcome::TooLong {
            return;
        }
        completion.range.end = completion.range.start + option.len();
        self.completion = Some(completion);
    }

    fn begin_completion<'a>(
        &mut self,
        nicknames: impl Iterator<Item = &'a str>,
        rooms: &'a [String],
    ) {
        let before = &self.text()[..self.editor.cursor()];
        let start = before
            .char_indices()
            .rev()
            .find(|(_, c)| c.is_whitespace())
            .map_or(0, |(at, c)| at + c.len_utf8());
        let word = &before[start..];
        let options: Vec<String> = if start == 0 && word.starts_with('/') {
            let mut names: Vec<_> = crate::tui::commands::all()
                .map(|command| format!("/{} ", command.name))
                .filter(|name| name.starts_with(word))
                .collect();
            names.dedup();
            names
        } else {
            let wanted = word.trim_start_matches(['@', '#']).to_lowercase();
            let at = if word.starts_with('@') { "@" } else { "" };
            let after = if start == 0 && at.is_empty() {
                ": "
            } else {
                " "
            };
            let goes = before[..start].trim_end();
            let goes = GOES_TO_ROOM.contains(&goes);
            let rooms = rooms.iter().map(String::as_str);
            let rooms = rooms.filter(|_| goes && at.is_empty());
            rooms
                .chain(nicknames)
                .filter(|name| name.to_lowercase().starts_with(&wanted))
                .map(|name| format!("{at}{name}{after}"))
                .take(OPTIONS_MAX)
                .collect()
        };
        let Some(first) = options.first() else {
            return;
        };
        if word.is_empty() {
            return;
        }
        let range = start..start + first.len();
        let word = start..start + word.len();
        if self.editor.replace(word, first) != EditOutcome::TooLong && options.len() > 1 {
            self.completion = Some(Completion {
                options,
                chosen: 0,
                range,
            });
        }
    }
}
