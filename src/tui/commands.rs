//! Every `/` command, in one table: the update runs them from here, and completion, the help
//! screen and the README's list are written from it.

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// Take another nickname.
    Nick,
    /// Go to a day.
    Date,
    /// Look for messages.
    Search,
    /// Let go of a message that was refused.
    Discard,
    /// Show the help.
    Help,
    /// Have the wheel scroll, or not.
    Mouse,
    /// Disconnect.
    Quit,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Slash {
    /// Its name, without `/`.
    pub name: &'static str,
    /// What follows the name, as the help writes it; empty if nothing does.
    pub argument: &'static str,
    /// What it does.
    pub run: Run,
    /// The same for people.
    pub help: &'static str,
}

/// The table.
pub const COMMANDS: &[Slash] = &[
    Slash {
        name: "nick",
        argument: "NAME",
        run: Run::Nick,
        help: "take another nickname",
    },
    Slash {
        name: "search",
        argument: "WORDS",
        run: Run::Search,
        help: "search; without words, how to",
    },
    Slash {
        name: "date",
        argument: "DAY",
        run: Run::Date,
        help: "go to a day: 2026-11-20, monday",
    },
    Slash {
        name: "discard",
        argument: "",
        run: Run::Discard,
        help: "let go of what was refused",
    },
    Slash {
        name: "help",
        argument: "",
        run: Run::Help,
        help: "all keys and commands",
    },
    Slash {
        name: "mouse",
        argument: "",
        run: Run::Mouse,
        help: "let the wheel scroll, or not",
    },
    Slash {
        name: "quit",
        argument: "",
        run: Run::Quit,
        help: "disconnect, as q! does",
    },
];

/// The table as Markdown, for the README.
pub fn markdown() -> String {
    let rows = COMMANDS.iter().map(|command| {
        let usage = format!("/{} {}", command.name, command.argument);
        format!("| `{}` | {} |\n", usage.trim_end(), command.help)
    });
    format!(
        "| command | does |\n|---|---|\n{}",
        rows.collect::<String>()
    )
}

/// What was typed, as the program understands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed<'a> {
    /// A text to send.
    Text(&'a str),
    /// A command and what follows it.
    Command(Run, &'a str),
    /// Looks like a command, but is none: its name.
    Unknown(&'a str),
    /// `q!`.
    Quit,
    /// Nothing.
    Nothing,
}

/// Reads what was typed. `//` at the start sends a text that begins with `/`.
pub fn read(typed: &str) -> Typed<'_> {
    if typed == "q!" {
        return Typed::Quit;
    }
    let text = typed.trim_end();
    if text.trim_start().is_empty() {
        return Typed::Nothing;
    }
    let Some(rest) = text.strip_prefix('/') else {
        return Typed::Text(text);
    };
    if rest.starts_with('/') {
        return Typed::Text(rest);
    }
    let (name, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    COMMANDS
        .iter()
        .find(|command| command.name.eq_ignore_ascii_case(name))
        .map_or(Typed::Unknown(name), |command| {
            Typed::Command(command.run, argument.trim())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_understood() {
        for (typed, expected) in [
            ("hello", Typed::Text("hello")),
            ("  indented\n", Typed::Text("  indented")),
            ("q!", Typed::Quit),
            (" q!", Typed::Text(" q!")),
            ("q! ", Typed::Text("q!")),
            (" \n", Typed::Nothing),
            ("/nick  dave ", Typed::Command(Run::Nick, "dave")),
            ("/help", Typed::Command(Run::Help, "")),
            ("/Nick Dave", Typed::Command(Run::Nick, "Dave")),
            ("/etc/hosts", Typed::Unknown("etc/hosts")),
            ("//etc/hosts", Typed::Text("/etc/hosts")),
        ] {
            assert_eq!(read(typed), expected, "{typed:?}");
        }
    }
}
