//! What the server shows of itself in TLS, and how it is exchanged while it runs.

use std::sync::{Arc, PoisonError, RwLock};

use rustls::{
    ServerConfig, crypto::ring::Ticketer, sign::SingleCertAndKey, version::TLS12, version::TLS13,
};

use crate::{
    protocol::Fingerprint,
    server::{
        event_log::EventLog,
        keys::{KeyError, Keys, Origin, ServerKey, provider},
    },
};

/// Guards that a client gets with each full handshake, each good for one shorter one.
const TICKETS: usize = 1;

/// The key and certificate in force. Cheap to clone; all clones are one.
#[derive(Clone, Debug)]
pub struct Credentials {
    keys: Keys,
    current: Arc<RwLock<Current>>,
    recorder: EventLog,
}

/// What one handshake goes by.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) config: Arc<ServerConfig>,
    pub(super) fingerprint: Fingerprint,
}

impl Credentials {
    /// Reads or makes the key, and says so.
    pub(super) fn open(keys: &Keys, recorder: &EventLog) -> Result<Self, KeyError> {
        let (key, origin) = keys.open()?;
        match (&origin, keys) {
            (Origin::MemoryOnly(error), _) => recorder.warn(format!(
                "the server's key is kept in memory only, so that clients will see another server \
                 after a restart: {error}"
            )),
            (Origin::Made, Keys::Kept { .. }) => {
                recorder
                    .info("made a key, by which clients know this server from now on".to_owned());
            }
            _ => {}
        }
        Ok(Self {
            keys: keys.clone(),
            current: Arc::new(RwLock::new(Current::new(key)?)),
            recorder: recorder.clone(),
        })
    }

    /// What clients know the server by.
    pub fn fingerprint(&self) -> Fingerprint {
        self.current().fingerprint
    }

    pub(super) fn current(&self) -> Current {
        let current = self.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the operator's key and certificate again; connections that are made from now on get
    /// those. If they can't be used, it stays with the ones that it has. Touches the disk.
    pub fn reload(&self) {
        let read = self.keys.open().and_then(|(key, _)| Current::new(key));
        match read {
            Ok(new) => {
                let fingerprint = new.fingerprint;
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
                // What is said holds by then.
                self.recorder.info(format!(
                    "read the certificate again; fingerprint: {fingerprint}"
                ));
            }
            Err(error) => self.recorder.warn(format!(
                "the certificate stays the one that was read before: {error}"
            )),
        }
    }
}

impl Current {
    fn new(key: ServerKey) -> Result<Self, KeyError> {
        let system = |error: rustls::Error| KeyError::System(error.to_string());
        let mut config = ServerConfig::builder_with_provider(Arc::new(provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(system)?
            .with_no_client_auth()
            .with_cert_resolver(Arc::new(SingleCertAndKey::from(key.certified)));
        // Without it a session of TLS 1.2 could be made to have another one's channel binding.
        config.require_ems = true;
        // What a client comes back with is kept by the client.
        config.ticketer = Ticketer::new().map_err(system)?;
        config.send_tls13_tickets = TICKETS;
        Ok(Self {
            config: Arc::new(config),
            fingerprint: key.fingerprint,
        })
    }
}
