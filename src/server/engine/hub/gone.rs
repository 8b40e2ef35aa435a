//! Who has just left: so that somebody who goes quickly is still meant by his nickname.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::{
    protocol::{Nickname, Role, UserId},
    server::network::ClientAddress,
};

/// How long it is known who left.
const KNOWN_FOR: Duration = Duration::from_hours(1);
/// Of how many it is known; the first to have left are forgotten first.
const KNOWN_MAX: usize = 1_000;

/// Somebody who left.
#[derive(Clone, Debug)]
pub(super) struct Gone {
    pub(super) user: UserId,
    pub(super) nickname: Nickname,
    pub(super) role: Role,
    /// From where he was here.
    pub(super) address: ClientAddress,
}

/// See the module's docs.
#[derive(Default)]
pub(super) struct JustLeft {
    /// By the canonical form of the nickname, with when it was.
    by_name: HashMap<String, (Duration, Gone)>,
    /// The same, in the order of time.
    order: VecDeque<(Duration, String)>,
}

impl JustLeft {
    /// Notes that somebody left.
    pub(super) fn note(&mut self, gone: Gone, now: Duration) {
        let canonical = gone.nickname.canonical();
        self.order.push_back((now, canonical.clone()));
        self.by_name.insert(canonical, (now, gone));
        let over = |(at, _): &(Duration, String)| *at + KNOWN_FOR <= now;
        while self.order.len() > KNOWN_MAX || self.order.front().is_some_and(over) {
            let Some((at, canonical)) = self.order.pop_front() else {
                return;
            };
            // He may have come back and left again.
            if self
                .by_name
                .get(&canonical)
                .is_some_and(|(last, _)| *last == at)
            {
                self.by_name.remove(&canonical);
            }
        }
    }

    /// Who left by this nickname a short while ago.
    pub(super) fn find(&self, nickname: &Nickname, now: Duration) -> Option<&Gone> {
        let (at, gone) = self.by_name.get(&nickname.canonical())?;
        (*at + KNOWN_FOR > now).then_some(gone)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_known_of_so_many_and_so_long() {
        let mut left = JustLeft::default();
        let gone = |name: &str| Gone {
            user: UserId::from_bytes([1; 12]),
            nickname: Nickname::parse(name).unwrap(),
            role: Role::Member,
            address: ClientAddress::Known("192.0.2.1:7".parse().unwrap()),
        };
        let known = |left: &JustLeft, name: &str, now| {
            left.find(&Nickname::parse(name).unwrap(), now).is_some()
        };
        let second = Duration::from_secs(1);
        left.note(gone("bob"), second);
        assert!(known(&left, "BOB", second * 3_600));
        assert!(!known(&left, "bob", second * 3_601));
        for number in 0..KNOWN_MAX {
            left.note(gone(&format!("n{number}")), second * 2);
        }
        assert!(!known(&left, "bob", second * 2));
        assert!(left.by_name.len() <= KNOWN_MAX && left.order.len() <= KNOWN_MAX);
        left.note(gone("carol"), second * 9_000);
        assert_eq!((left.by_name.len(), left.order.len()), (1, 1));
    }
}
