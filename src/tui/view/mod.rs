//! How the screen looks: a function of the model, a palette and an area. One file for each part.
//!
//! - [`palette`]: the colours, by what they mean.
//! - [`title`], [`messages`], [`members`], [`input`], [`hint`], [`help`],
//!   [`search`]: the parts of the screen. Which of the conversation, the help and a search's results
//!   is drawn, the layers say.
//! - [`paint`]: writing inert text into cells.
//!
//! It must not change anything, nor know a terminal.

#![deny(clippy::disallowed_methods)]

pub mod help;
pub mod hint;
pub mod input;
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

/// Draws the screen into a buffer of the model's size; answers where the cursor stands.
pub fn draw(model: &Model, palette: &Palette, buffer: &mut Buffer) -> Option<Position> {
    let whole = Rect::new(0, 0, model.width, model.height).intersection(buffer.area);
    if whole != Rect::new(0, 0, model.width, model.height) {
        // The terminal's size is about to be told: what does not fit is not drawn at all.
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
