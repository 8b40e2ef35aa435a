//! The queue of requests: their order, their progress, and the limits on what is in flight.
//!
//! Pure bookkeeping: it decides which request is next, and its caller carries it out.

use std::{collections::VecDeque, mem::take, time::Duration};

use super::request::{Request, RequestKind, RequestStage, WantedChanges};
use crate::{
    client::{
        event::Event,
        session::persist_types::{CACHE_QUERIES_MAX, CacheQueryId},
    },
    protocol::RoomId,
    text::Line,
};

/// The user's requests without an answer; one more is refused.
pub(in crate::client::session) const REQUESTS_MAX: usize = 32;
/// Requests that the server may have to answer at once.
pub(in crate::client::session) const IN_FLIGHT_MAX: usize = 8;
/// Requests that the disk may have to answer at once; the lease's query comes on top.
const QUERIES_MAX: usize = CACHE_QUERIES_MAX - 1;

/// Why a request that only the server can answer is refused without one.
pub(super) const NOT_CONNECTED: &str = "Not connected: try again once you are";

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

impl Requests {
    /// Queues a request; returns the answers to those that this refuses: older searches and lists of
    /// the same room that were not asked yet, and the request itself if too many wait.
    pub(super) fn push(&mut self, kind: RequestKind) -> Vec<Event> {
        let request = Request {
            kind,
            stage: RequestStage::New,
            holds: 0,
        };
        let mut refused: Vec<Event> = Vec::new();
        if request.kind.is_replaced() {
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
    pub(in crate::client::session) fn push_changes(&mut self, room: RoomId, wanted: WantedChanges) {
        self.waiting.push_back(Request {
            kind: RequestKind::Changes { room, wanted },
            stage: RequestStage::New,
            holds: 0,
        });
    }

    /// Makes an answered request for changes ask for the next ones.
    pub(in crate::client::session) fn ask_again(&mut self, at: usize, wanted: WantedChanges) {
        if let Some(request) = self.waiting.get_mut(at) {
            if let RequestKind::Changes { wanted: before, .. } = &mut request.kind {
                *before = wanted;
            }
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

    /// The connection has closed: the disk must answer. Returns the answers to requests that the disk
    /// can't answer. The next welcome tells which changes to ask for.
    pub(in crate::client::session) fn close(&mut self) -> Vec<Event> {
        self.hold = None;
        self.one_at_a_time = false;
        for request in &mut self.waiting {
            if request.stage.is_for_server() {
                request.stage = RequestStage::QueryDue { offline: true };
            }
        }
        let refused = self.remove(|request| !request.kind.may_be_stored());
        let refused = refused.into_iter();
        refused
            .filter_map(|request| request.refused(Line::inert(NOT_CONNECTED)))
            .collect()
    }

    /// The user is no longer in a room. Returns the answers to requests about it.
    pub(in crate::client::session) fn leave(&mut self, room: RoomId) -> Vec<Event> {
        let refused = self.remove(|request| request.kind.room() == Some(room));
        let why = "You are no longer in this room";
        let refused = refused.into_iter();
        refused
            .filter_map(|request| request.refused(Line::inert(why)))
            .collect()
    }

    fn remove(&mut self, is_removed: impl Fn(&Request) -> bool) -> VecDeque<Request> {
        let (removed, kept): (VecDeque<_>, _) =
            take(&mut self.waiting).into_iter().partition(is_removed);
        self.waiting = kept;
        self.one_at_a_time &= self.waiting.iter().any(|other| other.stage.is_for_server());
        removed
    }
}
