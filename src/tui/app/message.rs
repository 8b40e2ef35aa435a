//! The messages that the update takes, and the effects that it returns.

use jiff::tz::TimeZone;

use crate::{
    client::event::{Command, Event},
    time::Now,
    tui::key::Key,
};

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Msg {
    /// Time has passed; comes before any other message.
    Now(Now),
    /// The reader's time zone has changed.
    Zone(TimeZone),
    /// The screen's size has changed.
    Resized {
        /// Columns.
        width: u16,
        /// Rows.
        height: u16,
    },
    /// A key was pressed.
    Key(Key),
    /// A text was pasted.
    Pasted(String),
    /// Lines arrived at once, but were not marked as pasted.
    CameAtOnce(String),
    /// The terminal has gained or lost the focus.
    Focus(bool),
    /// The wheel was turned by this many notches; down is positive.
    Wheel(i16),
    /// A cell of the screen was clicked.
    Clicked {
        /// Its column.
        column: u16,
        /// Its row.
        row: u16,
    },
    /// An event of the session.
    Session(Event),
    /// The program can't be suspended: no shell would continue it.
    CannotSuspend,
    /// The program must end without asking.
    Terminate,
}

/// An effect for the shell to carry out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// A command for the session.
    Command(Command),
    /// The choice about the hosted server.
    Host(HostChoice),
    /// Ends the program.
    Quit,
    /// Suspends the program (Ctrl-Z).
    Suspend,
    /// Draws the whole screen again.
    Redraw,
    /// Turns the reporting of the mouse on or off.
    Wheel(bool),
    /// Copies a text into the clipboard, if the terminal supports it.
    Copy(String),
}

/// The choice about the hosted server when we leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostChoice {
    /// It keeps running.
    KeepRunning,
    /// It ends.
    Stop,
}
