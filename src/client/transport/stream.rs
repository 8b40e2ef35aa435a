//! Transports for a connection's bytes: TCP, TLS over TCP, or a [pipe] to a server in this process.

use std::{
    fmt,
    io::{self, IoSlice, Read, Write},
    task::{Context, Poll},
};

use rustls::ClientConnection;
use tokio::net::TcpStream;

use crate::pipe;

/// An open connection, as the driver reads and writes it. No method blocks.
pub(super) trait Transport: fmt::Debug + Send + Sync {
    /// Reads the bytes that are there. 0: the other side closed the connection, cleanly or not.
    fn try_read(&mut self, space: &mut [u8]) -> io::Result<usize>;

    /// Takes as many bytes as there is room for. It may buffer them
    /// ([`holds_output`](Self::holds_output)): then it must be called again, with or without more.
    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Whether it holds bytes that are not written yet.
    fn holds_output(&self) -> bool {
        false
    }

    /// Checks whether there may be something to read (if `read`), or room to write (if `write`, or
    /// if it holds output). If not, the task is woken when there is.
    fn poll_ready(&self, cx: &mut Context<'_>, read: bool, write: bool) -> Poll<()>;
}

/// Ready if either is; both were polled, and so wake the task.
fn either(readable: bool, writable: bool) -> Poll<()> {
    if readable || writable {
        Poll::Ready(())
    } else {
        Poll::Pending
    }
}

impl Transport for TcpStream {
    fn try_read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        Self::try_read(self, space)
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::try_write(self, bytes)
    }

    fn poll_ready(&self, cx: &mut Context<'_>, read: bool, write: bool) -> Poll<()> {
        // The read or write that follows meets the error again and handles it.
        let readable = read && self.poll_read_ready(cx).is_ready();
        let writable = write && self.poll_write_ready(cx).is_ready();
        either(readable, writable)
    }
}

impl Transport for pipe::End {
    fn try_read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        Self::try_read(self, space)
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Self::try_write(self, bytes)
    }

    fn poll_ready(&self, cx: &mut Context<'_>, read: bool, write: bool) -> Poll<()> {
        let readable = read && self.poll_readable(cx).is_ready();
        let writable = write && self.poll_writable(cx).is_ready();
        either(readable, writable)
    }
}

/// A TLS session on its socket. Its buffers are bounded: one record to read, and its output limit
/// to write.
#[derive(Debug)]
pub(super) struct Tls {
    tcp: TcpStream,
    session: ClientConnection,
    /// Whether there may be decrypted bytes to read.
    more: bool,
}

impl Tls {
    /// Wraps a session after its handshake.
    pub(super) fn new(tcp: TcpStream, session: ClientConnection) -> Self {
        Self {
            tcp,
            session,
            // The first bytes may have come with the end of the handshake.
            more: true,
        }
    }

    /// The exporter value, unique to this session (RFC 9266, `tls-exporter`).
    pub(super) fn exporter(&self) -> Result<[u8; 32], rustls::Error> {
        let label = b"EXPORTER-Channel-Binding";
        self.session
            .export_keying_material([0; 32], label, Some(&[]))
    }

    /// Writes as much as there is room for.
    fn flush(&mut self) -> io::Result<()> {
        while self.session.wants_write() {
            match self.session.write_tls(&mut Socket(&self.tcp)) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

impl Transport for Tls {
    fn try_read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(space) {
                Ok(count) => {
                    self.more = count > 0;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.more = false,
                // Truncation is harmless: the protocol acknowledges frame by frame, so nothing
                // incomplete counts as complete.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Err(error) => return Err(error),
            }
            self.session.read_tls(&mut Socket(&self.tcp))?;
            let processed = self.session.process_new_packets();
            // Writes the session's own answers, such as an alert. The next write meets any error
            // again.
            let _ = self.flush();
            processed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))?;
        }
    }

    fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        if self.session.wants_write() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = self.session.writer().write(bytes)?;
        self.flush()?;
        Ok(count)
    }

    fn holds_output(&self) -> bool {
        self.session.wants_write()
    }

    fn poll_ready(&self, cx: &mut Context<'_>, read: bool, write: bool) -> Poll<()> {
        // The socket does not show decrypted bytes as readable.
        if read && self.more {
            return Poll::Ready(());
        }
        self.tcp.poll_ready(cx, read, write || self.holds_output())
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        self.session.send_close_notify();
        // The peer may be gone already.
        let _ = self.flush();
    }
}

/// A socket in the form that rustls uses: operations that would block return an error.
pub(super) struct Socket<'a>(pub(super) &'a TcpStream);

impl Read for Socket<'_> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        self.0.try_read(space)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.try_write(bytes)
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.try_write_vectored(parts)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
