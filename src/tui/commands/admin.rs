//! Parses the arguments of an admin command, in the order of its row. How much of the text a kind
//! of argument takes may depend on the argument after it.

use jiff::{Span, SpanRelativeTo, Unit};

use super::{Slash, usages};
use crate::{
    protocol::{
        DeviceCode, HistoryAccess, InviteId, KeyTag, Nickname, OwnerCode, Role, RoomId, RoomName,
        admin::{
            AdminCommand, AdminName,
            argument::{ArgumentSource, ArgumentSpec, ReadArgument, kind},
        },
        limits::{DIRECT_PEOPLE_MAX, NICKNAME_BYTES_MAX},
    },
    text::Line,
};

/// The error for a command that can't be parsed: a sentence or a question, to be followed by the
/// usage.
type UsageError = String;

/// The action of a row of the table that is for administration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AdminAction {
    /// An admin command for the server.
    Command(AdminName),
    /// The code of another device.
    Code,
}

/// A parsed command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminInput {
    /// A command to send to the server.
    Send(AdminCommand),
    /// The code of another device, to join as the same user.
    Code(DeviceCode),
    /// Shows the topic of the room.
    ShowTopic,
}

const TOO_MANY: &str = "A conversation has at most nine people";

const PEOPLE_AND_TIME: &str = "For how many, and for how long?";

/// Parses the arguments of a command. A nickname may contain spaces: if an argument may follow it,
/// the longest match with a member of the room is taken, else a quoted name, else one word. The
/// error is one plain sentence with the usage.
pub fn read<'a>(
    slash: &Slash,
    action: AdminAction,
    text: &str,
    room: RoomId,
    members: impl Iterator<Item = &'a Nickname>,
) -> Result<AdminInput, String> {
    let read = match action {
        AdminAction::Code => DeviceCode::parse(text)
            .map(AdminInput::Code)
            .map_err(|_| "That is neither a device code nor a device command".to_owned()),
        AdminAction::Command(AdminName::Topic) if text.is_empty() => Ok(AdminInput::ShowTopic),
        AdminAction::Command(name) => {
            let mut source = TypedArguments {
                rest: text.to_owned(),
                arguments: name.spec().arguments,
                room,
                members: members.collect(),
            };
            AdminCommand::read(name, &mut source).map(AdminInput::Send)
        }
    };
    read.map_err(|wrong| with_usage(&wrong, slash))
}

fn with_usage(wrong: &str, slash: &Slash) -> String {
    let colon = if wrong.ends_with('?') { "" } else { ":" };
    format!("{wrong}{colon} {}", usages(slash))
}

/// Parses the arguments of `/msg`: people, and the text to send them, which may be empty. The names
/// of several people before a text are separated by commas, so that a text that begins with a name
/// does not reach that person too. The error is one plain sentence with the usage.
pub fn people_and_text<'a>(
    slash: &Slash,
    text: &str,
    known: impl Iterator<Item = &'a Nickname>,
) -> Result<(Vec<Nickname>, String), String> {
    let known: Vec<_> = known.collect();
    let read = || {
        let mut people = Vec::new();
        let mut rest = text;
        loop {
            let (name, after) = name_before_comma(rest, &known)?;
            people.push(name);
            // One of the people is oneself.
            if people.len() >= DIRECT_PEOPLE_MAX {
                return Err(TOO_MANY.to_owned());
            }
            let Some(next) = after.strip_prefix(',') else {
                rest = after;
                break;
            };
            rest = next.trim_start();
        }
        let mut more = Vec::new();
        let mut words = rest;
        while !words.is_empty() {
            match known_name_and_rest(words, &known) {
                Some((name, after)) => {
                    more.push(name);
                    words = after;
                }
                None => return Ok((people, rest.to_owned())),
            }
        }
        people.extend(more);
        if people.len() >= DIRECT_PEOPLE_MAX {
            return Err(TOO_MANY.to_owned());
        }
        Ok((people, String::new()))
    };
    read().map_err(|wrong: UsageError| with_usage(&wrong, slash))
}

/// Splits a nickname off the start of a text, up to a comma or a space.
fn name_before_comma<'t>(
    text: &'t str,
    known: &[&Nickname],
) -> Result<(Nickname, &'t str), UsageError> {
    if text.starts_with('"') {
        return name_and_rest(text, known);
    }
    let before = text.split(',').next().unwrap_or_default();
    if let Some((name, "")) = known_name_and_rest(before.trim_end(), known) {
        return Ok((name, &text[before.len()..]));
    }
    if let Some(found) = known_name_and_rest(text, known) {
        return Ok(found);
    }
    let (word, _) = first_word(before);
    Ok((parse(word)?, text[word.len()..].trim_start()))
}

/// Whether the arguments of `/invite` are those of an invite's link, and not a nickname: numbers,
/// `any` and times.
pub fn makes_link(text: &str) -> bool {
    text.split_whitespace().all(|word| {
        word.eq_ignore_ascii_case("any")
            || word.bytes().all(|byte| byte.is_ascii_digit())
            || seconds(word).is_ok()
    })
}

/// Whether the command holds the code of another device, which is not sent to a server that we have
/// joined.
pub fn is_code(action: AdminAction, argument: &str) -> bool {
    action == AdminAction::Code && DeviceCode::parse(argument).is_ok()
}

/// Reads arguments from a typed text.
struct TypedArguments<'a> {
    /// The rest of the text.
    rest: String,
    /// The arguments that are not read yet.
    arguments: &'static [ArgumentSpec],
    /// The room in which the command was typed.
    room: RoomId,
    /// The members of that room.
    members: Vec<&'a Nickname>,
}

impl TypedArguments<'_> {
    /// Takes the rest of the text; also gives the argument after the current one.
    fn all(&mut self) -> (String, Option<&'static ArgumentSpec>) {
        let following = self.arguments.get(1..).unwrap_or_default();
        self.arguments = following;
        (std::mem::take(&mut self.rest), following.first())
    }

    /// Takes the next word.
    fn word(&mut self) -> String {
        let (text, _) = self.all();
        let (word, rest) = first_word(&text);
        rest.trim_start().clone_into(&mut self.rest);
        word.to_owned()
    }
}

impl ArgumentSource for TypedArguments<'_> {
    type Error = UsageError;
}

impl ReadArgument<kind::Name> for TypedArguments<'_> {
    fn read(&mut self) -> Result<Nickname, UsageError> {
        match self.all() {
            (text, None) => name(&text),
            (text, Some(next)) if next.is_optional() => {
                let (nickname, rest) = name_and_rest(&text, &self.members)?;
                self.rest = rest.to_owned();
                Ok(nickname)
            }
            // The next argument needs one word.
            (text, Some(_)) => {
                let (text, last) = text.rsplit_once(char::is_whitespace).unwrap_or((&text, ""));
                last.clone_into(&mut self.rest);
                name(text.trim_end())
            }
        }
    }
}

impl ReadArgument<kind::Role> for TypedArguments<'_> {
    fn read(&mut self) -> Result<Role, UsageError> {
        let role = Role::parse(&self.word().to_ascii_lowercase()).ok();
        role.filter(|role| *role != Role::Unverified)
            .ok_or_else(|| "A role is owner, moderator or member".to_owned())
    }
}

impl ReadArgument<kind::Reason> for TypedArguments<'_> {
    fn read(&mut self) -> Result<Option<Line>, UsageError> {
        Ok(line(&self.all().0))
    }
}

impl ReadArgument<kind::Time> for TypedArguments<'_> {
    fn read(&mut self) -> Result<Option<u64>, UsageError> {
        let (text, following) = self.all();
        if following.is_some() {
            let (first, rest) = first_word(&text);
            // A mistyped time is more likely than a reason that begins with a digit, and must not
            // become a permanent ban.
            if !first.starts_with(|c: char| c.is_ascii_digit()) {
                self.rest = text;
                return Ok(None);
            }
            let time = seconds(first)?;
            rest.trim_start().clone_into(&mut self.rest);
            return Ok(Some(time));
        }
        let mut time = None;
        for word in text.split_whitespace() {
            if time.replace(seconds(word)?).is_some() {
                return Err(PEOPLE_AND_TIME.to_owned());
            }
        }
        Ok(time)
    }
}

impl ReadArgument<kind::Room> for TypedArguments<'_> {
    fn read(&mut self) -> Result<RoomId, UsageError> {
        self.rest = self.all().0;
        Ok(self.room)
    }
}

impl ReadArgument<kind::NewName> for TypedArguments<'_> {
    fn read(&mut self) -> Result<RoomName, UsageError> {
        let (text, _) = self.all();
        let name = text.strip_prefix('#').unwrap_or(&text);
        if name.is_empty() {
            return Err("Which room?".to_owned());
        }
        RoomName::parse(&name.to_ascii_lowercase()).map_err(|wrong| wrong.to_string())
    }
}

impl ReadArgument<kind::Private> for TypedArguments<'_> {
    /// A public room called "private" is `#private`: whoever forgets the name must not make one.
    fn read(&mut self) -> Result<bool, UsageError> {
        let (text, _) = self.all();
        let (first, rest) = first_word(&text);
        let private = first.eq_ignore_ascii_case("private");
        if private { rest.trim_start() } else { &text }.clone_into(&mut self.rest);
        Ok(private)
    }
}

impl ReadArgument<kind::History> for TypedArguments<'_> {
    fn read(&mut self) -> Result<HistoryAccess, UsageError> {
        match self.all().0.to_ascii_lowercase().as_str() {
            "all" => Ok(HistoryAccess::All),
            "joined" => Ok(HistoryAccess::Joined),
            _ => Err("Which messages may new members read?".to_owned()),
        }
    }
}

impl ReadArgument<kind::People> for TypedArguments<'_> {
    fn read(&mut self) -> Result<Vec<Nickname>, UsageError> {
        let (text, _) = self.all();
        let (first, mut rest) = name_and_rest(&text, &self.members)?;
        let mut people = vec![first];
        while !rest.is_empty() {
            // One of the people is oneself.
            if people.len() + 1 >= DIRECT_PEOPLE_MAX {
                return Err(TOO_MANY.to_owned());
            }
            let (next, after) = name_and_rest(rest, &self.members)?;
            people.push(next);
            rest = after;
        }
        Ok(people)
    }
}

impl ReadArgument<kind::Topic> for TypedArguments<'_> {
    fn read(&mut self) -> Result<Option<Line>, UsageError> {
        let (text, _) = self.all();
        match line(&text) {
            None => Err("Which topic?".to_owned()),
            Some(_) if switch(&text) == Some(false) => Ok(None),
            topic => Ok(topic),
        }
    }
}

impl ReadArgument<kind::Switch> for TypedArguments<'_> {
    fn read(&mut self) -> Result<bool, UsageError> {
        switch(&self.all().0).ok_or_else(|| "On or off?".to_owned())
    }
}

impl ReadArgument<kind::Pause> for TypedArguments<'_> {
    fn read(&mut self) -> Result<u64, UsageError> {
        let (text, _) = self.all();
        match (switch(&text), text.parse()) {
            (Some(false), _) => Ok(0),
            (_, Ok(plain)) => Ok(plain),
            _ if text.is_empty() => Err("How long?".to_owned()),
            _ => seconds(&text),
        }
    }
}

impl ReadArgument<kind::Uses> for TypedArguments<'_> {
    /// The number may stand after the time.
    fn read(&mut self) -> Result<u16, UsageError> {
        let (text, _) = self.all();
        let mut uses = None;
        for word in text.split_whitespace() {
            let number = if word.eq_ignore_ascii_case("any") {
                0
            } else if let Ok(number) = word.parse::<u64>() {
                let number = u16::try_from(number).ok().filter(|number| *number > 0);
                number.ok_or("An invite is for 1 to 65,535 people, or any")?
            } else {
                self.rest.push_str(word);
                self.rest.push(' ');
                continue;
            };
            if uses.replace(number).is_some() {
                return Err(PEOPLE_AND_TIME.to_owned());
            }
        }
        Ok(uses.unwrap_or(1))
    }
}

impl ReadArgument<kind::Invite> for TypedArguments<'_> {
    fn read(&mut self) -> Result<InviteId, UsageError> {
        InviteId::parse(&self.all().0).map_err(|wrong| wrong.to_string())
    }
}

impl ReadArgument<kind::Code> for TypedArguments<'_> {
    fn read(&mut self) -> Result<OwnerCode, UsageError> {
        OwnerCode::parse(&self.all().0).map_err(|wrong| wrong.to_string())
    }
}

impl ReadArgument<kind::Key> for TypedArguments<'_> {
    fn read(&mut self) -> Result<KeyTag, UsageError> {
        KeyTag::parse(&self.word()).map_err(|wrong| wrong.to_string())
    }
}

impl ReadArgument<kind::Block> for TypedArguments<'_> {
    fn read(&mut self) -> Result<bool, UsageError> {
        match self.all().0.to_ascii_lowercase().as_str() {
            "" => Ok(false),
            "block" => Ok(true),
            _ => Err("Only \"block\" may follow the key".to_owned()),
        }
    }
}

impl ReadArgument<kind::Before> for TypedArguments<'_> {
    fn read(&mut self) -> Result<Option<u64>, UsageError> {
        let (text, _) = self.all();
        if text.is_empty() {
            return Ok(None);
        }
        let number = text.trim_start_matches('#').parse();
        number
            .map(Some)
            .map_err(|_| "That is not the number of an entry".to_owned())
    }
}

fn first_word(text: &str) -> (&str, &str) {
    text.split_once(char::is_whitespace).unwrap_or((text, ""))
}

/// Splits a nickname off the start of a text.
fn name_and_rest<'t>(
    text: &'t str,
    members: &[&Nickname],
) -> Result<(Nickname, &'t str), UsageError> {
    if let Some(quoted) = text.strip_prefix('"') {
        let (name, rest) = quoted.split_once('"').ok_or("The quote has no end")?;
        return Ok((parse(name)?, rest.trim_start()));
    }
    if let Some(known) = known_name_and_rest(text, members) {
        return Ok(known);
    }
    let (name, rest) = first_word(text);
    Ok((parse(name)?, rest.trim_start()))
}

/// Splits the longest known nickname off the start of a text.
fn known_name_and_rest<'t>(text: &'t str, known: &[&Nickname]) -> Option<(Nickname, &'t str)> {
    let folded: Vec<_> = known
        .iter()
        .map(|member| (member.folded(), member))
        .collect();
    let without_at = text.strip_prefix('@');
    for text in [Some(text), without_at].into_iter().flatten() {
        for end in ends(text) {
            let (name, rest) = text.split_at(end);
            let name = Nickname::known(name).map(|name| name.folded());
            let known = folded.iter().find(|(known, _)| name.as_ref() == Ok(known));
            if let Some((_, member)) = known {
                return Some(((**member).clone(), rest.trim_start()));
            }
        }
    }
    None
}

/// The possible ends of a nickname at the start of a text, the longest first.
fn ends(text: &str) -> impl Iterator<Item = usize> {
    let within = text.floor_char_boundary(NICKNAME_BYTES_MAX + 1);
    let spaces = text[..within].char_indices().rev();
    let spaces = spaces.filter(|(_, c)| c.is_whitespace()).map(|(at, _)| at);
    [text.len()].into_iter().chain(spaces)
}

/// Parses a text that is only a nickname.
fn name(text: &str) -> Result<Nickname, UsageError> {
    let quoted = text
        .strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'));
    parse(quoted.unwrap_or(text))
}

fn parse(name: &str) -> Result<Nickname, UsageError> {
    if name.is_empty() {
        return Err("Which user?".to_owned());
    }
    let name = name.strip_prefix('@').unwrap_or(name);
    Nickname::known(name).map_err(|wrong| wrong.to_string())
}

fn line(text: &str) -> Option<Line> {
    Some(Line::inert(text)).filter(|line| !line.as_str().is_empty())
}

/// Parses a duration, in seconds: `10m`, `2h`, `3d`, `1w`, `1h30m`. At least a second. The error is one
/// plain sentence.
pub fn seconds(text: &str) -> Result<u64, UsageError> {
    let wrong = || {
        let text = Line::inert(text);
        format!("{text} is not a duration (10m, 2h, 3d and 1w are)")
    };
    let span: Span = text.parse().map_err(|_| wrong())?;
    let total = span
        .total((Unit::Second, SpanRelativeTo::days_are_24_hours()))
        .map_err(|_| wrong())?;
    // No clock runs for longer than 1e12 seconds.
    if !(1.0..=1e12).contains(&total) {
        return Err(wrong());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "checked just above"
    )]
    let seconds = total as u64;
    Ok(seconds)
}

fn switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "on" => Some(true),
        "off" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
