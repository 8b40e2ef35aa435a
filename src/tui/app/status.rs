//! What stands in the way of the conversation, in words: a question, or the state of the link.

use super::{Model, Popup, layout};
use crate::{
    client::event::Link,
    text::{width, wrap::wrap},
    tui::keymap::{Action, label},
};

impl Model {
    /// What stands in the way of the conversation; `None` when nothing does. Where the screen has
    /// no room for all of it, what matters most of it.
    pub fn status(&self) -> Option<String> {
        let columns = usize::from(layout::input_columns(self.width));
        let rows_max = usize::from(layout::status_rows_max(self.height));
        let (full, brief) = self.statuses()?;
        if wrap(&full, columns).len() <= rows_max {
            Some(full)
        } else {
            Some(brief)
        }
    }

    /// Rows that the status takes.
    pub(super) fn status_rows(&self) -> u16 {
        let columns = usize::from(layout::input_columns(self.width));
        self.status().map_or(0, |status| {
            u16::try_from(wrap(&status, columns).len()).unwrap_or(u16::MAX)
        })
    }

    /// A remark that goes by itself; not while a question is open, which must tell its keys.
    pub fn remark(&self) -> Option<&str> {
        let (words, _) = self.flash.as_ref()?;
        self.popup.is_none().then_some(words)
    }

    /// Whether a remark fits into the line of hints; else it stands above the input.
    pub fn remark_fits(&self) -> bool {
        let columns = usize::from(layout::hint_columns(self.width, self.height));
        self.remark().is_none_or(|words| width(words) <= columns)
    }

    /// The status in full and in brief.
    fn statuses(&self) -> Option<(String, String)> {
        if self.leaving_since.is_some() {
            return Some(both("Leaving …"));
        }
        if let Some(question) = self.popup.as_ref().and_then(question) {
            return Some(question);
        }
        if let Some(remark) = self.remark().filter(|_| !self.remark_fits()) {
            return Some(both(remark));
        }
        if let Some(question) = &self.nickname_question {
            let why = question.why.trim_end_matches('.');
            return Some((
                format!("{why}. Which other nickname?"),
                "Another nickname?".to_owned(),
            ));
        }
        match &self.link {
            Link::Online | Link::Basic => None,
            Link::Connecting => {
                let again = if self.entered.is_some() { " again" } else { "" };
                let full = format!("Connecting{again} to {} …", self.host);
                Some((full, "Connecting …".to_owned()))
            }
            Link::Waiting { why, .. } => {
                let seconds = self.retry_in().as_secs();
                let now = label(Action::RetryNow);
                let why = why.as_str().trim_end_matches('.');
                Some((
                    format!("{why}. Trying again in {seconds}\u{a0}s; {now} tries now."),
                    format!("Again in {seconds}\u{a0}s"),
                ))
            }
            Link::Stopped { why, .. } => {
                let now = label(Action::RetryNow);
                let why = why.as_str().trim_end_matches('.');
                Some((
                    format!("{why}. {now} connects again."),
                    format!("{now} connects"),
                ))
            }
        }
    }
}

fn both(words: &str) -> (String, String) {
    (words.to_owned(), words.to_owned())
}

/// What a popup asks, in full and in brief.
fn question(popup: &Popup) -> Option<(String, String)> {
    match popup {
        Popup::Help { .. } => None,
        Popup::Paste { text } => {
            let rows = text.lines().count();
            let size = text.len().div_ceil(1024);
            let rows = match rows {
                1 => "a line".to_owned(),
                n => format!("{n} lines"),
            };
            Some((
                format!("Insert what was pasted, {rows} of {size}\u{a0}KiB in all?"),
                format!("Insert {rows}?"),
            ))
        }
        Popup::Host { others } => {
            let who = match others {
                1 => "Somebody else is".to_owned(),
                n => format!("{n} others are"),
            };
            Some((
                format!(
                    "{who} still here, on the server that you host. Keep it running (K), or end it (E)?"
                ),
                "Keep server (K) or end it (E)?".to_owned(),
            ))
        }
    }
}
