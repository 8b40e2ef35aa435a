//! The program that people start: [`args`], and then the full screen or the line mode.
//!
//! - [`startup`]: what the screen is started with.
//! - [`serve`]: a server, for the host.

pub mod args;
pub mod serve;
pub mod startup;

pub use self::startup::Startup;
