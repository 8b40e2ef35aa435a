//! Recognizes pasted lines by speed, for terminals without bracketed paste.
//!
//! | keys | meaning |
//! |---|---|
//! | Enter by itself | a key, at once |
//! | Enter with text directly before it | a key, once nothing has followed for [`QUIET`] |
//! | Enter with text directly after it | pasted lines, with all the text that came with them: reported once nothing has followed for [`QUIET`] |
//! | several keys with an Enter, or several of text, within [`GOES_ON`] of pasted lines | more of them |
//! | any other key between those | itself; the lines before it are reported first |
//!
//! Text alone never waits. `\r
//! ` is one Enter.

use std::time::Duration;

use super::{Input, PASTE_BYTES_MAX};
use crate::tui::key::{Code, Key};

/// Keys closer together than this were not typed by hand.
const TOGETHER: Duration = Duration::from_millis(10);
/// A burst ends after this long without another key.
pub(super) const QUIET: Duration = Duration::from_millis(50);
/// For this long after pasted lines, more of them may come.
const GOES_ON: Duration = Duration::from_secs(1);
const ENTER: Key = Key::plain(Code::Enter);
const LINE_FEED: Key = Key::ctrl(Code::Char('j'));

/// See the module's docs.
#[derive(Debug, Default)]
pub(super) struct Burst {
    /// The time of the last key.
    last: Option<Duration>,
    /// Whether the burst contains text.
    text: bool,
    /// An Enter and the keys after it that are not decided yet.
    held: Vec<Key>,
    /// Pasted lines so far.
    lines: Option<String>,
    /// The time when such lines were last reported.
    told: Option<Duration>,
}

impl Burst {
    /// Takes the inputs of one read; returns those that are certain.
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

    /// Turns the burst into pasted lines, with a held Enter.
    fn begin_lines(&mut self) {
        let held = std::mem::take(&mut self.held);
        let lines = self.lines.get_or_insert_default();
        lines.extend(held.into_iter().filter_map(as_text));
    }

    /// Reports held keys or lines.
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

    /// The time when the burst ends, if nothing more comes.
    pub(super) fn deadline(&self) -> Option<Duration> {
        let waits = self.lines.is_some() || !self.held.is_empty();
        self.last.filter(|_| waits).map(|last| last + QUIET)
    }

    /// Ends the burst: nothing more came in time.
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

/// The character of a key in a text.
fn as_text(key: Key) -> Option<char> {
    match key {
        ENTER => Some('\r'),
        LINE_FEED => Some('\n'),
        key if key == Key::plain(Code::Tab) => Some('\t'),
        key => key.typed(),
    }
}
