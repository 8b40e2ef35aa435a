//! The table of `/` commands: the client's own rows are here, those of admin commands come from
//! [`ADMIN_COMMANDS`]. The update and line mode run commands from it; completion, the help screen
//! and the list in docs/REFERENCE.md are written from it.
//!
//! - [`mod@admin`]: reads the arguments of an admin command.

use std::sync::LazyLock;

use self::admin::AdminAction;
use crate::protocol::admin::{ADMIN_COMMANDS, AdminName, AdminSpec, Section};

pub mod admin;

/// The action of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlashAction {
    /// Changes our nickname.
    Nick,
    /// Goes to a day.
    Date,
    /// Changes the text of one of our messages.
    Edit,
    /// Deletes a message.
    Delete,
    /// Searches for messages.
    Search,
    /// Shows all of a long message.
    Unfold,
    /// Folds long messages again.
    Fold,
    /// Discards a message that was refused.
    Discard,
    /// Shows the help.
    Help,
    /// Turns scrolling by the mouse wheel on or off.
    Mouse,
    /// Marks rooms as read or unread.
    Mark,
    /// Lists the rooms that can be found.
    Rooms,
    /// Lists the members of the room, connected or not.
    Members,
    /// Lists the messages that mention us.
    Inbox,
    /// Goes to a room or a person.
    Go,
    /// Goes to a room without marking it as read.
    Peek,
    /// Sets of what we are notified.
    Notify,
    /// Makes the room a favourite, or no longer.
    Favourite,
    /// Disconnects.
    Quit,
    /// Shows the encryption and everybody's keys.
    Security,
    /// Lists the members who are here.
    Who,
    /// Goes to the next room with something unread.
    Next,
    /// Says where the user is.
    Where,
    /// Prints the last message again.
    SayAgain,
    /// Runs an admin command on the server.
    Admin(AdminAction),
}

/// A row of the table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Slash {
    /// Its name, without `/`.
    pub name: &'static str,
    /// The word after the name where several commands share the name; else empty.
    word: &'static str,
    /// The arguments as the help writes them; may be empty.
    argument: String,
    /// The action.
    pub run: SlashAction,
    /// The text of the help.
    pub help: &'static str,
}

/// Rows under one heading.
#[derive(Clone, Debug)]
pub struct Group {
    /// The heading.
    pub title: &'static str,
    /// The rows.
    pub commands: Vec<Slash>,
}

/// The client's own commands: name, arguments, action, help text.
const OWN: &[(&str, &str, SlashAction, &str)] = &[
    ("nick", "NAME", SlashAction::Nick, "change your nickname"),
    ("who", "", SlashAction::Who, "members and the room's rules"),
    (
        "next",
        "",
        SlashAction::Next,
        "the next room with something new",
    ),
    (
        "where",
        "",
        SlashAction::Where,
        "say where you are, and what is new",
    ),
    (
        "say-again",
        "",
        SlashAction::SayAgain,
        "say the last message again",
    ),
    (
        "edit",
        "[#N] [TEXT]",
        SlashAction::Edit,
        "change your last message, or number N",
    ),
    (
        "delete",
        "[#N]",
        SlashAction::Delete,
        "delete your last message, or number N",
    ),
    (
        "search",
        "WORDS",
        SlashAction::Search,
        "search; without words, how to",
    ),
    (
        "date",
        "DAY",
        SlashAction::Date,
        "go to a day: 2026-11-20, monday",
    ),
    (
        "go",
        "[ROOM|NAME]",
        SlashAction::Go,
        "go to a room or person",
    ),
    (
        "peek",
        "ROOM",
        SlashAction::Peek,
        "go there without marking it as read",
    ),
    (
        "rooms",
        "[NAME]",
        SlashAction::Rooms,
        "rooms that you can join",
    ),
    (
        "members",
        "",
        SlashAction::Members,
        "members, connected or not",
    ),
    ("inbox", "", SlashAction::Inbox, "messages that mention you"),
    (
        "notify",
        "[all|mentions|none [TIME]]",
        SlashAction::Notify,
        "when this room notifies you",
    ),
    (
        "favourite",
        "",
        SlashAction::Favourite,
        "keep the room above others, or not",
    ),
    (
        "mark",
        "read|unread|all",
        SlashAction::Mark,
        "mark rooms as read or unread",
    ),
    (
        "unfold",
        "",
        SlashAction::Unfold,
        "show all of a long message",
    ),
    ("fold", "", SlashAction::Fold, "fold long messages again"),
    (
        "discard",
        "",
        SlashAction::Discard,
        "discard messages that were refused",
    ),
    (
        "security",
        "",
        SlashAction::Security,
        "show encryption and keys",
    ),
    ("help", "", SlashAction::Help, "all keys and commands"),
    (
        "mouse",
        "",
        SlashAction::Mouse,
        "mouse wheel and clicks on or off",
    ),
    ("quit", "", SlashAction::Quit, "disconnect, as q! does"),
];

/// The table. The server decides who may do what; the headings only say so. A command that does
/// several things has a row for each.
pub static GROUPS: LazyLock<Vec<Group>> = LazyLock::new(|| {
    let own = OWN.iter().map(|(name, argument, run, help)| Slash {
        name,
        word: "",
        argument: (*argument).to_owned(),
        run: *run,
        help,
    });
    let mut devices = of_section(Section::Devices);
    devices.push(Slash {
        name: "device",
        word: "",
        argument: "CODE".to_owned(),
        run: SlashAction::Admin(AdminAction::Code),
        help: "join as one of your devices",
    });
    let group = |title, commands| Group { title, commands };
    vec![
        group("Commands", own.collect()),
        group("Rooms and people", of_section(Section::Rooms)),
        group("Your devices", devices),
        group("For moderators", of_section(Section::Moderators)),
        group("For the owner", of_section(Section::Owner)),
    ]
});

fn of_section(section: Section) -> Vec<Slash> {
    let rows = ADMIN_COMMANDS.iter().filter(|spec| spec.section == section);
    rows.map(|spec| {
        let (name, word) = spec.typed.split_once(' ').unwrap_or((spec.typed, ""));
        Slash {
            name,
            word,
            argument: usage_of_arguments(spec),
            run: SlashAction::Admin(AdminAction::Command(spec.command)),
            help: spec.help,
        }
    })
    .collect()
}

fn usage_of_arguments(spec: &AdminSpec) -> String {
    let usages = spec.arguments.iter().map(|argument| argument.usage);
    let usages: Vec<_> = usages.filter(|usage| !usage.is_empty()).collect();
    usages.join(" ")
}

/// All rows.
pub fn all() -> impl Iterator<Item = &'static Slash> {
    GROUPS.iter().flat_map(|group| &group.commands)
}

impl Slash {
    /// How it is written: `/kick NAME [REASON]`.
    pub fn usage(&self) -> String {
        let parts = [self.name, self.word, &self.argument];
        let parts: Vec<_> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        format!("/{}", parts.join(" "))
    }

    /// How it is typed without its arguments: `/kick`.
    pub fn typed(&self) -> String {
        let space = if self.word.is_empty() { "" } else { " " };
        format!("/{}{space}{}", self.name, self.word)
    }

    /// Whether it can have arguments.
    pub fn has_argument(&self) -> bool {
        !self.argument.is_empty()
    }

    /// The argument in `rest`, the text after the name; `None` if `rest` does not belong to this
    /// row.
    fn argument_in<'a>(&self, rest: &'a str) -> Option<&'a str> {
        let (first, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let argument = match self.word {
            "" => rest,
            word if word.eq_ignore_ascii_case(first) => after.trim_start(),
            _ => return None,
        };
        let is_for = |command| self.run == SlashAction::Admin(AdminAction::Command(command));
        // Both are typed `/invite`.
        if is_for(AdminName::Invite) != admin::makes_link(argument)
            && (is_for(AdminName::Invite) || is_for(AdminName::InviteTo))
        {
            return None;
        }
        let lists = argument.is_empty() || argument.eq_ignore_ascii_case("list");
        (!self.argument.is_empty() || lists).then_some(argument)
    }
}

/// The usages of all rows with the same name.
pub fn usages(slash: &Slash) -> String {
    let rows = all().filter(|row| row.name == slash.name);
    rows.map(Slash::usage).collect::<Vec<_>>().join(", ")
}

/// Renders the table as Markdown, for docs/REFERENCE.md.
pub fn markdown() -> String {
    let group = |group: &Group| {
        let rows = group.commands.iter().map(|command| {
            // A bar separates the cells of a table, in code too.
            let usage = command.usage().replace('|', "\\|");
            format!("| `{usage}` | {} |\n", command.help)
        });
        format!("| **{}** | |\n", group.title) + &rows.collect::<String>()
    };
    let rows: String = GROUPS.iter().map(group).collect();
    format!("| command | does |\n|---|---|\n{rows}")
}

/// Splits the argument of `/edit` or `/delete`: the number of a message (`#12`), if one is given,
/// and the text after it.
pub fn numbered(argument: &str) -> (Option<u64>, &str) {
    let (first, after) = argument
        .split_once(char::is_whitespace)
        .unwrap_or((argument, ""));
    let digits = first.strip_prefix('#').unwrap_or("");
    match digits.parse() {
        Ok(number) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            (Some(number), after.trim_start())
        }
        _ => (None, argument),
    }
}

/// A text that disconnects when it is all that was typed.
pub const QUIT: &str = "q!";

/// Other names of commands: what is typed, and the command's name.
const ALIASES: &[(&str, &str)] = &[
    ("part", "leave"),
    ("query", "msg"),
    ("list", "rooms"),
    ("names", "members"),
    ("favorite", "favourite"),
];

/// The meaning of a typed text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParsedInput<'a> {
    /// A text to send.
    Text(&'a str),
    /// A command and its arguments.
    Command(&'static Slash, &'a str),
    /// The name of a command that does not exist.
    Unknown(&'a str),
    /// `q!`.
    Quit,
    /// Nothing.
    Nothing,
}

/// Parses a typed text. `//` at the start sends a text that begins with `/`.
pub fn read(typed: &str) -> ParsedInput<'_> {
    if typed == QUIT {
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
    let (name, rest) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let rest = rest.trim();
    let typed = name;
    let alias = ALIASES
        .iter()
        .find(|(alias, _)| alias.eq_ignore_ascii_case(typed));
    let name = alias.map_or(typed, |(_, name)| name);
    let rows = || all().filter(|row| row.name.eq_ignore_ascii_case(name));
    let meant = rows().find_map(|row| Some((row, row.argument_in(rest)?)));
    match meant.or_else(|| Some((rows().next()?, rest))) {
        Some((row, argument)) => ParsedInput::Command(row, argument),
        None => ParsedInput::Unknown(typed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_text_is_parsed() {
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
                SlashAction::Admin(AdminAction::Command(AdminName::Kick)),
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
    fn a_number_names_a_message() {
        for (argument, expected) in [
            ("", (None, "")),
            ("#12", (Some(12), "")),
            ("#12  new text", (Some(12), "new text")),
            ("new text", (None, "new text")),
            ("#lobby is full", (None, "#lobby is full")),
            ("12 is enough", (None, "12 is enough")),
            ("#+1", (None, "#+1")),
            ("#99999999999999999999 x", (None, "#99999999999999999999 x")),
        ] {
            assert_eq!(numbered(argument), expected, "{argument:?}");
        }
    }

    #[test]
    fn every_row_is_found_by_its_name() {
        for slash in all() {
            let rows = all().filter(|other| other.usage() == slash.usage());
            assert_eq!(rows.count(), 1, "{}", slash.usage());
            let (typed, expected) = match (slash.name, &*slash.argument) {
                ("invite", "[PEOPLE] [TIME]") => ("/invite 5 2d".to_owned(), "5 2d"),
                (_, argument) => (slash.usage(), argument),
            };
            let ParsedInput::Command(found, argument) = read(&typed) else {
                panic!("{typed}");
            };
            assert_eq!((found, argument), (slash, expected), "{typed}");
        }
        // Only complete names match.
        for (typed, usage, argument) in [
            ("/device list", "/device", "list"),
            ("/DEVICE Add", "/device add", ""),
            ("/device add me", "/device CODE", "add me"),
            ("/device mfrg gzdf", "/device CODE", "mfrg gzdf"),
            ("/device revoke", "/device revoke ID [block]", ""),
            ("/bans please", "/bans", "please"),
            ("/part", "/leave", ""),
            ("/QUERY bob", "/msg NAME…", "bob"),
            ("/invite", "/invite [PEOPLE] [TIME]", ""),
            ("/invite any 2d", "/invite [PEOPLE] [TIME]", "any 2d"),
            ("/invite 5", "/invite [PEOPLE] [TIME]", "5"),
            ("/invite @5", "/invite NAME", "@5"),
            ("/invite 5 bobs", "/invite NAME", "5 bobs"),
            ("/invite bob", "/invite NAME", "bob"),
        ] {
            let ParsedInput::Command(found, rest) = read(typed) else {
                panic!("{typed}");
            };
            assert_eq!((&*found.usage(), rest), (usage, argument), "{typed}");
        }
    }
}
