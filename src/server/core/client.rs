//! The core's knowledge of a client besides its identity: how it is connected, and what it can do.

use std::net::SocketAddr;

use crate::{
    protocol::{Binding, Fingerprint},
    server::network::ClientAddress,
};

/// How a client is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// The client's address.
    pub address: ClientAddress,
    /// Whether the connection is encrypted.
    pub encrypted: bool,
    /// The value that a client signs to prove that it holds its key on this very connection.
    pub binding: Binding,
}

impl Channel {
    /// An unencrypted channel to the server with this key, at the server's address `own`.
    pub fn plain(address: impl Into<ClientAddress>, server: Fingerprint, own: SocketAddr) -> Self {
        Self {
            address: address.into(),
            encrypted: false,
            binding: Binding::Plain {
                server,
                address: own,
            },
        }
    }
}

/// The capabilities of a dialect's clients, as far as the core needs to know them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; a dialect may have any combination of them"
)]
pub struct Abilities {
    /// The name in the server's log of a client that names no program; `None`: none.
    pub called: Option<&'static str>,
    /// The client gives its messages ids, and sends a message again that was refused temporarily.
    /// For other clients the server numbers the messages, and holds back those that arrive too
    /// early.
    pub sends_again: bool,
    /// The client is sent its own messages too.
    pub hears_itself: bool,
    /// The client answers a `ping`. Without it, TCP detects whether it is gone.
    pub answers_ping: bool,
    /// Writes to the client are spaced in time, so the time of each write matters.
    pub is_spaced: bool,
    /// Largest page in bytes that is read from the log for a client behind the replica.
    pub page_bytes_max: usize,
}
