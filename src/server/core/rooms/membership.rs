//! The record of a user's membership in a room.

use std::fmt;

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::span::Span;
use crate::{
    protocol::{NotifyLevel, Preferences, ReadMarker, RoomId, UserId},
    server::core::persist::{Record, from_json, to_json},
};

/// Most spans of one membership: the oldest is dropped for one more.
pub const SPANS_MAX: usize = 64;

/// A user and a room; sorted by the user.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MembershipKey {
    /// The user.
    pub user: UserId,
    /// The room.
    pub room: RoomId,
}

impl fmt::Debug for MembershipKey {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.user, self.room)
    }
}

/// What is kept about a user in a room, also after they have left a private room. There may be very
/// many, so that what few have is behind a pointer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Membership {
    /// The numbers of the entries that they may read: of the times when they were members. Only the
    /// last one can be open, while they are a member.
    spans: SmallVec<[Span; 1]>,
    /// Whether they moderate the room.
    pub moderator: bool,
    /// How far they have read.
    pub marker: ReadMarker,
    /// Their settings; `None`: none was changed.
    preferences: Option<Box<Preferences>>,
}

/// A user's relation to a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// They were never in it.
    Stranger,
    /// They were a member of it.
    Former,
    /// They are a member.
    Member,
    /// They are a member, and the room's moderator.
    Moderator,
}

impl Standing {
    /// Whether they are a member.
    pub fn is_member(self) -> bool {
        match self {
            Self::Member | Self::Moderator => true,
            Self::Stranger | Self::Former => false,
        }
    }
}

impl Membership {
    /// A new membership, for entries from a number on.
    pub fn new(from: u64, marker: u64) -> Self {
        let mut membership = Self::default();
        membership.begin(from, marker);
        membership
    }

    /// Whether it is in force.
    pub fn is_current(&self) -> bool {
        self.spans.last().is_some_and(|span| span.is_open())
    }

    /// The user's relation to the room.
    pub fn standing(&self) -> Standing {
        match (self.is_current(), self.moderator) {
            (true, true) => Standing::Moderator,
            (true, false) => Standing::Member,
            (false, _) => Standing::Former,
        }
    }

    /// The numbers of the entries from the times when they were a member.
    pub fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// Starts it, or starts it again, for entries from a number on.
    pub(super) fn begin(&mut self, from: u64, marker: u64) {
        if self.spans.len() >= SPANS_MAX {
            self.spans.remove(0);
        }
        self.spans.push(Span::open(from));
        self.marker.seq = self.marker.seq.max(marker);
    }

    /// The number of the first entry of the present one.
    pub fn begins(&self) -> Option<u64> {
        let last = self.spans.last()?;
        last.is_open().then_some(last.from)
    }

    /// Begins the present one at an earlier entry.
    pub(super) fn begin_at(&mut self, from: u64) {
        if let Some(last) = self.spans.last_mut().filter(|last| last.is_open()) {
            last.from = from;
        }
    }

    /// Ends it after an entry.
    pub(super) fn end(&mut self, head: u64) {
        self.moderator = false;
        if let Some(last) = self.spans.last_mut() {
            last.to = head;
            if last.is_empty() {
                self.spans.pop();
            }
        }
    }

    /// Their settings.
    pub fn preferences(&self) -> Preferences {
        self.preferences.as_deref().copied().unwrap_or_default()
    }

    /// Changes their settings.
    pub(super) fn prefer(&mut self, preferences: Preferences) {
        let changed = preferences != Preferences::default();
        self.preferences = changed.then(|| Box::new(preferences));
    }
}

/// The stored form: as short as it can be, since there may be very many.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Stored {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    spans: Vec<(u64, Option<u64>)>,
    #[serde(skip_serializing_if = "is_default")]
    moderator: bool,
    #[serde(skip_serializing_if = "is_default")]
    read: u64,
    #[serde(skip_serializing_if = "is_default")]
    generation: u64,
    #[serde(skip_serializing_if = "is_default")]
    notify: StoredLevel,
    #[serde(skip_serializing_if = "Option::is_none")]
    quiet_until: Option<String>,
    #[serde(skip_serializing_if = "is_default")]
    favourite: bool,
    #[serde(skip_serializing_if = "is_default")]
    hidden: bool,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum StoredLevel {
    All,
    #[default]
    Mentions,
    None,
}

impl Record for Membership {
    const KIND: &'static str = "member";
    type Key = MembershipKey;

    fn key(key: &MembershipKey) -> String {
        format!("{} {}", key.user, key.room)
    }

    fn encode(&self) -> String {
        let preferences = self.preferences();
        let end = |span: &Span| (!span.is_open()).then_some(span.to);
        to_json(&Stored {
            spans: self
                .spans
                .iter()
                .map(|span| (span.from, end(span)))
                .collect(),
            moderator: self.moderator,
            read: self.marker.seq,
            generation: self.marker.generation,
            notify: match preferences.notify {
                NotifyLevel::All => StoredLevel::All,
                NotifyLevel::Mentions => StoredLevel::Mentions,
                NotifyLevel::Nothing => StoredLevel::None,
            },
            quiet_until: preferences.quiet_until.map(|time| time.to_string()),
            favourite: preferences.favourite,
            hidden: preferences.hidden,
        })
    }

    fn decode(key: &str, value: &str) -> Option<(MembershipKey, Self)> {
        let (user, room) = key.split_once(' ')?;
        let key = MembershipKey {
            user: UserId::parse(user).ok()?,
            room: RoomId::parse(room).ok()?,
        };
        let stored: Stored = from_json(value)?;
        let span = |(from, to): (u64, Option<u64>)| Span {
            from,
            to: to.unwrap_or(Span::OPEN),
        };
        let spans: SmallVec<[Span; 1]> = stored.spans.into_iter().map(span).collect();
        // Each ends before the next begins.
        if spans.iter().any(|span| span.from == 0 || span.is_empty())
            || !spans.is_sorted_by(|one, next| one.to < next.from)
        {
            return None;
        }
        let mut membership = Self {
            spans,
            moderator: stored.moderator,
            marker: ReadMarker {
                seq: stored.read,
                generation: stored.generation,
            },
            preferences: None,
        };
        let quiet_until = match stored.quiet_until {
            Some(time) => Some(time.parse().ok()?),
            None => None,
        };
        membership.prefer(Preferences {
            notify: match stored.notify {
                StoredLevel::All => NotifyLevel::All,
                StoredLevel::Mentions => NotifyLevel::Mentions,
                StoredLevel::None => NotifyLevel::Nothing,
            },
            quiet_until,
            favourite: stored.favourite,
            hidden: stored.hidden,
        });
        Some((key, membership))
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    const KEY: &str = "010101010101010101010101 lobby";

    fn span(from: u64, to: u64) -> Span {
        Span { from, to }
    }

    #[test]
    fn what_is_written_is_read_again_and_is_short() {
        let mut member = Membership::new(13, 12);
        assert_eq!(member.encode(), r#"{"spans":[[13,null]],"read":12}"#);
        assert_eq!(Membership::default().encode(), "{}");
        member.end(20);
        member.begin(31, 30);
        member.moderator = true;
        member.marker = member.marker.set(4);
        member.prefer(Preferences {
            notify: NotifyLevel::Nothing,
            quiet_until: Some(Timestamp::from_second(7).unwrap()),
            favourite: true,
            hidden: true,
        });
        assert_eq!(
            member.encode(),
            r#"{"spans":[[13,20],[31,null]],"moderator":true,"read":4,"generation":1,"notify":"none","quiet_until":"1970-01-01T00:00:07Z","favourite":true,"hidden":true}"#
        );
        for member in [Membership::default(), Membership::new(1, 0), member] {
            let (key, read) = Membership::decode(KEY, &member.encode()).unwrap();
            assert_eq!((Membership::key(&key), read), (KEY.to_owned(), member));
        }
        let newer = Membership::decode(KEY, r#"{"spans":[[1,null]],"colour":"red"}"#);
        assert!(newer.unwrap().1.is_current());
    }

    #[test]
    fn damaged_records_are_not_read() {
        for (key, value) in [
            (KEY, ""),
            (KEY, r#"{"spans":[[0,4]]}"#),
            (KEY, r#"{"spans":[[5,4]]}"#),
            (KEY, r#"{"spans":[[5,null],[9,null]]}"#),
            (KEY, r#"{"spans":[[5,9],[9,null]]}"#),
            (KEY, r#"{"spans":[[5]]}"#),
            (KEY, r#"{"notify":"loud"}"#),
            ("010101010101010101010101", "{}"),
            ("0101 lobby", "{}"),
            ("010101010101010101010101 A", "{}"),
        ] {
            assert_eq!(Membership::decode(key, value), None, "{key} {value}");
        }
    }

    #[test]
    fn a_membership_that_ended_keeps_what_was_seen() {
        let mut member = Membership::new(5, 4);
        assert_eq!(member.standing(), Standing::Member);
        member.moderator = true;
        assert_eq!(member.standing(), Standing::Moderator);
        member.end(9);
        assert_eq!(
            (member.standing(), member.spans()),
            (Standing::Former, &[span(5, 9)][..])
        );
        member.begin(12, 11);
        assert_eq!(member.standing(), Standing::Member, "not a moderator again");
        assert_eq!(member.spans(), [span(5, 9), Span::open(12)]);
        // Nothing was said in the meantime.
        member.end(11);
        assert_eq!(member.spans(), [span(5, 9)]);
        for at in 2..=200 {
            member.begin(10 * at, 0);
            member.end(10 * at + 1);
        }
        assert_eq!(member.spans().len(), SPANS_MAX);
        assert_eq!(member.spans().last(), Some(&span(2_000, 2_001)));
    }
}
