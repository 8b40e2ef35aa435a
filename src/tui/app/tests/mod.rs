//! Tests of the model: the user's input and the session's events, and what they change.

mod admin;
mod entries;
mod history;
mod keys;
mod lists;
mod picker;
mod prompt;
mod rooms;
mod search;
mod session;

use std::time::Duration;

use jiff::Timestamp;

use super::{
    Effect, HostChoice, Msg,
    layers::Layer,
    pane::timeline::ENTRIES_MAX,
    pane::timeline_item::TimelineItem,
    pane::{OutgoingState, Scroll},
};
use crate::{
    client::event::{
        Command, ConnectionStatus, Delivery, Event, LocalId, Received, Security, Summary,
    },
    protocol::{
        RoomId,
        frame::{Departure, Member, Reset},
    },
    text::{Body, Line},
    tui::{
        key::{Code, Key},
        testing::{Desk, logged, member, nickname, opened, start, user},
    },
};

const ESC: Key = Key::plain(Code::Esc);
const ENTER: Key = Key::plain(Code::Enter);
const PAGE_UP: Key = Key::plain(Code::PageUp);
const CTRL_C: Key = Key::ctrl(Code::Char('c'));

impl Desk {
    fn new() -> Self {
        Self::start(start(60, 20, Timestamp::UNIX_EPOCH))
    }

    /// A screen that has joined a room with others.
    fn online() -> Self {
        let mut desk = Self::new();
        desk.enters()
            .opens(1, 0, 1)
            .members(&["carol", "bob", "bert"].map(member));
        desk
    }

    fn typed(&mut self, text: &str) -> &mut Self {
        for c in text.chars() {
            self.key(Key::plain(Code::Char(c)));
        }
        self
    }

    fn message(&mut self, seq: u64, who: &str, text: &str) -> &mut Self {
        self.echo(seq, who, text, None)
    }

    fn echo(&mut self, seq: u64, who: &str, text: &str, local: Option<u64>) -> &mut Self {
        self.heard(Event::Message(Received {
            local: local.map(LocalId),
            ..logged(seq, Timestamp::UNIX_EPOCH, who, text).into()
        }))
    }

    /// Many messages, so that there is something to scroll through.
    fn full() -> Self {
        let mut desk = Self::online();
        for seq in 1..=100 {
            desk.message(seq, "bob", &format!("message {seq}"));
        }
        desk
    }

    /// The effects, without commands that save something.
    fn did(&mut self) -> Vec<Effect> {
        let mut done = self.done();
        done.retain(|effect| {
            !matches!(
                effect,
                Effect::Command(
                    Command::Draft { .. }
                        | Command::MarkRead { .. }
                        | Command::Typed(_)
                        | Command::Watch(_)
                )
            )
        });
        done
    }

    fn sent(&mut self) -> Vec<String> {
        self.done()
            .into_iter()
            .filter_map(|effect| match effect {
                Effect::Command(Command::Send { content, .. }) => Some(content.words().to_owned()),
                _ => None,
            })
            .collect()
    }

    /// The name of the open dialog's type.
    fn dialog(&self) -> Option<String> {
        let dialog = self.model.layers.dialog();
        dialog.map(|dialog| format!("{dialog:?}"))
    }

    fn text(&self) -> &str {
        self.model.writing().text()
    }

    /// The text on top of what is shown.
    fn on_top(&self) -> String {
        let layout = self.model.layout();
        let pane = self.model.pane();
        let (place, _) = pane.top_place(&layout.columns, layout.messages.height);
        pane.timeline.get(place.index).unwrap().text().into_owned()
    }

    fn follows(&self) -> bool {
        self.model.pane().scroll == Scroll::Follow
    }

    /// The scrollback, with a few words for each entry.
    fn entries(&self) -> Vec<String> {
        let pane = self.model.pane();
        let log = pane.timeline.iter().map(|entry| match entry {
            TimelineItem::Message(message) => match message.own {
                None => message.text().into_owned(),
                Some(own) => format!("{} {own:?}", message.text()),
            },
            other => other.text().into_owned(),
        });
        let outbox = pane.outbox.iter().map(|outgoing| {
            let state = match &outgoing.state {
                OutgoingState::Failed(why) => format!("Failed({why})"),
                other => format!("{other:?}"),
            };
            format!("{} {state}", outgoing.text())
        });
        log.chain(outbox).collect()
    }
}

fn leaves() -> Vec<Effect> {
    vec![Effect::Command(Command::Leave)]
}

fn refuse_nickname(desk: &mut Desk) {
    desk.heard(Event::NicknameRefused {
        nickname: nickname("carol"),
        why: Line::inert("Nickname already in use"),
        waiting: true,
    });
}
