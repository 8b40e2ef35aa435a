//! What lets people in: the secret that invites are made with, and the password. They are in the
//! data directory: whoever may write there can invite, whether the server runs or not.

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

/// In the data directory: what invites are made with.
const INVITE_KEY: &str = "invite.key";
const INVITE_KEY_BYTES: usize = 32;
/// In the data directory, where the certificate is not the server's own but the operator's: the key
/// that clients know it by.
const FINGERPRINT: &str = "fingerprint";
/// Bytes that are read of it.
const FINGERPRINT_BYTES_MAX: u64 = 256;

/// Where a server has its secrets.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Secrets {
    /// In memory: made at the start, and gone with the server.
    #[default]
    Memory,
    /// In the data directory, made at the first start.
    Kept {
        /// The data directory; `None`: [`data_directory`].
        directory: Option<PathBuf>,
        /// What can't be kept is made in memory, with a warning, rather than refused.
        or_memory: bool,
    },
}

impl Secrets {
    /// Reads, or makes, the secret that invites are made with.
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
                    "invites hold until the server stops, and \"chat-server invite\" makes none for \
                     it: {error}"
                ));
                Ok(InviteKey::from_bytes(random()?))
            }
            opened => opened,
        }
    }

    /// Reads the password. Where nothing is kept there is one that nobody knows: to compare with
    /// it takes as long.
    pub(super) fn password(&self) -> Result<PasswordRecord, SecretError> {
        match self {
            Self::Memory => PasswordRecord::of_nothing(),
            Self::Kept {
                directory: named, ..
            } => read_password(&directory(named.as_deref())?),
        }
    }

    /// Notes the key of the operator's own certificate, for invites to name; `None`: that there is
    /// none.
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
                "\"chat-server invite\" can't know the certificate: {error}"
            ));
        }
    }
}

/// Why there is no secret to let people in by. Its text says what to do, in plain sentences.
#[derive(Debug)]
pub enum SecretError {
    /// There is no home directory to keep it in.
    NoHome,
    /// A file or directory can't be read, or not be made.
    File(PathBuf, io::Error),
    /// Others can read or change the file.
    Exposed(PathBuf),
    /// The file is not what it must be.
    NoInviteKey(PathBuf),
    /// There is no password.
    NoPassword(PathBuf),
    /// The file has no password that can be used.
    NotAPassword(PathBuf),
    /// The system gave no random bytes.
    System(io::Error),
}

impl fmt::Display for SecretError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoHome => out.write_str(
                "There is no home directory that the server could keep its data in. Say where with \
                 --data-dir DIR",
            ),
            Self::File(path, error) => write!(
                out,
                "{}: {error}. It is needed to know who may come in: see that the server's user may \
                 use it",
                path.display()
            ),
            Self::Exposed(path) => write!(
                out,
                "{0} can be read or changed by other users, and is not used like that. Type: \
                 chmod 600 '{0}'",
                path.display()
            ),
            Self::NoInviteKey(path) => write!(
                out,
                "{} is damaged: it has to have {INVITE_KEY_BYTES} bytes. Put the right file there, or \
                 delete it: it is made anew, and invites that nobody has used yet are void",
                path.display()
            ),
            Self::NoPassword(path) => write!(
                out,
                "There is no password in {}. Set one with chat-server password",
                path.parent().unwrap_or(path).display()
            ),
            Self::NotAPassword(path) => write!(
                out,
                "{} has no password that can be used. Set one with chat-server password",
                path.display()
            ),
            Self::System(error) => write!(out, "The system gave no random bytes: {error}"),
        }
    }
}

impl std::error::Error for SecretError {}

/// The data directory: the one that was named, or else the usual one.
pub(super) fn directory(named: Option<&Path>) -> Result<PathBuf, SecretError> {
    if let Some(directory) = named {
        return Ok(directory.to_owned());
    }
    data_directory().map_err(|error| match error {
        OpenError::Directory(path, error) => SecretError::File(path, error),
        _ => SecretError::NoHome,
    })
}

/// Reads, or makes, the secret that invites are made with.
pub(super) fn invite_key(data: &Path) -> Result<InviteKey, SecretError> {
    let path = data.join(INVITE_KEY);
    let refuse = |error| SecretError::File(path.clone(), error);
    if !path.try_exists().map_err(refuse)? {
        let key = random::<INVITE_KEY_BYTES>()?;
        files::directory(data)
            .and_then(|()| files::keep(&path, &key))
            .map_err(refuse)?;
    }
    // One byte more would be something else.
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

/// Whether a server has ever been started with this data directory.
pub(super) fn has_hosted(data: &Path) -> Result<bool, KeyError> {
    let path = data.join(FINGERPRINT);
    let noted = path.try_exists();
    Ok(noted.map_err(|error| KeyError::File(path, error))? || keys::were_made(data)?)
}

/// The key that clients know the server of this directory by. Made, where there is none yet.
pub(super) fn fingerprint(data: &Path) -> Result<Fingerprint, KeyError> {
    let path = data.join(FINGERPRINT);
    match files::read(&path, FINGERPRINT_BYTES_MAX) {
        Ok(bytes) => {
            let noted = String::from_utf8(bytes).ok();
            let noted = noted.and_then(|text| Fingerprint::parse(text.trim()).ok());
            return noted.ok_or_else(|| {
                let damaged = io::Error::other("it is damaged; the next start writes it anew");
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

/// At most so many bytes of a secret.
fn read(path: &Path, most: u64) -> Result<Vec<u8>, SecretError> {
    files::read_secret(path, Secret::Own, most).map_err(|error| match error {
        SecretFileError::Exposed => SecretError::Exposed(path.to_owned()),
        SecretFileError::Io(error) => SecretError::File(path.to_owned(), error),
    })
}

/// Bytes that nobody can guess.
pub(super) fn random<const N: usize>() -> Result<[u8; N], SecretError> {
    let mut bytes = [0; N];
    let filled = getrandom::fill(&mut bytes);
    filled.map_err(|error| SecretError::System(io::Error::other(error.to_string())))?;
    Ok(bytes)
}
