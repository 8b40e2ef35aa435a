//! Refusals of frames from clients.

use crate::{
    protocol::{
        frame::{ErrorCode, ErrorFrame},
        name::{MessageId, NicknameError},
    },
    text::Line,
};
use std::fmt;

/// Why the server refuses a client's frame, and its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The kind of error.
    pub code: ErrorCode,
    /// One plain sentence.
    pub message: String,
    /// The message that the frame is about.
    pub id: Option<MessageId>,
    /// The frame's `ref`.
    pub reference: Option<u64>,
    /// When the same request may be tried again; `None`: never.
    pub retry_after_ms: Option<u64>,
    /// Whether the connection closes after the answer.
    pub(super) fatal: bool,
}

impl Refusal {
    /// Refuses a frame that breaks the protocol: answered, then the connection closes.
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

    /// Refuses a frame that ends the connection for another reason.
    pub fn ending(code: ErrorCode, message: &str) -> Self {
        Self {
            code,
            ..Self::malformed(message)
        }
    }

    /// Refuses a frame: answered, and the connection stays open.
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

    /// Whether the connection closes after the answer.
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

/// Runs `read` and adds the request's `ref` to its refusal.
pub(super) fn about<T>(
    reference: Option<u64>,
    read: impl FnOnce() -> Result<T, Refusal>,
) -> Result<T, Refusal> {
    read().map_err(|refusal| Refusal {
        reference,
        ..refusal
    })
}
