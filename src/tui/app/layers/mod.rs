//! Layers over the conversation: a search, a prompt, and dialogs such as the help. They form a
//! stack, and the top one gets each key; a key that it passes on goes to the pane.
//!
//! - [`search`], [`search_results`]: a search and the list of what it found.
//! - [`prompt`]: what the server needs to let us in.
//! - [`help`], [`paste`], [`host`]: dialogs.
//!
//! A further layer is a file here that implements [`LayerBehavior`], a variant of [`Layer`] with its
//! arms in this file, and, where it draws something of its own, a variant of [`Body`]. It knows the
//! model by what it is given only; what it wants done, its [`KeyOutcome`] says.

mod behavior;
pub mod help;
pub mod host;
pub mod paste;
pub mod prompt;
pub mod search;
pub mod search_results;

pub use self::behavior::{Hint, Input, KeyOutcome, LayerBehavior, Press, Rank, hint};

use self::{
    help::HelpScreen, host::HostQuestion, paste::PasteQuestion, prompt::Prompt, search::Search,
};
use super::{composer::Composer, layout::Layout};
use crate::client::event::Security;

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

    /// Has the top layer take a key.
    pub fn handle_key(&mut self, press: Press, layout: &Layout) -> KeyOutcome {
        let Some(layer) = self.stack.last_mut() else {
            return KeyOutcome::Passed;
        };
        match layer.behavior_mut().handle_key(press, layout) {
            KeyOutcome::Close => {
                self.stack.pop();
                KeyOutcome::Taken
            }
            KeyOutcome::Insert(text) => {
                self.stack.pop();
                KeyOutcome::Insert(text)
            }
            other => other,
        }
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
        let body = self.stack.iter().rev().find_map(|layer| match layer {
            Layer::Help(help) => Some(Body::Help(help)),
            Layer::Prompt(_) => Some(Body::Conversation),
            Layer::Search(search) => search.listed.then_some(Body::Results(search)),
            Layer::Paste(_) | Layer::Host(_) => None,
        });
        body.unwrap_or(Body::Conversation)
    }

    /// What the topmost layer asks that asks something.
    pub fn question(&self, security: Option<Security>) -> Option<Vec<String>> {
        self.downwards().find_map(|layer| layer.question(security))
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
