//! The history of sent texts, and the draft that waits while one of them is shown.

use std::collections::VecDeque;

use super::Draft;

/// The most texts that are kept; the oldest are dropped.
const TEXTS_MAX: usize = 200;

/// The texts, oldest first, and the shown one.
#[derive(Clone, Debug, Default)]
pub(super) struct History {
    texts: VecDeque<String>,
    /// The index of the shown text, and the draft.
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

    /// The text before the shown one. `draft` is kept if none is shown yet.
    pub(super) fn older(&mut self, draft: Draft) -> Option<&str> {
        let shown = self.shown.as_ref().map_or(self.texts.len(), |(at, _)| *at);
        let older = shown.checked_sub(1)?;
        let draft = self.shown.take().map_or(draft, |(_, draft)| draft);
        self.shown = Some((older, draft));
        self.texts.get(older).map(String::as_str)
    }

    /// The text after the shown one; after the newest, the draft.
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

    /// Removes texts, and shows none any more if there were any. Returns whether there were.
    pub(super) fn forget(&mut self, erased: impl Fn(&str) -> bool) -> bool {
        let before = self.texts.len();
        self.texts.retain(|text| !erased(text));
        let any = self.texts.len() < before;
        if any {
            self.leave();
        }
        any
    }

    /// Shows none of the texts any more.
    pub(super) fn leave(&mut self) {
        self.shown = None;
    }
}
