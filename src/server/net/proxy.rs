//! The header by which a proxy tells the client's address: the PROXY protocol, versions 1 and 2.
//!
//! Pure: bytes in, an address out. The operator says from which proxies a header is expected and
//! believed.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Bytes of a header. Version 2 allows more, for extensions that we don't use.
pub(super) const HEADER_BYTES_MAX: usize = 536;
/// Bytes of a header of version 1, including the end of its line.
const LINE_BYTES_MAX: usize = 107;
const LINE_START: &[u8] = b"PROXY ";
const BINARY_START: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// The bytes of version 2 before the addresses.
const BINARY_HEAD_BYTES: usize = 16;

/// A parsed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// The client's address; `None` if the proxy connects on its own behalf (a health check) or
    /// does not know.
    pub(super) source: Option<SocketAddr>,
    /// The header's length in bytes. The client's own bytes follow.
    pub(super) bytes: usize,
}

/// The bytes are not a PROXY header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoHeader;

/// Parses the header at the beginning of a connection; `None` if it is incomplete.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<Header>, NoHeader> {
    if begins(bytes, LINE_START) {
        parse_line(bytes)
    } else if begins(bytes, BINARY_START) {
        parse_binary(bytes)
    } else {
        Err(NoHeader)
    }
}

/// Whether the bytes begin with these, as far as they go.
fn begins(bytes: &[u8], with: &[u8]) -> bool {
    let common = bytes.len().min(with.len());
    bytes[..common] == with[..common]
}

fn parse_line(bytes: &[u8]) -> Result<Option<Header>, NoHeader> {
    let Some(end) = bytes.windows(2).position(|pair| pair == b"\r\n") else {
        return if bytes.len() < LINE_BYTES_MAX {
            Ok(None)
        } else {
            Err(NoHeader)
        };
    };
    let length = end + 2;
    if length > LINE_BYTES_MAX {
        return Err(NoHeader);
    }
    let line = str::from_utf8(&bytes[..end]).map_err(|_| NoHeader)?;
    let mut words = line.split(' ').skip(1);
    let source = match words.next() {
        // The rest of the line is to be ignored.
        Some("UNKNOWN") => None,
        Some(family @ ("TCP4" | "TCP6")) => {
            let mut address = || {
                let word = words.next().ok_or(NoHeader)?;
                let address: Result<IpAddr, _> = if family == "TCP4" {
                    word.parse::<Ipv4Addr>().map(IpAddr::V4)
                } else {
                    word.parse::<Ipv6Addr>().map(IpAddr::V6)
                };
                address.map_err(|_| NoHeader)
            };
            let (source, _) = (address()?, address()?);
            let mut port = || {
                let word = words.next().ok_or(NoHeader)?;
                let digits = word.bytes().all(|byte| byte.is_ascii_digit());
                word.parse().ok().filter(|_| digits).ok_or(NoHeader)
            };
            let (port, _): (u16, u16) = (port()?, port()?);
            if words.next().is_some() {
                return Err(NoHeader);
            }
            Some(SocketAddr::new(source.to_canonical(), port))
        }
        _ => return Err(NoHeader),
    };
    Ok(Some(Header {
        source,
        bytes: length,
    }))
}

fn parse_binary(bytes: &[u8]) -> Result<Option<Header>, NoHeader> {
    let Some((head, rest)) = bytes.split_at_checked(BINARY_HEAD_BYTES) else {
        return Ok(None);
    };
    let length = usize::from(u16::from_be_bytes([head[14], head[15]]));
    if BINARY_HEAD_BYTES + length > HEADER_BYTES_MAX {
        return Err(NoHeader);
    }
    let told = match head[12] {
        0x20 => false,
        0x21 => true,
        _ => return Err(NoHeader),
    };
    // Addresses that are too short for their family are wrong even if more bytes follow.
    let addresses = match head[13] {
        0x11 => 12,
        0x21 => 36,
        // Not TCP: there is no client address to use.
        _ => 0,
    };
    if told && length < addresses {
        return Err(NoHeader);
    }
    let Some(rest) = rest.get(..length) else {
        return Ok(None);
    };
    let port = |at: usize| u16::from_be_bytes([rest[at], rest[at + 1]]);
    let source = match addresses {
        _ if !told => None,
        12 => {
            let source: [u8; 4] = rest[..4].try_into().map_err(|_| NoHeader)?;
            Some(SocketAddr::new(Ipv4Addr::from(source).into(), port(8)))
        }
        36 => {
            let source: [u8; 16] = rest[..16].try_into().map_err(|_| NoHeader)?;
            let source = IpAddr::V6(source.into()).to_canonical();
            Some(SocketAddr::new(source, port(32)))
        }
        _ => None,
    };
    Ok(Some(Header {
        source,
        bytes: BINARY_HEAD_BYTES + length,
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A header of version 2.
    fn binary(kind: [u8; 2], addresses: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len()).unwrap().to_be_bytes();
        [BINARY_START, &kind, &length, addresses].concat()
    }

    /// IPv4 addresses and ports of version 2, then this.
    fn four(rest: &[u8]) -> Vec<u8> {
        [
            &[203, 0, 113, 9, 192, 0, 2, 1, 0x30, 0x39, 0x29, 4][..],
            rest,
        ]
        .concat()
    }

    fn six(source: &str) -> Vec<u8> {
        let source: Ipv6Addr = source.parse().unwrap();
        [&source.octets()[..], &[1; 16], &[0x30, 0x39, 0x29, 4]].concat()
    }

    /// Every proper prefix is incomplete; the whole is complete, whatever follows.
    fn check(header: &[u8], source: Option<&str>) {
        let shown = header.escape_ascii();
        for length in 0..header.len() {
            assert_eq!(
                parse(&header[..length]),
                Ok(None),
                "{length} bytes of {shown}"
            );
        }
        let expected = Header {
            source: source.map(|source| source.parse().unwrap()),
            bytes: header.len(),
        };
        for next in ["", "{\"type\":\"join\"}", "\x16\x03\x01", "\r\n", "PROXY "] {
            let stream = [header, next.as_bytes()].concat();
            assert_eq!(parse(&stream), Ok(Some(expected)), "{shown}");
        }
    }

    #[test]
    fn the_client_that_a_proxy_names_is_read() {
        check(
            b"PROXY TCP4 203.0.113.9 192.0.2.1 12345 10500\r\n",
            Some("203.0.113.9:12345"),
        );
        check(
            b"PROXY TCP6 2001:db8::9 2001:db8::1 12345 10500\r\n",
            Some("[2001:db8::9]:12345"),
        );
        check(
            b"PROXY TCP6 ::ffff:203.0.113.9 ::1 1 2\r\n",
            Some("203.0.113.9:1"),
        );
        check(b"PROXY UNKNOWN\r\n", None);
        check(b"PROXY UNKNOWN what ever 1 2\r\n", None);
        let longest = [
            &b"PROXY UNKNOWN "[..],
            &[b'f'; LINE_BYTES_MAX - 16],
            b"\r\n",
        ];
        check(&longest.concat(), None);

        check(&binary([0x21, 0x11], &four(b"")), Some("203.0.113.9:12345"));
        check(
            &binary([0x21, 0x11], &four(b"more")),
            Some("203.0.113.9:12345"),
        );
        let most = vec![4; HEADER_BYTES_MAX - BINARY_HEAD_BYTES - 12];
        check(
            &binary([0x21, 0x11], &four(&most)),
            Some("203.0.113.9:12345"),
        );
        check(
            &binary([0x21, 0x21], &six("2001:db8::9")),
            Some("[2001:db8::9]:12345"),
        );
        check(
            &binary([0x21, 0x21], &six("::ffff:203.0.113.9")),
            Some("203.0.113.9:12345"),
        );
        // A health check, or not a TCP connection.
        check(&binary([0x20, 0x00], b""), None);
        check(&binary([0x20, 0x11], &four(b"")), None);
        check(&binary([0x21, 0x00], b"what ever"), None);
        check(&binary([0x21, 0x12], &four(b"")), None);
        check(&binary([0x21, 0x31], &[b'/'; 216]), None);
    }

    #[test]
    fn bytes_that_are_no_header_are_refused_as_soon_as_it_shows() {
        for line in [
            "{\"type\":\"join\"}",
            "\x16\x03\x01",
            "\n",
            "proxy TCP4",
            "PROXYX",
            "PROXY \r\n",
            "PROXY TCP4\r\n",
            "PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 2 3\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 65536\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 +1 2\r\n",
            "PROXY TCP4 1.2.3.4 1.2.3.4 1 \r\n",
            "PROXY TCP4 1.2.3 1.2.3.4 1 2\r\n",
            "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY  TCP4 1.2.3.4 1.2.3.4 1 2\r\n",
            "PROXY TCP4 localhost 1.2.3.4 1 2\r\n",
        ] {
            assert_eq!(parse(line.as_bytes()), Err(NoHeader), "{line:?}");
        }
        let long = [&b"PROXY UNKNOWN "[..], &[b'f'; LINE_BYTES_MAX]].concat();
        assert_eq!(parse(&long[..LINE_BYTES_MAX - 1]), Ok(None));
        assert_eq!(parse(&long[..LINE_BYTES_MAX]), Err(NoHeader));
        let not_text = b"PROXY TCP4 \xff\xff\r\n";
        assert_eq!(parse(not_text), Err(NoHeader));
        for (kind, addresses) in [
            ([0x11, 0x11], four(b"")),
            ([0x22, 0x11], four(b"")),
            ([0x21, 0x11], four(b"")[1..].to_vec()),
            ([0x21, 0x21], six("::1")[1..].to_vec()),
            (
                [0x21, 0x11],
                vec![4; HEADER_BYTES_MAX - BINARY_HEAD_BYTES + 1],
            ),
        ] {
            let stream = binary(kind, &addresses);
            assert_eq!(
                parse(&stream[..BINARY_HEAD_BYTES]),
                Err(NoHeader),
                "{kind:x?}"
            );
        }
    }

    proptest! {
        #[test]
        fn no_bytes_do_harm(
            start in prop_oneof![Just(vec![]), Just(LINE_START.to_vec()), Just(BINARY_START.to_vec())],
            rest in prop::collection::vec(any::<u8>(), 0..700),
        ) {
            let stream = [start, rest].concat();
            match parse(&stream) {
                Ok(Some(header)) => prop_assert!(header.bytes <= stream.len().min(HEADER_BYTES_MAX)),
                // A header of the maximal length is complete or wrong.
                Ok(None) => prop_assert!(stream.len() < HEADER_BYTES_MAX),
                Err(NoHeader) => {}
            }
        }
    }
}
