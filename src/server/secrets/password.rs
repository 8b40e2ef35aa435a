//! The server's password, stored as an Argon2id hash: recovering it takes a slow comparison for
//! each guess.

use std::{fmt, io, path::Path};

use argon2::{
    Algorithm, Argon2, Block, Params, PasswordHasher, Version,
    password_hash::{
        self,
        phc::{Output, PasswordHash},
    },
};

use super::{SecretError, random};
use crate::{protocol::Password, server::files};

/// The file in the data directory.
const FILE: &str = "password";
/// Bytes that are read of it; it has about a hundred.
const FILE_BYTES_MAX: u64 = 1_024;
const SALT_BYTES: usize = 16;
/// Upper bounds for the cost of one comparison, whoever wrote the file: memory in KiB, passes,
/// lanes.
const MEMORY_KIB_MAX: u32 = 256 * 1_024;
const PASSES_MAX: u32 = 16;
const LANES_MAX: u32 = 16;

/// A stored password hash.
#[derive(Clone, Debug)]
pub(in crate::server) struct PasswordRecord(PasswordHash);

/// The memory of a comparison, reused for the next one: pieces of 19 MiB freed by short-lived
/// threads would not all return to the system.
#[derive(Default)]
pub(in crate::server) struct Workspace(Vec<Block>);

impl fmt::Debug for Workspace {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its contents are secret.
        write!(out, "Workspace({} KiB)", self.0.len())
    }
}

impl PasswordRecord {
    /// Hashes a password: 19 MiB and two passes.
    pub(super) fn of(password: &Password) -> Result<Self, SecretError> {
        let salt = random::<SALT_BYTES>()?;
        Argon2::default()
            .hash_password_with_salt(password.expose().as_bytes(), &salt)
            .map(Self)
            .map_err(system)
    }

    /// A record of a random password. Comparing with it takes as long as with any other.
    pub(in crate::server) fn of_nothing() -> Result<Self, SecretError> {
        let nobody_knows = random::<32>()?;
        Argon2::default()
            .hash_password_with_salt(&nobody_knows, &random::<SALT_BYTES>()?)
            .map(Self)
            .map_err(system)
    }

    /// Parses a line such as `$argon2id$v=19$m=19456,t=2,p=1$…` (a PHC string).
    fn parse(text: &str) -> Option<Self> {
        let hash = PasswordHash::new(text.trim_end()).ok()?;
        let params = Params::try_from(&hash).ok()?;
        let bounded = params.m_cost() <= MEMORY_KIB_MAX
            && params.t_cost() <= PASSES_MAX
            && params.p_cost() <= LANES_MAX;
        let whole = hash.salt.is_some() && hash.hash.is_some();
        let known = method(&hash).is_some();
        (bounded && whole && known).then_some(Self(hash))
    }

    /// Compares a password, in constant time.
    pub(in crate::server) fn is_of(&self, password: &Password, memory: &mut Workspace) -> bool {
        let (Some(salt), Some(expected), Some(method)) =
            (&self.0.salt, &self.0.hash, method(&self.0))
        else {
            return false;
        };
        let Workspace(blocks) = memory;
        blocks.resize(method.params().block_count(), Block::new());
        let mut made = [0; Output::MAX_LENGTH];
        let made = &mut made[..expected.len()];
        let password = password.expose().as_bytes();
        let reckoned = method.hash_password_into_with_memory(password, salt, made, blocks);
        // Outputs are compared in constant time.
        reckoned.is_ok() && Output::new(made).is_ok_and(|made| made == *expected)
    }
}

/// The algorithm and cost of a hash.
fn method(hash: &PasswordHash) -> Option<Argon2<'static>> {
    let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
    let version = match hash.version {
        Some(version) => Version::try_from(version).ok()?,
        None => Version::default(),
    };
    Some(Argon2::new(
        algorithm,
        version,
        Params::try_from(hash).ok()?,
    ))
}

fn system(error: password_hash::Error) -> SecretError {
    SecretError::System(io::Error::other(error.to_string()))
}

/// Sets the password, replacing the old one.
pub(in crate::server) fn set_password(data: &Path, password: &Password) -> Result<(), SecretError> {
    let record = PasswordRecord::of(password)?;
    let path = data.join(FILE);
    files::directory(data)
        .and_then(|()| files::replace(&path, format!("{}\n", record.0).as_bytes()))
        .map_err(|error| SecretError::File(path, error))
}

/// Removes the password; false if there was none.
pub(in crate::server) fn remove_password(data: &Path) -> Result<bool, SecretError> {
    let path = data.join(FILE);
    files::remove(&path).map_err(|error| SecretError::File(path, error))
}

/// Reads the stored password.
pub(in crate::server) fn read_password(data: &Path) -> Result<PasswordRecord, SecretError> {
    let path = data.join(FILE);
    let bytes = super::read(&path, FILE_BYTES_MAX).map_err(|error| match error {
        SecretError::File(path, error) if error.kind() == io::ErrorKind::NotFound => {
            SecretError::NoPassword(path)
        }
        error => error,
    })?;
    let text = String::from_utf8(bytes).ok();
    let record = text.as_deref().and_then(PasswordRecord::parse);
    record.ok_or(SecretError::NotAPassword(path))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn password(text: &str) -> Password {
        Password::parse(text).unwrap()
    }

    #[test]
    fn a_password_is_found_again_and_no_other() {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        let nothing = read_password(&data).unwrap_err().to_string();
        assert!(nothing.contains("chat-server password"), "{nothing}");
        set_password(&data, &password("open sésame")).unwrap();
        let record = read_password(&data).unwrap();
        let mut memory = Workspace::default();
        let mut is_of = |record: &PasswordRecord, text| record.is_of(&password(text), &mut memory);
        assert!(is_of(&record, "open sésame"));
        // Written with a letter and a combining accent.
        assert!(is_of(&record, "open se\u{301}same"));
        assert!(!is_of(&record, "open sesame"));
        assert!(!is_of(&PasswordRecord::of_nothing().unwrap(), "x"));
        let kept = fs::read_to_string(data.join(FILE)).unwrap();
        assert!(
            kept.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{kept}"
        );
        set_password(&data, &password("another")).unwrap();
        assert!(is_of(&read_password(&data).unwrap(), "another"));
        assert!(remove_password(&data).unwrap());
        assert!(!remove_password(&data).unwrap());
    }

    #[test]
    fn records_that_are_invalid_or_would_take_for_ever_are_refused() {
        let home = tempfile::tempdir().unwrap();
        let rest = "c29tZXNhbHQxMjM0NTY$aVQaiVQaiVQaiVQaiVQaiVQaiVQaiVQaiVQaiVQaiVQ";
        let record = |start: &str| format!("{start}${rest}\n");
        for (text, sound) in [
            (record("$argon2id$v=19$m=19456,t=2,p=1"), true),
            (record("$argon2id$v=19$m=64,t=1,p=1"), true),
            (record("$argon2id$v=19$m=4194304,t=2,p=1"), false),
            (record("$argon2id$v=19$m=19456,t=4000000,p=1"), false),
            (record("$scrypt$v=19$m=19456,t=2,p=1"), false),
            (
                "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHQxMjM0NTY".to_owned(),
                false,
            ),
            ("open sesame\n".to_owned(), false),
            (String::new(), false),
        ] {
            let path = home.path().join(FILE);
            fs::write(&path, &text).unwrap();
            let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
            fs::set_permissions(&path, private).unwrap();
            let read = read_password(home.path());
            assert_eq!(read.is_ok(), sound, "{text}");
            if let Err(error) = read {
                let said = error.to_string();
                assert!(said.contains("chat-server password"), "{said}");
                assert!(!said.contains("sesame"), "{said}");
            }
        }
    }
}
