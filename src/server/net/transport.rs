//! The transport of a connection's bytes: a TCP socket, or a [pipe] within this process.

use std::{
    future::poll_fn,
    io::{self, IoSlice, Read, Write},
    net::{Shutdown, SocketAddr, TcpStream},
};

use socket2::SockRef;
use tokio::net::TcpStream as AsyncStream;

use crate::pipe;

/// Reads and writes that never wait.
pub(super) trait Socket {
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize>;
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize>;
    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize>;
}

impl Socket for AsyncStream {
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        Self::try_read(self, into)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        Self::try_write(self, bytes)
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Self::try_write_vectored(self, slices)
    }
}

impl Socket for TcpStream {
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        Read::read(&mut { self }, into)
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        Write::write(&mut { self }, bytes)
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        Write::write_vectored(&mut { self }, slices)
    }
}

/// The transport of a connection. `T` is the kind of TCP socket: the standard library's, for a
/// worker, or tokio's, which a task can wait for.
#[derive(Debug)]
pub(super) enum Transport<T> {
    Tcp(T),
    Memory(pipe::End),
}

impl<T: Socket> Socket for Transport<T> {
    fn try_read(&self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.try_read(into),
            Self::Memory(end) => end.try_read(into),
        }
    }

    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.try_write(bytes),
            Self::Memory(end) => end.try_write(bytes),
        }
    }

    fn try_write_vectored(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            Self::Tcp(tcp) => tcp.try_write_vectored(slices),
            Self::Memory(end) => end.try_write_vectored(slices),
        }
    }
}

impl<T> Transport<T> {
    /// The same transport, with another kind of TCP socket.
    pub(super) fn exchange<U>(
        self,
        exchange: impl FnOnce(T) -> io::Result<U>,
    ) -> io::Result<Transport<U>> {
        Ok(match self {
            Self::Tcp(tcp) => Transport::Tcp(exchange(tcp)?),
            Self::Memory(end) => Transport::Memory(end),
        })
    }

    /// Whether the bytes never leave this process.
    pub(super) fn is_memory(&self) -> bool {
        matches!(self, Self::Memory(_))
    }
}

impl Transport<AsyncStream> {
    /// The address of the server's end.
    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        match self {
            Self::Tcp(tcp) => tcp.local_addr(),
            Self::Memory(_) => Ok(pipe::ADDRESS),
        }
    }

    /// Waits until there may be something to read.
    pub(super) async fn readable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.readable().await,
            Self::Memory(end) => {
                poll_fn(|cx| end.poll_readable(cx)).await;
                Ok(())
            }
        }
    }

    /// Waits until something may be written.
    pub(super) async fn writable(&self) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => tcp.writable().await,
            Self::Memory(end) => {
                poll_fn(|cx| end.poll_writable(cx)).await;
                Ok(())
            }
        }
    }

    /// Closes the sending direction.
    pub(super) fn end(&self) -> io::Result<()> {
        match self {
            Self::Tcp(tcp) => SockRef::from(tcp).shutdown(Shutdown::Write),
            Self::Memory(end) => {
                end.end();
                Ok(())
            }
        }
    }
}
