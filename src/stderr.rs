//! What the programs say on the terminal that they were started from, when they do not take it over;
//! and what they have from whoever started them there.
//!
//! Words there repeat arguments, paths and what the system or a server said: all of it is made
//! inert, here and in one place, for nobody who puts a sentence together thinks of that.

use std::io::{self, Write};

use crate::text::{self, Body};

/// Prints help or a version, as it is, or what is wrong with a command line; gives the exit status.
pub fn answer(program: &str, answer: &clap::Error) -> i32 {
    let written = write_answer(answer);
    if answer.exit_code() != 0 {
        // Nobody is left to be told that it could not be said.
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

/// Whether the terminal understands no escape sequences. One that says nothing of itself is not
/// taken for one that does.
pub fn is_dumb_terminal() -> bool {
    is_dumb(std::env::var("TERM").ok().as_deref())
}

fn is_dumb(term: Option<&str>) -> bool {
    match term {
        Some("dumb" | "unknown") => true,
        // Windows knows no such variable.
        None | Some("") => !cfg!(windows),
        Some(_) => false,
    }
}

/// Says on standard error why something is so, on one line. Whoever started us may not care to read
/// it.
pub fn complain(program: &str, why: &str) {
    let _ = writeln!(io::stderr(), "{program}: {}", text::inert_line(why));
}

/// Writes what was asked for to standard output. Says so on standard error if that can't be done;
/// but whoever closed the pipe wants no more, and to hear nothing of it.
///
/// # Errors
/// If it could not be written, and that was said.
pub fn print(program: &str, text: &str) -> Result<(), Unprinted> {
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    printed(program, written)
}

/// As [`print()`], of something that was written by others.
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

/// What was asked for could not be written to standard output: exit status 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unprinted;

/// Whether whoever started this process ignores a signal for it. To be asked before a handler is
/// set. Where the system doesn't say (it is Linux that does), none is.
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

/// Takes out the colours that the library for command lines puts in.
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
