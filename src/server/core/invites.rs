//! Invites: those made in the chat, how often each was used, and which are revoked.
//!
//! An invite is signed by the server's key. Those made by `chat-server invite` are known here from
//! their first use on.

use std::ops::Deref;

use serde::{Deserialize, Serialize};

use super::{
    format::{moment, seconds},
    persist::{RecordMap, json_record},
};
use crate::{
    protocol::{
        InviteId, InviteKey, InviteToken, Nickname, UserId,
        frame::{ErrorCode, ErrorFrame},
    },
    server::log::StateRecord,
    text::Line,
    time::Now,
};

/// Most invites remembered.
pub const INVITES_MAX: usize = 10_000;
/// Default lifetime in seconds of an invite made in the chat.
pub const INVITE_SECONDS_DEFAULT: u64 = 7 * 24 * 3600;
/// Longest lifetime of an invite in seconds.
pub const INVITE_SECONDS_MAX: u64 = 366 * 24 * 3600;

const FULL: &str = "The server can't hold more invites: wait until one expires";

/// The record of an invite.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Invite {
    /// In seconds since 1970.
    expires: u64,
    /// How many people it admits; 0: any number.
    uses: u16,
    used: u64,
    revoked: bool,
    /// The nickname of the user who made it in the chat.
    by: Option<String>,
    /// The id of that user; older servers did not note it.
    #[serde(default)]
    by_user: Option<UserId>,
}

/// The number of invites revoked because of the user who made them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Revoked {
    /// The invites.
    pub invites: usize,
    /// The people who have joined with them.
    pub used: u64,
}

/// A valid invite.
#[derive(Clone, Copy, Debug)]
pub struct GoodInvite(InviteToken);

impl Deref for GoodInvite {
    type Target = InviteToken;

    fn deref(&self) -> &InviteToken {
        &self.0
    }
}

/// All invites that are remembered.
#[derive(Debug)]
pub struct Invites {
    /// The key that signs and checks invites.
    key: InviteKey,
    invites: RecordMap<Invite>,
}

impl Invites {
    /// The invites among the store's records.
    pub fn load(key: InviteKey, records: &[StateRecord]) -> Self {
        Self {
            key,
            invites: RecordMap::load(records),
        }
    }

    /// The records, for a commit.
    pub fn records(&mut self) -> &mut RecordMap<Invite> {
        &mut self.invites
    }

    /// Checks an invite that a client sent.
    pub fn check(&self, token: &InviteToken, now: Now) -> Result<GoodInvite, ErrorFrame> {
        let bad = |message: &str| Err(ErrorFrame::new(ErrorCode::BadInvite, message));
        if !token.is_from(&self.key) {
            return bad("The invite is not from this server: ask for another");
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
                bad("The server can't hold more invites: tell its owner")
            }
            Some(_) | None => Ok(GoodInvite(*token)),
        }
    }

    /// Counts a use of an invite.
    pub fn use_up(&mut self, token: GoodInvite, now: Now) {
        let id = token.id();
        // There was room when it was checked.
        let _ = self.make_room(id, now);
        if !self.invites.contains_key(&id) {
            let unknown = Invite {
                expires: token.expires(),
                uses: token.uses(),
                ..Invite::unknown()
            };
            self.invites.insert(id, unknown);
        }
        self.invites.update(&id, |known| known.used += 1);
    }

    /// Makes an invite for a user. `lasts`: its lifetime in seconds.
    pub fn make(
        &mut self,
        id: InviteId,
        uses: u16,
        lasts: Option<u64>,
        (by_user, by): (UserId, &Nickname),
        now: Now,
    ) -> Result<InviteToken, ErrorFrame> {
        let lasts = lasts.unwrap_or(INVITE_SECONDS_DEFAULT);
        let lasts = lasts.clamp(1, INVITE_SECONDS_MAX);
        let expires = seconds(now.wall).saturating_add(lasts);
        self.make_room(id, now)?;
        let known = Invite {
            expires,
            uses,
            by: Some(by.as_str().to_owned()),
            by_user: Some(by_user),
            ..Invite::unknown()
        };
        self.invites.insert(id, known);
        Ok(InviteToken::mint(&self.key, id, expires, uses))
    }

    /// Makes room for one more invite, by removing another one if need be.
    fn make_room(&mut self, id: InviteId, now: Now) -> Result<(), ErrorFrame> {
        self.forget_expired(seconds(now.wall));
        if self.invites.contains_key(&id) || self.invites.len() < INVITES_MAX {
            return Ok(());
        }
        match self.dispensable(now) {
            Some(other) => {
                self.invites.remove(&other);
                Ok(())
            }
            None => Err(ErrorFrame::new(ErrorCode::NotAllowed, FULL)),
        }
    }

    /// The invite to remove where there is no room: one that has expired, else one that was revoked
    /// before it was known; of these the one that expires first.
    fn dispensable(&self, now: Now) -> Option<InviteId> {
        let now = seconds(now.wall);
        let over = |known: &Invite| known.expires <= now;
        let unknown = |known: &Invite| known.revoked && known.used == 0 && known.by.is_none();
        self.invites
            .iter()
            .filter(|(_, known)| over(known) || unknown(known))
            .min_by_key(|(id, known)| (!over(known), known.expires, **id))
            .map(|(id, _)| *id)
    }

    /// Removes invites that expired long ago. Those that expired lately stay for a while: otherwise
    /// a clock that was once far ahead would make used and revoked invites valid again.
    fn forget_expired(&mut self, now: u64) {
        self.invites
            .retain(|known| known.expires.saturating_add(INVITE_SECONDS_MAX) > now);
    }

    /// Revokes an invite. An unknown one is noted as well: those made by `chat-server invite` are
    /// not known before their first use.
    pub fn revoke(&mut self, id: InviteId, now: Now) -> Result<(), ErrorFrame> {
        self.make_room(id, now)?;
        if !self.invites.contains_key(&id) {
            let unknown = Invite {
                // The longest possible lifetime.
                expires: seconds(now.wall).saturating_add(INVITE_SECONDS_MAX),
                ..Invite::unknown()
            };
            self.invites.insert(id, unknown);
        }
        self.invites.update(&id, |known| known.revoked = true);
        Ok(())
    }

    /// Revokes the invites that a user has made; of older servers' invites, those made under a
    /// nickname that is theirs (`is_theirs`). Those made by `chat-server invite` are the
    /// operator's.
    pub fn revoke_of(
        &mut self,
        user: UserId,
        is_theirs: impl Fn(&Nickname) -> bool,
        now: Now,
    ) -> Revoked {
        let now = seconds(now.wall);
        let made_by_them = |known: &Invite| match (known.by_user, &known.by) {
            (Some(by), _) => by == user,
            (None, Some(by)) => Nickname::known(by).is_ok_and(|by| is_theirs(&by)),
            (None, None) => false,
        };
        let theirs = self.invites.iter();
        let theirs = theirs.filter(|(_, known)| known.is_good(now) && made_by_them(known));
        let theirs: Vec<_> = theirs.map(|(id, _)| *id).collect();
        let mut revoked = Revoked::default();
        for id in theirs {
            revoked.invites += 1;
            self.invites.update(&id, |known| {
                known.revoked = true;
                revoked.used += known.used;
            });
        }
        revoked
    }

    /// The invites that are neither expired nor revoked, one a line.
    pub fn lines(&self, now: Now) -> Vec<Line> {
        let now = seconds(now.wall);
        let known = self.invites.iter();
        let mut known: Vec<_> = known.filter(|(_, known)| known.is_good(now)).collect();
        known.sort_by_key(|(id, known)| (known.expires, **id));
        let line = |(id, known): (&InviteId, &Invite)| {
            let uses = match known.uses {
                0 => format!("used by {}", known.used),
                uses => format!("used by {} of {uses}", known.used),
            };
            let by = known.by.as_ref().map(|by| format!(", made by {by}"));
            let (until, by) = (moment(known.expires), by.unwrap_or_default());
            Line::inert(&format!("{id}  until {until}, {uses}{by}"))
        };
        known.into_iter().map(line).collect()
    }
}

impl Invite {
    /// An invite that was not made in the chat.
    fn unknown() -> Self {
        Self {
            expires: 0,
            uses: 0,
            used: 0,
            revoked: false,
            by: None,
            by_user: None,
        }
    }

    /// Whether it has neither expired nor was revoked.
    fn is_good(&self, now: u64) -> bool {
        self.expires > now && !self.revoked
    }
}

json_record!(Invite, "invite", InviteId);
