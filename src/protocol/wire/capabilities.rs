//! The names of capabilities.

use super::flat::{List, Str};
use crate::protocol::frame::Capabilities;

const EDIT: &str = "edit";
const REDACT: &str = "redact";
const ROOMS: &str = "rooms";

/// Reads capabilities; unknown ones are ignored.
pub(super) fn capabilities<const N: usize>(names: Option<&List<Str<'_>, N>>) -> Capabilities {
    let has = |name| names.is_some_and(|names| names.0.iter().any(|found| found.as_str() == name));
    Capabilities {
        edit: has(EDIT),
        redact: has(REDACT),
        rooms: has(ROOMS),
    }
}

/// Writes capabilities, if there are any.
pub(super) fn capability_names<const N: usize>(can: Capabilities) -> Option<List<Str<'static>, N>> {
    let names = [(can.edit, EDIT), (can.redact, REDACT), (can.rooms, ROOMS)];
    let names: Vec<_> = names
        .into_iter()
        .filter(|(can, _)| *can)
        .map(|(_, name)| name.into())
        .collect();
    (!names.is_empty()).then_some(List(names))
}
