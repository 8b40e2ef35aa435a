//! The store on a thread of its own: nothing else ever waits for a disk.

use std::thread;

use tokio::sync::{mpsc, oneshot};

use crate::server::{
    engine::{
        RoomIndex,
        look::{Look, Looked},
        tail::Segment,
    },
    store::{Batch, Committed, Store, StoreError},
};

/// Commands that may wait. The hub has one append under way at most, each worker a few reads.
const COMMANDS_MAX: usize = 64;

#[derive(Debug)]
enum Command {
    Append(Batch),
    Read {
        room: RoomIndex,
        from: u64,
        bytes_max: usize,
        answer: oneshot::Sender<Result<Segment, StoreError>>,
    },
    Look {
        look: Look,
        answer: oneshot::Sender<Result<Looked, StoreError>>,
    },
}

/// The hub's way to the store.
#[derive(Debug)]
pub(super) struct Appender {
    commands: mpsc::Sender<Command>,
    outcomes: mpsc::Receiver<Result<Committed, StoreError>>,
}

/// A worker's way to the store.
#[derive(Clone, Debug)]
pub(super) struct Pages {
    commands: mpsc::Sender<Command>,
}

/// Starts the thread. It ends when nobody can reach it any more.
pub(super) fn start(mut store: Box<dyn Store>) -> std::io::Result<(Appender, Pages)> {
    let (commands, mut waiting) = mpsc::channel(COMMANDS_MAX);
    let (outcome, outcomes) = mpsc::channel(1);
    thread::Builder::new()
        .name("store".to_owned())
        .spawn(move || {
            while let Some(command) = waiting.blocking_recv() {
                match command {
                    Command::Append(batch) => {
                        if outcome.blocking_send(store.append(batch)).is_err() {
                            return;
                        }
                    }
                    Command::Read {
                        room,
                        from,
                        bytes_max,
                        answer,
                    } => {
                        // Whoever asked may be gone by now.
                        let _ = answer.send(store.read(room, from, bytes_max));
                    }
                    Command::Look { look, answer } => {
                        let _ = answer.send(look.read(&mut *store));
                    }
                }
            }
        })?;
    let pages = Pages {
        commands: commands.clone(),
    };
    Ok((Appender { commands, outcomes }, pages))
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
    /// See [`Reader::read`](crate::server::store::Reader::read).
    pub(super) async fn read(
        &self,
        room: RoomIndex,
        from: u64,
        bytes_max: usize,
    ) -> Result<Segment, StoreError> {
        let (answer, page) = oneshot::channel();
        let command = Command::Read {
            room,
            from,
            bytes_max,
            answer,
        };
        let sent = self.commands.send(command).await;
        sent.map_err(|_| StoreError::Unknown)?;
        page.await.unwrap_or(Err(StoreError::Unknown))
    }

    /// See [`Look::read`].
    pub(super) async fn look(&self, look: Look) -> Result<Looked, StoreError> {
        let (answer, looked) = oneshot::channel();
        let sent = self.commands.send(Command::Look { look, answer }).await;
        sent.map_err(|_| StoreError::Unknown)?;
        looked.await.unwrap_or(Err(StoreError::Unknown))
    }
}
