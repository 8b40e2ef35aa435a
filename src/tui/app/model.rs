//! The model: the whole state of the screen.

use std::{collections::BTreeMap, time::Duration};

use jiff::{civil::Date, tz::TimeZone};

use super::{
    composer::Composer,
    escape::Escapes,
    layers::{Layers, prompt::Prompt, search::Search},
    layout::{self, Layout, LayoutRequest},
    pane::{Context, OutgoingState, Pane, PaneKey},
    panes::Panes,
    read_actions::MarkedRead,
    room_list::{self, RoomRow},
    server::Server,
};
use crate::{
    client::event::{Restored, Summary},
    protocol::{KeyTag, Nickname, RoomId, RoomInfo, RoomName},
    text::{Body, Line},
    time::Now,
    tui::{commands::Slash, exit_summary::ExitSummary, local_time},
};

/// How long a remark stays in the hint line.
const FLASH: Duration = Duration::from_secs(5);
/// How long leaving may take; after that the screen closes without the server's answer.
pub const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// The whole state of the screen.
#[derive(Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Model {
    /// The time.
    pub now: Now,
    /// The reader's time zone.
    pub zone: TimeZone,
    /// Columns of the screen.
    pub width: u16,
    /// Rows of the screen.
    pub height: u16,
    /// Whether the terminal has the focus, as far as it reports it.
    pub focused: bool,
    /// The server.
    pub server: Server,
    /// The panes, one of which has the focus.
    pub panes: Panes,
    /// The layers over the conversation.
    pub layers: Layers,
    /// The number of searches so far.
    pub(super) searches: u64,
    /// The number of admin commands so far, and those of them that are not answered.
    pub(super) requests: u64,
    pub(super) asked: BTreeMap<u64, Asked>,
    /// Unanswered commands that the server announces to the room, and whether we have seen the
    /// announcement.
    pub(super) news_awaited: BTreeMap<u64, bool>,
    /// The room that was named at the start, until it is open.
    pub(super) start_room: Option<RoomName>,
    /// The room to go to once it is open.
    pub(super) awaited_room: Option<RoomId>,
    /// The room that was on the screen is gone, while something was being typed there: the next
    /// Enter asks first.
    pub(super) moved: bool,
    /// A remark in the hint line, and when it disappears.
    pub flash: Option<(String, Duration)>,
    /// Whether the wheel scrolls the conversation.
    pub wheel: bool,
    /// Whether the user wants a side column; `None`: by the width. Not kept for the next start.
    pub side: Option<bool>,
    /// The room that was just marked as read.
    pub(super) marked_read: Option<MarkedRead>,
    /// The room whose members the session was last asked for.
    pub(super) watched: RoomId,
    /// The order of the room list while it must not change.
    pub(super) held_order: Option<Vec<PaneKey>>,
    /// Whether this process hosts the server.
    pub hosting: bool,
    /// The time when we began to leave.
    pub leaving_since: Option<Duration>,
    /// The session's figures, once it has ended.
    pub summary: Option<Summary>,
    /// Whether the last key was Ctrl-C on an empty input.
    pub(super) interrupted: bool,
    /// The times of the last Escs.
    pub(super) escapes: Escapes,
}

/// An admin command that is not answered.
#[derive(Debug)]
pub(super) struct Asked {
    /// The command.
    pub(super) slash: &'static Slash,
    /// The pane in which it was typed.
    pub(super) pane: PaneKey,
    /// A text to send to the room that the answer names.
    pub(super) text: Option<Body>,
}

/// The start values of a screen.
#[derive(Clone, Debug)]
pub struct Start {
    /// The time.
    pub now: Now,
    /// The reader's time zone.
    pub zone: TimeZone,
    /// Columns of the screen.
    pub width: u16,
    /// Rows of the screen.
    pub height: u16,
    /// The server's address for people.
    pub host: String,
    /// The wanted nickname.
    pub nickname: Nickname,
    /// The room that is shown.
    pub room: RoomName,
    /// Whether this process hosts the server.
    pub hosting: bool,
    /// The user's own key; `None`: they join without one.
    pub key: Option<KeyTag>,
    /// What the client's own store holds.
    pub restored: Restored,
}

impl Model {
    /// The model before anything has happened.
    pub fn new(start: Start) -> Self {
        let start_room = start.room.clone();
        // The session watches the rooms of the start by itself.
        let watched = RoomId::named(&start.room, 0);
        let first = Pane::new(
            PaneKey {
                server: start.host.clone(),
                room: watched,
            },
            RoomInfo::public(start.room),
        );
        let now = start.now.mono;
        let server = Server::new(start.host, start.nickname, start.key, now);
        let mut model = Self {
            now: start.now,
            zone: start.zone,
            width: start.width,
            height: start.height,
            focused: true,
            server,
            panes: Panes::new(first),
            layers: Layers::default(),
            searches: 0,
            requests: 0,
            asked: BTreeMap::new(),
            news_awaited: BTreeMap::new(),
            start_room: Some(start_room),
            awaited_room: None,
            moved: false,
            flash: None,
            wheel: false,
            side: None,
            marked_read: None,
            watched,
            held_order: None,
            hosting: start.hosting,
            leaving_since: None,
            summary: None,
            interrupted: false,
            escapes: Escapes::default(),
        };
        model.restore(start.restored);
        model.tell_columns();
        model
    }

    /// Takes over what the client's own store holds.
    fn restore(&mut self, restored: Restored) {
        self.server.user = restored.user;
        let zone = self.zone.clone();
        let nickname = self.server.nickname.clone();
        let ignored = self.server.ignored.clone();
        let layout = self.layout();
        let context = Context {
            user: self.server.user,
            ignored: &ignored,
            nickname: &nickname,
            looking: false,
            zone: &zone,
            columns: layout.columns,
            height: layout.messages.height,
        };
        for room in restored.rooms {
            let pane = Pane::restored(self.server.name.clone(), room, context);
            let at = self.panes.open(&pane.key);
            self.panes[at] = pane;
        }
        let now = self.now.wall;
        for mut message in restored.outbox {
            local_time::in_delivery(&mut message.delivery, context.zone);
            let at = self.pane_of_outgoing(message.room);
            self.panes[at].outgoing(message, now, context);
        }
        let editor = &mut self.panes.focused_mut().composer.editor;
        for text in &restored.typed {
            editor.remember(text);
        }
    }

    /// Tells the editors their width, because they move by rows.
    pub(super) fn tell_columns(&mut self) {
        let columns = usize::from(layout::input_columns(self.width));
        for pane in self.panes.iter_mut() {
            pane.composer.editor.set_columns(columns);
        }
        if let Some(composer) = self.layers.composer_mut() {
            composer.editor.set_columns(columns);
        }
    }

    /// The prompt, while it waits for the user's answer.
    pub fn active_prompt(&self) -> Option<&Prompt> {
        self.layers.prompt().filter(|prompt| !prompt.tried)
    }

    /// The pane that has the focus.
    pub fn pane(&self) -> &Pane {
        self.panes.focused()
    }

    /// The focused pane's room, for people: `#build`.
    pub fn room_title(&self) -> String {
        self.pane().label(self.server.user)
    }

    /// The rows of the room list, in order.
    pub fn rooms(&self) -> Vec<RoomRow> {
        room_list::rows(&self.panes, self.held_order.as_deref(), self.server.user)
    }

    /// The layout for the present size.
    pub fn layout(&self) -> Layout {
        let columns = layout::input_columns(self.width);
        let wishes = LayoutRequest {
            input_rows: self.writing().rows(columns),
            status_rows: self.status_rows(),
            rooms: self.panes.count(),
            members: self.pane().members.len(),
            side: self.side,
        };
        Layout::new(self.width, self.height, wishes)
    }

    /// The search whose list is shown.
    pub fn listing(&self) -> Option<&Search> {
        let asked = self.layers.prompt().is_some();
        let search = self.layers.search();
        search.filter(|search| search.listed && !asked)
    }

    /// The text being written: that of the topmost layer with a text field, else the pane's.
    pub fn writing(&self) -> &Composer {
        self.layers
            .input()
            .map_or(&self.pane().composer, |input| input.composer)
    }

    pub(super) fn writing_mut(&mut self) -> &mut Composer {
        match self.layers.composer_mut() {
            Some(composer) => composer,
            None => &mut self.panes.focused_mut().composer,
        }
    }

    /// The summary for the end. It is made from the model, because leaving may take longer than we
    /// wait for the session's figures.
    pub fn exit_summary(&self) -> ExitSummary {
        let outgoing = || self.panes.iter().flat_map(|pane| &pane.outbox);
        let pending = outgoing().filter(|outgoing| outgoing.is_pending());
        let changes = self.panes.iter().map(|pane| pane.changing.len());
        let not_kept = outgoing().filter(|outgoing| {
            let waits = matches!(
                outgoing.state,
                OutgoingState::Saving | OutgoingState::Failed(_)
            );
            waits && !outgoing.kept
        });
        let chatted_for = self.server.chatted_for(self.now.mono);
        ExitSummary {
            summary: self.summary,
            chatted_for,
            room: chatted_for.map(|_| self.pane().key.room),
            unsent: (pending.count() + changes.sum::<usize>()) as u64,
            not_kept: not_kept.filter_map(|o| o.content.body().cloned()).collect(),
        }
    }

    /// The time until the screen changes by itself.
    pub fn wakes_in(&self) -> Option<Duration> {
        let flash = self
            .flash
            .as_ref()
            .map(|(_, until)| until.saturating_sub(self.now.mono));
        let leaving = self
            .leaving_since
            .map(|since| (since + LEAVE_WITHIN).saturating_sub(self.now.mono));
        let server = self.server.wakes_in(self.now.mono);
        let autosave = self
            .pane()
            .autosave
            .due()
            .map(|due| due.saturating_sub(self.now.mono));
        [flash, leaving, server, autosave]
            .into_iter()
            .flatten()
            .min()
    }

    /// The terminal's window title, without control characters.
    pub fn window_title(&self) -> String {
        let title = format!("{} {}", self.room_title(), self.pane().key.server);
        Line::inert(&title).as_str().to_owned()
    }

    /// A day in words, with its year if it is not this year.
    pub fn day_in_words(&self, day: Date) -> String {
        let format = if day.year() == self.today().year() {
            "%A %-d %B"
        } else {
            "%A %-d %B %Y"
        };
        day.strftime(format).to_string()
    }

    /// Today in the reader's zone.
    pub(super) fn today(&self) -> Date {
        self.now.wall.to_zoned(self.zone.clone()).date()
    }

    /// Shows a remark in the hint line for a while.
    pub(super) fn say(&mut self, text: impl Into<String>) {
        self.flash = Some((text.into(), self.now.mono + FLASH));
    }

    /// Changes a pane, with the context that tells what a message means to the reader.
    pub(super) fn with_pane<T>(
        &mut self,
        at: usize,
        change: impl FnOnce(&mut Pane, Context<'_>) -> T,
    ) -> T {
        let layout = self.layout();
        let context = Context {
            user: self.server.user,
            ignored: &self.server.ignored,
            nickname: &self.server.nickname,
            looking: self.focused && at == self.panes.focus(),
            zone: &self.zone,
            columns: layout.columns,
            height: layout.messages.height,
        };
        change(&mut self.panes[at], context)
    }
}
