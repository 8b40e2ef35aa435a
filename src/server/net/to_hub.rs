//! A worker's way to the hub: a bounded queue, and what waits for it to have room.

use std::{collections::VecDeque, future::Future};

use tokio::sync::mpsc::{self, error::TrySendError};

use crate::server::engine::event::Event;

/// See the module's docs.
pub(super) struct ToHub {
    events: mpsc::Sender<Event>,
    /// What the queue had no room for. While there is something, no requests are taken from
    /// connections: of those there is one at most, and one goodbye of each connection.
    waiting: VecDeque<Event>,
}

impl ToHub {
    pub(super) fn new(events: mpsc::Sender<Event>) -> Self {
        Self {
            events,
            waiting: VecDeque::new(),
        }
    }

    /// Whether requests have to wait.
    pub(super) fn is_full(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Tells it, now or once it has room, behind what was told before; false if it has ended.
    pub(super) fn tell(&mut self, event: Event) -> bool {
        if self.is_full() {
            self.waiting.push_back(event);
            return true;
        }
        match self.events.try_send(event) {
            Ok(()) => true,
            Err(TrySendError::Full(event)) => {
                self.waiting.push_back(event);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }

    /// Until it has room again: then what waits is told, as far as that goes. May be dropped and
    /// called again. Once the hub has ended, nothing waits any more.
    pub(super) fn has_room(&mut self) -> impl Future<Output = ()> + '_ {
        async {
            match self.events.reserve().await {
                Ok(permit) => {
                    if let Some(event) = self.waiting.pop_front() {
                        permit.send(event);
                    }
                }
                Err(_) => self.waiting.clear(),
            }
            while let Some(event) = self.waiting.pop_front() {
                if let Err(TrySendError::Full(event)) = self.events.try_send(event) {
                    self.waiting.push_front(event);
                    break;
                }
            }
        }
    }
}
