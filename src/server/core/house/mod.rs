//! The house: who is known here by which keys, who owns which nickname, who may do what, who may
//! not come in, and what was done about all that.
//!
//! ```text
//!  join    -> House::knock  (may he come in at all?)        no change
//!          -> House::check  (as who? may he be called so?)  a Visitor; no change
//!          -> House::admit  (he is in)                      facts
//!  command -> House::carry_out                              persist, and acts for the hub
//! ```
//!
//! Everything that lasts is a [`StateRecord`]: a kind, a key, and a value, which replaces the one before.
//! The store keeps the latest value of each and gives them back at the next start; what changed is
//! taken out with [`House::take_facts`] and goes into the next commit. What need not outlive the
//! process (measures of how often, codes for devices) is no fact.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    time::Duration,
};

use jiff::Timestamp;

use self::{
    accounts::{Account, Owned},
    audit::Entry as AuditEntry,
    bans::Ban,
    dirty::Dirty,
    mutes::Mutes,
    rate_limit::{RateLimiter, SiteRateLimiter},
    sweep::Sweep,
};
use crate::{
    protocol::{
        DeviceCode, InviteId, InviteKey, Nickname, OwnerCode, PublicKey, Role, RoomName, RoomRules,
        UserId,
        frame::{ErrorCode, ErrorFrame},
    },
    server::{
        log::StateRecord,
        network::{ClientAddress, Site},
    },
    time::Now,
};

pub mod access;
mod accounts;
mod audit;
mod bans;
mod commands;
mod devices;
mod dirty;
mod invites;
mod mutes;
mod persist;
pub(in crate::server) mod rate_limit;
mod sweep;
#[cfg(test)]
mod tests;

pub use access::Access;
pub use accounts::Visitor;
pub use bans::{Writer, who};
pub use commands::{Act, Actor, Outcome, Target, about};
pub use persist::{Unread, unread};
pub use rate_limit::Rate;

/// Keys that one user may have.
pub const KEYS_MAX: usize = 16;
/// Nicknames that one user may own; then the one not used for longest is released.
pub const NICKNAMES_MAX: usize = 4;
/// Users that the server knows by a key.
pub const ACCOUNTS_MAX: usize = 100_000;
/// So many are known, and strangers come in without becoming known; the rest is for the invited.
pub const STRANGERS_MAX: usize = ACCOUNTS_MAX / 10 * 9;
/// Bans, and mutes, in force at one time.
pub const SANCTIONS_MAX: usize = 10_000;
/// Invites that are remembered.
pub const INVITES_MAX: usize = 10_000;
/// Entries of the audit trail; the oldest go.
pub const AUDIT_MAX: usize = 10_000;
/// How long a device's code is good.
pub const DEVICE_CODE_FOR: Duration = Duration::from_mins(10);
/// Codes for devices that are good at one time; of one user, one.
pub const DEVICE_CODES_MAX: usize = 1_000;
/// How long an invite made in the chat lasts unless it is said.
pub const INVITE_SECONDS_DEFAULT: u64 = 7 * 24 * 3600;
/// How long an invite can last.
pub const INVITE_SECONDS_MAX: u64 = 366 * 24 * 3600;
/// The longest time between two messages in a slowed room.
pub const SLOW_SECONDS_MAX: u64 = 6 * 3600;

/// How often things may be done; `None`: as often as one likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages of one user.
    pub messages: Option<Rate>,
    /// Pages of history and searches of one user.
    pub looks: Option<Rate>,
    /// Nicknames taken by one user.
    pub nicks: Option<Rate>,
    /// Commands of one user.
    pub commands: Option<Rate>,
    /// Joins of one key; of those without one, from one address.
    pub joins: Option<Rate>,
    /// Joins of somebody who is muted; of those whom the server does not know, from one address.
    pub muted_joins: Option<Rate>,
    /// Users that become known from one address.
    pub newcomers: Option<Rate>,
    /// Wrong codes, invites and passwords from one address.
    pub mistakes: Option<Rate>,
}

impl Limits {
    /// None at all: for tests and tools that want to see the rest.
    pub const NONE: Self = Self {
        messages: None,
        looks: None,
        nicks: None,
        commands: None,
        joins: None,
        muted_joins: None,
        newcomers: None,
        mistakes: None,
    };
}

impl Default for Limits {
    /// What nobody meets who only chats, and a class of thirty behind one address can live with.
    fn default() -> Self {
        Self {
            messages: Some(Rate::new(600, 200)),
            looks: Some(Rate::new(600, 120)),
            nicks: Some(Rate::new(6, 5)),
            commands: Some(Rate::new(60, 20)),
            joins: Some(Rate::new(60, 60)),
            muted_joins: Some(Rate::new(1, 3)),
            newcomers: Some(Rate::new(30, 200)),
            mistakes: Some(Rate::new(5, 5)),
        }
    }
}

/// What the operator decides about the house, and the secrets that it needs.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Who may enter.
    pub access: Access,
    /// How often things may be done.
    pub limits: Limits,
    /// What invites are made with.
    pub invite_key: InviteKey,
    /// What makes somebody the owner, as long as there is none: fresh random bytes.
    pub owner_code: OwnerCode,
    /// Whether whoever owned the house so far does so no more: for an owner who lost his keys.
    pub new_owner: bool,
    /// For how many days the accounts and nicknames of people who wrote are kept after they were last
    /// here.
    pub keep_accounts_days: u64,
}

/// See the module's docs.
#[derive(Debug)]
pub struct House {
    settings: Settings,
    accounts: HashMap<UserId, Account>,
    keys: HashMap<PublicKey, UserId>,
    /// By canonical form.
    nicknames: HashMap<String, Owned>,
    /// The same by whose they are: few each, so that nobody is looked for among all.
    called: HashMap<UserId, Vec<String>>,
    bans: BTreeMap<u64, Ban>,
    mutes: Mutes,
    rules: HashMap<RoomName, RoomRules>,
    invites: HashMap<InviteId, invites::Known>,
    audit: VecDeque<AuditEntry>,
    codes: HashMap<DeviceCode, devices::Offer>,
    /// When somebody last wrote in a room that is slowed down.
    wrote: HashMap<(Who, RoomName), Duration>,
    /// Facts that changed since they were last taken.
    dirty: Dirty,
    rates: Rates,
    sweep: Sweep,
}

/// Who has done how much.
#[derive(Debug)]
struct Rates {
    messages: RateLimiter<Who>,
    looks: RateLimiter<Who>,
    nicks: RateLimiter<Who>,
    commands: RateLimiter<Who>,
    joins: RateLimiter<Who>,
    muted_joins: RateLimiter<Who>,
    newcomers: SiteRateLimiter,
    mistakes: SiteRateLimiter,
}

/// Who is measured: somebody known, or everybody unknown from one place, since whoever has no key
/// is somebody else whenever he likes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Who {
    /// By a key.
    User(UserId),
    /// Without one.
    From(Site),
}

impl House {
    /// As the facts tell it. What can't be read is left out: the caller has looked for it with
    /// [`unread`].
    pub fn new(settings: Settings, facts: Vec<StateRecord>) -> Self {
        let limits = settings.limits;
        let mut house = Self {
            settings,
            accounts: HashMap::new(),
            keys: HashMap::new(),
            nicknames: HashMap::new(),
            called: HashMap::new(),
            bans: BTreeMap::new(),
            mutes: Mutes::default(),
            rules: HashMap::new(),
            invites: HashMap::new(),
            audit: VecDeque::new(),
            codes: HashMap::new(),
            wrote: HashMap::new(),
            dirty: Dirty::default(),
            rates: Rates {
                messages: RateLimiter::new(limits.messages),
                looks: RateLimiter::new(limits.looks),
                nicks: RateLimiter::new(limits.nicks),
                commands: RateLimiter::new(limits.commands),
                joins: RateLimiter::new(limits.joins),
                muted_joins: RateLimiter::new(limits.muted_joins),
                newcomers: SiteRateLimiter::new(limits.newcomers),
                mistakes: SiteRateLimiter::new(limits.mistakes),
            },
            sweep: Sweep::default(),
        };
        house.recall(facts);
        if house.settings.new_owner {
            house.disown();
        }
        house
    }

    /// Nobody owns the house any more.
    fn disown(&mut self) {
        for (user, account) in &mut self.accounts {
            if account.role == Role::Owner {
                account.role = Role::Member;
                self.dirty.push(persist::of_account(*user, account));
            }
        }
    }

    /// The facts that changed since the last call: for the next commit. Those that could not be
    /// committed are given back with [`put_back`](Self::put_back).
    pub fn take_facts(&mut self) -> Vec<StateRecord> {
        self.dirty.take()
    }

    /// The facts that were taken last are committed.
    pub fn stored_facts(&mut self) {
        self.dirty.stored();
    }

    /// Whether a user's account, or that they own a nickname, is not committed yet: then nobody may
    /// be told of it, since a power failure would undo it.
    pub fn owes(&self, user: UserId, nickname: &Nickname) -> bool {
        let account = persist::account_name(user);
        let nickname = persist::no_nickname(&nickname.canonical());
        self.dirty.is_owed(&account) || self.dirty.is_owed(&nickname)
    }

    /// Facts that could not be committed, to be taken again; those that changed meanwhile stay as
    /// they are now.
    pub fn put_back(&mut self, facts: Vec<StateRecord>) {
        self.dirty.put_back(facts);
    }

    /// Whether there is somebody who decides here.
    pub fn has_owner(&self) -> bool {
        self.accounts
            .values()
            .any(|account| account.role == Role::Owner)
    }

    /// How a room is run, where that was ever changed.
    pub fn rules(&self, room: &RoomName) -> Option<&RoomRules> {
        self.rules.get(room)
    }

    /// What a user may do whom the server knows by a key.
    pub fn known_role(&self, user: UserId) -> Option<Role> {
        self.accounts.get(&user).map(|account| account.role)
    }

    /// What somebody may do.
    pub fn role(&self, user: UserId) -> Role {
        self.known_role(user).unwrap_or(Role::Unverified)
    }

    /// What messages are limited to, for `welcome`.
    pub fn message_rate(&self) -> Option<Rate> {
        self.settings.limits.messages
    }

    /// Notes a look into a log; or says why and for how long there may be none.
    pub fn may_look(&mut self, who: Who, now: Duration) -> Result<(), ErrorFrame> {
        let taken = self.rates.looks.take(who, now);
        taken.map_err(|wait| too_often("Too much was looked up at once", wait))
    }

    /// Notes a wish for another nickname.
    pub fn may_rename(&mut self, writer: Writer, now: Now) -> Result<(), ErrorFrame> {
        // All would read it.
        self.not_muted(writer, now)?;
        let taken = self.rates.nicks.take(writer.who(), now.mono);
        taken.map_err(|wait| too_often("You change your nickname too often", wait))
    }

    /// Notes a command.
    pub fn may_command(&mut self, who: Who, now: Duration) -> Result<(), ErrorFrame> {
        let taken = self.rates.commands.take(who, now);
        taken.map_err(|wait| too_often("Too many commands at once", wait))
    }
}

/// An error about somebody's haste.
fn too_often(what: &str, wait: Duration) -> ErrorFrame {
    let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    ErrorFrame {
        retry_after_ms: Some(ms.saturating_add(1)),
        ..refusal(
            ErrorCode::RateLimited,
            &format!("{what}: try again in {}", in_words(wait)),
        )
    }
}

fn refusal(code: ErrorCode, message: &str) -> ErrorFrame {
    crate::server::core::hub::error(code, message)
}

/// Seconds since 1970, UTC.
fn seconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_second()).unwrap_or(0)
}

/// A time for people, in the largest unit that it is a whole number of, or nearly: `10 minutes`.
fn in_words(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    // A minute, an hour and a day are said as such.
    let (count, unit) = match seconds {
        60 => (1, "minute"),
        3_600 => (1, "hour"),
        86_400 => (1, "day"),
        _ => (count, unit),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// A moment for people: UTC, to the minute.
fn moment(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(
            || "the end of time".to_owned(),
            |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        )
}
