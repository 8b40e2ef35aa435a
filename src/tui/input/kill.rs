//! The kill ring: deleted texts that can be yanked.

use std::collections::VecDeque;

/// The most kills that are kept; the oldest are dropped.
const KILLS_MAX: usize = 32;

/// The side of the cursor on which the killed text was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Before,
    After,
}

/// The kills, newest first.
#[derive(Clone, Debug, Default)]
pub(super) struct KillRing(VecDeque<String>);

impl KillRing {
    /// Adds a kill; one that directly follows another joins it.
    pub(super) fn add(&mut self, killed: String, side: Side, follows: bool) {
        match self.0.front_mut() {
            Some(newest) if follows && side == Side::Before => newest.insert_str(0, &killed),
            Some(newest) if follows => newest.push_str(&killed),
            _ => {
                self.0.push_front(killed);
                self.0.truncate(KILLS_MAX);
            }
        }
    }

    /// Removes kills.
    pub(super) fn forget(&mut self, erased: impl Fn(&str) -> bool) {
        self.0.retain(|kill| !erased(kill));
    }

    /// The newest kill (age 0) or an older one; after the oldest comes the newest again.
    pub(super) fn get(&self, age: usize) -> Option<&str> {
        let age = age.checked_rem(self.0.len())?;
        self.0.get(age).map(String::as_str)
    }
}
