//! The program that people start: [`args`], and then the full screen or the line mode.
//!
//! - [`startup`]: what the screen is started with.
//! - [`serve`]: a server, for the host.
//! - [`input`]: the editor of the input box (pure).

pub mod args;
pub mod input;
pub mod serve;
pub mod startup;

pub use self::startup::Startup;
