//! One connection's bytes: as they are, or encrypted. Never waits where it does not say so.
//!
//! TLS holds no queue: what is taken to be written is one record at most, and no more is taken
//! until it has left; what is read is passed on at once, as far as there is space.

use std::{
    cell::{Cell, RefCell},
    io::{self, ErrorKind, IoSlice, Read, Write},
    net::Shutdown,
    task::{Context, Poll},
    time::Duration,
};

use rustls::ServerConnection;
use socket2::SockRef;
use tokio::{net::TcpStream, time::timeout};

/// Bytes that are read from a socket at once where nothing is held in part. Of encrypted ones: with the longest record that
/// lies here in part they make less than rustls keeps (16 KB) and a [`Sink`] that is asked to has
/// space for (16 KB).
pub(super) const SCRATCH_BYTES: usize = 12 * 1024;
/// Bytes that one connection may hold encrypted and not sent: of one record.
const RECORD_BYTES_MAX: usize = 16 * 1024;
/// What one goodbye reads at a time of what nobody wants any more.
const DISCARD_BYTES: usize = 4 * 1024;

/// See the module's docs.
pub(super) struct Stream {
    socket: TcpStream,
    tls: Option<Box<Session>>,
}

struct Session {
    connection: RefCell<ServerConnection>,
    /// It holds what was received and there was no space for.
    unread: Cell<bool>,
}

impl Stream {
    pub(super) fn plain(socket: TcpStream) -> Self {
        Self { socket, tls: None }
    }

    /// After the handshake.
    pub(super) fn encrypted(socket: TcpStream, mut connection: ServerConnection) -> Self {
        connection.set_buffer_limit(Some(RECORD_BYTES_MAX));
        let session = Session {
            connection: connection.into(),
            // What the client has sent right behind the handshake.
            unread: Cell::new(true),
        };
        Self {
            socket,
            tls: Some(Box::new(session)),
        }
    }

    /// Whether there may be something to read.
    pub(super) fn poll_read_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_read_ready(context)
    }

    /// Whether something may be written.
    pub(super) fn poll_write_ready(&self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket.poll_write_ready(context)
    }

    // Writing.

    /// Whether all that was taken has left. To be called before anything else is written.
    pub(super) fn settle(&self) -> io::Result<bool> {
        let Some(tls) = &self.tls else {
            return Ok(true);
        };
        let mut connection = tls.connection.borrow_mut();
        while connection.wants_write() {
            match connection.write_tls(&mut Socket(&self.socket)) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(true)
    }

    /// Takes what it can of these, and says how many bytes.
    pub(super) fn write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let Some(tls) = &self.tls else {
            return match slices {
                [one] => self.socket.try_write(one),
                several => self.socket.try_write_vectored(several),
            };
        };
        let taken = tls.connection.borrow_mut().writer().write_vectored(slices);
        self.settle()?;
        match taken {
            // Keys had to be changed first, and are now.
            Ok(0) => Err(ErrorKind::Interrupted.into()),
            taken => taken,
        }
    }

    // Reading.

    /// Whether there is something to read that the socket does not know of.
    pub(super) fn is_unread(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.unread.get())
    }

    /// Reads once, and hands on what came: `into` has the space, and is told how much of it was
    /// used. `false` at the end.
    pub(super) fn read(
        &self,
        into: &mut impl Sink,
        scratch: &mut [u8; SCRATCH_BYTES],
    ) -> io::Result<bool> {
        let Some(tls) = &self.tls else {
            // Frames that come whole need no room of the connection's own to read into.
            if into.is_drained() {
                let count = self.socket.try_read(scratch)?;
                if count > 0 {
                    into.feed(&scratch[..count]);
                }
                return Ok(count > 0);
            }
            let count = self.socket.try_read(into.space())?;
            into.filled(count);
            return Ok(count > 0);
        };
        let mut connection = tls.connection.borrow_mut();
        if tls.unread.get() {
            return tls.pass_on(&mut connection, into);
        }
        let read = self.socket.try_read(scratch);
        let mut encrypted = match read {
            Ok(0) => return Ok(false),
            Ok(count) => &scratch[..count],
            Err(error) => {
                if error.kind() == ErrorKind::WouldBlock {
                    // Lets it give back what it needed for a long record.
                    let _ = connection.read_tls(&mut Nothing);
                }
                return Err(error);
            }
        };
        while !encrypted.is_empty() {
            take_in(&mut connection, &mut encrypted, &self.socket)?;
            if !tls.pass_on(&mut connection, into)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    // Closing.

    /// Everything is written. If the connection were closed with something unread in it, what was
    /// written last might never be read: so the other end is left to close first, for a while.
    pub(super) async fn close(&self, within: Duration) {
        let close = async {
            if let Some(tls) = &self.tls {
                tls.connection.borrow_mut().send_close_notify();
                while !self.settle()? {
                    self.socket.writable().await?;
                }
            }
            SockRef::from(&self.socket).shutdown(Shutdown::Write)?;
            loop {
                self.socket.readable().await?;
                match self.socket.try_read(&mut [0; DISCARD_BYTES]) {
                    Ok(0) => return Ok(()),
                    Ok(_) => {}
                    Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                    Err(error) => return Err(error),
                }
            }
        };
        // However it ends: it is closed now.
        let _: Result<io::Result<()>, _> = timeout(within, close).await;
    }
}

impl Session {
    /// Hands on what was deciphered; `false` at the end.
    fn pass_on(&self, connection: &mut ServerConnection, into: &mut impl Sink) -> io::Result<bool> {
        loop {
            let space = into.space();
            if space.is_empty() {
                self.unread.set(true);
                return Ok(true);
            }
            match connection.reader().read(space) {
                Ok(0) => {
                    self.unread.set(false);
                    return Ok(false);
                }
                Ok(count) => into.filled(count),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.unread.set(false);
                    return Ok(true);
                }
                Err(error) => return Err(error),
            }
        }
    }
}

/// Who reads.
pub(super) trait Sink {
    /// Whether nothing of what was read before waits for more.
    fn is_drained(&self) -> bool;
    /// Takes these bytes, [`SCRATCH_BYTES`] at the most; only while it is drained.
    fn feed(&mut self, bytes: &[u8]);
    /// Where to read to; empty if nothing can be taken now.
    fn space(&mut self) -> &mut [u8];
    /// So many bytes of it were used.
    fn filled(&mut self, count: usize);
}

/// Deciphers some of the bytes. If they are not as they should be, the other end is told as well
/// as can be.
pub(super) fn take_in(
    connection: &mut ServerConnection,
    encrypted: &mut &[u8],
    socket: &TcpStream,
) -> io::Result<()> {
    connection.read_tls(encrypted)?;
    if let Err(error) = connection.process_new_packets() {
        let _ = connection.write_tls(&mut Socket(socket));
        return Err(io::Error::new(ErrorKind::InvalidData, error));
    }
    Ok(())
}

/// A socket, to be written to as far as it takes it.
pub(super) struct Socket<'a>(pub(super) &'a TcpStream);

impl Write for Socket<'_> {
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

/// Nothing to read, for now.
struct Nothing;

impl Read for Nothing {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(ErrorKind::WouldBlock.into())
    }
}
