//! People coming and going, folded so that it takes few rows: what happened, and the sentence that
//! tells it.

use crate::protocol::Nickname;

/// Changes of presence that one folded entry holds before another is begun.
pub const FOLDED_MAX: usize = 64;

/// One change of presence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// Came in.
    Joined(Nickname),
    /// Went.
    Left(Nickname, &'static str),
    /// Took another nickname: before, now.
    Renamed(Nickname, Nickname),
    /// Went and came again, within what is folded.
    Returned(Nickname),
    /// Came and went again, within what is folded.
    Visited(Nickname),
    /// Did something else: the end of a sentence that begins with the nickname.
    Did(Nickname, String),
}

/// Adds a change. Somebody who comes and goes, as on a bad line, is told of once; so is somebody
/// who tries one name after another.
pub fn fold(changes: &mut Vec<Change>, change: Change) {
    if let Change::Renamed(was, now) = &change
        && let Some(Change::Renamed(_, last)) = changes.last_mut()
        && last == was
    {
        last.clone_from(now);
        return;
    }
    let (Change::Joined(name) | Change::Left(name, _)) = &change else {
        return changes.push(change);
    };
    let last = changes.iter_mut().rev().find(|other| match other {
        Change::Renamed(was, now) => was == name || now == name,
        Change::Did(..) => false,
        Change::Joined(other)
        | Change::Left(other, _)
        | Change::Returned(other)
        | Change::Visited(other) => other == name,
    });
    let Some(last) = last else {
        return changes.push(change);
    };
    *last = match (&*last, &change) {
        (Change::Joined(_), Change::Left(..)) => Change::Visited(name.clone()),
        (Change::Left(..), Change::Joined(_)) => Change::Returned(name.clone()),
        (Change::Visited(_), Change::Joined(_)) | (Change::Returned(_), Change::Left(..)) => change,
        _ => return changes.push(change),
    };
}

/// "alice and bob joined · carol left (connection lost)".
pub fn sentence(changes: &[Change]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut rest = changes;
    while let Some(first) = rest.first() {
        let run = rest
            .iter()
            .take_while(|change| verb(change) == verb(first))
            .count();
        let (same, after) = rest.split_at(run);
        parts.push(match first {
            Change::Renamed(was, now) => format!("{was} is now {now}"),
            Change::Did(who, what) => format!("{who} {what}"),
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

/// What changes of a kind have in common; `None` for those that stand alone.
fn verb(change: &Change) -> Option<&'static str> {
    match change {
        Change::Joined(_) => Some("joined"),
        Change::Left(_, how) => Some(how),
        Change::Returned(_) => Some("left and came back"),
        Change::Visited(_) => Some("came and left"),
        Change::Renamed(..) | Change::Did(..) => None,
    }
}

fn names(changes: &[Change]) -> String {
    const NAMED_MAX: usize = 6;
    let all: Vec<&str> = changes
        .iter()
        .map(|change| match change {
            Change::Joined(name)
            | Change::Left(name, _)
            | Change::Renamed(name, _)
            | Change::Did(name, _)
            | Change::Returned(name)
            | Change::Visited(name) => name.as_str(),
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
