//! A member: encrypted, with a key. Its calls never block on the server.

use std::{
    io::{BufRead, ErrorKind},
    mem::take,
    net::SocketAddr,
    time::Instant,
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use serde_json::{Value, json};

use crate::peer::{Peer, join, somebody};

/// See the module's docs.
pub(crate) struct Member {
    peer: Peer,
    device: String,
    counter: u64,
    /// The received part of the next frame.
    line: Vec<u8>,
}

impl Member {
    pub(crate) fn enter(to: SocketAddr, nickname: &str, key: u64) -> Self {
        let mut peer = Peer::retrying(to);
        let welcome = peer.enter(&join(nickname), &somebody(key));
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        peer.socket.set_nonblocking(true).unwrap();
        Self {
            peer,
            device: welcome["device"].as_str().unwrap().to_owned(),
            counter: 0,
            line: Vec::new(),
        }
    }

    pub(crate) fn say(&mut self, text: &str) {
        self.counter += 1;
        let id = format!("{}-{}", self.device, self.counter);
        self.send(&json!({"type": "message", "room": "lobby", "id": id, "message": text}));
    }

    pub(crate) fn send(&mut self, frame: &Value) {
        match self.peer.try_write(format!("{frame}\n")) {
            // The TLS session holds the frame, and writes it with the next one.
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            written => written.unwrap(),
        }
    }

    /// Returns the next frame's bytes once it is complete.
    pub(crate) fn arrived(&mut self) -> Option<Vec<u8>> {
        match self.peer.wire.read_until(b'\n', &mut self.line) {
            Ok(_) if self.line.ends_with(b"\n") => Some(take(&mut self.line)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => None,
            Ok(_) => panic!("the server hung up"),
            Err(error) => panic!("the connection ended: {error}"),
        }
    }

    /// Waits until one of the members receives something, or until this time.
    pub(crate) fn wait(members: &[Self], until: Instant) {
        let mut sockets: Vec<_> = members
            .iter()
            .map(|member| PollFd::new(&member.peer.socket, PollFlags::IN))
            .collect();
        let left = until.saturating_duration_since(Instant::now());
        // A signal interrupts it; the callers check the time themselves.
        let _ = poll(&mut sockets, Some(&Timespec::try_from(left).unwrap()));
    }
}
