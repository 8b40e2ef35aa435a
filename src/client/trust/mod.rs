//! Whether a server is the one that is meant, and whether it may be spoken to in the clear.
//!
//! 1. A server that is known by its key (from the file of [`known`] servers, an invite or `--trust`)
//!    has to show that key, whoever vouches for another.
//! 2. One that is not known, but for which the system's roots vouch, is fine; from then on they have
//!    to: whoever is in the middle one day can't pass for a server that is met for the first time. An
//!    invite that names another key than such a server has is not shown to it.
//! 3. Any other is taken at its word for this run. Once it has let us in it is known by its key from
//!    then on: before that, it may be somebody who only passes the connection on, and whom the
//!    proof of our own key finds out.
//!
//! What is not as it has to be is a hard stop ([`Distrust`]): nothing is sent, nobody is asked, and
//! the words say what to type if all is well.
//!
//! In the clear is spoken where the user said so, or where a program of this very machine that is
//! not known answers a TLS hello with something else; never with one that is known, or that has
//! spoken TLS in this run.

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

/// What the user has said about whom to trust.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// The directory with the file of known servers; `None`: what is known is known for this run.
    pub directory: Option<PathBuf>,
    /// Whether to speak in the clear.
    pub plaintext: bool,
    /// The one key to be accepted, in place of what is known.
    pub accept: Option<Fingerprint>,
    /// The key that an invite names.
    pub invited: Option<Fingerprint>,
}

/// The name of the file of known servers.
const FILE: &str = "known_hosts";

/// Makes a server unknown, so that it is met for the first time again; `false` if it was.
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
    /// Whether a server that another process has made known meanwhile is the one that this process
    /// has met.
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
                why: "they did for who answered another start, and not for who answered this one"
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

/// What this run has found out.
#[derive(Debug, Default)]
struct RunState {
    /// What is known, where the file does not say.
    known: Option<KnownServer>,
    /// Whether the server has spoken TLS.
    encrypted: bool,
    /// The key that was taken at first sight, until the server has let us in.
    met: Option<KnownServer>,
    /// Where no TLS was spoken.
    plain: BTreeSet<SocketAddr>,
    /// Whether the key of `--trust` was seen and kept: from then on the file counts.
    accepted: bool,
    /// Whether the user was told that nothing can be kept.
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

    /// What the server has to show. Reads the file each time: another process may have changed it,
    /// by the user's own hand.
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

    /// The server showed what it had to: it is known from now on; for this run only, where nobody
    /// vouches for its key, until [`let_in`](Self::let_in). What the user should know, if that can't
    /// be kept.
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
            // Where another process met it at the same time, it may have met another one.
            if let Some(kept) = self.known()? {
                return kept.agrees(by, fingerprint).map(|()| None);
            }
            self.run().met = Some(known);
            return Ok(None);
        }
        self.keep(known, given, by, fingerprint)
    }

    /// Whether there is a key to be kept once the server has let us in.
    pub(crate) fn is_at_first_sight(&self) -> bool {
        self.run().met.is_some()
    }

    /// The server let us in: the key that was taken at first sight is kept. What the user should
    /// know, if that can't be done.
    pub(crate) fn let_in(&self) -> Result<Option<Line>, Distrust> {
        let met = self.run().met;
        let Some(known) = met else {
            return Ok(None);
        };
        let TrustedBy::Key(key) = known.by else {
            return Ok(None);
        };
        let kept = self.keep(known, false, VerifiedBy::FirstUse, key);
        // Only now: a connection that is opened meanwhile has to show the same key.
        self.run().met = None;
        kept
    }

    /// Who showed the key taken at first sight may be somebody in between: it is not kept.
    pub(crate) fn doubt(&self) {
        self.run().met = None;
    }

    /// Keeps what a server is known by.
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
                "Which key {} has is known for this run only: {error}",
                self.server
            )))),
        }
    }

    /// Whether a server that has to show this may be spoken to in the clear, on this machine.
    pub(crate) fn may_be_plain(&self, expected: Expected, address: SocketAddr) -> bool {
        expected == Expected::Anything
            && address.ip().to_canonical().is_loopback()
            && !self.run().encrypted
    }

    /// Whether what listens there is known to speak no TLS.
    pub(crate) fn was_plain(&self, address: SocketAddr) -> bool {
        self.run().plain.contains(&address)
    }

    /// What listens there speaks no TLS. Remembered for this run, so that coming back is quick.
    pub(crate) fn is_plain(&self, address: SocketAddr) {
        self.run().plain.insert(address);
    }

    /// What listens there did not let us in as we came: it may be another program by now.
    pub(crate) fn ask_again(&self) {
        self.run().plain.clear();
    }

    /// Whether the server has spoken TLS, now or before.
    pub(crate) fn must_encrypt(&self, expected: Expected) -> bool {
        expected != Expected::Anything || self.run().encrypted
    }
}

/// The system's own roots, where they are needed: reading them takes tens of milliseconds, so this
/// belongs on a thread of its own.
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
