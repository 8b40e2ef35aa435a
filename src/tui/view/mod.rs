//! Draws the screen from the model, a palette and an area. One file for each part.
//!
//! - [`palette`]: the colours, by meaning.
//! - [`title`], [`messages`], [`lines`], [`members`], [`input`], [`hint`], [`help`], [`search`]: the
//!   parts of the screen. The layers decide whether the conversation, the help or a search's results are
//!   drawn.
//! - [`paint`]: writes inert text into cells.
//!
//! It must not change the model, nor know a terminal.

#![deny(clippy::disallowed_methods)]

pub mod help;
pub mod hint;
pub mod input;
pub mod lines;
pub mod members;
pub mod messages;
pub mod paint;
pub mod palette;
pub mod search;
pub mod title;

#[cfg(test)]
mod tests;

use ratatui::{
    buffer::Buffer,
    layout::{Position, Rect},
};

use self::palette::Palette;
use super::app::{
    Model,
    layers::{Body, help::Help},
};

/// Draws the screen into a buffer of the model's size; returns the cursor's position.
pub fn draw(model: &Model, palette: &Palette, buffer: &mut Buffer) -> Option<Position> {
    let whole = Rect::new(0, 0, model.width, model.height).intersection(buffer.area);
    if whole != Rect::new(0, 0, model.width, model.height) {
        // The new size of the terminal has not reached the model yet: draw nothing.
        return None;
    }
    let layout = model.layout();
    title::draw(model, palette, layout.title, buffer);
    match model.layers.body() {
        Body::Conversation => {
            messages::draw(model, palette, layout.messages, layout.columns, buffer);
            members::draw(model, palette, layout.members, buffer);
        }
        Body::Results(search) => {
            search::draw(model, search, palette, &layout, buffer);
            members::draw(model, palette, layout.members, buffer);
        }
        Body::Help(help) => {
            let area = layout.messages.union(layout.members);
            help::draw(&Help::new(&layout), help.top, palette, area, buffer);
        }
    }
    input::status(model, palette, layout.status, buffer);
    input::rule(model, palette, &layout, buffer);
    let cursor = input::draw(model, palette, layout.input, buffer);
    hint::draw(model, palette, layout.hint, buffer);
    cursor
}
