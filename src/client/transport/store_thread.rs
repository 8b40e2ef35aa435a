//! Carries out the session's saves and queries on a thread of its own, in order, so that a slow
//! disk delays nothing else.

use std::{
    collections::VecDeque,
    mem::take,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc::{self as std_mpsc, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, time::timeout};

use crate::{
    client::{
        session::persist_types::{
            CACHE_QUERIES_MAX, CacheQuery, CacheQueryId, CacheResult, LeaseStatus, Save, SaveError,
        },
        store::{NEWS_EVERY, Store},
    },
    text::Line,
};

/// Jobs and replies that may wait: the session has at most one save in progress besides the queries.
const JOBS_MAX: usize = CACHE_QUERIES_MAX + 1;
/// How long closing the store may delay the program's exit.
pub(super) const FLUSH_WITHIN: Duration = Duration::from_millis(200);

pub(super) enum StoreJob {
    Save(Save),
    Query(CacheQueryId, CacheQuery),
}

/// The result of a job.
pub(super) enum StoreReply {
    Saved(Result<(), SaveError>),
    CacheResult(CacheQueryId, CacheResult),
    /// Another process has done something that the session should check.
    News,
    /// A notice to the user.
    Notice(Line),
}

/// The store's thread, or a replacement where nothing is stored.
pub(super) enum StoreThread {
    Store {
        jobs: std_mpsc::SyncSender<StoreJob>,
        done: mpsc::Receiver<StoreReply>,
        under_way: PendingJobs,
    },
    /// No store: every save succeeds, and every query finds nothing.
    Nothing,
    /// The thread died: every job fails. Holds the replies to its unanswered jobs.
    Gone(VecDeque<StoreReply>),
}

/// The thread's unanswered jobs.
#[derive(Default)]
pub(super) struct PendingJobs {
    save: bool,
    /// Answered in order.
    queries: VecDeque<(CacheQueryId, CacheQuery)>,
}

impl StoreThread {
    /// Starts the thread. Without a store, or if the system can't start a thread, nothing is
    /// stored.
    pub(super) fn start(store: Option<Store>) -> Self {
        let Some(mut store) = store else {
            return Self::Nothing;
        };
        let (jobs, queue) = std_mpsc::sync_channel::<StoreJob>(JOBS_MAX);
        let (answers, done) = mpsc::channel(JOBS_MAX);
        let work = move || {
            let mut looked = Instant::now();
            loop {
                // A job that panics has changed nothing: its transaction is rolled back.
                let answer = match queue.recv_timeout(NEWS_EVERY) {
                    Ok(StoreJob::Save(save)) => {
                        let saved = catch_unwind(AssertUnwindSafe(|| store.save(&save)));
                        let saved = saved.unwrap_or_else(|_| Err(SaveError::Failed(gone())));
                        Some(StoreReply::Saved(saved))
                    }
                    Ok(StoreJob::Query(id, query)) => {
                        let result = catch_unwind(AssertUnwindSafe(|| store.query(&query)));
                        Some(StoreReply::CacheResult(
                            id,
                            result.unwrap_or_else(|_| unanswered(&query)),
                        ))
                    }
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => break,
                };
                // Also while jobs keep coming.
                let due = looked.elapsed() >= NEWS_EVERY;
                if due {
                    looked = Instant::now();
                }
                let news = (due && store.has_news()).then_some(StoreReply::News);
                let notices = store.take_notices().into_iter().map(StoreReply::Notice);
                for answer in notices.chain(answer).chain(news) {
                    if answers.blocking_send(answer).is_err() {
                        return;
                    }
                }
            }
            drop(store);
            drop(answers);
        };
        match thread::Builder::new().name("store".to_owned()).spawn(work) {
            Ok(_) => Self::Store {
                jobs,
                done,
                under_way: PendingJobs::default(),
            },
            Err(_) => Self::Nothing,
        }
    }

    /// Starts a save; returns the result if it is immediate.
    pub(super) fn save(&mut self, save: Save) -> Option<Result<(), SaveError>> {
        match self {
            Self::Nothing => Some(Ok(())),
            Self::Gone(_) => Some(Err(SaveError::Failed(gone()))),
            Self::Store {
                jobs, under_way, ..
            } => match jobs.try_send(StoreJob::Save(save)) {
                Ok(()) => {
                    under_way.save = true;
                    None
                }
                Err(_) => Some(Err(SaveError::Failed(gone()))),
            },
        }
    }

    /// Starts a query; returns the result if it is immediate.
    pub(super) fn query(&mut self, id: CacheQueryId, query: CacheQuery) -> Option<CacheResult> {
        match self {
            Self::Nothing => Some(nothing(&query)),
            Self::Gone(_) => Some(unanswered(&query)),
            Self::Store {
                jobs, under_way, ..
            } => match jobs.try_send(StoreJob::Query(id, query.clone())) {
                Ok(()) => {
                    under_way.queries.push_back((id, query));
                    None
                }
                Err(_) => Some(unanswered(&query)),
            },
        }
    }

    /// Closes the store, within a time limit: saved data is safe either way, but a closed file
    /// opens faster.
    pub(super) async fn close(&mut self) {
        if let Self::Store { jobs, mut done, .. } = std::mem::replace(self, Self::Nothing) {
            drop(jobs);
            let closed = async { while done.recv().await.is_some() {} };
            // Whether it was in time does not matter.
            let _ = timeout(FLUSH_WITHIN, closed).await;
        }
    }

    /// The next reply. If the thread has died, its unanswered jobs fail. Cancel safe.
    pub(super) async fn recv(&mut self) -> StoreReply {
        if let Self::Store {
            done, under_way, ..
        } = self
        {
            match done.recv().await {
                Some(done) => {
                    match &done {
                        StoreReply::Saved(_) => under_way.save = false,
                        StoreReply::CacheResult(..) => drop(under_way.queries.pop_front()),
                        StoreReply::Notice(_) | StoreReply::News => {}
                    }
                    return done;
                }
                None => *self = Self::Gone(take(under_way).answers()),
            }
        }
        let answer = match self {
            Self::Gone(answers) => answers.pop_front(),
            Self::Store { .. } | Self::Nothing => None,
        };
        match answer {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

impl PendingJobs {
    /// The replies to unanswered jobs once the thread has died.
    fn answers(self) -> VecDeque<StoreReply> {
        let saved = self
            .save
            .then(|| StoreReply::Saved(Err(SaveError::Failed(gone()))));
        let queries = self.queries.into_iter();
        let results = queries.map(|(id, query)| StoreReply::CacheResult(id, unanswered(&query)));
        saved.into_iter().chain(results).collect()
    }
}

fn gone() -> Line {
    Line::inert("the store on this machine failed (a defect): start chat-tui again")
}

fn nothing(query: &CacheQuery) -> CacheResult {
    match query {
        CacheQuery::Page { .. } => CacheResult::Page(Ok(None)),
        CacheQuery::Search { .. } => CacheResult::Found(Err(Line::inert(
            "No messages are stored on this machine to search",
        ))),
        // Without a store there is no other process that could have it.
        CacheQuery::Lease(_) => CacheResult::Lease(Ok(LeaseStatus {
            ours: true,
            unbroken: true,
            ..LeaseStatus::default()
        })),
        CacheQuery::Adopt { .. } => CacheResult::Adopted(Ok(Some(Vec::new()))),
    }
}

fn unanswered(query: &CacheQuery) -> CacheResult {
    match query {
        CacheQuery::Page { .. } => CacheResult::Page(Err(gone())),
        CacheQuery::Search { .. } => CacheResult::Found(Err(gone())),
        CacheQuery::Lease(_) => CacheResult::Lease(Err(gone())),
        CacheQuery::Adopt { .. } => CacheResult::Adopted(Err(gone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        client::session::persist_types::LeaseClaim,
        protocol::{RoomId, frame::Part},
    };

    /// Drops the thread's ends of the channels, as if it had died.
    fn dying(queue: std_mpsc::Receiver<StoreJob>, answers: mpsc::Sender<StoreReply>) {
        drop((queue, answers));
    }

    fn failed(saved: &Result<(), SaveError>) -> bool {
        matches!(saved, Err(SaveError::Failed(_)))
    }

    fn page() -> CacheQuery {
        CacheQuery::Page {
            room: RoomId::LOBBY,
            epoch: None,
            part: Part::Backward { from: 1, to: 9 },
            offline: true,
        }
    }

    /// With no job, a save, queries or both unanswered, after earlier replies.
    #[tokio::test]
    async fn jobs_fail_when_the_store_thread_has_died() {
        let lease = CacheQuery::Lease(LeaseClaim::Take);
        for (saves, queries) in [
            (false, vec![]),
            (true, vec![]),
            (false, vec![page()]),
            (false, vec![page(), lease, page()]),
            (true, vec![page()]),
        ] {
            let (jobs, queue) = std_mpsc::sync_channel(JOBS_MAX);
            let (answers, done) = mpsc::channel(JOBS_MAX);
            let under_way = PendingJobs::default();
            let mut thread = StoreThread::Store {
                jobs,
                done,
                under_way,
            };
            assert!(thread.save(Save::default()).is_none());
            answers.send(StoreReply::Saved(Ok(()))).await.unwrap();
            assert!(matches!(thread.recv().await, StoreReply::Saved(Ok(()))));
            let first = CacheQueryId(1);
            assert!(thread.query(first, page()).is_none());
            let found = StoreReply::CacheResult(first, CacheResult::Page(Ok(None)));
            answers.send(found).await.unwrap();
            assert!(matches!(
                thread.recv().await,
                StoreReply::CacheResult(CacheQueryId(1), CacheResult::Page(Ok(None)))
            ));
            assert!(!saves || thread.save(Save::default()).is_none());
            for (id, query) in (2..).zip(&queries) {
                let result = thread.query(CacheQueryId(id), query.clone());
                assert!(result.is_none());
            }
            dying(queue, answers);
            if saves {
                assert!(matches!(thread.recv().await, StoreReply::Saved(saved) if failed(&saved)));
            }
            for (id, query) in (2..).zip(&queries) {
                let StoreReply::CacheResult(answered, result) = thread.recv().await else {
                    panic!("no result of query {id}");
                };
                assert_eq!(answered, CacheQueryId(id));
                assert_eq!(result, unanswered(query));
            }
            // No other reply follows.
            let more = timeout(Duration::from_millis(1), thread.recv()).await;
            assert!(more.is_err());
            let saved = thread.save(Save::default());
            assert!(saved.is_some_and(|saved| failed(&saved)));
            let result = thread.query(CacheQueryId(9), page());
            assert!(matches!(result, Some(CacheResult::Page(Err(_)))));
        }
    }
}
