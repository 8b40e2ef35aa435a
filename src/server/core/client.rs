//! What the core knows of a client, besides who it is: how it is connected, and what it can do.

use std::net::SocketAddr;

use crate::{
    protocol::{Binding, Fingerprint},
    server::network::ClientAddress,
};

/// How a client is connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Where the client is.
    pub address: ClientAddress,
    /// Whether nobody on the way can read what is said.
    pub encrypted: bool,
    /// What a client signs to prove that its key is at the other end of this very connection.
    pub binding: Binding,
}

impl Channel {
    /// One that is not encrypted, to the server with this key, whose end of it is `own`.
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

/// What the core has to know of the clients of a dialect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own; a dialect may have any combination of them"
)]
pub struct Abilities {
    /// What the server's log calls a client that names no program; `None`: nothing.
    pub called: Option<&'static str>,
    /// A client gives its messages ids, and sends a message again that was refused for a while. The
    /// server numbers the messages of others, and holds back those that come too early.
    pub sends_again: bool,
    /// A client is sent its own messages too.
    pub hears_itself: bool,
    /// A client answers a `ping`. For others, TCP finds out whether they are gone.
    pub answers_ping: bool,
    /// What a client is sent is spaced in time, so that the time of each write counts.
    pub is_spaced: bool,
    /// Bytes of a page that is read from the log for a client that is behind the replica.
    pub page_bytes_max: usize,
}
