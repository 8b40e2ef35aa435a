//! The server's disk: what was written to it, and what of that survives the end of a process, the
//! end of power, or an operator who puts an older backup in its place.
//!
//! A commit is *written* and then *synced*. What was written outlives its process; only what was
//! synced outlives the machine (of what was not, the beginning may survive). So a server that
//! acknowledges what is only written loses nothing by a `kill -9` and everything by a power cut.

use std::sync::Arc;

use chat_tui::{
    protocol::Epoch,
    server::log::{Batch, Committed, LogWriter, MemoryLimits, MemoryStore, StoreError},
};
use fastrand::Rng;

use crate::truth::{Fault, Truth, rooms};

/// When a commit counts as done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// When it is synced.
    Full,
    /// When it is written, by the operator's wish: after an unclean end the log is another one.
    Relaxed,
    /// When it is written, and nobody says so: what must not be.
    Pretended,
}

/// See the module's docs.
pub(crate) struct Disk {
    durability: Durability,
    limits: MemoryLimits,
    /// How many logs there were.
    epochs: u8,
    /// What was written, as a process sees it.
    pub(crate) log: MemoryStore,
    /// The commits that it came from.
    written: Vec<Arc<Batch>>,
    /// So many of them are synced.
    synced: usize,
    /// What was written last by processes that ended before they could tell anybody.
    untold: Vec<Committed>,
    /// Whether the last process ended in order.
    clean: bool,
    /// A copy, and of which log.
    backup: (Epoch, Vec<Arc<Batch>>),
}

impl Disk {
    /// An empty one.
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

    /// Which log it holds.
    pub(crate) fn epoch(&self) -> Epoch {
        self.log.epoch()
    }

    /// A process carries out a commit, and is told so.
    pub(crate) fn append(&mut self, batch: Batch, rng: &mut Rng) -> Result<Committed, StoreError> {
        let committed = self.write(batch)?;
        if self.durability == Durability::Full || rng.u8(..8) == 0 {
            self.synced = self.written.len();
        }
        Ok(committed)
    }

    /// A commit is written, and whoever wanted it is not told: its process is ending.
    pub(crate) fn write_untold(&mut self, batch: Batch) {
        if let Ok(committed) = self.write(batch) {
            self.untold.push(committed);
        }
    }

    fn write(&mut self, batch: Batch) -> Result<Committed, StoreError> {
        let kept = Arc::new(batch.clone());
        let committed = self.log.append(batch)?;
        self.written.push(kept);
        Ok(committed)
    }

    /// A process begins to work with it. What it finds it may show, so it is synced first.
    pub(crate) fn open(&mut self, truth: &mut Truth) -> Result<(), Fault> {
        for committed in self.untold.drain(..) {
            truth.commit(self.log.epoch(), &committed)?;
        }
        if self.durability == Durability::Relaxed && !self.clean {
            self.become_another(truth, self.epoch());
        }
        self.synced = self.written.len();
        self.clean = false;
        for (name, extent) in rooms().iter().zip(self.log.extents()) {
            let committed = truth.head(self.epoch(), name);
            if extent.head != committed {
                let head = extent.head;
                return Err(format!(
                    "{committed} of #{name} were acknowledged, {head} are there"
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

    /// The power fails: what was not synced is gone, but for its beginning perhaps.
    pub(crate) fn power_cut(&mut self, rng: &mut Rng) {
        let survives = rng.usize(self.synced..=self.written.len());
        if survives < self.written.len() {
            self.untold.clear();
            self.written.truncate(survives);
            self.replay();
        }
        self.synced = self.written.len();
    }

    /// Somebody loses the disk and takes an empty one.
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
        // Of what nobody was told of yet, the truth knows nothing either.
        let told = self.written.len() - self.untold.len();
        self.backup = (self.epoch(), self.written[..told].to_vec());
    }

    /// The operator puts the last backup in its place: the log is another one from now on.
    pub(crate) fn restore(&mut self, truth: &mut Truth) {
        let (of, copy) = self.backup.clone();
        self.written = copy;
        self.untold.clear();
        self.become_another(truth, of);
        self.close();
    }

    /// The same entries, which were the first of the log `of`, under another epoch: what some client
    /// holds may differ from them.
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
    MemoryStore::new(Epoch::from_bytes([epoch; 8]), &rooms(), limits)
}
