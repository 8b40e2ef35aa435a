//! What was sent before, and the draft that waits while it is looked at.

use std::collections::VecDeque;

use super::Draft;

/// Texts that are kept; the oldest make room.
const TEXTS_MAX: usize = 200;

/// The texts, oldest first, and the one that is shown.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    texts: VecDeque<String>,
    /// Which text is shown, and what was being written before.
    shown: Option<(usize, Draft)>,
}

impl History {
    /// Adds the newest text, unless it is blank or repeats the one before.
    pub(super) fn remember(&mut self, text: &str) {
        if text.trim().is_empty() || self.texts.back().is_some_and(|last| last == text) {
            return;
        }
        if self.texts.len() == TEXTS_MAX {
            self.texts.pop_front();
        }
        self.texts.push_back(text.to_owned());
    }

    /// The text before the one that is shown. `draft` is kept if none is shown yet.
    pub(super) fn older(&mut self, draft: Draft) -> Option<&str> {
        let shown = self.shown.as_ref().map_or(self.texts.len(), |(at, _)| *at);
        let older = shown.checked_sub(1)?;
        let draft = self.shown.take().map_or(draft, |(_, draft)| draft);
        self.shown = Some((older, draft));
        self.texts.get(older).map(String::as_str)
    }

    /// The text after the one that is shown; after the newest the draft, and none is shown.
    pub(super) fn newer(&mut self) -> Option<Draft> {
        let (at, draft) = self.shown.take()?;
        let Some(text) = self.texts.get(at + 1) else {
            return Some(draft);
        };
        self.shown = Some((at + 1, draft));
        Some(Draft {
            text: text.clone(),
            cursor: text.len(),
        })
    }

    /// The draft that waits while a text is shown.
    pub(super) fn draft(&self) -> Option<&Draft> {
        self.shown.as_ref().map(|(_, draft)| draft)
    }

    /// None of the texts is shown any more.
    pub(super) fn leave(&mut self) {
        self.shown = None;
    }
}
