//! Handles the session's events.

use std::collections::BTreeSet;

use super::{
    Effect, Model, admin, edit_actions,
    layers::{Rank, prompt::PromptKind},
    list_actions, page_requests,
    pane::{OutgoingState, Pane},
    prompt_actions, search_actions,
};
use crate::{
    client::event::{ConnectionStatus, Delivery, Entered, Event, OutboxMessage, Received, Said},
    protocol::{Nickname, RoomId, UserId, frame::Member},
    text::Line,
    tui::user_text::{self, Tone},
};

/// Takes an event of the session.
#[deny(clippy::wildcard_enum_match_arm)]
pub fn handle_event(model: &mut Model, event: Event, effects: &mut Vec<Effect>) {
    match event {
        Event::Connection(status) => handle_connection_status(model, status),
        Event::Unanswered(waited) => model.server.set_unanswered(waited, model.now.mono),
        Event::Security(security) => admin::handle_security(model, security),
        Event::Entered(entered) => self::entered(model, entered),
        Event::Room(opened) => {
            let at = model.pane_to_open(&opened, effects);
            model.with_pane(at, |pane, context| pane.opened(&opened, context.zone));
        }
        Event::RoomInfo { room, info } => model.pane_in(room).info = *info,
        Event::RoomLeft { room, by } => model.left_room(room, by.as_ref(), effects),
        Event::ReadState { room, read } => model.pane_in(room).set_read_state(read),
        Event::RoomList { request, rooms } => list_actions::handle_rooms(model, request, rooms),
        Event::PeopleList { request, people } => {
            list_actions::handle_people(model, request, people);
        }
        Event::Inbox { request, inbox } => list_actions::handle_inbox(model, request, inbox),
        Event::Message(received) => handle_message(model, received),
        Event::Changed { room, entries } => {
            let at = model.pane_of(room);
            model.with_pane(at, |pane, context| pane.changed(&entries, context));
            search_actions::handle_changed(model, room, &entries);
        }
        Event::Outbox(message) => handle_delivery(model, message),
        Event::Page { room, part, page } => {
            let at = model.pane_of(room);
            page_requests::handle_page(model, at, part, page);
        }
        Event::Found {
            search,
            room,
            found,
        } => search_actions::handle_results(model, search, room, found, effects),
        Event::Admin { request, answer } => admin::handle_answer(model, request, answer, effects),
        Event::NicknameRefused {
            nickname,
            why,
            waiting,
        } => refused(model, &nickname, &why, waiting),
        Event::Notice(line) => {
            admin::tell(model, None, vec![(Tone::Remark, line.as_str().to_owned())]);
        }
        Event::Distrusted(why) => {
            let pane = model.panes.focused_mut();
            pane.distrusted = Some(pane.timeline.key(pane.timeline.len()));
            admin::tell(model, None, user_text::distrusted(&why));
        }
        Event::Ended(summary) => {
            model.summary = Some(summary);
            effects.push(Effect::Quit);
        }
        Event::Ignored(users) => ignore(model, users),
        Event::Members { room, members } => handle_members(model, room, members),
        Event::Joined { room, member } => {
            let at = model.pane_of(room);
            model.with_pane(at, |pane, context| pane.joined(member, context));
        }
        Event::Left {
            room,
            user,
            nickname,
            time,
            reason,
        } => {
            let at = model.pane_of(room);
            model.with_pane(at, |pane, context| {
                pane.left(user, nickname, time, reason, context);
            });
        }
        Event::Renamed {
            room,
            user,
            was,
            nickname,
            time,
        } => {
            let at = model.pane_of(room);
            note_nickname(model, user, &nickname);
            model.with_pane(at, |pane, context| {
                pane.renamed(user, was, nickname, time, context);
            });
        }
        Event::Promoted { room, user, role } => {
            let at = model.pane_of(room);
            admin::handle_promotion(model, at, user, role);
        }
        Event::Rules { room, rules, by } => {
            let at = model.pane_of(room);
            admin::handle_rules(model, at, rules, by);
        }
    }
    edit_actions::forget_erased(model);
    for pane in model.panes.iter_mut() {
        pane.limit();
    }
}

/// Takes an entry, or a message of a legacy server.
fn handle_message(model: &mut Model, received: Received) {
    let at = model.pane_of(received.said.room());
    if let Said::Logged(entry) = &received.said {
        search_actions::fold_in(model, entry);
    }
    model.with_pane(at, |pane, context| pane.received(received, context));
}

/// Takes a new state of one of our messages.
fn handle_delivery(model: &mut Model, message: OutboxMessage) {
    let (at, now) = (model.pane_of_outgoing(message.room), model.now.wall);
    let change = model.panes[at].changing.get(&message.local);
    if message.delivery == Delivery::Withdrawn && change.is_some_and(|change| change.taken_back) {
        edit_actions::resume(&mut model.panes[at], &message.content);
    }
    let mut outbox = model.panes[at].outbox.iter();
    let outgoing = outbox.find(|outgoing| outgoing.local == message.local);
    let state = outgoing.map(|outgoing| &outgoing.state);
    match (&message.delivery, state) {
        (Delivery::Withdrawn, Some(OutgoingState::TakingBack)) => {
            model.panes[at].composer.take_back(message.content.words());
        }
        (Delivery::Sent { .. }, Some(OutgoingState::Deleting)) => {
            model.say("It had been sent already: /delete deletes it there");
        }
        _ => {}
    }
    model.with_pane(at, |pane, context| {
        pane.outgoing(message, now, context);
    });
}

/// Takes the nickname of a user, who may be in conversations besides the room that tells it.
fn note_nickname(model: &mut Model, user: UserId, nickname: &Nickname) {
    if Some(user) == model.server.user {
        model.server.nickname = nickname.clone();
    }
    for pane in model.panes.iter_mut() {
        let mut people = pane.info.people.iter_mut();
        if let Some(person) = people.find(|person| person.user == user) {
            person.nickname = nickname.clone();
        }
    }
}

fn ignore(model: &mut Model, users: BTreeSet<UserId>) {
    model.server.ignored = users;
    for at in 0..model.panes.count() {
        model.with_pane(at, Pane::set_ignored);
    }
}

/// Takes the whole member list of a room: it replaces earlier changes, our own role among them.
fn handle_members(model: &mut Model, room: RoomId, members: Vec<Member>) {
    let own = members
        .iter()
        .find(|member| Some(member.user) == model.server.user);
    if let Some(own) = own {
        model.server.nickname = own.nickname.clone();
    }
    let at = model.pane_of(room);
    model.with_pane(at, |pane, _| pane.set_members(members));
}

fn handle_connection_status(model: &mut Model, status: ConnectionStatus) {
    if matches!(
        model.server.connection,
        ConnectionStatus::Legacy | ConnectionStatus::Unidentified
    ) && status == ConnectionStatus::Online
    {
        model.flash = None;
    }
    prompt_actions::handle_connection_status(model, &status);
    model.server.set_connection(status, model.now.mono);
    // The reader must see the explanation before the command that accepts the key.
    if let Some(told) = model.panes.focused_mut().distrusted.take() {
        let layout = model.layout();
        let pane = model.panes.focused_mut();
        pane.scroll_to_text(told, &layout.columns, layout.messages.height);
    }
}

fn entered(model: &mut Model, entered: Entered) {
    model.server.entered.get_or_insert(model.now.mono);
    if let Some(user) = entered.user.filter(|user| model.server.user != Some(*user)) {
        for pane in model.panes.iter_mut() {
            pane.is_ours(user);
        }
    }
    model.server.user = entered.user;
    model.server.nickname = entered.nickname;
    model.server.role = entered.role;
    model.server.program = entered.server;
    model.layers.close(Rank::Prompt);
    page_requests::forget_asked(model);
}

fn refused(model: &mut Model, nickname: &Nickname, why: &Line, waiting: bool) {
    let why = format!("{}: {nickname}", why.as_str().trim_end_matches('.'));
    if !waiting {
        model.say(why);
        return;
    }
    prompt_actions::open(model, PromptKind::Nickname, why, nickname.as_str());
}
