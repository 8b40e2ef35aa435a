//! A dialog that asks, when the user leaves, whether the hosted server is to keep running.

use super::behavior::{Hint, KeyOutcome, LayerBehavior, Press, Rank, hint};
use crate::{
    client::event::Security,
    tui::{
        app::{HostChoice, escape::Escape, layout::Layout, pane::Pane},
        key::Code,
        keymap::Action,
    },
};

/// The question about the hosted server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostQuestion {
    /// The number of other members.
    pub others: usize,
}

impl LayerBehavior for HostQuestion {
    fn rank(&self) -> Rank {
        Rank::Dialog
    }

    fn handle_key(&mut self, press: Press, _layout: &Layout) -> KeyOutcome {
        match press.key.code {
            Code::Char('k' | 'K') => KeyOutcome::Host(HostChoice::KeepRunning),
            Code::Char('e' | 'E') => KeyOutcome::Host(HostChoice::Stop),
            _ if press.action == Some(Action::Escape) => KeyOutcome::Passed,
            _ => KeyOutcome::Taken,
        }
    }

    fn escape(&self, _pane: &Pane) -> Option<Escape> {
        Some(Escape::CloseDialog)
    }

    fn question(&self, _security: Option<Security>) -> Option<Vec<String>> {
        let who = match self.others {
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

    fn hints(&self) -> Option<Vec<Hint>> {
        Some(vec![
            ("K".to_owned(), "keep it running"),
            ("E".to_owned(), "end it"),
            hint(Action::Escape, "stay"),
        ])
    }
}
