//! Hostile texts, in every place where a user can put one, followed to every output of the
//! programs: no byte arrives that a terminal would obey, and no invisible one.

#![cfg(all(unix, feature = "tui", feature = "server"))]
#![allow(clippy::unwrap_used, reason = "that is how a test fails")]

mod arguments;
mod clusters;
mod corpus;
mod export;
mod host;
mod judge;
mod lines;
mod log;
mod screen;
#[path = "../end_to_end/terminal.rs"]
#[allow(dead_code, reason = "another test uses the rest")]
mod terminal;
mod tmux;

/// The client's program.
const CHAT_TUI: &str = env!("CARGO_BIN_EXE_chat-tui");

/// The server's program.
const CHAT_SERVER: &str = env!("CARGO_BIN_EXE_chat-server");
