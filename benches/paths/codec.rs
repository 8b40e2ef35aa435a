//! The codec's paths: frames from bytes, and bytes from frames.

use std::hint::black_box;

use chat_tui::{
    protocol::{
        Author, Content, DeviceId, Entry, EntryKind, Mentions, MessageId, Nickname, RoomId,
        ServerFrame, UserId,
        codec::Decoder,
        entry::Text,
        frame::{ClientFrame, Submission},
        wire::{encode_client, encode_server, parse_client, parse_server},
    },
    text::Body,
};
use jiff::Timestamp;

use super::{Path, TEXT};

/// Frames that arrive with one read.
const FRAMES: u64 = 64;

fn id(counter: u64) -> MessageId {
    MessageId {
        device: DeviceId::from_bytes([1; 12]),
        counter,
    }
}

fn delivered(seq: u64) -> ServerFrame {
    ServerFrame::Entry(Entry {
        room: RoomId::LOBBY,
        seq,
        id: id(seq),
        author: Author {
            user: UserId::from_bytes([2; 12]),
            nickname: Nickname::parse("alice").unwrap(),
            proven: true,
        },
        time: Timestamp::from_millisecond(1_795_000_000_123).unwrap(),
        clock_was: None,
        kind: EntryKind::Text(Text {
            body: Body::inert(TEXT),
            mentions: Mentions::NONE,
            edited: None,
        }),
    })
}

/// The server's parsing of a client's bytes: cuts them into frames, parses each.
pub(crate) struct ParseClient {
    decoder: Decoder,
    bytes: Vec<u8>,
}

impl Path for ParseClient {
    const NAME: &'static str = "split and parse_client";
    const UNIT: &'static str = "message frame";
    const UNITS: u64 = FRAMES;

    fn new() -> Self {
        let mut bytes = Vec::new();
        for counter in 1..=FRAMES {
            let submission = Submission {
                room: RoomId::LOBBY,
                id: Some(id(counter)),
                content: Ok(Content::Text(Body::inert(TEXT))),
            };
            encode_client(&ClientFrame::Submit(submission), &mut bytes);
        }
        Self {
            decoder: Decoder::new(),
            bytes,
        }
    }

    fn run(&mut self) {
        assert_eq!(self.decoder.feed(&self.bytes), self.bytes.len());
        let mut frames = 0;
        while let Some(frame) = self.decoder.next_frame().unwrap() {
            black_box(parse_client(frame).unwrap());
            frames += 1;
        }
        assert_eq!(frames, FRAMES);
    }
}

/// A client's parsing of the server's bytes.
pub(crate) struct ParseServer {
    decoder: Decoder,
    bytes: Vec<u8>,
}

impl Path for ParseServer {
    const NAME: &'static str = "split and parse_server";
    const UNIT: &'static str = "message frame";
    const UNITS: u64 = FRAMES;

    fn new() -> Self {
        let mut bytes = Vec::new();
        for seq in 1..=FRAMES {
            encode_server(&delivered(seq), &mut bytes);
        }
        Self {
            decoder: Decoder::new(),
            bytes,
        }
    }

    fn run(&mut self) {
        let (mut frames, mut fed) = (0, 0);
        while fed < self.bytes.len() {
            fed += self.decoder.feed(&self.bytes[fed..]);
            while let Some(frame) = self.decoder.next_frame().unwrap() {
                black_box(parse_server(frame).unwrap());
                frames += 1;
            }
        }
        assert_eq!(frames, FRAMES);
    }
}

/// The server's encoding of each message, done once.
pub(crate) struct EncodeServer {
    frames: Vec<ServerFrame>,
    bytes: Vec<u8>,
}

impl Path for EncodeServer {
    const NAME: &'static str = "encode_server";
    const UNIT: &'static str = "message frame";
    const UNITS: u64 = FRAMES;

    fn new() -> Self {
        Self {
            frames: (1..=FRAMES).map(delivered).collect(),
            bytes: Vec::with_capacity(64 * 1024),
        }
    }

    fn run(&mut self) {
        self.bytes.clear();
        for frame in &self.frames {
            encode_server(black_box(frame), &mut self.bytes);
        }
        black_box(&self.bytes);
    }
}
