//! Sets the password, typed or piped in. It is never an argument, since all users of the machine
//! can read those.

use std::{
    io::{self, BufRead, IsTerminal, Read},
    path::Path,
};

use super::{error::CommandError, say};
use crate::{
    protocol::{Password, limits::PASSWORD_BYTES_MAX},
    server::{
        args::PasswordArgs,
        secrets,
        store::sqlite::{maintenance::MaintenanceError, owner::AsOwner},
    },
};

pub(super) fn run(data: &Path, wanted: PasswordArgs) -> Result<(), CommandError> {
    let _owner = AsOwner::of(data).map_err(MaintenanceError::Open)?;
    if wanted.remove {
        let was_there = secrets::remove_password(data)?;
        say(if was_there {
            "the password is removed; a running server keeps using it until it is restarted"
        } else {
            "there was no password"
        });
        return Ok(());
    }
    let password = if io::stdin().is_terminal() {
        let first = read(&terminal::ask("Password for people who join: ")?)?;
        if read(&terminal::ask("Repeat it: ")?)? != first {
            return Err(CommandError::Input("The two passwords differ".to_owned()));
        }
        first
    } else {
        read(&one_line()?)?
    };
    secrets::set_password(data, &password)?;
    if !secrets::has_hosted(data)? {
        say(&format!(
            "no server was started with {} yet; if that is a mistake, give the server's data directory \
             with --data-dir DIR",
            data.display()
        ));
    }
    say(&format!(
        "the password is set, for chat-server --access password; a running server reads it on \
         SIGHUP, or at its next start. {} holds only its hash",
        data.display()
    ));
    Ok(())
}

fn read(text: &str) -> Result<Password, CommandError> {
    Password::parse(text).map_err(|error| CommandError::Input(error.to_string()))
}

/// Reads the one line that is piped in.
fn one_line() -> Result<String, CommandError> {
    let mut text = String::new();
    // The longest password, the end of the line, and one byte more.
    let most = PASSWORD_BYTES_MAX as u64 + 3;
    let mut input = io::stdin().lock().take(most);
    input.read_line(&mut text).map_err(CommandError::Output)?;
    let line = text.strip_suffix('\n').unwrap_or(&text);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let mut rest = Vec::new();
    input.read_to_end(&mut rest).map_err(CommandError::Output)?;
    if !rest.is_empty() {
        let words = "Give exactly one line, with the password";
        return Err(CommandError::Input(words.to_owned()));
    }
    Ok(line.to_owned())
}

#[cfg(unix)]
mod terminal {
    use std::io::{self, Read, Write};

    use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

    use super::{CommandError, PASSWORD_BYTES_MAX};

    /// The terminal's former settings, restored on drop.
    struct Quiet(Termios);

    impl Quiet {
        /// Turns off echo, and makes Ctrl-C a plain character, so that it can't leave the terminal
        /// like this.
        fn begin() -> io::Result<Self> {
            let was = tcgetattr(io::stdin())?;
            let mut quiet = was.clone();
            quiet
                .local_modes
                .remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
            tcsetattr(io::stdin(), OptionalActions::Flush, &quiet)?;
            Ok(Self(was))
        }
    }

    impl Drop for Quiet {
        fn drop(&mut self) {
            let _ = tcsetattr(io::stdin(), OptionalActions::Flush, &self.0);
        }
    }

    /// Asks for a line that is not echoed.
    pub(super) fn ask(words: &str) -> Result<String, CommandError> {
        let quiet = Quiet::begin().map_err(CommandError::Output)?;
        let mut out = io::stderr();
        let _ = write!(out, "{words}");
        let line = line(&mut io::stdin().lock());
        drop(quiet);
        let _ = writeln!(out);
        line
    }

    /// Reads until Enter, with the editing keys of a terminal.
    fn line(typed: &mut impl Read) -> Result<String, CommandError> {
        const INTERRUPT: u8 = 3;
        const END: u8 = 4;
        const KILL: u8 = 21;
        let mut line = Vec::new();
        let mut byte = [0];
        loop {
            if typed.read(&mut byte).map_err(CommandError::Output)? == 0 {
                return Err(CommandError::Interrupted);
            }
            match byte[0] {
                b'\r' | b'\n' => break,
                INTERRUPT | END => return Err(CommandError::Interrupted),
                KILL => line.clear(),
                8 | 127 => while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {},
                // One byte more is enough to be refused as too long.
                byte if line.len() <= PASSWORD_BYTES_MAX => line.push(byte),
                _ => {}
            }
        }
        let words = "The terminal sent text that is not UTF-8";
        String::from_utf8(line).map_err(|_| CommandError::Input(words.to_owned()))
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn a_line_is_what_is_left_when_enter_is_pressed() {
            for (typed, expected) in [
                ("open sesame\nrest", Some("open sesame")),
                ("opne\u{7f}\u{7f}en\r", Some("open")),
                ("sé\u{8}e\r", Some("se")),
                ("\u{7f}\u{7f}x\r", Some("x")),
                ("wrong\u{15}right\r", Some("right")),
                ("half\u{3}", None),
                ("half", None),
            ] {
                let line = line(&mut typed.as_bytes()).ok();
                assert_eq!(line.as_deref(), expected, "{typed:?}");
            }
            let long = line(&mut [&vec![b'x'; 10_000][..], b"\r"].concat().as_slice());
            assert_eq!(long.unwrap().len(), PASSWORD_BYTES_MAX + 1);
        }
    }
}

#[cfg(not(unix))]
mod terminal {
    use super::CommandError;

    /// Echo can't be turned off on this system.
    pub(super) fn ask(_: &str) -> Result<String, CommandError> {
        let words = "On this system the password can only be piped in: chat-server password < FILE";
        Err(CommandError::Input(words.to_owned()))
    }
}
