//! Secrets of the user: a key's passphrase, asked for before the screen opens; passwords, codes and
//! invites from a file or from the input, because arguments are visible to every process of the
//! machine.

use std::{
    fs::File,
    io::{self, BufRead, Read},
    path::Path,
};

use crate::{
    client::identity::is_exposed,
    protocol::{
        DeviceCode,
        admin::Password,
        limits::{INVITE_BYTES_MAX, PASSWORD_BYTES_MAX},
    },
};

/// The most bytes of a passphrase.
#[cfg(unix)]
const PASSPHRASE_BYTES_MAX: usize = 4096;

/// The most bytes of a device's code, with its separators.
const CODE_BYTES_MAX: usize = 64;
/// The file name that stands for the input.
pub const INPUT: &str = "-";

/// Reads the password of a server. `Err` is one plain sentence.
pub fn password(path: &Path) -> Result<Password, String> {
    let line = first_line("password", path, PASSWORD_BYTES_MAX)?;
    Password::parse(&line).map_err(|wrong| format!("{}: {wrong}", path.display()))
}

/// Reads a device's code. `Err` is one plain sentence.
pub fn device_code(path: &Path) -> Result<DeviceCode, String> {
    let line = first_line("device's code", path, CODE_BYTES_MAX)?;
    DeviceCode::parse(line.trim()).map_err(|wrong| format!("{}: {wrong}", path.display()))
}

/// Reads an invite without parsing it. `Err` is one plain sentence.
pub fn invite(path: &Path) -> Result<String, String> {
    first_line("invite", path, INVITE_BYTES_MAX)
}

/// Reads the first line of a file, or of the input, whose rest stays unread.
fn first_line(what: &str, path: &Path, bytes_max: usize) -> Result<String, String> {
    let cant = |error: io::Error| {
        let path = path.display();
        format!("The {what} in {path} can't be read: {error}")
    };
    // The line end, and one byte to detect that the line is too long.
    let bytes_max = bytes_max as u64 + 3;
    let mut bytes = Vec::new();
    if path == Path::new(INPUT) {
        let mut input = io::stdin().lock().take(bytes_max);
        input.read_until(b'\n', &mut bytes).map_err(cant)?;
    } else {
        let file = File::open(path).map_err(cant)?;
        if is_exposed(&file.metadata().map_err(cant)?) {
            return Err(format!(
                "The {what} in {0} can be read by others. Type: chmod 600 '{0}'",
                path.display()
            ));
        }
        file.take(bytes_max).read_to_end(&mut bytes).map_err(cant)?;
    }
    // Cut before decoding: the bytes after the line may be anything, and end anywhere.
    let line = bytes.split(|byte| *byte == b'\n').next();
    let line = line.unwrap_or_default();
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = str::from_utf8(line);
    let line = line.map_err(|_| format!("The {what} in {} is not UTF-8", path.display()))?;
    Ok(line.to_owned())
}

/// Asks for a key's passphrase on the terminal, even if input and output are redirected; it is not
/// shown. `None` if there is no terminal.
///
/// # Errors
/// If the terminal can't be used, or Ctrl-C or Ctrl-D is typed.
pub fn passphrase(key: &Path) -> io::Result<Option<String>> {
    #[cfg(unix)]
    {
        use std::io::Write;
        let Ok(mut terminal) = File::options().read(true).write(true).open("/dev/tty") else {
            return Ok(None);
        };
        let hidden = HiddenInput::begin(&terminal)?;
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

/// A terminal without echo that passes on each key: Ctrl-C must not end the program before the
/// terminal is restored.
#[cfg(unix)]
struct HiddenInput {
    terminal: File,
    before: rustix::termios::Termios,
}

#[cfg(unix)]
impl HiddenInput {
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
impl Drop for HiddenInput {
    fn drop(&mut self) {
        use rustix::termios::{OptionalActions, tcsetattr};
        // A terminal that is gone need not be restored.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

/// Reads up to Enter, with the keys that edit a line.
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
            // Backspace deletes a whole character.
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
    fn editing_keys_change_the_line() {
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
        // The bytes after the line do not matter, even if they are cut within a character.
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
    fn secrets_that_others_can_read_are_refused() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        fs::write(&path, "sesame").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        for wrong in [
            password(&path).map(drop),
            device_code(&path).map(drop),
            invite(&path).map(drop),
        ] {
            let wrong = wrong.unwrap_err();
            assert!(wrong.contains("chmod 600"), "{wrong}");
        }
    }

    #[test]
    fn a_code_and_an_invite_are_a_files_first_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        let code = DeviceCode::from_bytes([0x61, 0x62, 0x63, 0x64, 0x65]);
        let write = |text: &str| {
            crate::client::store::write_private(&path, text.as_bytes()).unwrap();
        };
        for text in ["MFRG GZDF\n", "mfrg-gzdf", " mfrg gzdf \r\nmore"] {
            write(text);
            assert_eq!(device_code(&path), Ok(code), "{text:?}");
        }
        write("no code\n");
        assert!(device_code(&path).is_err());
        write("chat-tui://chat.lan:10500/x\nmore");
        assert_eq!(invite(&path).unwrap(), "chat-tui://chat.lan:10500/x");
    }
}
