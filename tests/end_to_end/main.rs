//! The real programs in a real terminal: what a user sees.

#![cfg(all(unix, feature = "tui", feature = "server"))]

mod admin;
mod conversation;
mod entries;
#[path = "../families/mod.rs"]
mod families;
mod folding;
mod handover;
mod health;
mod history;
mod hosting;
mod jobs;
mod legacy_peers;
mod passphrase;
mod process;
mod rooms;
mod seed;
mod terminal;
mod typing;
mod zone;
