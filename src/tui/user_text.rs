//! What is told of keys, invites, roles and rules, in words: for the screen and for line mode.

use jiff::SignedDuration;

use crate::{
    client::event::{ExplanationPart, Security, VerifiedBy},
    protocol::{
        DeviceCode, Fingerprint, Invite, InviteToken, KeyTag, Nickname, Role, RoomName, RoomRules,
        admin::{ActsOn, AdminCommand, AdminResult},
        frame::Member,
    },
    text,
    tui::args::shell_word,
};

/// Groups of a fingerprint that stand on one row.
const GROUPS_IN_A_ROW: usize = 4;

/// How a paragraph is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// By the way.
    Remark,
    /// What was asked for.
    Answer,
    /// What is to be read out or typed elsewhere.
    Strong,
    /// What is to be copied as it stands: without a break, and nothing beside it.
    Verbatim,
}

impl Tone {
    /// Whether it is there to be copied.
    pub fn is_offered(self) -> bool {
        matches!(self, Self::Strong | Self::Verbatim)
    }
}

/// Paragraphs that belong together. A paragraph may have several lines.
pub type Paragraphs = Vec<(Tone, String)>;

/// Where we are, for whoever is to come there too.
#[derive(Clone, Copy, Debug)]
pub struct SessionContext<'a> {
    /// Host and port, for people: `localhost:10500`, `[::1]:10500`.
    pub server: &'a str,
    /// What we are called there.
    pub nickname: &'a Nickname,
    /// The room that we are in.
    pub room: &'a RoomName,
    /// Who can read along.
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

/// How a command says that it is about a room: ` --room build`; nothing for the lobby.
pub fn room_option(room: &RoomName) -> String {
    if *room == RoomName::lobby() {
        String::new()
    } else {
        format!(" --room {room}")
    }
}

/// What stands beside the name of somebody who is special.
pub fn badge(role: Role) -> Option<&'static str> {
    match role {
        Role::Owner => Some("◆"),
        Role::Moderator => Some("◇"),
        Role::Member => None,
        Role::Unverified => Some("?"),
    }
}

/// What stands before the name of somebody who says something: that they had no key when they said
/// it. `unproven`: the message itself tells so. An older server's messages don't tell: of those it is
/// known where their `sender`, the very user, is there without a key. What others may do besides is no
/// question there.
pub fn badge_in_text(unproven: bool, sender: Option<&Member>) -> &'static str {
    if unproven || sender.is_some_and(|sender| sender.role == Role::Unverified) {
        "?"
    } else {
        ""
    }
}

/// So many seconds, for people: `1m 30s`.
pub fn seconds(seconds: u64) -> String {
    let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
    format!("{:#}", SignedDuration::from_secs(seconds))
}

/// Whether what a command does is told to everybody in the room, us included.
pub fn is_news(command: &AdminCommand) -> bool {
    command.spec().on == ActsOn::Room
}

/// Whether a result says no more than that it is done.
pub fn says_no_more(result: &AdminResult) -> bool {
    result.lines.is_empty() && result.invite.is_none() && result.code.is_none()
}

/// What a command came to.
pub fn result(result: &AdminResult, place: SessionContext<'_>) -> Paragraphs {
    let mut answer = result.message.as_str().to_owned();
    for line in &result.lines {
        answer.push('\n');
        answer.push_str(line.as_str());
    }
    // That something was done is seen by what it does.
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

/// What is to be typed on another device of the user's.
fn on_the_other_device(code: DeviceCode, place: SessionContext<'_>) -> String {
    let parts = place.parts().filter(|_| !place.is_this_machine());
    let (host, port) = match (parts, place.parts()) {
        (Some((host, port)), _) => (shell_word(host), port.to_string()),
        (None, Some((_, port))) => ("HOST".to_owned(), port.to_string()),
        (None, None) => ("HOST".to_owned(), "PORT".to_owned()),
    };
    let nickname = shell_word(place.nickname.as_str());
    let room = room_option(place.room);
    // The code is for this server alone: there, whoever answers first must not get it.
    let trust = place.fingerprint();
    let trust = trust.map_or_else(String::new, |key| format!(" --trust {key}"));
    // The server has a say in what we are called: nothing of it is an option.
    let end = if nickname.starts_with('-') || host.starts_with('-') {
        " --"
    } else {
        ""
    };
    format!("chat-tui --device-code {code}{trust}{room}{end} {host} {port} {nickname} 1")
}

/// Why a command is not even sent, where nothing could be made of its answer.
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

const NO_CODE: &str = "A code for another device goes with the server's key, which nobody can be \
                       sure of where nothing is encrypted: come in encrypted, and ask again";

const NO_INVITE: &str = "An invite names the server's key, which nobody can be sure of where \
                         nothing is encrypted: make one with chat-server invite, where the server \
                         runs";

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
    let how = format!(
        "They come in with: chat-tui INVITE{}",
        room_option(place.room)
    );
    let how = if place.is_this_machine() {
        format!("{how}\nFor other machines, put this one's name or address in the place of {host}.")
    } else {
        how
    };
    told.push((Tone::Answer, how));
    told
}

/// The key of a server that is met for the first time: to be compared, where somebody could have
/// answered in its place. Nobody can on this very machine.
fn to_compare(place: SessionContext<'_>) -> Option<Fingerprint> {
    match place.security? {
        Security::Encrypted {
            verified_by: VerifiedBy::FirstUse,
            fingerprint,
        } if !place.is_this_machine() => Some(fingerprint),
        _ => None,
    }
}

/// What is to be told of a server that is met for the first time.
pub fn first_use(place: SessionContext<'_>) -> Paragraphs {
    let Some(fingerprint) = to_compare(place) else {
        return Paragraphs::new();
    };
    let server = place.server;
    let first = format!("First time on {server}. From now on it has to have this key:");
    let how = "Compare it with the key that the server shows when it starts, to be sure that \
               nobody else answered in its place. /security shows it again.";
    vec![
        (Tone::Answer, first),
        (Tone::Strong, in_rows(fingerprint)),
        (Tone::Answer, how.to_owned()),
    ]
}

/// The same as one sentence.
pub fn first_use_in_brief(place: SessionContext<'_>) -> Option<String> {
    let fingerprint = to_compare(place)?;
    let server = place.server;
    Some(format!(
        "First time on {server}. Its key is {fingerprint}, and has to be the same from now on; \
         compare it with the key that the server shows when it starts."
    ))
}

/// That everybody can read along, which on this very machine is nobody.
pub fn unencrypted(place: SessionContext<'_>) -> Option<(Tone, String)> {
    let plain = place.security == Some(Security::Plain) && !place.is_this_machine();
    plain.then(|| (Tone::Answer, NOT_ENCRYPTED.to_owned()))
}

const NOT_ENCRYPTED: &str = "Not encrypted: everybody between you and the server can read along \
                             and change what is said.";

/// A server is not trusted.
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

/// A fingerprint, its groups over several lines.
fn in_rows(fingerprint: Fingerprint) -> String {
    let shown = fingerprint.to_string();
    let groups: Vec<_> = shown.split('-').collect();
    let rows: Vec<_> = groups
        .chunks(GROUPS_IN_A_ROW)
        .map(|row| format!("  {}", row.join("-")))
        .collect();
    rows.join("\n")
}

/// Who can read along.
pub fn security(place: SessionContext<'_>, program: Option<&str>) -> Paragraphs {
    let program = program.map_or_else(String::new, |program| format!(" ({program})"));
    let server = format!("Server: {}{program}", place.server);
    let Some(security) = place.security else {
        return vec![(
            Tone::Answer,
            format!("{server}\nThere was no connection yet."),
        )];
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
        VerifiedBy::Pin => "It is the key that it had before, or that you were told.",
        VerifiedBy::FirstUse if place.is_this_machine() => "It runs on this very machine.",
        VerifiedBy::FirstUse => {
            "It was met for the first time: compare the key with the one that it shows when it \
             starts."
        }
    };
    let text = format!(
        "{server}\nEncrypted: nobody between you and the server can read along; the server \
         itself can.\nIts key:"
    );
    vec![
        (Tone::Answer, text),
        (Tone::Strong, in_rows(fingerprint)),
        (Tone::Answer, how.to_owned()),
    ]
}

/// Who is in, those who are special first; and how the room is run.
pub fn who(room: &RoomName, rules: &RoomRules, members: &[Member]) -> String {
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
    format!("#{room} has {} in it\n{}", members.len(), lines.join("\n"))
}

/// What somebody did who changed a room's rules: ends of sentences that begin with his nickname.
pub fn changes(before: &RoomRules, after: &RoomRules) -> Vec<String> {
    let mut changes = Vec::new();
    if before.topic != after.topic {
        changes.push(match &after.topic {
            Some(topic) => format!("set the topic: {topic}"),
            None => "took the topic away".to_owned(),
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
            pause => format!("slowed the room down: one message every {}", seconds(pause)),
        });
    }
    changes
}

/// What is told of somebody who may do more or less than before: the end of a sentence that begins
/// with his nickname. `None` where it is no news.
pub fn promotion(before: Role, after: Role) -> Option<String> {
    let special = |role| role >= Role::Moderator;
    match (special(before), special(after)) {
        (_, true) if before != after => Some(format!("is {} now", article(after))),
        (true, false) => Some(format!("is no {before} any more")),
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

/// What we may do ourselves, for `/security`.
pub fn ourselves(nickname: &Nickname, role: Role, key: Option<KeyTag>) -> String {
    let how = match (role, key) {
        (Role::Unverified, _) => {
            ": the server knows you by no key, so anybody may take this nickname".to_owned()
        }
        (_, Some(key)) => format!(", with the key {key}"),
        (_, None) => String::new(),
    };
    format!("You: {nickname}, {}{how}", article(role))
}
/// The server's clock was corrected by so much: short, for a row of 40 columns. It need not have been
/// set: a machine that sleeps wakes with its clock ahead.
pub fn clock_corrected(by: SignedDuration) -> String {
    let way = if by.is_negative() { "back" } else { "ahead" };
    format!("server clock moved {} {way}", text::span(by.unsigned_abs()))
}

/// A figure for people: `1,204`.
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
