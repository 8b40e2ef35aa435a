//! A thief who has a member's token, and not their key: they try to take the member's session over,
//! and to use up the numbers of the member's messages.

use chat_tui::{
    protocol::{
        ClientFrame, ClientId, Nickname, ServerFrame, Token,
        codec::Decoder,
        frame::Join,
        wire::{encode_client, parse_server},
    },
    server::core::ConnectionId,
};

use crate::truth::{Fault, room_names};

/// The claimed number of the member's next message: higher than any in a run.
const NEXT: u64 = 100_000;

/// See the module's docs.
#[derive(Debug, Default)]
pub(crate) struct Thief {
    pub(crate) connection: Option<ConnectionId>,
    decoder: Decoder,
}

impl Thief {
    /// Returns the first frame of a new connection, with the stolen token.
    pub(crate) fn joins(&mut self, id: ConnectionId, token: Token, client_id: ClientId) -> Vec<u8> {
        self.connection = Some(id);
        self.decoder = Decoder::new();
        let join = Join {
            can: chat_tui::protocol::frame::Capabilities::ALL,
            protocol: Some(2),
            keep_nickname: false,
            nickname: Nickname::parse("thief").expect("a nickname"),
            client_id,
            token: Some(token),
            key: None,
            invite: None,
            password: None,
            code: None,
            next: Some(NEXT),
            epoch: None,
            enter: room_names().into(),
            rooms: Vec::new(),
            last: None,
            most: None,
            agent: None,
        };
        let mut bytes = Vec::new();
        encode_client(&ClientFrame::Join(Box::new(join)), &mut bytes);
        bytes
    }

    /// Handles the server's bytes.
    pub(crate) fn hears(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        self.decoder.feed(bytes);
        while let Some(frame) = self.decoder.next_frame().map_err(|e| e.to_string())? {
            if let Ok(ServerFrame::Welcome(welcome)) = parse_server(frame) {
                return Err(format!("{} is a thief's", welcome.device));
            }
        }
        Ok(())
    }
}
