//! Carries out what the session wants saved and looked up: on a thread of its own, in order, so
//! that a slow disk holds up nothing but what waits for it.

use std::{
    sync::mpsc::{self as std_mpsc, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use tokio::{sync::mpsc, time::timeout};

use crate::{
    client::{
        session::kept::{Leased, Look, Looked, Save, SaveError},
        store::{NEWS_EVERY, Store},
    },
    text::Line,
};

/// Jobs and answers that may wait: the session has one save and one look under way at most.
const JOBS_MAX: usize = 4;
/// How long closing the store may hold up the end.
pub(super) const CLOSE_WITHIN: Duration = Duration::from_millis(200);

pub(super) enum Job {
    Save(Save),
    Look(Look),
}

/// What a job came to.
pub(super) enum Done {
    Saved(Result<(), SaveError>),
    Looked(Looked),
    /// Another process has done something that the session should look at.
    News,
    /// Something that the user should know.
    Notice(Line),
}

/// The store's thread, or what stands in for it where nothing is kept.
pub(super) enum Keeper {
    Store {
        jobs: std_mpsc::SyncSender<Job>,
        done: mpsc::Receiver<Done>,
    },
    /// Everything succeeds, and nothing is there.
    Nothing,
    /// Its thread died: nothing succeeds any more.
    Gone,
}

impl Keeper {
    /// Starts the thread. Without a store, or where the system has no thread to give, nothing is
    /// kept.
    pub(super) fn start(store: Option<Store>) -> Self {
        let Some(mut store) = store else {
            return Self::Nothing;
        };
        let (jobs, queue) = std_mpsc::sync_channel::<Job>(JOBS_MAX);
        let (answers, done) = mpsc::channel(JOBS_MAX);
        let work = move || {
            let mut looked = Instant::now();
            loop {
                let answer = match queue.recv_timeout(NEWS_EVERY) {
                    Ok(Job::Save(save)) => Some(Done::Saved(store.save(&save))),
                    Ok(Job::Look(look)) => Some(Done::Looked(store.look(&look))),
                    Err(RecvTimeoutError::Timeout) => None,
                    Err(RecvTimeoutError::Disconnected) => break,
                };
                // However busy it is.
                let due = looked.elapsed() >= NEWS_EVERY;
                if due {
                    looked = Instant::now();
                }
                let news = (due && store.has_news()).then_some(Done::News);
                let notices = store.take_notices().into_iter().map(Done::Notice);
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
            Ok(_) => Self::Store { jobs, done },
            Err(_) => Self::Nothing,
        }
    }

    /// Has something saved; the answer, if it is there at once.
    pub(super) fn save(&mut self, save: Save) -> Option<Result<(), SaveError>> {
        match self {
            Self::Nothing => Some(Ok(())),
            Self::Gone => Some(Err(SaveError::Failed(gone()))),
            Self::Store { jobs, .. } => match jobs.try_send(Job::Save(save)) {
                Ok(()) => None,
                Err(_) => Some(Err(SaveError::Failed(gone()))),
            },
        }
    }

    /// Has something looked up; the answer, if it is there at once.
    pub(super) fn look(&mut self, look: Look) -> Option<Looked> {
        match self {
            Self::Nothing => Some(nothing(&look)),
            Self::Gone => Some(unanswered(&look)),
            Self::Store { jobs, .. } => match jobs.try_send(Job::Look(look)) {
                Ok(()) => None,
                Err(
                    std_mpsc::TrySendError::Full(job) | std_mpsc::TrySendError::Disconnected(job),
                ) => match job {
                    Job::Look(look) => Some(unanswered(&look)),
                    Job::Save(_) => None,
                },
            },
        }
    }

    /// Closes the store, within a time: what was saved is safe either way, but a file that was
    /// closed is opened faster.
    pub(super) async fn close(&mut self) {
        if let Self::Store { jobs, mut done } = std::mem::replace(self, Self::Nothing) {
            drop(jobs);
            let closed = async { while done.recv().await.is_some() {} };
            // Nothing depends on whether it was in time.
            let _ = timeout(CLOSE_WITHIN, closed).await;
        }
    }

    /// The next answer. A store that died answers once that it is gone.
    pub(super) async fn done(&mut self) -> Done {
        let Self::Store { done, .. } = self else {
            return std::future::pending().await;
        };
        if let Some(done) = done.recv().await {
            return done;
        }
        *self = Self::Gone;
        Done::Saved(Err(SaveError::Failed(gone())))
    }
}

fn gone() -> Line {
    Line::inert("what keeps things on this machine has failed")
}

fn nothing(look: &Look) -> Looked {
    match look {
        Look::Page { .. } => Looked::Page(Ok(None)),
        Look::Search { .. } => Looked::Found(Err(Line::inert(
            "Nothing is kept on this machine that could be searched",
        ))),
        // There is no other process that could have it.
        Look::Lease(_) => Looked::Lease(Ok(Leased {
            ours: true,
            ..Leased::default()
        })),
        Look::Adopt { .. } => Looked::Adopted(Ok(Some(Vec::new()))),
    }
}

fn unanswered(look: &Look) -> Looked {
    match look {
        Look::Page { .. } => Looked::Page(Err(gone())),
        Look::Search { .. } => Looked::Found(Err(gone())),
        Look::Lease(_) => Looked::Lease(Err(gone())),
        Look::Adopt { .. } => Looked::Adopted(Err(gone())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::session::kept::Claim;

    #[tokio::test]
    async fn a_store_that_died_saves_nothing_and_says_so() {
        let (jobs, queue) = std_mpsc::sync_channel(JOBS_MAX);
        let (answers, done) = mpsc::channel(JOBS_MAX);
        let mut keeper = Keeper::Store { jobs, done };
        drop((queue, answers));
        let failed = |saved: &Result<(), SaveError>| matches!(saved, Err(SaveError::Failed(_)));
        assert!(matches!(keeper.done().await, Done::Saved(saved) if failed(&saved)));
        assert!(
            keeper
                .save(Save::default())
                .is_some_and(|saved| failed(&saved))
        );
        assert!(matches!(
            keeper.look(Look::Lease(Claim::Take)),
            Some(Looked::Lease(Err(_)))
        ));
    }
}
