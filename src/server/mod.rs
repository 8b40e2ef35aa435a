//! The server: hosts the rooms.
//!
//! - [`engine`] decides (pure).
//! - [`store`] keeps the log.
//!
//! Nothing here knows the client's half.

pub mod engine;
pub mod store;
