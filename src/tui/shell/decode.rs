//! Decodes a terminal's bytes into keys. Pure: times are arguments.
//!
//! Not crossterm's reader, because that one fails in three cases: over a slow link the bytes of an
//! arrow or of Alt-a arrive separately, and it reports the first as Esc, on which we disconnect; it
//! types a terminal's answer about its background into the input; and it knows only bracketed
//! pastes that arrive whole.
//!
//! Ambiguous bytes, and how they are resolved:
//!
//! | bytes | may be | decided by |
//! |---|---|---|
//! | Esc | the key, or the first byte of another key or a report | a byte within 150 ms: not the key. Where Esc would leave: within 500 ms; from a terminal that reports keys unambiguously: within 1 s, for such a one means something else |
//! | `[A`, `OP` and the like in one piece, within 1 s of an Esc that was reported | the rest of a key, or text | the rest: nobody types it in one piece |
//! | `ESC [`, `ESC O`, `ESC ]`, `ESC P`, and digits | the beginning of a key or a report, or an Alt key | no further byte for 1 s: an Alt key, and the text behind it |
//! | `ESC ] 11 ;`, `ESC P > \|`, `ESC P 1 $`, `ESC _ G i =` and the like | a report | it is one: dropped to its end, however long and late. Without an end: to a control key, or until nothing has come for 3 s; a rest that comes later still, with its end and in one piece, is dropped as well |
//! | any other control string (`ESC _ …`, `ESC ^ …`, `ESC X …`, `ESC ] word`) | a string, or an Alt key and text | its end (`ESC \`; BEL for `ESC ]`) within 150 ms of its beginning: a string. Otherwise, or broken off by a control or another Esc: an Alt key and text. So is `ESC _ ESC _ ESC _`: a key held down |
//! | part of a character | | waits for the rest |
//! | a bracketed paste that stops for 3 s | a slow link, or a lost end | the part so far is reported as pasted, and later bytes that come several at a time belong to it, up to its end. A single key by itself is a key, and ends it if it is not a character |
//! | keys that come faster than anybody types | typed ahead, or pasted without brackets | see [`burst`] |
//!
//! No typed key is lost, except after a report whose end was lost.

mod burst;
mod sequence;
#[cfg(test)]
mod tests;

use std::time::Duration;

use self::{
    burst::{Burst, QUIET},
    sequence::{ESC, SequenceMatch, Wait, report_end, sequence},
};
use crate::tui::key::Key;

/// A lone Esc is reported after this long without another byte; an unknown control string may take
/// as long.
const ESC_PATIENCE: Duration = Duration::from_millis(150);
/// The same for an Esc that would leave: over a slow link the bytes of one key may be further
/// apart.
const LEAVE_PATIENCE: Duration = Duration::from_millis(500);
/// How long to wait for the rest of a sequence that can hardly be anything else.
const REST_PATIENCE: Duration = Duration::from_secs(1);
/// A report ends after this long without another byte.
const REPORT_PATIENCE: Duration = Duration::from_secs(3);
/// A paste is reported as far as it came after this long without another byte.
const PASTE_PATIENCE: Duration = Duration::from_secs(3);
/// The most bytes of a paste that are kept; more than a message can hold, so that a paste that is
/// too long is noticed.
const PASTE_BYTES_MAX: usize = 64 * 1024;
/// The most bytes of a sequence that are kept; the rest is dropped.
const SEQUENCE_BYTES_MAX: usize = 512;
const PASTE_END: &[u8] = b"\x1b[201~";

/// An input of the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Input {
    /// A key.
    Key(Key),
    /// A pasted text, or a part of it.
    Paste(String),
    /// Lines that came at once, but not as a bracketed paste.
    Lines(String),
    /// The terminal has gained or lost the focus.
    Focus(bool),
    /// The wheel was turned by this many notches; down is positive.
    Wheel(i16),
    /// The first button was pressed on a cell of the screen; both count from 0.
    Click {
        /// Its column.
        column: u16,
        /// Its row.
        row: u16,
    },
    /// The answer about the background.
    Background {
        /// Whether it is nearer to white than to black.
        light: bool,
    },
    /// The terminal can report keys unambiguously.
    KeyboardProtocol,
}

/// Decodes a terminal's bytes into keys.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "independent facts, no states of one machine"
)]
pub struct Decoder {
    buffer: Vec<u8>,
    within: DecoderState,
    /// The time of the first byte in the buffer.
    began: Duration,
    /// The time of the last byte.
    heard: Duration,
    /// The kind of sequence that the buffer may begin with, if its rest is awaited.
    wait: Option<Wait>,
    /// The time when a lone Esc was reported: the rest of another key may follow.
    escaped: Option<Duration>,
    /// Whether the buffer begins with an Esc that was reported.
    after_escape: bool,
    /// Whether the end of a report was lost.
    report_lost: bool,
    /// Whether Esc would leave, so that it is waited for longer.
    escape_leaves: bool,
    /// Whether the terminal reports keys unambiguously: it sends no lone Esc byte.
    unambiguous: bool,
    burst: Burst,
}

/// The kind of bytes that are expected.
#[derive(Debug, Default)]
enum DecoderState {
    /// Keys and reports.
    #[default]
    Keys,
    /// A report that is too long to be kept.
    Report,
    /// A bracketed paste, as far as it came.
    Paste(Vec<u8>),
    /// A bracketed paste that stalled, and was reported as far as it came.
    StalledPaste,
}

impl Decoder {
    /// Takes bytes, split anywhere, that were read at this time; returns the inputs that are
    /// certain.
    pub fn feed(&mut self, now: Duration, bytes: &[u8]) -> Vec<Input> {
        let mut found = self.pass(now);
        let mut bytes = bytes;
        if self.buffer.is_empty() && matches!(self.within, DecoderState::Keys) {
            bytes = self.without_lost_report(bytes);
            let escaped = self.escaped.take();
            let soon = escaped.is_some_and(|at| now < at + REST_PATIENCE);
            if soon && matches!(bytes, [b'[' | b'O' | b']' | b'P' | b'_', ..]) {
                self.after_escape = true;
                self.buffer.push(ESC);
            }
            self.began = now;
        }
        self.heard = now;
        self.buffer.extend_from_slice(bytes);
        let inputs = self.run(false);
        found.extend(self.burst.take(now, inputs));
        found
    }

    /// Sets whether Esc would leave now, or soon.
    pub fn escape_leaves(&mut self, leaves: bool) {
        self.escape_leaves = leaves;
    }

    /// The time at which [`Self::pass`] must be called, if no more bytes come.
    pub fn deadline(&self) -> Option<Duration> {
        let deadlines = [self.own_deadline(), self.burst.deadline()];
        deadlines.into_iter().flatten().min()
    }

    /// Takes the passing of time; returns the inputs that have become certain.
    pub fn pass(&mut self, now: Duration) -> Vec<Input> {
        let mut found = Vec::new();
        while let Some(due) = self.deadline().filter(|due| *due <= now) {
            if self.burst.deadline() == Some(due) {
                found.extend(self.burst.expire(due));
            } else {
                let inputs = self.expire(due);
                found.extend(self.burst.take(due, inputs));
            }
        }
        found
    }

    fn own_deadline(&self) -> Option<Duration> {
        match &self.within {
            DecoderState::Paste(_) => Some(self.heard + PASTE_PATIENCE),
            DecoderState::Report => Some(self.heard + REPORT_PATIENCE),
            DecoderState::StalledPaste => match self.buffer.as_slice() {
                [] => None,
                [ESC] => Some(self.heard + self.escape_patience()),
                // The beginning of its end, or of a character; not a key.
                bytes if pasted_length(bytes) == 0 => None,
                _ => Some(self.heard + QUIET),
            },
            DecoderState::Keys => match self.wait? {
                // A single byte may well be typed: do not hold it for long.
                _ if self.after_escape && self.buffer.len() == 2 => Some(self.heard + QUIET),
                _ if self.after_escape => Some(self.heard + ESC_PATIENCE),
                Wait::Escape => Some(self.heard + self.escape_patience()),
                // Typing goes on: typed text must not wait for an end.
                Wait::Text => Some(self.began + ESC_PATIENCE),
                Wait::Rest => Some(self.heard + REST_PATIENCE),
                Wait::Report => Some(self.heard + REPORT_PATIENCE),
                Wait::Character => None,
            },
        }
    }

    fn escape_patience(&self) -> Duration {
        if self.unambiguous {
            REST_PATIENCE
        } else if self.escape_leaves {
            LEAVE_PATIENCE
        } else {
            ESC_PATIENCE
        }
    }

    /// Ends a sequence whose rest did not come.
    fn expire(&mut self, now: Duration) -> Vec<Input> {
        match std::mem::take(&mut self.within) {
            DecoderState::Paste(mut pasted) => {
                self.within = DecoderState::StalledPaste;
                let length = pasted_length(&self.buffer);
                pasted.extend(self.buffer.drain(..length));
                // A character whose rest is still to come.
                let rest = pasted.split_off(whole_characters(&pasted));
                self.buffer.splice(..0, rest);
                self.heard = now;
                told_if_any(&pasted)
            }
            DecoderState::StalledPaste => self.expire_stalled(now),
            DecoderState::Report => {
                self.buffer.clear();
                self.report_lost = true;
                Vec::new()
            }
            DecoderState::Keys => {
                if std::mem::take(&mut self.after_escape) {
                    self.buffer.remove(0);
                } else if self.buffer == [ESC] {
                    self.escaped = Some(now);
                }
                self.report_lost |= self.wait == Some(Wait::Report);
                self.run(true)
            }
        }
    }

    /// Takes the bytes since a paste stalled: in one piece, more of it, or a key by itself.
    fn expire_stalled(&mut self, now: Duration) -> Vec<Input> {
        // Esc begins the paste's end as well.
        let length = pasted_length(&self.buffer).max(1);
        self.within = DecoderState::StalledPaste;
        let piece: Vec<u8> = self.buffer.drain(..length).collect();
        let alone = self.buffer.is_empty();
        match sequence(&piece, true) {
            SequenceMatch::Input(used, Some(Input::Key(key))) if alone && used == piece.len() => {
                if key.typed().is_none() {
                    self.within = DecoderState::Keys;
                    self.wait = None;
                }
                if piece == [ESC] {
                    self.escaped = Some(now);
                }
                vec![Input::Key(key)]
            }
            SequenceMatch::Input(used, input) if alone && used == piece.len() => {
                input.into_iter().collect()
            }
            _ => told_if_any(&piece),
        }
    }

    fn run(&mut self, at_end: bool) -> Vec<Input> {
        let mut found = Vec::new();
        self.wait = None;
        // Only the first sequence of the buffer was waited for.
        let mut at_end = at_end;
        loop {
            match self.within {
                DecoderState::Paste(_) => match self.go_on_pasting() {
                    Some(input) => found.push(input),
                    None => break,
                },
                DecoderState::StalledPaste => match memchr::memmem::find(&self.buffer, PASTE_END) {
                    Some(end) => {
                        found.extend(told_if_any(&self.buffer[..end]));
                        self.used(end + PASTE_END.len());
                        self.within = DecoderState::Keys;
                    }
                    None if self.buffer.len() > PASTE_BYTES_MAX => {
                        let length = whole_characters(&self.buffer[..PASTE_BYTES_MAX]);
                        found.extend(told_if_any(&self.buffer[..length]));
                        self.used(length);
                    }
                    None => break,
                },
                DecoderState::Report => {
                    let Some((end, _)) = report_end(&self.buffer) else {
                        // The last byte may be the beginning of the end.
                        let keep = usize::from(self.buffer.last() == Some(&ESC));
                        self.used(self.buffer.len() - keep);
                        break;
                    };
                    self.used(end);
                    self.within = DecoderState::Keys;
                }
                DecoderState::Keys => {
                    if !self.go_on_with_keys(at_end, &mut found) {
                        break;
                    }
                    at_end = false;
                }
            }
        }
        found
    }

    /// Takes one sequence off the buffer; returns whether there may be more.
    fn go_on_with_keys(&mut self, at_end: bool, found: &mut Vec<Input>) -> bool {
        let is_long = self.buffer.len() > SEQUENCE_BYTES_MAX;
        match sequence(&self.buffer, at_end) {
            SequenceMatch::Input(2, Some(Input::Key(_))) if self.after_escape => {
                // The bytes after the Esc were not the rest of a key, but a key.
                self.after_escape = false;
                self.buffer.remove(0);
            }
            SequenceMatch::Input(used, input) => {
                self.unambiguous |= input == Some(Input::KeyboardProtocol);
                self.used(used);
                found.extend(input);
            }
            SequenceMatch::PasteBegins(used) => {
                self.used(used);
                self.within = DecoderState::Paste(Vec::new());
            }
            SequenceMatch::Incomplete(Wait::Report | Wait::Rest) if is_long => {
                self.after_escape = false;
                self.within = DecoderState::Report;
                self.used(2);
            }
            // Too long to be a sequence.
            SequenceMatch::Incomplete(Wait::Text) if is_long => {
                if let SequenceMatch::Input(used, input) = sequence(&self.buffer, true) {
                    self.used(used);
                    found.extend(input);
                }
            }
            SequenceMatch::Incomplete(wait) => {
                self.wait = (!self.buffer.is_empty()).then_some(wait);
                self.after_escape &= wait != Wait::Report;
                return false;
            }
        }
        true
    }

    /// Removes bytes from the buffer; the rest came with the last read.
    fn used(&mut self, count: usize) {
        self.buffer.drain(..count);
        self.after_escape = false;
        self.began = self.heard;
    }

    /// Moves the buffer to the paste; returns the paste when its end has come.
    fn go_on_pasting(&mut self) -> Option<Input> {
        let DecoderState::Paste(pasted) = &mut self.within else {
            return None;
        };
        let end = memchr::memmem::find(&self.buffer, PASTE_END);
        // The last bytes may be the beginning of the end.
        let keep = PASTE_END.len() - 1;
        let upto = end.unwrap_or(self.buffer.len().saturating_sub(keep));
        let room = PASTE_BYTES_MAX.saturating_sub(pasted.len());
        pasted.extend_from_slice(&self.buffer[..upto.min(room)]);
        let text = end.map(|_| text_of(pasted));
        self.used(upto + if end.is_some() { PASTE_END.len() } else { 0 });
        if text.is_some() {
            self.within = DecoderState::Keys;
        }
        text.map(Input::Paste)
    }

    /// The bytes without the rest of a report that was given up.
    fn without_lost_report<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        if !self.report_lost {
            return bytes;
        }
        match report_end(bytes) {
            // Nobody types an end together with text before it.
            Some((end, true)) if bytes.len() > 1 => {
                self.report_lost = false;
                &bytes[end..]
            }
            _ => bytes,
        }
    }
}

/// The number of bytes that belong to a paste: all but a possible beginning of its end, or of a
/// character.
fn pasted_length(bytes: &[u8]) -> usize {
    let of_end = (1..PASTE_END.len())
        .rev()
        .find(|length| bytes.ends_with(&PASTE_END[..*length]));
    match of_end {
        Some(length) => bytes.len() - length,
        None => whole_characters(bytes),
    }
}

/// The length without an incomplete character at the end.
fn whole_characters(bytes: &[u8]) -> usize {
    let last = &bytes[bytes.len().saturating_sub(3)..];
    let lead = last.iter().rposition(|byte| *byte >= 0xc0);
    let begun = lead.filter(|at| {
        let error = std::str::from_utf8(&last[*at..]).err();
        error.is_some_and(|error| error.error_len().is_none())
    });
    begun.map_or(bytes.len(), |at| bytes.len() - last.len() + at)
}

fn told_if_any(pasted: &[u8]) -> Vec<Input> {
    let text = (!pasted.is_empty()).then(|| Input::Paste(text_of(pasted)));
    text.into_iter().collect()
}

fn text_of(pasted: &[u8]) -> String {
    String::from_utf8_lossy(pasted).into_owned()
}
