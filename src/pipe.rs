//! A connection within one process: two ends that exchange bytes.
//!
//! It replaces a socket where client and server are one program: for a session that the server runs
//! itself, or in a test. Only [`Connector::connect`] and [`Listener::accept`] wait. An end that
//! can't proceed returns [`ErrorKind::WouldBlock`] and wakes the task that polled it when it can.
//! Each direction holds at most [`CAPACITY_BYTES`], so that a slow reader slows the writer down, as
//! over TCP.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, IoSlice, Read},
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::sync::mpsc;

/// Bytes that one direction holds.
pub const CAPACITY_BYTES: usize = 64 * 1024;
/// Connections that may wait to be accepted; [`Connector::connect`] waits while there are as many.
const BACKLOG: usize = 64;
/// Address of both ends: this machine's, with a port that no socket has.
pub const ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// One end of a connection. Dropping it closes both directions.
#[derive(Debug)]
pub struct End(Watch);

/// Reports when an [`End`] is ready; does not keep the connection open.
#[derive(Clone, Debug)]
pub struct Watch {
    input: Arc<Direction>,
    output: Arc<Direction>,
}

#[derive(Debug, Default)]
struct Direction(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    bytes: VecDeque<u8>,
    /// The writer has finished or was dropped: no more bytes will follow.
    ended: bool,
    /// The reader was dropped.
    broken: bool,
    /// Woken when bytes, or the end, can be read.
    reader: Option<Waker>,
    /// Woken when there is room.
    writer: Option<Waker>,
}

impl State {
    fn has_room(&self) -> bool {
        self.bytes.len() < CAPACITY_BYTES
    }

    fn is_readable(&self) -> bool {
        !self.bytes.is_empty() || self.ended
    }

    fn is_writable(&self) -> bool {
        self.has_room() || self.broken || self.ended
    }
}

impl Direction {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.state();
        if state.bytes.is_empty() {
            return if state.ended {
                Ok(0)
            } else {
                Err(ErrorKind::WouldBlock.into())
            };
        }
        let had_room = state.has_room();
        let mut count = 0;
        // The deque's bytes lie in at most two pieces.
        for _ in 0..2 {
            count += state.bytes.read(&mut into[count..])?;
        }
        let writer = state.writer.take_if(|_| !had_room);
        drop(state);
        wake(writer);
        Ok(count)
    }

    fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut state = self.state();
        if state.broken || state.ended {
            return Err(ErrorKind::BrokenPipe.into());
        }
        if !state.has_room() {
            return Err(ErrorKind::WouldBlock.into());
        }
        let before = state.bytes.len();
        for slice in slices {
            let room = CAPACITY_BYTES - state.bytes.len();
            state.bytes.extend(&slice[..slice.len().min(room)]);
        }
        let count = state.bytes.len() - before;
        let reader = state.reader.take_if(|_| before == 0 && count > 0);
        drop(state);
        wake(reader);
        Ok(count)
    }

    /// Ends the direction; bytes already written can still be read.
    fn end(&self) {
        let mut state = self.state();
        state.ended = true;
        let (reader, writer) = (state.reader.take(), state.writer.take());
        drop(state);
        wake(reader);
        wake(writer);
    }

    /// Records that nothing more is read.
    fn abandon(&self) {
        let mut state = self.state();
        state.broken = true;
        state.bytes = VecDeque::new();
        let writer = state.writer.take();
        drop(state);
        wake(writer);
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// Makes a new connection.
pub fn pair() -> (End, End) {
    let (there, back) = (Arc::default(), Arc::default());
    let end = |input: &Arc<Direction>, output: &Arc<Direction>| {
        End(Watch {
            input: Arc::clone(input),
            output: Arc::clone(output),
        })
    };
    (end(&back, &there), end(&there, &back))
}

impl End {
    /// Reads the bytes that are there. 0 means that the other end has closed its direction or was
    /// dropped.
    pub fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        self.0.input.read(into)
    }

    /// Writes as many bytes as there is room for.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.0.output.write(&[IoSlice::new(bytes)])
    }

    /// Writes as much of several slices as there is room for.
    pub fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.output.write(slices)
    }

    /// Closes the direction that this end writes.
    pub fn end(&self) {
        self.0.output.end();
    }

    /// Checks whether there may be something to read; if not, the task is woken when there is.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_readable(cx)
    }

    /// Checks whether something may be written; if not, the task is woken when it may.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll_writable(cx)
    }

    /// Returns a [`Watch`], which can wait for this end without owning it.
    pub fn watch(&self) -> Watch {
        self.0.clone()
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.0.output.end();
        self.0.input.abandon();
    }
}

impl Watch {
    /// As [`End::poll_readable`].
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.input.state();
        state.reader = Some(cx.waker().clone());
        ready(state.is_readable())
    }

    /// As [`End::poll_writable`].
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.output.state();
        state.writer = Some(cx.waker().clone());
        ready(state.is_writable())
    }

    /// Whether the other end sends no more, or reads no more.
    pub fn is_hung_up(&self) -> bool {
        self.input.state().ended || self.output.state().broken
    }
}

fn ready(is_ready: bool) -> Poll<()> {
    if is_ready {
        Poll::Ready(())
    } else {
        Poll::Pending
    }
}

/// Makes connections to a [`Listener`]. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Connector(mpsc::Sender<End>);

/// Accepts the connections that its [`Connector`]s make.
#[derive(Debug)]
pub struct Listener(mpsc::Receiver<End>);

/// Makes a listener and its connector.
pub fn listen() -> (Connector, Listener) {
    let (connect, accept) = mpsc::channel(BACKLOG);
    (Connector(connect), Listener(accept))
}

impl Connector {
    /// Makes a connection.
    ///
    /// # Errors
    /// [`ErrorKind::ConnectionRefused`] if the listener is gone.
    pub async fn connect(&self) -> io::Result<End> {
        let (own, other) = pair();
        let sent = self.0.send(other).await;
        sent.map_err(|_| ErrorKind::ConnectionRefused)?;
        Ok(own)
    }
}

impl Listener {
    /// Accepts the next connection; `None` once all connectors are dropped.
    pub async fn accept(&mut self) -> Option<End> {
        self.0.recv().await
    }
}

#[cfg(test)]
mod tests {
    use std::{
        future::poll_fn,
        sync::atomic::{AtomicUsize, Ordering},
        task::Wake,
    };

    use super::*;

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn is_blocked<T: std::fmt::Debug>(result: &io::Result<T>) -> bool {
        matches!(result, Err(error) if error.kind() == ErrorKind::WouldBlock)
    }

    #[test]
    fn bytes_arrive_in_order_however_they_are_written_and_read() {
        let (near, far) = pair();
        let sent: Vec<u8> = (0..200_000_u32).map(|n| n.to_le_bytes()[0]).collect();
        let (mut written, mut read, mut chunk) = (0, Vec::new(), 1);
        while read.len() < sent.len() {
            chunk = chunk * 7 % 10_007 + 1;
            let rest = &sent[written..];
            let (first, second) = rest[..rest.len().min(chunk)].split_at(chunk.min(rest.len()) / 2);
            match near.try_write_vectored(&[IoSlice::new(first), IoSlice::new(second)]) {
                Ok(some) => written += some,
                blocked => assert!(is_blocked(&blocked)),
            }
            let mut into = vec![0; chunk * 5 % 8_009 + 1];
            match far.try_read(&mut into) {
                Ok(some) => read.extend_from_slice(&into[..some]),
                blocked => assert!(is_blocked(&blocked)),
            }
        }
        assert_eq!(read, sent);
    }

    #[test]
    fn a_read_takes_all_that_is_there() {
        let (near, far) = pair();
        let mut into = vec![0; CAPACITY_BYTES];
        // The bytes wrap around the ring's end.
        for size in [CAPACITY_BYTES - 10, 1000, CAPACITY_BYTES] {
            assert_eq!(near.try_write(&vec![1; size]).unwrap(), size);
            assert_eq!(far.try_read(&mut into).unwrap(), size);
        }
    }

    #[test]
    fn a_full_direction_takes_no_more_and_wakes_the_writer_when_it_does() {
        let (near, far) = pair();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        assert_eq!(near.try_write(&vec![7; 100_000]).unwrap(), CAPACITY_BYTES);
        assert!(is_blocked(&near.try_write(b"x")));
        assert!(near.poll_writable(&mut cx).is_pending());
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        assert_eq!(far.try_read(&mut [0; 10]).unwrap(), 10);
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(near.poll_writable(&mut cx).is_ready());
        assert_eq!(near.try_write(&[7; 100]).unwrap(), 10);
    }

    #[test]
    fn a_reader_is_woken_by_bytes_and_by_the_end() {
        let (near, far) = pair();
        let count = Arc::new(Count::default());
        let waker = Waker::from(Arc::clone(&count));
        let mut cx = Context::from_waker(&waker);
        assert!(far.poll_readable(&mut cx).is_pending());
        near.try_write(b"one").unwrap();
        near.try_write(b"two").unwrap();
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(far.poll_readable(&mut cx).is_ready());
        let mut into = [0; 10];
        assert_eq!(far.try_read(&mut into).unwrap(), 6);
        assert!(is_blocked(&far.try_read(&mut into)));
        assert!(far.poll_readable(&mut cx).is_pending());
        near.end();
        assert_eq!(count.0.load(Ordering::Relaxed), 2);
        assert!(far.watch().is_hung_up());
        assert_eq!(far.try_read(&mut into).unwrap(), 0);
        // The other direction is still open.
        far.try_write(b"three").unwrap();
        assert_eq!(near.try_read(&mut into).unwrap(), 5);
    }

    #[test]
    fn an_end_that_is_gone_leaves_what_it_wrote_and_reads_no_more() {
        let (near, far) = pair();
        near.try_write(b"last").unwrap();
        drop(near);
        let mut into = [0; 10];
        assert_eq!(far.try_read(&mut into).unwrap(), 4);
        assert_eq!(far.try_read(&mut into).unwrap(), 0);
        let refused = far.try_write(b"x").unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::BrokenPipe);
    }

    #[tokio::test]
    async fn connections_are_made_while_there_is_a_listener() {
        let (connector, mut listener) = listen();
        let (near, far) = tokio::join!(connector.connect(), listener.accept());
        let (near, far) = (near.unwrap(), far.unwrap());
        near.try_write(b"hello").unwrap();
        poll_fn(|cx| far.poll_readable(cx)).await;
        assert_eq!(far.try_read(&mut [0; 10]).unwrap(), 5);
        drop(listener);
        let refused = connector.connect().await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}
