//! The handlers of the admin commands: one function for each.

use std::{array, time::Duration};

use super::{AdminEffect, AdminReply, Reply, Running, Target};
use crate::{
    protocol::{
        DeviceCode, InviteId, KeyTag, Nickname, OwnerCode, PublicKey, Role, UserId,
        admin::AdminCommand,
        frame::{Departure, ErrorCode, ErrorFrame},
    },
    server::core::{
        access::may::Action,
        accounts::KEYS_MAX,
        format::{duration, moment, seconds},
        invites::Revoked,
        moderation::{bans::Ban, mutes::Mute, sanction::covered},
    },
    text::Line,
};

impl Running<'_> {
    pub(super) fn handle(&mut self, command: &AdminCommand) -> Reply {
        match command {
            AdminCommand::Own { code } => self.own(*code),
            AdminCommand::Role { nickname, role } => self.role(nickname, *role),
            AdminCommand::Kick { nickname, reason } => self.kick(nickname, reason.as_ref()),
            AdminCommand::Ban {
                nickname,
                seconds,
                reason,
            } => self.ban(nickname, *seconds, reason.as_ref()),
            AdminCommand::Unban { nickname } => self.unban(nickname),
            AdminCommand::Bans => Ok(self.bans()),
            AdminCommand::Mute {
                nickname,
                seconds,
                reason,
            } => self.mute(nickname, *seconds, reason.as_ref()),
            AdminCommand::Unmute { nickname } => self.unmute(nickname),
            AdminCommand::Create { private, name } => self.create(*private, name),
            AdminCommand::Enter { name } => self.enter(name),
            AdminCommand::Leave { room } => self.leave(*room),
            AdminCommand::InviteTo { room, nickname } => self.invite_to(*room, nickname),
            AdminCommand::Remove {
                room,
                nickname,
                reason,
            } => self.remove(*room, nickname, reason.as_ref()),
            AdminCommand::RenameRoom { room, name } => self.rename_room(*room, name),
            AdminCommand::Archive { room } => self.archive(*room, true),
            AdminCommand::Unarchive { room } => self.archive(*room, false),
            AdminCommand::History { room, history } => self.history(*room, *history),
            AdminCommand::AppointModerator { room, nickname, on } => {
                self.appoint(*room, nickname, *on)
            }
            AdminCommand::Direct { nicknames } => self.direct(nicknames),
            AdminCommand::Ignore { nickname } => self.ignore(nickname),
            AdminCommand::Unignore { nickname } => self.unignore(nickname),
            AdminCommand::Topic { room, topic } => self.topic(*room, topic.as_ref()),
            AdminCommand::Announce { room, on } => self.announce(*room, *on),
            AdminCommand::Slow { room, seconds } => self.slow(*room, *seconds),
            AdminCommand::Invite { uses, seconds } => self.invite(*uses, *seconds),
            AdminCommand::Invites => Ok(self.invites()),
            AdminCommand::Revoke { invite } => self.revoke(*invite),
            AdminCommand::Release { nickname } => self.release(nickname),
            AdminCommand::AddDevice => self.add_device(),
            AdminCommand::Devices => Ok(self.devices()),
            AdminCommand::RevokeDevice { key, block } => self.revoke_device(*key, *block),
            AdminCommand::Audit { before } => Ok(self.audit(*before)),
        }
    }

    fn own(&mut self, code: OwnerCode) -> Reply {
        let (access, now) = (&mut *self.context.access, self.context.now);
        let requester = self.context.actor.requester;
        access.limits.may_try_code(requester.address, now.mono)?;
        if access.has_owner() || code != access.settings.owner_code {
            access.limits.note_mistake(requester.address, now.mono);
            let message = "Wrong code, or the server has an owner already. The server prints the \
                           code when it starts, while it has no owner";
            return Err(ErrorFrame::new(ErrorCode::BadCode, message));
        }
        let effect = self.set_role(requester.user, Role::Owner);
        Ok(AdminReply::says("You are the owner of this server now")
            .did("became the owner".to_owned())
            .then(effect))
    }

    fn set_role(&mut self, user: UserId, role: Role) -> AdminEffect {
        self.context.access.accounts.set_role(user, role);
        AdminEffect::SetRole { user, role }
    }

    fn role(&mut self, nickname: &Nickname, role: Role) -> Reply {
        let target = self.target(nickname)?;
        let nickname = &target.nickname;
        if role == Role::Unverified || target.role == Role::Unverified {
            let message = format!("{nickname} has no key, and a role takes one");
            return Err(ErrorFrame::new(ErrorCode::NotAllowed, &message));
        }
        let was_owner = target.role == Role::Owner && role != Role::Owner;
        if was_owner && self.context.access.accounts.owners() == 1 {
            let message = "The server would have no owner: make somebody else an owner first";
            return Err(ErrorFrame::new(ErrorCode::NotAllowed, message));
        }
        let effect = self.set_role(target.user, role);
        let revoked = if role < Role::Moderator {
            self.revoke_invites_of(&target)
        } else {
            Revoked::default()
        };
        let message = format!("{nickname} is {role} now{}", told_of_revoked(revoked));
        let reply = AdminReply::says(&message).did(format!("made {nickname} {role}"));
        Ok(with_revoked(reply, revoked, nickname).then(effect))
    }

    fn kick(&mut self, nickname: &Nickname, reason: Option<&Line>) -> Reply {
        let target = self.target(nickname)?;
        let nickname = &target.nickname;
        if !target.present {
            let message = format!("{nickname} is not here");
            return Err(ErrorFrame::new(ErrorCode::NotFound, &message));
        }
        let because = because(reason);
        let words = format!("{} kicked you{because}", self.context.actor.nickname);
        Ok(AdminReply::says(&format!("{nickname} was kicked"))
            .did(format!("kicked {nickname}{because}"))
            .then(AdminEffect::EndSessions {
                user: target.user,
                reason: Departure::Kicked,
                words: Line::inert(&words),
            }))
    }

    fn ban(&mut self, nickname: &Nickname, lasts: Option<u64>, reason: Option<&Line>) -> Reply {
        let target = self.target(nickname)?;
        let (at, nickname) = (self.at(), &target.nickname);
        let (how_long, because) = (for_how_long(lasts), because(reason));
        self.put_ban(Ban {
            user: target.user,
            nickname: nickname.as_str().to_owned(),
            sites: covered(&target.addresses),
            at,
            until: lasts.map(|lasts| at.saturating_add(lasts)),
            by: self.context.actor.nickname.as_str().to_owned(),
            rank: self.context.actor.requester.role,
            reason: reason.map(|reason| reason.as_str().to_owned()),
            of: None,
        })?;
        let revoked = self.revoke_invites_of(&target);
        self.context.access.accounts.withdraw_codes(target.user);
        let told = told_of_revoked(revoked);
        let reply = AdminReply::says(&format!("{nickname} is banned {how_long}{told}"))
            .did(format!("banned {nickname} {how_long}{because}"));
        let reply = with_revoked(reply, revoked, nickname);
        if !target.present {
            return Ok(reply);
        }
        let by = &self.context.actor.nickname;
        Ok(reply.then(AdminEffect::EndSessions {
            user: target.user,
            reason: Departure::Banned,
            words: Line::inert(&format!("{by} banned you {how_long}{because}")),
        }))
    }

    fn unban(&mut self, nickname: &Nickname) -> Reply {
        let access = &self.context.access;
        let owner = access.accounts.nicknames.owner(nickname);
        let Some(rank) = access.moderation.bans.rank_by_name(nickname, owner) else {
            let message = format!("{nickname} is not banned");
            return Err(ErrorFrame::new(ErrorCode::NotFound, &message));
        };
        self.may(Action::Lift(rank))?;
        let bans = &mut self.context.access.moderation.bans;
        bans.lift(nickname, owner);
        Ok(AdminReply::says(&format!("{nickname} may join again"))
            .did(format!("lifted the ban of {nickname}")))
    }

    fn bans(&self) -> AdminReply {
        let lines = self.context.access.moderation.lines(self.at());
        AdminReply::lists_all(lines, "Nobody is banned or muted", "Banned or muted")
    }

    fn mute(&mut self, nickname: &Nickname, lasts: Option<u64>, reason: Option<&Line>) -> Reply {
        let target = self.target(nickname)?;
        let (at, nickname) = (self.at(), &target.nickname);
        let (how_long, because) = (for_how_long(lasts), because(reason));
        let moderation = &mut self.context.access.moderation;
        moderation.forget_over(at);
        moderation.mutes.has_room()?;
        self.may_lift(self.context.access.moderation.mutes.rank_of(target.user))?;
        let mute = Mute {
            nickname: nickname.as_str().to_owned(),
            sites: covered(&target.addresses),
            at,
            until: lasts.map(|lasts| at.saturating_add(lasts)),
            rank: self.context.actor.requester.role,
        };
        let mutes = &mut self.context.access.moderation.mutes;
        mutes.insert(target.user, mute);
        Ok(AdminReply::says(&format!("{nickname} is muted {how_long}"))
            .did(format!("muted {nickname} {how_long}{because}")))
    }

    fn unmute(&mut self, nickname: &Nickname) -> Reply {
        let target = self.target(nickname)?;
        let nickname = &target.nickname;
        self.may_lift(self.context.access.moderation.mutes.rank_of(target.user))?;
        if !self.context.access.moderation.mutes.lift(target.user) {
            let message = format!("{nickname} is not muted");
            return Err(ErrorFrame::new(ErrorCode::NotFound, &message));
        }
        Ok(AdminReply::says(&format!("{nickname} may write again"))
            .did(format!("lifted the mute of {nickname}")))
    }

    fn invite(&mut self, uses: u16, lasts: Option<u64>) -> Reply {
        let (random, now) = (self.context.random, self.context.now);
        let id = InviteId::from_bytes(array::from_fn(|i| random[i]));
        let by = &self.context.actor;
        let by = (by.requester.user, &by.nickname);
        let invites = &mut self.context.access.invites;
        let token = invites.make(id, uses, lasts, by, now)?;
        let many = match uses {
            0 => "any number of people".to_owned(),
            1 => "one person".to_owned(),
            uses => format!("{uses} people"),
        };
        let until = moment(token.expires());
        let mut reply = AdminReply::says(&format!("This invite is for {many}, until {until}"))
            .did(format!("made the invite {id} for {many}"));
        reply.result.invite = Some(token);
        Ok(reply)
    }

    fn invites(&self) -> AdminReply {
        AdminReply::lists_all(
            self.context.access.invites.lines(self.context.now),
            "There are no invites. Those made by chat-server invite are listed once they are used",
            "Invites",
        )
    }

    fn revoke(&mut self, id: InviteId) -> Reply {
        let now = self.context.now;
        self.context.access.invites.revoke(id, now)?;
        Ok(
            AdminReply::says("The invite is revoked: nobody can join with it any more")
                .did(format!("revoked the invite {id}")),
        )
    }

    fn release(&mut self, nickname: &Nickname) -> Reply {
        let accounts = &mut self.context.access.accounts;
        let Some(user) = accounts.nicknames.owner(nickname) else {
            let message = format!("{nickname} has no owner");
            return Err(ErrorFrame::new(ErrorCode::NotFound, &message));
        };
        let was = accounts.name_of(user);
        accounts.nicknames.release(&nickname.canonical());
        let message = format!("{nickname} is free again; it belonged to {was} ({user})");
        Ok(AdminReply::says(&message).did(format!("released the nickname {nickname}")))
    }

    fn add_device(&mut self) -> Reply {
        let (random, now) = (self.context.random, self.context.now);
        let code = DeviceCode::from_bytes(array::from_fn(|i| random[i]));
        let user = self.context.actor.requester.user;
        self.context.access.accounts.offer_device(user, code, now)?;
        let mut reply =
            AdminReply::says("This code adds one more device to your account, for 10 minutes");
        reply.result.code = Some(code);
        Ok(reply)
    }

    fn devices(&self) -> AdminReply {
        let user = self.context.actor.requester.user;
        AdminReply::lists_all(
            self.context.access.accounts.device_lines(user),
            "You have no devices here",
            "Your devices",
        )
    }

    fn revoke_device(&mut self, tag: KeyTag, block: bool) -> Reply {
        let user = self.context.actor.requester.user;
        if block {
            self.has_room_for_block(user)?;
        }
        let key = self.context.access.accounts.revoke_device(user, tag)?;
        let deed = format!("revoked the device {tag}");
        let mut blocked = None;
        // A user's first key stays refused without a ban: see `identify` in `access::admission`.
        let message = if key.user() == user {
            format!("The device {tag} is revoked: it can't join any more")
        } else if block {
            self.block(key)?;
            blocked = Some(format!("blocked the device {tag}"));
            format!(
                "The device {tag} is revoked: nobody can join with its key until the owner lifts \
                 the block with /unban {}",
                key_name(tag)
            )
        } else {
            format!(
                "The device {tag} is revoked: it can't join as you any more, but as a new user. To \
                 prevent that, use /device revoke ID block next time"
            )
        };
        let reply = AdminReply::says(&message).did(deed);
        let reply = blocked.into_iter().fold(reply, AdminReply::did);
        Ok(reply.then(AdminEffect::EndSessionsOfKey(key)))
    }

    fn audit(&self, before: Option<u64>) -> AdminReply {
        let audit = &self.context.access.moderation.audit;
        AdminReply::lists(
            audit.lines(before),
            audit.count(before),
            "The audit trail is empty",
            "Audit trail, newest first",
        )
    }

    // Shared by several commands.

    /// The time in seconds since 1970.
    pub(super) fn at(&self) -> u64 {
        seconds(self.context.now.wall)
    }

    /// Checks that the actor may lift what a user of this role has set.
    fn may_lift(&self, set_by: Option<Role>) -> Result<(), ErrorFrame> {
        set_by.map_or(Ok(()), |rank| self.may(Action::Lift(rank)))
    }

    /// Checks that one more ban fits.
    fn has_room_for_ban(&mut self) -> Result<(), ErrorFrame> {
        let at = self.at();
        let moderation = &mut self.context.access.moderation;
        moderation.forget_over(at);
        moderation.bans.has_room()
    }

    fn put_ban(&mut self, ban: Ban) -> Result<(), ErrorFrame> {
        self.has_room_for_ban()?;
        let set_by = self.context.access.moderation.bans.rank_of(ban.user);
        if ban.of.is_none() {
            self.may_lift(set_by)?;
        }
        self.context.access.moderation.bans.insert(ban);
        Ok(())
    }

    /// Checks that one more device of a user may be blocked.
    fn has_room_for_block(&mut self, user: UserId) -> Result<(), ErrorFrame> {
        self.has_room_for_ban()?;
        if self.context.access.moderation.bans.devices_of(user) < KEYS_MAX {
            return Ok(());
        }
        let message = "You can't block more devices: ask the owner to lift some blocks";
        Err(ErrorFrame::new(ErrorCode::NotAllowed, message))
    }

    /// Bans all users of a key that was the actor's.
    fn block(&mut self, key: PublicKey) -> Result<(), ErrorFrame> {
        self.put_ban(Ban {
            user: key.user(),
            nickname: key_name(key.tag()),
            sites: Vec::new(),
            at: self.at(),
            until: None,
            by: self.context.actor.nickname.as_str().to_owned(),
            rank: Role::Owner,
            reason: Some("a device that was revoked".to_owned()),
            of: Some(self.context.actor.requester.user),
        })
    }

    /// Revokes the invites of a user who may make none any more.
    fn revoke_invites_of(&mut self, target: &Target) -> Revoked {
        let access = &mut *self.context.access;
        let nicknames = &access.accounts.nicknames;
        let is_theirs = |by: &Nickname| {
            by.canonical() == target.nickname.canonical()
                || nicknames.owner(by) == Some(target.user)
        };
        let now = self.context.now;
        access.invites.revoke_of(target.user, is_theirs, now)
    }
}

/// Adds the revoked invites to a reply's deeds.
fn with_revoked(reply: AdminReply, revoked: Revoked, nickname: &Nickname) -> AdminReply {
    match revoked.invites {
        0 => reply,
        1 => reply.did(format!("revoked 1 invite of {nickname}")),
        many => reply.did(format!("revoked {many} invites of {nickname}")),
    }
}

/// A sentence that tells of revoked invites, to append to another; empty, if there were none.
fn told_of_revoked(revoked: Revoked) -> String {
    let Revoked { invites, used } = revoked;
    if invites == 0 {
        return String::new();
    }
    let came = match used {
        0 => "nobody has joined".to_owned(),
        1 => "one person has joined".to_owned(),
        used => format!("{used} people have joined"),
    };
    format!(". Their invites ({invites}) were revoked; {came} with them")
}

/// A duration, as the end of a sentence.
fn for_how_long(seconds: Option<u64>) -> String {
    seconds.map_or_else(
        || "until it is lifted".to_owned(),
        |seconds| format!("for {}", duration(Duration::from_secs(seconds))),
    )
}

fn because(reason: Option<&Line>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}

/// The name of a blocked key in the list of bans: a nickname, so that the ban can be lifted by it.
fn key_name(tag: KeyTag) -> String {
    format!("key-{tag}")
}
