//! The reader's context, which a pane needs to take events.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;

use crate::{
    protocol::{Nickname, UserId},
    tui::app::layout::Columns,
};

/// The facts that decide what a new message means to the reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context<'a> {
    /// Our own id on the server.
    pub user: Option<UserId>,
    /// Whom we ignore on the server.
    pub ignored: &'a BTreeSet<UserId>,
    /// Our own nickname.
    pub nickname: &'a Nickname,
    /// Whether the room is on the screen and the terminal has the focus.
    pub looking: bool,
    /// The reader's time zone.
    pub zone: &'a TimeZone,
    /// The columns of the scrollback.
    pub columns: Columns,
    /// Its rows.
    pub height: u16,
}
