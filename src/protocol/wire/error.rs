//! Errors of a server's frames.

use std::fmt;

use jiff::Timestamp;

use crate::protocol::name::NameError;

/// A server's frame that is invalid: the server, or something on the way, is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireError(String);

impl WireError {
    pub(super) fn new(why: String) -> Self {
        Self(why)
    }
}

impl fmt::Display for WireError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

impl std::error::Error for WireError {}

impl From<NameError> for WireError {
    fn from(error: NameError) -> Self {
        Self(error.to_string())
    }
}

pub(super) fn need<T>(name: &str, value: Option<T>) -> Result<T, WireError> {
    value.ok_or_else(|| WireError(format!("The server left out {name}")))
}

pub(super) fn time(text: &str) -> Result<Timestamp, WireError> {
    text.parse()
        .map_err(|_| WireError("The server sent a time that is not RFC 3339".to_owned()))
}
