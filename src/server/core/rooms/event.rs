//! Events of rooms as entries, with their words.

use crate::{
    protocol::{Nickname, RoomChange, RoomEvent},
    text::Line,
};

/// The entry for what a user did. `reason`: to be appended to the words.
pub fn event(by: &Nickname, change: RoomChange, reason: Option<&Line>) -> RoomEvent {
    let did = match &change {
        RoomChange::Joined => "joined".to_owned(),
        RoomChange::Left => "left".to_owned(),
        RoomChange::Invited(person) => format!("invited {}", person.nickname),
        RoomChange::Removed(person) => format!("removed {}", person.nickname),
        RoomChange::Created => "made the room".to_owned(),
        RoomChange::Renamed(name) => format!("renamed the room to #{name}"),
        RoomChange::Topic(Some(topic)) => format!("set the topic: {topic}"),
        RoomChange::Topic(None) => "removed the topic".to_owned(),
        RoomChange::Archived => "archived the room".to_owned(),
        RoomChange::Unarchived => "took the room out of the archive".to_owned(),
    };
    let reason = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    RoomEvent {
        change,
        alt: Line::inert(&format!("{by} {did}{reason}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::{Person, RoomName, UserId};

    #[test]
    fn every_event_is_a_sentence() {
        let bob = || Person {
            user: UserId::from_bytes([2; 12]),
            nickname: Nickname::parse("bob").unwrap(),
        };
        let topic = Line::inert("tea at 4");
        for (change, expected) in [
            (RoomChange::Joined, "alice joined"),
            (RoomChange::Left, "alice left"),
            (RoomChange::Invited(bob()), "alice invited bob"),
            (RoomChange::Removed(bob()), "alice removed bob"),
            (RoomChange::Created, "alice made the room"),
            (
                RoomChange::Renamed(RoomName::parse("ci").unwrap()),
                "alice renamed the room to #ci",
            ),
            (
                RoomChange::Topic(Some(topic)),
                "alice set the topic: tea at 4",
            ),
            (RoomChange::Topic(None), "alice removed the topic"),
            (RoomChange::Archived, "alice archived the room"),
            (
                RoomChange::Unarchived,
                "alice took the room out of the archive",
            ),
        ] {
            let alice = Nickname::parse("alice").unwrap();
            let event = event(&alice, change.clone(), None);
            assert_eq!((event.alt.as_str(), event.change), (expected, change));
        }
        let alice = Nickname::parse("alice").unwrap();
        let event = event(
            &alice,
            RoomChange::Removed(bob()),
            Some(&Line::inert("too loud")),
        );
        assert_eq!(event.alt.as_str(), "alice removed bob: too loud");
    }
}
