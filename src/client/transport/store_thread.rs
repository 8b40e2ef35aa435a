//! Carries out what the session wants saved and looked up: on a thread of its own, in order, so
//! that a slow disk holds up nothing but what waits for it.

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
        session::persist_types::{CacheQuery, CacheResult, LeaseStatus, Save, SaveError},
        store::{NEWS_EVERY, Store},
    },
    text::Line,
};

/// Jobs and answers that may wait: the session has one save and one look under way at most.
const JOBS_MAX: usize = 4;
/// How long closing the store may hold up the end.
pub(super) const FLUSH_WITHIN: Duration = Duration::from_millis(200);

pub(super) enum StoreJob {
    Save(Save),
    Query(CacheQuery),
}

/// What a job came to.
pub(super) enum StoreReply {
    Saved(Result<(), SaveError>),
    CacheResult(CacheResult),
    /// Another process has done something that the session should look at.
    News,
    /// Something that the user should know.
    Notice(Line),
}

/// The store's thread, or what stands in for it where nothing is kept.
pub(super) enum StoreThread {
    Store {
        jobs: std_mpsc::SyncSender<StoreJob>,
        done: mpsc::Receiver<StoreReply>,
        under_way: PendingJobs,
    },
    /// Everything succeeds, and nothing is there.
    Nothing,
    /// Its thread died: nothing succeeds any more. Holds the answers to what it had not answered.
    Gone(VecDeque<StoreReply>),
}

/// What the thread was given and has not answered yet.
#[derive(Default)]
pub(super) struct PendingJobs {
    save: bool,
    query: Option<CacheQuery>,
}

impl StoreThread {
    /// Starts the thread. Without a store, or where the system has no thread to give, nothing is
    /// kept.
    pub(super) fn start(store: Option<Store>) -> Self {
        let Some(mut store) = store else {
            return Self::Nothing;
        };
        let (jobs, queue) = std_mpsc::sync_channel::<StoreJob>(JOBS_MAX);
        let (answers, done) = mpsc::channel(JOBS_MAX);
        let work = move || {
            let mut looked = Instant::now();
            loop {
                // One that breaks down has changed nothing: its transaction is undone.
                let answer = match queue.recv_timeout(NEWS_EVERY) {
                    Ok(StoreJob::Save(save)) => {
                        let saved = catch_unwind(AssertUnwindSafe(|| store.save(&save)));
                        let saved = saved.unwrap_or_else(|_| Err(SaveError::Failed(gone())));
                        Some(StoreReply::Saved(saved))
                    }
                    Ok(StoreJob::Query(query)) => {
                        let result = catch_unwind(AssertUnwindSafe(|| store.query(&query)));
                        Some(StoreReply::CacheResult(
                            result.unwrap_or_else(|_| unanswered(&query)),
                        ))
                    }
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => break,
                };
                // However busy it is.
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

    /// Has something saved; the answer, if it is there at once.
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

    /// Has something looked up; the answer, if it is there at once.
    pub(super) fn query(&mut self, query: CacheQuery) -> Option<CacheResult> {
        match self {
            Self::Nothing => Some(nothing(&query)),
            Self::Gone(_) => Some(unanswered(&query)),
            Self::Store {
                jobs, under_way, ..
            } => match jobs.try_send(StoreJob::Query(query.clone())) {
                Ok(()) => {
                    under_way.query = Some(query);
                    None
                }
                Err(_) => Some(unanswered(&query)),
            },
        }
    }

    /// Closes the store, within a time: what was saved is safe either way, but a file that was
    /// closed is opened faster.
    pub(super) async fn close(&mut self) {
        if let Self::Store { jobs, mut done, .. } = std::mem::replace(self, Self::Nothing) {
            drop(jobs);
            let closed = async { while done.recv().await.is_some() {} };
            // Nothing depends on whether it was in time.
            let _ = timeout(FLUSH_WITHIN, closed).await;
        }
    }

    /// The next answer. Whatever a store that died has not answered is answered by that. May be
    /// dropped and called again.
    pub(super) async fn recv(&mut self) -> StoreReply {
        if let Self::Store {
            done, under_way, ..
        } = self
        {
            match done.recv().await {
                Some(done) => {
                    match &done {
                        StoreReply::Saved(_) => under_way.save = false,
                        StoreReply::CacheResult(_) => under_way.query = None,
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
    /// What it is answered once the store is gone.
    fn answers(self) -> VecDeque<StoreReply> {
        let saved = self
            .save
            .then(|| StoreReply::Saved(Err(SaveError::Failed(gone()))));
        let result = self
            .query
            .map(|query| StoreReply::CacheResult(unanswered(&query)));
        saved.into_iter().chain(result).collect()
    }
}

fn gone() -> Line {
    Line::inert("what keeps things on this machine broke down (a defect): start chat-tui again")
}

fn nothing(query: &CacheQuery) -> CacheResult {
    match query {
        CacheQuery::Page { .. } => CacheResult::Page(Ok(None)),
        CacheQuery::Search { .. } => CacheResult::Found(Err(Line::inert(
            "Nothing is kept on this machine that could be searched",
        ))),
        // There is no other process that could have it.
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
        protocol::{RoomName, frame::Part},
    };

    /// A store whose thread dies when it has this.
    fn dying(queue: std_mpsc::Receiver<StoreJob>, answers: mpsc::Sender<StoreReply>) {
        drop((queue, answers));
    }

    fn failed(saved: &Result<(), SaveError>) -> bool {
        matches!(saved, Err(SaveError::Failed(_)))
    }

    fn page() -> CacheQuery {
        CacheQuery::Page {
            room: RoomName::lobby(),
            epoch: None,
            part: Part::Backward { from: 1, to: 9 },
            offline: true,
        }
    }

    /// Whatever it had when it died: nothing, one of them or both, with or without an answer before.
    #[tokio::test]
    async fn what_a_store_had_when_it_died_is_answered_and_all_that_is_asked_later() {
        for (saves, query) in [
            (false, None),
            (true, None),
            (false, Some(page())),
            (false, Some(CacheQuery::Lease(LeaseClaim::Take))),
            (true, Some(page())),
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
            assert!(!saves || thread.save(Save::default()).is_none());
            if let Some(query) = query.clone() {
                assert!(thread.query(query).is_none());
            }
            dying(queue, answers);
            if saves {
                assert!(matches!(thread.recv().await, StoreReply::Saved(saved) if failed(&saved)));
            }
            match query {
                Some(CacheQuery::Lease(_)) => assert!(matches!(
                    thread.recv().await,
                    StoreReply::CacheResult(CacheResult::Lease(Err(_)))
                )),
                Some(_) => assert!(matches!(
                    thread.recv().await,
                    StoreReply::CacheResult(CacheResult::Page(Err(_)))
                )),
                None => {}
            }
            // And nothing else by itself.
            let more = timeout(Duration::from_millis(1), thread.recv()).await;
            assert!(more.is_err());
            let saved = thread.save(Save::default());
            assert!(saved.is_some_and(|saved| failed(&saved)));
            let result = thread.query(page());
            assert!(matches!(result, Some(CacheResult::Page(Err(_)))));
        }
    }
}
