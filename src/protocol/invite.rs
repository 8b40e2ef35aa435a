//! Invites: one string with a server's address, its key's fingerprint, and a token that admits the
//! bearer.
//!
//! ```text
//! chat-tui://chat.example.org:10500/AXp3…    version (1 byte), fingerprint (32), token (34)
//! ```
//!
//! The token is a message from the server to itself, authenticated with a secret of its own
//! (HMAC-SHA256, RFC 2104, truncated to 128 bits). Anyone who can read the server's data directory
//! can mint one, even while the server is stopped. The server remembers by id how often a token was
//! used and whether it was revoked.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use super::{
    hex::{hex_id, shown_hex_id},
    key::Fingerprint,
    limits::INVITE_BYTES_MAX,
    name::NameError,
};

const SCHEME: &str = "chat-tui://";
const VERSION: u8 = 1;
const DOMAIN: &[u8] = b"chat-tui invite v1\0";
/// Id, expiry and uses.
const CLAIMS_BYTES: usize = 8 + 8 + 2;
const TAG_BYTES: usize = 16;
const TOKEN_BYTES: usize = CLAIMS_BYTES + TAG_BYTES;

hex_id!(
    /// An invite's id: 16 hexadecimal digits.
    InviteId, 8, "An invite's id has 16 hexadecimal digits"
);
shown_hex_id!(InviteId);

/// The secret that authenticates a server's invites.
#[derive(Clone)]
pub struct InviteKey([u8; 32]);

impl InviteKey {
    /// Makes a key from random bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    fn tag(&self, claims: &[u8]) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes any key");
        mac.update(DOMAIN);
        mac.update(claims);
        mac
    }
}

impl fmt::Debug for InviteKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("InviteKey(secret)")
    }
}

/// The part of an invite that admits its bearer. A forged one can exist; [`InviteToken::is_from`]
/// refuses it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct InviteToken {
    id: InviteId,
    expires: u64,
    uses: u16,
    tag: [u8; TAG_BYTES],
}

impl InviteToken {
    /// Mints a token. `expires`: seconds since 1970, UTC; `uses`: how many users it admits, 0 for
    /// any number.
    pub fn mint(key: &InviteKey, id: InviteId, expires: u64, uses: u16) -> Self {
        let mut token = Self {
            id,
            expires,
            uses,
            tag: [0; TAG_BYTES],
        };
        let tag = key.tag(&token.claims()).finalize().into_bytes();
        token.tag.copy_from_slice(&tag[..TAG_BYTES]);
        token
    }

    /// Its id.
    pub fn id(&self) -> InviteId {
        self.id
    }

    /// Expiry, in seconds since 1970, UTC.
    pub fn expires(&self) -> u64 {
        self.expires
    }

    /// How many users it admits; 0: any number.
    pub fn uses(&self) -> u16 {
        self.uses
    }

    /// Whether it was minted with this key. Constant time, whatever is wrong with it.
    pub fn is_from(&self, key: &InviteKey) -> bool {
        key.tag(&self.claims())
            .verify_truncated_left(&self.tag)
            .is_ok()
    }

    fn claims(&self) -> [u8; CLAIMS_BYTES] {
        let mut bytes = [0; CLAIMS_BYTES];
        bytes[..8].copy_from_slice(&self.id.to_bytes());
        bytes[8..16].copy_from_slice(&self.expires.to_be_bytes());
        bytes[16..].copy_from_slice(&self.uses.to_be_bytes());
        bytes
    }

    fn to_bytes(self) -> [u8; TOKEN_BYTES] {
        let mut bytes = [0; TOKEN_BYTES];
        bytes[..CLAIMS_BYTES].copy_from_slice(&self.claims());
        bytes[CLAIMS_BYTES..].copy_from_slice(&self.tag);
        bytes
    }

    fn from_bytes(bytes: &[u8; TOKEN_BYTES]) -> Self {
        fn part<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
            std::array::from_fn(|i| bytes[at + i])
        }
        Self {
            id: InviteId::from_bytes(part(bytes, 0)),
            expires: u64::from_be_bytes(part(bytes, 8)),
            uses: u16::from_be_bytes(part(bytes, 16)),
            tag: part(bytes, CLAIMS_BYTES),
        }
    }

    /// Parses the form that [`InviteToken::expose`] writes.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        const WRONG: NameError = NameError("This is not an invite's token");
        if text.len() > INVITE_BYTES_MAX {
            return Err(WRONG);
        }
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).map_err(|_| WRONG)?;
        let bytes: &[u8; TOKEN_BYTES] = bytes.as_slice().try_into().map_err(|_| WRONG)?;
        Ok(Self::from_bytes(bytes))
    }

    /// The token in base64url (RFC 4648). Only for the wire and the invited user.
    pub fn expose(&self) -> String {
        BASE64URL_NOPAD.encode(&self.to_bytes())
    }
}

impl fmt::Debug for InviteToken {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "InviteToken({}, secret)", self.id)
    }
}

/// A whole invite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invite {
    /// The server's name or address, without brackets.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// The key that the server must have.
    pub fingerprint: Fingerprint,
    /// The token that admits the bearer.
    pub token: InviteToken,
}

impl Invite {
    /// Whether a text starts like an invite.
    pub fn looks_like_one(text: &str) -> bool {
        text.trim_start()
            .get(..SCHEME.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(SCHEME))
    }

    /// Parses the form that [`Invite::expose`] writes; spaces around it are allowed.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        const WRONG: NameError =
            NameError("This is not a whole invite: chat-tui://HOST:PORT/… is expected");
        let text = text.trim();
        if text.len() > INVITE_BYTES_MAX || !Self::looks_like_one(text) {
            return Err(WRONG);
        }
        let (place, secret) = text[SCHEME.len()..].split_once('/').ok_or(WRONG)?;
        let (host, port) = place.rsplit_once(':').ok_or(WRONG)?;
        // Only the canonical form: not `+1`, not `007`.
        let port = match port.parse() {
            Ok(number @ 1..) if !port.starts_with(['0', '+']) => number,
            _ => return Err(WRONG),
        };
        let host = match host.strip_prefix('[') {
            Some(rest) => {
                let address = rest.strip_suffix(']').ok_or(WRONG)?;
                if !address.contains(':') {
                    return Err(WRONG);
                }
                address
            }
            None if host.contains(':') => return Err(WRONG),
            None => host,
        };
        let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
        if host.is_empty() || !host.chars().all(fits) {
            return Err(WRONG);
        }
        let bytes = BASE64URL_NOPAD
            .decode(secret.as_bytes())
            .map_err(|_| WRONG)?;
        let (version, rest) = bytes.split_first().ok_or(WRONG)?;
        if *version != VERSION {
            return Err(NameError("This invite is for a newer chat-tui"));
        }
        let (fingerprint, token) = rest.split_at_checked(32).ok_or(WRONG)?;
        let fingerprint: [u8; 32] = fingerprint.try_into().map_err(|_| WRONG)?;
        let token: &[u8; TOKEN_BYTES] = token.try_into().map_err(|_| WRONG)?;
        Ok(Self {
            host: host.to_owned(),
            port,
            fingerprint: Fingerprint::from_bytes(fingerprint),
            token: InviteToken::from_bytes(token),
        })
    }

    /// The invite as one string, for the invited user.
    pub fn expose(&self) -> String {
        let mut secret = vec![VERSION];
        secret.extend(self.fingerprint.to_bytes());
        secret.extend(self.token.to_bytes());
        let secret = BASE64URL_NOPAD.encode(&secret);
        let Self { host, port, .. } = self;
        if host.contains(':') {
            format!("{SCHEME}[{host}]:{port}/{secret}")
        } else {
            format!("{SCHEME}{host}:{port}/{secret}")
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: InviteId = InviteId([5; 8]);

    fn invite(host: &str) -> Invite {
        let key = InviteKey::from_bytes([9; 32]);
        Invite {
            host: host.to_owned(),
            port: 10500,
            fingerprint: Fingerprint::from_bytes([0xa7; 32]),
            token: InviteToken::mint(&key, ID, 1_800_000_000, 1),
        }
    }

    #[test]
    fn an_invite_is_one_string_and_back() {
        for host in ["chat.example.org", "192.168.1.20", "::1", "fe80::1%eth0"] {
            let invite = invite(host);
            let shown = invite.expose();
            assert_eq!(Invite::parse(&shown).as_ref(), Ok(&invite), "{shown}");
            assert_eq!(Invite::parse(&format!(" {shown}\n")), Ok(invite));
            assert!(shown.len() < 140, "{shown}");
        }
    }

    #[test]
    fn a_cut_or_altered_invite_is_refused() {
        let shown = invite("chat.example.org").expose();
        for cut in 0..shown.len() {
            assert!(Invite::parse(&shown[..cut]).is_err(), "{cut}");
        }
        for wrong in [
            shown.replace(":10500", ":0"),
            shown.replace(":10500", ":010500"),
            shown.replace(":10500", ""),
            shown.replace("chat.example.org", "chat example.org"),
            shown.replace("chat.example.org", "chat\u{1b}[31m.org"),
            shown.replace("chat.example.org", "a@b"),
            shown.replace("chat.example.org", ""),
            shown.replace("chat.example.org", "::1"),
            shown.replace("chat.example.org", "[x]"),
            shown.replace("chat-tui://", "https://"),
            format!("{shown}A"),
            format!("{shown}{}", "A".repeat(1 << 20)),
        ] {
            assert!(Invite::parse(&wrong).is_err(), "{wrong:.200}");
        }
    }

    #[test]
    fn only_the_server_makes_its_tokens() {
        let key = InviteKey::from_bytes([9; 32]);
        let token = InviteToken::mint(&key, ID, 1_800_000_000, 3);
        assert!(token.is_from(&key));
        assert!(!token.is_from(&InviteKey::from_bytes([8; 32])));
        for forged in [
            InviteToken {
                expires: u64::MAX,
                ..token
            },
            InviteToken { uses: 0, ..token },
            InviteToken {
                id: InviteId([6; 8]),
                ..token
            },
            InviteToken {
                tag: [0; 16],
                ..token
            },
        ] {
            assert!(!forged.is_from(&key), "{forged:?}");
        }
    }

    proptest! {
        #[test]
        fn a_parsed_invite_survives_writing(text in "(chat-tui://)?[a-z:.\\[\\]0-9/A-Z_-]{0,120}") {
            if let Ok(invite) = Invite::parse(&text) {
                prop_assert_eq!(Invite::parse(&invite.expose()), Ok(invite));
            }
        }

        #[test]
        fn a_token_survives_the_wire(bytes: [u8; TOKEN_BYTES]) {
            let token = InviteToken::from_bytes(&bytes);
            prop_assert_eq!(InviteToken::parse(&token.expose()), Ok(token));
        }
    }
}
