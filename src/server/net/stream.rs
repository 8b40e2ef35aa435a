//! A connection's bytes, plain or encrypted. Only functions that say so wait.
//!
//! TLS holds no queue: at most one record is taken to be written, and no more until it has left;
//! received bytes are passed on at once, as far as there is space.

use std::{
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::TcpStream,
    time::Duration,
};

use rustls::ServerConnection;
use tokio::{net::TcpStream as AsyncStream, task::yield_now, time::timeout};

use super::transport::{Socket, Transport};

/// Bytes that are read from a socket at once, when no partial frame is held. Together with a
/// partial record of the longest kind they are less than rustls keeps (16 KB), and than the space
/// of a [`Sink`] (16 KB).
pub(super) const SCRATCH_BYTES: usize = 12 * 1024;
/// Bytes of one record that a connection may hold encrypted and unsent.
const RECORD_BYTES_MAX: usize = 16 * 1024;
/// Bytes that a closing connection reads and discards at a time.
const DISCARD_BYTES: usize = 4 * 1024;

/// See the module's docs.
pub(super) struct Stream<T> {
    socket: Transport<T>,
    tls: Option<Box<Session>>,
}

struct Session {
    connection: ServerConnection,
    /// It holds received bytes for which there was no space.
    unread: bool,
}

/// The result of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Intake {
    /// Bytes arrived, and there may be more.
    Some,
    /// Bytes may have arrived; the socket has no more for now.
    All,
    /// The other end sends no more.
    End,
}

impl<T: Socket> Stream<T> {
    pub(super) fn plain(socket: Transport<T>) -> Self {
        Self { socket, tls: None }
    }

    /// A stream after its TLS handshake.
    pub(super) fn encrypted(socket: Transport<T>, mut connection: ServerConnection) -> Self {
        connection.set_buffer_limit(Some(RECORD_BYTES_MAX));
        let session = Session {
            connection,
            // Bytes that the client sent right behind the handshake.
            unread: true,
        };
        Self {
            socket,
            tls: Some(Box::new(session)),
        }
    }

    pub(super) fn socket(&self) -> &Transport<T> {
        &self.socket
    }

    /// The same stream, with another kind of socket.
    fn exchange<U>(self, exchange: impl FnOnce(T) -> io::Result<U>) -> io::Result<Stream<U>> {
        Ok(Stream {
            socket: self.socket.exchange(exchange)?,
            tls: self.tls,
        })
    }

    /// Sends what was taken before; returns whether all of it has left. To be called before
    /// anything else is written.
    pub(super) fn settle(&mut self) -> io::Result<bool> {
        let Some(tls) = &mut self.tls else {
            return Ok(true);
        };
        while tls.connection.wants_write() {
            match tls.connection.write_tls(&mut Outlet(&self.socket)) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Takes as many of these bytes as it can, and returns their number.
    pub(super) fn write(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else {
            return match slices {
                [one] => self.socket.try_write(one),
                several => self.socket.try_write_vectored(several),
            };
        };
        let taken = tls.connection.writer().write_vectored(slices);
        self.settle()?;
        match taken {
            // The keys had to be changed first, and are now.
            Ok(0) => Err(ErrorKind::Interrupted.into()),
            taken => taken,
        }
    }

    /// Whether there are bytes to read that the socket does not know of.
    pub(super) fn is_unread(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.unread)
    }

    /// Reads once, and passes the bytes on to `into`.
    pub(super) fn read(
        &mut self,
        into: &mut impl Sink,
        scratch: &mut [u8; SCRATCH_BYTES],
    ) -> io::Result<Intake> {
        let Some(tls) = &mut self.tls else {
            // Whole frames are decoded without a buffer of the connection's own.
            if into.is_drained() {
                let count = self.socket.try_read(scratch)?;
                if count > 0 {
                    into.feed(&scratch[..count]);
                }
                return Ok(Intake::of(count, SCRATCH_BYTES));
            }
            let space = into.space();
            let asked = space.len();
            let count = self.socket.try_read(space)?;
            into.filled(count);
            return Ok(Intake::of(count, asked));
        };
        if tls.unread {
            let goes_on = tls.pass_on(into)?;
            return Ok(if goes_on { Intake::Some } else { Intake::End });
        }
        let read = self.socket.try_read(scratch);
        let (mut encrypted, intake) = match read {
            Ok(0) => return Ok(Intake::End),
            Ok(count) => (&scratch[..count], Intake::of(count, SCRATCH_BYTES)),
            Err(error) => {
                if error.kind() == ErrorKind::WouldBlock {
                    tls.tidy();
                }
                return Err(error);
            }
        };
        while !encrypted.is_empty() {
            take_in(&mut tls.connection, &mut encrypted, &self.socket)?;
            if !tls.pass_on(into)? {
                return Ok(Intake::End);
            }
        }
        if intake == Intake::All {
            tls.tidy();
        }
        Ok(intake)
    }
}

impl Stream<AsyncStream> {
    /// Converts it for a worker.
    pub(super) fn into_std(self) -> io::Result<Stream<TcpStream>> {
        self.exchange(AsyncStream::into_std)
    }

    /// Waits until there may be something to read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        self.socket.readable().await
    }

    /// Waits until something may be written.
    pub(super) async fn writable(&self) -> io::Result<()> {
        self.socket.writable().await
    }

    /// Closes the connection after everything is written. Closing with unread input could discard
    /// the last bytes written (TCP reset), so the other end gets some time to close first.
    pub(super) async fn close(mut self, within: Duration) {
        let close = async {
            if let Some(tls) = &mut self.tls {
                tls.connection.send_close_notify();
                while !self.settle()? {
                    self.socket.writable().await?;
                }
            }
            self.socket.end()?;
            loop {
                self.socket.readable().await?;
                match self.socket.try_read(&mut [0; DISCARD_BYTES]) {
                    Ok(0) => return Ok(()),
                    // However much arrives, the time limit is checked.
                    Ok(_) => yield_now().await,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        };
        // In any case it is closed now.
        let _: Result<io::Result<()>, _> = timeout(within, close).await;
    }
}

impl Stream<TcpStream> {
    /// Converts it for a task of its own.
    pub(super) fn into_async(self) -> io::Result<Stream<AsyncStream>> {
        self.exchange(AsyncStream::from_std)
    }
}

impl Intake {
    /// Classifies a read by its length. A socket that gives less than asked for has no more.
    fn of(count: usize, asked: usize) -> Self {
        match count {
            0 => Self::End,
            _ if count < asked => Self::All,
            _ => Self::Some,
        }
    }
}

impl Session {
    /// Passes decrypted bytes on; `false` at the end of input.
    fn pass_on(&mut self, into: &mut impl Sink) -> io::Result<bool> {
        loop {
            let space = into.space();
            if space.is_empty() {
                self.unread = true;
                return Ok(true);
            }
            match self.connection.reader().read(space) {
                Ok(0) => {
                    self.unread = false;
                    return Ok(false);
                }
                Ok(count) => into.filled(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.unread = false;
                    return Ok(true);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Makes rustls release the buffer of a long record.
    fn tidy(&mut self) {
        let _ = self.connection.read_tls(&mut Nothing);
    }
}

/// The receiver of a stream's bytes.
pub(super) trait Sink {
    /// Whether it holds no partial frame.
    fn is_drained(&self) -> bool;
    /// Takes these bytes, at most [`SCRATCH_BYTES`]; only while it is drained.
    fn feed(&mut self, bytes: &[u8]);
    /// The buffer to read into; empty if nothing can be taken now.
    fn space(&mut self) -> &mut [u8];
    /// The number of bytes that were written to `space`.
    fn filled(&mut self, count: usize);
}

/// Decrypts some of the bytes. If they are invalid, an alert is sent as far as possible.
pub(super) fn take_in(
    connection: &mut ServerConnection,
    encrypted: &mut &[u8],
    socket: &impl Socket,
) -> io::Result<()> {
    connection.read_tls(encrypted)?;
    if let Err(error) = connection.process_new_packets() {
        let _ = connection.write_tls(&mut Outlet(socket));
        return Err(io::Error::new(ErrorKind::InvalidData, error));
    }
    Ok(())
}

/// A socket as a [`Write`] that never waits.
pub(super) struct Outlet<'a, S>(pub(super) &'a S);

impl<S: Socket> Write for Outlet<'_, S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A reader that has nothing for now.
struct Nothing;

impl Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}
