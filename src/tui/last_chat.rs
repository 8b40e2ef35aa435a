//! The last chat of a user at a terminal, which `chat-tui` alone opens again. It is kept in the
//! client's own directory, one value a line.

use std::{fs, io, path::Path};

use crate::{
    client::{
        Host,
        store::{create_private, lock, write_private},
    },
    protocol::{ClientId, Nickname, RoomId},
};

/// The file's name.
const FILE: &str = "last-chat";
/// The most bytes of the file; more is not ours.
const BYTES_MAX: usize = 4 * 1024;

/// A server, a user of it, and the room where they were.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastChat {
    /// The server's name or address.
    pub host: Host,
    /// Its port.
    pub port: u16,
    /// The nickname given at the start.
    pub nickname: Nickname,
    /// Which of the user's devices or sessions it was.
    pub client_id: ClientId,
    /// The room that was on the screen, or written to.
    pub room: RoomId,
}

impl LastChat {
    /// Reads what was kept; `None` if there is nothing that this version can read.
    pub fn read(directory: &Path) -> Option<Self> {
        let bytes = fs::read(directory.join(FILE)).ok()?;
        if bytes.len() > BYTES_MAX {
            return None;
        }
        Self::parse(str::from_utf8(&bytes).ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        Some(Self {
            host: Host::parse(value("host")?).ok()?,
            port: value("port")?.parse().ok().filter(|port| *port > 0)?,
            nickname: Nickname::parse(value("nickname")?).ok()?,
            client_id: ClientId::parse(value("client")?).ok()?,
            room: RoomId::parse(value("room")?).ok()?,
        })
    }

    /// Keeps it in place of the one before.
    ///
    /// # Errors
    /// If it can't be written.
    pub fn keep(&self, directory: &Path) -> io::Result<()> {
        let Self {
            host,
            port,
            nickname,
            client_id,
            room,
        } = self;
        let text = format!(
            "host {host}\nport {port}\nnickname {nickname}\nclient {client_id}\nroom {room}\n"
        );
        create_private(directory)?;
        let path = directory.join(FILE);
        let _lock = lock(&path)?;
        write_private(&path, text.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chat(room: RoomId) -> LastChat {
        LastChat {
            host: Host::parse("fe80::1%eth0").unwrap(),
            port: 10500,
            nickname: Nickname::parse("Too Loud").unwrap(),
            client_id: ClientId::parse("3").unwrap(),
            room,
        }
    }

    #[test]
    fn the_last_chat_is_kept_in_place_of_the_one_before() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("state");
        assert_eq!(LastChat::read(&directory), None);
        for room in [RoomId::LOBBY, RoomId::parse("build").unwrap()] {
            chat(room).keep(&directory).unwrap();
            assert_eq!(LastChat::read(&directory), Some(chat(room)));
        }
    }

    #[test]
    fn a_file_that_is_no_chat_is_none() {
        let home = tempfile::tempdir().unwrap();
        let lines = "host h\nport 1\nnickname n\nclient 1\nroom lobby\n";
        assert!(LastChat::parse(lines).is_some());
        for (from, to) in [
            ("host h", "host h/x"),
            ("port 1", "port 0"),
            ("nickname n", "nickname server:x"),
            ("room lobby\n", ""),
            ("client", "room"),
        ] {
            let text = lines.replacen(from, to, 1);
            assert_eq!(LastChat::parse(&text), None, "{text}");
        }
        for bytes in [&b"\xff"[..], &[b'x'; BYTES_MAX + 1]] {
            fs::write(home.path().join(FILE), bytes).unwrap();
            assert_eq!(LastChat::read(home.path()), None);
        }
    }
}
