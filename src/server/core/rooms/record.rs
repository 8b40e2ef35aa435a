//! The record of a room.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

use super::span::Span;
use crate::{
    protocol::{
        HistoryAccess, RoomId, RoomKind, RoomName, RoomRules, UserId, limits::DIRECT_PEOPLE_MAX,
    },
    server::core::persist::{Record, from_json, to_json},
    text::Line,
};

/// Most changes of one room's history setting that are kept.
pub const HISTORY_CHANGES_MAX: usize = 64;

/// A room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoomRecord {
    /// Who can find and enter it.
    pub kind: RoomKind,
    /// Its name; `None` for a direct conversation.
    pub name: Option<RoomName>,
    /// Its topic, and who may write.
    pub rules: RoomRules,
    /// Which older entries members may read.
    pub history: HistorySetting,
    /// Whether it can only be read.
    pub archived: bool,
    /// The user who made it; `None`: the operator, or an older server did not record it.
    pub made_by: Option<UserId>,
    /// When it was made, in seconds since 1970; 0: unknown.
    pub made_at: u64,
    /// The people of a direct conversation, in order.
    pub people: Vec<UserId>,
    /// How many rooms were made with its first name before.
    pub earlier: u32,
}

impl RoomRecord {
    /// A public room that the operator has named.
    pub fn of_operator(name: RoomName, topic: Option<Line>) -> Self {
        Self {
            kind: RoomKind::Public,
            name: Some(name),
            rules: RoomRules {
                topic,
                ..RoomRules::default()
            },
            history: HistorySetting::default(),
            archived: false,
            made_by: None,
            made_at: 0,
            people: Vec::new(),
            earlier: 0,
        }
    }

    /// The history setting in force.
    pub fn history_access(&self) -> HistoryAccess {
        match self.kind {
            RoomKind::Public | RoomKind::Direct => HistoryAccess::All,
            RoomKind::Private => self.history.current(),
        }
    }
}

/// Which entries from before they joined a private room's members may read, over time: the setting
/// at the time of an entry decides.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HistorySetting(SmallVec<[HistoryChange; 1]>);

/// A change of the history setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct HistoryChange {
    /// The number of the first entry to which it applies.
    from: u64,
    access: HistoryAccess,
}

impl HistorySetting {
    /// The setting in force.
    pub fn current(&self) -> HistoryAccess {
        self.0
            .last()
            .map_or_else(HistoryAccess::default, |change| change.access)
    }

    /// Whether another change fits.
    pub fn has_space(&self) -> bool {
        self.0.len() < HISTORY_CHANGES_MAX
    }

    /// Changes it for entries after `head`.
    pub fn set(&mut self, access: HistoryAccess, head: u64) {
        let from = head.saturating_add(1);
        // No entry has come since those changes.
        while self.0.last().is_some_and(|last| last.from >= from) {
            self.0.pop();
        }
        if self.current() != access {
            self.0.push(HistoryChange { from, access });
        }
    }

    /// The numbers of the entries that every member may read.
    pub fn open_to_all(&self) -> impl Iterator<Item = Span> {
        let ends = self.0.iter().skip(1).map(|next| next.from - 1);
        self.0
            .iter()
            .zip(ends.chain([Span::OPEN]))
            .filter(|(change, _)| change.access == HistoryAccess::All)
            .map(|(change, to)| Span {
                from: change.from,
                to,
            })
    }
}

/// The stored form. Older servers wrote the first three fields alone, under a room's name.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
struct Stored {
    #[serde(skip_serializing_if = "Option::is_none")]
    topic: Option<String>,
    announce: bool,
    slow_seconds: u64,
    kind: StoredKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    history: Vec<(u64, StoredAccess)>,
    archived: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    made_by: Option<UserId>,
    made_at: u64,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    people: Vec<UserId>,
    earlier: u32,
}

#[derive(Clone, Copy, Default, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum StoredKind {
    #[default]
    Public,
    Private,
    Direct,
}

#[derive(Clone, Copy, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum StoredAccess {
    All,
    Joined,
}

impl Record for RoomRecord {
    const KIND: &'static str = "room";
    type Key = RoomId;

    fn key(room: &RoomId) -> String {
        room.to_string()
    }

    fn encode(&self) -> String {
        let access = |access| match access {
            HistoryAccess::All => StoredAccess::All,
            HistoryAccess::Joined => StoredAccess::Joined,
        };
        let changes = self.history.0.iter();
        to_json(&Stored {
            topic: self
                .rules
                .topic
                .as_ref()
                .map(|topic| topic.as_str().to_owned()),
            announce: self.rules.announce,
            slow_seconds: self.rules.slow_seconds,
            kind: match self.kind {
                RoomKind::Public => StoredKind::Public,
                RoomKind::Private => StoredKind::Private,
                RoomKind::Direct => StoredKind::Direct,
            },
            name: self.name.as_ref().map(|name| name.as_str().to_owned()),
            history: changes
                .map(|change| (change.from, access(change.access)))
                .collect(),
            archived: self.archived,
            made_by: self.made_by,
            made_at: self.made_at,
            people: self.people.clone(),
            earlier: self.earlier,
        })
    }

    fn decode(key: &str, value: &str) -> Option<(RoomId, Self)> {
        let stored: Stored = from_json(value)?;
        let room = RoomId::parse(key).ok()?;
        let kind = match stored.kind {
            StoredKind::Public => RoomKind::Public,
            StoredKind::Private => RoomKind::Private,
            StoredKind::Direct => RoomKind::Direct,
        };
        let name = match (kind, &stored.name) {
            (RoomKind::Direct, _) => None,
            (RoomKind::Public | RoomKind::Private, Some(name)) => Some(RoomName::parse(name).ok()?),
            // An older server's key is the name.
            (RoomKind::Public, None) => Some(RoomName::parse(key).ok()?),
            (RoomKind::Private, None) => return None,
        };
        let is_direct = kind == RoomKind::Direct;
        let count = stored.people.len();
        if is_direct != (1..=DIRECT_PEOPLE_MAX).contains(&count)
            || is_direct && RoomId::direct(&stored.people) != room
        {
            return None;
        }
        let change = |(from, access): (u64, StoredAccess)| HistoryChange {
            from,
            access: match access {
                StoredAccess::All => HistoryAccess::All,
                StoredAccess::Joined => HistoryAccess::Joined,
            },
        };
        let history: SmallVec<[_; 1]> = stored.history.into_iter().map(change).collect();
        if !history.is_sorted_by(|one, other| one.from < other.from)
            || history.iter().any(|change| change.from == 0)
        {
            return None;
        }
        let record = Self {
            kind,
            name,
            rules: RoomRules {
                topic: stored.topic.as_deref().map(Line::inert),
                announce: stored.announce,
                slow_seconds: stored.slow_seconds,
            },
            history: HistorySetting(history),
            archived: stored.archived,
            made_by: stored.made_by,
            made_at: stored.made_at,
            people: stored.people,
            earlier: stored.earlier,
        };
        Some((room, record))
    }

    /// Older servers wrote a room's name.
    fn is_outdated_key(key: &str) -> bool {
        RoomId::parse(key).is_ok_and(|room| Self::key(&room) != key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(byte: u8) -> UserId {
        UserId::from_bytes([byte; 12])
    }

    fn name(text: &str) -> RoomName {
        RoomName::parse(text).unwrap()
    }

    #[test]
    fn what_is_written_is_read_again() {
        let mut history = HistorySetting::default();
        history.set(HistoryAccess::All, 4);
        history.set(HistoryAccess::Joined, 9);
        let public = RoomRecord::of_operator(name("build"), Some(Line::inert("tea")));
        let private = RoomRecord {
            kind: RoomKind::Private,
            history,
            archived: true,
            made_by: Some(id(1)),
            made_at: 7,
            earlier: 3,
            rules: RoomRules {
                topic: None,
                announce: true,
                slow_seconds: 5,
            },
            ..public.clone()
        };
        let people = vec![id(1), id(2)];
        let direct = RoomRecord {
            kind: RoomKind::Direct,
            name: None,
            rules: RoomRules::default(),
            people: people.clone(),
            ..public.clone()
        };
        for (room, record) in [
            (RoomId::named(&name("build"), 0), public),
            (RoomId::LOBBY, RoomRecord::of_operator(name("lobby"), None)),
            (RoomId::from_bytes([9; 12]), private),
            (RoomId::direct(&people), direct),
        ] {
            let key = RoomRecord::key(&room);
            assert!(!RoomRecord::is_outdated_key(&key), "{key}");
            let read = RoomRecord::decode(&key, &record.encode());
            assert_eq!(read, Some((room, record)));
        }
    }

    #[test]
    fn records_of_older_and_newer_servers_are_read() {
        let old = r#"{"topic":"tea","announce":true,"slow_seconds":5}"#;
        for key in ["lobby", "kitchen"] {
            let (room, record) = RoomRecord::decode(key, old).unwrap();
            assert_eq!(room, RoomId::named(&name(key), 0));
            assert_eq!(
                (record.kind, record.name),
                (RoomKind::Public, Some(name(key)))
            );
            assert_eq!(record.rules.topic, Some(Line::inert("tea")));
            assert!(record.rules.announce && record.rules.slow_seconds == 5);
            assert_eq!(RoomRecord::is_outdated_key(key), key != "lobby");
        }
        let room = RoomId::from_bytes([9; 12]).to_string();
        let newer = r#"{"kind":"private","name":"x","colour":"red"}"#;
        assert!(RoomRecord::decode(&room, newer).is_some());
    }

    #[test]
    fn damaged_records_are_not_read() {
        let room = RoomId::from_bytes([9; 12]).to_string();
        for (key, value) in [
            (&*room, ""),
            (&room, r#"{"kind":"private"}"#),
            (&room, r#"{"kind":"secret","name":"x"}"#),
            (&room, r#"{"kind":"public","name":"X"}"#),
            (&room, r#"{"kind":"direct"}"#),
            (
                &room,
                r#"{"kind":"direct","people":["000000000000000000000001"]}"#,
            ),
            (
                &room,
                r#"{"name":"x","people":["000000000000000000000001"]}"#,
            ),
            (
                &room,
                r#"{"kind":"private","name":"x","history":[[9,"all"],[4,"joined"]]}"#,
            ),
            (
                &room,
                r#"{"kind":"private","name":"x","history":[[0,"all"]]}"#,
            ),
            ("A room", "{}"),
        ] {
            assert_eq!(RoomRecord::decode(key, value), None, "{key} {value}");
        }
    }

    #[test]
    fn the_setting_at_the_time_of_an_entry_decides() {
        let spans = |setting: &HistorySetting| setting.open_to_all().collect::<Vec<_>>();
        let mut setting = HistorySetting::default();
        assert_eq!(setting.current(), HistoryAccess::Joined);
        assert_eq!(spans(&setting), []);
        setting.set(HistoryAccess::Joined, 3);
        setting.set(HistoryAccess::All, 4);
        assert_eq!(spans(&setting), [Span::open(5)]);
        setting.set(HistoryAccess::All, 6);
        setting.set(HistoryAccess::Joined, 9);
        assert_eq!(spans(&setting), [Span { from: 5, to: 9 }]);
        // Changed twice without an entry in between.
        setting.set(HistoryAccess::All, 9);
        assert_eq!(spans(&setting), [Span::open(5)]);
        setting.set(HistoryAccess::Joined, 9);
        setting.set(HistoryAccess::All, 12);
        assert_eq!(spans(&setting), [Span { from: 5, to: 9 }, Span::open(13)]);
        assert_eq!(setting.current(), HistoryAccess::All);
    }
}
