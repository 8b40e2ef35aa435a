//! The reader's time zone, and conversion of times to it, for the screen and for line mode.
//!
//! A server's texts contain times in UTC (`2026-11-23 09:30 UTC`; docs/PROTOCOL.md), because it
//! does not know its readers' zones. Beside the times of messages, which are in the reader's zone,
//! they would be misread; so they are converted here when a text arrives.

use jiff::{
    SignedDuration, Timestamp, civil,
    tz::{self, TimeZone},
};

use crate::{
    client::event::{ConnectionStatus, Delivery, Event},
    protocol::admin::AdminResult,
    text::Line,
};

/// How often the system is asked for its zone.
const LOOK_EVERY: SignedDuration = SignedDuration::from_secs(60);
/// The format of a time in a server's text, before [`IN_UTC`].
const MOMENT: &str = "%Y-%m-%d %H:%M";
/// Its length in bytes.
const MOMENT_BYTES: usize = "2026-11-23 09:30".len();
/// The text after it.
const IN_UTC: &str = " UTC";

/// The system's zone, which may change while we run, as when the user travels.
#[derive(Debug)]
pub struct Zone {
    zone: TimeZone,
    looked: Option<Timestamp>,
}

impl Zone {
    /// Reads the zone.
    pub fn new(now: Timestamp) -> Self {
        Self {
            zone: read(),
            looked: Some(now),
        }
    }

    /// The zone as last read.
    pub fn get(&self) -> TimeZone {
        self.zone.clone()
    }

    /// Makes the next [`look`](Self::look) read the zone again.
    pub fn doubt(&mut self) {
        self.looked = None;
    }

    /// Reads the zone again, at most once a minute, and returns it if it changed. The interval is
    /// by the wall clock, which goes on while the machine sleeps.
    pub fn look(&mut self, now: Timestamp) -> Option<TimeZone> {
        let looked = self.looked.map(|looked| now.duration_since(looked));
        if looked.is_some_and(|ago| (SignedDuration::ZERO..LOOK_EVERY).contains(&ago)) {
            return None;
        }
        self.looked = Some(now);
        let zone = read();
        if zone == self.zone {
            return None;
        }
        self.zone = zone.clone();
        Some(zone)
    }
}

/// Reads the system's zone without its cache.
fn read() -> TimeZone {
    tz::reset_system_time_zone_cache();
    TimeZone::system()
}

/// Formats a time to the minute.
pub fn moment(time: Timestamp, zone: &TimeZone) -> String {
    time.to_zoned(zone.clone()).strftime(MOMENT).to_string()
}

/// Converts the times in an event's texts from the server to a zone.
#[deny(clippy::wildcard_enum_match_arm)]
pub fn in_event(mut event: Event, zone: &TimeZone) -> Event {
    match &mut event {
        Event::Admin { answer, .. } => match answer {
            Ok(AdminResult { message, lines, .. }) => {
                localize(message, zone);
                for line in lines {
                    localize(line, zone);
                }
            }
            Err(why) => localize(why, zone),
        },
        Event::Page { page: Err(why), .. }
        | Event::Found {
            found: Err(why), ..
        }
        | Event::RoomList {
            rooms: Err(why), ..
        }
        | Event::PeopleList {
            people: Err(why), ..
        }
        | Event::Inbox {
            inbox: Err(why), ..
        }
        | Event::NicknameRefused { why, .. }
        | Event::Connection(
            ConnectionStatus::Waiting { why, .. } | ConnectionStatus::Stopped { why, .. },
        )
        | Event::Notice(why) => localize(why, zone),
        Event::Outbox(message) => in_delivery(&mut message.delivery, zone),
        Event::Changed { .. }
        | Event::Page { page: Ok(_), .. }
        | Event::Found { found: Ok(_), .. }
        | Event::Connection(
            ConnectionStatus::Connecting
            | ConnectionStatus::Online
            | ConnectionStatus::Legacy
            | ConnectionStatus::Unidentified
            | ConnectionStatus::Standby,
        )
        | Event::Unanswered(_)
        | Event::Security(_)
        | Event::Entered(_)
        | Event::Room(_)
        | Event::RoomInfo { .. }
        | Event::ReadState { .. }
        | Event::RoomList { rooms: Ok(_), .. }
        | Event::PeopleList { people: Ok(_), .. }
        | Event::Inbox { inbox: Ok(_), .. }
        | Event::RoomLeft { .. }
        | Event::Message(_)
        | Event::Ignored(_)
        | Event::Members { .. }
        | Event::Joined { .. }
        | Event::Left { .. }
        | Event::Renamed { .. }
        | Event::Promoted { .. }
        | Event::Rules { .. }
        | Event::Distrusted(_)
        | Event::Ended(_) => {}
    }
    event
}

/// The same for the state of one of our messages.
pub fn in_delivery(delivery: &mut Delivery, zone: &TimeZone) {
    if let Delivery::Failed { why } = delivery {
        localize(why, zone);
    }
}

fn localize(line: &mut Line, zone: &TimeZone) {
    if line.as_str().contains(IN_UTC) {
        *line = Line::inert(&in_text(line.as_str(), zone));
    }
}

/// Converts the times in UTC within a text to a zone.
pub fn in_text(text: &str, zone: &TimeZone) -> String {
    let mut told = String::new();
    let mut rest = 0;
    for (at, _) in text.match_indices(IN_UTC) {
        let after = &text[at + IN_UTC.len()..];
        let Some(start) = at.checked_sub(MOMENT_BYTES).filter(|from| *from >= rest) else {
            continue;
        };
        let stands_alone = !after.starts_with(char::is_alphanumeric)
            && !text
                .get(..start)
                .is_none_or(|before| before.ends_with(char::is_alphanumeric));
        let time = text.get(start..at).and_then(|moment| {
            let utc = civil::DateTime::strptime(MOMENT, moment).ok()?;
            Some(utc.to_zoned(TimeZone::UTC).ok()?.timestamp())
        });
        if let Some(time) = time.filter(|_| stands_alone) {
            told.push_str(&text[rest..start]);
            told.push_str(&moment(time, zone));
            rest = at + IN_UTC.len();
        }
    }
    told.push_str(&text[rest..]);
    told
}

#[cfg(test)]
mod tests {
    use super::*;

    fn auckland() -> TimeZone {
        TimeZone::get("Pacific/Auckland").unwrap()
    }

    #[test]
    fn times_in_texts_are_converted_to_the_readers_zone() {
        for (text, expected) in [
            (
                "One may come in by this invite, until 2026-11-23 09:30 UTC",
                "One may come in by this invite, until 2026-11-23 22:30",
            ),
            // Summer and winter time, both ends of a line, two times in one text.
            (
                "2026-07-01 12:00 UTC to 2026-12-31 23:59 UTC",
                "2026-07-02 00:00 to 2027-01-01 12:59",
            ),
            (
                "日本語2026-11-23 09:30 UTC: too loud",
                "日本語2026-11-23 09:30 UTC: too loud",
            ),
            ("„2026-11-23 09:30 UTC“", "„2026-11-23 22:30“"),
        ] {
            assert_eq!(in_text(text, &auckland()), expected);
        }
    }

    #[test]
    fn other_texts_are_not_changed() {
        for text in [
            "",
            " UTC",
            "all times are in UTC",
            "2026-13-23 09:30 UTC",
            "2026-11-23 25:30 UTC",
            "2026-11-23 09:30 UTCX",
            "12026-11-23 09:30 UTC",
            "2026-11-23 09:30",
            "äöüäöüäöü2026 UTC",
            "until 9999-12-31 23:59 UTC!",
        ] {
            let _no_panic = in_text(text, &auckland());
            if !text.starts_with("until") {
                assert_eq!(in_text(text, &auckland()), text);
            }
        }
    }

    #[test]
    fn the_zone_is_read_once_a_minute_and_after_the_clock_was_set_back() {
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let mut zone = Zone {
            zone: TimeZone::fixed(tz::offset(3)),
            looked: Some(at(0)),
        };
        assert_eq!(zone.look(at(59)), None);
        assert!(zone.look(at(60)).is_some(), "no system is there by chance");
        zone.zone = TimeZone::fixed(tz::offset(3));
        assert_eq!(zone.look(at(61)), None);
        assert!(zone.look(at(0)).is_some());
        zone.zone = TimeZone::fixed(tz::offset(3));
        zone.doubt();
        assert!(zone.look(at(1)).is_some());
    }
}
