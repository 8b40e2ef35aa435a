//! A worker's queue to the hub: bounded, with a buffer for events that did not fit.

use std::collections::VecDeque;

use tokio::sync::mpsc::{self, error::TrySendError};

use crate::server::core::event::Event;

/// See the module's docs.
pub(super) struct HubSender {
    events: mpsc::Sender<Event>,
    /// Events that the queue had no room for. While there are any, the worker takes no new
    /// connections and reads from none: so there is at most one request and one close of each
    /// connection.
    waiting: VecDeque<Event>,
}

impl HubSender {
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

    /// Sends an event, now or once there is room, in order; false if the hub has ended.
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

    /// Waits until there is room again, then sends as many waiting events as fit. Cancel-safe. Once
    /// the hub has ended, the waiting events are discarded.
    pub(super) async fn has_room(&mut self) {
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

#[cfg(test)]
mod tests {
    use std::{future::Future, pin::pin, task::Context, task::Poll, task::Waker};

    use super::*;
    use crate::{protocol::frame::Departure, server::core::ConnectionId};

    fn closed(number: u64) -> Event {
        Event::Closed {
            connection: ConnectionId::new(0, number),
            reason: Departure::Lost,
        }
    }

    fn heard(events: &mut mpsc::Receiver<Event>) -> Vec<u64> {
        let mut numbers = Vec::new();
        while let Ok(Event::Closed { connection, .. }) = events.try_recv() {
            numbers.push(connection.number());
        }
        numbers
    }

    fn goes_on(hub_sender: &mut HubSender) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        pin!(hub_sender.has_room()).poll(&mut context) == Poll::Ready(())
    }

    #[test]
    fn waiting_events_are_sent_in_order() {
        let (events, mut queue) = mpsc::channel(2);
        let mut hub_sender = HubSender::new(events);
        for number in 1..=5 {
            assert!(hub_sender.tell(closed(number)));
        }
        assert!(hub_sender.is_full() && !goes_on(&mut hub_sender));
        assert_eq!(heard(&mut queue), [1, 2]);
        assert!(goes_on(&mut hub_sender) && hub_sender.is_full());
        // Behind the events that wait already.
        assert!(hub_sender.tell(closed(6)));
        assert_eq!(heard(&mut queue), [3, 4]);
        assert!(goes_on(&mut hub_sender) && !hub_sender.is_full());
        assert_eq!(heard(&mut queue), [5, 6]);
    }

    #[test]
    fn nothing_waits_for_a_hub_that_has_ended() {
        let (events, queue) = mpsc::channel(1);
        let mut hub_sender = HubSender::new(events);
        assert!(hub_sender.tell(closed(1)) && hub_sender.tell(closed(2)));
        drop(queue);
        assert!(goes_on(&mut hub_sender) && !hub_sender.is_full());
        assert!(!hub_sender.tell(closed(3)));
    }
}
