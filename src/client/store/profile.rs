//! Identifies a store, and the process that has its lease.

use crate::protocol::{ClientId, Nickname};
use std::path::PathBuf;

/// The server, user and device that a store belongs to, and its directory.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The directory of all stores; made if missing.
    pub directory: PathBuf,
    /// The server, in the spelling of [`Host::with_port`](crate::client::Host::with_port).
    pub server: String,
    /// The nickname given at the start.
    pub nickname: Nickname,
    /// Which of the user's devices this is.
    pub client_id: ClientId,
}

/// Sixteen random bytes that identify a process as the holder of the lease.
pub(super) type Owner = [u8; 16];
