//! A server's name or address in canonical spelling, for look-ups, TLS, the file of known servers,
//! and the outbox file.

use std::{
    fmt,
    net::{IpAddr, Ipv6Addr},
};

use idna::{AsciiDenyList, domain_to_ascii_cow, domain_to_unicode};

use crate::text;

/// Characters of a name as typed: more than any name has.
const NAME_CHARS_MAX: usize = 1024;

/// The name or address of a machine in canonical spelling: lower case, without a final dot or
/// brackets, in ASCII (RFC 5891); addresses as RFC 5952 writes them, with an IPv4-mapped IPv6
/// address as IPv4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host(String);

/// Why a text is no name or address: what is wrong, and what is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostError(&'static str);

impl fmt::Display for HostError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.0)
    }
}

impl Host {
    /// Parses what a user types, or an invite contains.
    ///
    /// # Errors
    /// If it can't be the name of a machine.
    pub fn parse(text: &str) -> Result<Self, HostError> {
        const WRONG: HostError =
            HostError("this is not the name or address of a machine, such as localhost");
        let text = text.trim();
        let bare = text
            .strip_prefix('[')
            .and_then(|text| text.strip_suffix(']'))
            .unwrap_or(text);
        if bare.is_empty() {
            return Err(HostError("name a machine, such as localhost"));
        }
        let misplaced = |c: char| c.is_whitespace() || matches!(c, '/' | '[' | ']' | '@');
        let is_long = bare.chars().nth(NAME_CHARS_MAX).is_some();
        if is_long || bare.chars().any(misplaced) || text::first_unfit_for_line(bare).is_some() {
            return Err(WRONG);
        }
        if let Some(address) = address(bare) {
            return Ok(Self(address));
        }
        let name = if bare.is_ascii() {
            bare.to_ascii_lowercase()
        } else {
            domain_to_ascii_cow(bare.as_bytes(), AsciiDenyList::URL)
                .map_err(|_| WRONG)?
                .into_owned()
        };
        let name = name.strip_suffix('.').unwrap_or(&name);
        // Full-width digits may have become an address.
        if let Some(address) = address(name) {
            return Ok(Self(address));
        }
        if name.contains(':') {
            return Err(HostError(
                "a name has no \":\", and this is no IPv6 address: HOST and PORT are two words, such \
                 as localhost 10500",
            ));
        }
        if name.is_empty() {
            return Err(WRONG);
        }
        Ok(Self(name.to_owned()))
    }

    /// The name or address, without brackets.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The host with its port, as people write it: `localhost:10500`, `[::1]:10500`.
    pub fn with_port(&self, port: u16) -> String {
        if self.0.contains(':') {
            format!("[{self}]:{port}")
        } else {
            format!("{self}:{port}")
        }
    }

    /// Respells a host with its port, in any spelling, as [`with_port`](Self::with_port) does.
    pub(crate) fn respelt(server: &str) -> Option<String> {
        let (host, port) = server.rsplit_once(':')?;
        Some(Self::parse(host).ok()?.with_port(port.parse().ok()?))
    }

    /// The name as people write it, if that differs from its ASCII form: `bücher.example`.
    pub fn unicode(&self) -> Option<String> {
        let (name, fits) = domain_to_unicode(&self.0);
        (fits.is_ok() && name != self.0).then_some(name)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0)
    }
}

/// Respells an address canonically; keeps its zone, which only this machine knows.
fn address(text: &str) -> Option<String> {
    match text.split_once('%') {
        Some((address, zone)) if !zone.is_empty() => {
            let address: Ipv6Addr = address.parse().ok()?;
            Some(format!("{address}%{zone}"))
        }
        _ => {
            let address: IpAddr = text.parse().ok()?;
            Some(address.to_canonical().to_string())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_spellings_of_a_machine_become_one() {
        for (name, spellings) in [
            (
                "localhost",
                &["localhost", "LOCALHOST", "localhost.", " LocalHost. "][..],
            ),
            (
                "chat.example.org",
                &["chat.example.org", "Chat.Example.ORG."],
            ),
            (
                "xn--bcher-kva.example",
                &[
                    "bücher.example",
                    "BÜCHER.example.",
                    "bu\u{308}cher.example",
                    "bücher。example",
                    "XN--BCHER-KVA.example",
                ],
            ),
            ("xn--fsqu00a.xn--0zwm56d", &["例子.测试", "例子.测试."]),
            ("build_1.lan", &["build_1.lan", "BUILD_1.lan"]),
            (
                "127.0.0.1",
                &[
                    "127.0.0.1",
                    "::ffff:127.0.0.1",
                    "[::FFFF:7f00:1]",
                    "１２７.0.0.1",
                ],
            ),
            ("::1", &["::1", "[::1]", "0:0:0:0:0:0:0:1", "::0001"]),
            (
                "2001:db8::a",
                &["2001:DB8::A", "2001:0db8:0:0:0:0:0:a", "[2001:db8::a]"],
            ),
            ("fe80::1%eth0", &["fe80::1%eth0", "[FE80:0::1%eth0]"]),
        ] {
            for spelling in spellings {
                let host = Host::parse(spelling).map(|host| host.to_string());
                assert_eq!(host.as_deref(), Ok(name), "{spelling}");
            }
        }
    }

    #[test]
    fn an_impossible_name_is_refused() {
        let long = "x".repeat(10_000);
        for text in [
            "",
            " ",
            "[]",
            ".",
            "localhost:10500",
            "1::2::3",
            "::1%",
            "a b",
            "http://a",
            "a/b",
            "a@b",
            "[a",
            "a]",
            "a\u{202e}b",
            "ü\u{ff0f}b",
            "ü%b",
            "ü\u{ff1a}1",
            &long,
        ] {
            assert!(Host::parse(text).is_err(), "{text:.40}");
        }
    }

    #[test]
    fn a_port_stands_behind_a_host_as_people_write_it() {
        for (host, label) in [
            ("localhost", "localhost:10500"),
            ("::1", "[::1]:10500"),
            ("[::1]", "[::1]:10500"),
        ] {
            let host = Host::parse(host).unwrap();
            assert_eq!(host.with_port(10500), label);
            assert_eq!(Host::respelt(label).as_deref(), Some(label));
        }
        let respelt = Host::respelt("[0:0::1]:10500");
        assert_eq!(respelt.as_deref(), Some("[::1]:10500"));
        assert_eq!(Host::respelt("localhost"), None);
    }

    #[test]
    fn a_name_is_told_as_people_write_it_where_that_differs() {
        let unicode = |text: &str| Host::parse(text).unwrap().unicode();
        assert_eq!(unicode("BÜCHER.example").as_deref(), Some("bücher.example"));
        assert_eq!(
            unicode("xn--bcher-kva.example").as_deref(),
            Some("bücher.example")
        );
        for plain in [
            "localhost",
            "LOCALHOST.",
            "::1",
            "127.0.0.1",
            "fe80::1%eth0",
        ] {
            assert_eq!(unicode(plain), None, "{plain}");
        }
    }
}
