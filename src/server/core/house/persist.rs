//! What lasts of the house, as the store keeps it: JSON under a kind and a key.
//!
//! | kind | key | value |
//! |---|---|---|
//! | `account` | user | role, keys, whether he was let in |
//! | `nickname` | a hash of its canonical form | whose it is |
//! | `ban` | number | |
//! | `mute` | user | |
//! | `room` | name | topic, announce, slow mode |
//! | `invite` | id | how often it was used, whether it is revoked |
//! | `audit` | number | what was done |

use std::{collections::BTreeMap, net::IpAddr};

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::{
    House, Site,
    accounts::{Account, Key, Owned},
    audit,
    bans::{Ban, Mute},
    invites,
};
use crate::{
    protocol::{InviteId, Nickname, PublicKey, Role, RoomName, RoomRules, UserId},
    server::log::StateRecord,
    text::Line,
};

const ACCOUNT: &str = "account";
const NICKNAME: &str = "nickname";
const BAN: &str = "ban";
const MUTE: &str = "mute";
const ROOM: &str = "room";
const INVITE: &str = "invite";
const AUDIT: &str = "audit";

#[derive(Deserialize, Serialize)]
struct AccountFact {
    role: String,
    admitted: bool,
    since: u64,
    #[serde(default)]
    wrote: Option<u64>,
    keys: Vec<KeyFact>,
}

#[derive(Deserialize, Serialize)]
struct KeyFact {
    key: String,
    added: u64,
    seen: u64,
}

#[derive(Deserialize, Serialize)]
struct NicknameFact {
    user: String,
    nickname: String,
    used: u64,
}

#[derive(Deserialize, Serialize)]
struct BanFact {
    user: String,
    nickname: String,
    sites: Vec<IpAddr>,
    at: u64,
    until: Option<u64>,
    by: String,
    #[serde(default)]
    rank: Option<String>,
    reason: Option<String>,
    #[serde(default)]
    of: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct MuteFact {
    nickname: String,
    sites: Vec<IpAddr>,
    #[serde(default)]
    at: Option<u64>,
    until: Option<u64>,
    #[serde(default)]
    rank: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct RoomFact {
    topic: Option<String>,
    announce: bool,
    slow_seconds: u64,
}

#[derive(Deserialize, Serialize)]
struct InviteFact {
    expires: u64,
    uses: u16,
    used: u64,
    revoked: bool,
    by: Option<String>,
    #[serde(default)]
    by_user: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct AuditFact {
    at: u64,
    user: String,
    nickname: String,
    deed: String,
}

fn fact(kind: &str, key: &impl ToString, value: &impl Serialize) -> StateRecord {
    // Strings and numbers only: there is no way to fail.
    let value = serde_json::to_string(value).expect("a fact becomes JSON");
    StateRecord {
        kind: kind.into(),
        key: key.to_string(),
        value: Some(value),
    }
}

fn no_fact(kind: &str, key: &impl ToString) -> StateRecord {
    StateRecord {
        kind: kind.into(),
        key: key.to_string(),
        value: None,
    }
}

/// Names a user's account; as a fact, says that there is none any more.
pub(super) fn account_name(user: UserId) -> StateRecord {
    no_fact(ACCOUNT, &user)
}

pub(super) fn of_account(user: UserId, account: &Account) -> StateRecord {
    let key = |key: &Key| KeyFact {
        key: key.public.to_string(),
        added: key.added,
        seen: key.seen,
    };
    let value = AccountFact {
        role: account.role.name().to_owned(),
        admitted: account.admitted,
        since: account.since,
        wrote: account.wrote,
        keys: account.keys.iter().map(key).collect(),
    };
    fact(ACCOUNT, &user, &value)
}

/// A canonical form, however long, as a key.
fn name_key(canonical: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(canonical.as_bytes())[..16])
}

pub(super) fn of_nickname(canonical: &str, owned: &Owned) -> StateRecord {
    let value = NicknameFact {
        user: owned.user.to_string(),
        nickname: owned.nickname.clone(),
        used: owned.used,
    };
    fact(NICKNAME, &name_key(canonical), &value)
}

pub(super) fn no_nickname(canonical: &str) -> StateRecord {
    no_fact(NICKNAME, &name_key(canonical))
}

/// A number as a key that sorts as it counts.
fn number_key(number: u64) -> String {
    format!("{number:020}")
}

fn addresses(sites: &[Site]) -> Vec<IpAddr> {
    sites.iter().filter_map(|site| site.kept()).collect()
}

fn sites(addresses: Vec<IpAddr>) -> Vec<Site> {
    addresses.into_iter().filter_map(Site::of_kept).collect()
}

pub(super) fn of_ban(number: u64, ban: &Ban) -> StateRecord {
    let value = BanFact {
        user: ban.user.to_string(),
        nickname: ban.nickname.clone(),
        sites: addresses(&ban.sites),
        at: ban.at,
        until: ban.until,
        by: ban.by.clone(),
        rank: Some(ban.rank.name().to_owned()),
        reason: ban.reason.clone(),
        of: ban.of.map(|user| user.to_string()),
    };
    fact(BAN, &number_key(number), &value)
}

pub(super) fn no_ban(number: u64) -> StateRecord {
    no_fact(BAN, &number_key(number))
}

pub(super) fn of_mute(user: UserId, mute: &Mute) -> StateRecord {
    let value = MuteFact {
        nickname: mute.nickname.clone(),
        sites: addresses(&mute.sites),
        at: Some(mute.at),
        until: mute.until,
        rank: Some(mute.rank.name().to_owned()),
    };
    fact(MUTE, &user, &value)
}

pub(super) fn no_mute(user: UserId) -> StateRecord {
    no_fact(MUTE, &user)
}

pub(super) fn of_room(room: &RoomName, rules: &RoomRules) -> StateRecord {
    let value = RoomFact {
        topic: rules.topic.as_ref().map(|topic| topic.as_str().to_owned()),
        announce: rules.announce,
        slow_seconds: rules.slow_seconds,
    };
    fact(ROOM, room, &value)
}

pub(super) fn of_invite(id: InviteId, known: &invites::Known) -> StateRecord {
    let value = InviteFact {
        expires: known.expires,
        uses: known.uses,
        used: known.used,
        revoked: known.revoked,
        by: known.by.clone(),
        by_user: known.by_user.map(|user| user.to_string()),
    };
    fact(INVITE, &id, &value)
}

pub(super) fn no_invite(id: InviteId) -> StateRecord {
    no_fact(INVITE, &id)
}

pub(super) fn of_audit(entry: &audit::Entry) -> StateRecord {
    let value = AuditFact {
        at: entry.at,
        user: entry.user.to_string(),
        nickname: entry.nickname.clone(),
        deed: entry.deed.clone(),
    };
    fact(AUDIT, &number_key(entry.number), &value)
}

pub(super) fn no_audit(number: u64) -> StateRecord {
    no_fact(AUDIT, &number_key(number))
}

/// Of whoever set a ban or a mute; every moderator lifts those of which it is not known. `None`: it
/// can't be read.
fn rank(name: Option<&str>) -> Option<Role> {
    name.map_or(Some(Role::Moderator), |name| Role::parse(name).ok())
}

/// A fact as it was read.
enum Known {
    Account(UserId, Account),
    Nickname(String, Owned),
    Ban(u64, Ban),
    Mute(UserId, Mute),
    Room(RoomName, RoomRules),
    Invite(InviteId, invites::Known),
    Audit(audit::Entry),
}

/// Whether this program knows what facts of a kind mean; a newer server may keep others.
fn is_known(kind: &str) -> bool {
    [ACCOUNT, NICKNAME, BAN, MUTE, ROOM, INVITE, AUDIT].contains(&kind)
}

/// Reads a fact; `None`: it can't be read, or is of a newer server.
fn read(fact: &StateRecord) -> Option<Known> {
    fn json<T: DeserializeOwned>(value: &str) -> Option<T> {
        serde_json::from_str(value).ok()
    }
    let user = |text: &str| UserId::parse(text).ok();
    let (key, value) = (fact.key.as_str(), fact.value.as_deref()?);
    Some(match &*fact.kind {
        ACCOUNT => Known::Account(user(key)?, account(json(value)?)?),
        NICKNAME => {
            let fact: NicknameFact = json(value)?;
            let owned = Owned {
                user: user(&fact.user)?,
                nickname: fact.nickname,
                used: fact.used,
            };
            let nickname = Nickname::known(&owned.nickname).ok()?;
            Known::Nickname(nickname.canonical(), owned)
        }
        BAN => {
            let fact: BanFact = json(value)?;
            let ban = Ban {
                user: user(&fact.user)?,
                nickname: fact.nickname,
                sites: sites(fact.sites),
                at: fact.at,
                until: fact.until,
                by: fact.by,
                rank: rank(fact.rank.as_deref())?,
                reason: fact.reason,
                of: match fact.of {
                    Some(of) => Some(user(&of)?),
                    None => None,
                },
            };
            Known::Ban(key.parse().ok()?, ban)
        }
        MUTE => {
            let fact: MuteFact = json(value)?;
            let mute = Mute {
                nickname: fact.nickname,
                sites: sites(fact.sites),
                // Where it is not known, nobody who has a key is to blame.
                at: fact.at.unwrap_or(u64::MAX),
                until: fact.until,
                rank: rank(fact.rank.as_deref())?,
            };
            Known::Mute(user(key)?, mute)
        }
        ROOM => {
            let fact: RoomFact = json(value)?;
            let rules = RoomRules {
                topic: fact.topic.as_deref().map(Line::inert),
                announce: fact.announce,
                slow_seconds: fact.slow_seconds,
            };
            Known::Room(RoomName::parse(key).ok()?, rules)
        }
        INVITE => {
            let fact: InviteFact = json(value)?;
            let known = invites::Known {
                expires: fact.expires,
                uses: fact.uses,
                used: fact.used,
                revoked: fact.revoked,
                by: fact.by,
                by_user: match fact.by_user {
                    Some(by) => Some(user(&by)?),
                    None => None,
                },
            };
            Known::Invite(InviteId::parse(key).ok()?, known)
        }
        AUDIT => {
            let fact: AuditFact = json(value)?;
            Known::Audit(audit::Entry {
                number: key.parse().ok()?,
                at: fact.at,
                user: user(&fact.user)?,
                nickname: fact.nickname,
                deed: fact.deed,
            })
        }
        _ => return None,
    })
}

fn account(fact: AccountFact) -> Option<Account> {
    let key = |fact: KeyFact| {
        let public = PublicKey::parse(&fact.key).ok()?;
        Some(Key {
            public,
            added: fact.added,
            seen: fact.seen,
        })
    };
    Some(Account {
        keys: fact.keys.into_iter().map(key).collect::<Option<_>>()?,
        role: Role::parse(&fact.role).ok()?,
        admitted: fact.admitted,
        since: fact.since,
        wrote: fact.wrote,
    })
}

/// What the store has kept and this program can't read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unread {
    /// Of a kind that it knows: they are damaged, and nobody can say what they forbade.
    pub damaged: Vec<StateRecord>,
    /// The kinds that it does not know, and how many facts there are of each: they are of a newer
    /// server, and stay as they are.
    pub unknown: BTreeMap<Box<str>, usize>,
}

/// Looks for what can't be read among what the store has kept.
pub fn unread(facts: &[StateRecord]) -> Unread {
    let mut unread = Unread::default();
    for fact in facts {
        if !is_known(&fact.kind) {
            *unread.unknown.entry(fact.kind.clone()).or_default() += 1;
        } else if read(fact).is_none() {
            unread.damaged.push(fact.clone());
        }
    }
    unread
}

impl House {
    /// Takes in what the store has kept.
    pub(super) fn recall(&mut self, mut facts: Vec<StateRecord>) {
        // Numbers in their order.
        facts.sort_by(|one, other| (&one.kind, &one.key).cmp(&(&other.kind, &other.key)));
        for known in facts.iter().filter_map(read) {
            match known {
                Known::Account(user, account) => {
                    let keys = account.keys.iter().map(|key| (key.public, user));
                    self.keys.extend(keys);
                    self.accounts.insert(user, account);
                }
                Known::Nickname(canonical, owned) => self.own_nickname(canonical, owned),
                Known::Ban(number, ban) => drop(self.bans.insert(number, ban)),
                Known::Mute(user, mute) => self.mutes.insert(user, mute),
                Known::Room(room, rules) => drop(self.rules.insert(room, rules)),
                Known::Invite(id, known) => drop(self.invites.insert(id, known)),
                Known::Audit(entry) => self.audit.push_back(entry),
            }
        }
    }
}
