//! Texts about keys, invites, roles and rules, for the screen and for line mode.

use jiff::SignedDuration;

use crate::{
    client::event::{ExplanationPart, Security, VerifiedBy},
    protocol::{
        DeviceCode, Fingerprint, Invite, InviteToken, KeyTag, Nickname, Role, RoomInfo, RoomName,
        RoomRules, UserId,
        admin::{AdminCommand, AdminResult},
        frame::Member,
    },
    text,
    tui::args::shell_word,
};

/// Groups of a fingerprint on one row.
const GROUPS_IN_A_ROW: usize = 4;

/// The weight of a paragraph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// A remark by the way.
    Remark,
    /// The answer to a question.
    Answer,
    /// To be read out or typed elsewhere.
    Strong,
    /// To be copied as it is: without line breaks, and nothing beside it.
    Verbatim,
}

impl Tone {
    /// Whether the paragraph is meant to be copied.
    pub fn is_offered(self) -> bool {
        matches!(self, Self::Strong | Self::Verbatim)
    }
}

/// Paragraphs that belong together. A paragraph may have several lines.
pub type Paragraphs = Vec<(Tone, String)>;

/// The server and room that we are in, as far as texts name them.
#[derive(Clone, Copy, Debug)]
pub struct SessionContext<'a> {
    /// Host and port, for people: `localhost:10500`, `[::1]:10500`.
    pub server: &'a str,
    /// Our nickname there.
    pub nickname: &'a Nickname,
    /// The name of the room that we are in, if it has one.
    pub room: Option<&'a RoomName>,
    /// Whether the connection is encrypted.
    pub security: Option<Security>,
}

impl SessionContext<'_> {
    /// Host, without brackets, and port.
    fn parts(&self) -> Option<(&str, u16)> {
        let (host, port) = self.server.rsplit_once(':')?;
        Some((host.trim_matches(['[', ']']), port.parse().ok()?))
    }

    fn fingerprint(&self) -> Option<Fingerprint> {
        match self.security? {
            Security::Encrypted { fingerprint, .. } => Some(fingerprint),
            Security::Plain => None,
        }
    }

    fn is_this_machine(&self) -> bool {
        self.parts().is_some_and(|(host, _)| {
            let address = host.parse::<std::net::IpAddr>();
            address.is_ok_and(|address| address.to_canonical().is_loopback())
                || host.eq_ignore_ascii_case("localhost")
        })
    }
}

/// A room for people: `#build`, or the others in a direct conversation: `@bob, carol`. `own` is our
/// user.
pub fn room_title(info: &RoomInfo, own: Option<UserId>) -> String {
    if let Some(name) = &info.name {
        return format!("#{name}");
    }
    let others = info.people.iter().filter(|person| Some(person.user) != own);
    let names: Vec<_> = others.map(|person| person.nickname.as_str()).collect();
    if names.is_empty() {
        "@me".to_owned()
    } else {
        format!("@{}", names.join(", "))
    }
}

/// The option that names a room on the command line: ` --room build`; empty for the lobby.
pub fn room_option(room: &RoomName) -> String {
    if room.as_str() == RoomName::LOBBY {
        String::new()
    } else {
        format!(" --room {room}")
    }
}

/// The sign beside the name of a member with a special role.
pub fn badge(role: Role) -> Option<&'static str> {
    match role {
        Role::Owner => Some("◆"),
        Role::Moderator => Some("◇"),
        Role::Member => None,
        Role::Unverified => Some("?"),
    }
}

/// The sign before the sender of a message: `?` for one without a key. `unproven` is the message's
/// own mark. An older server's messages have none; there the `sender`, if still connected, decides.
/// The sender's other rights do not matter here.
pub fn badge_in_text(unproven: bool, sender: Option<&Member>) -> &'static str {
    if unproven || sender.is_some_and(|sender| sender.role == Role::Unverified) {
        "?"
    } else {
        ""
    }
}

/// A duration for people: `1m 30s`.
pub fn seconds(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    format!("{:#}", SignedDuration::from_secs(seconds))
}

/// Whether the effect of a command is announced to everybody in the room, us included.
pub fn is_news(command: &AdminCommand) -> bool {
    matches!(
        command,
        AdminCommand::Topic { .. } | AdminCommand::Announce { .. } | AdminCommand::Slow { .. }
    )
}

/// A room's topic as text.
pub fn topic(rules: &RoomRules) -> String {
    rules.topic.as_ref().map_or_else(
        || "This room has no topic".to_owned(),
        |topic| format!("Topic: {topic}"),
    )
}

/// Whether a result says only that the command was carried out.
pub fn says_no_more(result: &AdminResult) -> bool {
    result.lines.is_empty() && result.invite.is_none() && result.code.is_none()
}

/// The result of a command as text.
pub fn result(result: &AdminResult, place: SessionContext<'_>) -> Paragraphs {
    let mut answer = result.message.as_str().to_owned();
    for line in &result.lines {
        answer.push('\n');
        answer.push_str(line.as_str());
    }
    // The effect of such a command is visible anyway.
    let tone = if says_no_more(result) {
        Tone::Remark
    } else {
        Tone::Answer
    };
    let mut told = vec![(tone, answer)];
    if let Some(token) = result.invite {
        told.extend(invite(token, place));
    }
    if let Some(code) = result.code {
        told.push((Tone::Strong, format!("\n  {code}\n")));
        told.push((Tone::Answer, "On the other device:".to_owned()));
        told.push((Tone::Verbatim, on_the_other_device(code, place)));
    }
    told
}

/// The command to type on another of the user's devices.
fn on_the_other_device(code: DeviceCode, place: SessionContext<'_>) -> String {
    let parts = place.parts().filter(|_| !place.is_this_machine());
    let (host, port) = match (parts, place.parts()) {
        (Some((host, port)), _) => (shell_word(host), port.to_string()),
        (None, Some((_, port))) => ("HOST".to_owned(), port.to_string()),
        (None, None) => ("HOST".to_owned(), "PORT".to_owned()),
    };
    let nickname = shell_word(place.nickname.as_str());
    let room = place.room.map_or_else(String::new, room_option);
    // The code is for this server alone: `--trust` keeps another server from getting it.
    let trust = place.fingerprint();
    let trust = trust.map_or_else(String::new, |key| format!(" --trust {key}"));
    // The server may have changed the nickname: it must not be read as an option.
    let end = if nickname.starts_with('-') || host.starts_with('-') {
        " --"
    } else {
        ""
    };
    format!("chat-tui --device-code {code}{trust}{room}{end} {host} {port} {nickname} 1")
}

/// The reason why a command is not sent, if its answer would be of no use.
pub fn in_vain(command: &AdminCommand, place: SessionContext<'_>) -> Option<&'static str> {
    if place.fingerprint().is_some() {
        return None;
    }
    match command {
        AdminCommand::Invite { .. } => Some(NO_INVITE),
        AdminCommand::AddDevice => Some(NO_CODE),
        _ => None,
    }
}

const NO_CODE: &str = "A device code contains the server's key, which only an encrypted \
                       connection shows: connect encrypted, and ask again";

const NO_INVITE: &str = "An invite contains the server's key, which only an encrypted connection \
                         shows: make one with chat-server invite, where the server runs";

fn invite(token: InviteToken, place: SessionContext<'_>) -> Paragraphs {
    let parts = place.parts().zip(place.fingerprint());
    let Some(((host, port), fingerprint)) = parts else {
        return vec![(Tone::Answer, NO_INVITE.to_owned())];
    };
    let invite = Invite {
        host: host.to_owned(),
        port,
        fingerprint,
        token,
    };
    let mut told = vec![(Tone::Verbatim, invite.expose())];
    let room = place.room.map_or_else(String::new, room_option);
    let how = format!("They join with: chat-tui INVITE{room}");
    let how = if place.is_this_machine() {
        format!("{how}\nFor other machines, replace {host} by this machine's name or address.")
    } else {
        how
    };
    told.push((Tone::Answer, how));
    told
}

/// The key to compare on a first connection: `None` where nobody else could have answered, which is
/// so on this machine.
fn to_compare(place: SessionContext<'_>) -> Option<Fingerprint> {
    match place.security? {
        Security::Encrypted {
            verified_by: VerifiedBy::FirstUse,
            fingerprint,
        } if !place.is_this_machine() => Some(fingerprint),
        _ => None,
    }
}

/// The text for a first connection to a server, with its key.
pub fn first_use(place: SessionContext<'_>) -> Paragraphs {
    let Some(fingerprint) = to_compare(place) else {
        return Paragraphs::new();
    };
    let server = place.server;
    let first = format!("First connection to {server}. From now on it must have this key:");
    let how = "Compare it with the key that the server shows when it starts, to be sure that \
               nobody else answered in its place. /security shows it again.";
    vec![
        (Tone::Answer, first),
        (Tone::Strong, in_rows(fingerprint)),
        (Tone::Answer, how.to_owned()),
    ]
}

/// The same in one sentence.
pub fn first_use_in_brief(place: SessionContext<'_>) -> Option<String> {
    let fingerprint = to_compare(place)?;
    let server = place.server;
    Some(format!(
        "First connection to {server}. Its key is {fingerprint}, and must be the same from now on; \
         compare it with the key that the server shows when it starts."
    ))
}

/// The warning that the connection is not encrypted; not on this machine, where nobody can listen.
pub fn unencrypted(place: SessionContext<'_>) -> Option<(Tone, String)> {
    let plain = place.security == Some(Security::Plain) && !place.is_this_machine();
    plain.then(|| (Tone::Answer, NOT_ENCRYPTED.to_owned()))
}

const NOT_ENCRYPTED: &str = "Not encrypted: everybody between you and the server can read and change \
                             the messages.";

/// The explanation why a server is not trusted.
pub fn distrusted(passages: &[ExplanationPart]) -> Paragraphs {
    let mut told = Paragraphs::new();
    for passage in passages {
        match passage {
            ExplanationPart::Words(words) => told.push((Tone::Answer, words.as_str().to_owned())),
            ExplanationPart::Key { label, key } => {
                told.push((Tone::Answer, format!("{label}:")));
                told.push((Tone::Strong, in_rows(*key)));
            }
            ExplanationPart::Command(command) => {
                told.push((Tone::Verbatim, command.as_str().to_owned()));
            }
        }
    }
    told
}

/// Formats a fingerprint in several rows.
fn in_rows(fingerprint: Fingerprint) -> String {
    let shown = fingerprint.to_string();
    let groups: Vec<_> = shown.split('-').collect();
    let rows: Vec<_> = groups
        .chunks(GROUPS_IN_A_ROW)
        .map(|row| format!("  {}", row.join("-")))
        .collect();
    rows.join("\n")
}

/// The text of `/security` about the connection.
pub fn security(place: SessionContext<'_>, program: Option<&str>) -> Paragraphs {
    let program = program.map_or_else(String::new, |program| format!(" ({program})"));
    let server = format!("Server: {}{program}", place.server);
    let Some(security) = place.security else {
        return vec![(Tone::Answer, format!("{server}\nNot connected yet."))];
    };
    let Security::Encrypted {
        verified_by,
        fingerprint,
    } = security
    else {
        return vec![(Tone::Answer, format!("{server}\n{NOT_ENCRYPTED}"))];
    };
    let how = match verified_by {
        VerifiedBy::Roots => "Its certificate is one that this system trusts.",
        VerifiedBy::Pin => "It is the key that the server had before, or that you were given.",
        VerifiedBy::FirstUse if place.is_this_machine() => "The server runs on this machine.",
        VerifiedBy::FirstUse => {
            "This is the first connection to it: compare the key with the one that the server \
             shows when it starts."
        }
    };
    let text = format!(
        "{server}\nEncrypted: nobody between you and the server can read the messages; \
         the server itself can.\nIts key:"
    );
    vec![
        (Tone::Answer, text),
        (Tone::Strong, in_rows(fingerprint)),
        (Tone::Answer, how.to_owned()),
    ]
}

/// The text of `/who`: the members by role, the highest first, and the room's rules.
pub fn who(room: &str, rules: &RoomRules, members: &[Member]) -> String {
    const KINDS: &[(Role, &str)] = &[
        (Role::Owner, "owner"),
        (Role::Moderator, "moderator"),
        (Role::Member, "member"),
        (Role::Unverified, "without a key"),
    ];
    let kinds = KINDS.iter().filter_map(|(role, kind)| {
        let names: Vec<_> = members
            .iter()
            .filter(|member| member.role == *role)
            .map(|member| member.nickname.as_str())
            .collect();
        (!names.is_empty()).then(|| format!("{kind}: {}", names.join(", ")))
    });
    let topic = rules.topic.as_ref().map(|topic| format!("topic: {topic}"));
    let announce = "only moderators can write".to_owned();
    let announce = rules.announce.then_some(announce);
    let slow = match rules.slow_seconds {
        0 => None,
        pause => Some(format!("one message every {}", seconds(pause))),
    };
    let lines: Vec<_> = [topic, announce, slow]
        .into_iter()
        .flatten()
        .chain(kinds)
        .collect();
    format!("{room} has {} here\n{}", members.len(), lines.join("\n"))
}

/// Describes a change of a room's rules: ends of sentences that begin with the nickname of the user
/// who made it.
pub fn changes(before: &RoomRules, after: &RoomRules) -> Vec<String> {
    let mut changes = Vec::new();
    if before.topic != after.topic {
        changes.push(match &after.topic {
            Some(topic) => format!("set the topic: {topic}"),
            None => "removed the topic".to_owned(),
        });
    }
    if before.announce != after.announce {
        let who = if after.announce {
            "lets only moderators write here"
        } else {
            "lets everybody write here again"
        };
        changes.push(who.to_owned());
    }
    if before.slow_seconds != after.slow_seconds {
        changes.push(match after.slow_seconds {
            0 => "ended slow mode".to_owned(),
            pause => format!("set slow mode: one message every {}", seconds(pause)),
        });
    }
    changes
}

/// Describes a change of role: the end of a sentence that begins with the member's nickname. `None`
/// if it is not worth telling.
pub fn promotion(before: Role, after: Role) -> Option<String> {
    let special = |role| role >= Role::Moderator;
    match (special(before), special(after)) {
        (_, true) if before != after => Some(format!("is {} now", article(after))),
        (true, false) => Some(format!("is no longer {}", article(before))),
        _ => None,
    }
}

fn article(role: Role) -> &'static str {
    match role {
        Role::Owner => "the owner",
        Role::Moderator => "a moderator",
        Role::Member => "a member",
        Role::Unverified => "unverified",
    }
}

/// The text of `/security` about our own nickname, role and key.
pub fn ourselves(nickname: &Nickname, role: Role, key: Option<KeyTag>) -> String {
    let how = match (role, key) {
        (Role::Unverified, _) => {
            ": the server knows no key of yours, so anybody may take this nickname".to_owned()
        }
        (_, Some(key)) => format!(", with the key {key}"),
        (_, None) => String::new(),
    };
    format!("You: {nickname}, {}{how}", article(role))
}
/// Describes a correction of the server's clock, short enough for a row of 40 columns. The clock
/// need not have been set: a machine that sleeps wakes with its clock ahead.
pub fn clock_corrected(by: SignedDuration) -> String {
    let way = if by.is_negative() { "back" } else { "ahead" };
    format!("server clock moved {} {way}", text::span(by.unsigned_abs()))
}

/// Formats a number for people: `1,204`.
pub fn in_groups(figure: u64) -> String {
    let digits = figure.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
