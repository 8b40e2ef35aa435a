//! Converts the JSON of one frame to a typed frame, and back.
//!
//! All frames are read into, and written from, one flat struct ([`Flat`]) whose strings are
//! borrowed from the frame. (A tagged enum would buffer the whole object first: measured at 25
//! times the memory and time for a long frame.) So a field's name means one kind of value in all
//! frames; the protocol has this rule, and this struct enforces it.

mod admin;
mod capabilities;
mod client;
mod entry;
mod error;
mod flat;
mod names;
mod refusal;
mod rooms;
mod server;
#[cfg(test)]
mod tests;

pub use client::{UNKNOWN_TYPE, encode_client, encode_join, parse_client};
pub use entry::{encode_entry, parse_entry};
pub(super) use flat::{Flat, Str, read_flat, write};

pub use error::WireError;
pub use server::{
    encode_changes, encode_found, encode_history, encode_inbox, encode_server, parse_server,
};

pub(in crate::protocol) use self::names::name_of;
pub use self::names::{DEPARTURES, ERROR_CODES};
use self::names::{departure, error_code};
pub use self::refusal::Refusal;
