//! The prompt: asks in the input line for what the server needs to admit us, which is another
//! nickname, the password or an invite.

use super::behavior::{Hint, Input, KeyOutcome, LayerBehavior, Press, Rank, hint};
use crate::{
    client::event::Security,
    tui::{
        app::{composer::Composer, escape::Escape, layout::Layout, pane::Pane},
        commands::QUIT,
        input::Edit,
        keymap::Action,
    },
};

/// A prompt in the input line.
#[derive(Debug)]
pub struct Prompt {
    /// The kind of answer.
    pub kind: PromptKind,
    /// The reason, in one plain sentence.
    pub why: String,
    /// The text being written, which is stored nowhere else.
    pub composer: Composer,
    /// Whether an answer is being tried. The prompt keeps the keys until then: a second try must
    /// not be sent as a message to everybody.
    pub tried: bool,
}

/// The kind of answer that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PromptKind {
    /// Another nickname.
    Nickname,
    /// The server's password, which is not shown.
    Password,
    /// An invite, or the code of another device.
    Pass,
}

impl LayerBehavior for Prompt {
    fn rank(&self) -> Rank {
        Rank::Prompt
    }

    fn handle_key(&mut self, press: Press, _layout: &Layout) -> KeyOutcome {
        match press.action {
            Some(Action::Send) if self.composer.text() == QUIT => {
                self.composer.put_aside();
                KeyOutcome::Leave
            }
            Some(Action::Send) => KeyOutcome::Answer,
            // An answer is one line and needs no completion, and there is nothing to search before
            // we have joined.
            Some(Action::NewLine | Action::Complete | Action::CompleteBack | Action::Search) => {
                KeyOutcome::Taken
            }
            _ => KeyOutcome::Passed,
        }
    }

    fn escape(&self, pane: &Pane) -> Option<Escape> {
        (!pane.is_scrolled_back()).then_some(match self.kind {
            // Without a nickname we cannot join.
            PromptKind::Nickname => Escape::Leave,
            PromptKind::Password | PromptKind::Pass => Escape::Cancel,
        })
    }

    fn input(&self) -> Option<Input<'_>> {
        let placeholder: &[_] = match self.kind {
            PromptKind::Nickname => &["type a nickname"],
            PromptKind::Password => &["type the password"],
            PromptKind::Pass => &["paste an invite, or type a code", "invite or code"],
        };
        Some(Input {
            composer: &self.composer,
            sign: "›",
            placeholder,
            masked: self.kind == PromptKind::Password,
        })
    }

    fn composer_mut(&mut self) -> Option<&mut Composer> {
        Some(&mut self.composer)
    }

    fn question(&self, security: Option<Security>) -> Option<Vec<String>> {
        if self.tried {
            return None;
        }
        let why = self.why.trim_end_matches('.');
        let (wordy, what, brief) = match self.kind {
            PromptKind::Nickname => (
                "Choose another nickname. If this one is yours on another device, type \
                 /device add there, and /device CODE here.",
                "Choose another nickname.",
                "Another nickname?",
            ),
            PromptKind::Password if security == Some(Security::Plain) => (
                "What is the password? Not encrypted: others on the network can read it.",
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
        Some(vec![
            format!("{why}. {wordy}"),
            format!("{why}. {what}"),
            brief.to_owned(),
        ])
    }

    fn hints(&self) -> Option<Vec<Hint>> {
        let escape = match self.kind {
            PromptKind::Nickname => "disconnect",
            PromptKind::Password | PromptKind::Pass => "cancel",
        };
        Some(vec![
            hint(Action::Send, "try it"),
            hint(Action::Escape, escape),
            hint(Action::Edit(Edit::KillToStart), "clear it"),
        ])
    }
}
