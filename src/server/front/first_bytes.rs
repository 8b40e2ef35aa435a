//! Detects the protocol of a connection by its first bytes.
//!
//! Each row is one protocol: TLS, which has a dialect inside, or a dialect. A test gets all bytes
//! received so far, and may ask for more.

use super::{AnyDialect, KNOWN_BY_FIRST_BYTES};

/// The first byte of TLS: a handshake record.
const TLS_RECORD: u8 = 0x16;

/// The result of a test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// The bytes are of this protocol.
    Yes,
    /// They are not, whatever follows.
    No,
    /// Too few bytes were received.
    Undecided,
}

/// A protocol's test, and the opening to continue with.
pub(super) type Row = (fn(&[u8]) -> Match, fn() -> Opening);

/// The continuation of a connection after its first bytes.
#[derive(Debug)]
pub(in crate::server) enum Opening {
    /// A TLS handshake.
    Tls,
    /// A dialect, unencrypted.
    Dialect(AnyDialect),
    /// No known protocol begins like that.
    Unknown,
}

/// The protocols that are no dialects.
const OTHERS: &[Row] = &[(tls, || Opening::Tls)];

/// Detects the protocol of these first bytes; `None`: more are needed.
pub(in crate::server) fn recognize(first: &[u8]) -> Option<Opening> {
    let mut is_decided = true;
    for (test, open) in OTHERS.iter().chain(KNOWN_BY_FIRST_BYTES) {
        match test(first) {
            Match::Yes => return Some(open()),
            Match::No => {}
            Match::Undecided => is_decided = false,
        }
    }
    is_decided.then_some(Opening::Unknown)
}

/// Tests for a TLS handshake.
fn tls(first: &[u8]) -> Match {
    begins_with(first, |byte| byte == TLS_RECORD)
}

/// Tests for a JSON object, or the white space before one.
pub(super) fn object(first: &[u8]) -> Match {
    begins_with(first, |byte| {
        matches!(byte, b'{' | b' ' | b'\t' | b'\r' | b'\n')
    })
}

fn begins_with(first: &[u8], is_meant: impl FnOnce(u8) -> bool) -> Match {
    match first.first() {
        None => Match::Undecided,
        Some(&byte) if is_meant(byte) => Match::Yes,
        Some(_) => Match::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(opening: Option<&Opening>) -> &'static str {
        match opening {
            None => "undecided",
            Some(Opening::Unknown) => "unknown",
            Some(Opening::Tls) => "TLS",
            Some(Opening::Dialect(AnyDialect::Json(_))) => "JSON",
            Some(Opening::Dialect(AnyDialect::Legacy(_))) => "legacy",
        }
    }

    #[test]
    fn a_protocol_is_known_by_its_first_bytes_wherever_they_are_cut() {
        for (first, expected) in [
            (&b"\x16\x03\x01\x02\x00\x01"[..], "TLS"),
            (b"{\"type\":\"join\"}", "JSON"),
            (b"  {\"type\":\"join\"}", "JSON"),
            (b"\r\n{}", "JSON"),
            (b"\t{}", "JSON"),
            (b"SSH-2.0-OpenSSH_9.2\r\n", "unknown"),
            (b"NICK carol\r\n", "unknown"),
            (b"GET / HTTP/1.1\r\n", "unknown"),
            (b"[]", "unknown"),
            (b"\xef\xbb\xbf{}", "unknown"),
            (b"\x00", "unknown"),
            (b"\x0b{}", "unknown"),
        ] {
            let mut known = "undecided";
            for end in 0..=first.len() {
                let told = name(recognize(&first[..end]).as_ref());
                // A result is final, whatever follows.
                assert!(known == "undecided" || told == known, "{:?}", &first[..end]);
                known = told;
            }
            assert_eq!(known, expected, "{first:?}");
        }
    }
}
