//! What a pane has to know of the reader, to take what arrives.

use jiff::tz::TimeZone;

use crate::protocol::{Nickname, UserId};

/// What a new message means to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context<'a> {
    /// Our own id on the server.
    pub user: Option<UserId>,
    /// Our own nickname.
    pub nickname: &'a Nickname,
    /// Whether the room is shown and the terminal looked at.
    pub looking: bool,
    /// The reader's time zone.
    pub zone: &'a TimeZone,
}
