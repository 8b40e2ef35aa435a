//! How the server is reached, and how it talks: keys, encryption, proxies, connections.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::server::{
    config::{PerSiteLimits, Plaintext},
    core::rate_limit::Rate,
    keys::Keys,
    network::Network,
};

/// Connections of one address at one time: those of a school behind one router.
const ADDRESS_CONNECTIONS_DEFAULT: u32 = 256;
/// How often one address may connect in a minute, after as many at once.
const ADDRESS_RATE_DEFAULT: u32 = 240;

/// That part of a command line.
#[derive(Args, Clone, Debug)]
pub struct ReachArgs {
    /// A certificate of your own, with those that vouch for it (PEM); read anew at SIGHUP
    #[arg(long, value_name = "FILE", requires = "tls_key")]
    pub tls_cert: Option<PathBuf>,
    /// Its private key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    pub tls_key: Option<PathBuf>,
    /// Serve plain connections from elsewhere, too: anybody on the way can read them
    #[arg(long, conflicts_with = "no_plaintext")]
    pub allow_plaintext: bool,
    /// Refuse plain connections even from this machine, where a tunnel or proxy may end
    #[arg(long)]
    pub no_plaintext: bool,
    /// A proxy that says whose each connection is (PROXY protocol); can be given several times
    #[arg(long, value_name = "ADDR[/BITS]")]
    pub proxy: Vec<Network>,
    /// Connections that one address (IPv6: /64) may have at one time; 0 sets no limit
    #[arg(
        long,
        value_name = "N",
        default_value_t = ADDRESS_CONNECTIONS_DEFAULT,
        value_parser = clap::value_parser!(u32).range(..=1_000_000)
    )]
    pub max_per_address: u32,
    /// How often one address may connect in a minute, after --max-per-address at once; 0 sets no limit
    #[arg(
        long,
        value_name = "N",
        default_value_t = ADDRESS_RATE_DEFAULT,
        value_parser = clap::value_parser!(u32).range(..=1_000_000)
    )]
    pub connects_per_minute: u32,
}

impl ReachArgs {
    /// Where the server's key comes from.
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
