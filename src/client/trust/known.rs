//! The file of known servers: what each is known by, and since when. One line a server; empty lines
//! and lines that begin with `#` are left as they are.
//!
//! ```text
//! localhost:10500 mfrg-gzdf-… 2026-11-22            by this key
//! chat.example.org:10500 system 2026-11-22          by the certificates that the system trusts
//! ```
//!
//! A line that makes no sense is an error and not a line less: what it said is not known, and to
//! go on without it would be to trust whoever answers.

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

/// Bytes of the file: thousands of servers.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// What stands in place of a fingerprint.
const SYSTEM: &str = "system";

/// What a server is known by, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct KnownServer {
    pub(crate) by: TrustedBy,
    pub(crate) since: Date,
}

/// What a server is known by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TrustedBy {
    /// This key.
    Key(Fingerprint),
    /// Certificates that the system's roots vouch for.
    System,
}

/// Why the file can't be used. Its text is one plain sentence.
#[derive(Debug)]
pub(crate) enum FileError {
    /// It can't be read or written.
    Unusable { path: PathBuf, why: String },
    /// A line of it makes no sense.
    Damaged {
        path: PathBuf,
        /// Which, from 1.
        line: usize,
        what: &'static str,
    },
}

impl fmt::Display for FileError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unusable { path, why } => write!(
                out,
                "{}, which says which servers are known, can't be used: {why}",
                path.display()
            ),
            Self::Damaged { path, line, what } => write!(
                out,
                "Line {line} of {}, which says which servers are known, is damaged ({what}): mend \
                 or delete that line",
                path.display()
            ),
        }
    }
}

/// What a server is known by; `None`: it is not. A file that is not there knows nobody.
pub(crate) fn find(path: &Path, server: &str) -> Result<Option<KnownServer>, FileError> {
    Lines::read(path)?.find(server)
}

/// Makes a server known, unless it is by now. What it is known by then.
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

/// Makes a server known by this and nothing else.
pub(crate) fn replace(path: &Path, server: &str, known: KnownServer) -> Result<(), FileError> {
    let path = &resolved(path);
    let _lock = lock(path)?;
    let mut lines = Lines::read(path)?;
    lines.remove(server);
    lines.push(server, known);
    lines.write()
}

/// Makes a server unknown; `false` if it was.
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

/// Where the file is: whoever keeps it elsewhere and links to it wants it to stay there.
fn resolved(path: &Path) -> PathBuf {
    fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Keeps other processes from changing the file meanwhile.
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

/// The file, line by line.
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

    /// Looks at every line, whichever is asked for: damage is told when it is there, not when it
    /// matters.
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

    /// Whatever its line says: it may be what is wrong with the file.
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

/// Whether a line's name is that of a server in a spelling of the user's own, as names were kept once:
/// `chat.lan.:10500`.
fn is_older(name: &str, server: &str) -> bool {
    name != server && Host::respelt(name).is_some_and(|name| name == server)
}

/// Which server a line is about, and what it says; `None`: it says nothing.
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
        // Who comes second does not put another in its place.
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
        // The spelling of today counts where both are there.
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
    fn what_a_server_is_known_by_comes_back_as_it_was() {
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
    fn nobody_else_can_read_or_change_it() {
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
            // Whichever server is asked for.
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
