//! Serves the user's requests for pages and searches: from the disk if it has the page, otherwise
//! from the server, and from the disk as well as possible while there is no server.
//!
//! Requests are handled one at a time, in order, so that neither disk nor server ever has more than
//! one; every request is answered, at the latest before the session's end.

use std::{collections::VecDeque, time::Duration};

use super::{
    Event, Session,
    connection_state::{ConnectionState, Mode},
    persist_types::{CacheQuery, CacheQueryId, MessageRange},
    user_text::ProtocolFault,
};
use crate::{
    client::event::{Page, SearchPage},
    protocol::{
        ClientFrame, Epoch, RoomName,
        frame::{
            ErrorCode, ErrorFrame, FoundPage, HistoryPage, HistoryRequest, PageHead, Part,
            SearchRequest,
        },
    },
    search::Query,
    text::Line,
    time::Now,
};

/// Requests that may wait; one more is refused.
pub(super) const REQUESTS_MAX: usize = 32;
/// How long the server may take to answer one.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// The longest wait that a server can ask for before a request is given up.
const HOLD_MAX: Duration = Duration::from_secs(5);
/// The longest that a server can delay all of them.
const WAIT_MAX: Duration = Duration::from_mins(1);
/// How often a server may ask for a wait.
const HOLDS_MAX: u32 = 3;

/// The kind of request.
#[derive(Clone, Debug)]
enum RequestKind {
    Page {
        part: Part,
    },
    Search {
        search: u64,
        query: Query,
        to: Option<u64>,
    },
}

/// A request and its progress.
#[derive(Debug)]
struct Request {
    room: RoomName,
    kind: RequestKind,
    stage: RequestStage,
    holds: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestStage {
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

/// The queue of requests; see the module's docs.
#[derive(Debug, Default)]
pub(super) struct Requests {
    waiting: VecDeque<Request>,
    /// Nothing is sent to the server before then, by the server's demand, with its reason.
    not_before: Option<(Duration, Line)>,
}

impl Requests {
    /// Queues a request; returns the event that refuses it if too many wait.
    fn push(&mut self, room: RoomName, kind: RequestKind) -> Option<Event> {
        let ask = Request {
            room,
            kind,
            stage: RequestStage::New,
            holds: 0,
        };
        if self.waiting.len() < REQUESTS_MAX {
            self.waiting.push_back(ask);
            return None;
        }
        let why = "Too many requests at once: try again in a moment";
        Some(ask.refused(Line::inert(why)))
    }

    /// When the current request changes its state by itself.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match self.waiting.front()?.stage {
            RequestStage::Sent { until, .. } | RequestStage::Held { until } => Some(until),
            _ => None,
        }
    }

    /// Number of requests that the server has to answer.
    pub(super) fn unanswered(&self) -> usize {
        let sent = |ask: &Request| matches!(ask.stage, RequestStage::Sent { .. });
        usize::from(self.waiting.front().is_some_and(sent))
    }

    /// The connection has closed: the disk must answer.
    pub(super) fn close(&mut self) {
        self.not_before = None;
        if let Some(ask) = self.waiting.front_mut()
            && matches!(
                ask.stage,
                RequestStage::Send | RequestStage::Sent { .. } | RequestStage::Held { .. }
            )
        {
            ask.stage = RequestStage::QueryDue { offline: true };
        }
    }

    /// The request that waits for the server's answer with this reference.
    fn sent(&mut self, reference: Option<u64>) -> Option<&mut Request> {
        let reference = reference?;
        self.waiting.front_mut().filter(
            |ask| matches!(ask.stage, RequestStage::Sent { reference: r, .. } if r == reference),
        )
    }
}

impl Request {
    fn refused(self, why: Line) -> Event {
        let room = self.room;
        match self.kind {
            RequestKind::Page { part } => Event::Page {
                room,
                part,
                page: Err(why),
            },
            RequestKind::Search { search, .. } => Event::Found {
                search,
                room,
                found: Err(why),
            },
        }
    }

    fn cache_query(&self, epoch: Option<Epoch>, offline: bool) -> CacheQuery {
        let room = self.room.clone();
        match &self.kind {
            RequestKind::Page { part } => CacheQuery::Page {
                room,
                epoch,
                part: *part,
                offline,
            },
            RequestKind::Search { query, to, .. } => CacheQuery::Search {
                room,
                epoch,
                query: query.clone(),
                to: *to,
            },
        }
    }

    fn frame(&self, reference: u64) -> ClientFrame {
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
        }
    }
}

impl Session {
    pub(super) fn request_page(&mut self, room: RoomName, part: Part) {
        let refused = self.requests.push(room, RequestKind::Page { part });
        self.events.extend(refused);
        self.next_ask();
    }

    pub(super) fn request_search(
        &mut self,
        search: u64,
        room: RoomName,
        query: Query,
        to: Option<u64>,
    ) {
        let refused = self
            .requests
            .push(room, RequestKind::Search { search, query, to });
        self.events.extend(refused);
        self.next_ask();
    }

    /// Whether there is a server to ask now.
    fn can_ask(&self) -> bool {
        self.mode() == Some(Mode::Online) && !self.is_leaving()
    }

    fn mode(&self) -> Option<Mode> {
        match &self.state {
            ConnectionState::Live(live) => Some(live.mode),
            _ => None,
        }
    }

    /// Starts the next request, if none is current.
    fn next_ask(&mut self) {
        // A server that has said nothing yet may still turn out to keep history.
        let legacy = matches!(&self.state, ConnectionState::Live(live) if live.mode == Mode::Legacy && live.spoke);
        let online = self.can_ask();
        let is_new = |ask: &Request| ask.stage == RequestStage::New;
        while legacy && let Some(ask) = self.requests.waiting.pop_front_if(|ask| is_new(ask)) {
            let why = "This older server keeps no history";
            self.events.push_back(ask.refused(Line::inert(why)));
        }
        let Some(ask) = self.requests.waiting.front_mut().filter(|ask| is_new(ask)) else {
            return;
        };
        // The server knows best which entry belongs to a time, and what a search finds.
        let by_number =
            matches!(&ask.kind, RequestKind::Page { part } if !matches!(part, Part::Since(_)));
        ask.stage = match online {
            true if by_number => RequestStage::QueryDue { offline: false },
            true => RequestStage::Send,
            false => RequestStage::QueryDue { offline: true },
        };
    }

    fn answer(&mut self, event: impl FnOnce(Request) -> Event) {
        if let Some(ask) = self.requests.waiting.pop_front() {
            self.events.push_back(event(ask));
        }
        self.next_ask();
    }

    /// Refuses all requests, since no event follows the session's end.
    pub(super) fn refuse_requests(&mut self) {
        for ask in std::mem::take(&mut self.requests).waiting {
            let why = Line::inert("The session has ended");
            self.events.push_back(ask.refused(why));
        }
    }

    fn answer_page(&mut self, page: Result<Page, Line>) {
        self.answer(|ask| match ask.kind {
            RequestKind::Page { part } => Event::Page {
                room: ask.room,
                part,
                page,
            },
            RequestKind::Search { .. } => {
                ask.refused(Line::inert("The answer belongs to another request"))
            }
        });
    }

    fn answer_search(&mut self, found: Result<SearchPage, Line>) {
        self.answer(|ask| match ask.kind {
            RequestKind::Search { search, .. } => Event::Found {
                search,
                room: ask.room,
                found,
            },
            RequestKind::Page { .. } => {
                ask.refused(Line::inert("The answer belongs to another request"))
            }
        });
    }

    /// The next query for the disk, if any; its result is to come with this id.
    pub(super) fn poll_request_query(&mut self, query: CacheQueryId) -> Option<CacheQuery> {
        let ask = self.requests.waiting.front_mut()?;
        let RequestStage::QueryDue { offline } = ask.stage else {
            return None;
        };
        ask.stage = RequestStage::Querying { offline, query };
        Some(ask.cache_query(self.rooms.epoch(), offline))
    }

    /// The next request frame for the server, if any.
    pub(super) fn poll_request_frame(&mut self, now: Now) -> Option<ClientFrame> {
        let not_before = self.requests.not_before.as_ref().map(|(until, _)| *until);
        let ask = self.requests.waiting.front_mut()?;
        if ask.stage != RequestStage::Send {
            return None;
        }
        if let Some(until) = not_before.filter(|until| *until > now.mono) {
            // The server would refuse it like the one before. If the wait is too long, it is
            // refused at once.
            let is_long = until > now.mono + HOLD_MAX;
            let until = if is_long { now.mono } else { until };
            ask.stage = RequestStage::Held { until };
            return None;
        }
        self.references += 1;
        ask.stage = RequestStage::Sent {
            reference: self.references,
            until: now.mono + ANSWER_WITHIN,
        };
        Some(ask.frame(self.references))
    }

    /// Handles the disk's answer to a page.
    pub(super) fn cached_page(&mut self, id: CacheQueryId, page: Result<Option<Page>, Line>) {
        let online = self.can_ask();
        let Some(ask) = self.requests.waiting.front_mut() else {
            return;
        };
        let (RequestStage::Querying { offline, query }, RequestKind::Page { part }) =
            (ask.stage, &ask.kind)
        else {
            return;
        };
        if query != id {
            return;
        }
        match page {
            Ok(Some(page)) => self.answer_page(Ok(Page { offline, ..page })),
            _ if !offline && online => ask.stage = RequestStage::Send,
            _ if !offline => ask.stage = RequestStage::QueryDue { offline: true },
            Ok(None) => {
                let page = self.rooms.nothing(&ask.room, *part);
                let why = "Nothing of this room is stored here: try again once you are \
                connected";
                self.answer_page(page.ok_or(Line::inert(why)));
            }
            Err(why) => self.answer_page(Err(why)),
        }
    }

    /// Handles the disk's answer to a search.
    pub(super) fn cached_search(&mut self, id: CacheQueryId, found: Result<SearchPage, Line>) {
        let looking = |ask: &Request| matches!(ask.stage, RequestStage::Querying { query, .. } if query == id);
        if self.requests.waiting.front().is_some_and(looking) {
            self.answer_search(found);
        }
    }

    pub(super) fn history(&mut self, page: HistoryPage) -> Result<(), ProtocolFault> {
        let HistoryPage { head, messages } = page;
        let Some(ask) = self.requests.sent(head.reference) else {
            // The answer to an abandoned request.
            return Ok(());
        };
        let due = (head.from..=head.to).eq(messages.iter().map(|message| message.seq));
        if !due || ask.room != head.room || !matches!(ask.kind, RequestKind::Page { .. }) {
            return Err(ProtocolFault::new(
                "a page of history with gaps, or of another room",
            ));
        }
        if let Some(epoch) = self.rooms.epoch() {
            self.write_buffer.page(MessageRange {
                room: head.room.clone(),
                epoch,
                messages: messages.clone(),
            });
        }
        self.rooms.extent(&head);
        self.answer_page(Ok(Page {
            first: head.first,
            head: head.head,
            from: head.from,
            to: head.to,
            messages,
            offline: false,
        }));
        Ok(())
    }

    pub(super) fn found(&mut self, page: FoundPage) -> Result<(), ProtocolFault> {
        let FoundPage {
            head,
            indexed,
            messages,
        } = page;
        let Some(ask) = self.requests.sent(head.reference) else {
            return Ok(());
        };
        if ask.room != head.room || !matches!(ask.kind, RequestKind::Search { .. }) {
            return Err(ProtocolFault::new("an answer to another search"));
        }
        self.rooms.extent(&head);
        let PageHead {
            first, from, to, ..
        } = head;
        self.answer_search(Ok(SearchPage {
            first,
            from,
            to,
            messages,
            indexed: (indexed < head.head).then_some(indexed),
            offline: false,
        }));
        Ok(())
    }

    /// Handles an error if it answers the current request; returns any other.
    pub(super) fn request_refused(&mut self, now: Now, error: ErrorFrame) -> Option<ErrorFrame> {
        // A server that does not know the type does not echo the reference.
        let unknown = error.code == ErrorCode::UnknownType && error.reference.is_none();
        let sent = |ask: &Request| {
            matches!(ask.stage, RequestStage::Sent { reference, .. }
            if unknown || error.reference == Some(reference))
        };
        let Some(ask) = self.requests.waiting.front_mut().filter(|ask| sent(ask)) else {
            return Some(error);
        };
        let wait = error.retry_after_ms.map(Duration::from_millis);
        if let Some(wait) = wait {
            let until = now.mono + wait.min(WAIT_MAX);
            self.requests.not_before = Some((until, error.message.clone()));
        }
        match wait.filter(|wait| *wait <= HOLD_MAX && ask.holds < HOLDS_MAX) {
            Some(wait) => {
                ask.holds += 1;
                ask.stage = RequestStage::Held {
                    until: now.mono + wait,
                };
            }
            None => self.answer(|ask| ask.refused(error.message)),
        }
        None
    }

    /// Handles the current request's deadline, if it has passed.
    pub(super) fn requests_time(&mut self, now: Now) {
        if self.requests.deadline().is_none_or(|at| now.mono < at) {
            return;
        }
        let online = self.can_ask();
        let refused = self.requests.not_before.as_ref();
        let refused = refused.filter(|(until, _)| *until > now.mono + HOLD_MAX);
        if let Some(ask) = self.requests.waiting.front_mut() {
            ask.stage = match ask.stage {
                RequestStage::Held { .. } if let Some((_, why)) = refused.filter(|_| online) => {
                    let why = why.clone();
                    return self.answer(|ask| ask.refused(why));
                }
                RequestStage::Held { .. } if online => RequestStage::Send,
                _ => RequestStage::QueryDue { offline: true },
            };
        }
    }
}
