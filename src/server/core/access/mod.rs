//! Access control: the parts of the core that know users (accounts, moderation, rooms, invites,
//! rate limits), and the checks that take several of them.
//!
//! ```text
//! join    -> may_try  (may they join at all?)               no change
//!         -> check  (as which user? under this nickname?)   a Visitor; no change
//!         -> admit  (they join)                             records change
//! message -> may_write, redaction -> may_erase, rename -> may_rename, history -> may_read
//! command -> core::admin
//! ```
//!
//! Each part keeps its own records; the hub takes what changed for its next commit. State that need
//! not outlive the process (rate limits, codes for devices) is no record.

use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    time::Duration,
};

use self::may::{Action, RoomView, User, may};
pub use self::{
    admission::Visitor,
    mode::{Access, RoomMakers},
};
use super::{
    accounts::{Accounts, account::Account, nicknames::Owned},
    format::{duration, seconds},
    ignores::{Ignored, Ignores},
    invites::{Invite, Invites},
    moderation::{Moderation, audit::AuditEntry, bans::Ban, mutes::Mute},
    persist::{Changes, Persist, Record, decode},
    rate_limit::{Limits, Rate, RateKey, RateLimits},
    rooms::{
        RoomSettings, Rooms,
        membership::{Membership, Standing},
        record::RoomRecord,
    },
};
use crate::{
    protocol::{
        InviteKey, OwnerCode, Role, RoomId, RoomKind, UserId,
        frame::{ErrorCode, ErrorFrame},
    },
    server::{log::StateRecord, network::ClientAddress},
    time::Now,
};

mod admission;
pub mod may;
mod mode;
#[cfg(test)]
mod tests;

/// The operator's settings, and the secrets that access control needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The operator's choice of who may join.
    pub access: Access,
    /// The rate limits.
    pub limits: Limits,
    /// The key that signs invites.
    pub invite_key: InviteKey,
    /// The code that makes a user the owner while there is none: fresh random bytes.
    pub owner_code: OwnerCode,
    /// Whether the present owners become members: for an owner who lost their keys.
    pub new_owner: bool,
    /// Days after their last session for which accounts and nicknames of users who wrote are kept.
    pub keep_accounts_days: u64,
    /// Who may make rooms.
    pub room_makers: RoomMakers,
    /// Most rooms of all kinds.
    pub rooms_max: usize,
}

/// Access control; see the module's docs.
#[derive(Debug)]
pub struct AccessControl {
    /// The operator's settings.
    pub settings: Settings,
    /// Accounts of users with keys.
    pub accounts: Accounts,
    /// Bans, mutes and the audit trail.
    pub moderation: Moderation,
    /// Rooms and memberships.
    pub rooms: Rooms,
    /// Whom users ignore.
    pub ignores: Ignores,
    /// Invites.
    pub invites: Invites,
    /// Rate limits.
    pub limits: RateLimits,
}

/// A user with a session, or about to have one.
#[derive(Clone, Copy, Debug)]
pub struct Requester {
    /// The user.
    pub user: UserId,
    /// Their role.
    pub role: Role,
    /// Their address.
    pub address: ClientAddress,
}

impl Requester {
    /// The key for their rate limits.
    pub fn rate_key(&self) -> RateKey {
        RateKey::of(self.user, self.role, self.address)
    }
}

impl AccessControl {
    /// Loads the store's records. `rooms`: the operator's. Damaged ones are left out: the caller has checked for them with
    /// [`unread`].
    pub fn new(settings: Settings, rooms: &[RoomSettings], records: &[StateRecord]) -> Self {
        let mut accounts = Accounts::load(records);
        if settings.new_owner {
            accounts.remove_owners();
        }
        Self {
            accounts,
            moderation: Moderation::load(records),
            rooms: Rooms::load(rooms, settings.rooms_max, records),
            ignores: Ignores::load(records),
            invites: Invites::load(settings.invite_key.clone(), records),
            limits: RateLimits::new(settings.limits),
            settings,
        }
    }

    fn records(&mut self) -> impl Iterator<Item = &mut dyn Persist> {
        let invites: &mut dyn Persist = self.invites.records();
        self.accounts
            .records()
            .into_iter()
            .chain(self.moderation.records())
            .chain(self.rooms.records())
            .chain([self.ignores.records() as &mut dyn Persist, invites])
    }

    /// Whether there are changed records that were not taken yet.
    pub fn changes(&mut self) -> Changes {
        let changes = self.records().map(|records| records.changes());
        changes.max().unwrap_or(Changes::None)
    }

    /// Takes the records that changed since the last call, for the next commit; then
    /// [`stored`](Self::stored) or [`not_stored`](Self::not_stored) reports the outcome.
    pub fn take_changed(&mut self) -> Vec<StateRecord> {
        let mut changed = Vec::new();
        self.records()
            .for_each(|records| records.take(&mut changed));
        changed
    }

    /// Notes that the records taken last are stored.
    pub fn stored(&mut self) {
        self.records().for_each(Persist::stored);
    }

    /// Notes that the records taken last could not be stored: they are taken again.
    pub fn not_stored(&mut self) {
        self.records().for_each(Persist::not_stored);
    }

    /// Whether there is an owner.
    pub fn has_owner(&self) -> bool {
        self.accounts.owners() > 0
    }

    /// The rate limit of messages, for `welcome`.
    pub fn message_rate(&self) -> Option<Rate> {
        self.settings.limits.messages
    }

    /// When to call [`sweep`](Self::sweep) next; `None`: never.
    pub fn sweeps_at(&self) -> Option<Duration> {
        self.accounts.sweeps_at()
    }

    /// Removes some unused accounts, if it is time. Returns the private rooms that their users were
    /// members of: others may moderate them now.
    pub fn sweep(&mut self, clock: Now, is_present: impl Fn(UserId) -> bool) -> BTreeSet<RoomId> {
        let mut left = BTreeSet::new();
        if self.sweeps_at().is_none_or(|due| clock.mono < due) {
            return left;
        }
        let concerned: HashSet<_> = self.moderation.concerns().collect();
        let stays = |user| concerned.contains(&user) || is_present(user);
        let days = self.settings.keep_accounts_days;
        for user in self.accounts.sweep(clock, days, stays) {
            left.extend(self.rooms.forget(user));
            self.ignores.forget(user);
        }
        left.retain(|room| {
            let record = self.rooms.get(*room);
            record.is_some_and(|record| record.kind == RoomKind::Private)
        });
        left
    }

    /// The mute that applies to a user: their own; or one that covers their address, unless their
    /// account is older than the mute or their role is moderator or above.
    fn mute_of(&self, requester: Requester, now: u64) -> Option<&Mute> {
        let mutes = &self.moderation.mutes;
        let own = mutes.own(requester.user, now);
        if own.is_some() || requester.role >= Role::Moderator {
            return own;
        }
        let since = || self.accounts.get(requester.user).map(|known| known.since);
        mutes.at(requester.address.site(), since, now)
    }

    /// A user with a session, in the form that [`may()`] takes.
    pub fn user(&self, requester: Requester, now: Now) -> User<'_> {
        User {
            id: requester.user,
            role: requester.role,
            ban: None,
            mute: self.mute_of(requester, seconds(now.wall)),
        }
    }

    /// A room as it concerns a user, in the form that [`may()`] takes; `None` if there is no such room.
    /// `in_session`: whether their session is in it. That alone counts for users without a key, who
    /// have no memberships.
    pub fn view(
        &self,
        requester: Requester,
        room: RoomId,
        in_session: bool,
    ) -> Option<RoomView<'_>> {
        let record = self.rooms.get(room)?;
        Some(RoomView {
            kind: record.kind,
            rules: &record.rules,
            archived: record.archived,
            is_lobby: room == RoomId::LOBBY,
            standing: match requester.role {
                Role::Unverified if in_session => Standing::Member,
                Role::Unverified => Standing::Stranger,
                Role::Member | Role::Moderator | Role::Owner => {
                    self.rooms.standing(requester.user, room)
                }
            },
            visible: self.rooms.visible(requester.user, room),
        })
    }

    /// Checks whether a user may read or search a part of a room's history, and counts it.
    /// `in_session`: whether their session is in the room. What they may read of that part is
    /// [`Rooms::visible`].
    pub fn may_read(
        &mut self,
        requester: Requester,
        room: RoomId,
        in_session: bool,
        (from, to): (u64, u64),
        now: Now,
    ) -> Result<(), ErrorFrame> {
        let view = self.view(requester, room, in_session);
        let action = Action::Read { from, to };
        may(&self.user(requester, now), view.as_ref(), action)?;
        self.limits.query(requester.rate_key(), now.mono)
    }

    /// Checks whether a user may ask for a list now, and counts it.
    pub fn may_list(&mut self, requester: Requester, now: Now) -> Result<(), ErrorFrame> {
        self.limits.query(requester.rate_key(), now.mono)
    }

    /// Checks whether a user may change their nickname, and counts it.
    pub fn may_rename(&mut self, requester: Requester, now: Now) -> Result<(), ErrorFrame> {
        may(&self.user(requester, now), None, Action::Rename)?;
        self.limits.nick(requester.rate_key(), now.mono)
    }

    /// Checks whether a user may write in a room now, and counts it. `in_session`: whether their
    /// session is in it. An error with `retry_after_ms` is temporary; any other is permanent.
    pub fn may_write(
        &mut self,
        requester: Requester,
        room: RoomId,
        in_session: bool,
        now: Now,
    ) -> Result<(), ErrorFrame> {
        let (user, key) = (self.user(requester, now), requester.rate_key());
        let view = self.view(requester, room, in_session);
        may(&user, view.as_ref(), Action::Write)?;
        let seconds = view.as_ref().map_or(0, |view| view.rules.slow_seconds);
        let skips = may(&user, view.as_ref(), Action::SkipPause).is_ok();
        let pause = (seconds > 0 && !skips).then(|| Duration::from_secs(seconds));
        self.limits.message(key, now.mono)?;
        let slow_mode = &mut self.moderation.slow_mode;
        if let Some(pause) = pause
            && let Some(wait) = slow_mode.wait(key, room, pause, now.mono)
        {
            // For good: what the user writes elsewhere must not wait for this.
            let words = "This room is in slow mode: you can write again in";
            let message = format!("{words} {}", duration(wait));
            return Err(ErrorFrame::new(ErrorCode::NotAllowed, &message));
        }
        self.accounts.note_writing(requester.user, now);
        if pause.is_some() {
            slow_mode.note(key, room, now.mono);
        }
        Ok(())
    }

    /// Whether a user may mention all members of a room. `in_session`: whether their session is in it.
    pub fn may_mention_everyone(
        &self,
        requester: Requester,
        room: RoomId,
        in_session: bool,
        now: Now,
    ) -> bool {
        let user = self.user(requester, now);
        let view = self.view(requester, room, in_session);
        may(&user, view.as_ref(), Action::MentionEveryone).is_ok()
    }

    /// Checks whether a user may erase content in a room now, and counts it as a message.
    /// `in_session`: whether their session is in it. `Ok` says whether they may erase what others
    /// wrote, too.
    pub fn may_erase(
        &mut self,
        requester: Requester,
        room: RoomId,
        in_session: bool,
        now: Now,
    ) -> Result<bool, ErrorFrame> {
        let user = self.user(requester, now);
        let view = self.view(requester, room, in_session);
        may(&user, view.as_ref(), Action::Erase)?;
        let of_others = may(&user, view.as_ref(), Action::EraseOthers).is_ok();
        self.limits.message(requester.rate_key(), now.mono)?;
        Ok(of_others)
    }
}

/// Stored records that this program can't use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UnreadableRecords {
    /// Damaged records of known kinds: it is unknown what they forbade.
    pub damaged: Vec<StateRecord>,
    /// The number of records of each unknown kind: they are of a newer server, and stay unchanged.
    pub unknown: BTreeMap<Box<str>, usize>,
}

/// Finds records that this program can't use.
pub fn unread(records: &[StateRecord]) -> UnreadableRecords {
    /// A kind, and whether a record of it can be read.
    type Kind = (&'static str, fn(&StateRecord) -> bool);
    fn kind<R: Record>() -> Kind {
        (R::KIND, |record| decode::<R>(record).is_some())
    }
    let kinds = [
        kind::<Account>(),
        kind::<Owned>(),
        kind::<Ban>(),
        kind::<Mute>(),
        kind::<RoomRecord>(),
        kind::<Membership>(),
        kind::<Ignored>(),
        kind::<Invite>(),
        kind::<AuditEntry>(),
    ];
    let mut unread = UnreadableRecords::default();
    for record in records {
        match kinds.iter().find(|(kind, _)| *kind == &*record.kind) {
            None => *unread.unknown.entry(record.kind.clone()).or_default() += 1,
            Some((_, is_readable)) if is_readable(record) => {}
            Some(_) => unread.damaged.push(record.clone()),
        }
    }
    unread
}
