//! The user's keys on this machine: Ed25519 in OpenSSH's own format, so that `ssh-keygen` can make,
//! show and encrypt them.
//!
//! Each nickname given at a start has a key of its own, made then and kept in `keys` in the state
//! directory; or the user names a file. A file that others can read is refused, because its readers
//! could act as the user.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use ssh_key::{
    LineEnding, PrivateKey,
    private::{Ed25519Keypair, Ed25519PrivateKey, KeypairData},
    public::Ed25519PublicKey,
};

use super::store;
use crate::protocol::{Identity, Nickname};

/// Bytes of a key's file. The longest RSA keys take a fifth of it.
const FILE_BYTES_MAX: u64 = 64 * 1024;
/// Characters of a file name that show whose key it is.
const READABLE_MAX: usize = 120;
/// How often a user may enter a wrong passphrase.
const ATTEMPTS_MAX: u32 = 3;

/// Why a key is not available. Displays as one plain sentence.
#[derive(Debug)]
pub enum IdentityError {
    /// The file can't be read or written.
    Unusable {
        /// The file.
        path: PathBuf,
        /// Why, in the system's words.
        why: String,
    },
    /// No key can be made: the directory can't be written, or the system provides no randomness.
    NotMade {
        /// The file that was to be made.
        path: PathBuf,
        /// Why, in the system's words.
        why: String,
    },
    /// Others can read the file.
    Exposed(PathBuf),
    /// The file holds no private Ed25519 key in OpenSSH's format.
    NoKey(PathBuf),
    /// It is encrypted, and there is no terminal to ask for the passphrase.
    NobodyToAsk(PathBuf),
    /// It is encrypted, and the passphrase was wrong.
    WrongPassphrase(PathBuf),
}

impl fmt::Display for IdentityError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable { path, why } => {
                write!(out, "The key {} can't be read: {why}", path.display())
            }
            Self::NotMade { path, why } => {
                write!(out, "No key can be made as {}: {why}", path.display())
            }
            Self::Exposed(path) => write!(
                out,
                "Other users can read the key {0}, so it is not used. Type: chmod 600 '{0}'",
                path.display()
            ),
            Self::NoKey(path) => write!(
                out,
                "{} is no private Ed25519 key in OpenSSH's format (ssh-keygen -t ed25519 makes one)",
                path.display()
            ),
            Self::NobodyToAsk(path) => write!(
                out,
                "The key {} is encrypted, and there is no terminal to ask for its passphrase on",
                path.display()
            ),
            Self::WrongPassphrase(path) => {
                write!(out, "That is not the passphrase of {}", path.display())
            }
        }
    }
}

impl std::error::Error for IdentityError {}

impl IdentityError {
    /// Whether no key could be made here; the client then joins without one.
    pub fn is_missing_directory(&self) -> bool {
        matches!(self, Self::NotMade { .. })
    }
}

/// Asks for a passphrase; `None` where there is no terminal.
pub type AskPassphrase<'a> = &'a mut dyn FnMut(&Path) -> io::Result<Option<String>>;

/// The key of a nickname; made if there is none. `ask` is called if the user has encrypted it.
pub fn of_nickname(
    state: &Path,
    nickname: &Nickname,
    ask: AskPassphrase<'_>,
) -> Result<Identity, IdentityError> {
    let path = state.join("keys").join(file_name(nickname));
    if let Some(key) = read(&path)? {
        return unlock(&path, &key, ask);
    }
    let not_made = |error: &io::Error| IdentityError::NotMade {
        path: path.clone(),
        why: error.to_string(),
    };
    if let Some(directory) = path.parent() {
        store::create_private(directory).map_err(|error| not_made(&error))?;
    }
    let _lock = store::lock(&path).map_err(|error| not_made(&error))?;
    // Another process may have made it meanwhile.
    if let Some(key) = read(&path)? {
        return unlock(&path, &key, ask);
    }
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| not_made(&error.into()))?;
    let identity = Identity::from_seed(seed);
    let text = encode(&identity, seed, nickname)
        .map_err(|error| not_made(&io::Error::other(error.to_string())))?;
    store::write_private(&path, text.as_bytes()).map_err(|error| not_made(&error))?;
    Ok(identity)
}

/// Makes a key that is not stored.
///
/// # Errors
/// If the system provides no randomness.
pub fn of_this_run() -> io::Result<Identity> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed)?;
    Ok(Identity::from_seed(seed))
}

/// The key in a file.
pub fn of_file(path: &Path, ask: AskPassphrase<'_>) -> Result<Identity, IdentityError> {
    match read(path)? {
        Some(key) => unlock(path, &key, ask),
        None => Err(IdentityError::Unusable {
            path: path.to_owned(),
            why: io::Error::from(io::ErrorKind::NotFound).to_string(),
        }),
    }
}

/// Decrypts a key's file; asks for its passphrase a few times at most.
fn unlock(
    path: &Path,
    key: &PrivateKey,
    ask: AskPassphrase<'_>,
) -> Result<Identity, IdentityError> {
    if !key.is_encrypted() {
        return identity(path, key);
    }
    for _ in 0..ATTEMPTS_MAX {
        let asked = ask(path).map_err(|error| IdentityError::Unusable {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
        let Some(passphrase) = asked else {
            return Err(IdentityError::NobodyToAsk(path.to_owned()));
        };
        if let Ok(key) = key.decrypt(passphrase) {
            return identity(path, &key);
        }
    }
    Err(IdentityError::WrongPassphrase(path.to_owned()))
}

/// Reads a key's file; `None` if there is none.
fn read(path: &Path) -> Result<Option<PrivateKey>, IdentityError> {
    let unusable = |error: &io::Error| IdentityError::Unusable {
        path: path.to_owned(),
        why: error.to_string(),
    };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if store::is_nowhere(&error) => return Ok(None),
        Err(error) => return Err(unusable(&error)),
    };
    let about = file.metadata().map_err(|error| unusable(&error))?;
    if is_exposed(&about) {
        return Err(IdentityError::Exposed(path.to_owned()));
    }
    let mut text = Vec::new();
    file.take(FILE_BYTES_MAX)
        .read_to_end(&mut text)
        .map_err(|error| unusable(&error))?;
    let key = PrivateKey::from_openssh(text).map_err(|_| IdentityError::NoKey(path.to_owned()))?;
    Ok(Some(key))
}

/// Whether anybody but its owner has access to a file.
pub(crate) fn is_exposed(file: &fs::Metadata) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        file.is_file() && file.permissions().mode() & 0o077 != 0
    }
    #[cfg(not(unix))]
    {
        let _ = file;
        false
    }
}

fn identity(path: &Path, key: &PrivateKey) -> Result<Identity, IdentityError> {
    match key.key_data() {
        KeypairData::Ed25519(pair) => Ok(Identity::from_seed(pair.private.to_bytes())),
        _ => Err(IdentityError::NoKey(path.to_owned())),
    }
}

/// A key in the form that its file holds.
fn encode(
    identity: &Identity,
    seed: [u8; 32],
    nickname: &Nickname,
) -> ssh_key::Result<impl std::ops::Deref<Target = String> + use<>> {
    let pair = Ed25519Keypair {
        public: Ed25519PublicKey(identity.public().to_bytes()),
        private: Ed25519PrivateKey::from_bytes(&seed),
    };
    let comment = format!("chat-tui {}", file_name(nickname));
    PrivateKey::new(KeypairData::Ed25519(pair), comment)?.to_openssh(LineEnding::LF)
}

/// The file name for a nickname's key: the folded nickname, with characters unfit for a file name
/// as `%` and two digits.
fn file_name(nickname: &Nickname) -> String {
    let folded = nickname.folded();
    let encode = |byte: u8| match byte {
        b'-' | b'_' => char::from(byte).to_string(),
        _ if byte.is_ascii_alphanumeric() => char::from(byte).to_string(),
        _ => format!("%{byte:02x}"),
    };
    let mut name: String = folded.bytes().map(encode).collect();
    if name.len() > READABLE_MAX {
        let digest = Sha256::digest(folded.as_bytes());
        name.truncate(READABLE_MAX);
        name += "-";
        name.extend(digest.iter().take(16).map(|byte| format!("{byte:02x}")));
    }
    name
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by `ssh-keygen -t ed25519`, encrypted with the passphrase "sesame", with few rounds.
    const ENCRYPTED: &str = "\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAACmFlczI1Ni1jdHIAAAAGYmNyeXB0AAAAGAAAABDBAc3bvo
Kc9G7XfiKl1LqoAAAAAQAAAAEAAAAzAAAAC3NzaC1lZDI1NTE5AAAAIEqnAlOvELolimn3
lgoGpm1Ss1vGfFSzcw6qXrNjv5nnAAAAkNS+dCr9vQxgEuqvUCoKF6wVWE/5uojrr85UlE
UiKliJrOEy43yjTFbBUPEKlYW1k5KHwPX0aLHTA7m39s4ARqoPNIuw2E3PsCg4wkilPIdy
kJdaUNVZTIbYwHxC/D52YMTcCEJgmKAfjbQJDjUZn/vXiM1rOHe2bsb/Xq/2AG/Ed+Ivfq
2JAzPdzunkXvCB/w==
-----END OPENSSH PRIVATE KEY-----
";
    const PLAIN: &str = "\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZW
QyNTUxOQAAACBKpwJTrxC6JYpp95YKBqZtUrNbxnxUs3MOql6zY7+Z5wAAAIhcUkoSXFJK
EgAAAAtzc2gtZWQyNTUxOQAAACBKpwJTrxC6JYpp95YKBqZtUrNbxnxUs3MOql6zY7+Z5w
AAAEBTjjWvuswmXUjS6rSgbf3CCwpShv5kxfGQUrkguh466EqnAlOvELolimn3lgoGpm1S
s1vGfFSzcw6qXrNjv5nnAAAABWNhcm9s
-----END OPENSSH PRIVATE KEY-----
";
    /// The same key's public half.
    const PUBLIC: &str = "4aa70253af10ba258a69f7960a06a66d52b35bc67c54b3730eaa5eb363bf99e7";
    const ECDSA: &str = "\
-----BEGIN OPENSSH PRIVATE KEY-----
b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAaAAAABNlY2RzYS
1zaGEyLW5pc3RwMjU2AAAACG5pc3RwMjU2AAAAQQSQka1IarnFSgyoX6NuzoimmFDxTTEY
kjlPtPlQJ1XGACwkGwWVu4MWlyyAKBayM3HhyjPzOKbpz0flc3ds0WrlAAAAoMSIbkPEiG
5DAAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBJCRrUhqucVKDKhf
o27OiKaYUPFNMRiSOU+0+VAnVcYALCQbBZW7gxaXLIAoFrIzceHKM/M4punPR+Vzd2zRau
UAAAAhAKqn5jkssIusZfQibsvtrNjkK4dVQCS7SNnQzv2Ro4PgAAAABWNhcm9sAQI=
-----END OPENSSH PRIVATE KEY-----
";

    fn name(text: &str) -> Nickname {
        Nickname::parse(text).unwrap()
    }

    #[allow(clippy::unnecessary_wraps, reason = "somebody else may fail")]
    fn nobody(_: &Path) -> io::Result<Option<String>> {
        Ok(None)
    }

    fn of(state: &Path, nickname: &str) -> Result<Identity, IdentityError> {
        of_nickname(state, &name(nickname), &mut nobody)
    }

    fn file(directory: &tempfile::TempDir, text: &str) -> PathBuf {
        let path = directory.path().join("key");
        store::write_private(&path, text.as_bytes()).unwrap();
        path
    }

    #[test]
    fn a_nickname_has_one_key_from_its_first_start_on() {
        let state = tempfile::tempdir().unwrap();
        let key = |text: &str| of(state.path(), text).unwrap().public();
        let carol = key("carol");
        assert_eq!(key("carol"), carol);
        assert_eq!(key("Carol"), carol);
        assert_ne!(key("alice"), carol);
        // Other programs can read the file's key too.
        let path = state.path().join("keys").join("carol");
        assert_eq!(of_file(&path, &mut nobody).unwrap().public(), carol);
    }

    #[test]
    fn of_many_first_starts_at_once_all_have_one_key() {
        let state = tempfile::tempdir().unwrap();
        let keys: Vec<_> = std::thread::scope(|scope| {
            let start = || of(state.path(), "carol").unwrap().public();
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(start)).collect();
            threads.into_iter().map(|t| t.join().unwrap()).collect()
        });
        assert!(keys.iter().all(|key| *key == keys[0]));
    }

    #[cfg(unix)]
    #[test]
    fn a_key_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let state = tempfile::tempdir().unwrap();
        of(state.path(), "carol").unwrap();
        let keys = state.path().join("keys");
        let path = keys.join("carol");
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&keys), mode(&path)), (0o700, 0o600));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = of(state.path(), "carol").unwrap_err();
        let command = format!("chmod 600 '{}'", path.display());
        assert!(error.to_string().contains(&command), "{error}");
    }

    #[test]
    fn a_key_of_openssh_is_taken() {
        let directory = tempfile::tempdir().unwrap();
        let path = file(&directory, PLAIN);
        let public = of_file(&path, &mut nobody).unwrap().public();
        assert_eq!(public.to_string(), PUBLIC);
    }

    #[test]
    fn an_encrypted_key_is_asked_for_its_passphrase() {
        let directory = tempfile::tempdir().unwrap();
        let path = file(&directory, ENCRYPTED);
        let mut asked = 0;
        let mut told = |right: u32| {
            asked = 0;
            of_file(&path, &mut |_| {
                asked += 1;
                let passphrase = if asked == right { "sesame" } else { "open" };
                Ok(Some(passphrase.to_owned()))
            })
            .map(|identity| (identity.public().to_string(), asked))
        };
        assert_eq!(told(2).unwrap(), (PUBLIC.to_owned(), 2));
        assert!(matches!(told(9), Err(IdentityError::WrongPassphrase(_))));
        let error = of_file(&path, &mut nobody).unwrap_err();
        assert!(matches!(error, IdentityError::NobodyToAsk(_)), "{error}");
    }

    #[test]
    fn a_nicknames_key_may_be_encrypted() {
        let state = tempfile::tempdir().unwrap();
        of(state.path(), "carol").unwrap();
        let path = state.path().join("keys").join("carol");
        store::write_private(&path, ENCRYPTED.as_bytes()).unwrap();
        let mut sesame = |_: &Path| Ok(Some("sesame".to_owned()));
        let carol = of_nickname(state.path(), &name("carol"), &mut sesame).unwrap();
        assert_eq!(carol.public().to_string(), PUBLIC);
        assert!(matches!(
            of(state.path(), "carol"),
            Err(IdentityError::NobodyToAsk(_))
        ));
    }

    #[test]
    fn a_file_without_a_fitting_key_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let says = |text: &str, part: &str| {
            let error = of_file(&file(&directory, text), &mut nobody).unwrap_err();
            assert!(error.to_string().contains(part), "{error}");
        };
        says(ECDSA, "no private Ed25519 key");
        says("", "no private Ed25519 key");
        says("ssh-ed25519 AAAA carol", "no private Ed25519 key");
        says(&PLAIN[..PLAIN.len() / 2], "no private Ed25519 key");
        says(&"x".repeat(1 << 20), "no private Ed25519 key");
        let nowhere = directory.path().join("nowhere");
        let error = of_file(&nowhere, &mut nobody).unwrap_err();
        assert!(error.to_string().contains("can't be read"), "{error}");
    }

    #[test]
    fn a_damaged_key_is_not_replaced_by_another() {
        let state = tempfile::tempdir().unwrap();
        of(state.path(), "carol").unwrap();
        let path = state.path().join("keys").join("carol");
        store::write_private(&path, b"").unwrap();
        assert!(of(state.path(), "carol").is_err());
        assert!(fs::read(&path).unwrap().is_empty());
    }

    #[test]
    fn a_missing_directory_for_keys_is_a_case_of_its_own() {
        let directory = tempfile::tempdir().unwrap();
        let state = directory.path().join("file").join("state");
        fs::write(directory.path().join("file"), "").unwrap();
        let error = of(&state, "carol").unwrap_err();
        assert!(error.is_missing_directory(), "{error}");
    }

    #[test]
    fn every_nickname_has_a_file_of_its_own() {
        for (nickname, file) in [
            ("carol", "carol"),
            ("Carol", "carol"),
            ("a.b", "a%2eb"),
            ("a b", "a%20b"),
            ("../x", "%2e%2e%2fx"),
            ("zoë", "zo%c3%ab"),
        ] {
            assert_eq!(file_name(&name(nickname)), file);
        }
        let long = file_name(&name(&"日".repeat(32)));
        assert!(long.len() < 200, "{long}");
        assert_ne!(long, file_name(&name(&"本".repeat(32))));
    }
}
