//! Draws the screen from the model, a palette and an area. One file for each part.
//!
//! - [`palette`]: the colours, by meaning.
//! - [`title`], [`rooms`], [`messages`], [`lines`], [`members`], [`input`], [`hint`], [`help`],
//!   [`search`], [`picker`]: the parts of the screen. The layers decide whether the conversation, the help or a search's results are
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
pub mod picker;
pub mod rooms;
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
    rooms::draw_hot(model, palette, layout.hot, buffer);
    match model.layers.body() {
        Body::Conversation => {
            messages::draw(model, palette, layout.messages, layout.columns, buffer);
            rooms::draw(model, palette, layout.rooms, buffer);
            members::draw(model, palette, &layout, buffer);
        }
        Body::Results(search) => {
            search::draw(model, search, palette, &layout, buffer);
            rooms::draw(model, palette, layout.rooms, buffer);
            members::draw(model, palette, &layout, buffer);
        }
        Body::Help(help) => {
            help::draw(
                &Help::new(&layout),
                help.top,
                palette,
                layout.body(),
                buffer,
            );
        }
    }
    input::status(model, palette, layout.status, buffer);
    input::rule(model, palette, &layout, buffer);
    let cursor = input::draw(model, palette, layout.input, buffer);
    hint::draw(model, palette, layout.hint, buffer);
    match model.layers.picker() {
        Some(picker) => picker::draw(picker, palette, &layout, buffer),
        None => cursor,
    }
}
