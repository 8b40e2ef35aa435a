//! Members of a pane's room, as they come, go and change, and the rules of the room.

use jiff::{SignedDuration, Timestamp};

use super::{Context, Pane, presence::PresenceChange};
use crate::{
    protocol::{
        Nickname, Role, RoomRules, UserId,
        frame::{Departure, Member},
    },
    tui::user_text,
};

/// A member list is no older than this when it is given.
const LIST_AGE_MAX: SignedDuration = SignedDuration::from_mins(1);

impl Pane {
    /// The whole member list.
    pub fn set_members(&mut self, mut members: Vec<Member>) {
        members.sort_by_cached_key(|member| member.nickname.folded());
        self.members = members;
    }

    /// Somebody came in.
    pub fn joined(&mut self, member: Member, context: Context<'_>) {
        let (nickname, time) = (member.nickname.clone(), member.since);
        let known = self.members.iter().any(|other| other.user == member.user);
        let ourselves = Some(member.user) == context.user;
        // The list that we were given on coming in may be a moment old: who came just before us is no
        // news, though we hear of them after. By the server's clock, which may be set back.
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

    /// Somebody went.
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
            Departure::Timeout => "left (not heard from any more)",
            Departure::Replaced => "left (moved to another terminal)",
            Departure::Protocol => "left (broke the protocol)",
            Departure::Kicked => "was sent away by a moderator",
            Departure::Banned => "was banned by a moderator",
        };
        self.timeline
            .push_change(PresenceChange::Left(nickname, how), time, context.zone);
    }

    /// Somebody may do more or less.
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

    /// The room is run otherwise; told of where somebody did that just now.
    pub fn ruled(
        &mut self,
        rules: RoomRules,
        by: Option<Nickname>,
        time: Timestamp,
        context: Context<'_>,
    ) {
        let before = std::mem::replace(&mut self.rules, rules);
        let Some(by) = by else { return };
        for what in user_text::changes(&before, &self.rules) {
            let change = PresenceChange::Did(by.clone(), what);
            self.timeline.push_change(change, time, context.zone);
        }
    }

    /// Somebody took another nickname.
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
