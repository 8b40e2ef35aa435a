//! Readiness of a worker's sockets.
//!
//! Pipes wake the worker by themselves. TCP sockets have a poll of their own, which is a single
//! socket to the worker's runtime. So the runtime keeps no state for each socket (a tokio
//! registration takes 256 bytes and an allocation, and wakes a task each time): see
//! [`Connection`](super::connection::Connection).

use std::{
    collections::HashMap,
    io::{self, ErrorKind},
    net::TcpStream,
    os::fd::AsRawFd,
    sync::Arc,
    task::{Context, Wake, Waker},
    time::Duration,
};

use mio::{Events, Interest, Poll, Token, unix::SourceFd};
use tokio::{
    io::unix::AsyncFd,
    sync::mpsc::{self, UnboundedReceiver, UnboundedSender},
};

use super::transport::Transport;
use crate::pipe;

/// Sockets that are handled before others have their turn.
pub(super) const EVENTS_MAX: usize = 256;

/// The readiness of a socket. It is reported once after each change.
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
    pipes: Pipes,
}

/// The pipes of a worker.
struct Pipes {
    watched: HashMap<usize, (pipe::Watch, Waker)>,
    /// The numbers of pipes that became ready: once for each direction, and once at first.
    woken: UnboundedReceiver<usize>,
    wake: UnboundedSender<usize>,
}

/// Tells a worker which pipe became ready.
struct PipeWaker {
    number: usize,
    wake: UnboundedSender<usize>,
}

impl Wake for PipeWaker {
    fn wake(self: Arc<Self>) {
        // A worker that has ended has no connections.
        let _ = self.wake.send(self.number);
    }
}

impl Pipes {
    fn new() -> Self {
        let (wake, woken) = mpsc::unbounded_channel();
        Self {
            watched: HashMap::new(),
            woken,
            wake,
        }
    }

    fn add(&mut self, end: &pipe::End, number: usize) {
        let waker = Arc::new(PipeWaker {
            number,
            wake: self.wake.clone(),
        });
        // The present readiness is reported too.
        Arc::clone(&waker).wake();
        self.watched.insert(number, (end.watch(), waker.into()));
    }

    /// Waits until some are ready, and adds them.
    async fn ready(&mut self, found: &mut Vec<(usize, Readiness)>) {
        let mut next = self.woken.recv().await;
        while let Some(number) = next {
            if let Some((pipe, waker)) = self.watched.get(&number) {
                let mut cx = Context::from_waker(waker);
                let readiness = Readiness {
                    readable: pipe.poll_readable(&mut cx).is_ready(),
                    writable: pipe.poll_writable(&mut cx).is_ready(),
                    hung_up: pipe.is_hung_up(),
                };
                found.push((number, readiness));
            }
            if found.len() >= EVENTS_MAX {
                break;
            }
            next = self.woken.try_recv().ok();
        }
    }
}

impl Sockets {
    /// No sockets yet. To be called within a runtime.
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
            pipes: Pipes::new(),
        })
    }

    /// Watches a socket, under this number. Its present readiness is reported too.
    pub(super) fn add(&mut self, socket: &Transport<TcpStream>, number: usize) -> io::Result<()> {
        let socket = match socket {
            Transport::Tcp(socket) => socket,
            Transport::Memory(end) => {
                self.pipes.add(end, number);
                return Ok(());
            }
        };
        let interest = Interest::READABLE | Interest::WRITABLE;
        let registry = self.poll.get_ref().registry();
        registry.register(&mut SourceFd(&socket.as_raw_fd()), Token(number), interest)
    }

    /// Stops watching the socket of this number.
    pub(super) fn remove(&mut self, socket: &Transport<TcpStream>, number: usize) {
        let socket = match socket {
            Transport::Tcp(socket) => socket,
            Transport::Memory(_) => {
                self.pipes.watched.remove(&number);
                return;
            }
        };
        let registry = self.poll.get_ref().registry();
        // An error means that it is not watched anyway.
        let _ = registry.deregister(&mut SourceFd(&socket.as_raw_fd()));
    }

    /// Waits until some are ready, and adds them with their numbers. A number may belong to one
    /// that was removed since. Cancel-safe.
    pub(super) async fn ready(&mut self, found: &mut Vec<(usize, Readiness)>) -> io::Result<()> {
        let has_pipes = !self.pipes.watched.is_empty();
        let mut guard = tokio::select! {
            guard = self.poll.readable_mut() => guard?,
            () = self.pipes.ready(found), if has_pipes => return Ok(()),
        };
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
        // If there may be more, the poll still counts as ready: it would not report them again.
        if found.len() - before < EVENTS_MAX {
            guard.clear_ready();
        }
        Ok(())
    }
}
