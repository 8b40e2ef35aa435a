//! Users who left recently: a command can still name them, and they keep their nickname when they
//! return.

use std::{
    collections::{HashMap, VecDeque},
    time::Duration,
};

use crate::{
    protocol::{Nickname, Role, UserId},
    server::network::ClientAddress,
};

/// How long a user is remembered.
const KNOWN_FOR: Duration = Duration::from_hours(1);
/// Most nicknames remembered; those that left first are forgotten first.
const KNOWN_MAX: usize = 1_000;

/// A user who left.
#[derive(Clone, Debug)]
pub(super) struct WhowasRecord {
    pub(super) user: UserId,
    pub(super) nickname: Nickname,
    pub(super) role: Role,
    /// The address of their last session.
    pub(super) address: ClientAddress,
}

/// Users who left recently; see the module's docs.
#[derive(Default)]
pub(super) struct Whowas {
    /// Users by the canonical form of their nickname, with the time when they left.
    by_name: HashMap<String, (Duration, WhowasRecord)>,
    /// The same nicknames in the order of time.
    order: VecDeque<(Duration, String)>,
    /// The canonical form of each user's last nickname.
    by_user: HashMap<UserId, String>,
}

impl Whowas {
    /// Notes that a user left.
    pub(super) fn note(&mut self, gone: WhowasRecord, now: Duration) {
        let canonical = gone.nickname.canonical();
        self.order.push_back((now, canonical.clone()));
        let user = gone.user;
        if let Some((_, before)) = self.by_name.insert(canonical.clone(), (now, gone)) {
            self.forget(before.user, &canonical);
        }
        self.by_user.insert(user, canonical);
        let over = |(at, _): &(Duration, String)| *at + KNOWN_FOR <= now;
        while self.order.len() > KNOWN_MAX || self.order.front().is_some_and(over) {
            let Some((at, canonical)) = self.order.pop_front() else {
                return;
            };
            // The user may have come back and left again.
            if self
                .by_name
                .get(&canonical)
                .is_some_and(|(last, _)| *last == at)
                && let Some((_, gone)) = self.by_name.remove(&canonical)
            {
                self.forget(gone.user, &canonical);
            }
        }
    }

    /// Forgets a user's last nickname, unless they have left with another since.
    fn forget(&mut self, user: UserId, canonical: &str) {
        if self
            .by_user
            .get(&user)
            .is_some_and(|last| last == canonical)
        {
            self.by_user.remove(&user);
        }
    }

    /// The user who left with this nickname recently.
    pub(super) fn find(&self, nickname: &Nickname, now: Duration) -> Option<&WhowasRecord> {
        let (at, gone) = self.by_name.get(&nickname.canonical())?;
        (*at + KNOWN_FOR > now).then_some(gone)
    }

    /// The nickname with which a user left recently.
    pub(super) fn nickname(&self, user: UserId, now: Duration) -> Option<&Nickname> {
        let (at, gone) = self.by_name.get(self.by_user.get(&user)?)?;
        (*at + KNOWN_FOR > now).then_some(&gone.nickname)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_remembers_a_limited_number_for_a_limited_time() {
        let mut left = Whowas::default();
        let gone = |name: &str| WhowasRecord {
            user: UserId::from_bytes([1; 12]),
            nickname: Nickname::parse(name).unwrap(),
            role: Role::Member,
            address: ClientAddress::Known("192.0.2.1:7".parse().unwrap()),
        };
        let known = |left: &Whowas, name: &str, now| {
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
        assert_eq!(left.by_user.len(), 1, "and nobody else's");
    }

    #[test]
    fn a_user_is_known_by_the_nickname_of_their_last_leaving() {
        let mut left = Whowas::default();
        let user = |byte| UserId::from_bytes([byte; 12]);
        let gone = |byte, name: &str| WhowasRecord {
            user: user(byte),
            nickname: Nickname::parse(name).unwrap(),
            role: Role::Member,
            address: ClientAddress::Known("192.0.2.1:7".parse().unwrap()),
        };
        let second = Duration::from_secs(1);
        left.note(gone(1, "bob"), second);
        left.note(gone(1, "rob"), second * 2);
        let name = |left: &Whowas, byte, now| {
            let name = left.nickname(user(byte), now);
            name.map(|name| name.as_str().to_owned())
        };
        assert_eq!(name(&left, 1, second * 3).as_deref(), Some("rob"));
        left.note(gone(2, "bob"), second * 3);
        assert_eq!(name(&left, 1, second * 3).as_deref(), Some("rob"));
        assert_eq!(name(&left, 2, second * 3).as_deref(), Some("bob"));
        left.note(gone(2, "rob"), second * 4);
        assert_eq!(name(&left, 1, second * 4), None, "it is another's now");
        assert_eq!(name(&left, 2, second * 3_604), None, "long ago");
    }
}
