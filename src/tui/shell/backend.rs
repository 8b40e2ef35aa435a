//! Writes a screen to the terminal: the steps of [`diff`](super::diff), each after the cursor has
//! been moved to its start.

use std::io;

use crossterm::{
    cursor::{Hide, MoveTo, Show},
    queue,
    style::{Attribute, Print, SetAttribute, SetStyle},
};
use ratatui::{
    backend::IntoCrossterm,
    buffer::{Buffer, Cell},
    layout::Position,
    style::{Color, Style},
};

use super::diff::steps;

/// Turns autowrap off. A character that does not fit into a row would continue in the next one,
/// which in the last row scrolls the screen; so a terminal that takes it for wider than we do cuts
/// it instead.
pub(super) const CUT_AT_EDGE: &str = "\x1b[?7l";
/// Turns autowrap on again, as shells expect.
pub(super) const WRAP_AT_EDGE: &str = "\x1b[?7h";

/// Writes to a terminal.
#[derive(Debug)]
pub(super) struct Careful<W: io::Write>(W);

impl<W: io::Write> Careful<W> {
    pub(super) fn new(out: W) -> Self {
        Self(out)
    }

    /// Turns the old screen into the new one, and places the cursor.
    pub(super) fn draw(
        &mut self,
        old: &Buffer,
        new: &Buffer,
        cursor: Option<Position>,
    ) -> io::Result<()> {
        let mut style = Style::new();
        for step in steps(old, new) {
            queue!(self.0, MoveTo(step.x, step.y))?;
            for cell in &step.cells {
                self.style(&mut style, style_of(cell))?;
                if step.at_edge {
                    self.at_edge(cell.symbol())?;
                } else {
                    queue!(self.0, Print(cell.symbol()))?;
                }
            }
        }
        self.style(&mut style, Style::new())?;
        match cursor {
            None => queue!(self.0, Hide),
            Some(Position { x, y }) => queue!(self.0, Show, MoveTo(x, y)),
        }
    }

    /// Changes the current style.
    fn style(&mut self, now: &mut Style, next: Style) -> io::Result<()> {
        if *now == next {
            return Ok(());
        }
        if *now != Style::new() {
            queue!(self.0, SetAttribute(Attribute::Reset))?;
        }
        *now = next;
        queue!(self.0, SetStyle(next.into_crossterm()))
    }

    /// Writes a cluster into the last column. Without autowrap, the cursor stays on that column,
    /// and terminals that put combining marks on the cell before the cursor would put them on its
    /// neighbour. So a base letter of undisputed width is written with autowrap on, which takes the
    /// cursor past it, and its marks with autowrap off.
    fn at_edge(&mut self, symbol: &str) -> io::Result<()> {
        match symbol.split_at_checked(1) {
            Some((letter, marks)) if !marks.is_empty() => queue!(
                self.0,
                Print(WRAP_AT_EDGE),
                Print(letter),
                Print(CUT_AT_EDGE),
                Print(marks)
            ),
            _ => queue!(self.0, Print(symbol)),
        }
    }
}

/// A cell's style, without defaults.
fn style_of(cell: &Cell) -> Style {
    let colour = |colour| Some(colour).filter(|colour| *colour != Color::Reset);
    Style {
        fg: colour(cell.fg),
        bg: colour(cell.bg),
        add_modifier: cell.modifier,
        ..Style::new()
    }
}

impl<W: io::Write> io::Write for Careful<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        io::Write::write(&mut self.0, bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        io::Write::flush(&mut self.0)
    }
}
