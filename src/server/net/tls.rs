//! The server's key and certificate in TLS, and their replacement while it runs.

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

/// Session tickets that a client gets with each full handshake, each good for one resumption.
const TICKETS: usize = 1;

/// The current key and certificate. Cheap to clone; all clones share them.
#[derive(Clone, Debug)]
pub struct Credentials {
    keys: Keys,
    current: Arc<RwLock<Current>>,
    recorder: EventLog,
}

/// The key and certificate of new handshakes.
#[derive(Clone, Debug)]
pub(super) struct Current {
    pub(super) config: Arc<ServerConfig>,
    pub(super) fingerprint: Fingerprint,
}

impl Credentials {
    /// Reads or makes the key, and logs it.
    pub(super) fn open(keys: &Keys, recorder: &EventLog) -> Result<Self, KeyError> {
        let (key, origin) = keys.open()?;
        match (&origin, keys) {
            (Origin::MemoryOnly(error), _) => recorder.warn(format!(
                "the server's key is kept in memory only, so that clients will see another server \
                 after a restart: {error}"
            )),
            (Origin::Made, Keys::Kept { .. }) => {
                recorder
                    .info("made a key: clients recognize this server by it from now on".to_owned());
            }
            _ => {}
        }
        Ok(Self {
            keys: keys.clone(),
            current: Arc::new(RwLock::new(Current::new(key)?)),
            recorder: recorder.clone(),
        })
    }

    /// The fingerprint by which clients recognize the server.
    pub fn fingerprint(&self) -> Fingerprint {
        self.current().fingerprint
    }

    pub(super) fn current(&self) -> Current {
        let current = self.current.read();
        current.unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the operator's key and certificate again, for new connections. If they can't be used,
    /// the current ones stay. Touches the disk.
    pub fn reload(&self) {
        let read = self.keys.open().and_then(|(key, _)| Current::new(key));
        match read {
            Ok(new) => {
                let fingerprint = new.fingerprint;
                *self.current.write().unwrap_or_else(PoisonError::into_inner) = new;
                // Replaced before it is logged.
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
        // Without it a TLS 1.2 session could be given the channel binding of another one.
        config.require_ems = true;
        // Stateless tickets: the client keeps its session.
        config.ticketer = Ticketer::new().map_err(system)?;
        config.send_tls13_tickets = TICKETS;
        Ok(Self {
            config: Arc::new(config),
            fingerprint: key.fingerprint,
        })
    }
}
