//! The list to go to a room, a person or a command: what it holds, and how it is opened.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    Model,
    layers::{
        Layer,
        picker::{COMMAND, Choice, PERSON, Picker, PickerEntry, PickerKind, ROOM},
    },
    pane::Pane,
    room_actions,
    room_list::{self, News, RoomRow},
};
use crate::{
    protocol::{Nickname, Person},
    tui::commands,
};

/// Opens the list. Rooms hold their order until it is closed.
pub fn open(model: &mut Model) {
    room_actions::hold_order(model);
    let entries = entries(model);
    model
        .layers
        .open(Layer::Picker(Picker::new(PickerKind::GoTo, entries)));
}

/// Brings what the open list says about rooms up to date.
pub fn refresh(model: &mut Model) {
    if model.layers.picker().is_none() {
        return;
    }
    let rows = model.rooms();
    let rooms = rows.iter().map(|row| room(model, row)).collect();
    if let Some(picker) = model.layers.picker_mut() {
        picker.refresh(rooms);
    }
}

/// The entries: rooms, people, commands. The first is the next room with something new, or else the
/// one on the screen; the second is the room before.
fn entries(model: &Model) -> Vec<PickerEntry> {
    let mut rows = model.rooms();
    let current = || rows.iter().find(|row| row.current);
    let first = room_list::next_unread(&rows).or_else(current);
    let first = first.map(|row| row.at);
    let before = model.panes.before();
    rows.sort_by_key(|row| (Some(row.at) != first, Some(row.at) != before));
    let rooms = rows.iter().map(|row| room(model, row));
    let commands = commands::all().map(|slash| PickerEntry {
        sigil: COMMAND,
        name: slash.usage(),
        news: News::Nothing,
        note: slash.help.to_owned(),
        when: String::new(),
        choice: Choice::Command(slash),
    });
    rooms.chain(people(model)).chain(commands).collect()
}

fn room(model: &Model, row: &RoomRow) -> PickerEntry {
    let pane = &model.panes[row.at];
    PickerEntry {
        sigil: if row.direct { PERSON } else { ROOM },
        name: row.name.clone(),
        news: row.news,
        note: latest(pane, row),
        when: pane
            .active()
            .map_or_else(String::new, |time| when(model, time)),
        choice: Choice::Room(pane.key.clone()),
    }
}

/// The last message of a room, in a row.
fn latest(pane: &Pane, row: &RoomRow) -> String {
    if row.news == News::Muted {
        return "muted".to_owned();
    }
    let Some(message) = pane.latest() else {
        return String::new();
    };
    let text = message.text();
    let text = text.lines().next().unwrap_or_default();
    format!("{}: {text}", message.said.nickname())
}

/// A time as the list shows it: of today the clock, else the day.
pub fn when(model: &Model, time: Timestamp) -> String {
    let local = time.to_zoned(model.zone.clone());
    let today = local.date() == model.today();
    let format = if today { "%H:%M" } else { "%-d %b" };
    local.strftime(format).to_string()
}

/// The others that we know, without those whom we have a conversation with.
fn people(model: &Model) -> Vec<PickerEntry> {
    let members = model.panes.iter().flat_map(|pane| &pane.members);
    let people = members.map(|member| Person {
        user: member.user,
        nickname: member.nickname.clone(),
    });
    let people: BTreeMap<_, _> = people
        .map(|person| ((person.nickname.folded(), person.user), person))
        .collect();
    let people = people.into_values();
    people.filter_map(|other| person(model, &other)).collect()
}

/// The entry of a person; `None` for ourselves and for those whom we have a conversation with.
pub fn person(model: &Model, person: &Person) -> Option<PickerEntry> {
    // Of a conversation with one other person, both are its people.
    let mut talks = model.panes.iter().map(|pane| &pane.info.people);
    let is_known = talks
        .any(|people| people.len() == 2 && people.iter().any(|other| other.user == person.user));
    let is_other = Some(person.user) != model.server.user && !is_known;
    is_other.then(|| PickerEntry {
        sigil: PERSON,
        name: person.nickname.as_str().to_owned(),
        news: News::Nothing,
        note: "write to them".to_owned(),
        when: String::new(),
        choice: Choice::Person(person.user, person.nickname.clone()),
    })
}

/// The nickname of a member of any of our rooms, as they write it.
pub fn known_person(model: &Model, name: &str) -> Option<Nickname> {
    let wanted = Nickname::known(name).ok()?.folded();
    let mut known = known_people(model);
    known.find(|nickname| nickname.folded() == wanted).cloned()
}

/// The nicknames of the members of our rooms, and of the people of our conversations.
pub fn known_people(model: &Model) -> impl Iterator<Item = &Nickname> {
    let members = model.panes.iter().flat_map(|pane| &pane.members);
    let people = model.panes.iter().flat_map(|pane| &pane.info.people);
    let members = members.map(|member| &member.nickname);
    members.chain(people.map(|person| &person.nickname))
}
