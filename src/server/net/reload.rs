//! Settings that the operator may change while the server runs.

use super::{passwords::Passwords, tls::Credentials};
use crate::server::{config::Config, event_log::EventLog, keys::Keys, secrets::Secrets};

/// Reloads the operator's own certificate and the password when they ask for it.
#[derive(Clone, Debug)]
pub struct Reload {
    /// Set if the certificate is the operator's own.
    credentials: Option<Credentials>,
    passwords: Option<Passwords>,
    secrets: Secrets,
    recorder: EventLog,
}

impl Reload {
    /// Notes what is configured; there may be nothing to reload.
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

    /// Reads the files again. Settings that can't be read stay as they were, with a warning.
    /// Touches the disk.
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
            let words = "there is nothing to reload: no certificate of your own, no password";
            self.recorder.info(words.to_owned());
        }
    }
}
