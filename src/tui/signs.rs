//! The signs that the screen shows beside texts: the views draw them from here, and the help
//! explains them from here.

use crate::{protocol::Role, tui::user_text::badge};

/// Our message is being saved on this computer.
pub const SAVING: &str = "·";
/// Our message is not confirmed yet.
pub const PENDING: &str = "…";
/// Our message is stored by the server.
pub const SENT: &str = "✓";
/// Our message went to a server that confirms nothing.
pub const UNCONFIRMED: &str = "~";
/// Our message was refused, or the connection has a problem.
pub const FAILED: &str = "✗";
/// The server answers; the member is online.
pub const PRESENT: &str = "●";
/// The server does not answer.
pub const WAITING: &str = "◌";
/// Not connected; beside a name: was online when the server last answered.
pub const ABSENT: &str = "○";
/// Beside a text that the reader should see, or that is being edited.
pub const MARKED: &str = "┃";
/// Before the room that is on the screen, or the chosen row of a list.
pub const CURRENT: &str = "▌";
/// Beside a room that is muted.
pub const MUTED: &str = "—";
/// Beside a room in which a draft waits.
pub const DRAFT: &str = "✎";
/// On a line for missing messages.
pub const MISSING: &str = "┄";

/// A sign and its meaning.
pub type Sign = (&'static str, &'static str);

/// Signs that appear in one part of the screen.
#[derive(Clone, Debug)]
pub struct Legend {
    /// The part of the screen.
    pub title: &'static str,
    /// The signs.
    pub signs: Vec<Sign>,
}

/// All signs.
pub fn legends() -> Vec<Legend> {
    let of = |role| badge(role).unwrap_or_default();
    vec![
        Legend {
            title: "Beside your messages",
            signs: vec![
                (SAVING, "being saved on this computer"),
                (PENDING, "on its way: not confirmed yet"),
                (SENT, "stored by the server"),
                (UNCONFIRMED, "sent; this server confirms nothing"),
                (FAILED, "refused, with the reason"),
            ],
        },
        Legend {
            title: "In the title and beside names",
            signs: vec![
                (PRESENT, "the server answers; is online"),
                (WAITING, "the server does not answer"),
                (ABSENT, "not connected; has left"),
                (of(Role::Owner), "owner of the server"),
                (of(Role::Moderator), "moderator"),
                (of(Role::Unverified), "has no key: may be anybody"),
            ],
        },
        Legend {
            title: "Beside rooms",
            signs: vec![
                (CURRENT, "is on the screen"),
                ("4", "unread messages"),
                ("@1", "messages that mention you"),
                (MUTED, "muted"),
                (DRAFT, "a draft waits there"),
            ],
        },
        Legend {
            title: "Beside texts",
            signs: vec![
                (MARKED, "mentions you, was found, is edited"),
                (MISSING, "messages that are missing"),
            ],
        },
    ]
}
