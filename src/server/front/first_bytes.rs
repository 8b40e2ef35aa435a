//! Which protocol a connection speaks: its first bytes say.
//!
//! Each row is one protocol: TLS, which has a dialect inside, or a dialect. A test is handed all bytes
//! that have come so far, and may ask for more of them.

use super::{AnyDialect, KNOWN_BY_FIRST_BYTES};

/// The first byte of TLS: a record of the handshake.
const TLS_RECORD: u8 = 0x16;

/// What a test says of the first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Match {
    /// They are its protocol's.
    Yes,
    /// They are not, whatever follows.
    No,
    /// Too few have come.
    Undecided,
}

/// How a protocol is known, and what opens when it is.
pub(super) type Row = (fn(&[u8]) -> Match, fn() -> Opening);

/// What a connection goes on with.
#[derive(Debug)]
pub(in crate::server) enum Opening {
    /// A TLS handshake.
    Tls,
    /// A dialect, in the clear.
    Dialect(AnyDialect),
    /// Nothing: no protocol begins like that.
    Unknown,
}

/// The protocols that are no dialects.
const OTHERS: &[Row] = &[(tls, || Opening::Tls)];

/// What a connection is that begins with these bytes; `None`: more have to come.
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

/// A TLS hello.
fn tls(first: &[u8]) -> Match {
    begins_with(first, |byte| byte == TLS_RECORD)
}

/// A JSON object, or the white space before one.
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
                // What is said once holds, whatever follows.
                assert!(known == "undecided" || told == known, "{:?}", &first[..end]);
                known = told;
            }
            assert_eq!(known, expected, "{first:?}");
        }
    }
}
