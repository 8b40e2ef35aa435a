//! What a session is given, and what it asks of its driver.

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

/// What a session needs to know from the start.
#[derive(Clone, Debug)]
pub struct Config {
    /// The server's name or address; for words only.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// The nickname wanted.
    pub nickname: Nickname,
    /// Which of the user's devices or sessions this is.
    pub client_id: ClientId,
    /// The secret by which the server knows this user again: made by chance at the first start
    /// and kept.
    pub token: Token,
    /// The rooms to be in; none: the lobby.
    pub enter: Vec<RoomName>,
    /// How many of the latest messages to ask for on first coming in; `None` leaves it to the
    /// server. (After a break in the log, as many as there may be are asked for.)
    pub last: Option<u64>,
    /// How many of the messages missed are wanted at most on coming in again; the rest can be
    /// asked for. `None`: all of them.
    pub most: Option<u64>,
    /// Who comes in, and by what.
    pub credentials: Credentials,
    /// How the user started this, for the commands that are told.
    pub command_line: CommandLine,
    /// Whether to leave this device's place to another process that has its outbox: what is to be
    /// sent is handed to that one meanwhile, and when it has ended, the place is taken. Otherwise
    /// another process that takes the place stops this session, until the user wants it back.
    pub yields: bool,
    /// The zone of the times that basic servers are told.
    pub zone: TimeZone,
    /// Where the chance in waiting times comes from.
    pub seed: u64,
}

/// What a session comes in with. None of it is shown where others on the way can read along.
#[derive(Clone, Debug, Default)]
pub struct Credentials {
    /// The user's key; without one he is not verified.
    pub identity: Option<Identity>,
    /// An invite: its token is sent to the server whose key it names, and only encrypted, until it
    /// has let us in.
    pub invite: Option<Invite>,
    /// The server's password: sent once the server asks for one.
    pub password: Option<Password>,
    /// The code of a device: sent until it has let us in.
    pub code: Option<DeviceCode>,
}

impl Credentials {
    /// Who comes in with these, as far as can be known before the server says: the key may have
    /// been added to a user who has another one.
    pub fn likely_user(&self, token: &Token) -> UserId {
        let identity = self.identity.as_ref();
        identity.map_or_else(|| token.user(), |identity| identity.public().user())
    }
}

/// What the driver must do with its socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketAction {
    /// Open a connection; answered by [`Session::handle_opened`](super::Session::handle_opened) or
    /// [`Session::handle_closed`](super::Session::handle_closed).
    Connect,
    /// Drop the connection, or the attempt, if there is one. Not answered.
    Close,
}

/// What became of the server's key, as far as it was taken at first sight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyVerdict {
    /// The server let us in, or speaks as an older one does: the key is kept.
    Keep,
    /// A proof bound to the connection did not hold: the key may be that of somebody in between.
    Doubt,
}

/// What the driver knows of a connection that it has opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// In the clear.
    Plain {
        /// The server's end of it.
        server: SocketAddr,
    },
    /// Encrypted.
    Encrypted {
        /// How the server is known.
        verified_by: VerifiedBy,
        /// Its key.
        fingerprint: Fingerprint,
        /// What makes this connection this one and no other.
        exporter: [u8; 32],
    },
}

impl Channel {
    /// Who can read along, and how the server is known.
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

    /// Whether others can read along, or answer in the server's place: all but what is encrypted
    /// and what stays on this machine.
    pub(super) fn is_exposed(&self) -> bool {
        match self {
            Self::Plain { server } => !server.ip().to_canonical().is_loopback(),
            Self::Encrypted { .. } => false,
        }
    }
}
