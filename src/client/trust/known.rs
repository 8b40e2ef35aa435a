//! The file of known servers: the key or certificates that each is known by, and since when. One
//! line per server; empty lines and lines that begin with `#` are kept as they are.
//!
//! ```text
//! localhost:10500 mfrg-gzdf-… 2026-11-22            by this key
//! chat.example.org:10500 system 2026-11-22          by the certificates that the system trusts
//! ```
//!
//! An invalid line is an error and is not skipped: it may have named the server, and ignoring it
//! would mean trusting an impostor.

use std::{
    fmt,
    fs::{self, File},
    io::{self, Read},
    path::{Path, PathBuf},
};

use jiff::civil::Date;

use crate::{
    client::{Host, store},
    protocol::Fingerprint,
};

/// Bytes of the file: enough for thousands of servers.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// Written in place of a fingerprint.
const SYSTEM: &str = "system";

/// How a server is known, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownServer {
    pub(crate) by: TrustedBy,
    pub(crate) since: Date,
}

/// How a server is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrustedBy {
    /// By this key.
    Key(Fingerprint),
    /// By certificates that the system's roots vouch for.
    System,
}

/// Why the file can't be used. Displays as one plain sentence.
#[derive(Debug)]
pub(crate) enum FileError {
    /// It can't be read or written.
    Unusable { path: PathBuf, why: String },
    /// A line is invalid.
    Damaged {
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        what: &'static str,
    },
}

impl fmt::Display for FileError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable { path, why } => write!(
                out,
                "The file of known servers, {}, can't be used: {why}",
                path.display()
            ),
            Self::Damaged { path, line, what } => write!(
                out,
                "Line {line} of {}, the file of known servers, is damaged ({what}): repair or \
                delete that line",
                path.display()
            ),
        }
    }
}

/// A server's entry; `None`: it is unknown. A missing file is an empty one.
pub(crate) fn find(path: &Path, server: &str) -> Result<Option<KnownServer>, FileError> {
    Lines::read(path)?.find(server)
}

/// Adds a server, unless it is known. Returns its entry in the file.
pub(crate) fn add(path: &Path, server: &str, known: KnownServer) -> Result<KnownServer, FileError> {
    let path = &resolved(path);
    let _lock = lock(path)?;
    let mut lines = Lines::read(path)?;
    if let Some(already) = lines.find(server)? {
        return Ok(already);
    }
    lines.push(server, known);
    lines.write()?;
    Ok(known)
}

/// Replaces a server's entry.
pub(crate) fn replace(path: &Path, server: &str, known: KnownServer) -> Result<(), FileError> {
    let path = &resolved(path);
    let _lock = lock(path)?;
    let mut lines = Lines::read(path)?;
    lines.remove(server);
    lines.push(server, known);
    lines.write()
}

/// Removes a server's entry; `false` if there was none.
pub(crate) fn remove(path: &Path, server: &str) -> Result<bool, FileError> {
    let path = &resolved(path);
    let _lock = lock(path)?;
    let mut lines = Lines::read(path)?;
    let known = lines.remove(server);
    if known {
        lines.write()?;
    }
    Ok(known)
}

/// Follows links, so that a file kept elsewhere stays there.
fn resolved(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Locks the file against changes by other processes.
fn lock(path: &Path) -> Result<Option<File>, FileError> {
    let unusable = |error: &io::Error| FileError::Unusable {
        path: path.to_owned(),
        why: error.to_string(),
    };
    if let Some(directory) = path.parent() {
        store::create_private(directory).map_err(|error| unusable(&error))?;
    }
    store::lock(path).map_err(|error| unusable(&error))
}

/// The file's lines.
struct Lines<'a> {
    path: &'a Path,
    lines: Vec<String>,
}

impl<'a> Lines<'a> {
    fn read(path: &'a Path) -> Result<Self, FileError> {
        let unusable = |why: String| FileError::Unusable {
            path: path.to_owned(),
            why,
        };
        let mut text = String::new();
        match File::open(path) {
            Ok(file) => {
                let read = file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text);
                read.map_err(|error| unusable(error.to_string()))?;
            }
            Err(error) if store::is_nowhere(&error) => {}
            Err(error) => return Err(unusable(error.to_string())),
        }
        if text.len() as u64 > FILE_BYTES_MAX {
            return Err(unusable("it is too long".to_owned()));
        }
        let lines = text.lines().map(str::to_owned).collect();
        Ok(Self { path, lines })
    }

    /// Checks every line, so that damage is reported early and not when it matters.
    fn find(&self, server: &str) -> Result<Option<KnownServer>, FileError> {
        let mut found = None;
        let mut older = None;
        for (at, line) in self.lines.iter().enumerate() {
            let damaged = |what| FileError::Damaged {
                path: self.path.to_owned(),
                line: at + 1,
                what,
            };
            let Some((name, known)) = parse(line).map_err(damaged)? else {
                continue;
            };
            if name == server {
                if found.replace(known).is_some() {
                    return Err(damaged("this server has a line before"));
                }
            } else if older.is_none() && is_older(name, server) {
                older = Some(known);
            }
        }
        Ok(found.or(older))
    }

    fn push(&mut self, server: &str, known: KnownServer) {
        let KnownServer { by, since } = known;
        self.lines.push(match by {
            TrustedBy::Key(fingerprint) => format!("{server} {fingerprint} {since}"),
            TrustedBy::System => format!("{server} {SYSTEM} {since}"),
        });
    }

    /// Does not parse the line, because it may be the damaged one.
    fn remove(&mut self, server: &str) -> bool {
        let before = self.lines.len();
        self.lines.retain(|line| {
            let name = line.split_whitespace().next();
            name.is_none_or(|name| name != server && !is_older(name, server))
        });
        self.lines.len() < before
    }

    fn write(&self) -> Result<(), FileError> {
        let mut text = self.lines.join("\n");
        text.push('\n');
        store::write_private(self.path, text.as_bytes()).map_err(|error| FileError::Unusable {
            path: self.path.to_owned(),
            why: error.to_string(),
        })
    }
}

/// Whether a line names the server in a spelling that older versions stored: `chat.lan.:10500`.
fn is_older(name: &str, server: &str) -> bool {
    name != server && Host::respelt(name).is_some_and(|name| name == server)
}

/// The server in a line, and its entry; `None`: an empty line or a comment.
fn parse(line: &str) -> Result<Option<(&str, KnownServer)>, &'static str> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    let mut words = line.split_whitespace();
    let (Some(server), Some(by), Some(since), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err("a server, its key and a date are expected");
    };
    let by = if by == SYSTEM {
        TrustedBy::System
    } else {
        TrustedBy::Key(Fingerprint::parse(by).map_err(|_| "the second word is no fingerprint")?)
    };
    let since = since
        .parse()
        .map_err(|_| "the third word is no date such as 2026-11-22")?;
    Ok(Some((server, KnownServer { by, since })))
}

#[cfg(test)]
mod tests {
    use std::thread;

    use jiff::civil::date;

    use super::*;

    fn key(byte: u8) -> KnownServer {
        KnownServer {
            by: TrustedBy::Key(Fingerprint::from_bytes([byte; 32])),
            since: date(2026, 11, 22),
        }
    }

    fn place() -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("state").join("known_hosts");
        (directory, path)
    }

    #[test]
    fn a_server_is_known_from_the_first_time_on() {
        let (_directory, path) = place();
        assert_eq!(find(&path, "localhost:10500").unwrap(), None);
        assert_eq!(add(&path, "localhost:10500", key(1)).unwrap(), key(1));
        assert_eq!(find(&path, "localhost:10500").unwrap(), Some(key(1)));
        assert_eq!(find(&path, "localhost:10501").unwrap(), None);
        // A second process does not replace the entry.
        assert_eq!(add(&path, "localhost:10500", key(2)).unwrap(), key(1));
        replace(&path, "localhost:10500", key(2)).unwrap();
        assert_eq!(find(&path, "localhost:10500").unwrap(), Some(key(2)));
        assert!(remove(&path, "localhost:10500").unwrap());
        assert!(!remove(&path, "localhost:10500").unwrap());
        assert_eq!(find(&path, "localhost:10500").unwrap(), None);
    }

    #[test]
    fn a_server_that_was_kept_in_another_spelling_is_known_and_can_be_forgotten() {
        let (_directory, path) = place();
        add(&path, "chat.lan.:10500", key(1)).unwrap();
        add(&path, "[0:0::1]:10500", key(2)).unwrap();
        assert_eq!(find(&path, "chat.lan:10500").unwrap(), Some(key(1)));
        assert_eq!(find(&path, "[::1]:10500").unwrap(), Some(key(2)));
        assert_eq!(find(&path, "chat.lan:10501").unwrap(), None);
        assert_eq!(add(&path, "chat.lan:10500", key(3)).unwrap(), key(1));
        replace(&path, "chat.lan:10500", key(3)).unwrap();
        assert_eq!(find(&path, "chat.lan:10500").unwrap(), Some(key(3)));
        // The canonical spelling counts if both are there.
        let text = fs::read_to_string(&path).unwrap();
        let line = text
            .lines()
            .last()
            .unwrap()
            .replace("chat.lan:", "Chat.lan.:");
        fs::write(&path, format!("{line}\n{text}")).unwrap();
        replace(&path, "[::1]:10500", key(4)).unwrap();
        assert_eq!(find(&path, "chat.lan:10500").unwrap(), Some(key(3)));
        assert!(remove(&path, "chat.lan:10500").unwrap());
        assert_eq!(find(&path, "chat.lan:10500").unwrap(), None);
        assert_eq!(find(&path, "[::1]:10500").unwrap(), Some(key(4)));
    }

    #[test]
    fn a_stored_entry_comes_back_unchanged() {
        let (_directory, path) = place();
        let system = KnownServer {
            by: TrustedBy::System,
            since: date(2026, 1, 2),
        };
        add(&path, "[::1]:10500", key(7)).unwrap();
        add(&path, "chat.example.org:1", system).unwrap();
        assert_eq!(find(&path, "[::1]:10500").unwrap(), Some(key(7)));
        assert_eq!(find(&path, "chat.example.org:1").unwrap(), Some(system));
    }

    #[cfg(unix)]
    #[test]
    fn only_the_owner_can_read_or_change_the_file() {
        use std::os::unix::fs::PermissionsExt;
        let (_directory, path) = place();
        add(&path, "localhost:10500", key(1)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        add(&path, "localhost:10501", key(1)).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o600);
        assert_eq!(mode(path.parent().unwrap()), 0o700);
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_is_kept_elsewhere_stays_there() {
        let (directory, path) = place();
        let elsewhere = directory.path().join("mine");
        fs::write(&elsewhere, "# mine\n").unwrap();
        fs::create_dir(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
        add(&path, "localhost:10500", key(1)).unwrap();
        assert!(fs::symlink_metadata(&path).unwrap().is_symlink());
        assert_eq!(find(&elsewhere, "localhost:10500").unwrap(), Some(key(1)));
    }

    #[test]
    fn a_damaged_line_is_named_and_stops_everything() {
        let (_directory, path) = place();
        add(&path, "localhost:10500", key(1)).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        let fingerprint = Fingerprint::from_bytes([1; 32]);
        for (line, says) in [
            ("localhost:1", "a server, its key and a date"),
            ("localhost:1 abcd 2026-11-22", "no fingerprint"),
            (&format!("localhost:1 {fingerprint}"), "and a date"),
            (&format!("localhost:1 {fingerprint} today"), "no date"),
            (
                &format!("localhost:1 {fingerprint} 2026-11-22 x"),
                "and a date",
            ),
            (good.trim(), "has a line before"),
            ("\u{fffd}\u{1b}[2J", "a server, its key and a date"),
        ] {
            fs::write(&path, format!("# mine\n\n{good}{line}\n")).unwrap();
            // For any server.
            for server in ["localhost:10500", "localhost:9"] {
                match find(&path, server) {
                    Err(error) => {
                        let text = error.to_string();
                        assert!(text.contains("Line 4 of"), "{text}");
                        assert!(text.contains(says), "{line}: {text}");
                    }
                    Ok(_) if line == good.trim() && server == "localhost:9" => {}
                    Ok(found) => panic!("{line}: {found:?}"),
                }
            }
        }
        fs::write(&path, b"\xff\xfe").unwrap();
        assert!(matches!(
            find(&path, "localhost:1"),
            Err(FileError::Unusable { .. })
        ));
        let long = format!("# {}\n", "x".repeat(1 << 20));
        fs::write(&path, long).unwrap();
        assert!(matches!(
            find(&path, "localhost:1"),
            Err(FileError::Unusable { .. })
        ));
    }

    #[test]
    fn other_lines_stay_as_they_are() {
        let (_directory, path) = place();
        add(&path, "localhost:10500", key(1)).unwrap();
        let good = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("# mine\n\n{good}")).unwrap();
        add(&path, "localhost:10501", key(2)).unwrap();
        remove(&path, "localhost:10500").unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("# mine\n\nlocalhost:10501 "), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
    }

    #[test]
    fn many_at_once_lose_no_line() {
        let (_directory, path) = place();
        thread::scope(|scope| {
            for port in 0..16 {
                let path = &path;
                scope.spawn(move || add(path, &format!("localhost:{port}"), key(1)).unwrap());
            }
        });
        for port in 0..16 {
            let server = format!("localhost:{port}");
            assert_eq!(find(&path, &server).unwrap(), Some(key(1)), "{server}");
        }
    }
}
