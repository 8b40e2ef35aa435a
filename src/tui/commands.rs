//! Every `/` command, in one table: the update runs them from here, and completion, the help
//! screen and the list in docs/REFERENCE.md are written from it.
//!
//! - [`mod@admin`]: what follows the name of an administrative command.

pub mod admin;

use self::admin::AdminAction;

/// What a command does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlashAction {
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
    Admin(AdminAction),
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slash {
    /// Its name, without `/`.
    pub name: &'static str,
    /// What follows the name, as the help writes it; empty if nothing does.
    pub argument: &'static str,
    /// What it does.
    pub run: SlashAction,
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

const fn row(
    name: &'static str,
    argument: &'static str,
    run: SlashAction,
    help: &'static str,
) -> Slash {
    Slash {
        name,
        argument,
        run,
        help,
    }
}

const fn admin(
    name: &'static str,
    argument: &'static str,
    action: AdminAction,
    help: &'static str,
) -> Slash {
    row(name, argument, SlashAction::Admin(action), help)
}

/// The table. Who may do what the server decides; the headings say it. A command that does several
/// things has a row for each.
pub const GROUPS: &[Group] = &[
    Group {
        title: "Commands",
        commands: &[
            row("nick", "NAME", SlashAction::Nick, "take another nickname"),
            row("who", "", SlashAction::Who, "who is in; the room's rules"),
            row(
                "search",
                "WORDS",
                SlashAction::Search,
                "search; without words, how to",
            ),
            row(
                "date",
                "DAY",
                SlashAction::Date,
                "go to a day: 2026-11-20, monday",
            ),
            row(
                "unfold",
                "",
                SlashAction::Unfold,
                "show all of a long message",
            ),
            row("fold", "", SlashAction::Fold, "fold long messages again"),
            row(
                "discard",
                "",
                SlashAction::Discard,
                "let go of what was refused",
            ),
            row(
                "security",
                "",
                SlashAction::Security,
                "who can read along, the keys",
            ),
            row("help", "", SlashAction::Help, "all keys and commands"),
            row(
                "mouse",
                "",
                SlashAction::Mouse,
                "wheel and clicks for the chat, or not",
            ),
            row("quit", "", SlashAction::Quit, "disconnect, as q! does"),
        ],
    },
    Group {
        title: "Your devices",
        commands: &[
            admin("device", "", AdminAction::Device, "list them"),
            admin("device", "add", AdminAction::Device, "a code for one more"),
            admin(
                "device",
                "revoke ID [block]",
                AdminAction::Device,
                "shut one out, or block its key",
            ),
            admin(
                "device",
                "CODE",
                AdminAction::Device,
                "come in as one of yours",
            ),
        ],
    },
    Group {
        title: "For moderators",
        commands: &[
            admin(
                "invite",
                "[PEOPLE] [TIME]",
                AdminAction::Invite,
                "let somebody in: 1, 5 or any, for 2d",
            ),
            admin(
                "invites",
                "",
                AdminAction::Invites,
                "those that are not over",
            ),
            admin("revoke", "ID", AdminAction::Revoke, "end an invite"),
            admin(
                "kick",
                "NAME [REASON]",
                AdminAction::Kick,
                "send away, for now",
            ),
            admin(
                "ban",
                "NAME [TIME] [REASON]",
                AdminAction::Ban,
                "send away, and keep out",
            ),
            admin("unban", "NAME", AdminAction::Unban, "let in again"),
            admin("bans", "", AdminAction::Bans, "who is kept out"),
            admin(
                "mute",
                "NAME [TIME] [REASON]",
                AdminAction::Mute,
                "take no messages from",
            ),
            admin("unmute", "NAME", AdminAction::Unmute, "take them again"),
            admin(
                "topic",
                "TEXT|off",
                AdminAction::Topic,
                "what the room is about",
            ),
            admin(
                "announce",
                "on|off",
                AdminAction::Announce,
                "only moderators write, or all",
            ),
            admin(
                "slow",
                "TIME|off",
                AdminAction::Slow,
                "a pause between one's messages",
            ),
        ],
    },
    Group {
        title: "For the owner",
        commands: &[
            admin(
                "owner",
                "CODE",
                AdminAction::Own,
                "be it, by the code shown at the start",
            ),
            admin(
                "role",
                "NAME ROLE",
                AdminAction::Role,
                "make a member, moderator or owner",
            ),
            admin(
                "release",
                "NAME",
                AdminAction::Release,
                "free a nickname whose key is lost",
            ),
            admin(
                "audit",
                "[NUMBER]",
                AdminAction::Audit,
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

/// Renders the table as Markdown, for docs/REFERENCE.md.
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
pub enum ParsedInput<'a> {
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
pub fn read(typed: &str) -> ParsedInput<'_> {
    if typed == "q!" {
        return ParsedInput::Quit;
    }
    let text = typed.trim_end();
    if text.trim_start().is_empty() {
        return ParsedInput::Nothing;
    }
    let Some(rest) = text.strip_prefix('/') else {
        return ParsedInput::Text(text);
    };
    if rest.starts_with('/') {
        return ParsedInput::Text(rest);
    }
    let (name, argument) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    all()
        .find(|command| command.name.eq_ignore_ascii_case(name))
        .map_or(ParsedInput::Unknown(name), |command| {
            ParsedInput::Command(command, argument.trim())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_typed_is_understood() {
        for (typed, expected) in [
            ("hello", ParsedInput::Text("hello")),
            ("  indented\n", ParsedInput::Text("  indented")),
            ("q!", ParsedInput::Quit),
            (" q!", ParsedInput::Text(" q!")),
            ("q! ", ParsedInput::Text("q!")),
            (" \n", ParsedInput::Nothing),
            ("/etc/hosts", ParsedInput::Unknown("etc/hosts")),
            ("//etc/hosts", ParsedInput::Text("/etc/hosts")),
        ] {
            assert_eq!(read(typed), expected, "{typed:?}");
        }
        for (typed, run, rest) in [
            ("/nick  dave ", SlashAction::Nick, "dave"),
            ("/help", SlashAction::Help, ""),
            ("/Nick Dave", SlashAction::Nick, "Dave"),
            (
                "/kick bob a  b",
                SlashAction::Admin(AdminAction::Kick),
                "bob a  b",
            ),
        ] {
            let ParsedInput::Command(slash, argument) = read(typed) else {
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
