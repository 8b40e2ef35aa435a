//! Invites: what is known of those that were made in the chat or used.
//!
//! An invite proves itself; the house remembers only how often each was used and which are
//! revoked, until they have long expired.

use super::{House, INVITE_SECONDS_MAX, INVITES_MAX, moment, persist, refusal, seconds};
use crate::{
    protocol::{
        InviteId, InviteToken, Nickname, UserId,
        frame::{ErrorCode, ErrorFrame},
    },
    text::Line,
    time::Now,
};

/// What is known of an invite.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Known {
    /// In seconds since 1970.
    pub(super) expires: u64,
    /// 0: any number.
    pub(super) uses: u16,
    pub(super) used: u64,
    pub(super) revoked: bool,
    /// What they were called who made it, if it was made in the chat.
    pub(super) by: Option<String>,
    /// Who that was; of older servers' invites it is not known.
    pub(super) by_user: Option<UserId>,
}

/// Invites that were revoked because of who had made them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Voided {
    pub(super) invites: usize,
    /// How many people have come in by them.
    pub(super) used: u64,
}

/// An invite that is good.
#[derive(Clone, Copy, Debug)]
pub(super) struct Invited(InviteToken);

impl Invited {
    pub(super) fn id(self) -> InviteId {
        self.0.id()
    }
}

impl House {
    /// Whether an invite is good.
    pub(super) fn invited(&self, token: &InviteToken, now: Now) -> Result<Invited, ErrorFrame> {
        let bad = |message: &str| Err(refusal(ErrorCode::BadInvite, message));
        if !token.is_from(&self.settings.invite_key) {
            return bad("The invite is not one of this server: ask for another");
        }
        if token.expires() <= seconds(now.wall) {
            return bad("The invite has expired: ask for another");
        }
        match self.invites.get(&token.id()) {
            Some(known) if known.revoked => bad("The invite was revoked: ask for another"),
            Some(known) if known.uses > 0 && known.used >= u64::from(known.uses) => {
                bad("The invite was used already: ask for another")
            }
            None if self.invites.len() >= INVITES_MAX && self.dispensable(now).is_none() => {
                bad("The server can remember no more invites: tell its owner")
            }
            Some(_) | None => Ok(Invited(*token)),
        }
    }

    /// Counts that an invite was used.
    pub(super) fn use_invite(&mut self, invited: Invited, now: Now) {
        let token = invited.0;
        // There was room when it was found good.
        let _ = self.has_room_for_invite(token.id(), now);
        let known = self.invites.entry(token.id()).or_insert_with(|| Known {
            expires: token.expires(),
            uses: token.uses(),
            used: 0,
            revoked: false,
            by: None,
            by_user: None,
        });
        known.used += 1;
        let fact = persist::of_invite(token.id(), known);
        self.dirty.push(fact);
    }

    /// Remembers an invite that was made in the chat.
    pub(super) fn remember_invite(
        &mut self,
        token: &InviteToken,
        by_user: UserId,
        by: &str,
        now: Now,
    ) -> Result<(), ErrorFrame> {
        if !self.has_room_for_invite(token.id(), now) {
            let message =
                "There are as many invites as the server remembers: wait until one expires";
            return Err(refusal(ErrorCode::NotAllowed, message));
        }
        let known = Known {
            expires: token.expires(),
            uses: token.uses(),
            used: 0,
            revoked: false,
            by: Some(by.to_owned()),
            by_user: Some(by_user),
        };
        self.dirty.push(persist::of_invite(token.id(), &known));
        self.invites.insert(token.id(), known);
        Ok(())
    }

    /// Whether an invite may be remembered, for which another one goes if need be.
    fn has_room_for_invite(&mut self, id: InviteId, now: Now) -> bool {
        self.forget_expired(seconds(now.wall));
        if self.invites.contains_key(&id) || self.invites.len() < INVITES_MAX {
            return true;
        }
        let Some(other) = self.dispensable(now) else {
            return false;
        };
        self.invites.remove(&other);
        self.dirty.push(persist::no_invite(other));
        true
    }

    /// What goes first where there is no room: what is over, then what was revoked without being
    /// known here, of either what ends first.
    fn dispensable(&self, now: Now) -> Option<InviteId> {
        let now = seconds(now.wall);
        let over = |known: &Known| known.expires <= now;
        let unknown = |known: &Known| known.revoked && known.used == 0 && known.by.is_none();
        self.invites
            .iter()
            .filter(|(_, known)| over(known) || unknown(known))
            .min_by_key(|(id, known)| (!over(known), known.expires, **id))
            .map(|(id, _)| *id)
    }

    /// What has expired lets nobody in and need not be known; but for a while it is, since a clock
    /// that was once far ahead would else make used and revoked invites good again.
    fn forget_expired(&mut self, now: u64) {
        let changed = &mut self.dirty;
        self.invites.retain(|id, known| {
            let keep = known.expires.saturating_add(INVITE_SECONDS_MAX) > now;
            if !keep {
                changed.push(persist::no_invite(*id));
            }
            keep
        });
    }

    /// Lets nobody in by an invite any more. Those made by `chat-server invite` are not known
    /// before they are used, so that one that nobody knows is noted as well.
    pub(super) fn revoke_invite(&mut self, id: InviteId, now: Now) -> Result<(), ErrorFrame> {
        if !self.has_room_for_invite(id, now) {
            let message =
                "There are as many invites as the server remembers: wait until one expires";
            return Err(refusal(ErrorCode::NotAllowed, message));
        }
        // None lasts longer.
        let expires = seconds(now.wall).saturating_add(INVITE_SECONDS_MAX);
        let known = self.invites.entry(id).or_insert_with(|| Known {
            expires,
            uses: 0,
            used: 0,
            revoked: false,
            by: None,
            by_user: None,
        });
        known.revoked = true;
        let fact = persist::of_invite(id, known);
        self.dirty.push(fact);
        Ok(())
    }

    /// Revokes what this user has made; of older servers' invites, what was made by this nickname or
    /// one that is theirs. Those of `chat-server invite` are the operator's.
    pub(super) fn revoke_invites_of(
        &mut self,
        user: UserId,
        nickname: &Nickname,
        now: Now,
    ) -> Voided {
        let now = seconds(now.wall);
        let is_theirs = |known: &Known| match (known.by_user, &known.by) {
            (Some(by), _) => by == user,
            (None, Some(by)) => Nickname::known(by).is_ok_and(|by| {
                by.canonical() == nickname.canonical() || self.owner_of(&by) == Some(user)
            }),
            (None, None) => false,
        };
        let good = |known: &Known| known.expires > now && !known.revoked;
        let theirs = self.invites.iter().filter(|(_, known)| good(known));
        let theirs = theirs.filter(|(_, known)| is_theirs(known));
        let theirs: Vec<_> = theirs.map(|(id, _)| *id).collect();
        let mut voided = Voided::default();
        for id in theirs {
            if let Some(known) = self.invites.get_mut(&id) {
                known.revoked = true;
                voided.invites += 1;
                voided.used += known.used;
                let fact = persist::of_invite(id, known);
                self.dirty.push(fact);
            }
        }
        voided
    }

    /// The invites that are known and not over, one a line.
    pub(super) fn invite_lines(&self, now: Now) -> Vec<Line> {
        let now = seconds(now.wall);
        let mut known: Vec<_> = self
            .invites
            .iter()
            .filter(|(_, known)| known.expires > now && !known.revoked)
            .collect();
        known.sort_by_key(|(id, known)| (known.expires, **id));
        known
            .into_iter()
            .map(|(id, known)| {
                let uses = match known.uses {
                    0 => format!("used by {}", known.used),
                    uses => format!("used by {} of {uses}", known.used),
                };
                let by = known.by.as_ref().map(|by| format!(", made by {by}"));
                Line::inert(&format!(
                    "{id}  until {}, {uses}{}",
                    moment(known.expires),
                    by.unwrap_or_default(),
                ))
            })
            .collect()
    }
}
