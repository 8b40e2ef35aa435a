//! The queue of requests: their order, their progress, and the limits on what is in flight.
//!
//! Pure bookkeeping: it decides which request is next, and its caller carries it out.

use std::{
    collections::VecDeque,
    mem::{discriminant, take},
    time::Duration,
};

use crate::{
    client::{
        event::{Event, Page, SearchPage},
        session::persist_types::{CACHE_QUERIES_MAX, CacheQuery, CacheQueryId},
    },
    protocol::{
        ClientFrame, Epoch, RoomName,
        frame::{ChangesRequest, HistoryRequest, Part, SearchRequest},
    },
    search::Query,
    text::Line,
};

/// The user's requests without an answer; one more is refused.
pub(in crate::client::session) const REQUESTS_MAX: usize = 32;
/// Requests that the server may have to answer at once.
pub(in crate::client::session) const IN_FLIGHT_MAX: usize = 8;
/// Requests that the disk may have to answer at once; the lease's query comes on top.
const QUERIES_MAX: usize = CACHE_QUERIES_MAX - 1;

/// The kind of request, with its content.
#[derive(Clone, Debug)]
pub(in crate::client::session) enum RequestKind {
    Page {
        part: Part,
    },
    Search {
        search: u64,
        query: Query,
        to: Option<u64>,
    },
    /// Not the user's request: nothing answers it but its effect.
    Changes(WantedChanges),
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
}

/// A request and its progress.
#[derive(Debug)]
pub(in crate::client::session) struct Request {
    pub(in crate::client::session) room: RoomName,
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

/// A time before which the server wants no request, and its reason.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) until: Duration,
    pub(super) why: Line,
}

/// The queue of requests; see the module's docs.
///
/// A request's key is its room and kind. The requests of one key are handled one after the other,
/// in order; those of different keys at the same time.
#[derive(Debug, Default)]
pub(in crate::client::session) struct Requests {
    /// All requests without an answer, oldest first.
    waiting: VecDeque<Request>,
    /// The server's last demand for a wait.
    pub(super) hold: Option<Hold>,
    /// The server has asked for a wait: requests are sent one at a time until none is left for it,
    /// since it would refuse most of those that are sent together.
    one_at_a_time: bool,
}

impl RequestStage {
    fn is_new(self) -> bool {
        self == Self::New
    }

    /// Whether the request is with the server or on its way there.
    fn is_for_server(self) -> bool {
        match self {
            Self::Send | Self::Sent { .. } | Self::Held { .. } => true,
            Self::New | Self::QueryDue { .. } | Self::Querying { .. } => false,
        }
    }

    /// Whether the server or the disk has to answer.
    fn is_asked(self) -> bool {
        match self {
            Self::Sent { .. } | Self::Querying { .. } => true,
            Self::New | Self::QueryDue { .. } | Self::Send | Self::Held { .. } => false,
        }
    }

    /// When it ends by itself.
    fn deadline(self) -> Option<Duration> {
        match self {
            Self::Sent { until, .. } | Self::Held { until } => Some(until),
            Self::New | Self::QueryDue { .. } | Self::Querying { .. } | Self::Send => None,
        }
    }

    fn reference(self) -> Option<u64> {
        match self {
            Self::Sent { reference, .. } => Some(reference),
            _ => None,
        }
    }
}

impl Requests {
    /// Queues a request; returns the answers to those that this refuses: older searches of the
    /// same room that were not asked yet, and the request itself if too many wait.
    pub(super) fn push(&mut self, room: RoomName, kind: RequestKind) -> Vec<Event> {
        let request = Request {
            room,
            kind,
            stage: RequestStage::New,
            holds: 0,
        };
        let mut refused: Vec<Event> = Vec::new();
        if matches!(request.kind, RequestKind::Search { .. }) {
            for older in take(&mut self.waiting) {
                if older.has_key_of(&request) && !older.stage.is_asked() {
                    let why = "A newer search has replaced it";
                    refused.extend(older.refused(Line::inert(why)));
                } else {
                    self.waiting.push_back(older);
                }
            }
        }
        let users = self.waiting.iter().filter(|other| other.is_users());
        if users.count() < REQUESTS_MAX {
            self.waiting.push_back(request);
        } else {
            let why = "Too many requests at once: try again in a moment";
            refused.extend(request.refused(Line::inert(why)));
        }
        refused
    }

    /// Queues a request for the changes of a room, on a new connection.
    pub(in crate::client::session) fn push_changes(
        &mut self,
        room: RoomName,
        wanted: WantedChanges,
    ) {
        self.waiting.push_back(Request {
            room,
            kind: RequestKind::Changes(wanted),
            stage: RequestStage::New,
            holds: 0,
        });
    }

    /// Makes an answered request for changes ask for the next ones.
    pub(in crate::client::session) fn ask_again(&mut self, at: usize, wanted: WantedChanges) {
        if let Some(request) = self.waiting.get_mut(at) {
            request.kind = RequestKind::Changes(wanted);
            request.stage = RequestStage::Send;
        }
    }

    /// The first request that is new and the oldest of its key.
    pub(super) fn startable(&self) -> Option<usize> {
        let requests = self.waiting.iter().enumerate();
        let mut new = requests.filter(|(_, request)| request.stage.is_new());
        let found = new.find(|(at, request)| {
            let mut older = self.waiting.iter().take(*at);
            !older.any(|older| older.has_key_of(request))
        });
        found.map(|(at, _)| at)
    }

    /// The request that the disk was asked for by this query, and whether there was no server to
    /// ask.
    pub(super) fn queried(&self, id: CacheQueryId) -> Option<(usize, bool)> {
        let mut requests = self.waiting.iter().enumerate();
        requests.find_map(|(at, request)| match request.stage {
            RequestStage::Querying { offline, query } if query == id => Some((at, offline)),
            _ => None,
        })
    }

    /// The request that was sent to the server with this reference.
    pub(in crate::client::session) fn sent(
        &self,
        reference: Option<u64>,
    ) -> Option<(usize, &Request)> {
        let mut requests = self.waiting.iter().enumerate();
        requests.find(|(_, request)| reference.is_some() && request.stage.reference() == reference)
    }

    /// The reference of the request that was sent first.
    pub(super) fn first_reference(&self) -> Option<u64> {
        let requests = self.waiting.iter();
        requests
            .filter_map(|request| request.stage.reference())
            .min()
    }

    pub(super) fn get_mut(&mut self, at: usize) -> Option<&mut Request> {
        self.waiting.get_mut(at)
    }

    /// Removes a request, which is to be answered now.
    pub(in crate::client::session) fn take(&mut self, at: usize) -> Option<Request> {
        let request = self.waiting.remove(at);
        self.one_at_a_time &= self.waiting.iter().any(|other| other.stage.is_for_server());
        request
    }

    /// Removes all requests, which are to be answered now.
    pub(super) fn take_all(&mut self) -> VecDeque<Request> {
        take(self).waiting
    }

    /// The next request for the disk, if it may be asked for one more.
    pub(super) fn next_query(&mut self) -> Option<(&mut Request, bool)> {
        let querying = |request: &&Request| matches!(request.stage, RequestStage::Querying { .. });
        if self.waiting.iter().filter(querying).count() >= QUERIES_MAX {
            return None;
        }
        let mut requests = self.waiting.iter_mut();
        requests.find_map(|request| match request.stage {
            RequestStage::QueryDue { offline } => Some((request, offline)),
            _ => None,
        })
    }

    /// The next request to send, if the server may be asked for one more.
    pub(super) fn next_to_send(&mut self) -> Option<&mut Request> {
        let most = if self.one_at_a_time { 1 } else { IN_FLIGHT_MAX };
        if self.unanswered() >= most {
            return None;
        }
        let mut requests = self.waiting.iter_mut();
        requests.find(|request| request.stage == RequestStage::Send)
    }

    /// Delays what is to be sent, for the users' own requests to an earlier time at which they are
    /// refused.
    pub(super) fn hold_back(&mut self, until: Duration, users_until: Duration) {
        for request in &mut self.waiting {
            if request.stage == RequestStage::Send {
                let until = if request.is_users() {
                    users_until
                } else {
                    until
                };
                request.stage = RequestStage::Held { until };
            }
        }
    }

    /// Notes that the server wants no request before a time.
    pub(super) fn note_hold(&mut self, hold: Hold) {
        self.one_at_a_time = true;
        if self.hold.as_ref().is_none_or(|old| old.until < hold.until) {
            self.hold = Some(hold);
        }
    }

    /// Grants each sent request until then, since the server has just answered another: it answers
    /// one after the other.
    pub(in crate::client::session) fn extend(&mut self, until: Duration) {
        for request in &mut self.waiting {
            if let RequestStage::Sent { until: at, .. } = &mut request.stage {
                *at = until;
            }
        }
    }

    /// When the next request changes its state by itself.
    pub(in crate::client::session) fn deadline(&self) -> Option<Duration> {
        let requests = self.waiting.iter();
        requests
            .filter_map(|request| request.stage.deadline())
            .min()
    }

    /// A request whose deadline has passed.
    pub(super) fn overdue(&mut self, now: Duration) -> Option<(usize, &mut Request)> {
        let mut requests = self.waiting.iter_mut().enumerate();
        requests.find(|(_, request)| request.stage.deadline().is_some_and(|at| at <= now))
    }

    /// Number of requests that the server has to answer.
    pub(in crate::client::session) fn unanswered(&self) -> usize {
        let sent = |request: &&Request| request.stage.reference().is_some();
        self.waiting.iter().filter(sent).count()
    }

    /// The connection has closed: the disk must answer. The next welcome tells which changes to ask
    /// for.
    pub(in crate::client::session) fn close(&mut self) {
        self.waiting.retain(Request::is_users);
        self.hold = None;
        self.one_at_a_time = false;
        for request in &mut self.waiting {
            if request.stage.is_for_server() {
                request.stage = RequestStage::QueryDue { offline: true };
            }
        }
    }
}

impl Request {
    /// Whether it is the user's, who waits for an answer.
    pub(super) fn is_users(&self) -> bool {
        match self.kind {
            RequestKind::Page { .. } | RequestKind::Search { .. } => true,
            RequestKind::Changes(_) => false,
        }
    }

    /// Whether the other is of the same room and kind.
    fn has_key_of(&self, other: &Self) -> bool {
        self.room == other.room && discriminant(&self.kind) == discriminant(&other.kind)
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
            }
            | RequestKind::Search { .. }
            | RequestKind::Changes(_) => RequestStage::Send,
            RequestKind::Page {
                part: Part::Forward { .. } | Part::Backward { .. },
            } => RequestStage::QueryDue { offline: false },
        }
    }

    /// The event that answers the request.
    pub(super) fn answered(self, answer: Answer) -> Option<Event> {
        match (&self.kind, answer) {
            (&RequestKind::Page { part }, Answer::Page(page)) => Some(Event::Page {
                room: self.room,
                part,
                page,
            }),
            (&RequestKind::Search { search, .. }, Answer::Search(found)) => Some(Event::Found {
                search,
                room: self.room,
                found,
            }),
            (_, Answer::Page(_) | Answer::Search(_)) => {
                self.refused(Line::inert("The answer belongs to another request"))
            }
        }
    }

    /// The event that answers the request with a refusal, if it is the user's.
    pub(super) fn refused(self, why: Line) -> Option<Event> {
        let room = self.room;
        match self.kind {
            RequestKind::Page { part } => Some(Event::Page {
                room,
                part,
                page: Err(why),
            }),
            RequestKind::Search { search, .. } => Some(Event::Found {
                search,
                room,
                found: Err(why),
            }),
            RequestKind::Changes(_) => None,
        }
    }

    /// The query for the disk, if that has an answer.
    pub(super) fn cache_query(&self, epoch: Option<Epoch>, offline: bool) -> Option<CacheQuery> {
        let room = self.room.clone();
        match &self.kind {
            RequestKind::Page { part } => Some(CacheQuery::Page {
                room,
                epoch,
                part: *part,
                offline,
            }),
            RequestKind::Search { query, to, .. } => Some(CacheQuery::Search {
                room,
                epoch,
                query: query.clone(),
                to: *to,
            }),
            RequestKind::Changes(_) => None,
        }
    }

    pub(super) fn frame(&self, reference: u64) -> ClientFrame {
        let room = self.room.clone();
        let reference = Some(reference);
        match &self.kind {
            RequestKind::Page { part } => ClientFrame::History(HistoryRequest {
                room,
                part: *part,
                reference,
            }),
            RequestKind::Search { query, to, .. } => ClientFrame::Search(SearchRequest {
                room,
                query: query.clone(),
                to: *to,
                reference,
            }),
            RequestKind::Changes(wanted) => ClientFrame::Changes(ChangesRequest {
                room,
                since: wanted.since,
                to: wanted.to,
                erased: wanted.erased,
                reference,
            }),
        }
    }
}
