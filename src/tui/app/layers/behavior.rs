//! The trait of all layers: rank, keys, text field, texts.

use super::picker::Choice;
use crate::{
    client::event::Security,
    tui::{
        app::{HostChoice, composer::Composer, escape::Escape, layout::Layout, pane::Pane},
        key::Key,
        keymap::{Action, label},
    },
};

/// The position of a layer in the stack, from the lowest. At most one layer of each rank is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A search, which stays open when the connection is lost.
    Search,
    /// A prompt, which may open while a dialog is open.
    Prompt,
    /// A dialog, which gets every key.
    Dialog,
}

/// A key that was pressed.
#[derive(Clone, Copy, Debug)]
pub struct Press {
    /// The key.
    pub key: Key,
    /// Its action by the table of keys.
    pub action: Option<Action>,
}

/// The outcome of a key in a layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOutcome {
    /// The layer has handled the key.
    Taken,
    /// The key goes on to the pane.
    Passed,
    /// The layer closes.
    Close,
    /// The layer closes, and the text is inserted into the text being written.
    Insert(String),
    /// The user leaves, and the hosted server keeps running or ends.
    Host(HostChoice),
    /// The user leaves.
    Leave,
    /// The typed answer to the prompt is sent.
    Answer,
    /// Enter in the search: starts it, or goes to the chosen hit.
    Enter,
    /// Another hit was chosen: the search may have to go on.
    Further,
    /// The layer closes, and an entry of its list was chosen.
    Choose(Choice),
}

/// A key and its effect now.
pub type Hint = (String, &'static str);

/// A hint for an action, with its key.
pub fn hint(action: Action, words: &'static str) -> Hint {
    (label(action), words)
}

/// The text field of a layer.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The text being written.
    pub composer: &'a Composer,
    /// The sign before the text.
    pub sign: &'static str,
    /// The text shown while it is empty, from long to short.
    pub placeholder: &'static [&'static str],
    /// Whether each character is shown as a dot.
    pub masked: bool,
}

/// A layer: its texts, and how it handles keys.
pub trait LayerBehavior {
    /// Its rank.
    fn rank(&self) -> Rank;
    /// Handles a key that was pressed while it is on top.
    fn handle_key(&mut self, press: Press, layout: &Layout) -> KeyOutcome;
    /// The effect of Esc; `None`: the same as in the pane.
    fn escape(&self, pane: &Pane) -> Option<Escape>;
    /// Its text field.
    fn input(&self) -> Option<Input<'_>> {
        None
    }
    /// The text of its text field.
    fn composer_mut(&mut self) -> Option<&mut Composer> {
        None
    }
    /// The question above the input, from long to short.
    fn question(&self, _security: Option<Security>) -> Option<Vec<String>> {
        None
    }
    /// Its keys, for the hint line.
    fn hints(&self) -> Option<Vec<Hint>> {
        None
    }
}
