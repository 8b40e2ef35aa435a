//! One room's member list: pages and changes in, what is news out.

use std::collections::{BTreeMap, btree_map::Entry};

use super::user_text::ProtocolFault;
use crate::protocol::{
    Nickname, Role, RoomRules, UserId,
    frame::{Change, Departure, Member, MembersPage, Presence},
};

/// Members held in one room; a longer list is cut, so that no server can fill the memory.
pub(super) const MEMBERS_MAX: usize = 20_000;

/// The list. Changes are applied twice without harm, so pages and changes may overlap.
#[derive(Debug, Default)]
pub(super) struct Members {
    known: BTreeMap<UserId, Member>,
    /// Whether the list is complete: before that, changes are applied but are no news.
    complete: bool,
    /// The version of the last change since the last page.
    version: Option<u64>,
    /// How the room is run, as it was told last.
    rules: RoomRules,
}

/// What a change means to the user.
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
    /// May do more or less.
    Promoted(Role),
    /// The room is run otherwise; told even before the list is complete.
    Rules(RoomRules),
}

impl Members {
    /// The connection is gone: what comes next is a list anew.
    pub(super) fn close(&mut self) {
        self.known.clear();
        self.complete = false;
        self.version = None;
    }

    /// How the room is run, if a page says otherwise than what was told last.
    pub(super) fn other_rules(&mut self, page: &MembersPage) -> Option<RoomRules> {
        let rules = page.rules.as_ref().filter(|rules| **rules != self.rules)?;
        self.rules = rules.clone();
        Some(rules.clone())
    }

    /// Takes a page; the whole list once the last one is in.
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

    /// Takes a change; tells what is news about it. (A page read after the change knows it
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

    /// Adds a member, or brings him up to date; whether he was not there before.
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
