//! Counts messages for the summary at exit.

use unicode_segmentation::UnicodeSegmentation;

use crate::{client::event::Summary, text::Body};

/// Messages sent and received so far.
#[derive(Debug, Default)]
pub(super) struct Stats(Summary);

impl Stats {
    /// Counts a message of this user: it is in the log, or was written to a legacy server.
    pub(super) fn sent(&mut self, body: &Body) {
        self.0.messages_sent += 1;
        self.0.characters_sent += characters(body.as_str());
    }

    /// Counts a message from another user.
    pub(super) fn received(&mut self, words: &str) {
        self.0.messages_received += 1;
        self.0.characters_received += characters(words);
    }

    /// The figures, with the number of messages without an outcome.
    pub(super) fn summary(&self, unsent: usize) -> Summary {
        Summary {
            unsent: unsent as u64,
            ..self.0
        }
    }
}

fn characters(words: &str) -> u64 {
    words.graphemes(true).count() as u64
}
