//! Pages and searches that the user asked for: answered from the disk where it has them, by the
//! server otherwise, and by the disk again, as well as it can, where there is no server to ask.
//!
//! One at a time, in order, so that neither disk nor server is ever asked for more than one thing;
//! every one is answered.

use std::{collections::VecDeque, time::Duration};

use super::{
    Event, Session,
    connection_state::{ConnectionState, Mode},
    persist_types::{CacheQuery, MessageRange},
    user_text::ProtocolFault,
};
use crate::{
    client::event::{Page, Received, SearchPage},
    protocol::{
        ClientFrame, Epoch, RoomName,
        frame::{
            ErrorCode, ErrorFrame, FoundPage, HistoryPage, HistoryRequest, Message, PageHead, Part,
            SearchRequest,
        },
    },
    search::Query,
    text::Line,
    time::Now,
};

/// Pages and searches that may wait; one more is refused.
pub(super) const REQUESTS_MAX: usize = 32;
/// How long the server may take over one.
const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// The longest wait that a server can ask for before one is given up.
const HOLD_MAX: Duration = Duration::from_secs(5);
/// The longest that a server can keep all of them waiting.
const WAIT_MAX: Duration = Duration::from_mins(1);
/// How often a server may ask for a wait.
const HOLDS_MAX: u32 = 3;

/// What was asked for.
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

/// One request and how far it has come.
#[derive(Debug)]
struct Request {
    room: RoomName,
    kind: RequestKind,
    stage: RequestStage,
    holds: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequestStage {
    /// Nothing has been done yet.
    New,
    /// The disk is to be asked; `offline`: there is nobody else.
    QueryDue { offline: bool },
    /// The disk has been asked.
    Querying { offline: bool },
    /// The server is to be asked.
    Send,
    /// The server has been asked.
    Sent { reference: u64, until: Duration },
    /// The server wants it later.
    Held { until: Duration },
}

/// See the module's page.
#[derive(Debug, Default)]
pub(super) struct Requests {
    waiting: VecDeque<Request>,
    /// Nothing is asked of the server before then: it said so, and in which words.
    not_before: Option<(Duration, Line)>,
}

impl Requests {
    /// Takes one; gives what to say where too many wait.
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
        let why = "Too much is asked for at once: try again in a moment";
        Some(ask.refused(Line::inert(why)))
    }

    /// When the one under way changes its state by itself.
    pub(super) fn deadline(&self) -> Option<Duration> {
        match self.waiting.front()?.stage {
            RequestStage::Sent { until, .. } | RequestStage::Held { until } => Some(until),
            _ => None,
        }
    }

    /// How many the server has to answer.
    pub(super) fn unanswered(&self) -> usize {
        let sent = |ask: &Request| matches!(ask.stage, RequestStage::Sent { .. });
        usize::from(self.waiting.front().is_some_and(sent))
    }

    /// The connection is gone: the disk has to do.
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

    /// The one that waits for the server's answer under this reference.
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

    /// Whether there is a server that can be asked now.
    fn can_ask(&self) -> bool {
        self.mode() == Some(Mode::Online) && !self.is_leaving()
    }

    fn mode(&self) -> Option<Mode> {
        match &self.state {
            ConnectionState::Live(live) => Some(live.mode),
            _ => None,
        }
    }

    /// Begins with the next one, if none is under way.
    fn next_ask(&mut self) {
        // What has not said anything may be a server yet that keeps history.
        let basic = matches!(&self.state, ConnectionState::Live(live) if live.mode == Mode::Basic && live.spoke);
        let online = self.can_ask();
        let is_new = |ask: &Request| ask.stage == RequestStage::New;
        while basic && let Some(ask) = self.requests.waiting.pop_front_if(|ask| is_new(ask)) {
            let why = "This older server keeps no history";
            self.events.push_back(ask.refused(Line::inert(why)));
        }
        let Some(ask) = self.requests.waiting.front_mut().filter(|ask| is_new(ask)) else {
            return;
        };
        // Where a time stands in the log, and what is to be found there, the server knows best.
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

    fn answer_page(&mut self, page: Result<Page, Line>) {
        self.answer(|ask| match ask.kind {
            RequestKind::Page { part } => Event::Page {
                room: ask.room,
                part,
                page,
            },
            RequestKind::Search { .. } => {
                ask.refused(Line::inert("The answer is to another question"))
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
                ask.refused(Line::inert("The answer is to another question"))
            }
        });
    }

    /// What to ask the disk, if it is its turn.
    pub(super) fn poll_request_query(&mut self) -> Option<CacheQuery> {
        let ask = self.requests.waiting.front_mut()?;
        let RequestStage::QueryDue { offline } = ask.stage else {
            return None;
        };
        ask.stage = RequestStage::Querying { offline };
        Some(ask.cache_query(self.rooms.epoch(), offline))
    }

    /// The frame to ask the server with, if it is its turn.
    pub(super) fn poll_request_frame(&mut self, now: Now) -> Option<ClientFrame> {
        let not_before = self.requests.not_before.as_ref().map(|(until, _)| *until);
        let ask = self.requests.waiting.front_mut()?;
        if ask.stage != RequestStage::Send {
            return None;
        }
        if let Some(until) = not_before.filter(|until| *until > now.mono) {
            // It would be refused like the one before it. Where that takes too long, it is told so at
            // once.
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

    /// What the disk has of a page.
    pub(super) fn cached_page(&mut self, page: Result<Option<Page>, Line>) {
        let online = self.can_ask();
        let Some(ask) = self.requests.waiting.front_mut() else {
            return;
        };
        let (RequestStage::Querying { offline }, RequestKind::Page { part }) =
            (ask.stage, &ask.kind)
        else {
            return;
        };
        match page {
            Ok(Some(page)) => self.answer_page(Ok(Page { offline, ..page })),
            _ if !offline && online => ask.stage = RequestStage::Send,
            _ if !offline => ask.stage = RequestStage::QueryDue { offline: true },
            Ok(None) => {
                let page = self.rooms.nothing(&ask.room, *part);
                let why = "Nothing is known of this room before the server is reached";
                self.answer_page(page.ok_or(Line::inert(why)));
            }
            Err(why) => self.answer_page(Err(why)),
        }
    }

    /// What the disk found.
    pub(super) fn cached_search(&mut self, found: Result<SearchPage, Line>) {
        let looking = |ask: &Request| matches!(ask.stage, RequestStage::Querying { .. });
        if self.requests.waiting.front().is_some_and(looking) {
            self.answer_search(found);
        }
    }

    pub(super) fn history(&mut self, page: HistoryPage) -> Result<(), ProtocolFault> {
        let HistoryPage { head, messages } = page;
        let Some(ask) = self.requests.sent(head.reference) else {
            // To a question that was given up.
            return Ok(());
        };
        let due = (head.from..=head.to).eq(messages.iter().map(|message| message.seq));
        if !due || ask.room != head.room || !matches!(ask.kind, RequestKind::Page { .. }) {
            return Err(ProtocolFault::new(
                "a page of history with holes, or of another room",
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
            messages: messages.into_iter().map(received).collect(),
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
            messages: messages.into_iter().map(received).collect(),
            indexed: (indexed < head.head).then_some(indexed),
            offline: false,
        }));
        Ok(())
    }

    /// Takes an error that is the answer to the one under way; gives back any other.
    pub(super) fn request_refused(&mut self, now: Now, error: ErrorFrame) -> Option<ErrorFrame> {
        // A server that does not know the type has not read the reference either.
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

    /// The time of the one under way may be up.
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

/// A message of a page.
fn received(message: Message) -> Received {
    Received {
        room: message.room,
        seq: Some(message.seq),
        id: Some(message.id),
        user: Some(message.user),
        nickname: message.nickname,
        time: message.time,
        clock_was: message.clock_was,
        unproven: message.unproven,
        body: message.body,
        local: None,
    }
}
