//! What stands in the way of the conversation, in words: a question, or the status of the connection.

use super::{Model, Popup, layout, prompt::PromptKind};
use crate::{
    client::event::{ConnectionStatus, Security},
    text::{width, wrap::wrap},
    tui::keymap::{Action, label},
};

impl Model {
    /// What stands in the way of the conversation; `None` when nothing does. Where the screen has
    /// no room for all of it, what matters most of it.
    pub fn status(&self) -> Option<String> {
        let columns = usize::from(layout::input_columns(self.width));
        let rows_max = usize::from(layout::status_rows_max(self.height));
        let mut statuses = self.statuses();
        let fits = |words: &String| wrap(words, columns).len() <= rows_max;
        let first = statuses.iter().position(fits);
        match first {
            Some(at) => Some(statuses.swap_remove(at)),
            None => statuses.pop(),
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

    /// The status from wordy to brief.
    fn statuses(&self) -> Vec<String> {
        if self.leaving_since.is_some() {
            return vec!["Leaving …".to_owned()];
        }
        if let Some(question) = self.popup.as_ref().and_then(question) {
            return question;
        }
        if let Some(remark) = self.remark().filter(|_| !self.remark_fits()) {
            return vec![remark.to_owned()];
        }
        if let Some(prompt) = self.active_prompt() {
            let why = prompt.why.trim_end_matches('.');
            let (wordy, what, brief) = match prompt.kind {
                PromptKind::Nickname => (
                    "Which other nickname? If it is yours on another device, type /device add \
                     there, and here /device and the code.",
                    "Which other nickname?",
                    "Another nickname?",
                ),
                PromptKind::Password if self.security == Some(Security::Plain) => (
                    "What is the password? It is not encrypted: everybody on the way can read it.",
                    "Password, not encrypted?",
                    "Password in clear?",
                ),
                PromptKind::Password => (
                    "What is the password? It is not shown.",
                    "Password?",
                    "Password?",
                ),
                PromptKind::Pass => (
                    "Paste an invite, or type the code that another device of yours shows after \
                     /device add.",
                    "Invite or code?",
                    "Invite or code?",
                ),
            };
            return vec![
                format!("{why}. {wordy}"),
                format!("{why}. {what}"),
                brief.to_owned(),
            ];
        }
        match &self.connection {
            ConnectionStatus::Online | ConnectionStatus::Basic | ConnectionStatus::Unidentified => {
                Vec::new()
            }
            ConnectionStatus::Connecting => {
                let again = if self.entered.is_some() { " again" } else { "" };
                let full = format!("Connecting{again} to {} …", self.host);
                vec![full, "Connecting …".to_owned()]
            }
            ConnectionStatus::Waiting { why, .. } => {
                let seconds = self.retry_in().as_secs();
                let now = label(Action::RetryNow);
                let why = why.as_str().trim_end_matches('.');
                vec![
                    format!("{why}. Trying again in {seconds}\u{a0}s; {now} tries now."),
                    format!("Again in {seconds}\u{a0}s"),
                ]
            }
            ConnectionStatus::Standby => {
                vec!["Another terminal has this client ID's place".to_owned()]
            }
            ConnectionStatus::Stopped { why, brief, .. } => {
                let now = label(Action::RetryNow);
                let why = why.as_str().trim_end_matches('.');
                vec![
                    format!("{why}. {now} tries again."),
                    format!("{brief} {now} tries again."),
                    (*brief).to_owned(),
                ]
            }
        }
    }
}

/// What a popup asks, from wordy to brief.
fn question(popup: &Popup) -> Option<Vec<String>> {
    match popup {
        Popup::Help { .. } => None,
        Popup::Paste { text } => {
            let rows = text.lines().count();
            let size = text.len().div_ceil(1024);
            let rows = match rows {
                1 => "a line".to_owned(),
                n => format!("{n} lines"),
            };
            Some(vec![
                format!("Insert what was pasted, {rows} of {size}\u{a0}KiB in all?"),
                format!("Insert {rows}?"),
            ])
        }
        Popup::Host { others } => {
            let who = match others {
                0 => "Others may be".to_owned(),
                1 => "Somebody else is".to_owned(),
                n => format!("{n} others are"),
            };
            Some(vec![
                format!(
                    "{who} still here, on the server that you host. Keep it running (K), or end it (E)?"
                ),
                "Keep server (K) or end it (E)?".to_owned(),
            ])
        }
    }
}
