//! Sentences for the user about problems with a connection.

pub(super) mod trust;

use self::trust::Distrust;
use crate::{client::Host, protocol::frame::Departure, text::Line};

/// Why there is no connection, as the transport found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Closed {
    /// No machine has that name.
    UnknownHost,
    /// The name could not be looked up: there is no name server, or it does not answer.
    NoLookUp,
    /// The machine is there, but nothing listens on the port.
    Refused,
    /// There was no answer in time.
    TimedOut,
    /// There is no route to that machine.
    Unreachable,
    /// The other side closed the connection cleanly.
    Eof,
    /// The connection broke.
    Lost,
    /// An unknown server closed the connection, or stayed silent, when asked to encrypt.
    NoTls {
        /// Whether it closed it.
        hung_up: bool,
    },
    /// The encryption failed, with the TLS library's reason.
    Tls(String),
    /// The server is not trusted. Nothing was sent to it, and no attempt is scheduled.
    Distrusted(Distrust),
    /// Any other reason, in the system's words.
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
            Self::Unreachable => format!("There is no route to {host} from here"),
            Self::Eof => format!("{server} closed the connection"),
            Self::Lost => format!("The connection to {server} was lost"),
            Self::NoTls { hung_up } => {
                let does = if *hung_up {
                    "closed the connection when asked to encrypt"
                } else {
                    "accepted the connection but does not answer"
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

/// Why the server ended the connection, if it gave no message of its own.
pub(super) fn bye(reason: Departure) -> &'static str {
    match reason {
        Departure::Disconnect => "The server ended the connection",
        Departure::Lost => "The server lost the connection",
        Departure::Timeout => "The server heard nothing from here for too long",
        Departure::Replaced => TAKEN_OVER,
        Departure::Protocol => "The server did not understand this client",
        Departure::Kicked => "A moderator kicked you",
        Departure::Banned => "You are banned from this server",
        Departure::Shutdown => "The server is shutting down",
    }
}

/// The reason in a word or two.
pub(super) fn bye_in_brief(reason: Departure) -> &'static str {
    match reason {
        Departure::Banned => "Banned!",
        Departure::Kicked => "Kicked!",
        _ => "Disconnected!",
    }
}

/// The client was not admitted, in a word or two.
pub(super) const NOT_IN: &str = "Not admitted!";

/// [`OTHER_GENERATION`], in a word or two.
pub(super) const OTHER_VERSION: &str = "Other version!";

/// The wanted room does not exist, in a word or two.
pub(super) const NO_ROOM: &str = "No such room!";

/// Another process has a message that the user withdrew.
pub(super) const NOT_TAKEN_BACK: &str =
    "Another terminal has the message that you withdrew, and will send it";

/// Another process has taken over this device, on the server or on the disk.
pub(super) const TAKEN_OVER: &str = "Another terminal took over: it joined with the same client ID";

/// [`TAKEN_OVER`], in a word or two.
pub(super) const TAKEN_OVER_IN_BRIEF: &str = "Taken over!";

/// Why an edit or a redaction is refused by a server that has none.
pub(super) const NO_SUCH_CONTENT: &str = "This server can't change messages that were sent";

/// Why one is refused by a legacy server.
pub(super) const ONLY_TEXTS: &str = "This older server can't change messages that were sent";

/// The outbox is full.
pub const OUTBOX_FULL: &str =
    "Too much is waiting to be sent: try again when the server has caught up";

/// The client and the server have no version of the protocol in common.
pub(super) const OTHER_GENERATION: &str =
    "This server speaks another version of the protocol: one of the two programs needs an update";

/// A breach of the protocol by the server. Ends the connection; a new one may work.
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
