//! The client program: [`args`], and then the full screen or [`line_mode`].
//!
//! - [`launch`]: the arguments of the full screen.
//! - [`last_chat`]: the chat that `chat-tui` alone opens again.
//! - [`status`]: the line about what is unread.
//! - [`serve`]: starts a server, for a host.
//! - [`secrets`]: passphrases, passwords, codes.
//! - [`local_time`]: the reader's time zone, and times in it.
//! - [`exit_summary`]: the summary printed at the end.
//! - [`key`], [`keymap`], [`commands`] (pure): the tables of keys and commands.
//! - [`input`] (pure): the editor of the input box.
//! - [`user_text`] (pure): texts about keys, invites and rules.
//! - [`entry_text`] (pure): texts for edited, deleted and unknown entries.
//! - [`app`] (pure): the screen's state and how it changes.
//! - [`view`] (pure): draws the screen.
//! - [`shell`]: the only part that knows a terminal.

pub mod app;
pub mod args;
pub mod commands;
pub mod entry_text;
pub mod exit_summary;
pub mod input;
pub mod key;
pub mod keymap;
pub mod last_chat;
pub mod launch;
pub mod line_mode;
pub mod local_time;
pub mod secrets;
pub mod serve;
pub mod shell;
pub mod signals;
pub mod signs;
pub mod status;
#[cfg(test)]
mod testing;
pub mod user_text;
pub mod view;

pub use self::launch::{AtJoin, Launch};
