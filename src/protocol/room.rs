//! What a room is, and what a member keeps about it.

use jiff::Timestamp;

use super::{
    limits::{NUMBER_MAX, UNREAD_COUNT_MAX},
    name::{Nickname, RoomId, RoomName, UserId},
};
use crate::text::Line;

/// Who can find and enter a room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RoomKind {
    /// Every user of the server.
    #[default]
    Public,
    /// Those who were invited. It is invisible to others.
    Private,
    /// A fixed set of people: a conversation, which has no name.
    Direct,
}

/// Who may read the entries that are written while a room has this setting, besides those who are
/// members then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HistoryAccess {
    /// All who become members later. Public rooms and direct conversations have this.
    All,
    /// Nobody.
    #[default]
    Joined,
}

/// The rules of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomRules {
    /// The room's topic, if one is set.
    pub topic: Option<Line>,
    /// Whether only moderators may write.
    pub announce: bool,
    /// Seconds that a member waits between two messages; 0: none. Does not apply to moderators.
    pub slow_seconds: u64,
}

/// What a member is told of a room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoomInfo {
    /// Who can find and enter it.
    pub kind: RoomKind,
    /// Its name; `None` for a direct conversation. Only names of public rooms are unique.
    pub name: Option<RoomName>,
    /// Its topic, and who may write.
    pub rules: RoomRules,
    /// Who may read what is written now.
    pub history: HistoryAccess,
    /// Whether it can only be read.
    pub archived: bool,
    /// Whether this member moderates the room.
    pub moderator: bool,
    /// The number of members; 0 where it is not counted, as in the lobby.
    pub members: u64,
    /// The people of a direct conversation, this member included.
    pub people: Vec<Person>,
}

impl RoomInfo {
    /// What the name of a public room alone tells.
    pub fn public(name: RoomName) -> Self {
        Self {
            name: Some(name),
            history: HistoryAccess::All,
            ..Self::default()
        }
    }
}

/// A user, as others know them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Person {
    /// The user.
    pub user: UserId,
    /// Their nickname.
    pub nickname: Nickname,
}

/// How far a user has read a room, on all their devices.
///
/// An advance keeps the generation and raises `seq`. A marker that the user sets by hand, back or
/// forward, has the next generation, so that an advance that another device made before can't undo it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadMarker {
    /// All entries up to this number are read.
    pub seq: u64,
    /// The number of times that the user has set it by hand.
    pub generation: u64,
}

impl ReadMarker {
    /// Takes another device's marker, or the server's, if it is newer: of a higher generation, or further
    /// in the same. Returns whether it was.
    pub fn merge(&mut self, other: Self) -> bool {
        let newer = (other.generation, other.seq) > (self.generation, self.seq);
        if newer {
            *self = other;
        }
        newer
    }

    /// The marker set back, or forward, to a number by the user's hand.
    #[must_use]
    pub fn set(self, seq: u64) -> Self {
        Self {
            seq,
            // A server may have sent any number.
            generation: NUMBER_MAX.min(self.generation.saturating_add(1)),
        }
    }
}

/// Of which messages in a room a user is notified. It has no effect on counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NotifyLevel {
    /// Of every message.
    All,
    /// Of mentions, and in direct conversations of every message.
    #[default]
    Mentions,
    /// Of none.
    Nothing,
}

/// A user's own settings of a room, on all their devices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Preferences {
    /// Of which messages they are notified.
    pub notify: NotifyLevel,
    /// No notifications before this time.
    pub quiet_until: Option<Timestamp>,
    /// Whether the room stands above others.
    pub favourite: bool,
    /// Whether a direct conversation is left out of lists until something new is said in it.
    pub hidden: bool,
}

/// What the server keeps of a room for one user.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadState {
    /// How far they have read.
    pub marker: ReadMarker,
    /// Their settings.
    pub preferences: Preferences,
    /// How many entries above the marker [count](crate::protocol::Entry::counts) and are by others.
    pub unread: Count,
    /// How many of those mention them.
    pub mentions: Count,
}

/// A number of entries: exact up to [`UNREAD_COUNT_MAX`], which stands for that many or more.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Count(u64);

impl Count {
    /// A count; more than [`UNREAD_COUNT_MAX`] is as much.
    pub fn new(count: u64) -> Self {
        Self(count.min(UNREAD_COUNT_MAX))
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }

    /// Whether it is none.
    pub fn is_zero(self) -> bool {
        self.0 == 0
    }
}

impl std::fmt::Display for Count {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.0 < UNREAD_COUNT_MAX {
            self.0.fmt(out)
        } else {
            write!(out, "{}+", UNREAD_COUNT_MAX - 1)
        }
    }
}

/// A room in the list of rooms.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedRoom {
    /// The room.
    pub room: RoomId,
    /// Its name.
    pub name: RoomName,
    /// Its topic.
    pub topic: Option<Line>,
    /// The number of members; 0 where it is not counted.
    pub members: u64,
    /// Whether the asking user is a member.
    pub joined: bool,
    /// Whether it is archived.
    pub archived: bool,
    /// Whether it is private.
    pub private: bool,
}

/// A user in a list of people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedPerson {
    /// The user.
    pub person: Person,
    /// Whether they are connected.
    pub online: bool,
    /// When they were last connected, if they are not and tell it.
    pub last_seen: Option<Timestamp>,
    /// Whether they moderate the room.
    pub moderator: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advance_never_undoes_a_marker_that_was_set_back() {
        let mut marker = ReadMarker {
            seq: 10,
            generation: 0,
        };
        let ahead = ReadMarker { seq: 12, ..marker };
        assert!(marker.merge(ahead));
        assert!(!marker.merge(ReadMarker { seq: 11, ..marker }));
        let back = marker.set(3);
        assert!(marker.merge(back));
        assert_eq!(marker.seq, 3);
        assert!(!marker.merge(ahead), "it was made before");
        assert_eq!(marker.seq, 3);
    }

    #[test]
    fn a_marker_set_by_hand_stands_against_every_earlier_one() {
        let marker = ReadMarker {
            seq: 10,
            generation: 2,
        };
        for seq in [0, 3, 10, 99] {
            let mut held = marker;
            assert!(held.merge(marker.set(seq)));
            assert_eq!((held.seq, held.generation), (seq, 3));
            assert!(!held.merge(held), "it is the same");
        }
    }

    #[test]
    fn a_generation_stays_a_number_of_the_protocol() {
        let last = ReadMarker {
            seq: 10,
            generation: NUMBER_MAX,
        };
        assert_eq!(last.set(3).generation, NUMBER_MAX);
    }

    #[test]
    fn a_count_is_exact_up_to_its_limit() {
        assert_eq!(Count::new(0).to_string(), "0");
        assert_eq!(Count::new(99).to_string(), "99");
        assert_eq!(Count::new(100).to_string(), "99+");
        assert_eq!(Count::new(5_000), Count::new(100));
    }
}
