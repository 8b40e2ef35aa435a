//! Proof of identity for both ends of a connection: Ed25519 keys of clients, and fingerprints of
//! servers' TLS keys.
//!
//! A client proves that it holds its key by signing a nonce that the server chose for this
//! connection, together with the connection itself ([`Binding`]). A signature that a man in the
//! middle relays belongs to another connection, and is refused.

use std::{
    fmt,
    net::{IpAddr, SocketAddr},
};

use data_encoding::BASE32_NOPAD;
use ed25519_dalek::{Signature as Signed, Signer, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use super::{
    hex::{hex_id, shown_hex_id},
    name::{NameError, UserId},
};

/// Prefix of a signed text over TLS. Makes the signature useless for other purposes.
const DOMAIN_TLS: &[u8] = b"chat-tui proof of identity v1\0";
/// Prefix over plain TCP. Version 1 did not name the server's address.
const DOMAIN_PLAIN: &[u8] = b"chat-tui proof of identity v2\0";

hex_id!(
    /// An Ed25519 public key (RFC 8032) of a device.
    PublicKey, 32, "A key has 64 hexadecimal digits"
);
shown_hex_id!(PublicKey);

impl PublicKey {
    /// The user that is created with this key: a one-way function of it, the same on every server.
    pub fn user(&self) -> UserId {
        let digest = self.digest("chat-tui user of key");
        UserId::from_bytes(std::array::from_fn(|i| digest[i]))
    }

    /// The tag that tells apart the keys of one user.
    pub fn tag(&self) -> KeyTag {
        let digest = self.digest("chat-tui key");
        KeyTag(std::array::from_fn(|i| digest[i]))
    }

    fn digest(&self, domain: &str) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(domain.as_bytes());
        hash.update([0]);
        hash.update(self.0);
        hash.finalize().into()
    }

    /// Whether the holder of the key signed this nonce on this connection. Refuses ambiguous keys
    /// and signatures (of small order, not canonical).
    pub fn proves(&self, binding: &Binding, nonce: &Nonce, signature: &Signature) -> bool {
        let Ok(key) = VerifyingKey::from_bytes(&self.0) else {
            return false;
        };
        let signature = Signed::from_bytes(&signature.0);
        key.verify_strict(&binding.with(nonce), &signature).is_ok()
    }
}

hex_id!(
    /// A short name for one of a user's keys, shown to that user: 8 hexadecimal digits.
    KeyTag, 4, "A device has 8 hexadecimal digits"
);
shown_hex_id!(KeyTag);

hex_id!(
    /// A random number that the server chooses and uses once: 64 hexadecimal digits.
    Nonce, 32, "A nonce has 64 hexadecimal digits"
);
shown_hex_id!(Nonce);

hex_id!(
    /// An Ed25519 signature: 128 hexadecimal digits.
    Signature, 64, "A signature has 128 hexadecimal digits"
);
shown_hex_id!(Signature);

/// Identifies a server's key: the SHA-256 of the public key (`SubjectPublicKeyInfo`, RFC 7469) in
/// its certificate. Written, also on the wire, as 13 groups of four letters and digits that can be
/// read aloud: base32 (RFC 4648), which has no 0, 1, 8 or 9.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a public key in DER, as its certificate holds it.
    pub fn of_public_key_info(der: &[u8]) -> Self {
        Self(Sha256::digest(der).into())
    }

    /// From its bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Its bytes.
    pub const fn to_bytes(self) -> [u8; 32] {
        self.0
    }

    /// Parses the form that [`fmt::Display`] writes; ignores case, spaces and missing hyphens.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        read_base32(text).map(Self).ok_or(NameError(
            "A fingerprint has 13 groups of four letters and digits",
        ))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_base32(&self.0, out)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

/// Identifies one connection in a signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Binding {
    /// The TLS session's exporter value (RFC 9266, `tls-exporter`).
    Exporter([u8; 32]),
    /// Without encryption: the server's key and its address. A man in the middle can't have the
    /// server's address.
    Plain {
        /// The server's key.
        server: Fingerprint,
        /// The server's end of the connection.
        address: SocketAddr,
    },
}

impl Binding {
    /// The bytes to sign.
    fn with(&self, nonce: &Nonce) -> Vec<u8> {
        match self {
            Self::Exporter(bytes) => [DOMAIN_TLS, b"E", bytes, &nonce.0].concat(),
            Self::Plain { server, address } => {
                let ip = match address.ip() {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => ip,
                };
                let port = address.port().to_be_bytes();
                [DOMAIN_PLAIN, b"K", &server.0, &ip.octets(), &port, &nonce.0].concat()
            }
        }
    }
}

/// A private Ed25519 key, which never leaves the user's machine.
#[derive(Clone)]
pub struct Identity(SigningKey);

impl Identity {
    /// From 32 random bytes.
    pub fn from_seed(seed: [u8; 32]) -> Self {
        Self(SigningKey::from_bytes(&seed))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key().to_bytes())
    }

    /// Signs a proof, for one connection, that the key is held here.
    pub fn prove(&self, binding: &Binding, nonce: &Nonce) -> Signature {
        Signature(self.0.sign(&binding.with(nonce)).to_bytes())
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "Identity({})", self.public())
    }
}

/// A short secret that one person tells another, valid once: groups of four letters and digits in
/// base32 (RFC 4648).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Code<const N: usize>([u8; N]);

/// Makes the user who enters it the owner of a server: `mfxg-k2lt-mfxg-k2lt`.
pub type OwnerCode = Code<10>;
/// Adds a device to a user, within minutes and a few attempts: `mfxg-k2lt`.
pub type DeviceCode = Code<5>;

impl<const N: usize> Code<N> {
    /// From random bytes.
    pub const fn from_bytes(bytes: [u8; N]) -> Self {
        Self(bytes)
    }

    /// Parses the form that [`fmt::Display`] writes; ignores case, spaces and missing hyphens.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        read_base32(text)
            .map(Self)
            .ok_or(NameError("A code has groups of four letters and digits"))
    }
}

impl<const N: usize> fmt::Display for Code<N> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_base32(&self.0, out)
    }
}

impl<const N: usize> fmt::Debug for Code<N> {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Code(secret)")
    }
}

fn write_base32(bytes: &[u8], out: &mut fmt::Formatter<'_>) -> fmt::Result {
    let digits = BASE32_NOPAD.encode(bytes).to_lowercase();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && index % 4 == 0 {
            out.write_str("-")?;
        }
        write!(out, "{digit}")?;
    }
    Ok(())
}

/// Reads `N` bytes of base32, however they are grouped.
fn read_base32<const N: usize>(text: &str) -> Option<[u8; N]> {
    // Twice the length with all hyphens is too long for a typing slip.
    if text.len() > 4 * N {
        return None;
    }
    let digits: String = text
        .chars()
        .filter(|c| !matches!(c, '-' | ' '))
        .map(|c| c.to_ascii_uppercase())
        .collect();
    BASE32_NOPAD.decode(digits.as_bytes()).ok()?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONCE: Nonce = Nonce([7; 32]);

    #[test]
    fn a_proof_holds_for_its_key_its_nonce_and_its_connection_only() {
        let (carol, eve) = (Identity::from_seed([1; 32]), Identity::from_seed([2; 32]));
        let here = Binding::Exporter([3; 32]);
        let proof = carol.prove(&here, &NONCE);
        assert!(carol.public().proves(&here, &NONCE, &proof));
        assert!(!eve.public().proves(&here, &NONCE, &proof));
        assert!(!carol.public().proves(&here, &Nonce([8; 32]), &proof));
        let elsewhere = Binding::Exporter([4; 32]);
        assert!(!carol.public().proves(&elsewhere, &NONCE, &proof));
        let mut bent = proof;
        bent.0[10] ^= 1;
        assert!(!carol.public().proves(&here, &NONCE, &bent));
    }

    #[test]
    fn over_plain_tcp_a_proof_holds_for_one_server_at_one_address() {
        let carol = Identity::from_seed([1; 32]);
        let plain = |key, address: &str| Binding::Plain {
            server: Fingerprint([key; 32]),
            address: address.parse().unwrap(),
        };
        let here = plain(3, "127.0.0.1:10500");
        let proof = carol.prove(&here, &NONCE);
        for (binding, holds) in [
            (here, true),
            // The same address, as a dual-stack socket reports it.
            (plain(3, "[::ffff:127.0.0.1]:10500"), true),
            (plain(4, "127.0.0.1:10500"), false),
            (plain(3, "127.0.0.1:10501"), false),
            (plain(3, "127.0.0.2:10500"), false),
            (plain(3, "[::1]:10500"), false),
            (Binding::Exporter([3; 32]), false),
        ] {
            let proves = carol.public().proves(&binding, &NONCE, &proof);
            assert_eq!(proves, holds, "{binding:?}");
        }
        // docs/PROTOCOL.md specifies the signed bytes.
        assert_eq!(here.with(&NONCE).len(), 30 + 1 + 32 + 16 + 2 + 32);
    }

    #[test]
    fn a_key_that_proves_nothing_is_no_key() {
        // The neutral element: every signature made with it holds.
        let mut neutral = [0; 32];
        neutral[0] = 1;
        let mut signature = [0; 64];
        signature[0] = 1;
        let binding = Binding::Exporter([3; 32]);
        assert!(!PublicKey(neutral).proves(&binding, &NONCE, &Signature(signature)));
        assert!(!PublicKey([0xff; 32]).proves(&binding, &NONCE, &Signature([0xff; 64])));
    }

    #[test]
    fn a_fingerprint_is_read_however_it_was_told() {
        let fingerprint = Fingerprint::of_public_key_info(b"some key");
        let shown = fingerprint.to_string();
        assert_eq!(shown.len(), 52 + 12, "{shown}");
        assert_eq!(shown.split('-').count(), 13, "{shown}");
        for told in [
            shown.clone(),
            shown.to_uppercase(),
            shown.replace('-', ""),
            shown.replace('-', " "),
        ] {
            assert_eq!(Fingerprint::parse(&told), Ok(fingerprint), "{told}");
        }
        assert!(Fingerprint::parse(&shown[1..]).is_err());
        assert!(Fingerprint::parse(&format!("{shown}-aaaa")).is_err());
        assert!(Fingerprint::parse(&shown.replace('-', "0")).is_err());
        assert!(Fingerprint::parse(&"-".repeat(1 << 20)).is_err());
    }

    #[test]
    fn codes_are_short_and_never_shown_by_mistake() {
        let code = DeviceCode::from_bytes([0x61, 0x62, 0x63, 0x64, 0x65]);
        assert_eq!(code.to_string(), "mfrg-gzdf");
        assert_eq!(DeviceCode::parse("MFRG GZDF"), Ok(code));
        assert_eq!(format!("{code:?}"), "Code(secret)");
        assert!(OwnerCode::parse("mfrg-gzdf").is_err());
    }

    #[test]
    fn a_user_is_the_same_for_the_same_key() {
        let (carol, eve) = (PublicKey([1; 32]), PublicKey([2; 32]));
        assert_eq!(carol.user(), PublicKey([1; 32]).user());
        assert_ne!(carol.user(), eve.user());
        assert_eq!(carol.tag().to_string().len(), 8);
    }
}
