//! Moderation: bans, mutes, slow mode, and the audit trail.

use self::{audit::Audit, bans::Bans, mutes::Mutes, slow_mode::SlowMode};
use super::persist::Persist;
use crate::{protocol::UserId, server::log::StateRecord, text::Line};

pub mod audit;
pub mod bans;
pub mod mutes;
pub mod sanction;
pub mod slow_mode;

/// The decisions of moderators.
#[derive(Debug)]
pub struct Moderation {
    /// Users who may not join.
    pub bans: Bans,
    /// Users whose messages are refused.
    pub mutes: Mutes,
    /// When users last wrote in rooms in slow mode.
    pub slow_mode: SlowMode,
    /// The audit trail.
    pub audit: Audit,
}

impl Moderation {
    /// Loads the store's records.
    pub fn load(records: &[StateRecord]) -> Self {
        Self {
            bans: Bans::load(records),
            mutes: Mutes::load(records),
            slow_mode: SlowMode::default(),
            audit: Audit::load(records),
        }
    }

    /// The records, for a commit.
    pub fn records(&mut self) -> [&mut dyn Persist; 3] {
        [
            self.bans.records(),
            self.mutes.records(),
            self.audit.records(),
        ]
    }

    /// Removes bans and mutes that have ended.
    pub fn forget_over(&mut self, now: u64) {
        self.bans.forget_over(now);
        self.mutes.forget_over(now);
    }

    /// The users with a ban or mute, in force or ended lately: their accounts are needed.
    pub fn concerns(&self) -> impl Iterator<Item = UserId> {
        self.bans.users().chain(self.mutes.users())
    }

    /// The bans and mutes in force, one a line.
    pub fn lines(&self, now: u64) -> Vec<Line> {
        self.bans.lines(now).chain(self.mutes.lines(now)).collect()
    }
}
