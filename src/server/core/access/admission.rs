//! Admission: decides whether a client may join, and as which user.

use super::{
    Access, AccessControl, Requester,
    may::{Action, User, may},
};
use crate::{
    protocol::{
        PublicKey, Role, UserId,
        frame::{ErrorCode, ErrorFrame},
        legacy::NICKNAME_IN_USE,
    },
    server::{
        core::{
            accounts::{self, ACCOUNTS_MAX, STRANGERS_MAX},
            event::JoinRequest,
            format::seconds,
            invites::GoodInvite,
            rate_limit::RateKey,
        },
        log::DeviceOwner,
        network::ClientAddress,
    },
    time::Now,
};

/// A user who may join.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// The user.
    pub user: UserId,
    /// Their role.
    pub role: Role,
    /// The key that the client has proven; `None`: the user is unverified.
    key: Option<PublicKey>,
    /// The invite or password that admits them permanently.
    admitted: Option<Admitted>,
}

/// A permanent admission of a user who was not admitted before.
#[derive(Clone, Copy, Debug)]
enum Admitted {
    Invite(GoodInvite),
    Password,
}

impl AccessControl {
    /// Checks whether a client may join, as far as that is known before the store is asked. Counts
    /// the attempt.
    pub fn may_try(&mut self, request: &JoinRequest, now: Now) -> Result<(), ErrorFrame> {
        let address = request.channel.address;
        let known = request.key.and_then(|key| self.accounts.user_of(&key));
        let key = match known {
            Some(user) => RateKey::User(user),
            None => RateKey::of(request.token.user(), Role::Unverified, address),
        };
        self.limits.join(key, now.mono)?;
        match self.check(request, now) {
            Ok(visitor) => {
                let requester = Requester {
                    user: visitor.user,
                    role: visitor.role,
                    address,
                };
                self.may_join_muted(requester, now)
            }
            Err(error) => {
                // Slows down guessing.
                if matches!(error.code, ErrorCode::BadCode | ErrorCode::BadInvite) {
                    self.limits.note_mistake(address, now.mono);
                }
                Err(error)
            }
        }
    }

    /// Counts the join of a user who is muted, or refuses it if they join too often: everybody is
    /// told of each join.
    fn may_join_muted(&mut self, requester: Requester, now: Now) -> Result<(), ErrorFrame> {
        let at = seconds(now.wall);
        if self.mute_of(requester, at).is_none() {
            return Ok(());
        }
        // A fresh key does not make a new source.
        let key = match self.moderation.mutes.own(requester.user, at) {
            Some(_) => RateKey::User(requester.user),
            None => RateKey::Site(requester.address.site()),
        };
        self.limits.muted_join(key, now.mono)
    }

    /// The owner of the device that a client brings, if it has a key.
    pub fn device_owner(&self, request: &JoinRequest, now: Now) -> Option<DeviceOwner> {
        let key = request.key?;
        let offered = || self.accounts.offered(request.join.code?, now).ok();
        let known = self.accounts.user_of(&key);
        let key_user = key.user();
        Some(DeviceOwner {
            user: known.or_else(offered).unwrap_or(key_user),
            key_user,
        })
    }

    /// Identifies the user of a client, and checks whether they may join under the nickname that
    /// they want; nicknames in use by users present are checked by the hub. Changes nothing.
    pub fn check(&self, request: &JoinRequest, now: Now) -> Result<Visitor, ErrorFrame> {
        let address = request.channel.address;
        if request.join.code.is_some() || request.join.invite.is_some() {
            self.limits.may_try_code(address, now.mono)?;
        }
        let visitor = self.identify(request, now)?;
        self.may_join(&visitor, request, now)?;
        let visitor = self.apply_access(visitor, request, now)?;
        let visitor = self.limit_accounts(visitor)?;
        // A nickname to keep is known only when the user joins, and checked there.
        let nicknames = &self.accounts.nicknames;
        if !request.join.keep_nickname
            && !nicknames.is_free_for(&request.join.nickname, visitor.user)
        {
            return Err(ErrorFrame::new(ErrorCode::NicknameInUse, NICKNAME_IN_USE));
        }
        Ok(visitor)
    }

    fn may_join(
        &self,
        visitor: &Visitor,
        request: &JoinRequest,
        now: Now,
    ) -> Result<(), ErrorFrame> {
        let (at, nickname) = (seconds(now.wall), &request.join.nickname);
        let ban = |user| {
            let account = self.accounts.get(user);
            let since = account.map(|account| account.since);
            let trusted = account.is_some_and(|account| account.role >= Role::Moderator);
            let site = request.channel.address.site();
            self.moderation.bans.find(user, since, trusted, site, at)
        };
        // A blocked key stays blocked as a device of any account.
        let of_key = || ban(request.key?.user());
        let mute = self.moderation.mutes.own(visitor.user, at);
        let owner = self.accounts.nicknames.owner(nickname);
        let user = User {
            id: visitor.user,
            role: visitor.role,
            ban: ban(visitor.user).or_else(of_key),
            mute,
        };
        // A muted user may use the nickname that they had, and those that they own.
        let own_nickname =
            owner == Some(visitor.user) || mute.is_some_and(|mute| mute.names(nickname));
        Ok(may(&user, None, Action::Join { own_nickname })?)
    }

    fn identify(&self, request: &JoinRequest, now: Now) -> Result<Visitor, ErrorFrame> {
        let visitor = |user, role| Visitor {
            user,
            role,
            key: request.key,
            admitted: None,
        };
        let Some(key) = request.key else {
            return Ok(visitor(request.token.user(), Role::Unverified));
        };
        if let Some(user) = self.accounts.user_of(&key) {
            return Ok(visitor(user, self.accounts.role(user)));
        }
        // A user's id derives from their first key, and stays theirs when that key is revoked.
        if self.accounts.get(key.user()).is_some() {
            let message = "This device was revoked: it needs a new key to join again";
            return Err(ErrorFrame::new(ErrorCode::AccessDenied, message));
        }
        if let Some(code) = request.join.code {
            let user = self.accounts.offered(code, now)?;
            return Ok(visitor(user, self.accounts.role(user)));
        }
        self.limits
            .has_room_for_newcomer(request.channel.address, now.mono)?;
        Ok(visitor(key.user(), Role::Member))
    }

    /// Gives a new user an account if there is room. New keys cost nothing, so a crowd of them must
    /// not keep others out: beyond a limit strangers join as if they had no key, and the rest is
    /// for invited users.
    fn limit_accounts(&self, visitor: Visitor) -> Result<Visitor, ErrorFrame> {
        let count = self.accounts.count();
        let is_known = || self.accounts.get(visitor.user).is_some();
        if visitor.key.is_none() || count < STRANGERS_MAX || is_known() {
            return Ok(visitor);
        }
        if visitor.admitted.is_none() {
            return Ok(Visitor {
                role: Role::Unverified,
                key: None,
                ..visitor
            });
        }
        if count >= ACCOUNTS_MAX {
            let message = "The server has as many accounts as it can hold: tell its owner";
            return Err(ErrorFrame::new(ErrorCode::ServerFull, message));
        }
        Ok(visitor)
    }

    /// Applies the operator's choice of who may join.
    fn apply_access(
        &self,
        visitor: Visitor,
        request: &JoinRequest,
        now: Now,
    ) -> Result<Visitor, ErrorFrame> {
        let account = self.accounts.get(visitor.user);
        if account.is_some_and(|account| account.admitted) {
            return Ok(visitor);
        }
        let is_open = self.is_open_to(request.channel.address);
        let for_good = |admitted| Visitor {
            admitted: Some(admitted),
            ..visitor.clone()
        };
        // An invite counts even where everybody may join: it admits permanently.
        if let (Some(token), Some(_)) = (&request.join.invite, request.key) {
            match self.invites.check(token, now) {
                Ok(invite) => return Ok(for_good(Admitted::Invite(invite))),
                Err(_) if is_open => {}
                Err(error) => return Err(error),
            }
        }
        if is_open {
            return Ok(visitor);
        }
        let denied = |code, message| Err(ErrorFrame::new(code, message));
        let access = self.settings.access;
        match request.key {
            None if access != Access::Local => denied(
                ErrorCode::AccessDenied,
                "This server admits only users with a key, and your client sent none",
            ),
            Some(_) if request.password && access == Access::Password => {
                Ok(for_good(Admitted::Password))
            }
            Some(_) if access == Access::Password => denied(
                ErrorCode::PasswordRequired,
                if request.join.password.is_some() {
                    "That is not this server's password"
                } else {
                    "This server asks for a password when you join for the first time"
                },
            ),
            _ => denied(
                ErrorCode::AccessDenied,
                "You need an invite to join this server: ask a member or its operator for one",
            ),
        }
    }

    fn is_open_to(&self, address: ClientAddress) -> bool {
        match self.settings.access {
            Access::Local => address.is_near(),
            Access::Open => true,
            Access::Invite | Access::Password => false,
        }
    }

    /// Notes that a visitor joins, whom [`check`](Self::check) has just allowed. They may be told
    /// of it once nothing is [owed](accounts::Accounts::owes) to them. Idempotent.
    pub fn admit(&mut self, visitor: &Visitor, request: &JoinRequest, now: Now) {
        let (Some(key), at, user) = (visitor.key, seconds(now.wall), visitor.user) else {
            return;
        };
        let nickname = &request.join.nickname;
        let admission = accounts::Admission {
            user,
            key,
            for_good: visitor.admitted.is_some(),
            code: request.join.code,
        };
        let new = self.accounts.admit(admission, at);
        if new.account {
            let address = request.channel.address;
            self.limits.note_newcomer(address, now.mono);
        }
        let mut note = |deed| self.moderation.audit.note(at, user, nickname, deed);
        if new.key && request.join.code.is_some() {
            note(format!("added the device {}", key.tag()));
        }
        match visitor.admitted {
            Some(Admitted::Invite(invite)) => {
                self.invites.use_up(invite, now);
                note(format!("joined with the invite {}", invite.id()));
            }
            Some(Admitted::Password) => note("joined with the password".to_owned()),
            None => {}
        }
        self.accounts.claim(user, nickname, now);
    }
}
