//! What the full screen is started with.

use tokio::sync::mpsc;

use super::{args::Theme, serve::HostControl, signals::Signals};
use crate::{
    client::{Command, Event, event::Restored},
    protocol::{KeyTag, Nickname, RoomName},
};

/// Everything that [`super::shell`] needs to run, and nothing that it would have to look up.
#[derive(Debug)]
pub struct Launch {
    /// The server as the user named it: `localhost:10500`.
    pub host_label: String,
    /// The nickname wanted.
    pub nickname: Nickname,
    /// The room that is shown.
    pub room: RoomName,
    /// What the user said about the background.
    pub theme: Theme,
    /// Whether colours are off, by option or by `NO_COLOR`.
    pub no_color: bool,
    /// Set when this run hosts the chat: the server ends with it, or goes on.
    pub host: Option<HostControl>,
    /// What asks the program to end.
    pub signals: Signals,
    /// The user's own key; `None`: he comes in without.
    pub key: Option<KeyTag>,
    /// What the client's own store holds: painted before the network answers.
    pub restored: Restored,
    /// To the session.
    pub commands: mpsc::Sender<Command>,
    /// From the session; `Event::Ended` is the last.
    pub events: mpsc::Receiver<Event>,
}
