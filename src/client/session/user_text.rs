//! What goes wrong with a connection, in sentences that somebody who only wants to chat understands.

pub(super) mod trust;

use self::trust::Distrust;
use crate::{client::Host, protocol::frame::Departure, text::Line};

/// Why there is no connection (any more), as the transport found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// There is no machine of that name.
    UnknownHost,
    /// The name could not be looked up: there is no name server to ask, or it does not answer.
    NoLookUp,
    /// The machine is there, but nothing listens on the port.
    Refused,
    /// Nothing answered in time.
    TimedOut,
    /// No way to that machine.
    Unreachable,
    /// The other side closed the connection in order.
    Eof,
    /// The connection broke.
    Lost,
    /// A server that is not known closed the connection, or said nothing, when asked to encrypt.
    NoTls {
        /// Whether it closed it.
        hung_up: bool,
    },
    /// It could not be encrypted, in the words of who tried.
    Tls(String),
    /// The server is not known to be the one that is meant. Nothing was sent to it, and no attempt
    /// follows by itself.
    Distrusted(Distrust),
    /// Anything else, in the system's words.
    Other(String),
}

impl Closed {
    /// One plain sentence; `server` is `host` with its port.
    pub(super) fn sentence(&self, host: &Host, server: &str) -> Line {
        Line::inert(&match self {
            Self::UnknownHost => format!("No machine called {host} could be found"),
            Self::NoLookUp => {
                format!("The name {host} can't be looked up now: are you online?")
            }
            Self::Refused => format!("Nothing is listening on {server}"),
            Self::TimedOut => format!("{server} does not answer"),
            Self::Unreachable => format!("There is no way to {host} from here"),
            Self::Eof => format!("{server} closed the connection"),
            Self::Lost => format!("The connection to {server} was lost"),
            Self::NoTls { hung_up } => {
                let does = if *hung_up {
                    "closed the connection when asked to encrypt"
                } else {
                    "took the connection but does not answer"
                };
                format!(
                    "{server} {does}; if it is an older server on a network that you trust, start \
                     with --plaintext"
                )
            }
            Self::Tls(what) => format!("The connection to {server} can't be encrypted: {what}"),
            Self::Distrusted(distrust) => distrust.sentence(server),
            Self::Other(what) => format!("The connection to {server} failed: {what}"),
        })
    }
}

/// Why the server ended the connection, where it gave no words of its own.
pub(super) fn bye(reason: Departure) -> &'static str {
    match reason {
        Departure::Disconnect => "The server ended the connection",
        Departure::Lost => "The server lost the connection",
        Departure::Timeout => "The server heard nothing from here for too long",
        Departure::Replaced => TAKEN_OVER,
        Departure::Protocol => "The server did not understand this client",
        Departure::Kicked => "A moderator sent you away",
        Departure::Banned => "You are banned from this server",
        Departure::Shutdown => "The server is shutting down",
    }
}

/// The same in a word or two.
pub(super) fn bye_in_brief(reason: Departure) -> &'static str {
    match reason {
        Departure::Banned => "Banned!",
        Departure::Kicked => "Sent away!",
        _ => "Disconnected!",
    }
}

/// Not let in, in a word or two.
pub(super) const NOT_IN: &str = "Not let in!";

/// [`OTHER_GENERATION`], in a word or two.
pub(super) const OTHER_VERSION: &str = "Other version!";

/// The room that is wanted is not there, in a word or two.
pub(super) const NO_ROOM: &str = "No such room!";

/// What the user took back, and another process of ours has by now.
pub(super) const NOT_TAKEN_BACK: &str =
    "What you took back is with another terminal now, which will send it";

/// Another process has this device's place, on the server or on the disk.
pub(super) const TAKEN_OVER: &str =
    "Another terminal took over: it came in with the same client ID";

/// The same in a word or two.
pub(super) const TAKEN_OVER_IN_BRIEF: &str = "Taken over!";

/// The outbox takes no more.
pub const OUTBOX_FULL: &str =
    "Too much is waiting to be sent: try again when the server has caught up";

/// No version of the protocol in common.
pub(super) const OTHER_GENERATION: &str =
    "This server speaks another version of the protocol: one of the two programs needs an update";

/// What the other side did that the protocol does not allow. The connection can't go on; a new
/// one may.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProtocolFault(pub(super) String);

impl ProtocolFault {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Self(what.into())
    }

    pub(super) fn sentence(&self) -> Line {
        Line::inert(&format!("The server broke the protocol: {}", self.0))
    }
}
