//! Reads requests that are JSON objects, for our own and the legacy dialect.

use crate::protocol::{
    ClientFrame,
    codec::Decoder,
    wire::{Refusal, parse_client},
};

/// The received bytes of one client, read as JSON objects.
#[derive(Debug, Default)]
pub(super) struct Objects {
    /// Present while it holds received bytes.
    decoder: Option<Box<Decoder>>,
}

impl Objects {
    /// See [`Decoder::space`].
    pub(super) fn space(&mut self) -> &mut [u8] {
        self.decoder.get_or_insert_default().space()
    }

    /// See [`Decoder::filled`].
    pub(super) fn filled(&mut self, count: usize) {
        self.decoder.get_or_insert_default().filled(count);
    }

    /// See [`Decoder::feed`].
    pub(super) fn feed(&mut self, bytes: &[u8]) -> usize {
        self.decoder.get_or_insert_default().feed(bytes)
    }

    /// See [`Decoder::is_empty`].
    pub(super) fn is_drained(&self) -> bool {
        self.decoder.as_ref().is_none_or(|it| it.is_empty())
    }

    /// The next object, read as a request.
    pub(super) fn next_frame(&mut self) -> Result<Option<ClientFrame>, Refusal> {
        let Some(decoder) = &mut self.decoder else {
            return Ok(None);
        };
        match decoder.next_frame() {
            Ok(Some(object)) => parse_client(object).map(Some),
            Ok(None) => {
                self.decoder.take_if(|it| it.is_empty());
                Ok(None)
            }
            Err(error) => Err(Refusal::malformed(error)),
        }
    }
}
