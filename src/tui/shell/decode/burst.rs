//! Keys that come faster than anybody types, from a terminal that does not mark what is pasted.
//!
//! | what comes | what it is |
//! |---|---|
//! | Enter by itself | a key, at once |
//! | Enter with text right before it | a key, once nothing has followed for [`QUIET`] |
//! | Enter with text behind it | pasted lines, with all the text that came with them: told once nothing has followed for [`QUIET`] |
//! | several keys with an Enter, or several of text, within [`GOES_ON`] of pasted lines | more of them |
//! | any key that is no text, between those | itself; the lines before it are told first |
//!
//! Text alone is never kept waiting. `\r\n` is one Enter.

use std::time::Duration;

use super::{Input, PASTE_BYTES_MAX};
use crate::tui::key::{Code, Key};

/// Keys that come within so short a time of each other were not typed by hand.
const TOGETHER: Duration = Duration::from_millis(10);
/// After so long without another key, what came together has ended.
pub(super) const QUIET: Duration = Duration::from_millis(50);
/// For so long after pasted lines, more of them may come.
const GOES_ON: Duration = Duration::from_secs(1);
const ENTER: Key = Key::plain(Code::Enter);
const LINE_FEED: Key = Key::ctrl(Code::Char('j'));

/// See the module's docs.
#[derive(Debug, Default)]
pub(super) struct Burst {
    /// When keys came last.
    last: Option<Duration>,
    /// Whether text is among what came together.
    text: bool,
    /// An Enter, and others behind it, of which it is not known yet what they are.
    held: Vec<Key>,
    /// Lines that came together.
    lines: Option<String>,
    /// When such lines were told last.
    told: Option<Duration>,
}

impl Burst {
    /// Takes what came in one piece; answers what is known of it.
    pub(super) fn take(&mut self, now: Duration, inputs: Vec<Input>) -> Vec<Input> {
        if inputs.is_empty() {
            return inputs;
        }
        let together = self.last.is_some_and(|last| now < last + TOGETHER);
        self.text &= together;
        self.last = Some(now);
        let goes_on = self.told.is_some_and(|told| now < told + GOES_ON);
        let keys = || inputs.iter().filter_map(key);
        let lines = keys()
            .skip_while(|key| *key != ENTER)
            .any(|key| key.typed().is_some());
        let more = goes_on && keys().count() > 1 && keys().all(|key| as_text(key).is_some());
        if lines || more {
            self.begin_lines();
        }
        let mut found = Vec::new();
        for input in inputs {
            self.take_one(now, goes_on, input, &mut found);
        }
        found
    }

    fn take_one(&mut self, now: Duration, goes_on: bool, input: Input, found: &mut Vec<Input>) {
        let Some(key) = key(&input) else {
            if matches!(input, Input::Paste(_)) {
                self.end(now, found);
            }
            return found.push(input);
        };
        if !self.held.is_empty() && key.typed().is_some() {
            self.begin_lines();
        }
        match (&mut self.lines, as_text(key)) {
            (Some(lines), Some(c)) => {
                if lines.len() < PASTE_BYTES_MAX {
                    lines.push(c);
                }
            }
            (None, Some(_)) if key == ENTER && (self.text || goes_on) => self.held.push(key),
            (None, Some(_)) if !self.held.is_empty() => self.held.push(key),
            (_, is_text) => {
                self.end(now, found);
                self.text |= is_text.is_some() && key != ENTER;
                found.push(input);
            }
        }
    }

    /// What came together is pasted lines, an Enter that was held among them.
    fn begin_lines(&mut self) {
        let held = std::mem::take(&mut self.held);
        let lines = self.lines.get_or_insert_default();
        lines.extend(held.into_iter().filter_map(as_text));
    }

    /// Tells what was held or came as lines.
    fn end(&mut self, now: Duration, found: &mut Vec<Input>) {
        let mut before = None;
        for key in std::mem::take(&mut self.held) {
            if (before, key) != (Some(ENTER), LINE_FEED) {
                found.push(Input::Key(key));
            }
            before = Some(key);
        }
        if let Some(lines) = self.lines.take() {
            found.push(Input::Lines(lines));
            self.told = Some(now);
        }
    }

    /// When what came together has ended, if nothing more comes.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let waits = self.lines.is_some() || !self.held.is_empty();
        self.last.filter(|_| waits).map(|last| last + QUIET)
    }

    /// Nothing more came in time.
    pub(super) fn expire(&mut self, now: Duration) -> Vec<Input> {
        let mut found = Vec::new();
        self.end(now, &mut found);
        self.text = false;
        found
    }
}

fn key(input: &Input) -> Option<Key> {
    match input {
        Input::Key(key) => Some(*key),
        _ => None,
    }
}

/// The character that a key stands for in a text.
fn as_text(key: Key) -> Option<char> {
    match key {
        ENTER => Some('\r'),
        LINE_FEED => Some('\n'),
        key if key == Key::plain(Code::Tab) => Some('\t'),
        key => key.typed(),
    }
}
