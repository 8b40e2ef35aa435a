//! The commands: who may give which, and what each comes to.

use super::{
    ClientAddress, House, INVITE_SECONDS_DEFAULT, INVITE_SECONDS_MAX, KEYS_MAX, SLOW_SECONDS_MAX,
    bans::{Ban, Mute, Writer, because, closable, for_how_long},
    invites::Voided,
    moment, persist, refusal, seconds, too_often,
};
use crate::{
    protocol::{
        DeviceCode, InviteId, InviteToken, KeyTag, Nickname, OwnerCode, PublicKey, Role, RoomName,
        RoomRules, UserId,
        admin::{AdminCommand, AdminResult},
        frame::{Departure, ErrorCode, ErrorFrame},
        limits::{FRAME_BYTES_MAX, RESULT_LINES_MAX},
    },
    text::Line,
    time::Now,
};

/// Bytes of the lines of one result, as they are told: the rest of its frame is more than enough.
const LINES_BYTES_MAX: usize = FRAME_BYTES_MAX - 4 * 1024;

/// What a line takes of a frame, with what parts it from the next: a quotation mark or a backslash
/// is told as two bytes, and a line has no character that takes more.
fn told_bytes(line: &Line) -> usize {
    let text = line.as_str();
    let escaped = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\'));
    text.len() + escaped.count() + r#"","#.len() + 1
}

/// Who gives a command.
#[derive(Clone, Debug)]
pub struct Actor {
    /// Who.
    pub user: UserId,
    /// What he is called.
    pub nickname: Nickname,
    /// What he may do.
    pub role: Role,
    /// From where.
    pub address: ClientAddress,
}

/// Whom a command is about.
#[derive(Clone, Debug)]
pub struct Target {
    /// Who.
    pub user: UserId,
    /// What he is called.
    pub nickname: Nickname,
    /// What he may do.
    pub role: Role,
    /// Whether he is present.
    pub present: bool,
    /// Where his sessions come from, or came from until just now.
    pub addresses: Vec<ClientAddress>,
}

/// What is to be done besides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Act {
    /// A user's sessions end.
    Dismiss {
        /// Who.
        user: UserId,
        /// Why.
        reason: Departure,
        /// The same in words, for him.
        words: Line,
    },
    /// The sessions that came in by a key end.
    DismissKey(PublicKey),
    /// A user may do more or less.
    Promote {
        /// Who.
        user: UserId,
        /// What he may do now.
        role: Role,
    },
    /// A room is run otherwise.
    Rule {
        /// Which.
        room: RoomName,
        /// How.
        rules: RoomRules,
    },
}

/// What a command came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What is answered, once it is kept; the hub puts the reference in.
    pub result: AdminResult,
    /// What is to be done besides.
    pub acts: Vec<Act>,
}

impl Outcome {
    fn says(message: &str) -> Self {
        Self {
            result: AdminResult {
                message: Line::inert(message),
                lines: Vec::new(),
                invite: None,
                code: None,
                reference: None,
            },
            acts: Vec::new(),
        }
    }

    /// A list of `count` lines, of which as many are told as one frame holds; `what` is in it, as
    /// the end of a sentence: `Two are banned`.
    fn lists(
        lines: impl IntoIterator<Item = Line>,
        count: usize,
        nothing: &str,
        what: &str,
    ) -> Self {
        let mut room = LINES_BYTES_MAX;
        let fits = |line: &Line| {
            let bytes = told_bytes(line);
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        };
        let lines = lines.into_iter().take(RESULT_LINES_MAX);
        let lines: Vec<_> = lines.take_while(fits).collect();
        let message = match count {
            0 => nothing.to_owned(),
            count if count > lines.len() => {
                format!("{what}: the first {} of {count}", lines.len())
            }
            count => format!("{what}: {count}"),
        };
        let mut outcome = Self::says(&message);
        outcome.result.lines = lines;
        outcome
    }

    /// All of a list.
    fn lists_all(lines: Vec<Line>, nothing: &str, what: &str) -> Self {
        let count = lines.len();
        Self::lists(lines, count, nothing, what)
    }

    fn acts(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }
}

/// The least that somebody has to be who gives a command.
fn needs(command: &AdminCommand) -> Role {
    match command {
        AdminCommand::Own { .. }
        | AdminCommand::AddDevice
        | AdminCommand::Devices
        | AdminCommand::RevokeDevice { .. } => Role::Member,
        AdminCommand::Kick { .. }
        | AdminCommand::Ban { .. }
        | AdminCommand::Unban { .. }
        | AdminCommand::Bans
        | AdminCommand::Mute { .. }
        | AdminCommand::Unmute { .. }
        | AdminCommand::Topic { .. }
        | AdminCommand::Announce { .. }
        | AdminCommand::Slow { .. }
        | AdminCommand::Invite { .. }
        | AdminCommand::Invites
        | AdminCommand::Revoke { .. } => Role::Moderator,
        AdminCommand::Role { .. } | AdminCommand::Release { .. } | AdminCommand::Audit { .. } => {
            Role::Owner
        }
    }
}

/// The nickname that a command is about.
pub fn about(command: &AdminCommand) -> Option<&Nickname> {
    match command {
        AdminCommand::Role { nickname, .. }
        | AdminCommand::Kick { nickname, .. }
        | AdminCommand::Ban { nickname, .. }
        | AdminCommand::Mute { nickname, .. }
        | AdminCommand::Unmute { nickname } => Some(nickname),
        _ => None,
    }
}

impl House {
    /// Whom a nickname means that nobody present has: who owns it.
    pub fn absent(&self, nickname: &Nickname) -> Option<Target> {
        let user = self.owner_of(nickname)?;
        Some(Target {
            user,
            nickname: nickname.clone(),
            role: self.role(user),
            present: false,
            addresses: Vec::new(),
        })
    }

    /// Carries out a command. `target`: whom [`about`] names, if he is known. `rules`: how the
    /// room is run that it names, if there is such a room. `random`: bytes that nobody can guess.
    pub fn carry_out(
        &mut self,
        actor: &Actor,
        command: &AdminCommand,
        target: Option<Target>,
        rules: Option<&RoomRules>,
        random: &[u8; 32],
        now: Now,
    ) -> Result<Outcome, ErrorFrame> {
        may(actor, command)?;
        self.may_speak(actor, command, now)?;
        let target = meant(actor, command, target)?;
        match (command, target) {
            (AdminCommand::Own { code }, _) => self.own(actor, *code, now),
            (AdminCommand::Role { role, .. }, Some(target)) => {
                self.give_role(actor, &target, *role, now)
            }
            (AdminCommand::Kick { reason, .. }, Some(target)) => {
                self.kick(actor, &target, reason.as_ref(), now)
            }
            (
                AdminCommand::Ban {
                    seconds, reason, ..
                },
                Some(target),
            ) => self.ban_out(actor, &target, *seconds, reason.as_ref(), now),
            (
                AdminCommand::Mute {
                    seconds, reason, ..
                },
                Some(target),
            ) => self.silence(actor, &target, *seconds, reason.as_ref(), now),
            (AdminCommand::Unmute { .. }, Some(target)) => self.unsilence(actor, &target, now),
            (AdminCommand::Unban { nickname }, _) => self.let_back(actor, nickname, now),
            (AdminCommand::Bans, _) => Ok(Outcome::lists_all(
                self.sanction_lines(now),
                "Nobody is banned or muted",
                "Banned or muted",
            )),
            (AdminCommand::Topic { room, topic }, _) => {
                let rules = RoomRules {
                    topic: topic.clone(),
                    ..known(rules)?
                };
                let deed = match topic {
                    Some(topic) => format!("set the topic of #{room}: {topic}"),
                    None => format!("took the topic of #{room} away"),
                };
                Ok(self.rule(actor, room, rules, &deed, now))
            }
            (AdminCommand::Announce { room, on }, _) => {
                let rules = RoomRules {
                    announce: *on,
                    ..known(rules)?
                };
                let who = if *on { "only moderators" } else { "everybody" };
                let deed = format!("lets {who} write in #{room}");
                Ok(self.rule(actor, room, rules, &deed, now))
            }
            (AdminCommand::Slow { room, seconds }, _) => {
                let slow_seconds = (*seconds).min(SLOW_SECONDS_MAX);
                let rules = RoomRules {
                    slow_seconds,
                    ..known(rules)?
                };
                let deed = match slow_seconds {
                    0 => format!("lets #{room} go at its own pace"),
                    s => format!("slowed #{room} down: {s} s between two messages"),
                };
                Ok(self.rule(actor, room, rules, &deed, now))
            }
            (AdminCommand::Invite { uses, seconds }, _) => {
                self.make_invite(actor, *uses, *seconds, random, now)
            }
            (AdminCommand::Invites, _) => Ok(Outcome::lists_all(
                self.invite_lines(now),
                "No invite is known: those of chat-server invite are listed once they are used",
                "Invites",
            )),
            (AdminCommand::Revoke { invite }, _) => self.unmake_invite(actor, *invite, now),
            (AdminCommand::Release { nickname }, _) => self.release(actor, nickname, now),
            (AdminCommand::AddDevice, _) => self.add_device(actor, random, now),
            (AdminCommand::Devices, _) => Ok(Outcome::lists_all(
                self.device_lines(actor.user),
                "You have no devices here",
                "Your devices",
            )),
            (AdminCommand::RevokeDevice { key, block }, _) => {
                self.drop_device(actor, *key, *block, now)
            }
            (AdminCommand::Audit { before }, _) => Ok(Outcome::lists(
                self.audit_lines(*before),
                self.audit_count(*before),
                "Nothing was done",
                "What was done, newest first",
            )),
            // They name somebody, and whoever is nobody was found out above.
            (
                AdminCommand::Role { .. }
                | AdminCommand::Kick { .. }
                | AdminCommand::Ban { .. }
                | AdminCommand::Mute { .. }
                | AdminCommand::Unmute { .. },
                None,
            ) => Err(refusal(ErrorCode::NotFound, "Nobody is meant")),
        }
    }

    /// A moderator who is muted changes nothing that everybody reads: topics, reasons, and the like.
    /// (An owner may be muted, who was not one then; nobody is above them who could lift it.)
    fn may_speak(&self, actor: &Actor, command: &AdminCommand, now: Now) -> Result<(), ErrorFrame> {
        if needs(command) < Role::Moderator || actor.role == Role::Owner {
            return Ok(());
        }
        let writer = Writer {
            user: actor.user,
            role: actor.role,
            address: actor.address,
        };
        self.not_muted(writer, now)
    }

    /// Revokes the invites of somebody who is to make none any more, and says so at the end of a
    /// sentence; nothing, where there are none.
    fn void_invites(&mut self, actor: &Actor, target: &Target, now: Now) -> String {
        let Voided { invites, used } = self.revoke_invites_of(target.user, &target.nickname, now);
        if invites == 0 {
            return String::new();
        }
        let s = if invites == 1 { "" } else { "s" };
        let nickname = &target.nickname;
        self.noted(
            actor,
            now,
            &format!("revoked {invites} invite{s} of {nickname}"),
        );
        let came = match used {
            0 => "nobody has come in".to_owned(),
            1 => "one person has come in".to_owned(),
            used => format!("{used} people have come in"),
        };
        format!(". The invite{s} that they had made ({invites}) were revoked; {came} by them")
    }

    fn noted(&mut self, actor: &Actor, now: Now, deed: &str) {
        self.note(
            seconds(now.wall),
            actor.user,
            &actor.nickname,
            deed.to_owned(),
        );
    }

    fn own(&mut self, actor: &Actor, code: OwnerCode, now: Now) -> Result<Outcome, ErrorFrame> {
        let taken = self.rates.mistakes.look(actor.address, now.mono);
        taken.map_err(|wait| too_often("Too many wrong codes", wait))?;
        if self.has_owner() || code != self.settings.owner_code {
            let _ = self.rates.mistakes.take(actor.address, now.mono);
            let message = "That is not the code, or there is an owner already: the server shows \
                           it at its start, as long as there is none";
            return Err(refusal(ErrorCode::BadCode, message));
        }
        self.noted(actor, now, "became the owner");
        Ok(Outcome::says("You are the owner of this server now")
            .acts(self.set_role(actor.user, Role::Owner)))
    }

    fn set_role(&mut self, user: UserId, role: Role) -> Act {
        if let Some(account) = self.accounts.get_mut(&user) {
            account.role = role;
            account.admitted |= role > Role::Member;
            self.dirty.push(persist::of_account(user, account));
        }
        Act::Promote { user, role }
    }

    fn give_role(
        &mut self,
        actor: &Actor,
        target: &Target,
        role: Role,
        now: Now,
    ) -> Result<Outcome, ErrorFrame> {
        let nickname = &target.nickname;
        if role == Role::Unverified || target.role == Role::Unverified {
            let message = format!("{nickname} has no key, and so can't be known again");
            return Err(refusal(ErrorCode::NotAllowed, &message));
        }
        let last = target.role == Role::Owner && role != Role::Owner && self.owners() == 1;
        if last {
            let message = "There would be no owner left: make somebody else one first";
            return Err(refusal(ErrorCode::NotAllowed, message));
        }
        self.noted(actor, now, &format!("made {nickname} {role}"));
        let act = self.set_role(target.user, role);
        let voided = if role < Role::Moderator {
            self.void_invites(actor, target, now)
        } else {
            String::new()
        };
        Ok(Outcome::says(&format!("{nickname} is {role} now{voided}")).acts(act))
    }

    fn owners(&self) -> usize {
        let roles = self.accounts.values().map(|account| account.role);
        roles.filter(|role| *role == Role::Owner).count()
    }

    fn kick(
        &mut self,
        actor: &Actor,
        target: &Target,
        reason: Option<&Line>,
        now: Now,
    ) -> Result<Outcome, ErrorFrame> {
        if !target.present {
            let message = format!("{} is not here", target.nickname);
            return Err(refusal(ErrorCode::NotFound, &message));
        }
        let because = because(reason);
        let nickname = &target.nickname;
        self.noted(actor, now, &format!("sent {nickname} away{because}"));
        let words = format!("{} sent you away{because}", actor.nickname);
        Ok(
            Outcome::says(&format!("{nickname} was sent away")).acts(Act::Dismiss {
                user: target.user,
                reason: Departure::Kicked,
                words: Line::inert(&words),
            }),
        )
    }

    fn ban_out(
        &mut self,
        actor: &Actor,
        target: &Target,
        duration: Option<u64>,
        reason: Option<&Line>,
        now: Now,
    ) -> Result<Outcome, ErrorFrame> {
        let (at, nickname) = (seconds(now.wall), &target.nickname);
        let (how_long, because) = (for_how_long(duration), because(reason));
        self.ban(Ban {
            user: target.user,
            nickname: nickname.as_str().to_owned(),
            sites: closable(&target.addresses),
            at,
            until: duration.map(|duration| at.saturating_add(duration)),
            by: actor.nickname.as_str().to_owned(),
            rank: actor.role,
            reason: reason.map(|reason| reason.as_str().to_owned()),
            of: None,
        })?;
        self.noted(
            actor,
            now,
            &format!("banned {nickname} {how_long}{because}"),
        );
        let words = format!("{} banned you {how_long}{because}", actor.nickname);
        let voided = self.void_invites(actor, target, now);
        self.taken_up(None, target.user);
        let mut outcome = Outcome::says(&format!("{nickname} is banned {how_long}{voided}"));
        if target.present {
            outcome = outcome.acts(Act::Dismiss {
                user: target.user,
                reason: Departure::Banned,
                words: Line::inert(&words),
            });
        }
        Ok(outcome)
    }

    fn let_back(
        &mut self,
        actor: &Actor,
        nickname: &Nickname,
        now: Now,
    ) -> Result<Outcome, ErrorFrame> {
        if !self.unban(nickname, actor.role)? {
            let message = format!("{nickname} is not banned");
            return Err(refusal(ErrorCode::NotFound, &message));
        }
        self.noted(actor, now, &format!("lifted the ban of {nickname}"));
        Ok(Outcome::says(&format!("{nickname} may come in again")))
    }

    fn silence(
        &mut self,
        actor: &Actor,
        target: &Target,
        duration: Option<u64>,
        reason: Option<&Line>,
        now: Now,
    ) -> Result<Outcome, ErrorFrame> {
        let (at, nickname) = (seconds(now.wall), &target.nickname);
        let (how_long, because) = (for_how_long(duration), because(reason));
        let mute = Mute {
            nickname: nickname.as_str().to_owned(),
            sites: closable(&target.addresses),
            at,
            until: duration.map(|duration| at.saturating_add(duration)),
            rank: actor.role,
        };
        self.mute(target.user, mute, now)?;
        self.noted(actor, now, &format!("muted {nickname} {how_long}{because}"));
        Ok(Outcome::says(&format!("{nickname} is muted {how_long}")))
    }

    fn unsilence(
        &mut self,
        actor: &Actor,
        target: &Target,
        now: Now,
    ) -> Result<Outcome, ErrorFrame> {
        let nickname = &target.nickname;
        if !self.unmute(target.user, actor.role)? {
            let message = format!("{nickname} is not muted");
            return Err(refusal(ErrorCode::NotFound, &message));
        }
        self.noted(actor, now, &format!("lifted the mute of {nickname}"));
        Ok(Outcome::says(&format!("{nickname} may write again")))
    }

    fn rule(
        &mut self,
        actor: &Actor,
        room: &RoomName,
        rules: RoomRules,
        deed: &str,
        now: Now,
    ) -> Outcome {
        self.noted(actor, now, deed);
        self.dirty.push(persist::of_room(room, &rules));
        self.rules.insert(room.clone(), rules.clone());
        Outcome::says("Done").acts(Act::Rule {
            room: room.clone(),
            rules,
        })
    }

    fn make_invite(
        &mut self,
        actor: &Actor,
        uses: u16,
        duration: Option<u64>,
        random: &[u8; 32],
        now: Now,
    ) -> Result<Outcome, ErrorFrame> {
        let duration = duration
            .unwrap_or(INVITE_SECONDS_DEFAULT)
            .clamp(1, INVITE_SECONDS_MAX);
        let expires = seconds(now.wall).saturating_add(duration);
        let id = InviteId::from_bytes(std::array::from_fn(|i| random[i]));
        let token = InviteToken::mint(&self.settings.invite_key, id, expires, uses);
        self.remember_invite(&token, actor.user, actor.nickname.as_str(), now)?;
        let many = match uses {
            0 => "any number of people".to_owned(),
            1 => "one person".to_owned(),
            uses => format!("{uses} people"),
        };
        let until = moment(expires);
        self.noted(actor, now, &format!("made the invite {id} for {many}"));
        let mut outcome = Outcome::says(&format!("This invite is for {many}, until {until}"));
        outcome.result.invite = Some(token);
        Ok(outcome)
    }

    fn unmake_invite(
        &mut self,
        actor: &Actor,
        id: InviteId,
        now: Now,
    ) -> Result<Outcome, ErrorFrame> {
        self.revoke_invite(id, now)?;
        self.noted(actor, now, &format!("revoked the invite {id}"));
        Ok(Outcome::says("Nobody comes in by that invite any more"))
    }

    fn release(
        &mut self,
        actor: &Actor,
        nickname: &Nickname,
        now: Now,
    ) -> Result<Outcome, ErrorFrame> {
        let Some(user) = self.owner_of(nickname) else {
            let message = format!("{nickname} belongs to nobody");
            return Err(refusal(ErrorCode::NotFound, &message));
        };
        let was = self.called(user);
        self.forget_nickname(&nickname.canonical());
        self.noted(actor, now, &format!("released the nickname {nickname}"));
        let message = format!("{nickname} is anybody's again; it belonged to {was} ({user})");
        Ok(Outcome::says(&message))
    }

    fn add_device(
        &mut self,
        actor: &Actor,
        random: &[u8; 32],
        now: Now,
    ) -> Result<Outcome, ErrorFrame> {
        let code = DeviceCode::from_bytes(std::array::from_fn(|i| random[i]));
        self.offer_device(actor.user, code, now)?;
        let mut outcome = Outcome::says("With this code one more device is you, for 10 minutes");
        outcome.result.code = Some(code);
        Ok(outcome)
    }

    fn drop_device(
        &mut self,
        actor: &Actor,
        tag: KeyTag,
        block: bool,
        now: Now,
    ) -> Result<Outcome, ErrorFrame> {
        if block {
            self.has_room_for_block(actor.user, now)?;
        }
        let key = self.revoke_device(actor.user, tag)?;
        self.noted(actor, now, &format!("revoked the device {tag}"));
        // A user is called by the first key, which stays out without it.
        let message = if key.user() == actor.user {
            format!("The device {tag} does not come in any more")
        } else if block {
            self.block(actor, key, now)?;
            format!(
                "The device {tag} does not come in any more, nor anybody else by its key, until the \
                 owner lifts that: /unban {}",
                key_name(tag)
            )
        } else {
            format!(
                "The device {tag} does not come in any more as you. By its key somebody new could: \
                 next time, /device revoke ID block keeps that out"
            )
        };
        Ok(Outcome::says(&message).acts(Act::DismissKey(key)))
    }

    /// Whether one more key may be kept out for a user.
    fn has_room_for_block(&mut self, user: UserId, now: Now) -> Result<(), ErrorFrame> {
        self.has_room_for_ban(seconds(now.wall))?;
        let blocked = self.bans.values().filter(|ban| ban.of == Some(user));
        if blocked.count() < KEYS_MAX {
            return Ok(());
        }
        let message = "As many of your devices are blocked as can be: ask the owner to lift some";
        Err(refusal(ErrorCode::NotAllowed, message))
    }

    /// Keeps out whoever comes by a key that was a user's.
    fn block(&mut self, actor: &Actor, key: PublicKey, now: Now) -> Result<(), ErrorFrame> {
        let tag = key.tag();
        self.ban(Ban {
            user: key.user(),
            nickname: key_name(tag),
            sites: Vec::new(),
            at: seconds(now.wall),
            until: None,
            by: actor.nickname.as_str().to_owned(),
            rank: Role::Owner,
            reason: Some("a device that was revoked".to_owned()),
            of: Some(actor.user),
        })?;
        self.noted(actor, now, &format!("blocked the device {tag}"));
        Ok(())
    }
}

/// What a key that is kept out is called among the bans: a nickname, so that it can be lifted by it.
fn key_name(tag: KeyTag) -> String {
    format!("key-{tag}")
}

/// Whether somebody may give a command at all.
fn may(actor: &Actor, command: &AdminCommand) -> Result<(), ErrorFrame> {
    let needed = needs(command);
    if actor.role >= needed {
        return Ok(());
    }
    let message = match needed {
        Role::Unverified | Role::Member => {
            "That is for people whom the server can know again: your client brought no key"
        }
        Role::Moderator => "Only moderators can do that",
        Role::Owner => "Only the owner can do that",
    };
    Err(refusal(ErrorCode::NotAllowed, message))
}

/// Whom a command is about, if it is about somebody.
fn meant(
    actor: &Actor,
    command: &AdminCommand,
    target: Option<Target>,
) -> Result<Option<Target>, ErrorFrame> {
    match (about(command), target) {
        (Some(_), Some(target)) => allowed_target(actor, command, target).map(Some),
        (Some(nickname), None) => {
            let message = format!("Nobody here is called {nickname}");
            Err(refusal(ErrorCode::NotFound, &message))
        }
        (None, _) => Ok(None),
    }
}

/// Whether a command may be about this one.
fn allowed_target(
    actor: &Actor,
    command: &AdminCommand,
    target: Target,
) -> Result<Target, ErrorFrame> {
    let sanction = matches!(
        command,
        AdminCommand::Kick { .. } | AdminCommand::Ban { .. } | AdminCommand::Mute { .. }
    );
    // Nobody is above the owner who could do it for him.
    let undoes = matches!(command, AdminCommand::Unmute { .. }) && actor.role < Role::Owner;
    let sanction = sanction || undoes;
    if sanction && target.user == actor.user {
        return Err(refusal(ErrorCode::NotAllowed, "That is you"));
    }
    if sanction && target.role >= actor.role {
        let message = format!("{} is {} too", target.nickname, target.role);
        let message = if target.role > actor.role {
            format!("{} is {}", target.nickname, target.role)
        } else {
            message
        };
        return Err(refusal(ErrorCode::NotAllowed, &message));
    }
    Ok(target)
}

fn known(rules: Option<&RoomRules>) -> Result<RoomRules, ErrorFrame> {
    let known = rules.cloned();
    known.ok_or_else(|| refusal(ErrorCode::NoSuchRoom, "There is no such room"))
}
