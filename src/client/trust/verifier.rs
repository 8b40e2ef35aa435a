//! Verifies a server's certificate for one handshake, and remembers the verdict.

use std::sync::{Arc, Mutex, PoisonError};

use jiff::civil::Date;
use rustls::{
    CertificateError, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    server::ParsedCertificate,
};

use crate::{
    client::{
        event::VerifiedBy,
        session::{Distrust, KeySource},
    },
    protocol::Fingerprint,
};

/// The key or certificate that the server must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    /// The server is unknown: any certificate.
    Anything,
    /// This key.
    Key(Fingerprint, KeySource),
    /// A certificate that the system's roots vouch for, as they have since this day.
    System(Date),
}

impl Expected {
    /// The source of the expectation that it encrypts, if any.
    pub(crate) fn source(self) -> Option<KeySource> {
        match self {
            Self::Anything => None,
            Self::Key(_, source) => Some(source),
            Self::System(since) => Some(KeySource::Known(since)),
        }
    }
}

/// The result of the verification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Accepted(VerifiedBy, Fingerprint),
    Refused(Distrust),
}

/// The verifier; see the module's docs.
#[derive(Debug)]
pub(crate) struct Verifier {
    provider: Arc<CryptoProvider>,
    expected: Expected,
    /// The system's roots; `None` if they are not needed, or there are none.
    roots: Option<Arc<dyn ServerCertVerifier>>,
    verdict: Mutex<Option<Verdict>>,
}

impl Verifier {
    pub(crate) fn new(
        provider: Arc<CryptoProvider>,
        expected: Expected,
        roots: Option<Arc<dyn ServerCertVerifier>>,
    ) -> Self {
        Self {
            provider,
            expected,
            roots,
            verdict: Mutex::new(None),
        }
    }

    /// The verdict; `None`: no certificate was shown, or none that can be parsed.
    pub(crate) fn verdict(&self) -> Option<Verdict> {
        self.verdict
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

/// Decides in this order: an expected key wins over everything; otherwise the system's roots are
/// asked; otherwise the key is accepted at the first connection.
fn decide(
    expected: Expected,
    offered: Fingerprint,
    vouched: impl FnOnce() -> Result<(), String>,
) -> Verdict {
    match expected {
        Expected::Key(key, _) if key == offered => Verdict::Accepted(VerifiedBy::Pin, offered),
        Expected::Key(key, source) => Verdict::Refused(Distrust::Changed {
            expected: key,
            source,
            offered,
        }),
        Expected::System(since) => match vouched() {
            Ok(()) => Verdict::Accepted(VerifiedBy::Roots, offered),
            Err(why) => Verdict::Refused(Distrust::NotVouched {
                since,
                offered,
                why,
            }),
        },
        Expected::Anything => {
            let by = match vouched() {
                Ok(()) => VerifiedBy::Roots,
                Err(_) => VerifiedBy::FirstUse,
            };
            Verdict::Accepted(by, offered)
        }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let key = ParsedCertificate::try_from(certificate)?.subject_public_key_info();
        let vouched = || match &self.roots {
            None => Err("no certificates that the system trusts could be found".to_owned()),
            Some(roots) => roots
                .verify_server_cert(certificate, intermediates, name, ocsp, now)
                .map(drop)
                .map_err(|error| in_words(&error)),
        };
        let verdict = decide(
            self.expected,
            Fingerprint::of_public_key_info(key.as_ref()),
            vouched,
        );
        let accepted = matches!(verdict, Verdict::Accepted(..));
        *self.verdict.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
        if accepted {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::ApplicationVerificationFailure.into())
        }
    }

    // The server must prove to hold the key, however the certificate is judged.
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider
            .signature_verification_algorithms
            .supported_schemes()
    }
}

/// Why the system does not vouch for a certificate, worded to follow "because".
fn in_words(error: &Error) -> String {
    let Error::InvalidCertificate(wrong) = error else {
        return error.to_string();
    };
    let words = match wrong {
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "its certificate has expired"
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "its certificate is not valid yet, by the clock of this machine"
        }
        CertificateError::Revoked => "its certificate was revoked",
        CertificateError::UnknownIssuer => {
            "no authority that the system trusts has signed its certificate"
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "its certificate is for another name"
        }
        other => return format!("its certificate is not valid: {other}"),
    };
    words.to_owned()
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    const OURS: Fingerprint = Fingerprint::from_bytes([1; 32]);
    const OTHER: Fingerprint = Fingerprint::from_bytes([2; 32]);

    #[test]
    fn a_key_that_is_expected_wins_then_the_roots_then_the_first_sight() {
        let since = date(2026, 11, 22);
        let known = KeySource::Known(since);
        let why = || "expired".to_owned();
        let changed = |source| {
            Verdict::Refused(Distrust::Changed {
                expected: OURS,
                source,
                offered: OTHER,
            })
        };
        for (expected, offered, vouched, verdict) in [
            (Expected::Key(OURS, known), OURS, false, Ok(VerifiedBy::Pin)),
            (Expected::Key(OURS, known), OURS, true, Ok(VerifiedBy::Pin)),
            (
                Expected::Key(OURS, known),
                OTHER,
                false,
                Err(changed(known)),
            ),
            // Even if the roots vouch for it, it is another key.
            (Expected::Key(OURS, known), OTHER, true, Err(changed(known))),
            (
                Expected::Key(OURS, KeySource::Invite),
                OTHER,
                true,
                Err(changed(KeySource::Invite)),
            ),
            (Expected::System(since), OTHER, true, Ok(VerifiedBy::Roots)),
            (
                Expected::System(since),
                OTHER,
                false,
                Err(Verdict::Refused(Distrust::NotVouched {
                    since,
                    offered: OTHER,
                    why: why(),
                })),
            ),
            (Expected::Anything, OTHER, true, Ok(VerifiedBy::Roots)),
            (Expected::Anything, OTHER, false, Ok(VerifiedBy::FirstUse)),
        ] {
            let due = match verdict {
                Ok(by) => Verdict::Accepted(by, offered),
                Err(refused) => refused,
            };
            let vouch = || if vouched { Ok(()) } else { Err(why()) };
            assert_eq!(decide(expected, offered, vouch), due, "{expected:?}");
        }
    }

    #[test]
    fn the_roots_are_not_asked_for_a_key_that_is_known() {
        for offered in [OURS, OTHER] {
            let known = KeySource::Known(date(2026, 11, 22));
            decide(Expected::Key(OURS, known), offered, || {
                panic!("they are loaded for nothing")
            });
        }
    }
}
