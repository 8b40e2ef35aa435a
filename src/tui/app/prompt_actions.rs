//! Opens the prompt, and sends its answer.

use super::{
    Effect, Model,
    composer::Composer,
    layers::{
        Layer, Rank,
        prompt::{Prompt, PromptKind},
    },
};
use crate::{
    client::event::{Command, ConnectionStatus, Credential, CredentialWanted},
    protocol::{DeviceCode, Invite, Nickname, Password},
};

/// The prefix that distinguishes a device's code from a nickname.
const CODE_COMMAND: &str = "/device ";

/// Opens the prompt.
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

/// Takes a new status of the connection: closes the prompt that no longer applies, and opens the
/// one that is needed.
pub fn handle_connection_status(model: &mut Model, status: &ConnectionStatus) {
    let ConnectionStatus::Stopped { why, wants, .. } = status else {
        return;
    };
    let kind = match wants {
        Some(CredentialWanted::Password) => PromptKind::Password,
        Some(CredentialWanted::Invite | CredentialWanted::Code) => PromptKind::Pass,
        // The session reports a refused nickname by an event of its own.
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
        // The user may be typing the next answer already.
        Some(prompt) if prompt.kind == kind => {
            prompt.why = why;
            prompt.tried = false;
        }
        _ => open(model, kind, why, ""),
    }
}

/// Empties the prompt's text.
pub fn clear(model: &mut Model) {
    if let Some(prompt) = model.layers.prompt_mut() {
        prompt.composer = Composer::default();
    }
    model.tell_columns();
}

/// Sends the answer.
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

/// Parses an invite, or a device's code.
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
