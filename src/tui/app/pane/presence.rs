//! Presence changes, folded into few rows: the changes, and the sentence that describes them.

use crate::protocol::Nickname;

/// The most changes that one folded entry holds.
pub const FOLDED_MAX: usize = 64;

/// One change of presence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PresenceChange {
    /// A member joined.
    Joined(Nickname),
    /// A member left; with the verb that tells how.
    Left(Nickname, &'static str),
    /// A member changed their nickname: before, after.
    Renamed(Nickname, Nickname),
    /// Left and joined again, within one folded entry.
    Returned(Nickname),
    /// Joined and left again, within one folded entry.
    Visited(Nickname),
    /// Another change: the end of a sentence that begins with the nickname.
    Did(Nickname, String),
}

/// Adds a change. A member who leaves and joins repeatedly, as on a bad connection, or tries
/// several nicknames, takes one place.
pub fn fold(changes: &mut Vec<PresenceChange>, change: PresenceChange) {
    if let PresenceChange::Renamed(was, now) = &change
        && let Some(PresenceChange::Renamed(_, last)) = changes.last_mut()
        && last == was
    {
        last.clone_from(now);
        return;
    }
    let (PresenceChange::Joined(name) | PresenceChange::Left(name, _)) = &change else {
        return changes.push(change);
    };
    let last = changes.iter_mut().rev().find(|other| match other {
        PresenceChange::Renamed(was, now) => was == name || now == name,
        PresenceChange::Did(..) => false,
        PresenceChange::Joined(other)
        | PresenceChange::Left(other, _)
        | PresenceChange::Returned(other)
        | PresenceChange::Visited(other) => other == name,
    });
    let Some(last) = last else {
        return changes.push(change);
    };
    *last = match (&*last, &change) {
        (PresenceChange::Joined(_), PresenceChange::Left(..)) => {
            PresenceChange::Visited(name.clone())
        }
        (PresenceChange::Left(..), PresenceChange::Joined(_)) => {
            PresenceChange::Returned(name.clone())
        }
        (PresenceChange::Visited(_), PresenceChange::Joined(_))
        | (PresenceChange::Returned(_), PresenceChange::Left(..)) => change,
        _ => return changes.push(change),
    };
}

/// "alice and bob joined · carol left (connection lost)".
pub fn sentence(changes: &[PresenceChange]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut rest = changes;
    while let Some(first) = rest.first() {
        let run = rest
            .iter()
            .take_while(|change| verb(change) == verb(first))
            .count();
        let (same, after) = rest.split_at(run);
        parts.push(match first {
            PresenceChange::Renamed(was, now) if was == now => {
                format!("{was} tried another nickname")
            }
            PresenceChange::Renamed(was, now) => format!("{was} is now {now}"),
            PresenceChange::Did(who, what) => format!("{who} {what}"),
            _ => format!("{} {}", names(same), verb(first).unwrap_or_default()),
        });
        rest = if verb(first).is_some() {
            after
        } else {
            &rest[1..]
        };
    }
    parts.join(" · ")
}

/// The verb that changes of the same kind share; `None` for those that stand alone.
fn verb(change: &PresenceChange) -> Option<&'static str> {
    match change {
        PresenceChange::Joined(_) => Some("joined"),
        PresenceChange::Left(_, how) => Some(how),
        PresenceChange::Returned(_) => Some("left and came back"),
        PresenceChange::Visited(_) => Some("joined and left"),
        PresenceChange::Renamed(..) | PresenceChange::Did(..) => None,
    }
}

fn names(changes: &[PresenceChange]) -> String {
    const NAMED_MAX: usize = 6;
    let all: Vec<&str> = changes
        .iter()
        .map(|change| match change {
            PresenceChange::Joined(name)
            | PresenceChange::Left(name, _)
            | PresenceChange::Renamed(name, _)
            | PresenceChange::Did(name, _)
            | PresenceChange::Returned(name)
            | PresenceChange::Visited(name) => name.as_str(),
        })
        .collect();
    match all.as_slice() {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [most @ .., last] if all.len() <= NAMED_MAX => format!("{} and {last}", most.join(", ")),
        _ => format!(
            "{} and {} others",
            all[..NAMED_MAX - 1].join(", "),
            all.len() - (NAMED_MAX - 1)
        ),
    }
}
