//! Users who are known by a key: their keys, their nicknames, whether they were let in.

use super::{
    ACCOUNTS_MAX, Access, ClientAddress, House, KEYS_MAX, NICKNAMES_MAX, STRANGERS_MAX, Who,
    bans::{Writer, who},
    invites::Invited,
    persist, refusal, seconds, too_often,
};
use crate::{
    protocol::{
        Nickname, PublicKey, Role, UserId,
        frame::{ErrorCode, ErrorFrame},
        legacy::NICKNAME_IN_USE,
    },
    server::{core::event::JoinRequest, log::DeviceOwner},
    time::Now,
};

/// How often it is noted that a key or a nickname was used, in seconds: a day.
const SEEN_EVERY: u64 = 86_400;

/// One user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) keys: Vec<Key>,
    pub(super) role: Role,
    /// Whether he was let in by an invite, a password or the owner's code: then he is from
    /// wherever he comes.
    pub(super) admitted: bool,
    /// Since when he is known, in seconds since 1970.
    pub(super) since: u64,
    /// About when they last wrote; 0: never. `None`: it is not known, since an older server kept it.
    pub(super) wrote: Option<u64>,
}

impl Account {
    /// About when the user was last here.
    pub(super) fn seen(&self) -> u64 {
        let keys = self.keys.iter().map(|key| key.seen);
        keys.chain(self.wrote).fold(self.since, u64::max)
    }
}

/// One of a user's keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key {
    pub(super) public: PublicKey,
    /// When it was added, in seconds since 1970.
    pub(super) added: u64,
    /// About when it was last used.
    pub(super) seen: u64,
}

/// Whose a nickname is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Owned {
    pub(super) user: UserId,
    /// As he writes it.
    pub(super) nickname: String,
    /// About when he last used it, in seconds since 1970.
    pub(super) used: u64,
}

/// Somebody who may come in, and as whom.
#[derive(Clone, Debug)]
pub struct Visitor {
    /// Who.
    pub user: UserId,
    /// What he may do.
    pub role: Role,
    /// The key that he has proven; `None`: he is unverified.
    key: Option<PublicKey>,
    /// By what he is let in for good.
    admitted: Option<Admitted>,
}

/// What lets somebody in for good who was not let in before.
#[derive(Clone, Copy, Debug)]
enum Admitted {
    Invite(Invited),
    Password,
}

impl House {
    /// Whether somebody may come in, as far as that is known before anything is asked of the
    /// store. Notes the attempt.
    pub fn knock(&mut self, entry: &JoinRequest, now: Now) -> Result<(), ErrorFrame> {
        let address = entry.channel.address;
        let known = entry.key.and_then(|key| self.keys.get(&key));
        let who = match known {
            Some(user) => Who::User(*user),
            None => who(entry.token.user(), Role::Unverified, address),
        };
        let taken = self.rates.joins.take(who, now.mono);
        taken.map_err(|wait| too_often("You come in too often", wait))?;
        match self.check(entry, now) {
            Ok(visitor) => {
                let writer = Writer {
                    user: visitor.user,
                    role: visitor.role,
                    address,
                };
                self.may_come_muted(writer, now)
            }
            Err(error) => {
                // Whoever guesses has to wait.
                if matches!(error.code, ErrorCode::BadCode | ErrorCode::BadInvite) {
                    let _ = self.rates.mistakes.take(address, now.mono);
                }
                Err(error)
            }
        }
    }

    /// Whose device it is that somebody comes with, if they have a key.
    pub fn device_owner(&self, entry: &JoinRequest, now: Now) -> Option<DeviceOwner> {
        let key = entry.key?;
        let offered = || self.offered(entry.join.code?, now).ok();
        let known = self.keys.get(&key).copied();
        let key_user = key.user();
        Some(DeviceOwner {
            user: known.or_else(offered).unwrap_or(key_user),
            key_user,
        })
    }

    /// Who somebody is, and whether he may come in under the nickname that he wants, as far as
    /// nobody present has it. Changes nothing.
    pub fn check(&self, entry: &JoinRequest, now: Now) -> Result<Visitor, ErrorFrame> {
        let address = entry.channel.address;
        if entry.join.code.is_some() || entry.join.invite.is_some() {
            let looked = self.rates.mistakes.look(address, now.mono);
            looked.map_err(|wait| too_often("Too many wrong codes", wait))?;
        }
        let visitor = self.identify(entry, now)?;
        self.not_banned(visitor.user, address, now)?;
        // A key that is kept out is so whoever's it is said to be.
        if let Some(key) = entry.key {
            self.not_banned(key.user(), address, now)?;
        }
        self.not_muted_as(visitor.user, &entry.join.nickname, now)?;
        let visitor = self.let_in(visitor, entry, now)?;
        let visitor = self.if_there_is_room(visitor)?;
        // Which nickname is kept is known only when the user comes in: it is looked at there.
        if !entry.join.keep_nickname && !self.may_be_called(&entry.join.nickname, visitor.user) {
            return Err(refusal(ErrorCode::NicknameInUse, NICKNAME_IN_USE));
        }
        Ok(visitor)
    }

    fn identify(&self, entry: &JoinRequest, now: Now) -> Result<Visitor, ErrorFrame> {
        let visitor = |user, role| Visitor {
            user,
            role,
            key: entry.key,
            admitted: None,
        };
        let Some(key) = entry.key else {
            return Ok(visitor(entry.token.user(), Role::Unverified));
        };
        if let Some(user) = self.keys.get(&key) {
            return Ok(visitor(*user, self.role(*user)));
        }
        // A user is called by his first key, and stays him without it.
        if self.accounts.contains_key(&key.user()) {
            let message = "This device was revoked: it needs a new key to come in again";
            return Err(refusal(ErrorCode::AccessDenied, message));
        }
        if let Some(code) = entry.join.code {
            let user = self.offered(code, now)?;
            return Ok(visitor(user, self.role(user)));
        }
        let address = entry.channel.address;
        let looked = self.rates.newcomers.look(address, now.mono);
        let looked = looked.or_else(|wait| {
            if address.is_this_machine() {
                Ok(())
            } else {
                Err(wait)
            }
        });
        looked.map_err(|wait| too_often("Too many new people come from your address", wait))?;
        Ok(visitor(key.user(), Role::Member))
    }

    /// Whoever is new is known from now on, if there is room. New keys cost nothing: a crowd of them
    /// is not to keep others out, so that strangers still come in, but as if they had no key, and
    /// there is room left for those who are invited.
    fn if_there_is_room(&self, visitor: Visitor) -> Result<Visitor, ErrorFrame> {
        let count = self.accounts.len();
        if visitor.key.is_none() || count < STRANGERS_MAX {
            return Ok(visitor);
        }
        if self.accounts.contains_key(&visitor.user) {
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
            let message = "The server knows as many people as it can. Tell its owner";
            return Err(refusal(ErrorCode::ServerFull, message));
        }
        Ok(visitor)
    }

    /// Applies the rule of who may enter.
    fn let_in(
        &self,
        visitor: Visitor,
        entry: &JoinRequest,
        now: Now,
    ) -> Result<Visitor, ErrorFrame> {
        if let Some(account) = self.accounts.get(&visitor.user)
            && account.admitted
        {
            return Ok(visitor);
        }
        // An invite counts even where everybody may come in: it lets in for good.
        if let (Some(token), Some(_)) = (&entry.join.invite, entry.key) {
            match self.invited(token, now) {
                Ok(invited) => {
                    let admitted = Some(Admitted::Invite(invited));
                    return Ok(Visitor {
                        admitted,
                        ..visitor
                    });
                }
                Err(_) if self.is_open_to(entry.channel.address) => {}
                Err(error) => return Err(error),
            }
        }
        if self.is_open_to(entry.channel.address) {
            return Ok(visitor);
        }
        let denied = |code, message| Err(refusal(code, message));
        let access = self.settings.access;
        match entry.key {
            None if access != Access::Local => denied(
                ErrorCode::AccessDenied,
                "This server lets only people in whom it can know again, by a key; your client \
                 brought none",
            ),
            Some(_) if entry.password && access == Access::Password => Ok(Visitor {
                admitted: Some(Admitted::Password),
                ..visitor
            }),
            Some(_) if access == Access::Password => denied(
                ErrorCode::PasswordRequired,
                if entry.join.password.is_some() {
                    "That is not this server's password"
                } else {
                    "This server wants a password from whoever comes for the first time"
                },
            ),
            _ => denied(
                ErrorCode::AccessDenied,
                "You need an invite to come in here: ask somebody who is in, or who runs the \
                 server, for one",
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

    /// Whether a nickname is nobody's, or this user's.
    pub fn may_be_called(&self, nickname: &Nickname, user: UserId) -> bool {
        self.nicknames
            .get(&nickname.canonical())
            .is_none_or(|owned| owned.user == user)
    }

    /// Whose a nickname is.
    pub(super) fn owner_of(&self, nickname: &Nickname) -> Option<UserId> {
        let owned = self.nicknames.get(&nickname.canonical());
        owned.map(|owned| owned.user)
    }

    /// What a user is called, by the nickname that he used last.
    pub(super) fn called(&self, user: UserId) -> String {
        self.nicknames_of(user)
            .max_by_key(|(_, owned)| owned.used)
            .map_or_else(|| user.to_string(), |(_, owned)| owned.nickname.clone())
    }

    /// The nicknames that are a user's, by their canonical forms.
    fn nicknames_of(&self, user: UserId) -> impl Iterator<Item = (&String, &Owned)> {
        let own = self.called.get(&user).into_iter().flatten();
        own.filter_map(|canonical| self.nicknames.get_key_value(canonical))
    }

    /// Notes that a visitor comes in, whom [`check`](Self::check) has found fit just now. They may be
    /// told of it once the house no longer [`owes`](Self::owes) them anything. Doing it again changes
    /// nothing.
    pub fn admit(&mut self, visitor: &Visitor, entry: &JoinRequest, now: Now) {
        let (Some(key), at) = (visitor.key, seconds(now.wall)) else {
            return;
        };
        let user = visitor.user;
        let is_new = !self.accounts.contains_key(&user);
        if is_new {
            let _ = self.rates.newcomers.take(entry.channel.address, now.mono);
        }
        let account = self.accounts.entry(user).or_insert_with(|| Account {
            keys: Vec::new(),
            role: Role::Member,
            admitted: false,
            since: at,
            wrote: Some(0),
        });
        let added = !account.keys.iter().any(|known| known.public == key);
        if added {
            account.keys.push(Key {
                public: key,
                added: at,
                seen: at,
            });
        }
        let mut was_seen = false;
        for known in &mut account.keys {
            if known.public == key && at >= known.seen.saturating_add(SEEN_EVERY) {
                known.seen = at;
                was_seen = true;
            }
        }
        account.admitted |= visitor.admitted.is_some();
        if is_new || added || visitor.admitted.is_some() {
            self.dirty.owe(persist::of_account(user, account));
        } else if was_seen {
            self.dirty.push(persist::of_account(user, account));
        }
        self.keys.insert(key, user);
        let nickname = &entry.join.nickname;
        if added && entry.join.code.is_some() {
            self.taken_up(entry.join.code, user);
            let deed = format!("added the device {}", key.tag());
            self.note(at, user, nickname, deed);
        }
        match visitor.admitted {
            Some(Admitted::Invite(invited)) => {
                self.use_invite(invited, now);
                let deed = format!("came in by the invite {}", invited.id());
                self.note(at, user, nickname, deed);
            }
            Some(Admitted::Password) => {
                self.note(at, user, nickname, "came in by the password".to_owned());
            }
            None => {}
        }
        self.claim(user, nickname, now);
    }

    /// Notes that somebody writes, once a day.
    pub(super) fn note_writing(&mut self, user: UserId, now: Now) {
        let at = seconds(now.wall);
        let Some(account) = self.accounts.get_mut(&user) else {
            return;
        };
        if account
            .wrote
            .is_none_or(|wrote| wrote == 0 || at >= wrote.saturating_add(SEEN_EVERY))
        {
            account.wrote = Some(at);
            self.dirty.push(persist::of_account(user, account));
        }
    }

    /// Notes that somebody goes, who was here for longer than it is noted that they were seen.
    pub fn note_leaving(&mut self, user: UserId, key: Option<PublicKey>, now: Now) {
        let at = seconds(now.wall);
        let Some(account) = self.accounts.get_mut(&user) else {
            return;
        };
        let stale = |known: &&mut Key| {
            Some(known.public) == key && at >= known.seen.saturating_add(SEEN_EVERY)
        };
        if let Some(known) = account.keys.iter_mut().find(stale) {
            known.seen = at;
            self.dirty.push(persist::of_account(user, account));
        }
    }

    /// Notes that somebody is called so now: what is nobody's becomes his, if he is known.
    pub fn claim(&mut self, user: UserId, nickname: &Nickname, now: Now) {
        if !self.accounts.contains_key(&user) {
            return;
        }
        let (canonical, at) = (nickname.canonical(), seconds(now.wall));
        let known = self.nicknames.get(&canonical);
        let is_new = known.is_none();
        if let Some(owned) = known
            && (owned.user != user
                || owned.nickname == nickname.as_str()
                    && at < owned.used.saturating_add(SEEN_EVERY))
        {
            return;
        }
        let owned = Owned {
            user,
            nickname: nickname.as_str().to_owned(),
            used: at,
        };
        let fact = persist::of_nickname(&canonical, &owned);
        if is_new {
            self.dirty.owe(fact);
        } else {
            self.dirty.push(fact);
        }
        self.own_nickname(canonical.clone(), owned);
        self.release_beyond(user, &canonical);
    }

    /// What is nobody's else is this user's.
    pub(super) fn own_nickname(&mut self, canonical: String, owned: Owned) {
        let own = self.called.entry(owned.user).or_default();
        if !own.contains(&canonical) {
            own.push(canonical.clone());
        }
        self.nicknames.insert(canonical, owned);
    }

    /// Of too many nicknames of one user, those used least recently are let go.
    fn release_beyond(&mut self, user: UserId, keep: &str) {
        let mut own: Vec<_> = self
            .nicknames_of(user)
            .filter(|(canonical, _)| *canonical != keep)
            .map(|(canonical, owned)| (owned.used, canonical.clone()))
            .collect();
        own.sort();
        let count = (own.len() + 1).saturating_sub(NICKNAMES_MAX);
        for (_, canonical) in own.into_iter().take(count) {
            self.forget_nickname(&canonical);
        }
    }

    pub(super) fn forget_nickname(&mut self, canonical: &str) {
        if let Some(owned) = self.nicknames.remove(canonical) {
            if let Some(own) = self.called.get_mut(&owned.user) {
                own.retain(|other| other != canonical);
            }
            self.dirty.push(persist::no_nickname(canonical));
        }
    }

    /// Whether one more key may be added to a user.
    pub(super) fn has_room_for_key(&self, user: UserId) -> bool {
        self.accounts
            .get(&user)
            .is_some_and(|account| account.keys.len() < KEYS_MAX)
    }
}
