//! What the programs say on the terminal that they were started from, when they do not take it over.
//!
//! Words there repeat arguments, paths and what the system or a server said: all of it is made
//! inert, here and in one place, for nobody who puts a sentence together thinks of that.

use std::io::{self, Write};

use crate::text::{self, Body};

/// Prints help or a version, as it is, or what is wrong with a command line.
///
/// # Errors
/// If it can't be printed.
pub fn answer(answer: &clap::Error) -> io::Result<()> {
    let harmless = std::env::args_os().all(|argument| {
        argument
            .to_str()
            .is_some_and(|argument| text::first_unfit_for_line(argument).is_none())
    });
    if answer.exit_code() == 0 || harmless {
        return answer.print();
    }
    let words = colourless(&answer.render().ansi().to_string());
    io::stderr().write_all(Body::inert(&words).as_str().as_bytes())
}

/// Says on standard error why something is so, on one line. Whoever started us may not care to read
/// it.
pub fn complain(program: &str, why: &str) {
    let _ = writeln!(io::stderr(), "{program}: {}", text::inert_line(why));
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
