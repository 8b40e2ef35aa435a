//! What the input line asks for before we can come in: another nickname, the password, an invite.

use unicode_segmentation::UnicodeSegmentation;

use super::{Effect, Model, composer::Composer};
use crate::{
    client::event::{Command, ConnectionStatus, Credential, CredentialWanted},
    protocol::{DeviceCode, Invite, Nickname, Password},
    tui::input::{Draft, Editor},
};

/// How a device's code is told apart from a nickname.
const CODE_COMMAND: &str = "/device ";

/// The input line asks for something.
#[derive(Debug)]
pub struct Question {
    /// What for.
    pub asks: Asks,
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
pub enum Asks {
    /// Another nickname.
    Nickname,
    /// The server's password, which is not shown.
    Password,
    /// An invite, or the code of another device.
    Pass,
}

/// Stands for a character of a password.
const DOT: &str = "•";

impl Question {
    /// What is written as it is shown, in an editor of its own: a password as dots.
    pub fn shown(&self) -> Option<Editor> {
        if self.asks != Asks::Password {
            return None;
        }
        let dots = |text: &str| DOT.repeat(text.graphemes(true).count());
        let (text, cursor) = (self.composer.text(), self.composer.editor.cursor());
        let mut editor = Editor::new();
        editor.restore(&Draft {
            text: dots(text),
            cursor: dots(&text[..cursor]).len(),
        });
        Some(editor)
    }
}

/// Asks.
pub fn open(model: &mut Model, asks: Asks, why: String, text: &str) {
    let mut composer = Composer::default();
    let _fits_as_a_nickname_does = composer.set(text);
    model.question = Some(Question {
        asks,
        why,
        composer,
        tried: false,
    });
    model.tell_columns();
}

/// The link's state has changed: what was asked for is void, and what would let us in is asked for.
pub fn connection_changed(model: &mut Model, status: &ConnectionStatus) {
    let ConnectionStatus::Stopped { why, wants, .. } = status else {
        return;
    };
    let asks = match wants {
        Some(CredentialWanted::Password) => Asks::Password,
        Some(CredentialWanted::Invite | CredentialWanted::Code) => Asks::Pass,
        // Of a nickname the session tells by itself.
        None if matches!(&model.question, Some(open) if open.asks == Asks::Nickname) => return,
        None => return model.question = None,
    };
    let why = why.as_str().to_owned();
    match &mut model.question {
        // Somebody may be at the next try already.
        Some(question) if question.asks == asks => {
            question.why = why;
            question.tried = false;
        }
        _ => open(model, asks, why, ""),
    }
}

/// Takes away what has been written.
pub fn clear(model: &mut Model) {
    if let Some(question) = &mut model.question {
        question.composer = Composer::default();
    }
    model.tell_columns();
}

/// Takes the answer.
pub fn answer(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(question) = &model.question else {
        return;
    };
    let text = question.composer.text();
    let command = match question.asks {
        Asks::Password => password(text),
        Asks::Pass => pass(text),
        Asks::Nickname => match text.strip_prefix(CODE_COMMAND) {
            Some(code) => pass(code),
            None => Nickname::parse(text)
                .map(Command::Nick)
                .map_err(|wrong| wrong.to_string()),
        },
    };
    match command {
        Ok(command) => {
            if let Command::Nick(nickname) = &command {
                model.nickname = nickname.clone();
                model.question = None;
            } else if let Some(question) = &mut model.question {
                question.tried = true;
                clear(model);
            }
            effects.push(Effect::Command(command));
        }
        Err(why) => {
            if let Some(question) = &mut model.question {
                question.why = why;
                question.tried = false;
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
