//! Whose store it is, and which process of theirs has it open.

use crate::protocol::{ClientId, Nickname};
use std::path::PathBuf;

/// Whose store it is, and where.
#[derive(Clone, Debug)]
pub struct Profile {
    /// The directory of all stores; made if it is not there.
    pub directory: PathBuf,
    /// The server, in the spelling of [`Host::with_port`](crate::client::Host::with_port).
    pub server: String,
    /// The nickname given at the start.
    pub nickname: Nickname,
    /// Which of the user's devices this is.
    pub client_id: ClientId,
}

/// Sixteen bytes by chance: who holds the lease.
pub(super) type Owner = [u8; 16];
