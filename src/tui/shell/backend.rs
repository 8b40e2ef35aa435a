//! How a screen is written to the terminal: as ratatui does, but for texts about whose width
//! terminals differ.
//!
//! A row is written from left to right, and the cursor is moved only over a gap. A terminal that
//! takes a letter for wider or narrower than we do would then shift all that follows it in the row,
//! and keep what stood there: one message could garble everybody's screen. So the cursor is put in
//! its place again after whatever is not of the plain kind.

use std::io;

use ratatui::{
    backend::{Backend, ClearType, CrosstermBackend, WindowSize},
    buffer::Cell,
    layout::{Position, Size},
};

/// Writes to a terminal.
#[derive(Debug)]
pub(super) struct Careful<W: io::Write>(CrosstermBackend<W>);

impl<W: io::Write> Careful<W> {
    pub(super) fn new(out: W) -> Self {
        Self(CrosstermBackend::new(out))
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

impl<W: io::Write> Backend for Careful<W> {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let cells: Vec<_> = content.collect();
        // Each run begins with the cursor put in its place.
        for run in cells.chunk_by(|(.., before), _| is_undisputed(before.symbol())) {
            self.0.draw(run.iter().copied())?;
        }
        Ok(())
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        self.0.hide_cursor()
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        self.0.show_cursor()
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        self.0.get_cursor_position()
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, position: P) -> io::Result<()> {
        self.0.set_cursor_position(position)
    }

    fn clear(&mut self) -> io::Result<()> {
        self.0.clear()
    }

    fn clear_region(&mut self, clear_type: ClearType) -> io::Result<()> {
        self.0.clear_region(clear_type)
    }

    fn size(&self) -> io::Result<Size> {
        self.0.size()
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        self.0.window_size()
    }

    fn flush(&mut self) -> io::Result<()> {
        Backend::flush(&mut self.0)
    }
}

/// Whether every terminal gives this the same width: one letter of the common alphabets, a line of
/// a frame, a syllable or an ideograph of East Asia.
fn is_undisputed(symbol: &str) -> bool {
    let mut chars = symbol.chars();
    let (Some(c), None) = (chars.next(), chars.next()) else {
        return false;
    };
    matches!(c,
        ' '..='~'
        | '\u{c0}'..='\u{24f}'
        | '\u{386}'..='\u{482}'
        | '\u{48a}'..='\u{52f}'
        | '\u{2500}'..='\u{257f}'
        | '\u{3041}'..='\u{3096}'
        | '\u{30a1}'..='\u{30fa}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}')
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroU16;

    use ratatui::{buffer::Buffer, layout::Rect, style::Style};

    use super::*;
    use crate::{
        text::width,
        tui::view::paint::{Span, put},
    };

    /// What a terminal shows of a row from the column on where, by our count, `rest` begins.
    fn after(disputed: &str, rest: &str) -> String {
        let (row, columns) = (NonZeroU16::MIN, NonZeroU16::new(40).unwrap());
        let mut screen = vt100::Parser::new(row, columns, 0);
        let empty = Buffer::empty(Rect::new(0, 0, 40, 1));
        let mut full = empty.clone();
        full.set_string(0, 0, format!("{disputed}{rest}"), Style::new());
        let mut written = Vec::new();
        let changes = empty.diff(&full);
        Careful::new(&mut written)
            .draw(changes.into_iter())
            .unwrap();
        screen.process(&written);
        let from = u16::try_from(width(disputed)).unwrap();
        screen.screen().contents_between(0, from, 0, 40)
    }

    #[test]
    fn what_terminals_differ_about_shifts_nothing() {
        // About these this very emulator is of another opinion.
        for disputed in ["\u{fffd}", "\u{ff9e}", "\u{17d8}"] {
            let rest = "and-the-rest";
            assert_eq!(after(disputed, rest).trim_end(), rest, "{disputed:?}");
        }
    }

    #[test]
    fn nothing_is_left_of_what_is_drawn_over() {
        for wide in [
            "\u{600}\u{601}\u{602}\u{603}\u{604}\u{605}a",
            "\u{1100}\u{1100}\u{1100}",
            "क\u{94d}क\u{94d}क\u{94d}क",
            "ष\u{94d}ट\u{94d}र",
            "日",
            "👩\u{200d}🚀",
        ] {
            let (row, columns) = (NonZeroU16::MIN, NonZeroU16::new(40).unwrap());
            let mut screen = vt100::Parser::new(row, columns, 0);
            let mut before = Buffer::empty(Rect::new(0, 0, 40, 1));
            for text in [format!("x{wide}y"), "x                 z".to_owned()] {
                let mut buffer = Buffer::empty(before.area);
                put(&mut buffer, Span::row(before.area, 0), &text, Style::new());
                let mut written = Vec::new();
                let changes = before.diff(&buffer);
                Careful::new(&mut written)
                    .draw(changes.into_iter())
                    .unwrap();
                screen.process(&written);
                before = buffer;
            }
            let shown = screen.screen().contents();
            assert_eq!(shown.trim_end(), "x                 z", "{wide:?}");
        }
    }
}
