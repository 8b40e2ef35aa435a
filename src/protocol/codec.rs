//! Splits a stream of bytes into frames.
//!
//! A frame is one JSON object. The decoder tracks only strings, braces and brackets, to find where
//! an object ends; [`super::wire`] reads the content. It accepts objects however the network splits
//! them: a byte at a time, many at once, with a newline between them or, as legacy programs send
//! them, with nothing. Each byte is scanned once.
//!
//! Limits are checked while reading, so that a peer that never closes a brace costs at most
//! [`FRAME_BYTES_MAX`] bytes and linear time. An empty decoder holds no buffer: an idle connection
//! costs only the few words of [`Decoder`] itself.

use std::fmt;

use super::limits::{FRAME_BYTES_MAX, FRAME_DEPTH_MAX};

/// Bytes that [`Decoder::space`] offers for one read.
const READ_BYTES: usize = 16 * 1024;

/// Why a stream can't be decoded further: the peer does not speak the protocol. Final for a
/// decoder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FrameError {
    /// Over [`FRAME_BYTES_MAX`] bytes without an end.
    TooLong,
    /// Over [`FRAME_DEPTH_MAX`] levels.
    TooDeep,
    /// Something other than white space before a `{`.
    NotAnObject,
    /// A `}` where a `]` was due, or the other way round.
    Unbalanced,
}

impl fmt::Display for FrameError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong => write!(out, "A frame has at most {FRAME_BYTES_MAX} bytes"),
            Self::TooDeep => write!(out, "A frame nests at most {FRAME_DEPTH_MAX} levels"),
            Self::NotAnObject => out.write_str("A frame is a JSON object"),
            Self::Unbalanced => out.write_str("A frame's braces and brackets do not match"),
        }
    }
}

impl std::error::Error for FrameError {}

/// The scanner's state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Between frames.
    Outside,
    /// In a frame, outside a string.
    Structure,
    /// In a string.
    String,
    /// In a string, after a backslash.
    Escape,
}

/// Splits the bytes of one connection into frames.
///
/// Read into [`space`](Self::space) and report the count to [`filled`](Self::filled) (or pass bytes
/// to [`feed`](Self::feed)), then call [`next_frame`](Self::next_frame) until it returns `None`.
#[derive(Debug)]
pub struct Decoder {
    /// Storage; bytes at and after `end` are spare.
    buffer: Vec<u8>,
    /// The first byte not yet returned in a frame.
    start: usize,
    /// The first byte not yet scanned.
    scanned: usize,
    /// The end of the bytes read.
    end: usize,
    place: Place,
    depth: usize,
    /// One bit per level, the innermost lowest: set for `[`.
    brackets: u32,
    failed: Option<FrameError>,
}

const _: () = assert!(FRAME_DEPTH_MAX <= u32::BITS as usize);

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Decoder {
    /// A decoder at the start of a stream, without a buffer.
    pub const fn new() -> Self {
        Self {
            buffer: Vec::new(),
            start: 0,
            scanned: 0,
            end: 0,
            place: Place::Outside,
            depth: 0,
            brackets: 0,
            failed: None,
        }
    }

    /// Whether it holds no bytes: no frame, no part of one.
    pub fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Space for the next read. Empty only while so many frames are unfetched that another read
    /// would pass the limit: fetch them first.
    pub fn space(&mut self) -> &mut [u8] {
        if self.end - self.start > FRAME_BYTES_MAX + READ_BYTES {
            return &mut [];
        }
        if self.buffer.len() - self.end < READ_BYTES {
            self.compact();
            let wanted = self.end + READ_BYTES;
            if self.buffer.is_empty() {
                // The system allocates zeroed memory at no cost.
                self.buffer = vec![0; wanted];
            } else if self.buffer.len() < wanted {
                self.buffer.resize(wanted, 0);
            }
        }
        &mut self.buffer[self.end..]
    }

    /// Records that the first `count` bytes of [`space`](Self::space) were read.
    ///
    /// # Panics
    /// If there was less space than `count`.
    pub fn filled(&mut self, count: usize) {
        assert!(
            count <= self.buffer.len() - self.end,
            "more was read than there was space for"
        );
        self.end += count;
    }

    /// Copies bytes in, as many as there is space for, and returns the count. An
    /// [empty](Self::is_empty) decoder takes up to 16 KB at once and allocates just that.
    pub fn feed(&mut self, bytes: &[u8]) -> usize {
        if self.buffer.is_empty() && bytes.len() <= READ_BYTES {
            self.buffer = bytes.to_vec();
            self.end = bytes.len();
            return bytes.len();
        }
        let space = self.space();
        let count = bytes.len().min(space.len());
        space[..count].copy_from_slice(&bytes[..count]);
        self.filled(count);
        count
    }

    /// The next whole frame, without the white space around it; `None` until more is read.
    pub fn next_frame(&mut self) -> Result<Option<&[u8]>, FrameError> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        match self.scan() {
            Ok(true) => {
                let frame = self.start..self.scanned;
                self.start = self.scanned;
                Ok(Some(&self.buffer[frame]))
            }
            Ok(false) => {
                if self.is_empty() {
                    self.release();
                }
                Ok(None)
            }
            Err(error) => {
                self.failed = Some(error);
                self.start = self.end;
                self.release();
                Err(error)
            }
        }
    }

    /// Scans to the end of a frame (`true`) or of the bytes read (`false`).
    fn scan(&mut self) -> Result<bool, FrameError> {
        while self.scanned < self.end {
            let rest = &self.buffer[self.scanned..self.end];
            match self.place {
                Place::Outside => {
                    let blank = rest
                        .iter()
                        .take_while(|byte| byte.is_ascii_whitespace())
                        .count();
                    self.scanned += blank;
                    self.start = self.scanned;
                    match rest.get(blank) {
                        None => {}
                        Some(b'{') => {
                            self.scanned += 1;
                            self.place = Place::Structure;
                            self.depth = 1;
                            self.brackets = 0;
                        }
                        Some(_) => return Err(FrameError::NotAnObject),
                    }
                }
                Place::Structure => {
                    let plain = rest
                        .iter()
                        .position(|byte| matches!(byte, b'"' | b'{' | b'}' | b'[' | b']'));
                    let Some(at) = plain else {
                        self.scanned = self.end;
                        break;
                    };
                    let byte = rest[at];
                    self.scanned += at + 1;
                    if self.step(byte)? {
                        self.check_length()?;
                        return Ok(true);
                    }
                }
                Place::String => match memchr::memchr2(b'"', b'\\', rest) {
                    None => self.scanned = self.end,
                    Some(at) => {
                        self.place = if rest[at] == b'"' {
                            Place::Structure
                        } else {
                            Place::Escape
                        };
                        self.scanned += at + 1;
                    }
                },
                Place::Escape => {
                    self.scanned += 1;
                    self.place = Place::String;
                }
            }
        }
        self.check_length()?;
        Ok(false)
    }

    /// Takes one structural byte; `true` if it closed the frame.
    fn step(&mut self, byte: u8) -> Result<bool, FrameError> {
        match byte {
            b'"' => self.place = Place::String,
            b'{' | b'[' => {
                if self.depth == FRAME_DEPTH_MAX {
                    return Err(FrameError::TooDeep);
                }
                self.depth += 1;
                self.brackets = self.brackets << 1 | u32::from(byte == b'[');
            }
            _ => {
                if (self.brackets & 1 == 1) != (byte == b']') {
                    return Err(FrameError::Unbalanced);
                }
                self.brackets >>= 1;
                self.depth -= 1;
                if self.depth == 0 {
                    self.place = Place::Outside;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    fn check_length(&self) -> Result<(), FrameError> {
        if self.scanned - self.start > FRAME_BYTES_MAX {
            return Err(FrameError::TooLong);
        }
        Ok(())
    }

    /// Moves the held bytes to the front. Amortised: a frame that is read in many parts is moved
    /// once, since it starts at 0 afterwards.
    fn compact(&mut self) {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.scanned -= self.start;
            self.end -= self.start;
            self.start = 0;
        }
    }

    /// Frees the buffer. Call it only when no bytes are held.
    fn release(&mut self) {
        self.buffer = Vec::new();
        (self.start, self.scanned, self.end) = (0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds `parts` one after another and collects the frames and, if any, the error.
    fn decode(parts: &[&[u8]]) -> (Vec<String>, Option<FrameError>) {
        let mut decoder = Decoder::new();
        let mut frames = Vec::new();
        for part in parts {
            let mut part = *part;
            while !part.is_empty() {
                let taken = decoder.feed(part);
                part = &part[taken..];
                loop {
                    match decoder.next_frame() {
                        Ok(Some(frame)) => {
                            frames.push(String::from_utf8_lossy(frame).into_owned());
                        }
                        Ok(None) => break,
                        Err(error) => return (frames, Some(error)),
                    }
                }
            }
        }
        (frames, None)
    }

    #[test]
    fn frames_are_found_however_they_stand() {
        let check = |stream: &str, frames: &[&str], error: Option<FrameError>| {
            let (found, failed) = decode(&[stream.as_bytes()]);
            assert_eq!(found, frames, "{stream}");
            assert_eq!(failed, error, "{stream}");
        };
        check("", &[], None);
        check(" \r\n\t", &[], None);
        check("{}", &["{}"], None);
        check("{}\n{}\n", &["{}", "{}"], None);
        check("{}{}", &["{}", "{}"], None);
        check(r#"{"a":"}"}{"#, &[r#"{"a":"}"}"#], None);
        check(r#"{"a":"\"}"}"#, &[r#"{"a":"\"}"}"#], None);
        check(r#"{"a":"\\"}{}"#, &[r#"{"a":"\\"}"#, "{}"], None);
        check(r#"{"a":[{"b":[]}]}"#, &[r#"{"a":[{"b":[]}]}"#], None);
        check("{}x", &["{}"], Some(FrameError::NotAnObject));
        check("[]", &[], Some(FrameError::NotAnObject));
        check("\u{feff}{}", &[], Some(FrameError::NotAnObject));
        check("{]", &[], Some(FrameError::Unbalanced));
        check(r#"{"a":[}]"#, &[], Some(FrameError::Unbalanced));
    }

    #[test]
    fn depth_is_limited() {
        let nested = |levels: usize| {
            format!(
                "{{\"a\":{}{}}}",
                "[".repeat(levels - 1),
                "]".repeat(levels - 1)
            )
        };
        let at = nested(FRAME_DEPTH_MAX);
        assert_eq!(decode(&[at.as_bytes()]), (vec![at.clone()], None));
        let over = nested(FRAME_DEPTH_MAX + 1);
        assert_eq!(
            decode(&[over.as_bytes()]),
            (vec![], Some(FrameError::TooDeep))
        );
    }

    #[test]
    fn length_is_limited_while_reading() {
        let frame = |bytes: usize| format!("{{\"a\":\"{}\"}}", "x".repeat(bytes - 8));
        let at = frame(FRAME_BYTES_MAX);
        assert_eq!(at.len(), FRAME_BYTES_MAX);
        assert_eq!(decode(&[at.as_bytes(), at.as_bytes()]).0.len(), 2);
        let over = frame(FRAME_BYTES_MAX + 1);
        assert_eq!(
            decode(&[over.as_bytes()]),
            (vec![], Some(FrameError::TooLong))
        );
        // An endless frame is refused as soon as it is too long.
        let endless = &over.as_bytes()[..=FRAME_BYTES_MAX];
        for step in [1, 7, 1000] {
            let parts: Vec<_> = endless.chunks(step).collect();
            assert_eq!(decode(&parts), (vec![], Some(FrameError::TooLong)));
        }
    }

    #[test]
    fn an_error_is_final() {
        let mut decoder = Decoder::new();
        decoder.feed(b"x");
        assert_eq!(decoder.next_frame(), Err(FrameError::NotAnObject));
        decoder.feed(b"{}");
        assert_eq!(decoder.next_frame(), Err(FrameError::NotAnObject));
    }

    #[test]
    fn nothing_held_means_no_buffer() {
        let mut decoder = Decoder::new();
        decoder.feed(b"{}\n{");
        assert_eq!(decoder.next_frame(), Ok(Some(&b"{}"[..])));
        assert_eq!(decoder.next_frame(), Ok(None));
        assert!(!decoder.is_empty());
        decoder.feed(b"}\n");
        assert_eq!(decoder.next_frame(), Ok(Some(&b"{}"[..])));
        assert_eq!(decoder.next_frame(), Ok(None));
        assert!(decoder.is_empty());
        assert_eq!(decoder.buffer.capacity(), 0);
    }

    #[test]
    fn unfetched_frames_do_not_grow_the_buffer_without_end() {
        let mut decoder = Decoder::new();
        while decoder.feed(b"{}{}{}{}") > 0 {}
        assert!(decoder.buffer.len() <= FRAME_BYTES_MAX + 3 * READ_BYTES);
        assert_eq!(decoder.next_frame(), Ok(Some(&b"{}"[..])));
    }

    fn object() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<u32>().prop_map(|n| n.to_string()),
            any::<String>().prop_map(|text| serde_json::Value::from(text).to_string()),
        ];
        let value = leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|items| format!("[{}]", items.join(" ,"))),
                prop::collection::vec((any::<String>(), inner), 0..4).prop_map(|fields| {
                    let fields: Vec<_> = fields
                        .iter()
                        .map(|(key, value)| {
                            format!("{}: {value}", serde_json::Value::from(key.as_str()))
                        })
                        .collect();
                    format!("{{{}}}", fields.join(","))
                }),
            ]
        });
        prop::collection::vec(value, 0..3).prop_map(|values| {
            let fields: Vec<_> = values
                .iter()
                .enumerate()
                .map(|(i, value)| format!("\"{i}\":{value}"))
                .collect();
            format!("{{{}}}", fields.join(","))
        })
    }

    proptest! {
        #[test]
        fn cuts_anywhere_give_the_same_frames(
            objects in prop::collection::vec((object(), prop_oneof!["", "\n", " \r\n"]), 0..8),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let stream: String =
                objects.iter().flat_map(|(object, gap)| [object.as_str(), gap.as_str()]).collect();
            let bytes = stream.as_bytes();
            let mut cuts: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let parts: Vec<_> = cuts.windows(2).map(|ends| &bytes[ends[0]..ends[1]]).collect();
            let expected: Vec<_> = objects.into_iter().map(|(object, _)| object).collect();
            prop_assert_eq!(decode(&parts), (expected, None));
        }

        #[test]
        fn no_bytes_panic(parts in prop::collection::vec(
            prop::collection::vec(prop_oneof![
                any::<u8>(),
                prop::sample::select(&b"{}[]\"\\ \n"[..]),
            ], 0..64),
            0..8,
        )) {
            decode(&parts.iter().map(Vec::as_slice).collect::<Vec<_>>());
        }
    }
}
