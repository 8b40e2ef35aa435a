//! Converts the JSON of one frame to a typed frame, and back.
//!
//! All frames are read into, and written from, one flat struct ([`Flat`]) whose strings are
//! borrowed from the frame. (A tagged enum would buffer the whole object first: measured at 25
//! times the memory and time for a long frame.) So a field's name means one kind of value in all
//! frames; the protocol has this rule, and this struct enforces it.

mod admin;
mod client;
mod entry;
mod flat;
mod names;
mod refusal;
mod server;
#[cfg(test)]
mod tests;

pub use client::{UNKNOWN_TYPE, encode_client, encode_join, parse_client};
pub use entry::{encode_entry, parse_entry};
use flat::List;
pub(super) use flat::{Flat, Str, read_flat, write};

use crate::protocol::frame::Capabilities;
pub use server::{
    WireError, encode_changes, encode_found, encode_history, encode_server, parse_server,
};

pub(in crate::protocol) use self::names::name_of;
pub use self::names::{DEPARTURES, ERROR_CODES};
use self::names::{departure, error_code};
pub use self::refusal::Refusal;

/// The names of capabilities on the wire.
const EDIT: &str = "edit";
const REDACT: &str = "redact";

/// Reads capabilities; unknown ones are ignored.
fn capabilities<const N: usize>(names: Option<&List<Str<'_>, N>>) -> Capabilities {
    let has = |name| names.is_some_and(|names| names.0.iter().any(|found| found.as_str() == name));
    Capabilities {
        edit: has(EDIT),
        redact: has(REDACT),
    }
}

/// Writes capabilities, if there are any.
fn capability_names<const N: usize>(can: Capabilities) -> Option<List<Str<'static>, N>> {
    let names = [(can.edit, EDIT), (can.redact, REDACT)];
    let names: Vec<_> = names
        .into_iter()
        .filter_map(|(can, name)| can.then(|| name.into()))
        .collect();
    (!names.is_empty()).then_some(List(names))
}
