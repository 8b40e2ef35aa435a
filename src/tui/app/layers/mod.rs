//! Layers over the conversation: a search, a prompt, and dialogs such as the help. They form a
//! stack, and the top one gets each key; a key that it passes on goes to the pane.
//!
//! - [`search`], [`search_results`]: a search and the list of what it found.
//! - [`prompt`]: asks for what the server needs to admit us.
//! - [`help`], [`paste`], [`host`]: dialogs; [`picker`]: a list to choose from, also one;
//!   [`server_list`]: the part of it that comes from the server.
//!
//! A further layer is a file here that implements [`LayerBehavior`], a variant of [`Layer`] with
//! its arms in this file, and, if it draws something of its own, a variant of [`Body`]. A layer
//! does not see the model; it asks for changes by its [`KeyOutcome`].

mod behavior;
pub mod help;
pub mod host;
pub mod paste;
pub mod picker;
pub mod prompt;
pub mod search;
pub mod search_results;
pub mod server_list;

pub use self::behavior::{Hint, Input, KeyOutcome, LayerBehavior, Press, Rank, hint};

use self::{
    help::HelpScreen, host::HostQuestion, paste::PasteQuestion, picker::Picker, prompt::Prompt,
    search::Search,
};
use super::{composer::Composer, layout::Layout};
use crate::client::event::Security;

/// A layer over the conversation.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there are three at most")]
pub enum Layer {
    /// A search.
    Search(Search),
    /// A prompt for what the server needs to admit us.
    Prompt(Prompt),
    /// The list of all keys and commands.
    Help(HelpScreen),
    /// The question whether a large text is to be inserted.
    Paste(PasteQuestion),
    /// A list to choose from.
    Picker(Picker),
    /// The question whether the hosted server is to keep running.
    Host(HostQuestion),
}

/// The content between the title and the input.
#[derive(Clone, Copy, Debug)]
pub enum Body<'a> {
    /// The pane's timeline.
    Conversation,
    /// The help.
    Help(&'a HelpScreen),
    /// The results of a search.
    Results(&'a Search),
}

impl Layer {
    /// The layer as a trait object.
    pub fn behavior(&self) -> &dyn LayerBehavior {
        match self {
            Self::Search(search) => search,
            Self::Prompt(prompt) => prompt,
            Self::Help(help) => help,
            Self::Paste(paste) => paste,
            Self::Picker(picker) => picker,
            Self::Host(host) => host,
        }
    }

    fn behavior_mut(&mut self) -> &mut dyn LayerBehavior {
        match self {
            Self::Search(search) => search,
            Self::Prompt(prompt) => prompt,
            Self::Help(help) => help,
            Self::Paste(paste) => paste,
            Self::Picker(picker) => picker,
            Self::Host(host) => host,
        }
    }
}

/// The stack of open layers.
#[derive(Debug, Default)]
pub struct Layers {
    /// From the lowest to the top one.
    stack: Vec<Layer>,
}

impl Layers {
    /// Opens a layer; it replaces an open one of the same rank.
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

    /// Gives a key to the top layer.
    pub fn handle_key(&mut self, press: Press, layout: &Layout) -> KeyOutcome {
        let Some(layer) = self.stack.last_mut() else {
            return KeyOutcome::Passed;
        };
        match layer.behavior_mut().handle_key(press, layout) {
            KeyOutcome::Close => {
                self.stack.pop();
                KeyOutcome::Taken
            }
            outcome @ (KeyOutcome::Insert(_) | KeyOutcome::Choose(_)) => {
                self.stack.pop();
                outcome
            }
            other => other,
        }
    }

    /// The top layer, which gets the keys.
    pub fn top(&self) -> Option<&Layer> {
        self.stack.last()
    }

    /// The open dialog.
    pub fn dialog(&self) -> Option<&Layer> {
        self.top()
            .filter(|layer| layer.behavior().rank() == Rank::Dialog)
    }

    /// Whether a question is open.
    pub fn asks(&self) -> bool {
        matches!(self.top(), Some(Layer::Paste(_) | Layer::Host(_)))
    }

    /// The open list to choose from.
    pub fn picker(&self) -> Option<&Picker> {
        match self.top() {
            Some(Layer::Picker(picker)) => Some(picker),
            _ => None,
        }
    }

    /// The open list to choose from, mutable.
    pub fn picker_mut(&mut self) -> Option<&mut Picker> {
        match self.stack.last_mut() {
            Some(Layer::Picker(picker)) => Some(picker),
            _ => None,
        }
    }

    /// The open search.
    pub fn search(&self) -> Option<&Search> {
        self.stack.iter().find_map(|layer| match layer {
            Layer::Search(search) => Some(search),
            _ => None,
        })
    }

    /// The open search, mutable.
    pub fn search_mut(&mut self) -> Option<&mut Search> {
        self.stack.iter_mut().find_map(|layer| match layer {
            Layer::Search(search) => Some(search),
            _ => None,
        })
    }

    /// The open prompt.
    pub fn prompt(&self) -> Option<&Prompt> {
        self.stack.iter().find_map(|layer| match layer {
            Layer::Prompt(prompt) => Some(prompt),
            _ => None,
        })
    }

    /// The open prompt, mutable.
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

    /// The text of that field.
    pub fn composer_mut(&mut self) -> Option<&mut Composer> {
        let mut layers = self.stack.iter_mut().rev();
        layers.find_map(|layer| layer.behavior_mut().composer_mut())
    }

    /// The content between the title and the input.
    pub fn body(&self) -> Body<'_> {
        let body = self.stack.iter().rev().find_map(|layer| match layer {
            Layer::Help(help) => Some(Body::Help(help)),
            Layer::Prompt(_) => Some(Body::Conversation),
            Layer::Search(search) => search.listed.then_some(Body::Results(search)),
            Layer::Paste(_) | Layer::Host(_) | Layer::Picker(_) => None,
        });
        body.unwrap_or(Body::Conversation)
    }

    /// The question of the topmost layer that asks one.
    pub fn question(&self, security: Option<Security>) -> Option<Vec<String>> {
        self.downwards().find_map(|layer| layer.question(security))
    }

    /// The hints of the topmost layer that has some.
    pub fn hints(&self) -> Option<Vec<Hint>> {
        self.downwards().find_map(LayerBehavior::hints)
    }

    /// The layers from the top down.
    fn downwards(&self) -> impl Iterator<Item = &dyn LayerBehavior> {
        self.stack.iter().rev().map(Layer::behavior)
    }
}
