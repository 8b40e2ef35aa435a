//! Serves the user's requests for pages, searches and lists: pages and searches from the disk if it has the page, otherwise
//! from the server, and from the disk as well as possible while there is no server. Requests for
//! changes, which are the session's own, go the same way to the server.
//!
//! Every request of the user gets exactly one answer, at the latest before [`Event::Ended`]. Requests of one
//! room and kind are handled one after the other, in order, and those of different rooms or kinds at
//! the same time: the [queue] has the limits. The server answers what it is sent in order; the disk
//! may answer in any.

mod queue;
mod request;

use std::{ops::RangeInclusive, time::Duration};

use self::{
    queue::{Hold, NOT_CONNECTED},
    request::{Answer, Request, RequestStage},
};
use super::{
    Event, Session,
    connection_state::{ConnectionState, Mode},
    persist_types::{CacheQuery, CacheQueryId, EntryRange},
    user_text::ProtocolFault,
};
use crate::{
    client::event::{InboxEntries, ListedPage, Page, SearchPage},
    protocol::{
        ClientFrame, Entry,
        frame::{ErrorCode, ErrorFrame, FoundPage, HistoryPage, InboxPage, ListPage, PageHead},
        room::{ListedPerson, ListedRoom},
    },
    text::Line,
    time::Now,
};

#[cfg(test)]
pub(super) use self::queue::{IN_FLIGHT_MAX, REQUESTS_MAX};
pub(super) use self::{
    queue::Requests,
    request::{RequestKind, WantedChanges},
};

/// How long the server may take to answer one, from when it was sent or, if that is later, from when
/// the server answered the one before.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(15);
/// The longest wait that a server can ask for before a request is given up.
const HOLD_MAX: Duration = Duration::from_secs(5);
/// The longest that a server can delay all of them.
const WAIT_MAX: Duration = Duration::from_mins(1);
/// How often a server may ask for a wait.
const HOLDS_MAX: u32 = 3;

impl Session {
    /// Takes a request of the user.
    pub(super) fn request(&mut self, kind: RequestKind) {
        let refused = self.requests.push(kind);
        self.events.extend(refused);
        self.start_requests();
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

    /// Starts the requests that wait for no other of their room and kind.
    pub(super) fn start_requests(&mut self) {
        // A server that has said nothing yet may still turn out to keep history.
        let legacy = matches!(&self.state, ConnectionState::Live(live) if live.mode == Mode::Legacy && live.spoke);
        let online = self.can_ask();
        while let Some(at) = self.requests.startable() {
            if legacy {
                let why = Line::inert("This older server keeps no history");
                let request = self.requests.take(at);
                let refused = request.and_then(|request| request.refused(why));
                self.events.extend(refused);
            } else if !online && self.requests.get_mut(at).is_some_and(|r| r.needs_server()) {
                let request = self.requests.take(at);
                let why = Line::inert(NOT_CONNECTED);
                self.events
                    .extend(request.and_then(|request| request.refused(why)));
            } else if let Some(request) = self.requests.get_mut(at) {
                request.stage = request.first_stage(online);
            }
        }
    }

    fn answer(&mut self, at: usize, answer: Answer) {
        self.finish(at, |request| request.answered(answer));
    }

    fn refuse(&mut self, at: usize, why: Line) {
        self.finish(at, |request| request.refused(why));
    }

    fn finish(&mut self, at: usize, event: impl FnOnce(Request) -> Option<Event>) {
        let request = self.requests.take(at);
        self.events.extend(request.and_then(event));
        self.start_requests();
    }

    /// Refuses all requests, since no event follows the session's end.
    pub(super) fn refuse_requests(&mut self) {
        for request in self.requests.take_all() {
            let why = Line::inert("The session has ended");
            self.events.extend(request.refused(why));
        }
    }

    /// The next query for the disk, if any; its result is to come with this id.
    pub(super) fn poll_request_query(&mut self, query: CacheQueryId) -> Option<CacheQuery> {
        let (request, offline) = self.requests.next_query()?;
        request.stage = RequestStage::Querying { offline, query };
        request.cache_query(self.rooms.epoch(), offline)
    }

    /// The next request frame for the server, if any.
    pub(super) fn poll_request_frame(&mut self, now: Now) -> Option<ClientFrame> {
        let hold = self.requests.hold.as_ref().map(|hold| hold.until);
        if let Some(until) = hold.filter(|until| *until > now.mono) {
            // The server would refuse them like the one before. If the wait is too long, they are
            // refused at once.
            let is_long = until > now.mono + HOLD_MAX;
            let users_until = if is_long { now.mono } else { until };
            self.requests.hold_back(until, users_until);
            return None;
        }
        let request = self.requests.next_to_send()?;
        self.references += 1;
        request.stage = RequestStage::Sent {
            reference: self.references,
            until: now.mono + ANSWER_WITHIN,
        };
        Some(request.frame(self.references))
    }

    /// Handles the disk's answer to a page.
    pub(super) fn cached_page(&mut self, query: CacheQueryId, page: Result<Option<Page>, Line>) {
        let online = self.can_ask();
        let Some((at, offline)) = self.requests.queried(query) else {
            return;
        };
        let Some(request) = self.requests.get_mut(at) else {
            return;
        };
        if let (Ok(Some(page)), Some(room)) = (&page, request.kind.room()) {
            let range = (page.from, page.to);
            self.reads.range(room, range, &page.entries, self.user);
        }
        let page = match page {
            Ok(Some(page)) => Ok(Page { offline, ..page }),
            _ if !offline && online => return request.stage = RequestStage::Send,
            _ if !offline => return request.stage = RequestStage::QueryDue { offline: true },
            Ok(None) => {
                let nothing = match &request.kind {
                    RequestKind::Page { room, part } => self.rooms.nothing(*room, *part),
                    RequestKind::Search { .. }
                    | RequestKind::Rooms { .. }
                    | RequestKind::People { .. }
                    | RequestKind::Inbox { .. }
                    | RequestKind::Changes { .. } => None,
                };
                let why = "Nothing of this room is stored here: try again once you are connected";
                nothing.ok_or(Line::inert(why))
            }
            Err(why) => Err(why),
        };
        self.answer(at, Answer::Page(page));
    }

    /// Handles the disk's answer to a search.
    pub(super) fn cached_search(&mut self, query: CacheQueryId, found: Result<SearchPage, Line>) {
        if let Some((at, _)) = self.requests.queried(query) {
            self.answer(at, Answer::Search(found));
        }
    }

    pub(super) fn history(&mut self, now: Now, page: HistoryPage) -> Result<(), ProtocolFault> {
        let HistoryPage { head, entries } = page;
        let Some((at, request)) = self.requests.sent(head.reference) else {
            // The answer to an abandoned request.
            return Ok(());
        };
        if !in_order(head.from..=head.to, &entries)
            || request.kind.room() != Some(head.room)
            || !matches!(request.kind, RequestKind::Page { .. })
        {
            return Err(ProtocolFault::new(
                "a page of history out of order, or of another room",
            ));
        }
        if let Some(epoch) = self.rooms.epoch() {
            self.write_buffer.page(EntryRange {
                room: head.room,
                epoch,
                from: head.from,
                to: head.to,
                entries: entries.clone(),
            });
        }
        self.rooms.extent(&head);
        self.reads.first(head.room, head.extent.first);
        let range = (head.from, head.to);
        self.reads.range(head.room, range, &entries, self.user);
        self.requests.extend(now.mono + ANSWER_WITHIN);
        let page = Page {
            extent: head.extent,
            from: head.from,
            to: head.to,
            entries,
            offline: false,
        };
        self.answer(at, Answer::Page(Ok(page)));
        Ok(())
    }

    pub(super) fn found(&mut self, now: Now, page: FoundPage) -> Result<(), ProtocolFault> {
        let FoundPage {
            head,
            indexed,
            entries,
        } = page;
        let Some((at, request)) = self.requests.sent(head.reference) else {
            return Ok(());
        };
        if request.kind.room() != Some(head.room)
            || !matches!(request.kind, RequestKind::Search { .. })
        {
            return Err(ProtocolFault::new("an answer to another search"));
        }
        self.rooms.extent(&head);
        self.reads.first(head.room, head.extent.first);
        self.requests.extend(now.mono + ANSWER_WITHIN);
        let PageHead {
            extent, from, to, ..
        } = head;
        let found = SearchPage {
            first: extent.first,
            from,
            to,
            entries,
            indexed: (indexed < extent.head).then_some(indexed),
            offline: false,
        };
        self.answer(at, Answer::Search(Ok(found)));
        Ok(())
    }

    pub(super) fn room_list(
        &mut self,
        now: Now,
        page: ListPage<ListedRoom>,
    ) -> Result<(), ProtocolFault> {
        let ListPage {
            list,
            more,
            reference,
        } = page;
        let is_wanted = |kind: &RequestKind| matches!(kind, RequestKind::Rooms { .. });
        let answer = Answer::Rooms(ListedPage { list, more });
        self.listed(now, reference, is_wanted, answer)
    }

    pub(super) fn people_list(
        &mut self,
        now: Now,
        page: ListPage<ListedPerson>,
    ) -> Result<(), ProtocolFault> {
        let ListPage {
            list,
            more,
            reference,
        } = page;
        let is_wanted = |kind: &RequestKind| matches!(kind, RequestKind::People { .. });
        let answer = Answer::People(ListedPage { list, more });
        self.listed(now, reference, is_wanted, answer)
    }

    pub(super) fn inbox(&mut self, now: Now, page: InboxPage) -> Result<(), ProtocolFault> {
        let InboxPage {
            entries,
            next,
            reference,
        } = page;
        let is_wanted = |kind: &RequestKind| matches!(kind, RequestKind::Inbox { .. });
        let answer = Answer::Inbox(InboxEntries { entries, next });
        self.listed(now, reference, is_wanted, answer)
    }

    /// Handles the answer to a request for a list.
    fn listed(
        &mut self,
        now: Now,
        reference: Option<u64>,
        is_wanted: impl Fn(&RequestKind) -> bool,
        answer: Answer,
    ) -> Result<(), ProtocolFault> {
        let Some((at, request)) = self.requests.sent(reference) else {
            // The answer to an abandoned request.
            return Ok(());
        };
        if !is_wanted(&request.kind) {
            return Err(ProtocolFault::new("an answer to another request"));
        }
        self.requests.extend(now.mono + ANSWER_WITHIN);
        self.answer(at, answer);
        Ok(())
    }

    /// Handles an error if it answers a request; returns any other.
    pub(super) fn request_refused(&mut self, now: Now, error: ErrorFrame) -> Option<ErrorFrame> {
        // A server that does not know the type does not echo the reference.
        let unknown = error.code == ErrorCode::UnknownType && error.reference.is_none();
        let reference = if unknown {
            self.requests.first_reference()
        } else {
            error.reference
        };
        let Some((at, holds, is_users)) = self
            .requests
            .sent(reference)
            .map(|(at, sent)| (at, sent.holds, sent.is_users()))
        else {
            return Some(error);
        };
        self.requests.extend(now.mono + ANSWER_WITHIN);
        let wait = error.retry_after_ms.map(Duration::from_millis);
        if let Some(wait) = wait {
            self.requests.note_hold(Hold {
                until: now.mono + wait.min(WAIT_MAX),
                why: error.message.clone(),
            });
        }
        let wait = if is_users {
            wait.filter(|wait| *wait <= HOLD_MAX && holds < HOLDS_MAX)
        } else {
            wait.map(|wait| wait.min(WAIT_MAX))
        };
        match (wait, self.requests.get_mut(at)) {
            (Some(wait), Some(request)) => {
                request.holds += 1;
                request.stage = RequestStage::Held {
                    until: now.mono + wait,
                };
            }
            _ => self.refuse(at, error.message),
        }
        None
    }

    /// Handles the deadlines that have passed.
    pub(super) fn requests_time(&mut self, now: Now) {
        let online = self.can_ask();
        while let Some((at, request)) = self.requests.overdue(now.mono) {
            let is_held = matches!(request.stage, RequestStage::Held { .. });
            if !request.is_users() {
                if is_held && online {
                    request.stage = RequestStage::Send;
                } else {
                    // They are asked for again after the next welcome.
                    self.requests.take(at);
                }
                continue;
            }
            if !is_held || !online {
                if request.needs_server() {
                    let why = "The server does not answer: try again in a moment";
                    self.refuse(at, Line::inert(why));
                } else {
                    request.stage = RequestStage::QueryDue { offline: true };
                }
                continue;
            }
            request.stage = RequestStage::Send;
            let hold = self.requests.hold.as_ref();
            let long = hold.filter(|hold| hold.until > now.mono + HOLD_MAX);
            if let Some(why) = long.map(|hold| hold.why.clone()) {
                self.refuse(at, why);
            }
        }
    }
}

/// Whether the entries have rising numbers within the range.
fn in_order(range: RangeInclusive<u64>, entries: &[Entry]) -> bool {
    entries.iter().all(|entry| range.contains(&entry.seq))
        && entries.windows(2).all(|pair| pair[0].seq < pair[1].seq)
}
