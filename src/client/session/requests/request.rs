//! One request: its content, its progress, and what it becomes: a query for the disk, a frame for the
//! server, an event for the user.

use std::{mem::discriminant, time::Duration};

use crate::{
    client::{
        event::{Event, InboxEntries, ListedPage, Page, SearchPage},
        session::persist_types::{CacheQuery, CacheQueryId},
    },
    protocol::{
        ClientFrame, Epoch, RoomId, UserId,
        frame::{ChangesRequest, HistoryRequest, ListRequest, Part, SearchRequest},
        room::{ListedPerson, ListedRoom},
    },
    search::Query,
    text::Line,
};

/// The kind of request, with its content.
#[derive(Clone, Debug)]
pub(in crate::client::session) enum RequestKind {
    Page {
        room: RoomId,
        part: Part,
    },
    Search {
        search: u64,
        room: RoomId,
        query: Query,
        to: Option<u64>,
    },
    Rooms {
        request: u64,
        query: Line,
        after: Option<RoomId>,
    },
    People {
        request: u64,
        room: Option<RoomId>,
        query: Line,
        after: Option<UserId>,
    },
    Inbox {
        request: u64,
        before: Option<u64>,
    },
    /// Not the user's request: nothing answers it but its effect.
    Changes {
        room: RoomId,
        wanted: WantedChanges,
    },
}

impl RequestKind {
    /// The room that it is about.
    pub(in crate::client::session) fn room(&self) -> Option<RoomId> {
        match self {
            Self::Page { room, .. } | Self::Search { room, .. } | Self::Changes { room, .. } => {
                Some(*room)
            }
            Self::People { room, .. } => *room,
            Self::Rooms { .. } | Self::Inbox { .. } => None,
        }
    }

    /// Whether the disk may have the answer.
    pub(super) fn may_be_stored(&self) -> bool {
        match self {
            Self::Page { .. } | Self::Search { .. } => true,
            Self::Rooms { .. }
            | Self::People { .. }
            | Self::Inbox { .. }
            | Self::Changes { .. } => false,
        }
    }

    /// Whether a newer request of its room and kind makes it obsolete.
    pub(super) fn is_replaced(&self) -> bool {
        match self {
            Self::Search { .. } | Self::Rooms { .. } | Self::People { .. } => true,
            Self::Page { .. } | Self::Inbox { .. } | Self::Changes { .. } => false,
        }
    }
}

/// The changes to ask for next, after a gap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::client::session) struct WantedChanges {
    /// All entries held stand at least as when the log ended here.
    pub(in crate::client::session) folded: u64,
    /// Changes by entries up to this number are known.
    pub(in crate::client::session) since: u64,
    /// The highest number of an entry that may be held.
    pub(in crate::client::session) to: u64,
    /// Whether only erased entries are wanted; all others follow.
    pub(in crate::client::session) erased: bool,
}

impl WantedChanges {
    /// The next page of them.
    pub(in crate::client::session) fn after(self, since: u64) -> Self {
        Self { since, ..self }
    }

    /// All changes, after the erased entries.
    pub(in crate::client::session) fn of_all(self) -> Self {
        Self {
            since: self.folded,
            erased: false,
            ..self
        }
    }
}

/// The content of an answer, or one plain sentence why there is none.
#[derive(Debug)]
pub(super) enum Answer {
    Page(Result<Page, Line>),
    Search(Result<SearchPage, Line>),
    Rooms(ListedPage<ListedRoom>),
    People(ListedPage<ListedPerson>),
    Inbox(InboxEntries),
}

/// A request and its progress.
#[derive(Debug)]
pub(in crate::client::session) struct Request {
    pub(in crate::client::session) kind: RequestKind,
    pub(super) stage: RequestStage,
    /// How often the server asked for a wait.
    pub(super) holds: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RequestStage {
    /// Not started.
    New,
    /// To be asked of the disk; `offline`: there is no server to ask.
    QueryDue { offline: bool },
    /// Asked of the disk.
    Querying { offline: bool, query: CacheQueryId },
    /// To be sent to the server.
    Send,
    /// Sent to the server.
    Sent { reference: u64, until: Duration },
    /// Delayed at the server's request.
    Held { until: Duration },
}

impl RequestStage {
    pub(super) fn is_new(self) -> bool {
        self == Self::New
    }

    /// Whether the request is with the server or on its way there.
    pub(super) fn is_for_server(self) -> bool {
        match self {
            Self::Send | Self::Sent { .. } | Self::Held { .. } => true,
            Self::New | Self::QueryDue { .. } | Self::Querying { .. } => false,
        }
    }

    /// Whether the server or the disk has to answer.
    pub(super) fn is_asked(self) -> bool {
        match self {
            Self::Sent { .. } | Self::Querying { .. } => true,
            Self::New | Self::QueryDue { .. } | Self::Send | Self::Held { .. } => false,
        }
    }

    /// When it ends by itself.
    pub(super) fn deadline(self) -> Option<Duration> {
        match self {
            Self::Sent { until, .. } | Self::Held { until } => Some(until),
            Self::New | Self::QueryDue { .. } | Self::Querying { .. } | Self::Send => None,
        }
    }

    pub(super) fn reference(self) -> Option<u64> {
        match self {
            Self::Sent { reference, .. } => Some(reference),
            _ => None,
        }
    }
}

impl Request {
    /// Whether it is the user's, who waits for an answer.
    pub(super) fn is_users(&self) -> bool {
        match self.kind {
            RequestKind::Page { .. }
            | RequestKind::Search { .. }
            | RequestKind::Rooms { .. }
            | RequestKind::People { .. }
            | RequestKind::Inbox { .. } => true,
            RequestKind::Changes { .. } => false,
        }
    }

    /// Whether it is the user's, and only the server can answer it.
    pub(super) fn needs_server(&self) -> bool {
        self.is_users() && !self.kind.may_be_stored()
    }

    /// Whether the other is of the same room and kind.
    pub(super) fn has_key_of(&self, other: &Self) -> bool {
        self.kind.room() == other.kind.room()
            && discriminant(&self.kind) == discriminant(&other.kind)
    }

    /// The stage to begin with; `online`: there is a server to ask.
    pub(super) fn first_stage(&self, online: bool) -> RequestStage {
        if !online {
            return RequestStage::QueryDue { offline: true };
        }
        match &self.kind {
            // The server knows best which entry belongs to a time, and what a search finds.
            RequestKind::Page {
                part: Part::Since(_),
                ..
            }
            | RequestKind::Search { .. }
            | RequestKind::Rooms { .. }
            | RequestKind::People { .. }
            | RequestKind::Inbox { .. }
            | RequestKind::Changes { .. } => RequestStage::Send,
            RequestKind::Page {
                part: Part::Forward { .. } | Part::Backward { .. },
                ..
            } => RequestStage::QueryDue { offline: false },
        }
    }

    /// The event that answers the request.
    pub(super) fn answered(self, answer: Answer) -> Option<Event> {
        match (&self.kind, answer) {
            (&RequestKind::Page { room, part }, Answer::Page(page)) => {
                Some(Event::Page { room, part, page })
            }
            (&RequestKind::Search { search, room, .. }, Answer::Search(found)) => {
                Some(Event::Found {
                    search,
                    room,
                    found,
                })
            }
            (&RequestKind::Rooms { request, .. }, Answer::Rooms(rooms)) => Some(Event::RoomList {
                request,
                rooms: Ok(rooms),
            }),
            (&RequestKind::People { request, .. }, Answer::People(people)) => {
                Some(Event::PeopleList {
                    request,
                    people: Ok(people),
                })
            }
            (&RequestKind::Inbox { request, .. }, Answer::Inbox(inbox)) => Some(Event::Inbox {
                request,
                inbox: Ok(inbox),
            }),
            (
                _,
                Answer::Page(_)
                | Answer::Search(_)
                | Answer::Rooms(_)
                | Answer::People(_)
                | Answer::Inbox(_),
            ) => self.refused(Line::inert("The answer belongs to another request")),
        }
    }

    /// The event that answers the request with a refusal, if it is the user's.
    pub(super) fn refused(self, why: Line) -> Option<Event> {
        match self.kind {
            RequestKind::Page { room, part } => Some(Event::Page {
                room,
                part,
                page: Err(why),
            }),
            RequestKind::Search { search, room, .. } => Some(Event::Found {
                search,
                room,
                found: Err(why),
            }),
            RequestKind::Rooms { request, .. } => Some(Event::RoomList {
                request,
                rooms: Err(why),
            }),
            RequestKind::People { request, .. } => Some(Event::PeopleList {
                request,
                people: Err(why),
            }),
            RequestKind::Inbox { request, .. } => Some(Event::Inbox {
                request,
                inbox: Err(why),
            }),
            RequestKind::Changes { .. } => None,
        }
    }

    /// The query for the disk, if that may have an answer.
    pub(super) fn cache_query(&self, epoch: Option<Epoch>, offline: bool) -> Option<CacheQuery> {
        match &self.kind {
            RequestKind::Page { room, part } => Some(CacheQuery::Page {
                room: *room,
                epoch,
                part: *part,
                offline,
            }),
            RequestKind::Search {
                room, query, to, ..
            } => Some(CacheQuery::Search {
                room: *room,
                epoch,
                query: query.clone(),
                to: *to,
            }),
            RequestKind::Rooms { .. }
            | RequestKind::People { .. }
            | RequestKind::Inbox { .. }
            | RequestKind::Changes { .. } => None,
        }
    }

    pub(super) fn frame(&self, reference: u64) -> ClientFrame {
        let reference = Some(reference);
        match &self.kind {
            RequestKind::Page { room, part } => ClientFrame::History(HistoryRequest {
                room: *room,
                part: *part,
                reference,
            }),
            RequestKind::Search {
                room, query, to, ..
            } => ClientFrame::Search(SearchRequest {
                room: *room,
                query: query.clone(),
                to: *to,
                reference,
            }),
            RequestKind::Rooms { query, after, .. } => ClientFrame::ListRooms(ListRequest {
                query: query.clone(),
                after: *after,
                reference,
            }),
            RequestKind::People {
                room, query, after, ..
            } => ClientFrame::ListPeople {
                room: *room,
                list: ListRequest {
                    query: query.clone(),
                    after: *after,
                    reference,
                },
            },
            RequestKind::Inbox { before, .. } => ClientFrame::Inbox {
                before: *before,
                reference,
            },
            RequestKind::Changes { room, wanted } => ClientFrame::Changes(ChangesRequest {
                room: *room,
                since: wanted.since,
                to: wanted.to,
                erased: wanted.erased,
                reference,
            }),
        }
    }
}
