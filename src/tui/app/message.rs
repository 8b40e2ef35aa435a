//! What happens to the screen, and what is to be done then.

use jiff::tz::TimeZone;

use crate::{
    client::event::{Command, Event},
    time::Now,
    tui::key::Key,
};

/// Something happened.
#[derive(Clone, Debug)]
pub enum Msg {
    /// Time went on; comes before whatever else happened then.
    Now(Now),
    /// The reader is in another time zone.
    Zone(TimeZone),
    /// The screen has another size.
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
    /// Lines came all at once, and were not marked as pasted.
    CameAtOnce(String),
    /// The terminal came to be looked at, or no longer is.
    Focus(bool),
    /// The wheel was turned by so many notches; down is positive.
    Wheel(i16),
    /// A cell of the screen was clicked.
    Clicked {
        /// Its column.
        column: u16,
        /// Its row.
        row: u16,
    },
    /// The session tells something.
    Session(Event),
    /// The program can't be stopped: nobody would continue it.
    CannotSuspend,
    /// The program is to end without another question.
    Terminate,
}

/// Something is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// To be told to the session.
    Command(Command),
    /// What becomes of the server that we host.
    Host(HostChoice),
    /// The end.
    Quit,
    /// Ctrl-Z.
    Suspend,
    /// The screen is to be drawn from nothing.
    Redraw,
    /// The wheel is to be told to us, or left to the terminal.
    Wheel(bool),
    /// A text is to be put into the clipboard, if the terminal does that.
    Copy(String),
}

/// What becomes of the server that we host when we leave.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostChoice {
    /// It goes on without us.
    KeepRunning,
    /// It ends.
    Stop,
}
