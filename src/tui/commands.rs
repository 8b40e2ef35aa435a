//! Every `/` command, in one table: the update runs them from here, and completion, the help
//! screen and the README's list are written from it.
//!
//! - [`mod@house`]: what follows the name of a command that keeps order.

pub mod house;

use self::house::House;

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Run {
    /// Take another nickname.
    Nick,
    /// Go to a day.
    Date,
    /// Look for messages.
    Search,
    /// Show all of a long message.
    Unfold,
    /// Fold long messages again.
    Fold,
    /// Let go of a message that was refused.
    Discard,
    /// Show the help.
    Help,
    /// Have the wheel scroll, or not.
    Mouse,
    /// Disconnect.
    Quit,
    /// Tell who can read along, and who everybody is known by.
    Security,
    /// Tell who is in.
    Who,
    /// Have something done by the server.
    House(House),
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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

/// Rows that belong together, under a heading.
#[derive(Clone, Copy, Debug)]
pub struct Group {
    /// The heading.
    pub title: &'static str,
    /// The rows.
    pub commands: &'static [Slash],
}

const fn row(name: &'static str, argument: &'static str, run: Run, help: &'static str) -> Slash {
    Slash {
        name,
        argument,
        run,
        help,
    }
}

const fn house(
    name: &'static str,
    argument: &'static str,
    house: House,
    help: &'static str,
) -> Slash {
    row(name, argument, Run::House(house), help)
}

/// The table. Who may do what the server decides; the headings say it. A command that does several
/// things has a row for each.
pub const GROUPS: &[Group] = &[
    Group {
        title: "Commands",
        commands: &[
            row("nick", "NAME", Run::Nick, "take another nickname"),
            row("who", "", Run::Who, "who is in; the room's rules"),
            row(
                "search",
                "WORDS",
                Run::Search,
                "search; without words, how to",
            ),
            row("date", "DAY", Run::Date, "go to a day: 2026-11-20, monday"),
            row("unfold", "", Run::Unfold, "show all of a long message"),
            row("fold", "", Run::Fold, "fold long messages again"),
            row("discard", "", Run::Discard, "let go of what was refused"),
            row(
                "security",
                "",
                Run::Security,
                "who can read along, the keys",
            ),
            row("help", "", Run::Help, "all keys and commands"),
            row(
                "mouse",
                "",
                Run::Mouse,
                "wheel and clicks for the chat, or not",
            ),
            row("quit", "", Run::Quit, "disconnect, as q! does"),
        ],
    },
    Group {
        title: "Your devices",
        commands: &[
            house("device", "", House::Device, "list them"),
            house("device", "add", House::Device, "a code for one more"),
            house(
                "device",
                "revoke ID [block]",
                House::Device,
                "shut one out, or block its key",
            ),
            house("device", "CODE", House::Device, "come in as one of yours"),
        ],
    },
    Group {
        title: "For moderators",
        commands: &[
            house(
                "invite",
                "[PEOPLE] [TIME]",
                House::Invite,
                "let somebody in: 1, 5 or any, for 2d",
            ),
            house("invites", "", House::Invites, "those that are not over"),
            house("revoke", "ID", House::Revoke, "end an invite"),
            house("kick", "NAME [REASON]", House::Kick, "send away, for now"),
            house(
                "ban",
                "NAME [TIME] [REASON]",
                House::Ban,
                "send away, and keep out",
            ),
            house("unban", "NAME", House::Unban, "let in again"),
            house("bans", "", House::Bans, "who is kept out"),
            house(
                "mute",
                "NAME [TIME] [REASON]",
                House::Mute,
                "take no messages from",
            ),
            house("unmute", "NAME", House::Unmute, "take them again"),
            house("topic", "TEXT|off", House::Topic, "what the room is about"),
            house(
                "announce",
                "on|off",
                House::Announce,
                "only moderators write, or all",
            ),
            house(
                "slow",
                "TIME|off",
                House::Slow,
                "a pause between one's messages",
            ),
        ],
    },
    Group {
        title: "For the owner",
        commands: &[
            house(
                "owner",
                "CODE",
                House::Own,
                "be it, by the code shown at the start",
            ),
            house(
                "role",
                "NAME ROLE",
                House::Role,
                "make a member, moderator or owner",
            ),
            house(
                "release",
                "NAME",
                House::Release,
                "free a nickname whose key is lost",
            ),
            house(
                "audit",
                "[NUMBER]",
                House::Audit,
                "what was done, newest first",
            ),
        ],
    },
];

/// Every row.
pub fn all() -> impl Iterator<Item = &'static Slash> {
    GROUPS.iter().flat_map(|group| group.commands)
}

impl Slash {
    /// How it is written: `/kick NAME [REASON]`.
    pub fn usage(&self) -> String {
        let usage = format!("/{} {}", self.name, self.argument);
        usage.trim_end().to_owned()
    }
}

/// Every way in which a command is written.
pub fn usages(slash: &Slash) -> String {
    let rows = all().filter(|row| row.name == slash.name);
    rows.map(Slash::usage).collect::<Vec<_>>().join(", ")
}

/// The table as Markdown, for the README.
pub fn markdown() -> String {
    let group = |group: &Group| {
        let rows = group.commands.iter().map(|command| {
            // A bar parts the cells of a table, in code too.
            let usage = command.usage().replace('|', "\\|");
            format!("| `{usage}` | {} |\n", command.help)
        });
        format!("| **{}** | |\n", group.title) + &rows.collect::<String>()
    };
    let rows: String = GROUPS.iter().map(group).collect();
    format!("| command | does |\n|---|---|\n{rows}")
}

/// What was typed, as the program understands it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Typed<'a> {
    /// A text to send.
    Text(&'a str),
    /// A command and what follows it.
    Command(&'static Slash, &'a str),
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
    all()
        .find(|command| command.name.eq_ignore_ascii_case(name))
        .map_or(Typed::Unknown(name), |command| {
            Typed::Command(command, argument.trim())
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
            ("/etc/hosts", Typed::Unknown("etc/hosts")),
            ("//etc/hosts", Typed::Text("/etc/hosts")),
        ] {
            assert_eq!(read(typed), expected, "{typed:?}");
        }
        for (typed, run, rest) in [
            ("/nick  dave ", Run::Nick, "dave"),
            ("/help", Run::Help, ""),
            ("/Nick Dave", Run::Nick, "Dave"),
            ("/kick bob a  b", Run::House(House::Kick), "bob a  b"),
        ] {
            let Typed::Command(slash, argument) = read(typed) else {
                panic!("{typed}");
            };
            assert_eq!((slash.run, argument), (run, rest), "{typed:?}");
        }
    }

    #[test]
    fn a_name_means_one_thing() {
        for slash in all() {
            let same = all().filter(|other| other.name == slash.name);
            assert!(same.into_iter().all(|other| other.run == slash.run));
            let rows = all().filter(|other| other.usage() == slash.usage());
            assert_eq!(rows.count(), 1, "{}", slash.usage());
        }
    }
}
