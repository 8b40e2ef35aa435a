//! Verifies servers, and decides whether a connection may be unencrypted.
//!
//! 1. A server that is known by its key (from the file of [`known`] servers, an invite or
//!    `--trust`) must show that key, even if the system vouches for another.
//! 2. An unknown server that the system's roots vouch for is accepted, and they must vouch for it
//!    from then on: a later man in the middle can't pass for a new server. If an invite names
//!    another key than such a server has, the invite is not shown to it.
//! 3. Any other unknown server is accepted for this run. Once it has admitted us it is known by its
//!    key: before that, it may be a man in the middle that relays the connection, which the proof
//!    of our own key reveals.
//!
//! Any violation is a hard stop ([`Distrust`]): nothing is sent, the user is not asked, and the
//! explanation says what to type if the server is the right one.
//!
//! A connection is unencrypted if the user said so, or if an unknown program on this very machine
//! answers a TLS hello with something else; never with a known server, or one that has spoken TLS
//! in this run.

mod known;
mod verifier;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use jiff::civil::Date;
use rustls::{client::danger::ServerCertVerifier, crypto::CryptoProvider};

use self::known::{FileError, KnownServer, TrustedBy};
pub(crate) use self::verifier::{Expected, Verdict, Verifier};
use super::{
    Host,
    event::VerifiedBy,
    session::{Distrust, KeySource},
};
use crate::{protocol::Fingerprint, text::Line};

/// The user's settings about trust.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The directory with the file of known servers; `None`: servers are known for this run only.
    pub directory: Option<PathBuf>,
    /// Whether to connect without encryption.
    pub plaintext: bool,
    /// The only accepted key, instead of the known one.
    pub accept: Option<Fingerprint>,
    /// The key that an invite names.
    pub invited: Option<Fingerprint>,
}

/// The name of the file of known servers.
const FILE: &str = "known_hosts";

/// Removes a server from the known ones, so that the next connection counts as the first; `false`
/// if it was unknown.
///
/// # Errors
/// If the file can't be changed, in one plain sentence.
pub fn forget(directory: &Path, host: &Host, port: u16) -> Result<bool, Line> {
    known::remove(&directory.join(FILE), &host.with_port(port)).map_err(|error| in_words(&error))
}

fn in_words(error: &FileError) -> Line {
    Line::inert(&error.to_string())
}

impl KnownServer {
    /// Checks that the entry that another process has stored meanwhile fits the server that this
    /// process is connected to.
    fn agrees(self, by: VerifiedBy, fingerprint: Fingerprint) -> Result<(), Distrust> {
        match (self.by, by) {
            (TrustedBy::Key(key), _) if key != fingerprint => Err(Distrust::Changed {
                expected: key,
                source: KeySource::Known(self.since),
                offered: fingerprint,
            }),
            (TrustedBy::System, VerifiedBy::FirstUse) => Err(Distrust::NotVouched {
                since: self.since,
                offered: fingerprint,
                why: "they did for the server that another start reached, and not for this one"
                    .to_owned(),
            }),
            (TrustedBy::Key(_), _) | (TrustedBy::System, VerifiedBy::Roots | VerifiedBy::Pin) => {
                Ok(())
            }
        }
    }
}

/// Trust in one server, over all the connections of a run.
#[derive(Debug)]
pub(crate) struct Trust {
    server: String,
    file: Option<PathBuf>,
    policy: Policy,
    run: Mutex<RunState>,
}

/// Findings of this run.
#[derive(Debug, Default)]
struct RunState {
    /// The server's entry, where the file has none.
    known: Option<KnownServer>,
    /// Whether the server has spoken TLS.
    encrypted: bool,
    /// The key accepted at the first connection, until the server has admitted us.
    met: Option<KnownServer>,
    /// Addresses where no TLS was spoken.
    plain: BTreeSet<SocketAddr>,
    /// Whether the key of `--trust` was seen and stored: from then on the file counts.
    accepted: bool,
    /// Whether the user was told that nothing can be stored.
    told: bool,
}

impl Trust {
    pub(crate) fn new(host: &Host, port: u16, policy: Policy) -> Self {
        Self {
            server: host.with_port(port),
            file: policy.directory.as_ref().map(|place| place.join(FILE)),
            policy,
            run: Mutex::default(),
        }
    }

    fn run(&self) -> MutexGuard<'_, RunState> {
        self.run.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the user wants no encryption.
    pub(crate) fn is_plaintext(&self) -> bool {
        self.policy.plaintext
    }

    fn known(&self) -> Result<Option<KnownServer>, Distrust> {
        let found = match &self.file {
            Some(file) => known::find(file, &self.server)
                .map_err(|error| Distrust::Unreadable(in_words(&error)))?,
            None => None,
        };
        let run = self.run();
        Ok(found.or(run.known).or(run.met))
    }

    /// The key or certificate that the server must show. Reads the file each time, because another
    /// process may have changed it for the user.
    pub(crate) fn expected(&self) -> Result<Expected, Distrust> {
        if let Some(key) = self.policy.accept.filter(|_| !self.run().accepted) {
            return Ok(Expected::Key(key, KeySource::Given));
        }
        let known = self.known()?;
        if self.policy.plaintext
            && let Some(known) = known
        {
            return Err(Distrust::Plaintext { since: known.since });
        }
        Ok(match (known, self.policy.invited) {
            (
                Some(KnownServer {
                    by: TrustedBy::Key(key),
                    since,
                }),
                Some(invited),
            ) if key != invited => {
                return Err(Distrust::Invite {
                    known: key,
                    since,
                    invited,
                });
            }
            (Some(KnownServer { by, since }), _) => match by {
                TrustedBy::Key(key) => Expected::Key(key, KeySource::Known(since)),
                TrustedBy::System => Expected::System(since),
            },
            (None, Some(invited)) => Expected::Key(invited, KeySource::Invite),
            (None, None) => Expected::Anything,
        })
    }

    /// Records that the server showed what it must: it is known from now on. A key without a
    /// voucher is known for this run only, until [`let_in`](Self::let_in). Returns a notice to the
    /// user if it can't be stored.
    pub(crate) fn accepted(
        &self,
        today: Date,
        expected: Expected,
        by: VerifiedBy,
        fingerprint: Fingerprint,
    ) -> Result<Option<Line>, Distrust> {
        self.run().encrypted = true;
        let known = KnownServer {
            by: match by {
                VerifiedBy::Roots => TrustedBy::System,
                VerifiedBy::Pin | VerifiedBy::FirstUse => TrustedBy::Key(fingerprint),
            },
            since: today,
        };
        let given = matches!(expected, Expected::Key(_, KeySource::Given));
        let is_news = match expected {
            Expected::Key(_, source) => !matches!(source, KeySource::Known(_)),
            Expected::System(_) => false,
            Expected::Anything => true,
        };
        if !is_news {
            return Ok(None);
        }
        if by == VerifiedBy::FirstUse {
            // Another process may have seen another server at the same time.
            if let Some(kept) = self.known()? {
                return kept.agrees(by, fingerprint).map(|()| None);
            }
            self.run().met = Some(known);
            return Ok(None);
        }
        self.keep(known, given, by, fingerprint)
    }

    /// Whether there is a key to store once the server has admitted us.
    pub(crate) fn is_at_first_sight(&self) -> bool {
        self.run().met.is_some()
    }

    /// Stores the key accepted at the first connection, once the server has admitted us. Returns a
    /// notice to the user if that fails.
    pub(crate) fn let_in(&self) -> Result<Option<Line>, Distrust> {
        let met = self.run().met;
        let Some(known) = met else {
            return Ok(None);
        };
        let TrustedBy::Key(key) = known.by else {
            return Ok(None);
        };
        let kept = self.keep(known, false, VerifiedBy::FirstUse, key);
        // Cleared last: a connection that is opened meanwhile must show the same key.
        self.run().met = None;
        kept
    }

    /// Discards the key accepted at the first connection, because it may belong to somebody in
    /// between.
    pub(crate) fn doubt(&self) {
        self.run().met = None;
    }

    /// Stores a server's entry.
    fn keep(
        &self,
        known: KnownServer,
        given: bool,
        by: VerifiedBy,
        fingerprint: Fingerprint,
    ) -> Result<Option<Line>, Distrust> {
        let kept = match &self.file {
            None => Ok(known),
            Some(file) if given => known::replace(file, &self.server, known).map(|()| known),
            Some(file) => known::add(file, &self.server, known),
        };
        let mut run = self.run();
        run.known = Some(known);
        run.accepted |= given && kept.is_ok();
        match kept {
            Ok(kept) => kept.agrees(by, fingerprint).map(|()| None),
            Err(_) if std::mem::replace(&mut run.told, true) => Ok(None),
            Err(error) => Ok(Some(Line::inert(&format!(
                "The key of {} is known for this run only: {error}",
                self.server
            )))),
        }
    }

    /// Whether a server with this expectation may be connected to without encryption, on this
    /// machine.
    pub(crate) fn may_be_plain(&self, expected: Expected, address: SocketAddr) -> bool {
        expected == Expected::Anything
            && address.ip().to_canonical().is_loopback()
            && !self.run().encrypted
    }

    /// Whether the listener at this address is known to speak no TLS.
    pub(crate) fn was_plain(&self, address: SocketAddr) -> bool {
        self.run().plain.contains(&address)
    }

    /// Records for this run that the listener speaks no TLS, so that reconnecting is quick.
    pub(crate) fn is_plain(&self, address: SocketAddr) {
        self.run().plain.insert(address);
    }

    /// Forgets that listeners spoke no TLS: the last one did not admit us, and may be another
    /// program by now.
    pub(crate) fn ask_again(&self) {
        self.run().plain.clear();
    }

    /// Whether the server has spoken TLS in this run, or is expected to.
    pub(crate) fn must_encrypt(&self, expected: Expected) -> bool {
        expected != Expected::Anything || self.run().encrypted
    }
}

/// The system's own roots, where they are needed. Reading them takes tens of milliseconds, so call
/// it on a blocking thread.
pub(crate) fn roots(
    provider: &Arc<CryptoProvider>,
    expected: Expected,
) -> Option<Arc<dyn ServerCertVerifier>> {
    if matches!(expected, Expected::Key(..)) {
        return None;
    }
    let verifier = rustls_platform_verifier::Verifier::new(Arc::clone(provider)).ok()?;
    Some(Arc::new(verifier))
}

#[cfg(test)]
mod tests;
