//! Sums up the joins and departures that a legacy client has not been told yet: a hundred joins at
//! once make one line, not a hundred.
//!
//! For each kind it holds a count and the first [`NAMED_MAX`] nicknames, so that it is small
//! however many join. A member who joins and leaves within one summary is told as such, as long as
//! their nickname is held.
use std::{fmt::Write as _, time::Duration};

use crate::protocol::{
    Nickname, RoomRules,
    frame::{Change, Departure},
};
use crate::text::Line;

/// How long changes are gathered before they are told.
pub(super) const GATHER: Duration = Duration::from_secs(1);
/// Most nicknames of one kind; if there are more members than that, one less is named.
const NAMED_MAX: usize = 3;

/// The kind of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Joined,
    CameAndWent,
    CameBack,
    Left(Departure),
    Renamed,
}

/// The members with the same kind of change.
#[derive(Debug)]
struct Group {
    kind: Kind,
    /// The first of them, as shown.
    names: Vec<String>,
    count: usize,
}

/// Changes that wait to be told; see the module's docs.
#[derive(Debug, Default)]
pub(super) struct PresenceSummary {
    /// The time of the first change.
    since: Option<Duration>,
    /// In the order of their first changes.
    groups: Vec<Group>,
    /// The room's rules after their last change, and the member who changed them.
    rules: Option<String>,
    /// The number of changes whose content is lost.
    missed: u64,
}

impl PresenceSummary {
    /// Notes a change.
    pub(super) fn note(&mut self, now: Duration, nickname: &Nickname, change: &Change) {
        let name = nickname.as_str();
        match change {
            Change::Joined => {
                self.forget(name, |kind| kind == Kind::CameAndWent);
                let was_here = self.forget(name, |kind| matches!(kind, Kind::Left(_)));
                let kind = if was_here {
                    Kind::CameBack
                } else {
                    Kind::Joined
                };
                self.put(kind, name);
            }
            Change::Left(reason) => {
                let came = self.forget(name, |kind| kind == Kind::Joined);
                self.forget(name, |kind| kind == Kind::CameBack);
                let kind = if came {
                    Kind::CameAndWent
                } else {
                    Kind::Left(in_short(*reason))
                };
                self.put(kind, name);
            }
            Change::Renamed { was } => {
                self.put(Kind::Renamed, &format!("{was} is now {nickname}"));
            }
            Change::Rules(rules) => {
                let rules = rules_in_words(rules);
                self.rules = Some(format!("{nickname} changed the room: {rules}"));
            }
            Change::Promoted => return,
        }
        self.since.get_or_insert(now);
    }

    /// Notes changes whose content is lost.
    pub(super) fn miss(&mut self, now: Duration, count: u64) {
        self.missed += count;
        self.since.get_or_insert(now);
    }

    /// When to tell the changes; `None`: there are none.
    pub(super) fn due(&self) -> Option<Duration> {
        self.since.map(|since| since + GATHER)
    }

    /// Takes all changes as one line.
    pub(super) fn take(&mut self) -> Option<String> {
        let Self {
            since,
            groups,
            rules,
            missed,
        } = std::mem::take(self);
        since?;
        let missed = match missed {
            0 => None,
            1 => Some("1 join or departure was left out".to_owned()),
            _ => Some(format!("{missed} joins and departures were left out")),
        };
        let groups = groups.iter().map(Group::in_words);
        let all: Vec<_> = missed.into_iter().chain(groups).chain(rules).collect();
        Some(all.join("; "))
    }

    fn put(&mut self, kind: Kind, name: &str) {
        let at = self.groups.iter().position(|group| group.kind == kind);
        let at = at.unwrap_or_else(|| {
            self.groups.push(Group {
                kind,
                names: Vec::new(),
                count: 0,
            });
            self.groups.len() - 1
        });
        let group = &mut self.groups[at];
        group.count += 1;
        if group.names.len() < NAMED_MAX {
            group.names.push(name.to_owned());
        }
    }

    /// Removes a nickname from the groups of a kind; returns whether it was held.
    fn forget(&mut self, name: &str, of: impl Fn(Kind) -> bool) -> bool {
        let mut found = false;
        for group in self.groups.iter_mut().filter(|group| of(group.kind)) {
            if let Some(at) = group.names.iter().position(|other| other == name) {
                group.names.remove(at);
                group.count -= 1;
                found = true;
            }
        }
        self.groups.retain(|group| group.count > 0);
        found
    }
}

impl Group {
    fn in_words(&self) -> String {
        let done = match self.kind {
            Kind::Joined => " joined",
            Kind::CameAndWent => " joined and left",
            Kind::CameBack => " left and came back",
            Kind::Left(Departure::Timeout) => " left: no sign of life",
            Kind::Left(Departure::Lost) => " left: connection lost",
            Kind::Left(Departure::Kicked) if self.count == 1 => " was kicked",
            Kind::Left(Departure::Kicked) => " were kicked",
            Kind::Left(Departure::Banned) if self.count == 1 => " was banned",
            Kind::Left(Departure::Banned) => " were banned",
            Kind::Left(_) => " left",
            Kind::Renamed => "",
        };
        let named = match self.count {
            // Some of the first names were removed again.
            count if count > self.names.len() => self.names.len().min(NAMED_MAX - 1),
            count => count,
        };
        let others = self.count - named;
        let mut words = String::new();
        for (at, name) in self.names[..named].iter().enumerate() {
            let between = match at {
                0 => "",
                _ if at + 1 == named && others == 0 => " and ",
                _ => ", ",
            };
            words.push_str(between);
            words.push_str(name);
        }
        if others > 0 {
            let and = if named > 0 { " and " } else { "" };
            let who = match (named > 0, others) {
                (true, 1) => "other",
                (true, _) => "others",
                (false, 1) => "person",
                (false, _) => "people",
            };
            let _ = write!(words, "{and}{others} {who}");
            if self.kind == Kind::Renamed {
                words.push_str(" changed their nicknames");
            }
        }
        words + done
    }
}

/// Maps departures that are told alike to one of them.
fn in_short(reason: Departure) -> Departure {
    match reason {
        Departure::Timeout | Departure::Lost | Departure::Kicked | Departure::Banned => reason,
        Departure::Disconnect | Departure::Replaced | Departure::Protocol | Departure::Shutdown => {
            Departure::Disconnect
        }
    }
}

/// A room's rules in words.
fn rules_in_words(rules: &RoomRules) -> String {
    let topic = rules.topic.as_ref().map_or("none", Line::as_str);
    let announce = if rules.announce {
        "; only moderators write"
    } else {
        ""
    };
    let slow = match rules.slow_seconds {
        0 => String::new(),
        seconds => format!("; {seconds} s between two messages"),
    };
    format!("topic {topic}{announce}{slow}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nick(name: &str) -> Nickname {
        Nickname::parse(name).unwrap()
    }

    /// The line for these changes, each `+name`, `-name` (said goodbye) or `!name` (was lost).
    fn told(happened: &str) -> String {
        let mut crowd = PresenceSummary::default();
        for (at, what) in (1..).zip(happened.split_whitespace()) {
            let change = match &what[..1] {
                "+" => Change::Joined,
                "-" => Change::Left(Departure::Disconnect),
                _ => Change::Left(Departure::Lost),
            };
            crowd.note(at * GATHER, &nick(&what[1..]), &change);
            assert_eq!(crowd.due(), Some(2 * GATHER), "from the first on");
        }
        let told = crowd.take().unwrap_or_default();
        assert!(crowd.due().is_none() && crowd.take().is_none());
        told
    }

    #[test]
    fn few_are_named_and_many_counted() {
        for (happened, expected) in [
            ("", ""),
            ("+a", "a joined"),
            ("+a +b", "a and b joined"),
            ("+a +b +c", "a, b and c joined"),
            ("+a +b +c +d", "a, b and 2 others joined"),
            ("+a -b", "a joined; b left"),
            (
                "-b !c +a !d",
                "b left; c and d left: connection lost; a joined",
            ),
        ] {
            assert_eq!(told(happened), expected, "{happened}");
        }
        let crowd: Vec<_> = (0..100).map(|n| format!("+u{n}")).collect();
        assert_eq!(told(&crowd.join(" ")), "u0, u1 and 98 others joined");
    }

    #[test]
    fn a_member_who_joins_and_leaves_within_one_summary_is_told_once() {
        for (happened, expected) in [
            ("+a -a", "a joined and left"),
            ("+a !a +a", "a joined"),
            ("-a +a", "a left and came back"),
            ("-a +a !a", "a left: connection lost"),
            ("+b +a -a +c", "b and c joined; a joined and left"),
        ] {
            assert_eq!(told(happened), expected, "{happened}");
        }
    }

    #[test]
    fn one_name_more_than_is_held_is_counted_also_when_named_ones_go() {
        assert_eq!(
            told("+a +b +c +d -a -b -c"),
            "1 person joined; a, b and c joined and left"
        );
        assert_eq!(
            told("+a +b +c +d +e -a"),
            "b, c and 2 others joined; a joined and left"
        );
    }

    #[test]
    fn other_news_has_its_own_words() {
        let mut crowd = PresenceSummary::default();
        let renamed = |was: &str| Change::Renamed { was: nick(was) };
        crowd.note(GATHER, &nick("b"), &renamed("a"));
        assert_eq!(crowd.take().unwrap(), "a is now b");
        for (was, name) in [("a", "b"), ("c", "d"), ("e", "f"), ("g", "h")] {
            crowd.note(GATHER, &nick(name), &renamed(was));
        }
        crowd.note(GATHER, &nick("x"), &Change::Left(Departure::Banned));
        crowd.note(GATHER, &nick("x"), &Change::Promoted);
        let expected = "a is now b, c is now d and 2 others changed their nicknames; x was banned";
        assert_eq!(crowd.take().unwrap(), expected);
        for slow_seconds in [5, 7] {
            let rules = RoomRules {
                slow_seconds,
                ..RoomRules::default()
            };
            crowd.note(GATHER, &nick("a"), &Change::Rules(rules));
        }
        let last = "a changed the room: topic none; 7 s between two messages";
        assert_eq!(crowd.take().unwrap(), last, "the last counts");
        crowd.miss(GATHER, 7);
        crowd.note(GATHER, &nick("a"), &Change::Joined);
        let expected = "7 joins and departures were left out; a joined";
        assert_eq!(crowd.take().unwrap(), expected);
        crowd.note(GATHER, &nick("x"), &Change::Promoted);
        assert_eq!(crowd.due(), None, "it is not told");
    }
}
