//! What the operator may change while the server runs.

use super::{passwords::Passwords, tls::Credentials};
use crate::server::{config::Config, event_log::EventLog, keys::Keys, secrets::Secrets};

/// What is read again when he says so: his certificate, and the password.
#[derive(Clone, Debug)]
pub struct Reload {
    /// Where the certificate is the operator's own.
    credentials: Option<Credentials>,
    passwords: Option<Passwords>,
    secrets: Secrets,
    recorder: EventLog,
}

impl Reload {
    /// Of what is so configured; there may be nothing to read.
    pub(super) fn new(
        config: &Config,
        credentials: &Credentials,
        passwords: Option<&Passwords>,
    ) -> Self {
        let own = matches!(config.keys, Keys::Files { .. });
        Self {
            credentials: own.then(|| credentials.clone()),
            passwords: passwords.cloned(),
            secrets: config.secrets.clone(),
            recorder: config.recorder.clone(),
        }
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
        if self.credentials.is_none() && self.passwords.is_none() {
            let words = "there is nothing to read again: no certificate of your own, no password";
            self.recorder.info(words.to_owned());
        }
    }
}
