//! Every sign that the screen shows beside words, in one place: the views draw them from here, and
//! the help explains them from here.

use crate::{protocol::Role, tui::user_text::badge};

/// A message of ours that is being kept on this computer.
pub const SAVING: &str = "·";
/// A message of ours that is on its way.
pub const PENDING: &str = "…";
/// A message of ours that the server has.
pub const SENT: &str = "✓";
/// A message of ours that went to a server which confirms nothing, if it is one.
pub const UNCONFIRMED: &str = "~";
/// A message of ours that was refused; or what has gone wrong with the connection.
pub const FAILED: &str = "✗";
/// The server answers; somebody is in.
pub const PRESENT: &str = "●";
/// No answer yet, or none any more.
pub const WAITING: &str = "◌";
/// Not connected; who was in when the server was last heard.
pub const ABSENT: &str = "○";
/// Beside a text that the reader should see.
pub const MARKED: &str = "┃";
/// On a line for messages that are not there.
pub const MISSING: &str = "┄";

/// A sign and what it says.
pub type Sign = (&'static str, &'static str);

/// Signs that stand in one place.
#[derive(Clone, Debug)]
pub struct Legend {
    /// Where.
    pub title: &'static str,
    /// Which, and what they say.
    pub signs: Vec<Sign>,
}

/// All of them.
pub fn legends() -> Vec<Legend> {
    let of = |role| badge(role).unwrap_or_default();
    vec![
        Legend {
            title: "Beside your messages",
            signs: vec![
                (SAVING, "being kept on this computer"),
                (PENDING, "on its way: not confirmed yet"),
                (SENT, "the server has it"),
                (UNCONFIRMED, "sent, and nobody confirms it"),
                (FAILED, "refused, and why"),
            ],
        },
        Legend {
            title: "In the title and beside names",
            signs: vec![
                (PRESENT, "the server answers; is in"),
                (WAITING, "no answer yet, or none any more"),
                (ABSENT, "not connected; was in"),
                (of(Role::Owner), "owns the server"),
                (of(Role::Moderator), "keeps order"),
                (of(Role::Unverified), "came without a key: may be anybody"),
            ],
        },
        Legend {
            title: "Beside texts",
            signs: vec![
                (MARKED, "names you, or was found"),
                (MISSING, "messages that are not here"),
            ],
        },
    ]
}
