//! Runs the store on threads of its own, so that nothing else waits for a disk.
//!
//! One thread appends. A few threads beside it read, each with its own reader, so that commits and
//! pages don't wait for each other. Searches, which take longest, have another thread, so that
//! pages don't wait for them.
//!
//! A store without readers (the one in memory) never blocks, and stays on the hub's thread: an
//! append takes less than a thread switch would. Reads are served there too, between appends.
//!
//! Requests go through bounded queues; a caller that finds one full waits. A connection has at most
//! one page and one log query pending, so the order among reads does not matter.

use std::{
    cell::RefCell,
    future::pending,
    io,
    rc::Rc,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::{spawn_local, yield_now},
    time::timeout,
};

use crate::protocol::RoomId;
use crate::server::{
    core::log_query::{LogQuery, QueryResult},
    log::{Batch, Committed, Reader, Store, StoreError, segment::Segment},
    priority,
    supervisor::Supervisor,
};

/// Batches that may wait: the hub has at most one pending.
const BATCHES_MAX: usize = 1;
/// Reads that may wait for a reader, and as many searches.
const READS_MAX: usize = 64;
/// Threads that read pages.
const PAGE_READERS: usize = 2;
/// Threads that only search, so that searches hold up no page.
const SEARCH_READERS: usize = 1;
const READERS: usize = PAGE_READERS + SEARCH_READERS;

/// How long the store gets no batch before it may do other work.
const IDLE: Duration = Duration::from_secs(10);

/// The supervisor's name for reads on the hub's thread.
const READER_HERE: &str = "reader";

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

#[derive(Debug)]
enum Read {
    Segment {
        room: RoomId,
        from: u64,
        bytes_max: usize,
        answer: Answer<Segment>,
    },
    LogQuery {
        look: LogQuery,
        answer: Answer<QueryResult>,
    },
}

impl Read {
    fn is_search(&self) -> bool {
        matches!(self, Self::LogQuery { look, .. } if look.is_search())
    }

    fn serve(self, reader: &mut dyn Reader) {
        // A caller may be gone by now.
        match self {
            Self::Segment {
                room,
                from,
                bytes_max,
                answer,
            } => drop(answer.send(reader.read(room, from, bytes_max))),
            Self::LogQuery { look, answer } => drop(answer.send(look.read(reader))),
        }
    }
}

type Outcome = Result<Committed, StoreError>;

/// The hub's access to the store.
pub(super) enum Appender {
    /// The store is on its own thread.
    There {
        batches: mpsc::Sender<Batch>,
        outcomes: mpsc::Receiver<Outcome>,
    },
    /// The store is on this thread.
    Here {
        store: Rc<RefCell<Box<dyn Store>>>,
        outcome: Option<Outcome>,
    },
}

/// A worker's access to the store.
#[derive(Clone, Debug)]
pub(super) struct Pages {
    pages: mpsc::Sender<Read>,
    searches: mpsc::Sender<Read>,
}

/// Tells when the store is closed and its pending work done.
#[derive(Debug)]
pub(super) struct Closed(oneshot::Receiver<()>);

impl Closed {
    /// Waits until it is.
    pub(super) async fn wait(self) {
        // The other end is dropped then.
        let _ = self.0.await;
    }
}

/// Starts the threads; to be called on the hub's, within its [`LocalSet`](tokio::task::LocalSet).
/// The store is closed when the [`Appender`] is gone, and, if the store has no readers, every
/// [`Pages`] too.
pub(super) fn start(
    store: Box<dyn Store>,
    supervisor: &Supervisor,
) -> io::Result<(Appender, Pages, Closed)> {
    let (closing, closed) = oneshot::channel();
    let mut readers: Vec<_> = (0..READERS)
        .map_while(|_| store.reader().transpose())
        .collect::<Result<_, _>>()
        .map_err(|_| io::Error::other("the store can't be read"))?;
    let (appender, pages) = if readers.is_empty() {
        start_here(store, closing, supervisor)
    } else {
        let searchers = readers.split_off(PAGE_READERS);
        let pages = Pages {
            pages: start_readers("reader", readers, || (), supervisor)?,
            searches: start_readers("search", searchers, priority::behind_talk, supervisor)?,
        };
        (start_there(store, closing, supervisor)?, pages)
    };
    Ok((appender, pages, Closed(closed)))
}

fn start_here(
    store: Box<dyn Store>,
    closing: oneshot::Sender<()>,
    supervisor: &Supervisor,
) -> (Appender, Pages) {
    let store = Rc::new(RefCell::new(store));
    let (reads, mut waiting) = mpsc::channel::<Read>(READS_MAX);
    let reading = Rc::clone(&store);
    let supervisor = supervisor.clone();
    spawn_local(async move {
        let _alarm = supervisor.alarm(READER_HERE);
        while let Some(read) = waiting.recv().await {
            // A read that panics is not answered, which its caller takes for an error.
            let _ = supervisor.guard(READER_HERE, || read.serve(&mut **reading.borrow_mut()));
            // Others on this thread have their turn first.
            yield_now().await;
        }
        drop((reading, closing));
    });
    let pages = Pages {
        pages: reads.clone(),
        searches: reads,
    };
    let outcome = None;
    (Appender::Here { store, outcome }, pages)
}

fn start_there(
    mut store: Box<dyn Store>,
    closing: oneshot::Sender<()>,
    supervisor: &Supervisor,
) -> io::Result<Appender> {
    let (batches, mut waiting) = mpsc::channel(BATCHES_MAX);
    // One outcome of an append, and one of a store that fails between appends.
    let (outcome, outcomes) = mpsc::channel(2);
    let failure = outcome.clone();
    store.on_failure(Box::new(move || {
        drop(failure.try_send(Err(StoreError::Fatal)));
    }));
    let timer = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    let append = move || {
        loop {
            match timer.block_on(async { timeout(IDLE, waiting.recv()).await }) {
                Ok(Some(batch)) => {
                    if outcome.blocking_send(store.append(batch)).is_err() {
                        break;
                    }
                }
                Ok(None) => break,
                Err(_) => store.idle(),
            }
        }
        drop(store);
        drop(closing);
        Ok(())
    };
    supervisor.start("store", append)?;
    Ok(Appender::There { batches, outcomes })
}

/// Starts threads that read. They end when no caller is left.
fn start_readers(
    name: &str,
    readers: Vec<Box<dyn Reader>>,
    prepare: fn(),
    supervisor: &Supervisor,
) -> io::Result<mpsc::Sender<Read>> {
    let (reads, waiting) = mpsc::channel::<Read>(READS_MAX);
    let waiting = Arc::new(Mutex::new(waiting));
    for (number, mut reader) in readers.into_iter().enumerate() {
        let waiting = Arc::clone(&waiting);
        let (name, guarding) = (format!("{name}-{number}"), supervisor.clone());
        supervisor.start(name.clone(), move || {
            prepare();
            loop {
                // Held while waiting: the other threads wait for the lock instead.
                let read = waiting
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .blocking_recv();
                let Some(read) = read else { return Ok(()) };
                // A read that panics is not answered, which its caller takes for an error.
                let _ = guarding.guard(&name, || read.serve(&mut *reader));
            }
        })?;
    }
    Ok(reads)
}

impl Appender {
    /// Hands a batch over. If the store is gone, [`outcome`](Self::outcome) says so.
    pub(super) async fn append(&mut self, batch: Batch) {
        match self {
            Self::There { batches, .. } => drop(batches.send(batch).await),
            Self::Here { store, outcome } => *outcome = Some(store.borrow_mut().append(batch)),
        }
    }

    /// The outcome of the last batch, if the store is on this thread.
    pub(super) fn outcome_at_once(&mut self) -> Option<Outcome> {
        match self {
            Self::There { .. } => None,
            Self::Here { outcome, .. } => outcome.take(),
        }
    }

    /// Waits for the outcome of the last batch. Cancel-safe.
    pub(super) async fn outcome(&mut self) -> Outcome {
        match self {
            Self::There { outcomes, .. } => match outcomes.recv().await {
                Some(outcome) => outcome,
                // The thread panicked during the append.
                None => Err(StoreError::InDoubt),
            },
            Self::Here { outcome, .. } => match outcome.take() {
                Some(outcome) => outcome,
                None => pending().await,
            },
        }
    }
}

impl Pages {
    /// See [`LogReader::read`](crate::server::log::LogReader::read).
    pub(super) async fn read(
        &self,
        room: RoomId,
        from: u64,
        bytes_max: usize,
    ) -> Result<Segment, StoreError> {
        let read = |answer| Read::Segment {
            room,
            from,
            bytes_max,
            answer,
        };
        self.ask(read).await
    }

    /// See [`LogQuery::read`].
    pub(super) async fn look(&self, look: LogQuery) -> Result<QueryResult, StoreError> {
        self.ask(|answer| Read::LogQuery { look, answer }).await
    }

    async fn ask<T>(&self, read: impl FnOnce(Answer<T>) -> Read) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let read = read(answer);
        let way = if read.is_search() {
            &self.searches
        } else {
            &self.pages
        };
        let sent = way.send(read).await.is_ok();
        if !sent {
            return Err(StoreError::InDoubt);
        }
        answered.await.unwrap_or(Err(StoreError::InDoubt))
    }
}
