//! Lists that a user asks for: rooms, members, and the messages that mention them. They are read
//! page by page to their end; each element is a line.

use super::model::{Asked, Model};
use crate::{
    client::{
        Command,
        event::{InboxEntries, ListedPage},
    },
    protocol::{
        Entry, RoomId,
        room::{ListedPerson, ListedRoom},
    },
    text::Line,
    tui::{local_time, user_text},
};

impl Model {
    /// Lists the rooms that the user can find, whose names contain a text.
    pub(super) fn list_rooms(&mut self, query: &str) {
        let query = Line::inert(query.trim_start_matches('#'));
        let request = self.ask(Asked::Rooms(query.clone()));
        self.commands.push_back(Command::ListRooms {
            request,
            query,
            after: None,
        });
    }

    /// Lists the members of the room, whose nicknames contain a text.
    pub(super) fn list_members(&mut self, query: &str) {
        let (room, query) = (self.room, Line::inert(query.trim_start_matches('@')));
        let request = self.ask(Asked::Members(room, query.clone()));
        self.commands.push_back(Command::ListPeople {
            request,
            room: Some(room),
            query,
            after: None,
        });
    }

    /// Lists the messages that mention the user.
    pub(super) fn list_inbox(&mut self) {
        let request = self.ask(Asked::Inbox { any: false });
        self.commands.push_back(Command::Inbox {
            request,
            before: None,
        });
    }

    /// Takes a page of rooms.
    pub(super) fn rooms_page(&mut self, request: u64, page: Result<ListedPage<ListedRoom>, Line>) {
        let Some(Asked::Rooms(query)) = self.answer(request) else {
            return;
        };
        let page = match page {
            Ok(page) => page,
            Err(why) => return self.refuse(why.as_str()),
        };
        for room in &page.list {
            self.say(&listed_room(room));
        }
        let after = page.list.last().map(|room| room.room);
        if page.more && after.is_some() {
            let request = self.ask(Asked::Rooms(query.clone()));
            self.commands.push_back(Command::ListRooms {
                request,
                query,
                after,
            });
        } else if after.is_none() {
            self.say("No room was found");
        }
    }

    /// Takes a page of members.
    pub(super) fn people_page(
        &mut self,
        request: u64,
        page: Result<ListedPage<ListedPerson>, Line>,
    ) {
        let Some(Asked::Members(room, query)) = self.answer(request) else {
            return;
        };
        let page = match page {
            Ok(page) => page,
            Err(why) => return self.refuse(why.as_str()),
        };
        for person in &page.list {
            let line = self.listed_person(person);
            self.say(&line);
        }
        let after = page.list.last().map(|person| person.person.user);
        if page.more && after.is_some() {
            let request = self.ask(Asked::Members(room, query.clone()));
            self.commands.push_back(Command::ListPeople {
                request,
                room: Some(room),
                query,
                after,
            });
        } else if after.is_none() {
            self.say("No member was found");
        }
    }

    /// Takes a page of messages that mention the user.
    pub(super) fn inbox_page(&mut self, request: u64, inbox: Result<InboxEntries, Line>) {
        let Some(Asked::Inbox { any }) = self.answer(request) else {
            return;
        };
        let inbox = match inbox {
            Ok(inbox) => inbox,
            Err(why) => return self.refuse(why.as_str()),
        };
        for entry in &inbox.entries {
            let line = self.listed_entry(entry);
            self.say(&line);
        }
        let any = any || !inbox.entries.is_empty();
        if inbox.next.is_some() {
            let request = self.ask(Asked::Inbox { any });
            let before = inbox.next;
            self.commands.push_back(Command::Inbox { request, before });
        } else if !any {
            self.say("No message mentions you");
        }
    }

    fn listed_person(&self, listed: &ListedPerson) -> String {
        let mut facts = Vec::new();
        match listed.last_seen {
            _ if listed.online => facts.push("here".to_owned()),
            Some(time) => facts.push(format!(
                "last here {}",
                local_time::moment(time, &self.zone)
            )),
            None => facts.push("away".to_owned()),
        }
        if listed.moderator {
            facts.push("moderator".to_owned());
        }
        format!(
            "@{}: {}",
            listed.person.nickname.before_a_colon(),
            facts.join(", ")
        )
    }

    fn listed_entry(&self, entry: &Entry) -> String {
        let time = local_time::moment(entry.time, &self.zone);
        let room = self.title_of_any(entry.room);
        let name = entry.author.nickname.before_a_colon();
        let text = entry.words().replace('\n', "\n      ");
        format!("{time} {room} #{} {name}: {text}", entry.seq)
    }

    fn title_of_any(&self, room: RoomId) -> String {
        if self.known_room(room).is_some() {
            self.title(room)
        } else {
            format!("#{room}")
        }
    }
}

/// A room in one line: `#build: 12 members, joined. Topic: green again`.
fn listed_room(room: &ListedRoom) -> String {
    let mut facts = Vec::new();
    match room.members {
        0 => facts.push("for everybody".to_owned()),
        1 => facts.push("1 member".to_owned()),
        count => facts.push(format!("{} members", user_text::in_groups(count))),
    }
    for (fact, holds) in [
        ("joined", room.joined),
        ("private", room.private),
        ("archived", room.archived),
    ] {
        if holds {
            facts.push(fact.to_owned());
        }
    }
    let topic = room.topic.as_ref();
    let topic = topic.map_or_else(String::new, |topic| format!(". Topic: {topic}"));
    format!("#{}: {}{topic}", room.name, facts.join(", "))
}
