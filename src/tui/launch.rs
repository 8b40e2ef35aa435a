//! The arguments of the full screen.

use std::fmt;

use tokio::sync::mpsc;

use super::{args::Theme, serve::HostControl, signals::Signals};
use crate::{
    client::{Command, Event, event::Restored},
    protocol::{KeyTag, Nickname, RoomId, RoomName},
};

/// Everything that [`super::shell`] needs to run.
#[derive(Debug)]
pub struct Launch {
    /// The server as the user named it: `localhost:10500`.
    pub host_label: String,
    /// The wanted nickname.
    pub nickname: Nickname,
    /// The room that is shown.
    pub room: RoomName,
    /// The room to go to in its place, if the user is in it.
    pub place: Option<RoomId>,
    /// The user's choice of background.
    pub theme: Theme,
    /// Whether colours are off, by option or by `NO_COLOR`.
    pub no_color: bool,
    /// Set when this run hosts the server: the server ends with it or keeps running.
    pub host: Option<HostControl>,
    /// The signals that ask the program to end.
    pub signals: Signals,
    /// The user's own key; `None`: they join without one.
    pub key: Option<KeyTag>,
    /// What the client's own store holds: shown before the network answers.
    pub restored: Restored,
    /// To the session.
    pub commands: mpsc::Sender<Command>,
    /// From the session; `Event::Ended` is the last.
    pub events: mpsc::Receiver<Event>,
    /// Keeps the chat for a start without arguments; run at the first join, because a terminal may be
    /// closed at any time.
    pub at_join: AtJoin,
}

/// What is to be done once at the first join, with the room on the screen.
pub struct AtJoin(pub Box<dyn FnOnce(RoomId) + Send>);

impl fmt::Debug for AtJoin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AtJoin")
    }
}
