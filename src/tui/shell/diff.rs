//! Computes the writes that turn one screen into the next: two buffers in, [`Step`]s out. Pure.
//!
//! Terminals differ about the width of a flag, an emoji of several characters, a Hindi conjunct, a
//! combining mark: the same cluster takes one, two or four columns, or none of its own. Whatever
//! the width, nothing of the old screen may remain. So a row is divided into *segments*: columns
//! that one cluster could reach, by the widest count of any terminal, belong together, in the old
//! row and in the new one. A segment without changes is left alone. Any other is written whole,
//! from left to right, and the cursor is placed again after each disputed cluster, as when the
//! screen is drawn from nothing; before that it is blanked, because a terminal that takes a cluster
//! for narrower than we do leaves the rest of its columns unchanged.
//!
//! A character that has the same width in every terminal reaches only its own columns, so for plain
//! text only the changed cells are written.

use std::{borrow::Cow, iter};

use ratatui::buffer::{Buffer, Cell};

use crate::text::grapheme_width;

#[cfg(test)]
mod tests;

/// The fewest columns that a disputed cluster may take, even with few characters.
const REACH_MIN: usize = 4;

/// Cells to write one after the other, starting at a position.
#[derive(Debug)]
pub(super) struct Step<'a> {
    /// The first column.
    pub(super) x: u16,
    /// The row.
    pub(super) y: u16,
    /// The cells, without those that a wide one covers.
    pub(super) cells: Vec<Cow<'a, Cell>>,
    /// Whether this is a single cluster in the screen's last column.
    pub(super) at_edge: bool,
    /// The width of the cells by our count.
    columns: usize,
    /// Whether the cursor's position afterwards is uncertain.
    ends: bool,
}

/// How far terminals agree about a character's width.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    /// They agree.
    Agreed,
    /// One column, or two in a terminal set up for East Asia; the same for all such characters, so
    /// that many may be written at once.
    Ambiguous,
    /// They differ.
    Disputed,
}

/// A part of a row that is written as a whole: a cluster, or a run of ambiguous letters.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// The first column.
    at: usize,
    /// The columns by our count.
    columns: usize,
    /// The most columns that a terminal may count.
    reach: usize,
    width: Width,
}

/// The steps that turn one screen into the other. Both have the same area, which begins at the
/// terminal's corner.
pub(super) fn steps<'a>(old: &Buffer, new: &'a Buffer) -> Vec<Step<'a>> {
    let columns = usize::from(new.area.width);
    let mut steps = Vec::new();
    if columns == 0 || old.area != new.area {
        return steps;
    }
    let mut scratch = Scratch::default();
    let rows = iter::zip(
        old.content.chunks_exact(columns),
        new.content.chunks_exact(columns),
    );
    for (y, (old, new)) in (0..).zip(rows) {
        if old != new {
            row(old, new, y, &mut scratch, &mut steps);
        }
    }
    steps
}

/// Buffers for a row, reused from row to row.
#[derive(Debug, Default)]
struct Scratch {
    /// By column: whether it belongs to the same segment as the one before.
    joined: Vec<bool>,
    /// By column: whether a disputed cluster begins there, in the old row or the new one.
    disputed: Vec<bool>,
    /// The pieces of a segment.
    pieces: Vec<Piece>,
}

fn row<'a>(
    old: &[Cell],
    new: &'a [Cell],
    y: u16,
    scratch: &mut Scratch,
    steps: &mut Vec<Step<'a>>,
) {
    let Scratch {
        joined,
        disputed,
        pieces: segment,
    } = scratch;
    for flags in [&mut *joined, &mut *disputed] {
        flags.clear();
        flags.resize(new.len(), false);
    }
    for row in [old, new] {
        for piece in pieces(row) {
            let is_disputed = piece.width == Width::Disputed;
            // A cluster without columns of its own appears on the cell before it.
            let from = piece.at.saturating_sub(usize::from(is_disputed));
            let to = (piece.at + piece.reach).min(row.len());
            joined[from + 1..to.max(from + 1)].fill(true);
            disputed[piece.at] |= is_disputed;
        }
    }
    let mut rest = pieces(new).peekable();
    let mut from = 0;
    while from < new.len() {
        let to = (from + 1..new.len()).find(|&column| !joined[column]);
        let to = to.unwrap_or(new.len());
        segment.clear();
        segment.extend(iter::from_fn(|| rest.next_if(|piece| piece.at < to)));
        if old[from..to] != new[from..to] {
            if disputed[from..to].contains(&true) {
                blank(new, segment, y, steps);
            }
            for piece in &*segment {
                write(new, *piece, y, steps);
            }
        }
        from = to;
    }
}

/// Blanks the columns of a segment, each in its new style.
fn blank(row: &[Cell], segment: &[Piece], y: u16, steps: &mut Vec<Step<'_>>) {
    let Some(first) = segment.first() else {
        return;
    };
    let mut cells = Vec::new();
    for piece in segment {
        let end = (piece.at + piece.columns).min(row.len());
        for column in piece.at..end {
            let owner = match piece.width {
                Width::Ambiguous => column,
                Width::Agreed | Width::Disputed => piece.at,
            };
            let mut cell = row[owner].clone();
            cell.set_symbol(" ");
            cells.push(Cow::Owned(cell));
        }
    }
    steps.push(Step {
        x: narrow(first.at),
        y,
        columns: cells.len(),
        cells,
        at_edge: false,
        ends: true,
    });
}

/// Writes a piece: in the previous step, if the cursor is there.
fn write<'a>(row: &'a [Cell], piece: Piece, y: u16, steps: &mut Vec<Step<'a>>) {
    let at_edge = piece.width == Width::Disputed && piece.at + 1 == row.len();
    let goes_on = |step: &Step<'_>| {
        !step.ends && step.y == y && usize::from(step.x) + step.columns == piece.at
    };
    if at_edge || !steps.last().is_some_and(goes_on) {
        steps.push(Step {
            x: narrow(piece.at),
            y,
            cells: Vec::new(),
            at_edge,
            columns: 0,
            ends: false,
        });
    }
    let Some(step) = steps.last_mut() else { return };
    let cells = match piece.width {
        Width::Ambiguous => piece.at..piece.at + piece.columns,
        Width::Agreed | Width::Disputed => piece.at..piece.at + 1,
    };
    step.cells.extend(row[cells].iter().map(Cow::Borrowed));
    step.columns += piece.columns;
    step.ends = piece.width != Width::Agreed;
}

/// The pieces of a row, from left to right.
fn pieces(row: &[Cell]) -> impl Iterator<Item = Piece> + '_ {
    let mut at = 0;
    iter::from_fn(move || {
        let symbol = row.get(at)?.symbol();
        let width = width_of(symbol);
        let columns = match width {
            Width::Ambiguous => {
                let rest = row[at..].iter();
                let run = rest.take_while(|cell| width_of(cell.symbol()) == Width::Ambiguous);
                run.count()
            }
            Width::Agreed | Width::Disputed => grapheme_width(symbol).max(1),
        };
        let reach = match width {
            Width::Agreed => columns,
            Width::Ambiguous => 2 * columns,
            Width::Disputed => columns.max(2 * symbol.chars().count()).max(REACH_MIN),
        };
        let piece = Piece {
            at,
            columns,
            reach,
            width,
        };
        at += columns;
        Some(piece)
    })
}

/// How far terminals agree about a symbol's width. They agree about ASCII and East Asian syllables
/// and ideographs, and nearly about single letters of common alphabets and box drawing. (Some of
/// these are never wide, but terminals' tables differ in which.)
fn width_of(symbol: &str) -> Width {
    let mut chars = symbol.chars();
    let (Some(c), None) = (chars.next(), chars.next()) else {
        return Width::Disputed;
    };
    match c {
        ' '..='~'
        | '\u{3001}'..='\u{3029}'
        | '\u{3041}'..='\u{3096}'
        | '\u{30a1}'..='\u{30fa}'
        | '\u{4e00}'..='\u{9fff}'
        | '\u{ac00}'..='\u{d7a3}'
        | '\u{ff01}'..='\u{ff60}' => Width::Agreed,
        '\u{c0}'..='\u{24f}'
        | '\u{386}'..='\u{482}'
        | '\u{48a}'..='\u{52f}'
        | '\u{2500}'..='\u{257f}' => Width::Ambiguous,
        _ => Width::Disputed,
    }
}

/// A column as `u16`; the columns of a buffer fit.
fn narrow(column: usize) -> u16 {
    u16::try_from(column).unwrap_or(u16::MAX)
}
