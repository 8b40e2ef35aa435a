//! A legacy client: one of the older programs, which gets objects of four fields and nothing else.

use chat_tui::{
    protocol::{
        EntryKind, Epoch, MessageId, Nickname, RoomId,
        codec::Decoder,
        legacy::{FromServer, parse_from_server},
        limits::LEGACY_FRAME_BYTES_MAX,
    },
    server::core::ConnectionId,
};

use crate::truth::{Fault, Truth};

/// The program, and its checks.
#[derive(Debug)]
pub(crate) struct Older {
    pub(crate) connection: Option<ConnectionId>,
    /// Connections so far: each has a nickname of its own, since the server takes it for another
    /// user each time.
    joins: u32,
    typed: u32,
    decoder: Decoder,
    epoch: Option<Epoch>,
    /// The number of the last message that it received.
    told: u64,
    /// Whether it was told since then that some were left out.
    left_out: bool,
    /// Its last message on this connection.
    waits_for: Option<String>,
}

impl Older {
    /// Returns one that is not connected.
    pub(crate) fn new() -> Self {
        Self {
            connection: None,
            joins: 0,
            typed: 0,
            decoder: Decoder::new(),
            epoch: None,
            told: 0,
            left_out: false,
            waits_for: None,
        }
    }

    /// Its nickname on the present connection.
    pub(crate) fn nickname(&self) -> Nickname {
        Nickname::parse(&format!("old{}", self.joins)).expect("a nickname")
    }

    /// Returns the first object of a new connection.
    pub(crate) fn joins(&mut self, id: ConnectionId, epoch: Epoch) -> Vec<u8> {
        self.connection = Some(id);
        self.joins += 1;
        self.decoder = Decoder::new();
        self.epoch = Some(epoch);
        self.told = 0;
        self.left_out = false;
        self.waits_for = None;
        let (nickname, time) = (self.nickname(), "2026-11-22 09:22:21");
        format!(
            r#"{{"type": "join", "nickname": "{nickname}", "clientID": "1", "timestamp": "{time}"}}"#
        )
        .into_bytes()
    }

    /// Returns its next message.
    pub(crate) fn says(&mut self) -> Vec<u8> {
        self.typed += 1;
        let (nickname, time) = (self.nickname(), "2026-11-22 09:22:23");
        let text = format!("old.{} hello", self.typed);
        self.waits_for = Some(text.clone());
        format!(
            r#"{{"type": "message", "nickname": "{nickname}", "message": "{text}", "timestamp": "{time}"}}"#
        )
        .into_bytes()
    }

    /// Whether it has sent a message on this connection.
    pub(crate) fn has_spoken(&self) -> bool {
        self.waits_for.is_some()
    }

    /// Makes it send once more: its last message may have been lost.
    pub(crate) fn is_to_speak(&mut self) {
        self.waits_for = None;
    }

    /// Handles the server's bytes.
    pub(crate) fn hears(&mut self, truth: &Truth, bytes: &[u8]) -> Result<(), Fault> {
        self.decoder.feed(bytes);
        while let Some(frame) = self.decoder.next_frame().map_err(|e| e.to_string())? {
            if frame.len() > LEGACY_FRAME_BYTES_MAX {
                return Err(format!("the older client gets {} bytes", frame.len()));
            }
            let (nickname, text) = match parse_from_server(frame) {
                Some(FromServer::Message { nickname, body }) => (nickname, body),
                // It was not admitted.
                Some(FromServer::Error { .. }) => {
                    self.waits_for = None;
                    continue;
                }
                None => {
                    let frame = String::from_utf8_lossy(frame);
                    return Err(format!("the older client is not told, but sent {frame}"));
                }
            };
            let text = text.as_str();
            let own = format!("old{}", self.joins);
            if nickname.as_str() == own {
                return Err(format!("the older client is told its own {text:?}"));
            }
            // Its message was refused, as a notice in the server's name says.
            if nickname.is_reserved() && text.contains("can't store messages") {
                self.waits_for = None;
            }
            self.left_out |= nickname.is_reserved() && text.contains("left out");
            let Some(seq) = self.epoch.and_then(|epoch| truth.find_start(epoch, text)) else {
                continue;
            };
            // A long message comes in parts, only the first of which begins like that.
            if seq <= self.told {
                return Err(format!(
                    "the older client is told {seq} after {}",
                    self.told
                ));
            }
            self.told = seq;
            self.left_out = false;
        }
        Ok(())
    }

    /// Checks what must hold once all is quiet.
    pub(crate) fn settled(&self, truth: &Truth, epoch: Epoch) -> Result<(), Fault> {
        if self.connection.is_none() || self.epoch != Some(epoch) {
            return Err("the older client is not in".into());
        }
        let Some(text) = &self.waits_for else {
            return Err("the older client has not spoken".into());
        };
        let Some(own) = truth.find(epoch, text) else {
            return Err(format!("{text:?} of the older client is not in the log"));
        };
        let lobby = RoomId::LOBBY;
        let own_device = |id: MessageId| {
            let entry = truth.entry(epoch, lobby, own);
            entry.is_some_and(|entry| entry.id.device == id.device)
        };
        let head = truth.head(epoch, lobby);
        let has_text = |seq| {
            matches!(
                truth.frame(epoch, lobby, seq),
                Some(EntryKind::Text(_) | EntryKind::Edit { body: Some(_), .. })
            )
        };
        let last = (1..=head).rev().filter(|seq| has_text(*seq)).find(|seq| {
            let entry = truth.entry(epoch, lobby, *seq);
            entry.is_some_and(|entry| !own_device(entry.id))
        });
        if last.is_some_and(|last| last > own && last > self.told && !self.left_out) {
            return Err(format!(
                "the older client was told {} of {last:?}",
                self.told
            ));
        }
        Ok(())
    }
}
