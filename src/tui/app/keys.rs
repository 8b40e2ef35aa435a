//! Takes the user's input: keys, pastes, the wheel, clicks.

use ratatui::layout::Position;

use super::{
    Effect, Model, admin, autosave, choice_actions, date, edit_actions,
    escape::Escape,
    layers::{KeyOutcome, Layer, Press, Rank, help::HelpScreen, paste::PasteQuestion},
    leaving, list_actions, outbox_actions, page_requests,
    pane::{Scroll, paging::Goal},
    preference_actions, prompt_actions, read_actions,
    room_actions::{self, Clicked},
    search_actions, switcher,
};
use crate::{
    client::event::Command,
    protocol::{Content, Invite, Nickname, frame::Part, limits::TEXT_BYTES_MAX},
    text::{Body, BodyError},
    tui::{
        commands::{self, ParsedInput, QUIT, Slash, SlashAction},
        input::{Edit, EditOutcome},
        key::Key,
        keymap::{self, Action},
    },
};

/// The user is asked before more rows than this are pasted.
const PASTE_ROWS_MAX: usize = 10;
/// The user is asked before more bytes than this are pasted.
const PASTE_BYTES_MAX: usize = 2 * 1024;

/// Takes a key.
pub fn handle_key(model: &mut Model, key: Key, effects: &mut Vec<Effect>) {
    let action = keymap::action(key);
    let again = std::mem::take(&mut model.interrupted);
    if model.layers.search().is_none() {
        model.panes.focused_mut().found = None;
    }
    match action {
        Some(Action::Redraw) => return effects.push(Effect::Redraw),
        Some(Action::Suspend) => return effects.push(Effect::Suspend),
        Some(Action::Interrupt) => return interrupt(model, again, effects),
        _ => {}
    }
    if action == Some(Action::Escape) {
        note_escape(model);
    }
    if model.layers.picker().is_none() && !action.is_some_and(room_actions::steps) {
        room_actions::release_order(model);
    }
    let layout = model.layout();
    let outcome = model.layers.handle_key(Press { key, action }, &layout);
    if outcome != KeyOutcome::Passed {
        return handle_outcome(model, outcome, effects);
    }
    match action {
        Some(action) => act(model, action, effects),
        None => {
            if let Some(c) = key.typed() {
                insert(model, c.encode_utf8(&mut [0; 4]));
            }
        }
    }
}

/// Carries out the outcome of a key in a layer.
fn handle_outcome(model: &mut Model, outcome: KeyOutcome, effects: &mut Vec<Effect>) {
    match outcome {
        KeyOutcome::Taken | KeyOutcome::Passed | KeyOutcome::Close => {}
        KeyOutcome::Insert(text) => insert(model, &text),
        KeyOutcome::Host(choice) => {
            effects.push(Effect::Host(choice));
            leaving::leave_now(model, effects);
        }
        KeyOutcome::Leave => leaving::leave(model, effects),
        KeyOutcome::Answer => {
            // The key ends the remark.
            model.flash = None;
            prompt_actions::answer(model, effects);
        }
        KeyOutcome::Choose(choice) => {
            room_actions::release_order(model);
            choice_actions::choose(model, choice, effects);
        }
        KeyOutcome::Enter => search_actions::enter(model, effects),
        KeyOutcome::Further => search_actions::further(model, effects),
    }
}

/// Takes a pasted text. A newline in it never sends a message.
pub fn handle_paste(model: &mut Model, text: &str) {
    let mut text = text.replace("\r\n", "\n").replace('\r', "\n");
    if let Some(Layer::Paste(before)) = model.layers.dialog() {
        // The paste came in parts: the question is about all of them.
        text.insert_str(0, &before.text);
        model.layers.close(Rank::Dialog);
    }
    if let Some(picker) = model.layers.picker_mut() {
        return picker.insert(text.lines().next().unwrap_or_default());
    }
    if model.layers.dialog().is_some() || text.is_empty() {
        return;
    }
    if text.len() > TEXT_BYTES_MAX {
        let (size, max) = (text.len().div_ceil(1024), TEXT_BYTES_MAX / 1024);
        model.say(format!(
            "Too much to paste: {size}\u{a0}KiB, and a message has at most {max}\u{a0}KiB"
        ));
    } else if text.len() > PASTE_BYTES_MAX || text.lines().count() > PASTE_ROWS_MAX {
        model.layers.open(Layer::Paste(PasteQuestion { text }));
    } else {
        insert(model, &text);
    }
}

/// Takes lines that arrived at once but were not marked as pasted, as from a terminal without
/// bracketed paste. Nobody types that fast, so they are not sent before the user has seen them.
pub fn handle_burst(model: &mut Model, text: &str) {
    handle_paste(model, text);
    let for_a_message = model.layers.input().is_none();
    if for_a_message && model.layers.dialog().is_none() && model.flash.is_none() {
        let send = keymap::label(Action::Send);
        model.say(format!("Several lines were pasted: {send} sends them"));
    }
}

/// Inserts a text at the cursor; line ends become spaces in a layer's text field.
pub(super) fn insert(model: &mut Model, text: &str) {
    let outcome = match model.layers.composer_mut() {
        Some(composer) => composer.insert(&text.trim_end_matches('\n').replace('\n', " ")),
        None => model.panes.focused_mut().composer.insert(text),
    };
    edited(model, outcome);
}

/// Tells the user if a text did not fit.
fn edited(model: &mut Model, outcome: EditOutcome) {
    if outcome == EditOutcome::TooLong {
        model.say(BodyError::TooLong.to_string());
    }
}

/// Scrolls the conversation, or the list of hits, by rows; down is positive. Retries pages that
/// could not be loaded.
pub fn scroll(model: &mut Model, rows: i64, effects: &mut Vec<Effect>) {
    if let Some(picker) = model.layers.picker_mut() {
        return picker.move_by(if rows < 0 { -1 } else { 1 });
    }
    if model.listing().is_some() {
        let action = if rows < 0 { Action::Up } else { Action::Down };
        let layout = model.layout();
        if let Some(search) = model.layers.search_mut() {
            let outcome = search.act(action, &layout);
            handle_outcome(model, outcome, effects);
        }
        return;
    }
    let layout = model.layout();
    let (columns, height) = (layout.columns, layout.messages.height);
    let pane = model.panes.focused_mut();
    pane.paging.goal = None;
    pane.scroll_by(rows, &columns, height);
    if pane.shows_failure(&columns, height) {
        page_requests::try_again(model);
    }
}

/// Takes a click: on a room it goes there; on the row that counts hidden rows it unfolds the
/// message.
pub fn handle_click(model: &mut Model, column: u16, row: u16, effects: &mut Vec<Effect>) {
    let at = Position::new(column, row);
    let layout = model.layout();
    if let Some(picker) = model.layers.picker_mut() {
        let outcome = picker.handle_click(at, &layout);
        if matches!(outcome, KeyOutcome::Close | KeyOutcome::Choose(_)) {
            model.layers.close(Rank::Dialog);
        }
        return handle_outcome(model, outcome, effects);
    }
    if model.layers.dialog().is_some() {
        return;
    }
    match room_actions::clicked(model, at) {
        Clicked::Room(pane) => {
            room_actions::hold_order(model);
            return room_actions::go(model, pane, effects);
        }
        Clicked::More => return switcher::open(model),
        Clicked::Nothing => return,
        Clicked::Elsewhere => room_actions::release_order(model),
    }
    let area = layout.messages;
    if model.listing().is_none() && area.contains(at) {
        let pane = model.panes.focused_mut();
        pane.unfold_at(row - area.y, &layout.columns, area.height);
    }
}

fn page(model: &Model) -> i64 {
    // One row stays on the screen, so that the eye finds its place.
    i64::from(model.layout().messages.height.saturating_sub(1).max(1))
}

/// Goes to the first message of the log; on a server without a log, to the first that is loaded.
fn to_start(model: &mut Model) {
    let layout = model.layout();
    let pane = model.panes.focused_mut();
    match pane.timeline.first() {
        0 => pane.scroll_to_start(&layout.columns, layout.messages.height),
        first => page_requests::lead(model, Goal::Top(first)),
    }
}

fn to_unread(model: &mut Model) {
    let layout = model.layout();
    let pane = model.panes.focused_mut();
    let Some(from) = pane.unread_from() else {
        return;
    };
    let number = pane.timeline.first_number_from(from);
    match number {
        Some(number) => page_requests::lead(model, Goal::Top(number)),
        None => pane.scroll_to_key(from, false, &layout.columns, layout.messages.height),
    }
}

fn to_end(model: &mut Model) {
    let pane = model.panes.focused_mut();
    pane.paging.goal = None;
    pane.scroll = Scroll::Follow;
    search_actions::end(model);
}

fn to_date(model: &mut Model, argument: &str, effects: &mut Vec<Effect>) {
    let midnight = date::parse(argument, model.today())
        .ok()
        .and_then(|day| Some((day, day.to_zoned(model.zone.clone()).ok()?)));
    let Some((day, midnight)) = midnight else {
        return model.say(date::NoDay.to_string());
    };
    if model.pane().timeline.first() == 0 {
        return model.say("This server keeps no history");
    }
    let part = Part::Since(midnight.timestamp());
    page_requests::lead(model, Goal::Day(day, part));
    autosave::typed(model, effects);
}

fn act(model: &mut Model, action: Action, effects: &mut Vec<Effect>) {
    match action {
        Action::Send => send(model, effects),
        Action::NewLine => edit(model, Edit::NewLine),
        Action::Complete => complete(model, true),
        Action::CompleteBack => complete(model, false),
        Action::Up => edit(model, Edit::Up),
        Action::Down => edit(model, Edit::Down),
        Action::PageUp => scroll(model, -page(model), effects),
        Action::PageDown => scroll(model, page(model), effects),
        Action::RowUp => scroll(model, -1, effects),
        Action::RowDown => scroll(model, 1, effects),
        Action::Start => to_start(model),
        Action::End => to_end(model),
        Action::Unread => to_unread(model),
        Action::Home if model.writing().is_empty() => to_start(model),
        Action::EndOfLine if model.writing().is_empty() => to_end(model),
        Action::Home => edit(model, Edit::Home),
        Action::EndOfLine => edit(model, Edit::End),
        Action::Search => search_actions::open(model, "", effects),
        Action::GoTo => switcher::open(model),
        Action::Edit(Edit::KillToEnd) if model.layers.input().is_none() && is_empty(model) => {
            switcher::open(model);
        }
        Action::NextRoom => room_actions::step(model, true, effects),
        Action::PreviousRoom => room_actions::step(model, false, effects),
        Action::UnreadRoom => room_actions::to_unread(model, effects),
        Action::NextMention => room_actions::to_mention(model, true, effects),
        Action::PreviousMention => room_actions::to_mention(model, false, effects),
        Action::MarkRead => read_actions::toggle_read(model, effects),
        Action::Inbox => list_actions::open_inbox(model),
        Action::LastRoom => room_actions::to_last(model, effects),
        Action::Room(place) => room_actions::to_place(model, place, effects),
        Action::SideColumn => room_actions::toggle_side(model),
        Action::Help => model.layers.open(Layer::Help(HelpScreen::default())),
        Action::RetryNow => {
            if !model.server.online() {
                effects.push(Effect::Command(Command::RetryNow));
            }
        }
        Action::SendAgain => outbox_actions::send_again(model, effects),
        Action::TakeBack => outbox_actions::take_back(model, effects),
        Action::Copy => admin::copy(model, effects),
        Action::Escape => escape(model, effects),
        Action::Edit(what) => edit(model, what),
        Action::Interrupt | Action::Suspend | Action::Redraw => {}
    }
}

/// Whether nothing is written to the room.
fn is_empty(model: &Model) -> bool {
    let composer = &model.pane().composer;
    composer.is_empty() && composer.editing().is_none()
}

fn edit(model: &mut Model, edit: Edit) {
    let outcome = model.writing_mut().edit(edit);
    edited(model, outcome);
}

fn complete(model: &mut Model, forward: bool) {
    let own = model.server.user;
    let rooms = model.panes.iter().filter(|pane| !pane.is_direct());
    let rooms: Vec<_> = rooms
        .map(|pane| pane.label(own).trim_start_matches('#').to_owned())
        .collect();
    let pane = model.panes.focused_mut();
    let others = pane.members.iter();
    let others = others.filter(|member| Some(member.user) != own);
    let names = others.map(|member| member.nickname.as_str());
    pane.composer.complete(forward, names, &rooms);
}

pub(super) fn send(model: &mut Model, effects: &mut Vec<Effect>) {
    let composer = &mut model.panes.focused_mut().composer;
    composer.completion = None;
    // The command ends the remark.
    model.flash = None;
    if composer.editing().is_some() {
        return edit_actions::save(model, effects);
    }
    let typed = composer.text().to_owned();
    if typed == QUIT {
        composer.put_aside();
        return leaving::leave(model, effects);
    }
    if !model.server.online() && Invite::looks_like_one(&typed) {
        // An answer to the prompt must never be sent as a message.
        return match prompt_actions::pass(&typed) {
            Ok(command) => {
                effects.push(Effect::Command(command));
                let _fits = model.panes.focused_mut().composer.set("");
            }
            Err(wrong) => model.say(wrong),
        };
    }
    match commands::read(&typed) {
        ParsedInput::Nothing | ParsedInput::Quit => {
            model.panes.focused_mut().composer.put_aside();
            page_requests::try_again(model);
        }
        ParsedInput::Unknown(name) => {
            let name: String = name.chars().take(20).collect();
            model.say(format!(
                "There is no command /{name}: {} lists them, // begins a text with a slash",
                keymap::label(Action::Help)
            ));
        }
        ParsedInput::Command(slash, argument) => run(model, slash, argument, effects),
        ParsedInput::Text(_) if std::mem::take(&mut model.moved) => {
            let title = model.pane().label(model.server.user);
            model.say(format!("You are in {title} now: Enter sends it here"));
        }
        ParsedInput::Text(text) => match Body::visible(text) {
            Ok(body) => {
                let room = model.pane().key.room;
                model.panes.focused_mut().typed(body.clone());
                effects.push(Effect::Command(Command::Send {
                    room,
                    content: Content::Text(body),
                }));
                autosave::typed(model, effects);
                to_end(model);
                model.panes.focused_mut().read_all();
            }
            Err(error) => model.say(error.to_string()),
        },
    }
}

fn run(model: &mut Model, slash: &'static Slash, argument: &str, effects: &mut Vec<Effect>) {
    match slash.run {
        SlashAction::Help => model.layers.open(Layer::Help(HelpScreen::default())),
        SlashAction::Quit => {
            model.panes.focused_mut().composer.put_aside();
            return leaving::leave(model, effects);
        }
        SlashAction::Mouse => {
            model.wheel = !model.wheel;
            effects.push(Effect::Wheel(model.wheel));
            model.say(if model.wheel {
                "The wheel scrolls, clicks unfold and go to rooms; Shift selects text"
            } else {
                "The terminal handles the mouse again"
            });
        }
        SlashAction::Edit => return edit_actions::edit(model, argument, effects),
        SlashAction::Delete => return edit_actions::delete(model, argument, effects),
        SlashAction::Date => return to_date(model, argument, effects),
        SlashAction::Search => {
            autosave::typed(model, effects);
            return search_actions::open(model, argument, effects);
        }
        SlashAction::Unfold | SlashAction::Fold => fold(model, slash.run == SlashAction::Unfold),
        SlashAction::Discard => outbox_actions::discard(model, effects),
        SlashAction::Next => room_actions::to_unread(model, effects),
        SlashAction::Where | SlashAction::SayAgain => {
            return model.say(format!("/{} works in line mode only", slash.name));
        }
        SlashAction::Security => admin::security(model, slash),
        SlashAction::Who => admin::who(model, slash),
        SlashAction::Admin(which) => {
            if !admin::command(model, slash, which, argument, effects) {
                return;
            }
        }
        SlashAction::Rooms => {
            autosave::typed(model, effects);
            return list_actions::open_rooms(model, argument);
        }
        SlashAction::Members => list_actions::open_members(model),
        SlashAction::Inbox => list_actions::open_inbox(model),
        SlashAction::Go if argument.is_empty() => switcher::open(model),
        SlashAction::Go | SlashAction::Peek => {
            choice_actions::go_by_name(model, argument, slash.run == SlashAction::Peek, effects);
            return;
        }
        SlashAction::Notify => {
            if !preference_actions::notify(model, argument, effects) {
                return;
            }
        }
        SlashAction::Favourite => preference_actions::toggle_favourite(model, effects),
        SlashAction::Mark => {
            if !read_actions::mark(model, argument, effects) {
                return;
            }
        }
        SlashAction::Nick => match Nickname::parse(argument) {
            Ok(nickname) => effects.push(Effect::Command(Command::Nick(nickname))),
            Err(error) => return model.say(error.to_string()),
        },
    }
    autosave::typed(model, effects);
}

/// Unfolds a long message, or folds all of them again.
fn fold(model: &mut Model, unfold: bool) {
    let layout = model.layout();
    let (columns, height) = (layout.columns, layout.messages.height);
    let pane = model.panes.focused_mut();
    if !unfold {
        pane.fold(&columns, height);
    } else if !pane.unfold(&columns, height) {
        model.say("No message here is folded");
    }
}

/// The effect of Esc now: it closes what is open before it disconnects.
pub fn escape_means(model: &Model) -> Escape {
    match escape_closes(model) {
        Escape::Leave if model.escapes.guard(model.now.mono) => Escape::Warn,
        other => other,
    }
}

/// Whether Esc would leave, now or soon: then the decoder waits longer to tell a lone Esc from the
/// first byte of another key.
pub fn escape_leaves(model: &Model) -> bool {
    escape_closes(model) == Escape::Leave
}

/// The thing that Esc would close, if any.
fn escape_closes(model: &Model) -> Escape {
    let pane = model.pane();
    let top = model.layers.top();
    if let Some(escape) = top.and_then(|layer| layer.behavior().escape(pane)) {
        return escape;
    }
    if model.writing().completion.is_some() {
        Escape::CloseCompletion
    } else if pane.composer.editing().is_some() {
        Escape::CancelEdit
    } else if pane.is_scrolled_back() {
        Escape::ToEnd
    } else if !pane.composer.is_empty() {
        Escape::PutAside
    } else {
        Escape::Leave
    }
}

fn note_escape(model: &mut Model) {
    let now = model.now.mono;
    let closes = escape_closes(model) != Escape::Leave;
    if closes {
        model.escapes.closed = Some(now);
    }
    if closes || escape_means(model) == Escape::Warn {
        model.escapes.last = Some(now);
    }
}

fn escape(model: &mut Model, effects: &mut Vec<Effect>) {
    match escape_means(model) {
        Escape::CloseDialog => drop(model.layers.close(Rank::Dialog)),
        Escape::CloseCompletion => model.writing_mut().completion = None,
        Escape::CancelEdit => edit_actions::end(model),
        Escape::ToResults => search_actions::back(model),
        Escape::CloseSearch => search_actions::close(model),
        Escape::ToEnd => to_end(model),
        Escape::PutAside => put_aside(model, effects),
        Escape::Cancel => drop(model.layers.close(Rank::Prompt)),
        Escape::Leave => leaving::leave(model, effects),
        Escape::Warn => model.say(format!(
            "{} again disconnects",
            keymap::label(Action::Escape)
        )),
    }
}

/// Puts the draft aside: into the history of the input, and into the next start.
pub(super) fn put_aside(model: &mut Model, effects: &mut Vec<Effect>) {
    let text = model.pane().composer.text().to_owned();
    effects.push(Effect::Command(Command::Typed(text.clone())));
    model.panes.focused_mut().composer.put_aside();
    model.panes.focused_mut().autosave.put_aside(text);
    model.say(format!(
        "Put aside; {} brings it back",
        keymap::label(Action::Up)
    ));
}

fn interrupt(model: &mut Model, again: bool, effects: &mut Vec<Effect>) {
    if again || model.leaving_since.is_some() {
        return leaving::leave_unasked(model, effects);
    }
    model.interrupted = true;
    model.layers.close(Rank::Dialog);
    let edited = model.layers.input().is_none() && model.pane().composer.editing().is_some();
    let cleared = !edited && !model.writing().is_empty();
    let asked = model.layers.prompt().is_some();
    if asked {
        // The typed answer may be a password: it must not stay.
        prompt_actions::clear(model);
    } else if edited {
        edit_actions::end(model);
    } else if cleared {
        model.writing_mut().put_aside();
    }
    let interrupt = keymap::label(Action::Interrupt);
    model.say(if cleared && !asked {
        let up = keymap::label(Action::Up);
        format!("{interrupt} again disconnects; {up} brings the text back")
    } else {
        format!("{interrupt} again disconnects")
    });
}
