//! One room's member list: takes pages and changes, and returns what is new to the user.

use std::collections::{BTreeMap, btree_map::Entry};

use super::user_text::ProtocolFault;
use crate::protocol::{
    Nickname, Role, RoomRules, UserId,
    frame::{Change, Departure, Member, MembersPage, Presence},
};

/// Members held in one room; a longer list is cut, so that no server can fill the memory.
pub(super) const MEMBERS_MAX: usize = 20_000;

/// The member list. Applying a change twice is harmless, so pages and changes may overlap.
#[derive(Debug, Default)]
pub(super) struct Members {
    known: BTreeMap<UserId, Member>,
    /// Whether the list is complete: before that, changes are applied but not reported.
    complete: bool,
    /// The version of the last change since the last page.
    version: Option<u64>,
    /// The room's rules, as last reported.
    rules: RoomRules,
}

/// A change, as the user sees it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum MemberChange {
    Joined(Member),
    Left {
        nickname: Nickname,
        reason: Departure,
    },
    Renamed {
        was: Nickname,
    },
    /// Changed role.
    Promoted(Role),
    /// The room's rules changed; reported even before the list is complete.
    Rules(RoomRules),
}

impl Members {
    /// The connection has closed: the next one sends a new list.
    pub(super) fn close(&mut self) {
        self.known.clear();
        self.complete = false;
        self.version = None;
    }

    /// The room's rules, if a page differs from those last reported.
    pub(super) fn other_rules(&mut self, page: &MembersPage) -> Option<RoomRules> {
        let rules = page.rules.as_ref().filter(|rules| **rules != self.rules)?;
        self.rules = rules.clone();
        Some(rules.clone())
    }

    /// Takes a page; returns the whole list once the last page is in.
    pub(super) fn page(&mut self, page: MembersPage) -> Result<Option<Vec<Member>>, ProtocolFault> {
        if page.start {
            self.close();
        } else if self.complete {
            return Err(ProtocolFault::new(
                "a page of members that belongs to no list",
            ));
        }
        self.version = None;
        for member in page.members {
            self.insert(member);
        }
        if page.more {
            return Ok(None);
        }
        self.complete = true;
        Ok(Some(self.known.values().cloned().collect()))
    }

    /// Applies a change; returns it if it is new. (A page read after the change contains it
    /// already.)
    pub(super) fn change(
        &mut self,
        presence: Presence,
    ) -> Result<Option<MemberChange>, ProtocolFault> {
        if self.version.is_some_and(|v| presence.version != v + 1) {
            return Err(ProtocolFault::new("a change of the member list is missing"));
        }
        self.version = Some(presence.version);
        let news = match presence.change {
            Change::Joined => {
                let member = Member {
                    user: presence.user,
                    nickname: presence.nickname,
                    since: presence.time,
                    role: presence.role,
                };
                self.insert(member.clone())
                    .then_some(MemberChange::Joined(member))
            }
            Change::Left(reason) => {
                self.known
                    .remove(&presence.user)
                    .map(|member| MemberChange::Left {
                        nickname: member.nickname,
                        reason,
                    })
            }
            Change::Renamed { .. } => self.rename(&presence),
            Change::Promoted => self.promote(&presence),
            Change::Rules(rules) => {
                self.rules = rules.clone();
                return Ok(Some(MemberChange::Rules(rules)));
            }
        };
        Ok(news.filter(|_| self.complete))
    }

    /// Adds or updates a member; returns whether they are new.
    fn insert(&mut self, member: Member) -> bool {
        let room = self.known.len() < MEMBERS_MAX;
        match self.known.entry(member.user) {
            Entry::Occupied(mut known) => {
                known.insert(member);
                false
            }
            Entry::Vacant(place) if room => {
                place.insert(member);
                true
            }
            Entry::Vacant(_) => false,
        }
    }

    fn promote(&mut self, presence: &Presence) -> Option<MemberChange> {
        let member = self.known.get_mut(&presence.user)?;
        let was = std::mem::replace(&mut member.role, presence.role);
        (was != presence.role).then_some(MemberChange::Promoted(presence.role))
    }

    fn rename(&mut self, presence: &Presence) -> Option<MemberChange> {
        let member = self.known.get_mut(&presence.user)?;
        if member.nickname == presence.nickname {
            return None;
        }
        let was = std::mem::replace(&mut member.nickname, presence.nickname.clone());
        Some(MemberChange::Renamed { was })
    }
}
