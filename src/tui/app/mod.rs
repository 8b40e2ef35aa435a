//! The screen's state and how it changes: [`update`] takes what happened and answers what is to
//! be done. Pure: no I/O, no clock, no chance; the time comes in as [`Msg::Now`].
//!
//! In reading order:
//!
//! - [`server`]: the server, the connection to it, and who we are there.
//! - [`pane`]: a room of it with its timeline, composer, draft, scroll and read position;
//!   [`panes`]: all of them, one of which has the focus.
//! - [`layers`]: what is open over the pane: search, prompt, help and other dialogs. The top one
//!   gets the keys.
//! - [`layout`]: where everything stands on a screen of a given size.
//! - [`composer`]: a text being written, its history and completions.
//! - [`session`]: takes the events of the session; [`admin`]: those about administration.
//! - [`keys`], [`outbox_actions`], [`date`]: take what the user does.
//! - [`status`]: what stands in the way of the conversation, in words.
//!
//! It must not know sockets, terminals or palettes.
//!
//! A further room is a further pane: [`Panes`] adds it when the session tells of it. A further
//! layer is told of in [`layers`]. An event that is not taken in [`session`] does not compile.

#![deny(clippy::disallowed_methods)]

pub mod admin;
pub mod composer;
pub mod date;
pub mod keys;
pub mod layers;
pub mod layout;
pub mod outbox_actions;
pub mod pane;
pub mod panes;
pub mod server;
pub mod session;
pub mod status;

#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, time::Duration};

use jiff::{civil::Date, tz::TimeZone};

use self::{
    composer::Composer,
    layers::{
        Layers,
        prompt::Prompt,
        search::{self, Search},
    },
    layout::{Layout, LayoutRequest},
    pane::{Context, OutgoingState, Pane, PaneKey, Scroll, autosave, paging},
    panes::Panes,
    server::Server,
};
use super::{commands::Slash, exit_summary::ExitSummary, key::Key, local_time};
use crate::{
    client::event::{Command, ConnectionStatus, Event, Restored, Summary},
    protocol::{KeyTag, Nickname, RoomName},
    text::Line,
    time::Now,
};

/// How long a remark stands in the hint line.
const FLASH: Duration = Duration::from_secs(5);
/// How often the session is told that the user is at the keys.
const PROBE_EVERY: Duration = Duration::from_secs(2);
/// How long leaving may take; then the screen goes whatever the server says.
pub const LEAVE_WITHIN: Duration = Duration::from_secs(1);

/// Everything that the screen shows.
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
    /// Whether the terminal is looked at, as far as it tells.
    pub focused: bool,
    /// The server.
    pub server: Server,
    /// The panes, one of which has the focus.
    pub panes: Panes,
    /// The layers over the conversation.
    pub layers: Layers,
    /// Searches that were asked for.
    searches: u64,
    /// Commands that were sent to the server, and those of them that are not answered.
    requests: u64,
    asked: BTreeMap<u64, &'static Slash>,
    /// Of those, the ones that are news to all, and whether we were told it.
    news_awaited: BTreeMap<u64, bool>,
    /// A remark that goes by itself, and when.
    pub flash: Option<(String, Duration)>,
    /// Whether the wheel scrolls the conversation.
    pub wheel: bool,
    /// Whether this process hosts the server that we are on.
    pub hosting: bool,
    /// When we began to leave.
    pub leaving_since: Option<Duration>,
    /// The session's figures, once it has ended.
    pub summary: Option<Summary>,
    /// Whether the key before was Ctrl-C, on an empty input.
    interrupted: bool,
    /// When Esc was pressed.
    escapes: keys::Escapes,
}

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

/// What a screen starts with.
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
    /// Where the server is, for people.
    pub host: String,
    /// The nickname wished for.
    pub nickname: Nickname,
    /// The room that is shown.
    pub room: RoomName,
    /// Whether this process hosts the server.
    pub hosting: bool,
    /// The user's own key; `None`: they come in without.
    pub key: Option<KeyTag>,
    /// What the client's own store holds.
    pub restored: Restored,
}

impl Model {
    /// The screen before anything has happened.
    pub fn new(start: Start) -> Self {
        let first = Pane::new(PaneKey {
            server: start.host.clone(),
            room: start.room,
        });
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
            flash: None,
            wheel: false,
            hosting: start.hosting,
            leaving_since: None,
            summary: None,
            interrupted: false,
            escapes: keys::Escapes::default(),
        };
        model.restore(start.restored);
        model.tell_columns();
        model
    }

    /// Takes up what the client's own store holds.
    fn restore(&mut self, restored: Restored) {
        self.server.user = restored.user;
        let zone = self.zone.clone();
        let nickname = self.server.nickname.clone();
        let context = Context {
            user: self.server.user,
            nickname: &nickname,
            looking: false,
            zone: &zone,
        };
        for room in restored.rooms {
            let pane = Pane::restored(self.server.name.clone(), room, context);
            let at = self.panes.open(&pane.key);
            self.panes[at] = pane;
        }
        let now = self.now.wall;
        for mut message in restored.outbox {
            local_time::in_delivery(&mut message.delivery, context.zone);
            let at = self.pane_of(&message.room);
            self.panes[at].restored_outgoing(message, now, context);
        }
        let editor = &mut self.panes.focused_mut().composer.editor;
        for text in &restored.typed {
            editor.remember(text);
        }
    }

    /// The position of a room's pane; it is added where there is none.
    fn pane_of(&mut self, room: &RoomName) -> usize {
        self.panes.open(&PaneKey {
            server: self.server.name.clone(),
            room: room.clone(),
        })
    }

    /// The editors move by rows, and so must know how wide those are.
    fn tell_columns(&mut self) {
        let columns = usize::from(layout::input_columns(self.width));
        for pane in self.panes.iter_mut() {
            pane.composer.editor.set_columns(columns);
        }
        if let Some(composer) = self.layers.composer_mut() {
            composer.editor.set_columns(columns);
        }
    }

    /// The prompt, while the user has to answer it.
    pub fn active_prompt(&self) -> Option<&Prompt> {
        self.layers.prompt().filter(|prompt| !prompt.tried)
    }

    /// The pane that has the focus.
    pub fn pane(&self) -> &Pane {
        self.panes.focused()
    }

    /// Where everything stands at the present size.
    pub fn layout(&self) -> Layout {
        let columns = layout::input_columns(self.width);
        let wishes = LayoutRequest {
            input_rows: self.writing().rows(columns),
            status_rows: self.status_rows(),
            members: !self.pane().members.is_empty(),
        };
        Layout::new(self.width, self.height, wishes)
    }

    /// The search whose list is shown.
    pub fn listing(&self) -> Option<&Search> {
        let asked = self.layers.prompt().is_some();
        let search = self.layers.search();
        search.filter(|search| search.listed && !asked)
    }

    /// The text being written: that of the topmost layer that has a text field, else the pane's.
    pub fn writing(&self) -> &Composer {
        self.layers
            .input()
            .map_or(&self.pane().composer, |input| input.composer)
    }

    fn writing_mut(&mut self) -> &mut Composer {
        match self.layers.composer_mut() {
            Some(composer) => composer,
            None => &mut self.panes.focused_mut().composer,
        }
    }

    /// What there is to say of it when all is over. It goes by what stands here, not by the
    /// session's word: leaving may take longer than anybody waits, and then there is none.
    pub fn exit_summary(&self) -> ExitSummary {
        let outgoing = || self.panes.iter().flat_map(|pane| &pane.outbox);
        let pending = outgoing().filter(|outgoing| outgoing.is_pending());
        let not_kept = outgoing().filter(|outgoing| {
            let waits = matches!(
                outgoing.state,
                OutgoingState::Saving | OutgoingState::Failed(_)
            );
            waits && !outgoing.kept
        });
        ExitSummary {
            summary: self.summary,
            chatted_for: self.server.chatted_for(self.now.mono),
            unsent: pending.count() as u64,
            not_kept: not_kept.map(|o| o.body.clone()).collect(),
        }
    }

    /// After how long something changes on the screen by time alone.
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

    /// The terminal's window title: inert.
    pub fn window_title(&self) -> String {
        let title = format!("#{} {}", self.pane().key.room, self.pane().key.server);
        Line::inert(&title).as_str().to_owned()
    }

    /// A day, with its year where that is another.
    pub fn day_in_words(&self, day: Date) -> String {
        let format = if day.year() == self.today().year() {
            "%A %-d %B"
        } else {
            "%A %-d %B %Y"
        };
        day.strftime(format).to_string()
    }

    /// The reader's day.
    fn today(&self) -> Date {
        self.now.wall.to_zoned(self.zone.clone()).date()
    }

    /// Says something in the hint line for a while.
    fn say(&mut self, text: impl Into<String>) {
        self.flash = Some((text.into(), self.now.mono + FLASH));
    }

    /// Changes a pane, given what a message means to the reader.
    fn with_pane<T>(&mut self, at: usize, change: impl FnOnce(&mut Pane, Context<'_>) -> T) -> T {
        let context = Context {
            user: self.server.user,
            nickname: &self.server.nickname,
            looking: self.focused && at == self.panes.focus(),
            zone: &self.zone,
        };
        change(&mut self.panes[at], context)
    }
}

/// A figure for people: `1,204`.
pub fn in_groups(figure: u64) -> String {
    let digits = figure.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Takes what happened; answers what is to be done.
pub fn update(model: &mut Model, msg: Msg) -> Vec<Effect> {
    let mut effects = Vec::new();
    let moves_list = !matches!(msg, Msg::Now(_) | Msg::Focus(_))
        && !matches!(&msg, Msg::Session(event) if !matches!(event, Event::Found { .. }));
    if matches!(msg, Msg::Key(_) | Msg::Pasted(_) | Msg::Focus(true)) {
        at_the_keys(model, &mut effects);
    }
    match msg {
        Msg::Now(now) => passed(model, now, &mut effects),
        Msg::Zone(zone) => {
            for pane in model.panes.iter_mut() {
                pane.timeline.set_zone(&zone);
            }
            model.zone = zone;
        }
        Msg::Resized { width, height } => {
            model.width = width;
            model.height = height;
            model.tell_columns();
        }
        Msg::Key(key) => keys::handle_key(model, key, &mut effects),
        Msg::Pasted(text) => keys::handle_paste(model, &text),
        Msg::CameAtOnce(text) => keys::handle_burst(model, &text),
        Msg::Focus(focused) => focus(model, focused, &mut effects),
        Msg::Wheel(notches) => keys::scroll(model, 3 * i64::from(notches), &mut effects),
        Msg::Clicked { column, row } => keys::handle_click(model, column, row),
        Msg::Session(event) => {
            let event = match event {
                // Those stay on the screen, and are told anew when the zone changes.
                Event::Admin { .. } | Event::Notice(_) => event,
                event => local_time::in_event(event, &model.zone),
            };
            session::handle_event(model, event, &mut effects);
        }
        Msg::CannotSuspend => model.say("There is no shell here to go back to"),
        Msg::Terminate => keys::leave_unasked(model, &mut effects),
    }
    if model.focused && model.pane().scroll == Scroll::Follow {
        model.panes.focused_mut().saw_end();
        if model.pane().unread_line_waits() {
            let layout = model.layout();
            let pane = model.panes.focused_mut();
            pane.look_for_unread_line(&layout.columns, layout.messages.height);
        }
    }
    paging::poll_page_request(model, &mut effects);
    if moves_list {
        search::keep_in_view(model);
    }
    if model.leaving_since.is_none() {
        autosave::poll(model, &mut effects);
    }
    effects
}

/// Whoever is about to write should know whether anybody is there.
fn at_the_keys(model: &mut Model, effects: &mut Vec<Effect>) {
    let now = model.now.mono;
    if model.server.connection == ConnectionStatus::Online
        && now >= model.server.probed + PROBE_EVERY
    {
        model.server.probed = now;
        effects.push(Effect::Command(Command::Probe));
    }
}

fn passed(model: &mut Model, now: Now, effects: &mut Vec<Effect>) {
    model.now = now;
    if matches!(&model.flash, Some((_, until)) if *until <= now.mono) {
        model.flash = None;
    }
    if matches!(model.leaving_since, Some(since) if since + LEAVE_WITHIN <= now.mono) {
        effects.push(Effect::Quit);
    }
}

fn focus(model: &mut Model, focused: bool, effects: &mut Vec<Effect>) {
    if !focused {
        autosave::flush(model, effects);
    }
    model.focused = focused;
    if !focused {
        // What was seen until now is read; the line will stand above what comes from here on. A
        // line that nobody has been led to yet stays.
        let pane = model.panes.focused_mut();
        if pane.scroll == Scroll::Follow && !pane.unread_line_waits() {
            pane.read_all();
        }
    }
}
