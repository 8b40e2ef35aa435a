//! A gate that stops a thread at a chosen call.

use std::sync::{Condvar, Mutex};

/// Lets a number of calls through, and holds the next one until it is opened.
#[derive(Debug, Default)]
pub(super) struct Gate {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// Calls that may pass; `None` for all.
    left: Option<u64>,
    /// Whether a call waits.
    holds: bool,
}

impl Gate {
    /// A gate that holds the first call.
    pub(super) fn closed() -> Self {
        let gate = Self::default();
        gate.let_through(Some(0));
        gate
    }

    pub(super) fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        while state.left == Some(0) {
            state.holds = true;
            self.changed.notify_all();
            state = self.changed.wait(state).unwrap();
        }
        if let Some(left) = &mut state.left {
            *left -= 1;
        }
    }

    /// Lets so many more calls through, or all.
    pub(super) fn let_through(&self, calls: Option<u64>) {
        let mut state = self.state.lock().unwrap();
        state.left = calls;
        state.holds = false;
        self.changed.notify_all();
    }

    /// Whether it holds a call.
    pub(super) fn holds(&self) -> bool {
        self.state.lock().unwrap().holds
    }

    /// Waits until it holds a call.
    pub(super) fn wait(&self) {
        let state = self.state.lock().unwrap();
        let _held = self.changed.wait_while(state, |state| !state.holds);
    }
}
