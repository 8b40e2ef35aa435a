//! Options for the network: keys, encryption, proxies, connections.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::server::{
    config::{PerSiteLimits, Plaintext},
    core::rate_limit::Rate,
    keys::Keys,
    network::Network,
};

/// Connections of one address at one time: enough for a school behind one router.
const ADDRESS_CONNECTIONS_DEFAULT: u32 = 256;
/// Connections of one address in a minute, after the burst above.
const ADDRESS_RATE_DEFAULT: u32 = 240;

/// The options for the network.
#[derive(Args, Clone, Debug)]
pub struct NetworkArgs {
    /// Your own certificate, with its chain (PEM); reloaded on SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Accept unencrypted connections from other machines too: anyone on the way can read them
    #[arg(long, conflicts_with = "no_plaintext")]
    pub allow_plaintext: bool,
    /// Refuse unencrypted connections even from this machine, where a tunnel or proxy may end
    #[arg(long)]
    pub no_plaintext: bool,
    /// A proxy that tells the client's address (PROXY protocol); can be given several times
    #[arg(long, value_name = "ADDR[/BITS]")]
    pub proxy: Vec<Network>,
    /// Connections that one address (IPv6: /64) may have at one time; 0: no limit
    #[arg(
        long,
        value_name = "N",
        default_value_t = ADDRESS_CONNECTIONS_DEFAULT,
        value_parser = clap::value_parser!(u32).range(..=1_000_000)
    )]
    pub max_per_address: u32,
    /// Connections that one address may make in a minute, after --max-per-address at once; 0: no
    /// limit
    #[arg(
        long,
        value_name = "N",
        default_value_t = ADDRESS_RATE_DEFAULT,
        value_parser = clap::value_parser!(u32).range(..=1_000_000)
    )]
    pub connects_per_minute: u32,
}

impl NetworkArgs {
    /// The source of the server's key.
    pub(super) fn keys(&self, data: Option<&Path>, or_memory: bool) -> Keys {
        match (&self.tls_cert, &self.tls_key) {
            (Some(certificate), Some(key)) => Keys::Files {
                certificate: certificate.clone(),
                key: key.clone(),
            },
            _ => Keys::Kept {
                directory: data.map(Path::to_owned),
                or_memory,
            },
        }
    }

    pub(super) fn plaintext(&self) -> Plaintext {
        if self.allow_plaintext {
            Plaintext::Everybody
        } else if self.no_plaintext {
            Plaintext::Nobody
        } else {
            Plaintext::Loopback
        }
    }

    pub(super) fn per_site(&self) -> PerSiteLimits {
        PerSiteLimits {
            connections: (self.max_per_address > 0).then_some(self.max_per_address as usize),
            rate: (self.connects_per_minute > 0).then(|| {
                let burst = match self.max_per_address {
                    0 => ADDRESS_CONNECTIONS_DEFAULT,
                    most => most,
                };
                Rate::new(self.connects_per_minute, burst)
            }),
        }
    }
}
