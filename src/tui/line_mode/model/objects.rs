//! Objects in place of lines, with `--json`: frames of the protocol, one on a line, in both
//! directions. What a client does for itself (joining, ids, reading on after a connection was lost)
//! it still does; `docs/BOTS.md` lists the frames that remain.

use jiff::Timestamp;
use serde::{Deserialize, de::IgnoredAny};
use serde_json::json;

use super::{Asked, Model};
use crate::{
    client::{
        Command, Event,
        event::{Delivery, InboxEntries, ListedPage, OutboxMessage, Page, Said, SearchPage},
    },
    protocol::{
        ClientFrame, Extent, Nickname, Role, RoomId, ServerFrame, UserId,
        admin::AdminResult,
        entry::ContentError,
        frame::{
            Change, FoundPage, HistoryPage, InboxPage, ListPage, ListRequest, MembersPage,
            PageHead, Part, Presence,
        },
        room::{ListedPerson, ListedRoom},
        wire::{encode_server, parse_client},
    },
    text::Line,
};

/// The object's type is one that the client sends itself, or none.
const NOT_TAKEN: &str = "This type of object is not taken here: see docs/BOTS.md";

/// What an object has besides the frame that it is.
#[derive(Debug, Default, Deserialize)]
struct Extra {
    #[serde(rename = "ref")]
    reference: Option<u64>,
    room: Option<IgnoredAny>,
}

/// The `ref` of an object, if it has one.
struct Reference(Option<u64>);

/// A page that was asked for, with the `ref` to answer with.
#[derive(Debug)]
pub(super) struct AskedPage {
    room: RoomId,
    part: Part,
    reference: Option<u64>,
}

impl Model {
    /// Whether an object can be taken now. Messages wait in the outbox; anything else would be
    /// refused without a connection.
    pub(super) fn takes_object(&self, text: &str) -> bool {
        let is_message = matches!(
            parse_client(text.as_bytes()),
            Err(_) | Ok(ClientFrame::Submit(_) | ClientFrame::Disconnect)
        );
        is_message || self.rooms().any(|(_, room)| room.open)
    }

    /// Takes an object of the input.
    pub(super) fn object(&mut self, text: &str) {
        if text.trim().is_empty() {
            return;
        }
        let extra: Extra = serde_json::from_str(text).unwrap_or_default();
        let reference = extra.reference;
        let frame = match parse_client(text.as_bytes()) {
            Ok(frame) => frame,
            Err(refusal) => return self.refuse_object(reference, &refusal.message),
        };
        match frame {
            ClientFrame::Submit(said) => match said.content {
                Ok(content) => {
                    let room = if extra.room.is_some() {
                        said.room
                    } else {
                        self.room
                    };
                    self.submit(room, content);
                    self.references
                        .extend(reference.map(|reference| (self.sent, reference)));
                }
                Err(ContentError::Text(wrong)) => {
                    self.refuse_object(reference, &wrong.to_string());
                }
                Err(ContentError::Target) => {
                    self.refuse_object(reference, "target is no id of an entry");
                }
                Err(ContentError::Kind) => self.refuse_object(reference, NOT_TAKEN),
            },
            ClientFrame::Command(request) => {
                let (command, request) = (request.command, self.ask(Asked::Object(reference)));
                self.commands.push_back(Command::Admin { request, command });
            }
            ClientFrame::ListRooms(ListRequest { query, after, .. }) => {
                let request = self.ask(Asked::Object(reference));
                self.commands.push_back(Command::ListRooms {
                    request,
                    query,
                    after,
                });
            }
            ClientFrame::ListPeople { room, list } => {
                let request = self.ask(Asked::Object(reference));
                self.commands.push_back(Command::ListPeople {
                    request,
                    room,
                    query: list.query,
                    after: list.after,
                });
            }
            ClientFrame::Inbox { before, .. } => {
                let request = self.ask(Asked::Object(reference));
                self.commands.push_back(Command::Inbox { request, before });
            }
            ClientFrame::Search(wanted) => {
                let search = self.ask(Asked::Object(reference));
                self.commands.push_back(Command::Search {
                    search,
                    room: wanted.room,
                    query: wanted.query,
                    to: wanted.to,
                });
            }
            ClientFrame::History(wanted) => {
                let (room, part) = (wanted.room, wanted.part);
                self.asked_pages.push_back(AskedPage {
                    room,
                    part,
                    reference,
                });
                self.commands.push_back(Command::Page { room, part });
            }
            ClientFrame::Read { room, marker } => {
                let seq = marker.seq;
                self.commands.push_back(Command::MarkRead { room, seq });
            }
            ClientFrame::Prefer { room, preferences } => {
                self.commands
                    .push_back(Command::Prefer { room, preferences });
            }
            ClientFrame::Nick { nickname, .. } => {
                self.commands.push_back(Command::Nick(nickname));
            }
            ClientFrame::Watch { rooms } => self.commands.push_back(Command::Watch(rooms)),
            ClientFrame::Disconnect => self.quit(),
            ClientFrame::Join(_)
            | ClientFrame::Proof { .. }
            | ClientFrame::Withdraw { .. }
            | ClientFrame::Changes(_)
            | ClientFrame::Ping { .. }
            | ClientFrame::Pong { .. } => self.refuse_object(reference, NOT_TAKEN),
        }
    }

    /// Answers an object that is not carried out.
    pub(super) fn refuse_object(&mut self, reference: Option<u64>, why: &str) {
        self.undelivered += 1;
        self.put_error(reference, why);
    }

    fn put_error(&mut self, reference: Option<u64>, why: &str) {
        let line = self.lines_read;
        let about = match reference {
            Some(reference) => ("ref", reference),
            None => ("line", line),
        };
        self.put_value(&json!({"type": "error", "message": why, about.0: about.1}));
    }

    fn put_value(&mut self, object: &serde_json::Value) {
        if !self.output_closed {
            self.output.push_back(format!("{object}\n"));
        }
    }

    fn put(&mut self, frame: &ServerFrame) {
        if self.output_closed {
            return;
        }
        let mut bytes = Vec::new();
        encode_server(frame, &mut bytes);
        self.output
            .push_back(String::from_utf8_lossy(&bytes).into_owned());
    }

    /// Writes a message, or another entry.
    pub(super) fn put_said(&mut self, said: &Said) {
        match said {
            Said::Logged(entry) => self.put(&ServerFrame::Entry(entry.clone())),
            Said::Unlogged(said) => self.put_value(&json!({
                "type": "message",
                "nickname": said.nickname.as_str(),
                "message": said.body.as_str(),
                "timestamp": said.time.to_string(),
            })),
        }
    }

    /// Writes what became of a message that had a `ref`.
    pub(super) fn put_delivery(&mut self, message: &OutboxMessage, number: u64) {
        let Some(&reference) = self.references.get(&number) else {
            return;
        };
        let why = match &message.delivery {
            Delivery::Pending => return,
            Delivery::Sent { seq } => {
                let room = message.room.to_string();
                self.put_value(&json!({"type": "ack", "ref": reference, "room": room, "seq": seq}));
                None
            }
            Delivery::Unchanged => {
                self.put_value(&json!({"type": "ack", "ref": reference}));
                None
            }
            Delivery::Failed { why } => Some(why.as_str()),
            Delivery::Unconfirmed => Some("It was sent, but the server confirms nothing"),
            Delivery::Withdrawn => Some("Another process took it back"),
            Delivery::SettledElsewhere => {
                Some("It is not known whether it was delivered: another process was sending it")
            }
        };
        if let Some(why) = why {
            self.put_error(Some(reference), why);
        }
        self.references.remove(&number);
    }

    /// Writes an event that is a frame of its own, or the answer to one.
    #[deny(clippy::wildcard_enum_match_arm)]
    pub(super) fn put_event(&mut self, event: &Event) {
        match event {
            Event::Entered(entered) => self.put_value(&json!({
                "type": "welcome",
                "user": entered.user.map(|user| user.to_string()),
                "nickname": entered.nickname.as_str(),
                "server": entered.server.as_ref().map(Line::as_str),
            })),
            Event::Room(start) => self.put(&ServerFrame::Rooms(vec![(**start).clone()])),
            Event::RoomInfo { room, info } => self.put(&ServerFrame::Room {
                room: *room,
                info: info.clone(),
            }),
            Event::RoomLeft { room, by } => self.put(&ServerFrame::RoomLeft {
                room: *room,
                by: by.clone(),
            }),
            Event::ReadState { room, read } => self.put(&ServerFrame::Read {
                room: *room,
                marker: read.marker,
                preferences: read.preferences,
            }),
            Event::Members { room, members } => self.put(&ServerFrame::Members(MembersPage {
                room: *room,
                version: 0,
                start: true,
                more: false,
                rules: None,
                members: members.clone(),
            })),
            Event::Joined { room, member } => {
                let who = (member.user, &member.nickname);
                self.put_presence(*room, who, member.since, Change::Joined);
            }
            Event::Left {
                room,
                user,
                nickname,
                time,
                reason,
            } => self.put_presence(*room, (*user, nickname), *time, Change::Left(*reason)),
            Event::Renamed {
                room,
                user,
                was,
                nickname,
                time,
            } => {
                let was = was.clone();
                self.put_presence(*room, (*user, nickname), *time, Change::Renamed { was });
            }
            Event::NicknameRefused { why, .. } => self.put_error(None, why.as_str()),
            Event::Admin { .. }
            | Event::RoomList { .. }
            | Event::PeopleList { .. }
            | Event::Inbox { .. }
            | Event::Found { .. }
            | Event::Page { .. } => self.put_answer(event),
            // Entries are written where they are counted, and what has changed a role, a rule or an
            // older entry is one; the rest is for people.
            Event::Message(_)
            | Event::Outbox(_)
            | Event::Ignored(_)
            | Event::Changed { .. }
            | Event::Promoted { .. }
            | Event::Rules { .. }
            | Event::Connection(_)
            | Event::Security(_)
            | Event::Unanswered(_)
            | Event::Notice(_)
            | Event::Distrusted(_)
            | Event::Ended(_) => {}
        }
    }

    fn put_presence(
        &mut self,
        room: RoomId,
        (user, nickname): (UserId, &Nickname),
        time: Timestamp,
        change: Change,
    ) {
        let members = self.known_room(room).map(|room| &room.members);
        let member = members.and_then(|members| members.get(&user));
        self.put(&ServerFrame::Presence(Presence {
            room,
            version: 0,
            user,
            nickname: nickname.clone(),
            role: member.map_or(Role::Member, |member| member.role),
            time,
            change,
        }));
    }

    /// Writes the answer to an object, if it is one.
    fn put_answer(&mut self, event: &Event) {
        let (reference, answer) = match event {
            Event::Admin { request, answer } => (
                self.object_asked(*request),
                answer.as_ref().map(Answer::Result),
            ),
            Event::RoomList { request, rooms } => (
                self.object_asked(*request),
                rooms.as_ref().map(Answer::Rooms),
            ),
            Event::PeopleList { request, people } => (
                self.object_asked(*request),
                people.as_ref().map(Answer::People),
            ),
            Event::Inbox { request, inbox } => (
                self.object_asked(*request),
                inbox.as_ref().map(Answer::Inbox),
            ),
            Event::Found {
                search,
                room,
                found,
            } => (
                self.object_asked(*search),
                found.as_ref().map(|page| Answer::Found(*room, page)),
            ),
            Event::Page { room, part, page } => {
                let is_it = |asked: &AskedPage| asked.room == *room && asked.part == *part;
                let at = self.asked_pages.iter().position(is_it);
                let asked = at.and_then(|at| self.asked_pages.remove(at));
                (
                    asked.map(|asked| Reference(asked.reference)),
                    page.as_ref().map(|page| Answer::Page(*room, page)),
                )
            }
            _ => return,
        };
        let Some(Reference(reference)) = reference else {
            return;
        };
        match answer {
            Ok(answer) => self.put(&answer.frame(reference)),
            Err(why) => self.refuse_object(reference, why.as_str()),
        }
    }

    /// The `ref` of the object that asked for this, if one did.
    fn object_asked(&mut self, request: u64) -> Option<Reference> {
        match self.answer(request) {
            Some(Asked::Object(reference)) => Some(Reference(reference)),
            _ => None,
        }
    }
}

/// What answers an object.
enum Answer<'a> {
    Result(&'a AdminResult),
    Rooms(&'a ListedPage<ListedRoom>),
    People(&'a ListedPage<ListedPerson>),
    Inbox(&'a InboxEntries),
    Found(RoomId, &'a SearchPage),
    Page(RoomId, &'a Page),
}

impl Answer<'_> {
    fn frame(self, reference: Option<u64>) -> ServerFrame {
        match self {
            Self::Result(result) => ServerFrame::Result(AdminResult {
                reference,
                ..result.clone()
            }),
            Self::Rooms(page) => ServerFrame::RoomList(listed(page, reference)),
            Self::People(page) => ServerFrame::PeopleList(listed(page, reference)),
            Self::Inbox(page) => ServerFrame::Inbox(InboxPage {
                entries: page.entries.clone(),
                next: page.next,
                reference,
            }),
            Self::Found(room, page) => ServerFrame::Found(FoundPage {
                head: PageHead {
                    room,
                    extent: Extent::new(page.first, page.to),
                    from: page.from,
                    to: page.to,
                    reference,
                },
                indexed: page.indexed.unwrap_or(page.to),
                entries: page.entries.clone(),
            }),
            Self::Page(room, page) => ServerFrame::History(HistoryPage {
                head: PageHead {
                    room,
                    extent: page.extent,
                    from: page.from,
                    to: page.to,
                    reference,
                },
                entries: page.entries.clone(),
            }),
        }
    }
}

fn listed<T: Clone>(page: &ListedPage<T>, reference: Option<u64>) -> ListPage<T> {
    ListPage {
        list: page.list.clone(),
        more: page.more,
        reference,
    }
}
