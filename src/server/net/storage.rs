//! The store on threads of its own: nothing else ever waits for a disk.
//!
//! One thread appends. Reads have a few threads beside it, each with a reader of the store, so
//! that no commit waits for a page and no page for a commit; and searches, which take longest, have
//! one that pages don't wait for. A store that has no readers (the one in memory) is read on its one
//! thread, between commits.
//!
//! All threads take from bounded queues: whoever finds one full waits. Nobody has more than one
//! read under way, so the order among reads means nothing.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread,
};

use tokio::sync::{mpsc, oneshot};

use crate::server::{
    engine::{
        RoomIndex,
        look::{Look, Looked},
        tail::Segment,
    },
    store::{Batch, Committed, Reader, Store, StoreError},
};

/// Commands that may wait. The hub has one append under way at most, each worker a few reads.
const COMMANDS_MAX: usize = 64;
/// Reads that may wait for a reader, and as many searches.
const READS_MAX: usize = 64;
/// Threads that read what is to be sent.
const PAGE_READERS: usize = 2;
/// Threads that search, and do nothing else: however many search, they hold up no page.
const SEARCH_READERS: usize = 1;
const READERS: usize = PAGE_READERS + SEARCH_READERS;

#[derive(Debug)]
enum Command {
    Append(Batch),
    Read(Read),
}

type Answer<T> = oneshot::Sender<Result<T, StoreError>>;

#[derive(Debug)]
enum Read {
    Segment {
        room: RoomIndex,
        from: u64,
        bytes_max: usize,
        answer: Answer<Segment>,
    },
    Look {
        look: Look,
        answer: Answer<Looked>,
    },
}

impl Read {
    fn is_search(&self) -> bool {
        matches!(self, Self::Look { look, .. } if look.is_search())
    }

    fn serve(self, reader: &mut dyn Reader) {
        // Whoever asked may be gone by now.
        match self {
            Self::Segment {
                room,
                from,
                bytes_max,
                answer,
            } => drop(answer.send(reader.read(room, from, bytes_max))),
            Self::Look { look, answer } => drop(answer.send(look.read(reader))),
        }
    }
}

/// The hub's way to the store.
#[derive(Debug)]
pub(super) struct Appender {
    commands: mpsc::Sender<Command>,
    outcomes: mpsc::Receiver<Result<Committed, StoreError>>,
}

/// A worker's way to the store.
#[derive(Clone, Debug)]
pub(super) struct Pages(Way);

#[derive(Clone, Debug)]
enum Way {
    /// There are readers.
    Readers {
        pages: mpsc::Sender<Read>,
        searches: mpsc::Sender<Read>,
    },
    /// Between the appends.
    Store(mpsc::Sender<Command>),
}

/// Tells when the store is closed: what it had to bring to an end is done.
#[derive(Debug)]
pub(super) struct Closed(oneshot::Receiver<()>);

impl Closed {
    /// Ready when it is.
    pub(super) async fn wait(self) {
        // Told by the other end being dropped.
        let _ = self.0.await;
    }
}

/// Starts the threads. The store is closed when the [`Appender`] is gone, and, if the store itself
/// has to read, every [`Pages`].
pub(super) fn start(mut store: Box<dyn Store>) -> io::Result<(Appender, Pages, Closed)> {
    let (commands, mut waiting) = mpsc::channel(COMMANDS_MAX);
    // One of an append, and one of a store that fails by itself.
    let (outcome, outcomes) = mpsc::channel(2);
    let failure = outcome.clone();
    store.on_failure(Box::new(move || {
        drop(failure.try_send(Err(StoreError::Unknown)));
    }));
    let (closing, closed) = oneshot::channel::<()>();
    let mut readers: Vec<_> = (0..READERS)
        .map_while(|_| store.reader().transpose())
        .collect::<Result<_, _>>()
        .map_err(|_| io::Error::other("the store can't be read"))?;
    let way = if readers.is_empty() {
        Way::Store(commands.clone())
    } else {
        let searchers = readers.split_off(PAGE_READERS);
        Way::Readers {
            pages: start_readers("reader", readers)?,
            searches: start_readers("search", searchers)?,
        }
    };
    thread::Builder::new()
        .name("store".to_owned())
        .spawn(move || {
            while let Some(command) = waiting.blocking_recv() {
                match command {
                    Command::Append(batch) => {
                        if outcome.blocking_send(store.append(batch)).is_err() {
                            break;
                        }
                    }
                    Command::Read(read) => read.serve(&mut *store),
                }
            }
            drop(store);
            drop(closing);
        })?;
    Ok((Appender { commands, outcomes }, Pages(way), Closed(closed)))
}

/// They end when nobody can ask them any more.
fn start_readers(name: &str, readers: Vec<Box<dyn Reader>>) -> io::Result<mpsc::Sender<Read>> {
    let (reads, waiting) = mpsc::channel::<Read>(READS_MAX);
    let waiting = Arc::new(Mutex::new(waiting));
    for (number, mut reader) in readers.into_iter().enumerate() {
        let waiting = Arc::clone(&waiting);
        thread::Builder::new()
            .name(format!("{name}-{number}"))
            .spawn(move || {
                loop {
                    // Held while waiting: the others wait for the lock instead.
                    let read = waiting
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .blocking_recv();
                    let Some(read) = read else { return };
                    read.serve(&mut *reader);
                }
            })?;
    }
    Ok(reads)
}

impl Appender {
    /// Hands a batch over; false if the store is gone.
    pub(super) async fn append(&self, batch: Batch) -> bool {
        self.commands.send(Command::Append(batch)).await.is_ok()
    }

    /// What became of the batch handed over last. May be dropped and called again.
    pub(super) async fn outcome(&mut self) -> Result<Committed, StoreError> {
        match self.outcomes.recv().await {
            Some(outcome) => outcome,
            // The thread broke down in the middle of it.
            None => Err(StoreError::Unknown),
        }
    }
}

impl Pages {
    /// See [`Reader::read`].
    pub(super) async fn read(
        &self,
        room: RoomIndex,
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

    /// See [`Look::read`].
    pub(super) async fn look(&self, look: Look) -> Result<Looked, StoreError> {
        self.ask(|answer| Read::Look { look, answer }).await
    }

    async fn ask<T>(&self, read: impl FnOnce(Answer<T>) -> Read) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let read = read(answer);
        let sent = match &self.0 {
            Way::Readers { searches, .. } if read.is_search() => searches.send(read).await.is_ok(),
            Way::Readers { pages, .. } => pages.send(read).await.is_ok(),
            Way::Store(commands) => commands.send(Command::Read(read)).await.is_ok(),
        };
        if !sent {
            return Err(StoreError::Unknown);
        }
        answered.await.unwrap_or(Err(StoreError::Unknown))
    }
}
