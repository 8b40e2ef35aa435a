//! A session's configuration, and its requests to its driver.

use crate::{
    client::{
        Host,
        event::{Security, VerifiedBy},
        session::user_text::trust::CommandLine,
    },
    protocol::{
        ClientId, DeviceCode, Fingerprint, Identity, Invite, Nickname, Password, RoomName, Token,
        UserId,
    },
};
use jiff::tz::TimeZone;
use std::net::SocketAddr;

/// The configuration of a session.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's name or address; only for texts.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// The nickname wanted.
    pub nickname: Nickname,
    /// Which of the user's devices or sessions this is.
    pub client_id: ClientId,
    /// The secret that identifies this user to the server: made at random at the first start and
    /// stored.
    pub token: Token,
    /// The rooms to join; none: the lobby.
    pub enter: Vec<RoomName>,
    /// How many of the latest messages to ask for on a first join; `None`: the server decides.
    /// (After a break in the log, as many as allowed.)
    pub last: Option<u64>,
    /// At most how many of the missed messages to get on a later join; the rest can be requested.
    /// `None`: all of them.
    pub most: Option<u64>,
    /// The user's key and credentials.
    pub credentials: Credentials,
    /// How the user started this program, for suggested commands.
    pub command_line: CommandLine,
    /// Whether to yield this device to another process that has its outbox: messages are handed to
    /// that process, and this session connects when it has ended. Otherwise a process that takes
    /// over stops this session until the user acts.
    pub yields: bool,
    /// The time zone of times sent to legacy servers.
    pub zone: TimeZone,
    /// Seed of the randomness in waits.
    pub seed: u64,
}

/// The key and credentials of a session. None of them is sent where others on the way can read.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The user's key; without one the user is unverified.
    pub identity: Option<Identity>,
    /// An invite. Its token is sent, only encrypted, to the server whose key it names, until that
    /// has admitted us.
    pub invite: Option<Invite>,
    /// The server's password; sent once the server asks for one.
    pub password: Option<Password>,
    /// A device code; sent until the server has admitted us.
    pub code: Option<DeviceCode>,
}

impl Credentials {
    /// The user of these credentials, as far as is known before the server answers: the key may
    /// have been added to another user.
    pub fn likely_user(&self, token: &Token) -> UserId {
        let identity = self.identity.as_ref();
        identity.map_or_else(|| token.user(), |identity| identity.public().user())
    }
}

/// The driver's next step for its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketAction {
    /// Open a connection; answered by [`Session::handle_opened`](super::Session::handle_opened) or
    /// [`Session::handle_closed`](super::Session::handle_closed).
    Connect,
    /// Drop the connection, or the attempt, if there is one. Not answered.
    Close,
}

/// Whether to keep a server's key that was accepted at the first connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyVerdict {
    /// The server admitted us, or talks as a legacy one: keep the key.
    Keep,
    /// A proof bound to the connection was refused: the key may belong to somebody in between.
    Doubt,
}

/// The driver's description of an open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// In the clear.
    Plain {
        /// The server's end of it.
        server: SocketAddr,
    },
    /// Encrypted.
    Encrypted {
        /// How the server was verified.
        verified_by: VerifiedBy,
        /// Its key.
        fingerprint: Fingerprint,
        /// The TLS exporter value, unique to this connection.
        exporter: [u8; 32],
    },
}

impl Channel {
    /// The protection of the connection: who can read it, and how the server was verified.
    pub fn security(&self) -> Security {
        match *self {
            Self::Plain { .. } => Security::Plain,
            Self::Encrypted {
                verified_by,
                fingerprint,
                ..
            } => Security::Encrypted {
                verified_by,
                fingerprint,
            },
        }
    }

    /// Whether others can read it, or impersonate the server: unless it is encrypted or stays on
    /// this machine.
    pub(super) fn is_exposed(&self) -> bool {
        match self {
            Self::Plain { server } => !server.ip().to_canonical().is_loopback(),
            Self::Encrypted { .. } => false,
        }
    }
}
