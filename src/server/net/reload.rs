//! What the operator may change while the server runs.

use super::{passwords::Passwords, tls::Credentials};
use crate::server::{config::Config, keys::Keys, log::Recorder, secrets::Secrets};

/// What is read again when he says so: his certificate, and the password.
#[derive(Clone, Debug)]
pub struct Reload {
    /// Where the certificate is the operator's own.
    credentials: Option<Credentials>,
    passwords: Option<Passwords>,
    secrets: Secrets,
    recorder: Recorder,
}

impl Reload {
    /// `None` if there is nothing to be read again.
    pub(super) fn new(
        config: &Config,
        credentials: &Credentials,
        passwords: Option<&Passwords>,
    ) -> Option<Self> {
        let own = matches!(config.keys, Keys::Files { .. });
        (own || passwords.is_some()).then(|| Self {
            credentials: own.then(|| credentials.clone()),
            passwords: passwords.cloned(),
            secrets: config.secrets.clone(),
            recorder: config.recorder.clone(),
        })
    }

    /// Reads it. What can't be used stays as it was, and is told. Touches the disk.
    pub fn read(&self) {
        if let Some(credentials) = &self.credentials {
            credentials.reload();
            let fingerprint = Some(credentials.fingerprint());
            self.secrets.note_fingerprint(fingerprint, &self.recorder);
        }
        if let Some(passwords) = &self.passwords {
            passwords.reload();
        }
    }
}
