//! What the input line asks for before we can come in: another nickname, the password, an invite.

use super::{Body, Hint, Input, KeyHandler, KeyOutcome, Layer, LayerBehavior, Press, Rank, hint};
use crate::{
    client::event::{Command, ConnectionStatus, Credential, CredentialWanted, Security},
    protocol::{DeviceCode, Invite, Nickname, Password},
    tui::{
        app::{Effect, Model, composer::Composer, keys, keys::Escape, pane::Pane},
        commands::QUIT,
        input::Edit,
        keymap::Action,
    },
};

/// How a device's code is told apart from a nickname.
const CODE_COMMAND: &str = "/device ";

/// The input line asks for something.
#[derive(Debug)]
pub struct Prompt {
    /// What for.
    pub kind: PromptKind,
    /// Why, in one plain sentence.
    pub why: String,
    /// What is being written: kept nowhere else.
    pub composer: Composer,
    /// Whether an answer is being tried. What is typed meanwhile is for the question still: were
    /// it taken for a message, a second try would be said to everybody.
    pub tried: bool,
}

/// What is asked for.
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

    fn key_handler(&self) -> KeyHandler {
        handle_key
    }

    fn escape(&self, pane: &Pane) -> Option<Escape> {
        (!pane.is_scrolled_back()).then_some(match self.kind {
            // Without a nickname there is nothing to go on with.
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

    fn body(&self) -> Option<Body<'_>> {
        Some(Body::Conversation)
    }

    fn question(&self, model: &Model) -> Option<Vec<String>> {
        if self.tried {
            return None;
        }
        let why = self.why.trim_end_matches('.');
        let (wordy, what, brief) = match self.kind {
            PromptKind::Nickname => (
                "Which other nickname? If it is yours on another device, type /device add \
                 there, and here /device and the code.",
                "Which other nickname?",
                "Another nickname?",
            ),
            PromptKind::Password if model.server.security == Some(Security::Plain) => (
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

fn handle_key(model: &mut Model, press: Press, effects: &mut Vec<Effect>) -> KeyOutcome {
    match press.action {
        Some(Action::Send) => {
            // What it remarked on is past.
            model.flash = None;
            let leaves = |prompt: &Prompt| prompt.composer.text() == QUIT;
            if model.layers.prompt().is_some_and(leaves) {
                clear(model);
                keys::leave(model, effects);
            } else {
                answer(model, effects);
            }
            KeyOutcome::Taken
        }
        // An answer is one line and no word of the chat, and nothing is searched for before we
        // are in.
        Some(Action::NewLine | Action::Complete | Action::CompleteBack | Action::Search) => {
            KeyOutcome::Taken
        }
        _ => KeyOutcome::Passed,
    }
}

/// Asks.
pub fn open(model: &mut Model, kind: PromptKind, why: String, text: &str) {
    let mut composer = Composer::default();
    let _fits_as_a_nickname_does = composer.set(text);
    model.layers.open(Layer::Prompt(Prompt {
        kind,
        why,
        composer,
        tried: false,
    }));
    model.tell_columns();
}

/// The connection's status has changed: what was asked for is void, and what would let us in is asked for.
pub fn handle_connection_status(model: &mut Model, status: &ConnectionStatus) {
    let ConnectionStatus::Stopped { why, wants, .. } = status else {
        return;
    };
    let kind = match wants {
        Some(CredentialWanted::Password) => PromptKind::Password,
        Some(CredentialWanted::Invite | CredentialWanted::Code) => PromptKind::Pass,
        // Of a nickname the session tells by itself.
        None if matches!(model.layers.prompt(), Some(open) if open.kind == PromptKind::Nickname) => {
            return;
        }
        None => {
            model.layers.close(Rank::Prompt);
            return;
        }
    };
    let why = why.as_str().to_owned();
    match model.layers.prompt_mut() {
        // Somebody may be at the next try already.
        Some(prompt) if prompt.kind == kind => {
            prompt.why = why;
            prompt.tried = false;
        }
        _ => open(model, kind, why, ""),
    }
}

/// Takes away what has been written.
pub fn clear(model: &mut Model) {
    if let Some(prompt) = model.layers.prompt_mut() {
        prompt.composer = Composer::default();
    }
    model.tell_columns();
}

/// Takes the answer.
pub fn answer(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(prompt) = model.layers.prompt() else {
        return;
    };
    let text = prompt.composer.text();
    let command = match prompt.kind {
        PromptKind::Password => password(text),
        PromptKind::Pass => pass(text),
        PromptKind::Nickname => match text.strip_prefix(CODE_COMMAND) {
            Some(code) => pass(code),
            None => Nickname::parse(text)
                .map(Command::Nick)
                .map_err(|wrong| wrong.to_string()),
        },
    };
    match command {
        Ok(command) => {
            if let Command::Nick(nickname) = &command {
                model.server.nickname = nickname.clone();
                model.layers.close(Rank::Prompt);
            } else if let Some(prompt) = model.layers.prompt_mut() {
                prompt.tried = true;
                clear(model);
            }
            effects.push(Effect::Command(command));
        }
        Err(why) => {
            if let Some(prompt) = model.layers.prompt_mut() {
                prompt.why = why;
                prompt.tried = false;
            }
        }
    }
}

fn password(text: &str) -> Result<Command, String> {
    Password::parse(text)
        .map(|password| Command::Credential(Credential::Password(password)))
        .map_err(|wrong| wrong.to_string())
}

/// An invite, or a device's code.
pub fn pass(text: &str) -> Result<Command, String> {
    let text = text.trim();
    let credential = if Invite::looks_like_one(text) {
        Invite::parse(text)
            .map(Credential::Invite)
            .map_err(|wrong| wrong.to_string())?
    } else {
        let code = text.strip_prefix(CODE_COMMAND).unwrap_or(text);
        DeviceCode::parse(code)
            .map(Credential::Code)
            .map_err(|_| "That is neither an invite nor a code".to_owned())?
    };
    Ok(Command::Credential(credential))
}
