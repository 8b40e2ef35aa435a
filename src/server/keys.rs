//! The server's key and certificate, by which clients recognize it.
//!
//! Only the key counts. It is made at the first start and kept: to clients, a server with another
//! key is another server. The certificate only names the key, and can be made again from it.

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{CertificateParams, DnType, PKCS_ECDSA_P256_SHA256, date_time_ymd};
use rustls::{
    crypto::{CryptoProvider, ring},
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::ParsedCertificate,
    sign::CertifiedKey,
};

use super::{
    files::{self, Secret, SecretFileError},
    store::sqlite::OpenError,
};
use crate::protocol::Fingerprint;
use crate::server::store::sqlite::paths::data_directory;

/// The directory in the data directory.
const DIRECTORY: &str = "tls";
const KEY: &str = "key.pem";
const CERTIFICATE: &str = "cert.pem";
/// Bytes that are read of a file; a longer one is no key or certificate chain.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The subject of the certificate. Clients ignore it: they check the key.
const SUBJECT: &str = "chat-server";
/// The certificate's validity, wide enough for any client's clock.
const VALID_YEARS: (i32, i32) = (2000, 2120);

/// The source of the key and the certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Keys {
    /// Made at the start, in memory: clients see another server after each start.
    #[default]
    Memory,
    /// In `tls` in the data directory, made at the first start.
    Kept {
        /// The data directory; `None`: [`data_directory`].
        directory: Option<PathBuf>,
        /// Whether a key that can't be kept is made in memory, with a warning, rather than refused.
        or_memory: bool,
    },
    /// The operator's own files, PEM.
    Files {
        /// The certificate with its chain.
        certificate: PathBuf,
        /// Its private key.
        key: PathBuf,
    },
}

/// An error with the server's key. Its text says what to do, in plain sentences.
#[derive(Debug)]
pub enum KeyError {
    /// There is no home directory to keep a key in.
    NoHome,
    /// A file or directory can't be read or created.
    File(PathBuf, io::Error),
    /// Other users can read or change the key in this file.
    Exposed(PathBuf),
    /// A file holds no usable key.
    NoKey(PathBuf),
    /// A file holds no usable certificate.
    NoCertificate(PathBuf),
    /// The certificate (first) does not belong to the key (second).
    Mismatch(PathBuf, PathBuf),
    /// The certificate (second) exists, but its key (first) is missing.
    Missing(PathBuf, PathBuf),
    /// The system could not make a key.
    System(String),
}

impl fmt::Display for KeyError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHome => out.write_str(
                "There is no home directory for the server's key. Give a directory with \
                 --data-dir DIR",
            ),
            Self::File(path, error) => write!(
                out,
                "{}: {error}. The server needs it for its key. Allow the server's user \
                 to use it",
                path.display()
            ),
            Self::Exposed(path) => write!(
                out,
                "Other users can read or change the server's key {0}, so it is not used. \
                 Type: chmod 600 '{0}'",
                path.display()
            ),
            Self::NoKey(path) => write!(
                out,
                "{} holds no private key that can be used (PEM; ECDSA, Ed25519 or RSA). Put the \
                 right file there",
                path.display()
            ),
            Self::NoCertificate(path) => write!(
                out,
                "{} holds no certificate that can be used (PEM, the server's own first). Put the \
                 right file there. One that the server made can be deleted: it is made again",
                path.display()
            ),
            Self::Mismatch(certificate, key) => write!(
                out,
                "{} is not the certificate of the key in {}. Give two that belong together",
                certificate.display(),
                key.display()
            ),
            Self::Missing(key, certificate) => write!(
                out,
                "{} is missing, but its certificate {} is here. Put the key back; if it is lost, \
                 delete the certificate: the server then makes another key, and clients that \
                 trust the old one refuse it until their users accept the new one",
                key.display(),
                certificate.display()
            ),
            Self::System(error) => write!(out, "The system could not make a key: {error}"),
        }
    }
}

impl std::error::Error for KeyError {}

/// A key with its certificate, ready for TLS.
#[derive(Clone, Debug)]
pub struct ServerKey {
    pub(super) certified: Arc<CertifiedKey>,
    /// The fingerprint by which clients recognize the server.
    pub fingerprint: Fingerprint,
}

/// How the key was obtained, for the log.
#[derive(Debug)]
pub(super) enum Origin {
    Loaded,
    Made,
    /// Made, but it could not be kept.
    MemoryOnly(KeyError),
}

impl Keys {
    /// Reads or makes the key and the certificate.
    pub(super) fn open(&self) -> Result<(ServerKey, Origin), KeyError> {
        match self {
            Self::Memory => Ok((make()?, Origin::Made)),
            Self::Files { certificate, key } => {
                let private = read_key(key, Secret::Operators)?;
                Ok((load(certificate, key, &private)?, Origin::Loaded))
            }
            Self::Kept {
                directory,
                or_memory,
            } => match open_kept(directory.as_deref()) {
                Err(error @ (KeyError::File(..) | KeyError::NoHome)) if *or_memory => {
                    Ok((make()?, Origin::MemoryOnly(error)))
                }
                opened => opened,
            },
        }
    }
}

/// Whether a server was ever started with this data directory.
pub(super) fn were_made(data: &Path) -> Result<bool, KeyError> {
    is_there(&data.join(DIRECTORY).join(KEY))
}

/// The TLS provider, independent of the process-wide default.
pub(super) fn provider() -> CryptoProvider {
    ring::default_provider()
}

fn open_kept(directory: Option<&Path>) -> Result<(ServerKey, Origin), KeyError> {
    let data = match directory {
        Some(directory) => directory.to_owned(),
        None => data_directory().map_err(|error| match error {
            OpenError::Directory(path, error) => KeyError::File(path, error),
            _ => KeyError::NoHome,
        })?,
    };
    let directory = data.join(DIRECTORY);
    let (key, certificate) = (directory.join(KEY), directory.join(CERTIFICATE));
    let mut origin = Origin::Loaded;
    // Checked first, since it is made last: another server may be making both right now.
    let certified = is_there(&certificate)?;
    if !is_there(&key)? {
        if certified {
            return Err(KeyError::Missing(key, certificate));
        }
        files::directory(&directory).map_err(|error| KeyError::File(directory.clone(), error))?;
        keep(&key, new_key()?.serialize_pem().as_bytes())?;
        origin = Origin::Made;
    }
    if !is_there(&certificate)? {
        let text = String::from_utf8(read_key(&key, Secret::Own)?).ok();
        let own = text.and_then(|text| rcgen::KeyPair::from_pem(&text).ok());
        let own = own.ok_or_else(|| KeyError::NoKey(key.clone()))?;
        keep(&certificate, certify(&own)?.pem().as_bytes())?;
    }
    let private = read_key(&key, Secret::Own)?;
    Ok((load(&certificate, &key, &private)?, origin))
}

fn make() -> Result<ServerKey, KeyError> {
    let key = new_key()?;
    let chain = vec![certify(&key)?.der().clone()];
    let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
    let certified = CertifiedKey::from_der(chain, key, &provider());
    let certified = certified.map_err(|error| KeyError::System(error.to_string()))?;
    identify(certified).ok_or_else(|| KeyError::System("a certificate without a key".to_owned()))
}

/// An ECDSA P-256 key, which every TLS client supports.
fn new_key() -> Result<rcgen::KeyPair, KeyError> {
    rcgen::KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)
        .map_err(|error| KeyError::System(error.to_string()))
}

fn certify(key: &rcgen::KeyPair) -> Result<rcgen::Certificate, KeyError> {
    let certify = || {
        let mut wanted = CertificateParams::new([SUBJECT.to_owned()])?;
        wanted.distinguished_name.push(DnType::CommonName, SUBJECT);
        wanted.not_before = date_time_ymd(VALID_YEARS.0, 1, 1);
        wanted.not_after = date_time_ymd(VALID_YEARS.1, 1, 1);
        wanted.self_signed(key)
    };
    certify().map_err(|error: rcgen::Error| KeyError::System(error.to_string()))
}

/// Reads the certificate of a key that was read already.
fn load(certificate: &Path, key: &Path, private: &[u8]) -> Result<ServerKey, KeyError> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(certificate)?).collect();
    let chain = chain.ok().filter(|chain| !chain.is_empty());
    let chain = chain.ok_or_else(|| KeyError::NoCertificate(certificate.to_owned()))?;
    let private = PrivateKeyDer::from_pem_slice(private);
    let private = private.map_err(|_| KeyError::NoKey(key.to_owned()))?;
    let certified = CertifiedKey::from_der(chain, private, &provider());
    let certified = certified.map_err(|error| match error {
        rustls::Error::InconsistentKeys(_) => {
            KeyError::Mismatch(certificate.to_owned(), key.to_owned())
        }
        rustls::Error::InvalidCertificate(_) => KeyError::NoCertificate(certificate.to_owned()),
        _ => KeyError::NoKey(key.to_owned()),
    })?;
    identify(certified).ok_or_else(|| KeyError::NoCertificate(certificate.to_owned()))
}

/// Computes the fingerprint; `None` if the certificate can't be read.
fn identify(certified: CertifiedKey) -> Option<ServerKey> {
    let parsed = ParsedCertificate::try_from(certified.end_entity_cert().ok()?).ok()?;
    let fingerprint = Fingerprint::of_public_key_info(&parsed.subject_public_key_info());
    Some(ServerKey {
        certified: Arc::new(certified),
        fingerprint,
    })
}

fn is_there(path: &Path) -> Result<bool, KeyError> {
    path.try_exists()
        .map_err(|error| KeyError::File(path.to_owned(), error))
}

fn read(path: &Path) -> Result<Vec<u8>, KeyError> {
    files::read(path, FILE_BYTES_MAX).map_err(|error| KeyError::File(path.to_owned(), error))
}

fn read_key(path: &Path, secret: Secret) -> Result<Vec<u8>, KeyError> {
    files::read_secret(path, secret, FILE_BYTES_MAX).map_err(|error| match error {
        SecretFileError::Exposed => KeyError::Exposed(path.to_owned()),
        SecretFileError::Io(error) => KeyError::File(path.to_owned(), error),
    })
}

/// Writes a file durably. If another server was faster, its file stays.
fn keep(path: &Path, bytes: &[u8]) -> Result<(), KeyError> {
    files::keep(path, bytes).map_err(|error| KeyError::File(path.to_owned(), error))
}

#[cfg(test)]
mod tests;
