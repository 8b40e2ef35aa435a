//! A connection as the driver reads and writes it, encrypted or not: nothing here waits but
//! [`Stream::ready`].

use std::io::{self, IoSlice, Read, Write};

use rustls::ClientConnection;
use tokio::{io::Interest, net::TcpStream};

/// An open connection.
#[derive(Debug)]
pub(super) enum Stream {
    Plain(TcpStream),
    Tls(Box<Tls>),
}

impl Stream {
    /// Reads what is there. 0: the other side closed the connection, in order or not.
    pub(super) fn try_read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.try_read(space),
            Self::Tls(tls) => tls.try_read(space),
        }
    }

    /// Takes as many bytes as there is room for. An encrypted connection may hold them back for a
    /// while ([`holds_output`](Self::holds_output)): then this is to be called again, with or
    /// without more.
    pub(super) fn try_write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(tcp) => tcp.try_write(bytes),
            Self::Tls(tls) => tls.try_write(bytes),
        }
    }

    /// Whether something was taken and is not out yet.
    pub(super) fn holds_output(&self) -> bool {
        match self {
            Self::Plain(_) => false,
            Self::Tls(tls) => tls.session.wants_write(),
        }
    }

    /// Waits until there may be something to read, or room to write.
    pub(super) async fn ready(&self, read: bool, write: bool) {
        let tcp = match self {
            Self::Plain(tcp) => tcp,
            // What is decrypted already shows on no socket.
            Self::Tls(tls) if read && tls.more => return,
            Self::Tls(tls) => &tls.tcp,
        };
        let interest = match (read, write || self.holds_output()) {
            (true, true) => Interest::READABLE | Interest::WRITABLE,
            (true, false) => Interest::READABLE,
            (false, true) => Interest::WRITABLE,
            (false, false) => return std::future::pending().await,
        };
        // An error is found again, and dealt with, by the read or write that follows.
        drop(tcp.ready(interest).await);
    }
}

/// A TLS session on its socket. What it holds is bounded: one record to be read, and as much to be
/// written as it takes at once.
#[derive(Debug)]
pub(super) struct Tls {
    tcp: TcpStream,
    session: ClientConnection,
    /// Whether there may be decrypted bytes that were not read yet.
    more: bool,
}

impl Tls {
    /// A session whose handshake is done.
    pub(super) fn new(tcp: TcpStream, session: ClientConnection) -> Self {
        Self {
            tcp,
            session,
            // The first bytes may have come with the end of the handshake.
            more: true,
        }
    }

    /// What makes this session this one and no other (RFC 9266, `tls-exporter`).
    pub(super) fn exporter(&self) -> Result<[u8; 32], rustls::Error> {
        let label = b"EXPORTER-Channel-Binding";
        self.session
            .export_keying_material([0; 32], label, Some(&[]))
    }

    fn try_read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        loop {
            match self.session.reader().read(space) {
                Ok(count) => {
                    self.more = count > 0;
                    return Ok(count);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.more = false,
                // Cut off in the middle: what was said is acknowledged, frame by frame, so nothing
                // can be taken for whole that is not.
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(0),
                Err(error) => return Err(error),
            }
            self.session.read_tls(&mut Socket(&self.tcp))?;
            let processed = self.session.process_new_packets();
            // Answers of the session's own: that it was not understood, say. An error is found
            // again by whoever writes.
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

    /// Writes what there is room for.
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

impl Drop for Tls {
    fn drop(&mut self) {
        self.session.send_close_notify();
        // Who is gone need not be told.
        let _ = self.flush();
    }
}

/// A socket as TLS reads and writes it: what can't be done now is an error that says so.
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
