//! Members of a pane's room, as they join, leave and change, and the room's rules.

use jiff::{SignedDuration, Timestamp};

use super::{Context, Pane, presence::PresenceChange};
use crate::{
    protocol::{
        Nickname, Role, RoomRules, UserId,
        frame::{Departure, Member},
    },
    tui::user_text,
};

/// A member list is at most this old when we receive it.
const LIST_AGE_MAX: SignedDuration = SignedDuration::from_mins(1);

impl Pane {
    /// Replaces the member list.
    pub fn set_members(&mut self, mut members: Vec<Member>) {
        members.sort_by_cached_key(|member| member.nickname.folded());
        self.members = members;
    }

    /// Takes a member who joined.
    pub fn joined(&mut self, member: Member, context: Context<'_>) {
        let (nickname, time) = (member.nickname.clone(), member.since);
        let known = self.members.iter().any(|other| other.user == member.user);
        let ourselves = Some(member.user) == context.user;
        // The member list that we got on joining may be a moment old: a member who joined just
        // before us is no news, though we hear of it afterwards. Compared by the server's clock,
        // which may be set back.
        let own = self
            .members
            .iter()
            .find(|other| Some(other.user) == context.user);
        let before_us = own.is_none_or(|own| {
            let earlier = own.since.duration_since(member.since);
            earlier.is_positive() && earlier < LIST_AGE_MAX
        });
        self.upsert(member);
        if !known && !ourselves && !before_us {
            self.timeline
                .push_change(PresenceChange::Joined(nickname), time, context.zone);
        }
    }

    /// Takes a member who left.
    pub fn left(
        &mut self,
        user: UserId,
        nickname: Nickname,
        time: Timestamp,
        reason: Departure,
        context: Context<'_>,
    ) {
        self.members.retain(|member| member.user != user);
        let how = match reason {
            Departure::Disconnect | Departure::Shutdown => "left",
            Departure::Lost => "left (connection lost)",
            Departure::Timeout => "left (timed out)",
            Departure::Replaced => "left (moved to another terminal)",
            Departure::Protocol => "left (protocol error)",
            Departure::Kicked => "was kicked by a moderator",
            Departure::Banned => "was banned by a moderator",
        };
        self.timeline
            .push_change(PresenceChange::Left(nickname, how), time, context.zone);
    }

    /// Takes a change of a member's role.
    pub fn promoted(&mut self, user: UserId, role: Role, time: Timestamp, context: Context<'_>) {
        let Some(member) = self.members.iter_mut().find(|member| member.user == user) else {
            return;
        };
        let before = std::mem::replace(&mut member.role, role);
        if let Some(what) = user_text::promotion(before, role) {
            let change = PresenceChange::Did(member.nickname.clone(), what);
            self.timeline.push_change(change, time, context.zone);
        }
    }

    /// Takes a change of the room's rules; it is shown if a user made it just now.
    pub fn ruled(
        &mut self,
        rules: RoomRules,
        by: Option<Nickname>,
        time: Timestamp,
        context: Context<'_>,
    ) {
        let before = std::mem::replace(&mut self.info.rules, rules);
        let Some(by) = by else { return };
        for what in user_text::changes(&before, &self.info.rules) {
            let change = PresenceChange::Did(by.clone(), what);
            self.timeline.push_change(change, time, context.zone);
        }
    }

    /// Takes a change of a nickname.
    pub fn renamed(
        &mut self,
        user: UserId,
        was: Nickname,
        nickname: Nickname,
        time: Timestamp,
        context: Context<'_>,
    ) {
        if let Some(at) = self.members.iter().position(|member| member.user == user) {
            let mut member = self.members.remove(at);
            member.nickname = nickname.clone();
            self.upsert(member);
        }
        self.timeline
            .push_change(PresenceChange::Renamed(was, nickname), time, context.zone);
    }

    fn upsert(&mut self, member: Member) {
        self.members.retain(|other| other.user != member.user);
        let folded = member.nickname.folded();
        let at = self
            .members
            .partition_point(|other| other.nickname.folded() < folded);
        self.members.insert(at, member);
    }
}
