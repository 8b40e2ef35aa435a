//! What is to be written so that a terminal shows the next screen: two buffers in, [`Step`]s out.
//! Pure.
//!
//! Terminals differ about the width of a flag, an emoji of several characters, a conjunct of Hindi,
//! a stacked mark: the same cluster takes one, two or four columns, or none of its own. Nothing of
//! an old screen may stay whatever width that is. So a row is divided into *segments*: columns that
//! one cluster could reach, by the widest count that a terminal could make, belong together, in the
//! old row as in the new one. A segment in which nothing changed is left alone. Any other is
//! written whole, from left to right, with the cursor put in its place again after each disputed
//! cluster, as a drawing from nothing would write it; before that it is blanked, since a terminal
//! that takes a cluster for narrower than we do leaves the rest of its columns as they were.
//!
//! A character that every terminal gives the same width reaches only its own columns, so plain text
//! is written as anywhere else: the cells that changed, and no others.

use std::{borrow::Cow, iter};

use ratatui::buffer::{Buffer, Cell};

use crate::text::grapheme_width;

#[cfg(test)]
mod tests;

/// The columns that a disputed cluster may take however few characters it has.
const REACH_MIN: usize = 4;

/// Cells that are written one after the other, once the cursor has been put where they begin.
#[derive(Debug)]
pub(super) struct Step<'a> {
    /// The first column.
    pub(super) x: u16,
    /// The row.
    pub(super) y: u16,
    /// The cells, those that a wide one covers left out.
    pub(super) cells: Vec<Cow<'a, Cell>>,
    /// Whether this is a single cluster in the screen's last column.
    pub(super) at_edge: bool,
    /// The columns that we count for the cells.
    columns: usize,
    /// Whether the cursor may be elsewhere afterwards than by our count.
    ends: bool,
}

/// How far terminals agree about a character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    /// All of them.
    Agreed,
    /// One column, or two where the terminal is set up for East Asia; the same for all such
    /// characters, so that many may be written in one go.
    Ambiguous,
    /// Not at all.
    Disputed,
}

/// Part of a row that is written as a whole: a cluster, or a run of ambiguous letters.
#[derive(Clone, Copy, Debug)]
struct Piece {
    /// The first column.
    at: usize,
    /// Our count of its columns.
    columns: usize,
    /// The most columns that a terminal may take it for.
    reach: usize,
    width: Width,
}

/// What turns one screen into the other. Both have the same area, which begins at
/// the terminal's corner.
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

/// What is needed for a row, kept from row to row.
#[derive(Debug, Default)]
struct Scratch {
    /// By column: whether it belongs together with the one before.
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
            // What a terminal gives no column of its own stands on the character before it.
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

/// Empties the columns of a segment, each in the style that it is about to have.
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

/// Writes a piece: behind what was written before, if the cursor stands there.
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

/// How far terminals agree about a symbol. They do about ASCII and a syllable or an ideograph of East
/// Asia, and nearly so about one letter of the common alphabets and a line of a frame. (Of these some
/// are never wide, but terminals' tables differ in which.)
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

/// A column; those of a buffer fit.
fn narrow(column: usize) -> u16 {
    u16::try_from(column).unwrap_or(u16::MAX)
}
