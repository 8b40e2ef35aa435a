//! Bans and mutes: whom they hit, and for how long.

use std::time::Duration;

use super::{
    ClientAddress, House, SANCTIONS_MAX, SLOW_SECONDS_MAX, Site, Who, in_words, moment, persist,
    refusal, seconds, too_often,
};
use crate::{
    protocol::{
        Nickname, Role, RoomName, RoomRules, UserId,
        frame::{ErrorCode, ErrorFrame},
    },
    text::Line,
    time::Now,
};

/// Somebody who is not to come in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ban {
    /// Who.
    pub(super) user: UserId,
    /// What he was called.
    pub(super) nickname: String,
    /// From where he came: nobody from there may come in whom the server did not know before.
    pub(super) sites: Vec<Site>,
    /// Since when, in seconds since 1970.
    pub(super) at: u64,
    /// Until when; `None`: until it is lifted.
    pub(super) until: Option<u64>,
    /// By whom.
    pub(super) by: String,
    /// What he was: nobody below that may lift it.
    pub(super) rank: Role,
    pub(super) reason: Option<String>,
    /// Whose device it was that is kept out, if it is one.
    pub(super) of: Option<UserId>,
}

/// Somebody whose messages are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mute {
    /// What he was called.
    pub(super) nickname: String,
    /// Where he was: nobody may write from there whom the server did not know before.
    pub(super) sites: Vec<Site>,
    /// Since when, in seconds since 1970.
    pub(super) at: u64,
    pub(super) until: Option<u64>,
    /// What he was who muted him: nobody below that may lift it.
    pub(super) rank: Role,
}

impl Mute {
    fn in_words(&self) -> String {
        let until = self
            .until
            .map_or_else(String::new, |until| format!(" until {}", moment(until)));
        format!("A moderator has muted you{until}")
    }
}

/// Who wrote in slowed rooms and when: remembered of so many.
const WRITERS_MAX: usize = 100_000;

fn in_force(until: Option<u64>, now: u64) -> bool {
    until.is_none_or(|until| until > now)
}

/// For how long, as the end of a sentence.
pub(super) fn for_how_long(seconds: Option<u64>) -> String {
    seconds.map_or_else(
        || "until it is lifted".to_owned(),
        |seconds| format!("for {}", in_words(Duration::from_secs(seconds))),
    )
}

pub(super) fn because(reason: Option<&Line>) -> String {
    reason.map_or_else(String::new, |reason| format!(": {reason}"))
}

impl House {
    /// Refuses who is banned, by his key or by where he comes from.
    pub(super) fn not_banned(
        &self,
        user: UserId,
        address: ClientAddress,
        now: Now,
    ) -> Result<(), ErrorFrame> {
        let (now, site) = (seconds(now.wall), address.site());
        let account = self.accounts.get(&user);
        let trusted = account.is_some_and(|account| account.role >= Role::Moderator);
        let hit = self.bans.values().find(|ban| {
            let known = account.is_some_and(|account| account.since < ban.at);
            let from_there = !trusted && !known && ban.sites.contains(&site);
            in_force(ban.until, now) && (ban.user == user || from_there)
        });
        let Some(ban) = hit else { return Ok(()) };
        let until = ban
            .until
            .map_or_else(String::new, |until| format!(" until {}", moment(until)));
        let reason = ban
            .reason
            .as_ref()
            .map_or_else(String::new, |reason| format!(": {reason}"));
        let message = format!("You are banned from this server{until}{reason}");
        Err(refusal(ErrorCode::Banned, &message))
    }

    /// Whether one more ban may be in force, at this time in seconds.
    pub(super) fn has_room_for_ban(&mut self, now: u64) -> Result<(), ErrorFrame> {
        self.forget_over(now);
        if self.bans.len() < SANCTIONS_MAX {
            return Ok(());
        }
        let message = "There are as many bans as the server remembers: lift some";
        Err(refusal(ErrorCode::NotAllowed, message))
    }

    pub(super) fn ban(&mut self, ban: Ban) -> Result<(), ErrorFrame> {
        self.has_room_for_ban(ban.at)?;
        let before = self.bans.values().filter(|other| other.user == ban.user);
        may_lift(before.map(|other| other.rank), ban.rank)?;
        // One ban a user: the later one counts.
        self.lift(|other| other.user == ban.user);
        let number = self.bans.last_key_value().map_or(1, |(last, _)| last + 1);
        self.dirty.push(persist::of_ban(number, &ban));
        self.bans.insert(number, ban);
        Ok(())
    }

    /// Lifts the bans of somebody, for one of this rank; whether there were any.
    pub(super) fn unban(&mut self, nickname: &Nickname, rank: Role) -> Result<bool, ErrorFrame> {
        let canonical = nickname.canonical();
        let owner = self.owner_of(nickname);
        let meant = |ban: &Ban| {
            let called = Nickname::known(&ban.nickname).is_ok_and(|n| n.canonical() == canonical);
            called || Some(ban.user) == owner
        };
        let hit = self.bans.values().filter(|ban| meant(ban));
        may_lift(hit.map(|ban| ban.rank), rank)?;
        Ok(self.lift(meant))
    }

    fn lift(&mut self, which: impl Fn(&Ban) -> bool) -> bool {
        let changed = &mut self.dirty;
        let before = self.bans.len();
        self.bans.retain(|number, ban| {
            let keep = !which(ban);
            if !keep {
                changed.push(persist::no_ban(*number));
            }
            keep
        });
        self.bans.len() < before
    }

    /// Lets go of what is over.
    fn forget_over(&mut self, now: u64) {
        self.lift(|ban| !in_force(ban.until, now));
        let over = self.mutes.retain(|mute| in_force(mute.until, now));
        self.dirty.extend(over.into_iter().map(persist::no_mute));
    }

    /// The bans and mutes in force, one a line.
    pub(super) fn sanction_lines(&self, now: Now) -> Vec<Line> {
        let now = seconds(now.wall);
        let until = |until: Option<u64>| {
            until.map_or_else(
                || "until lifted".to_owned(),
                |at| format!("until {}", moment(at)),
            )
        };
        let bans = self.bans.values().filter(|ban| in_force(ban.until, now));
        let bans = bans.map(|ban| {
            let reason = ban.reason.as_ref();
            let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
            format!(
                "{} banned {}, by {}{reason}",
                ban.nickname,
                until(ban.until),
                ban.by
            )
        });
        let mutes = self.mutes.values().filter(|mute| in_force(mute.until, now));
        let mutes = mutes.map(|mute| format!("{} muted {}", mute.nickname, until(mute.until)));
        bans.chain(mutes).map(|text| Line::inert(&text)).collect()
    }

    pub(super) fn mute(&mut self, user: UserId, mute: Mute, now: Now) -> Result<(), ErrorFrame> {
        self.forget_over(seconds(now.wall));
        if self.mutes.len() >= SANCTIONS_MAX {
            let message = "There are as many mutes as the server remembers: lift some";
            return Err(refusal(ErrorCode::NotAllowed, message));
        }
        let before = self.mutes.get(user).map(|before| before.rank);
        may_lift(before, mute.rank)?;
        self.dirty.push(persist::of_mute(user, &mute));
        self.mutes.insert(user, mute);
        Ok(())
    }

    /// Lifts somebody's mute, for one of this rank; whether there was one.
    pub(super) fn unmute(&mut self, user: UserId, rank: Role) -> Result<bool, ErrorFrame> {
        may_lift(self.mutes.get(user).map(|mute| mute.rank), rank)?;
        let was = self.mutes.remove(user);
        if was {
            self.dirty.push(persist::no_mute(user));
        }
        Ok(was)
    }

    /// What mutes somebody who writes: his own mute, or that of somebody who was where he is, if he
    /// is not known since before it.
    fn mute_of(&self, writer: Writer, now: u64) -> Option<&Mute> {
        let own = self.mutes.get(writer.user);
        let own = own.filter(|mute| in_force(mute.until, now));
        if own.is_some() || writer.role >= Role::Moderator {
            return own;
        }
        let since = self.accounts.get(&writer.user).map(|known| known.since);
        let hits =
            |mute: &&Mute| in_force(mute.until, now) && since.is_none_or(|since| since >= mute.at);
        self.mutes.at(writer.address.site()).find(hits)
    }

    /// Refuses what everybody would read to somebody who is muted.
    pub(super) fn not_muted(&self, writer: Writer, now: Now) -> Result<(), ErrorFrame> {
        let mute = self.mute_of(writer, seconds(now.wall));
        mute.map_or(Ok(()), |mute| {
            Err(refusal(ErrorCode::NotAllowed, &mute.in_words()))
        })
    }

    /// Whether somebody who is muted may come in under a nickname: their own mute leaves them the
    /// nickname that they had, and those that they own, since all read who comes.
    pub(super) fn not_muted_as(
        &self,
        user: UserId,
        nickname: &Nickname,
        now: Now,
    ) -> Result<(), ErrorFrame> {
        let mute = self.mutes.get(user);
        let Some(mute) = mute.filter(|mute| in_force(mute.until, seconds(now.wall))) else {
            return Ok(());
        };
        let had = Nickname::known(&mute.nickname);
        let had = had.is_ok_and(|had| had.canonical() == nickname.canonical());
        if had || self.owner_of(nickname) == Some(user) {
            return Ok(());
        }
        let message = format!("{}: come in as {}", mute.in_words(), mute.nickname);
        Err(refusal(ErrorCode::NotAllowed, &message))
    }

    /// Notes that somebody who is muted comes in, if they are; or says for how long they may not:
    /// everybody is told of it.
    pub(super) fn may_come_muted(&mut self, writer: Writer, now: Now) -> Result<(), ErrorFrame> {
        let at = seconds(now.wall);
        if self.mute_of(writer, at).is_none() {
            return Ok(());
        }
        // A fresh key is no other place.
        let own = self.mutes.get(writer.user);
        let who = match own.filter(|mute| in_force(mute.until, at)) {
            Some(_) => Who::User(writer.user),
            None => Who::From(writer.address.site()),
        };
        let taken = self.rates.muted_joins.take(who, now.mono);
        taken.map_err(|wait| too_often("You are muted, and come in too often", wait))
    }

    /// Whether somebody may write in a room now, and notes that he does. An error with
    /// `retry_after_ms` passes; any other is for good.
    pub fn may_write(
        &mut self,
        writer: Writer,
        room: &RoomName,
        rules: &RoomRules,
        now: Now,
    ) -> Result<(), ErrorFrame> {
        self.not_muted(writer, now)?;
        let moderator = writer.role >= Role::Moderator;
        if rules.announce && !moderator {
            let message = "Only moderators write in this room";
            return Err(refusal(ErrorCode::NotAllowed, message));
        }
        let slowed = rules.slow_seconds > 0 && !moderator;
        let place = (writer.who(), room.clone());
        if slowed {
            let pause = Duration::from_secs(rules.slow_seconds);
            let last = self.wrote.get(&place);
            let wait = last.map(|last| (*last + pause).saturating_sub(now.mono));
            if let Some(wait) = wait.filter(|wait| !wait.is_zero()) {
                return Err(too_often("This room is slowed down", wait));
            }
        }
        let taken = self.rates.messages.take(writer.who(), now.mono);
        taken.map_err(|wait| too_often("You write too fast", wait))?;
        self.note_writing(writer.user, now);
        if slowed {
            self.forget_writers(now.mono);
            self.wrote.insert(place, now.mono);
        }
        Ok(())
    }

    /// Nobody waits longer than the longest pause there can be.
    fn forget_writers(&mut self, now: Duration) {
        if self.wrote.len() >= WRITERS_MAX {
            let longest = Duration::from_secs(SLOW_SECONDS_MAX);
            self.wrote.retain(|_, last| *last + longest > now);
        }
        if self.wrote.len() >= WRITERS_MAX {
            self.wrote.clear();
        }
    }
}

/// Whether somebody of this rank may lift what those of these ranks have set.
fn may_lift(set: impl IntoIterator<Item = Role>, rank: Role) -> Result<(), ErrorFrame> {
    match set.into_iter().max() {
        Some(by) if by > rank => {
            let message = format!("That was set by the {by}: only the {by} changes it");
            Err(refusal(ErrorCode::NotAllowed, &message))
        }
        _ => Ok(()),
    }
}

/// Who writes.
#[derive(Clone, Copy, Debug)]
pub struct Writer {
    /// Who.
    pub user: UserId,
    /// What he may do.
    pub role: Role,
    /// From where.
    pub address: ClientAddress,
}

impl Writer {
    pub(super) fn who(&self) -> Who {
        who(self.user, self.role, self.address)
    }
}

/// Who somebody is to the measures.
pub fn who(user: UserId, role: Role, address: ClientAddress) -> Who {
    // On this machine itself everybody has the same address, and is its operator's guest.
    let many = address.is_this_machine();
    match role {
        Role::Unverified if !many => Who::From(address.site()),
        _ => Who::User(user),
    }
}

/// The places that a ban of somebody closes who came from here.
pub(super) fn closable(addresses: &[ClientAddress]) -> Vec<Site> {
    let closable = addresses.iter().filter_map(|address| address.closable());
    let mut sites: Vec<_> = closable.collect();
    sites.sort_unstable();
    sites.dedup();
    // One user's sessions come from few places.
    sites.truncate(8);
    sites
}
