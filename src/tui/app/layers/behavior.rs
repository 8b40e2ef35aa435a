//! What every layer has to say: its place, its keys, its text field, its words.

use crate::{
    client::event::Security,
    tui::{
        app::{HostChoice, composer::Composer, escape::Escape, layout::Layout, pane::Pane},
        key::Key,
        keymap::{Action, label},
    },
};

/// The place of a layer in the stack, from the lowest. There is at most one layer of each rank.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rank {
    /// A search, which a lost connection need not close.
    Search,
    /// A prompt, which may open while a dialog is being read.
    Prompt,
    /// A dialog, which gets every key.
    Dialog,
}

/// A key that was pressed.
#[derive(Clone, Copy, Debug)]
pub struct Press {
    /// The key.
    pub key: Key,
    /// What it asks for, by the table of keys.
    pub action: Option<Action>,
}

/// What a layer made of a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOutcome {
    /// The layer dealt with it.
    Taken,
    /// The key is for the pane.
    Passed,
    /// The layer closes.
    Close,
    /// The layer closes, and the text goes to where text is written.
    Insert(String),
    /// The user leaves, and the server that we host goes on or ends.
    Host(HostChoice),
    /// The user leaves.
    Leave,
    /// The prompt is answered with what is written.
    Answer,
    /// The search does what Enter asks for: it begins, or leads to the chosen hit.
    Enter,
    /// The chosen hit is another: there may be more to search for.
    Further,
}

/// A key and what it does now.
pub type Hint = (String, &'static str);

/// A hint for the key of an action.
pub fn hint(action: Action, words: &'static str) -> Hint {
    (label(action), words)
}

/// The text field of a layer.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// The text being written.
    pub composer: &'a Composer,
    /// What stands before it.
    pub sign: &'static str,
    /// What stands in it while it is empty, from wordy to brief.
    pub placeholder: &'static [&'static str],
    /// Whether dots are shown for its characters.
    pub masked: bool,
}

/// What a layer shows, and how it takes keys.
pub trait LayerBehavior {
    /// Its place in the stack.
    fn rank(&self) -> Rank;
    /// Takes a key that was pressed while it is on top.
    fn handle_key(&mut self, press: Press, layout: &Layout) -> KeyOutcome;
    /// What Esc does; `None`: what it does in the pane.
    fn escape(&self, pane: &Pane) -> Option<Escape>;
    /// Its text field.
    fn input(&self) -> Option<Input<'_>> {
        None
    }
    /// The text of its text field, to be changed.
    fn composer_mut(&mut self) -> Option<&mut Composer> {
        None
    }
    /// What it asks above the input, from wordy to brief.
    fn question(&self, _security: Option<Security>) -> Option<Vec<String>> {
        None
    }
    /// Its keys, for the line of hints.
    fn hints(&self) -> Option<Vec<Hint>> {
        None
    }
}
