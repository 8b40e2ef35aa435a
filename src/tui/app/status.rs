//! The status above the input: a question, or the state of the connection.

use super::{Model, layout};
use crate::{
    client::event::ConnectionStatus,
    text::{width, wrap::wrap},
    tui::keymap::{Action, label},
};

impl Model {
    /// The status in words; `None` if there is nothing to say. The longest version that fits the
    /// screen.
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

    /// Rows of the status.
    pub(super) fn status_rows(&self) -> u16 {
        let columns = usize::from(layout::input_columns(self.width));
        self.status().map_or(0, |status| {
            u16::try_from(wrap(&status, columns).len()).unwrap_or(u16::MAX)
        })
    }

    /// A remark that disappears by itself; not shown while a question is open, which needs the hint
    /// line for its keys.
    pub fn remark(&self) -> Option<&str> {
        let (words, _) = self.flash.as_ref()?;
        self.layers.dialog().is_none().then_some(words)
    }

    /// Whether the remark fits into the hint line; otherwise it is shown above the input.
    pub fn remark_fits(&self) -> bool {
        let columns = usize::from(layout::hint_columns(self.width, self.height));
        self.remark().is_none_or(|words| width(words) <= columns)
    }

    /// The versions of the status, from long to short.
    fn statuses(&self) -> Vec<String> {
        if self.leaving_since.is_some() {
            return vec!["Leaving …".to_owned()];
        }
        if let Some(remark) = self.remark().filter(|_| !self.remark_fits()) {
            return vec![remark.to_owned()];
        }
        if let Some(question) = self.layers.question(self.server.security) {
            return question;
        }
        match &self.server.connection {
            ConnectionStatus::Online
            | ConnectionStatus::Legacy
            | ConnectionStatus::Unidentified => Vec::new(),
            ConnectionStatus::Connecting => {
                let again = if self.server.entered.is_some() {
                    " again"
                } else {
                    ""
                };
                let full = format!("Connecting{again} to {} …", self.server.name);
                vec![full, "Connecting …".to_owned()]
            }
            ConnectionStatus::Waiting { why, .. } => {
                let seconds = self.server.retry_in(self.now.mono).as_secs();
                let now = label(Action::RetryNow);
                let why = why.as_str().trim_end_matches('.');
                vec![
                    format!("{why}. Trying again in {seconds}\u{a0}s; {now} tries now."),
                    format!("Again in {seconds}\u{a0}s"),
                ]
            }
            ConnectionStatus::Standby => {
                vec!["Another terminal uses this client ID".to_owned()]
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
