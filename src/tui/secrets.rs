//! What only the user knows: a key's passphrase, asked for before the screen opens, and the
//! password in a file.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use crate::{
    client::identity::is_exposed,
    protocol::{house::Password, limits::PASSWORD_BYTES_MAX},
};

/// Bytes of a passphrase.
#[cfg(unix)]
const PASSPHRASE_BYTES_MAX: usize = 4096;

/// Reads the password of a server: a file's first line. `Err` is one plain sentence.
pub fn password(path: &Path) -> Result<Password, String> {
    let cant = |error: io::Error| {
        let path = path.display();
        format!("The password in {path} can't be read: {error}")
    };
    let file = File::open(path).map_err(cant)?;
    if is_exposed(&file.metadata().map_err(cant)?) {
        return Err(format!(
            "The password in {0} can be read by others. Type: chmod 600 '{0}'",
            path.display()
        ));
    }
    let mut bytes = Vec::new();
    // Its line's end, and one byte to tell that it is too long.
    let bytes_max = PASSWORD_BYTES_MAX as u64 + 3;
    file.take(bytes_max).read_to_end(&mut bytes).map_err(cant)?;
    // Cut before it is decoded: what follows the line may be anything, and end anywhere.
    let line = bytes.split(|byte| *byte == b'\n').next();
    let line = line.unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = str::from_utf8(line)
        .map_err(|_| format!("The password in {} is not UTF-8", path.display()))?;
    Password::parse(line).map_err(|wrong| format!("{}: {wrong}", path.display()))
}

/// Asks for a key's passphrase on the terminal, whatever input and output are; what is typed is
/// not shown. `None` where there is no terminal.
///
/// # Errors
/// If the terminal can't be used, or Ctrl-C or Ctrl-D is typed instead.
pub fn passphrase(key: &Path) -> io::Result<Option<String>> {
    #[cfg(unix)]
    {
        use std::io::Write;
        let Ok(mut terminal) = File::options().read(true).write(true).open("/dev/tty") else {
            return Ok(None);
        };
        let hidden = Hidden::begin(&terminal)?;
        write!(terminal, "Passphrase of {}: ", key.display())?;
        terminal.flush()?;
        let line = read_line(&mut terminal);
        drop(hidden);
        terminal.write_all(b"\n")?;
        line.map(Some)
    }
    #[cfg(not(unix))]
    {
        let _ = key;
        Ok(None)
    }
}

/// A terminal that shows nothing of what is typed, and hands it over key by key: Ctrl-C must not
/// end the program before all is as it was.
#[cfg(unix)]
struct Hidden {
    terminal: File,
    before: rustix::termios::Termios,
}

#[cfg(unix)]
impl Hidden {
    fn begin(terminal: &File) -> io::Result<Self> {
        use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
        let before = tcgetattr(terminal)?;
        let mut hidden = before.clone();
        hidden
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(terminal, OptionalActions::Flush, &hidden)?;
        Ok(Self {
            terminal: terminal.try_clone()?,
            before,
        })
    }
}

#[cfg(unix)]
impl Drop for Hidden {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // A terminal that is gone needs it no more.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// Reads up to Enter, with the keys that correct a line.
#[cfg(unix)]
fn read_line(keys: &mut impl Read) -> io::Result<String> {
    let mut line = Vec::new();
    loop {
        let mut key = [0];
        match keys.read(&mut key) {
            Ok(0) => return Err(none_given()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        match key[0] {
            b'\r' | b'\n' => {
                return String::from_utf8(line)
                    .map_err(|_| io::Error::other("the passphrase is not UTF-8"));
            }
            // Ctrl-C and Ctrl-D.
            3 | 4 => return Err(none_given()),
            // Backspace takes a whole character.
            8 | 127 => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
            // Ctrl-U.
            21 => line.clear(),
            byte if line.len() < PASSPHRASE_BYTES_MAX => line.push(byte),
            _ => {}
        }
    }
}

#[cfg(unix)]
fn none_given() -> io::Error {
    io::Error::other("no passphrase was given")
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[cfg(unix)]
    #[test]
    fn a_line_is_what_is_left_of_the_keys() {
        for (keys, line) in [
            ("sesame\r", Some("sesame")),
            ("sesame\n", Some("sesame")),
            ("\r", Some("")),
            ("öff\x7f\x7f\x7f\x7fx\r", Some("x")),
            ("ö\x08o\r", Some("o")),
            ("wrong\x15right\r", Some("right")),
            ("ses\x03ame\r", None),
            ("\x04", None),
            ("no end", None),
        ] {
            let read = read_line(&mut keys.as_bytes()).ok();
            assert_eq!(read.as_deref(), line, "{keys:?}");
        }
        let long = format!("{}\r", "x".repeat(10_000));
        let read = read_line(&mut long.as_bytes()).unwrap();
        assert_eq!(read.len(), PASSPHRASE_BYTES_MAX);
    }

    #[test]
    fn a_password_is_a_files_first_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        let long = "x".repeat(256);
        let too_long = "x".repeat(257);
        for (text, taken) in [
            ("sesame\n", Some("sesame")),
            ("open sesame\r\nmore", Some("open sesame")),
            ("sesame", Some("sesame")),
            (long.as_str(), Some(long.as_str())),
            (too_long.as_str(), None),
            ("", None),
            ("\nsesame", None),
        ] {
            crate::client::store::write_private(&path, text.as_bytes()).unwrap();
            let read = password(&path).ok();
            let read = read.as_ref().map(Password::expose);
            assert_eq!(read, taken, "{text:?}");
        }
        // What follows the line is nothing to us, not even where it is cut off.
        let cut = format!("{long}\n{}", "ö".repeat(10));
        for text in [b"sesame\n\xff\xfe".as_slice(), cut.as_bytes()] {
            fs::write(&path, text).unwrap();
            assert!(password(&path).is_ok(), "{text:?}");
        }
        fs::write(&path, b"\xff").unwrap();
        assert!(password(&path).is_err());
        assert!(password(&directory.path().join("nowhere")).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn a_password_that_others_can_read_is_not_used() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        fs::write(&path, "sesame").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        let wrong = password(&path).unwrap_err();
        assert!(wrong.contains("chmod 600"), "{wrong}");
    }
}
