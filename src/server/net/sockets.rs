//! Which of a worker's sockets are ready.
//!
//! They have a poll of their own, which is itself one socket among those that the worker's runtime
//! waits for. So the runtime keeps nothing for each of them (a registration of tokio's takes 256
//! bytes and an allocation, and every socket that becomes ready wakes a task), and a connection is
//! what the worker makes of it: see [`Connection`](super::connection::Connection).

use std::{
    io::{self, ErrorKind},
    os::fd::AsRawFd,
    time::Duration,
};

use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use tokio::io::unix::AsyncFd;

/// Sockets that are looked at before others have their turn.
pub(super) const EVENTS_MAX: usize = 256;

/// What a socket is ready for. Told when that changes, and not again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Readiness {
    pub(super) readable: bool,
    pub(super) writable: bool,
    /// The other end sends no more, or the connection is broken.
    pub(super) hung_up: bool,
}

/// See the module's docs.
pub(super) struct Sockets {
    poll: AsyncFd<Poll>,
    events: Events,
}

impl Sockets {
    /// None yet. To be called within a runtime.
    pub(super) fn new() -> io::Result<Self> {
        #[allow(
            deprecated,
            reason = "sound for whoever owns the descriptor that it names, as a poll does; the other \
                      constructor wants that said in an unsafe block, and there is none here"
        )]
        let poll = AsyncFd::with_interest(Poll::new()?, tokio::io::Interest::READABLE);
        Ok(Self {
            poll: poll?,
            events: Events::with_capacity(EVENTS_MAX),
        })
    }

    /// Watches one more, under this number. What it is ready for already is told too.
    pub(super) fn add(&self, socket: &impl AsRawFd, number: usize) -> io::Result<()> {
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.get_ref().registry();
        registry.register(&mut SourceFd(&socket.as_raw_fd()), Token(number), interest)
    }

    /// Watches one no longer.
    pub(super) fn remove(&self, socket: &impl AsRawFd) {
        let registry = self.poll.get_ref().registry();
        // One that is not there is not watched either.
        let _ = registry.deregister(&mut SourceFd(&socket.as_raw_fd()));
    }

    /// Until some are ready; adds them, with their numbers. A number may be that of one that was
    /// removed since. May be dropped and called again.
    pub(super) async fn ready(&mut self, found: &mut Vec<(usize, Readiness)>) -> io::Result<()> {
        let mut guard = self.poll.readable_mut().await?;
        let poll = guard.get_inner_mut();
        if let Err(error) = poll.poll(&mut self.events, Some(Duration::ZERO)) {
            let passes = error.kind() == ErrorKind::Interrupted;
            return if passes { Ok(()) } else { Err(error) };
        }
        let before = found.len();
        found.extend(self.events.iter().map(|event| {
            let hung_up = event.is_read_closed() || event.is_error();
            let readiness = Readiness {
                readable: event.is_readable() || hung_up,
                writable: event.is_writable() || event.is_write_closed(),
                hung_up,
            };
            (event.token().0, readiness)
        }));
        // If there may be more, it is still ready: it would not tell of those again.
        if found.len() - before < EVENTS_MAX {
            guard.clear_ready();
        }
        Ok(())
    }
}
