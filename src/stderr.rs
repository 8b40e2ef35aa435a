//! Output of the programs on the terminal that they were started from, while they do not use it as
//! a full screen; and the settings that they inherit from it.
//!
//! Messages repeat arguments, paths and texts from the system or a server. All of them are made
//! inert here, in one place, so that no caller can forget it.

use std::io::{self, Write};

use crate::text::{self, Body};

/// Prints help, a version, or what is wrong with a command line; returns the exit status.
pub fn answer(program: &str, answer: &clap::Error) -> i32 {
    let written = write_answer(answer);
    if answer.exit_code() != 0 {
        // Failed to print an error; there is no other place to report it.
        return answer.exit_code();
    }
    i32::from(printed(program, written).is_err())
}

fn write_answer(answer: &clap::Error) -> io::Result<()> {
    let harmless = std::env::args_os().all(|argument| {
        argument
            .to_str()
            .is_some_and(|argument| text::first_unfit_for_line(argument).is_none())
    });
    let words = colourless(&answer.render().ansi().to_string());
    match answer.exit_code() {
        0 if is_dumb_terminal() => io::stdout().write_all(words.as_bytes()),
        0 => answer.print(),
        _ if harmless && !is_dumb_terminal() => answer.print(),
        _ => io::stderr().write_all(Body::inert(&words).as_str().as_bytes()),
    }
}

/// Whether the terminal understands no escape sequences. A terminal without a name counts as one
/// that does not.
pub fn is_dumb_terminal() -> bool {
    is_dumb(std::env::var("TERM").ok().as_deref())
}

fn is_dumb(term: Option<&str>) -> bool {
    match term {
        Some("dumb" | "unknown") => true,
        // Windows does not set TERM.
        None | Some("") => !cfg!(windows),
        Some(_) => false,
    }
}

/// Prints one line to standard error: the program's name and `why`. Failure is ignored: standard
/// error may be closed.
pub fn complain(program: &str, why: &str) {
    let _ = writeln!(io::stderr(), "{program}: {}", text::inert_line(why));
}

/// Prints requested text to standard output. Reports a failure on standard error, except a closed
/// pipe: its reader wants no more.
///
/// # Errors
/// If the text could not be written; this was reported.
pub fn print(program: &str, text: &str) -> Result<(), Unprinted> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    printed(program, written)
}

/// As [`print()`], for the result of a write that others made.
///
/// # Errors
/// As for [`print()`].
pub fn printed(program: &str, written: io::Result<()>) -> Result<(), Unprinted> {
    match written {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            complain(program, &format!("The output can't be written: {error}"));
            Err(Unprinted)
        }
        _ => Ok(()),
    }
}

/// Requested output could not be written to standard output: exit status 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unprinted;

/// Whether this process inherited a signal as ignored. Call it before setting a handler. Only Linux
/// reports it; elsewhere the answer is no.
pub fn is_ignored(signal: i32) -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| is_in_mask(&status, signal))
}

fn is_in_mask(status: &str, signal: i32) -> bool {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    let bit = u32::try_from(signal - 1)
        .ok()
        .and_then(|at| 1_u64.checked_shl(at));
    mask.zip(bit).is_some_and(|(mask, bit)| mask & bit != 0)
}

/// Removes the colours that the command-line library adds.
fn colourless(words: &str) -> String {
    let mut parts = words.split("\u{1b}[");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let digits = part.bytes().take_while(u8::is_ascii_digit).count();
        match part[digits..].strip_prefix('m') {
            Some(rest) if (1..=2).contains(&digits) => out.push_str(rest),
            _ => {
                out.push_str("\u{1b}[");
                out.push_str(part);
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ignored_signal_is_found_in_the_mask() {
        let status = "Name:\tx\nSigBlk:\t0000000000000006\nSigIgn:\t0000000000001001\n";
        assert!(is_in_mask(status, 1) && is_in_mask(status, 13));
        for signal in [-1, 0, 2, 15, 64, 65, i32::MAX] {
            assert!(!is_in_mask(status, signal), "{signal}");
        }
        assert!(!is_in_mask("SigIgn:\tzz\n", 1) && !is_in_mask("", 1));
    }

    #[test]
    #[cfg(unix)]
    fn a_terminal_without_a_name_understands_nothing() {
        for term in [None, Some(""), Some("dumb"), Some("unknown")] {
            assert!(is_dumb(term), "{term:?}");
        }
        for term in ["xterm", "linux", "vt100", "tmux-256color"] {
            assert!(!is_dumb(Some(term)), "{term}");
        }
    }

    #[test]
    fn colours_are_taken_out_and_nothing_else() {
        for (words, left) in [
            ("plain", "plain"),
            ("\u{1b}[1m\u{1b}[31merror:\u{1b}[0m no", "error: no"),
            ("\u{1b}[31;5mx\u{1b}[", "\u{1b}[31;5mx\u{1b}["),
            ("\u{1b}[m\u{1b}[2J\u{1b}]0;x", "\u{1b}[m\u{1b}[2J\u{1b}]0;x"),
        ] {
            assert_eq!(colourless(words), left);
        }
    }
}
