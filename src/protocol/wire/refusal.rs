//! Why a frame from a client is refused.

use crate::{
    protocol::{
        frame::{ErrorCode, ErrorFrame},
        name::{MessageId, NicknameError},
    },
    text::Line,
};
use std::fmt;

/// A client's frame that the server can't take as it stands, and what to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// What kind of error.
    pub code: ErrorCode,
    /// One plain sentence.
    pub message: String,
    /// The message that the frame was about.
    pub id: Option<MessageId>,
    /// What the frame carried as `ref`.
    pub reference: Option<u64>,
    /// When the same may be tried again; `None`: never.
    pub retry_after_ms: Option<u64>,
    /// Whether the connection closes behind the answer.
    pub(super) fatal: bool,
}

impl Refusal {
    /// A frame that breaks the protocol: answered, and the connection closes.
    pub fn malformed(message: impl fmt::Display) -> Self {
        Self {
            code: ErrorCode::Malformed,
            message: message.to_string(),
            id: None,
            reference: None,
            retry_after_ms: None,
            fatal: true,
        }
    }

    /// A frame that ends the connection for another reason.
    pub fn ending(code: ErrorCode, message: &str) -> Self {
        Self {
            code,
            ..Self::malformed(message)
        }
    }

    /// A frame that can't be taken: answered, and the connection goes on.
    pub fn passing(code: ErrorCode, message: &str) -> Self {
        Self {
            fatal: false,
            ..Self::ending(code, message)
        }
    }

    pub(super) fn field(name: &str, wrong: impl fmt::Display, fatal: bool) -> Self {
        Self {
            code: ErrorCode::BadField,
            message: format!("{name}: {wrong}"),
            id: None,
            reference: None,
            retry_after_ms: None,
            fatal,
        }
    }

    /// Whether the connection closes behind the answer.
    pub fn fatal(&self) -> bool {
        self.fatal
    }

    /// The answer.
    pub fn frame(&self) -> ErrorFrame {
        ErrorFrame {
            code: self.code,
            message: Line::inert(&self.message),
            id: self.id,
            reference: self.reference,
            retry_after_ms: self.retry_after_ms,
        }
    }
}

pub(super) fn bad_nickname(wrong: NicknameError, fatal: bool) -> Refusal {
    Refusal {
        code: ErrorCode::BadNickname,
        message: wrong.to_string(),
        id: None,
        reference: None,
        retry_after_ms: None,
        fatal,
    }
}

/// A request whose refusal carries its `ref`.
pub(super) fn about<T>(
    reference: Option<u64>,
    read: impl FnOnce() -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    read().map_err(|refusal| Refusal {
        reference,
        ..refusal
    })
}
