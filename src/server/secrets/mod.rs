//! The secrets that admit people: the key that signs invites, and the password. They are in the
//! data directory, so that a user who may write there can invite whether the server runs or not.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

mod password;

pub(super) use password::{
    PasswordRecord, Workspace, read_password, remove_password, set_password,
};

use super::{
    event_log::EventLog,
    files::{self, Secret, SecretFileError},
    keys::{self, KeyError, Keys},
    store::sqlite::OpenError,
};
use crate::protocol::{Fingerprint, InviteKey};
use crate::server::store::sqlite::paths::data_directory;

/// The key that signs invites, in the data directory.
const INVITE_KEY: &str = "invite.key";
const INVITE_KEY_BYTES: usize = 32;
/// In the data directory, if the certificate is the operator's own: the fingerprint by which
/// clients recognize the server.
const FINGERPRINT: &str = "fingerprint";
/// Bytes that are read of it.
const FINGERPRINT_BYTES_MAX: u64 = 256;

/// The source of a server's secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Secrets {
    /// In memory: made at the start, and lost when the server stops.
    #[default]
    Memory,
    /// In the data directory, made at the first start.
    Kept {
        /// The data directory; `None`: [`data_directory`].
        directory: Option<PathBuf>,
        /// Whether secrets that can't be kept are made in memory, with a warning, rather than
        /// refused.
        or_memory: bool,
    },
}

impl Secrets {
    /// Reads or makes the key that signs invites.
    pub(super) fn invite_key(&self, recorder: &EventLog) -> Result<InviteKey, SecretError> {
        let Self::Kept {
            directory: named,
            or_memory,
        } = self
        else {
            return Ok(InviteKey::from_bytes(random()?));
        };
        match directory(named.as_deref()).and_then(|data| invite_key(&data)) {
            Err(error @ (SecretError::File(..) | SecretError::NoHome)) if *or_memory => {
                recorder.warn(format!(
                    "invites are valid until the server stops, and \"chat-server invite\" can't make any for \
                     it: {error}"
                ));
                Ok(InviteKey::from_bytes(random()?))
            }
            opened => opened,
        }
    }

    /// Reads the password. A server without stored secrets gets a random one: comparing with it
    /// takes as long.
    pub(super) fn password(&self) -> Result<PasswordRecord, SecretError> {
        match self {
            Self::Memory => PasswordRecord::of_nothing(),
            Self::Kept {
                directory: named, ..
            } => read_password(&directory(named.as_deref())?),
        }
    }

    /// Notes the fingerprint of the operator's own certificate, for invites to name; `None` removes
    /// the note.
    pub(super) fn note_fingerprint(&self, own: Option<Fingerprint>, recorder: &EventLog) {
        let Self::Kept {
            directory: named, ..
        } = self
        else {
            return;
        };
        let noted = directory(named.as_deref()).and_then(|data| note_fingerprint(&data, own));
        if let Err(error) = noted {
            recorder.warn(format!(
                "\"chat-server invite\" can't name the certificate: {error}"
            ));
        }
    }
}

/// An error with the secrets. Its text says what to do, in plain sentences.
#[derive(Debug)]
pub enum SecretError {
    /// There is no home directory to keep it in.
    NoHome,
    /// A file or directory can't be read or created.
    File(PathBuf, io::Error),
    /// Other users can read or change the file.
    Exposed(PathBuf),
    /// The file is no invite key.
    NoInviteKey(PathBuf),
    /// There is no password.
    NoPassword(PathBuf),
    /// The file holds no usable password.
    NotAPassword(PathBuf),
    /// The system gave no random bytes.
    System(io::Error),
}

impl fmt::Display for SecretError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHome => out.write_str(
                "There is no home directory for the server's data. Give a directory with \
                 --data-dir DIR",
            ),
            Self::File(path, error) => write!(
                out,
                "{}: {error}. The server needs it to decide who may join. Allow the server's user \
                 to use it",
                path.display()
            ),
            Self::Exposed(path) => write!(
                out,
                "Other users can read or change {0}, so it is not used. Type: \
                 chmod 600 '{0}'",
                path.display()
            ),
            Self::NoInviteKey(path) => write!(
                out,
                "{} is damaged: it must have {INVITE_KEY_BYTES} bytes. Put the right file there, or \
                 delete it: then a new one is made, and unused invites are void",
                path.display()
            ),
            Self::NoPassword(path) => write!(
                out,
                "There is no password in {}. Set one with chat-server password",
                path.parent().unwrap_or(path).display()
            ),
            Self::NotAPassword(path) => write!(
                out,
                "{} holds no usable password. Set one with chat-server password",
                path.display()
            ),
            Self::System(error) => write!(out, "The system gave no random bytes: {error}"),
        }
    }
}

impl std::error::Error for SecretError {}

/// The data directory: the one that was given, or the default.
pub(super) fn directory(named: Option<&Path>) -> Result<PathBuf, SecretError> {
    if let Some(directory) = named {
        return Ok(directory.to_owned());
    }
    data_directory().map_err(|error| match error {
        OpenError::Directory(path, error) => SecretError::File(path, error),
        _ => SecretError::NoHome,
    })
}

/// Reads or makes the key that signs invites.
pub(super) fn invite_key(data: &Path) -> Result<InviteKey, SecretError> {
    let path = data.join(INVITE_KEY);
    let refuse = |error| SecretError::File(path.clone(), error);
    if !path.try_exists().map_err(refuse)? {
        let key = random::<INVITE_KEY_BYTES>()?;
        files::directory(data)
            .and_then(|()| files::keep(&path, &key))
            .map_err(refuse)?;
    }
    // One byte more shows a file that is too long.
    let bytes = read(&path, INVITE_KEY_BYTES as u64 + 1)?;
    let bytes = bytes.try_into();
    bytes
        .map(InviteKey::from_bytes)
        .map_err(|_| SecretError::NoInviteKey(path))
}

fn note_fingerprint(data: &Path, own: Option<Fingerprint>) -> Result<(), SecretError> {
    let path = data.join(FINGERPRINT);
    let noted = match own {
        Some(fingerprint) => files::directory(data)
            .and_then(|()| files::replace(&path, format!("{fingerprint}\n").as_bytes())),
        None => files::remove(&path).map(drop),
    };
    noted.map_err(|error| SecretError::File(path, error))
}

/// Whether a server was ever started with this data directory.
pub(super) fn has_hosted(data: &Path) -> Result<bool, KeyError> {
    let path = data.join(FINGERPRINT);
    let noted = path.try_exists();
    Ok(noted.map_err(|error| KeyError::File(path, error))? || keys::were_made(data)?)
}

/// The fingerprint by which clients recognize the server of this directory. Makes the key if there
/// is none yet.
pub(super) fn fingerprint(data: &Path) -> Result<Fingerprint, KeyError> {
    let path = data.join(FINGERPRINT);
    match files::read(&path, FINGERPRINT_BYTES_MAX) {
        Ok(bytes) => {
            let noted = String::from_utf8(bytes).ok();
            let noted = noted.and_then(|text| Fingerprint::parse(text.trim()).ok());
            return noted.ok_or_else(|| {
                let damaged =
                    io::Error::other("it is damaged; the server's next start writes it again");
                KeyError::File(path, damaged)
            });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(KeyError::File(path, error)),
    }
    let kept = Keys::Kept {
        directory: Some(data.to_owned()),
        or_memory: false,
    };
    kept.open().map(|(key, _)| key.fingerprint)
}

/// Reads at most `most` bytes of a secret.
fn read(path: &Path, most: u64) -> Result<Vec<u8>, SecretError> {
    files::read_secret(path, Secret::Own, most).map_err(|error| match error {
        SecretFileError::Exposed => SecretError::Exposed(path.to_owned()),
        SecretFileError::Io(error) => SecretError::File(path.to_owned(), error),
    })
}

/// Random bytes from the system.
pub(super) fn random<const N: usize>() -> Result<[u8; N], SecretError> {
    let mut bytes = [0; N];
    let filled = getrandom::fill(&mut bytes);
    filled.map_err(|error| SecretError::System(io::Error::other(error.to_string())))?;
    Ok(bytes)
}
