//! The program that people start: [`args`], and then the full screen or [`line_mode`].
//!
//! - [`launch`]: what the screen is started with.
//! - [`serve`]: a server, for the host.
//! - [`secrets`]: passphrases and passwords.
//! - [`local_time`]: the reader's time zone, and moments in it.
//! - [`exit_summary`]: what is printed at the end.
//! - [`key`], [`keymap`], [`commands`] (pure): what a user can do, each in one table.
//! - [`input`] (pure): the editor of the input box.
//! - [`user_text`] (pure): what is told of keys, invites and rules.
//! - [`app`] (pure): the screen's state and how it changes.
//! - [`view`] (pure): how it looks.
//! - [`shell`]: the only part that knows a terminal.

pub mod app;
pub mod args;
pub mod commands;
pub mod exit_summary;
pub mod input;
pub mod key;
pub mod keymap;
pub mod launch;
pub mod line_mode;
pub mod local_time;
pub mod secrets;
pub mod serve;
pub mod shell;
pub mod signals;
pub mod signs;
#[cfg(test)]
mod testing;
pub mod user_text;
pub mod view;

pub use self::launch::Launch;
