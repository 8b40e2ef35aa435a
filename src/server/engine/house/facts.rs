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

use std::net::IpAddr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};

use super::{
    House, Site,
    accounts::{Account, Key, Owned},
    audit, invites,
    sanctions::{Ban, Mute},
};
use crate::{
    protocol::{InviteId, Nickname, PublicKey, Role, RoomName, RoomRules, UserId},
    server::store::Fact,
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

fn fact(kind: &str, key: &impl ToString, value: &impl Serialize) -> Fact {
    // Strings and numbers only: there is no way to fail.
    let value = serde_json::to_string(value).expect("a fact becomes JSON");
    Fact {
        kind: kind.into(),
        key: key.to_string(),
        value: Some(value),
    }
}

fn no_fact(kind: &str, key: &impl ToString) -> Fact {
    Fact {
        kind: kind.into(),
        key: key.to_string(),
        value: None,
    }
}

/// Names a user's account.
pub(super) fn account_name(user: UserId) -> Fact {
    no_fact(ACCOUNT, &user)
}

pub(super) fn of_account(user: UserId, account: &Account) -> Fact {
    let key = |key: &Key| KeyFact {
        key: key.public.to_string(),
        added: key.added,
        seen: key.seen,
    };
    let value = AccountFact {
        role: account.role.name().to_owned(),
        admitted: account.admitted,
        since: account.since,
        keys: account.keys.iter().map(key).collect(),
    };
    fact(ACCOUNT, &user, &value)
}

/// A canonical form, however long, as a key.
fn name_key(canonical: &str) -> String {
    HEXLOWER.encode(&Sha256::digest(canonical.as_bytes())[..16])
}

pub(super) fn of_nickname(canonical: &str, owned: &Owned) -> Fact {
    let value = NicknameFact {
        user: owned.user.to_string(),
        nickname: owned.nickname.clone(),
        used: owned.used,
    };
    fact(NICKNAME, &name_key(canonical), &value)
}

pub(super) fn no_nickname(canonical: &str) -> Fact {
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

pub(super) fn of_ban(number: u64, ban: &Ban) -> Fact {
    let value = BanFact {
        user: ban.user.to_string(),
        nickname: ban.nickname.clone(),
        sites: addresses(&ban.sites),
        at: ban.at,
        until: ban.until,
        by: ban.by.clone(),
        rank: Some(ban.rank.name().to_owned()),
        reason: ban.reason.clone(),
    };
    fact(BAN, &number_key(number), &value)
}

pub(super) fn no_ban(number: u64) -> Fact {
    no_fact(BAN, &number_key(number))
}

pub(super) fn of_mute(user: UserId, mute: &Mute) -> Fact {
    let value = MuteFact {
        nickname: mute.nickname.clone(),
        sites: addresses(&mute.sites),
        at: Some(mute.at),
        until: mute.until,
        rank: Some(mute.rank.name().to_owned()),
    };
    fact(MUTE, &user, &value)
}

pub(super) fn no_mute(user: UserId) -> Fact {
    no_fact(MUTE, &user)
}

pub(super) fn of_room(room: &RoomName, rules: &RoomRules) -> Fact {
    let value = RoomFact {
        topic: rules.topic.as_ref().map(|topic| topic.as_str().to_owned()),
        announce: rules.announce,
        slow_seconds: rules.slow_seconds,
    };
    fact(ROOM, room, &value)
}

pub(super) fn of_invite(id: InviteId, known: &invites::Known) -> Fact {
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

pub(super) fn no_invite(id: InviteId) -> Fact {
    no_fact(INVITE, &id)
}

pub(super) fn of_audit(entry: &audit::Entry) -> Fact {
    let value = AuditFact {
        at: entry.at,
        user: entry.user.to_string(),
        nickname: entry.nickname.clone(),
        deed: entry.deed.clone(),
    };
    fact(AUDIT, &number_key(entry.number), &value)
}

pub(super) fn no_audit(number: u64) -> Fact {
    no_fact(AUDIT, &number_key(number))
}

/// Of him who set a ban or a mute; every moderator lifts those of which it is not known.
fn rank(name: Option<String>) -> Role {
    name.and_then(|name| Role::parse(&name).ok())
        .unwrap_or(Role::Moderator)
}

impl House {
    /// Takes in what the store has kept.
    pub(super) fn recall(&mut self, mut facts: Vec<Fact>) {
        // Numbers in their order.
        facts.sort_by(|one, other| (&one.kind, &one.key).cmp(&(&other.kind, &other.key)));
        for fact in facts {
            let Fact { kind, key, value } = fact;
            let _ = value.and_then(|value| self.recall_one(&kind, &key, &value));
        }
    }

    /// `None`: it can't be read.
    fn recall_one(&mut self, kind: &str, key: &str, value: &str) -> Option<()> {
        fn read<T: DeserializeOwned>(value: &str) -> Option<T> {
            serde_json::from_str(value).ok()
        }
        let user = |text: &str| UserId::parse(text).ok();
        match kind {
            ACCOUNT => self.recall_account(user(key)?, read(value)?),
            NICKNAME => {
                let fact: NicknameFact = read(value)?;
                let owned = Owned {
                    user: user(&fact.user)?,
                    nickname: fact.nickname,
                    used: fact.used,
                };
                let nickname = Nickname::known(&owned.nickname).ok()?;
                self.own_nickname(nickname.canonical(), owned);
            }
            BAN => {
                let fact: BanFact = read(value)?;
                let ban = Ban {
                    user: user(&fact.user)?,
                    nickname: fact.nickname,
                    sites: sites(fact.sites),
                    at: fact.at,
                    until: fact.until,
                    by: fact.by,
                    rank: rank(fact.rank),
                    reason: fact.reason,
                };
                self.bans.insert(key.parse().ok()?, ban);
            }
            MUTE => {
                let fact: MuteFact = read(value)?;
                let mute = Mute {
                    nickname: fact.nickname,
                    sites: sites(fact.sites),
                    // Where it is not known, nobody who has a key is to blame.
                    at: fact.at.unwrap_or(u64::MAX),
                    until: fact.until,
                    rank: rank(fact.rank),
                };
                self.mutes.insert(user(key)?, mute);
            }
            ROOM => {
                let fact: RoomFact = read(value)?;
                let rules = RoomRules {
                    topic: fact.topic.as_deref().map(Line::inert),
                    announce: fact.announce,
                    slow_seconds: fact.slow_seconds,
                };
                self.rules.insert(RoomName::parse(key).ok()?, rules);
            }
            INVITE => {
                let fact: InviteFact = read(value)?;
                let by_user = fact.by_user.as_deref();
                let known = invites::Known {
                    by_user: match by_user {
                        Some(by) => Some(user(by)?),
                        None => None,
                    },
                    expires: fact.expires,
                    uses: fact.uses,
                    used: fact.used,
                    revoked: fact.revoked,
                    by: fact.by,
                };
                self.invites.insert(InviteId::parse(key).ok()?, known);
            }
            AUDIT => {
                let fact: AuditFact = read(value)?;
                self.audit.push_back(audit::Entry {
                    number: key.parse().ok()?,
                    at: fact.at,
                    user: user(&fact.user)?,
                    nickname: fact.nickname,
                    deed: fact.deed,
                });
            }
            _ => return None,
        }
        Some(())
    }

    fn recall_account(&mut self, user: UserId, fact: AccountFact) {
        let key = |fact: KeyFact| {
            let public = PublicKey::parse(&fact.key).ok()?;
            Some(Key {
                public,
                added: fact.added,
                seen: fact.seen,
            })
        };
        let account = Account {
            keys: fact.keys.into_iter().filter_map(key).collect(),
            role: Role::parse(&fact.role).unwrap_or_default(),
            admitted: fact.admitted,
            since: fact.since,
        };
        let keys = account.keys.iter().map(|key| (key.public, user));
        self.keys.extend(keys);
        self.accounts.insert(user, account);
    }
}
