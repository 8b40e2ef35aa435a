//! Lists that the server sends: the rooms that the user can find, the people of a room, and the
//! messages that mention the user. Opens them, requests their pages, and takes these.

use super::{
    Effect, Model,
    layers::{
        Layer,
        picker::{Choice, PERSON, Picker, PickerEntry, PickerKind, ROOM},
        server_list::{Listed, PageStart},
    },
    room_list::News,
    switcher,
};
use crate::{
    client::event::{Command, InboxEntries, ListedPage},
    protocol::{
        Entry,
        room::{ListedPerson, ListedRoom},
    },
    text::Line,
    tui::{entry_text, signs},
};

/// Opens the list of the rooms that the user can find; `words`: what their names contain.
pub fn open_rooms(model: &mut Model, words: &str) {
    open(model, PickerKind::Rooms, words);
}

/// Opens the list of the members of the room on the screen.
pub fn open_members(model: &mut Model) {
    let room = model.pane().key.room;
    open(model, PickerKind::Members(room), "");
}

/// Opens the list of messages that mention the user.
pub fn open_inbox(model: &mut Model) {
    open(model, PickerKind::Inbox, "");
}

fn open(model: &mut Model, kind: PickerKind, words: &str) {
    let mut picker = Picker::new(kind, Vec::new());
    picker.insert(words);
    model.layers.open(Layer::Picker(picker));
}

/// Requests what is missing in the open list. To be called after each message.
pub fn poll(model: &mut Model, effects: &mut Vec<Effect>) {
    let Some(picker) = model.layers.picker_mut() else {
        return;
    };
    let Some((listed, words, start)) = picker.wanted() else {
        return;
    };
    let request = model.requests;
    model.requests += 1;
    picker.ask(request, &words);
    let query = Line::inert(&words);
    effects.push(Effect::Command(match listed {
        Listed::Rooms => Command::ListRooms {
            request,
            query,
            after: match start {
                PageStart::AfterRoom(room) => Some(room),
                _ => None,
            },
        },
        Listed::People(room) => Command::ListPeople {
            request,
            room,
            query,
            after: match start {
                PageStart::AfterUser(user) => Some(user),
                _ => None,
            },
        },
        Listed::Inbox => Command::Inbox {
            request,
            before: match start {
                PageStart::Before(position) => Some(position),
                _ => None,
            },
        },
    }));
}

/// Takes a page of rooms.
pub fn handle_rooms(model: &mut Model, request: u64, page: Result<ListedPage<ListedRoom>, Line>) {
    let page = page.map(|ListedPage { list, more }| {
        let last = list.last().filter(|_| more);
        let next = last.map(|last| PageStart::AfterRoom(last.room));
        (list.into_iter().map(listed_room).collect(), next)
    });
    take(model, request, page);
}

/// Takes a page of people.
pub fn handle_people(
    model: &mut Model,
    request: u64,
    page: Result<ListedPage<ListedPerson>, Line>,
) {
    let kind = model.layers.picker().map(|picker| picker.kind);
    let page = page.map(|ListedPage { list, more }| {
        let last = list.last().filter(|_| more);
        let next = last.map(|last| PageStart::AfterUser(last.person.user));
        let entries = list.iter().filter_map(|person| match kind {
            Some(PickerKind::GoTo) => switcher::person(model, &person.person),
            _ => Some(member(model, person)),
        });
        (entries.collect(), next)
    });
    take(model, request, page);
}

/// Takes a page of messages that mention the user.
pub fn handle_inbox(model: &mut Model, request: u64, page: Result<InboxEntries, Line>) {
    let page = page.map(|InboxEntries { entries, next }| {
        let entries = entries.iter().map(|entry| mention(model, entry));
        (entries.collect(), next.map(PageStart::Before))
    });
    take(model, request, page);
}

fn take(
    model: &mut Model,
    request: u64,
    page: Result<(Vec<PickerEntry>, Option<PageStart>), Line>,
) {
    if let Some(picker) = model.layers.picker_mut() {
        let page = page.map_err(|why| why.as_str().to_owned());
        picker.take(request, page);
    }
}

fn listed_room(room: ListedRoom) -> PickerEntry {
    let facts = [
        room.joined.then_some("joined"),
        room.private.then_some("private"),
        room.archived.then_some("archived"),
        room.topic.as_ref().map(Line::as_str),
    ];
    let facts: Vec<_> = facts.into_iter().flatten().collect();
    PickerEntry {
        sigil: ROOM,
        name: room.name.as_str().to_owned(),
        news: News::Nothing,
        note: facts.join(" · "),
        when: match room.members {
            0 => String::new(),
            1 => "1 member".to_owned(),
            count => format!("{count} members"),
        },
        choice: Choice::Listed(room.room, room.name),
    }
}

fn member(model: &Model, listed: &ListedPerson) -> PickerEntry {
    let person = &listed.person;
    let own = Some(person.user) == model.server.user;
    let facts = [
        own.then(|| "you".to_owned()),
        listed.moderator.then(|| "moderator".to_owned()),
        listed.online.then(|| "here".to_owned()),
        listed.last_seen.filter(|_| !listed.online).map(|time| {
            let time = entry_text::moment(time, model.now.wall, &model.zone);
            format!("last seen {time}")
        }),
    ];
    let facts: Vec<_> = facts.into_iter().flatten().collect();
    PickerEntry {
        sigil: if listed.online {
            signs::PRESENT
        } else {
            signs::ABSENT
        },
        name: person.nickname.as_str().to_owned(),
        news: News::Nothing,
        note: facts.join(" · "),
        when: String::new(),
        choice: Choice::Person(person.user, person.nickname.clone()),
    }
}

fn mention(model: &Model, entry: &Entry) -> PickerEntry {
    let at = model.find_pane(entry.room);
    let label = at.map(|at| model.panes[at].label(model.server.user));
    let label = label.unwrap_or_else(|| entry.room.to_string());
    let direct = label.starts_with(PERSON);
    let words = entry_text::words(entry);
    let words = words.lines().next().unwrap_or_default();
    PickerEntry {
        sigil: if direct { PERSON } else { ROOM },
        name: label.trim_start_matches(['#', '@']).to_owned(),
        news: News::Nothing,
        note: format!("{}: {words}", entry.author.nickname),
        when: switcher::when(model, entry.time),
        choice: Choice::Message(entry.room, entry.seq),
    }
}
