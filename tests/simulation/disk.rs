//! The server's disk: its writes, and their survival after the end of a process, a power failure,
//! or the restore of an older backup.
//!
//! A commit is *written* and then *synced*. Written bytes outlive their process; only synced ones
//! outlive the machine (of the others a prefix may survive). So a server that acknowledges written
//! commits loses nothing by a `kill -9` and everything by a power cut.

use std::sync::Arc;

use chat_tui::{
    protocol::Epoch,
    server::log::{Batch, Committed, LogWriter, MemoryLimits, MemoryStore, StoreError},
};
use fastrand::Rng;

use crate::truth::{Fault, Truth};

/// When a commit counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// When it is synced.
    Full,
    /// When it is written, by the operator's wish: after an unclean end the log is another one.
    Relaxed,
    /// When it is written, without the operator's wish: a fault.
    Pretended,
}

/// See the module's docs.
pub(crate) struct Disk {
    durability: Durability,
    limits: MemoryLimits,
    /// The number of logs so far.
    epochs: u8,
    /// The written log, as a process sees it.
    pub(crate) log: MemoryStore,
    /// The commits that it consists of.
    written: Vec<Arc<Batch>>,
    /// The number of synced ones.
    synced: usize,
    /// The last commits of processes that ended before they could report them, each with the batch
    /// that the hub had asked for.
    untold: Vec<(Batch, Committed)>,
    /// Whether the last process ended in order.
    clean: bool,
    /// A copy, and the epoch of its log.
    backup: (Epoch, Vec<Arc<Batch>>),
}

impl Disk {
    /// Returns an empty disk.
    pub(crate) fn new(limits: MemoryLimits, durability: Durability) -> Self {
        Self {
            durability,
            limits,
            epochs: 0,
            log: fresh(0, limits),
            written: Vec::new(),
            synced: 0,
            untold: Vec::new(),
            clean: true,
            backup: (Epoch::from_bytes([0; 8]), Vec::new()),
        }
    }

    /// The epoch of its log.
    pub(crate) fn epoch(&self) -> Epoch {
        self.log.epoch()
    }

    /// Carries out a commit of a process, and reports it.
    pub(crate) fn append(&mut self, batch: Batch, rng: &mut Rng) -> Result<Committed, StoreError> {
        let committed = self.write(batch)?;
        if self.durability == Durability::Full || rng.u8(..8) == 0 {
            self.synced = self.written.len();
        }
        Ok(committed)
    }

    /// Writes a commit whose process, which `asked` for it, ends before it learns of it.
    pub(crate) fn write_untold(&mut self, asked: Batch, batch: Batch) {
        if let Ok(committed) = self.write(batch) {
            self.untold.push((asked, committed));
        }
    }

    fn write(&mut self, batch: Batch) -> Result<Committed, StoreError> {
        let kept = Arc::new(batch.clone());
        let committed = self.log.append(batch)?;
        self.written.push(kept);
        Ok(committed)
    }

    /// Whether it holds a commit that no process has reported.
    pub(crate) fn has_untold(&self) -> bool {
        !self.untold.is_empty()
    }

    /// A process opens the log. It may show everything that it finds, so that is synced first.
    pub(crate) fn open(&mut self, truth: &mut Truth) -> Result<(), Fault> {
        for (asked, committed) in self.untold.drain(..) {
            truth.commit(self.log.epoch(), &asked, &committed)?;
        }
        if self.durability == Durability::Relaxed && !self.clean {
            self.become_another(truth, self.epoch());
        }
        self.synced = self.written.len();
        self.clean = false;
        for (room, extent) in self.log.extents() {
            let committed = truth.head(self.epoch(), room);
            if extent.head != committed {
                let head = extent.head;
                return Err(format!(
                    "{committed} of {room} were acknowledged, {head} are there"
                ));
            }
        }
        Ok(())
    }

    /// A process ends in order.
    pub(crate) fn close(&mut self) {
        self.synced = self.written.len();
        self.clean = true;
    }

    /// Cuts the power: unsynced commits are lost, apart from a prefix perhaps.
    pub(crate) fn power_cut(&mut self, rng: &mut Rng) {
        let survives = rng.usize(self.synced..=self.written.len());
        if survives < self.written.len() {
            self.untold.clear();
            self.written.truncate(survives);
            self.replay();
        }
        self.synced = self.written.len();
    }

    /// Replaces the disk by an empty one.
    pub(crate) fn lose(&mut self) {
        self.epochs += 1;
        self.written.clear();
        self.untold.clear();
        self.synced = 0;
        self.clean = true;
        self.log = fresh(self.epochs, self.limits);
    }

    /// The operator makes a backup.
    pub(crate) fn back_up(&mut self) {
        // The truth does not know unreported commits either.
        let told = self.written.len() - self.untold.len();
        self.backup = (self.epoch(), self.written[..told].to_vec());
    }

    /// Restores the last backup: the log is another one from now on.
    pub(crate) fn restore(&mut self, truth: &mut Truth) {
        let (of, copy) = self.backup.clone();
        self.written = copy;
        self.untold.clear();
        self.become_another(truth, of);
        self.close();
    }

    /// The same entries, which were the first of the log `of`, under another epoch: some client's
    /// copy may differ from them.
    fn become_another(&mut self, truth: &mut Truth, of: Epoch) {
        self.epochs += 1;
        self.replay();
        truth.begin(self.epoch(), of, &self.log.extents());
    }

    fn replay(&mut self) {
        self.log = fresh(self.epochs, self.limits);
        for batch in &self.written {
            let again = self.log.append(Batch::clone(batch));
            again.expect("it could be written before");
        }
    }
}

fn fresh(epoch: u8, limits: MemoryLimits) -> MemoryStore {
    MemoryStore::new(Epoch::from_bytes([epoch; 8]), limits)
}
