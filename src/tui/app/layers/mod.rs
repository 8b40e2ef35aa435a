//! Layers over the conversation: a search, a prompt, and dialogs such as the help. They form a
//! stack, and the top one gets each key; a key that it passes on goes to the pane.
//!
//! - [`search`], [`search_results`]: a search and the list of what it found.
//! - [`prompt`]: what the server needs to let us in.
//! - [`help`], [`paste`], [`host`]: dialogs.
//!
//! A further layer is a file here that implements [`LayerBehavior`], a variant of [`Layer`], and,
//! where it draws something of its own, a variant of [`Body`].

pub mod help;
pub mod host;
pub mod paste;
pub mod prompt;
pub mod search;
pub mod search_results;

use self::{
    help::HelpScreen, host::HostQuestion, paste::PasteQuestion, prompt::Prompt, search::Search,
};
use super::{Effect, Model, composer::Composer, keys::Escape, pane::Pane};
use crate::tui::{
    key::Key,
    keymap::{Action, label},
};

/// Something open over the conversation.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there are three at most")]
pub enum Layer {
    /// A search.
    Search(Search),
    /// Asks for what the server needs to let us in.
    Prompt(Prompt),
    /// All keys and commands.
    Help(HelpScreen),
    /// Asks whether a large text is to be inserted.
    Paste(PasteQuestion),
    /// Asks what becomes of the server that we host.
    Host(HostQuestion),
}

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

/// What a layer did with a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyOutcome {
    /// The layer dealt with it.
    Taken,
    /// The key is for the pane.
    Passed,
}

/// Takes a key that was pressed while the layer is on top.
pub type KeyHandler = fn(&mut Model, Press, &mut Vec<Effect>) -> KeyOutcome;

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

/// What stands between the title and the input.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// The pane's timeline.
    Conversation,
    /// The help.
    Help(&'a HelpScreen),
    /// What a search found.
    Results(&'a Search),
}

/// What a layer shows, and how it takes keys.
pub trait LayerBehavior {
    /// Its place in the stack.
    fn rank(&self) -> Rank;
    /// What takes the keys.
    fn key_handler(&self) -> KeyHandler;
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
    /// What it shows in the place of the conversation; `None`: what the layer below shows.
    fn body(&self) -> Option<Body<'_>> {
        None
    }
    /// What it asks above the input, from wordy to brief.
    fn question(&self, _model: &Model) -> Option<Vec<String>> {
        None
    }
    /// Its keys, for the line of hints.
    fn hints(&self) -> Option<Vec<Hint>> {
        None
    }
}

impl Layer {
    /// What it shows, and how it takes keys.
    pub fn behavior(&self) -> &dyn LayerBehavior {
        match self {
            Self::Search(search) => search,
            Self::Prompt(prompt) => prompt,
            Self::Help(help) => help,
            Self::Paste(paste) => paste,
            Self::Host(host) => host,
        }
    }

    fn behavior_mut(&mut self) -> &mut dyn LayerBehavior {
        match self {
            Self::Search(search) => search,
            Self::Prompt(prompt) => prompt,
            Self::Help(help) => help,
            Self::Paste(paste) => paste,
            Self::Host(host) => host,
        }
    }
}

/// The layers that are open.
#[derive(Debug, Default)]
pub struct Layers {
    /// From the lowest to the top one.
    stack: Vec<Layer>,
}

impl Layers {
    /// Opens a layer at the place of its rank, instead of the one that is open there.
    pub fn open(&mut self, layer: Layer) {
        let rank = layer.behavior().rank();
        self.close(rank);
        let below = |other: &Layer| other.behavior().rank() < rank;
        let at = self.stack.partition_point(below);
        self.stack.insert(at, layer);
    }

    /// Closes the layer of a rank, if one is open.
    pub fn close(&mut self, rank: Rank) -> Option<Layer> {
        let mut layers = self.stack.iter();
        let at = layers.position(|layer| layer.behavior().rank() == rank)?;
        Some(self.stack.remove(at))
    }

    /// The layer that gets the keys.
    pub fn top(&self) -> Option<&Layer> {
        self.stack.last()
    }

    /// The dialog that is open.
    pub fn dialog(&self) -> Option<&Layer> {
        self.top()
            .filter(|layer| layer.behavior().rank() == Rank::Dialog)
    }

    /// The same, to be changed.
    pub fn dialog_mut(&mut self) -> Option<&mut Layer> {
        self.stack
            .last_mut()
            .filter(|layer| layer.behavior().rank() == Rank::Dialog)
    }

    /// The search that is open.
    pub fn search(&self) -> Option<&Search> {
        self.stack.iter().find_map(|layer| match layer {
            Layer::Search(search) => Some(search),
            _ => None,
        })
    }

    /// The same, to be changed.
    pub fn search_mut(&mut self) -> Option<&mut Search> {
        self.stack.iter_mut().find_map(|layer| match layer {
            Layer::Search(search) => Some(search),
            _ => None,
        })
    }

    /// The prompt that is open.
    pub fn prompt(&self) -> Option<&Prompt> {
        self.stack.iter().find_map(|layer| match layer {
            Layer::Prompt(prompt) => Some(prompt),
            _ => None,
        })
    }

    /// The same, to be changed.
    pub fn prompt_mut(&mut self) -> Option<&mut Prompt> {
        self.stack.iter_mut().find_map(|layer| match layer {
            Layer::Prompt(prompt) => Some(prompt),
            _ => None,
        })
    }

    /// The text field of the topmost layer that has one.
    pub fn input(&self) -> Option<Input<'_>> {
        self.downwards().find_map(LayerBehavior::input)
    }

    /// The text in it, to be changed.
    pub fn composer_mut(&mut self) -> Option<&mut Composer> {
        let mut layers = self.stack.iter_mut().rev();
        layers.find_map(|layer| layer.behavior_mut().composer_mut())
    }

    /// What stands between the title and the input.
    pub fn body(&self) -> Body<'_> {
        let body = self.downwards().find_map(LayerBehavior::body);
        body.unwrap_or(Body::Conversation)
    }

    /// What the topmost layer asks that asks something.
    pub fn question(&self, model: &Model) -> Option<Vec<String>> {
        self.downwards().find_map(|layer| layer.question(model))
    }

    /// The keys of the topmost layer that has some of its own.
    pub fn hints(&self) -> Option<Vec<Hint>> {
        self.downwards().find_map(LayerBehavior::hints)
    }

    /// The layers from the top down.
    fn downwards(&self) -> impl Iterator<Item = &dyn LayerBehavior> {
        self.stack.iter().rev().map(Layer::behavior)
    }
}
