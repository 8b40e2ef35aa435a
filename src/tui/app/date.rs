//! The dates that `/date` takes.

use std::fmt;

use jiff::{
    ToSpan,
    civil::{Date, Weekday},
};

/// The error for a word that is not a day. Its text is one plain sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoDay;

impl fmt::Display for NoDay {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("Write the day like 2026-11-20, yesterday or monday")
    }
}

impl std::error::Error for NoDay {}

const WEEKDAYS: [(&str, Weekday); 7] = [
    ("monday", Weekday::Monday),
    ("tuesday", Weekday::Tuesday),
    ("wednesday", Weekday::Wednesday),
    ("thursday", Weekday::Thursday),
    ("friday", Weekday::Friday),
    ("saturday", Weekday::Saturday),
    ("sunday", Weekday::Sunday),
];
/// The letters that are enough to name a weekday.
const LETTERS_MIN: usize = 3;

/// Parses a day: `2026-11-20`, `today`, `yesterday`, or a weekday (or its first three letters),
/// which means the last one before today.
pub fn parse(text: &str, today: Date) -> Result<Date, NoDay> {
    let word = text.trim().to_lowercase();
    let back = match word.as_str() {
        "today" => 0,
        "yesterday" => 1,
        word => {
            let weekday = WEEKDAYS
                .iter()
                .find(|(name, _)| word.len() >= LETTERS_MIN && name.starts_with(word));
            let Some((_, weekday)) = weekday else {
                return word.parse().map_err(|_| NoDay);
            };
            match today.weekday().since(*weekday) {
                0 => 7,
                days => days,
            }
        }
    };
    today.checked_sub(back.days()).map_err(|_| NoDay)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_parsed() {
        let today: Date = "2026-11-22".parse().unwrap(); // A Sunday.
        for (text, expected) in [
            ("2026-11-20", Some("2026-11-20")),
            (" today ", Some("2026-11-22")),
            ("Yesterday", Some("2026-11-21")),
            ("monday", Some("2026-11-16")),
            ("sat", Some("2026-11-21")),
            ("Sunday", Some("2026-11-15")),
            ("1995-02-29", None),
            ("mo", None),
            ("20.11.", None),
            ("", None),
            ("mondays", None),
        ] {
            let found = parse(text, today).ok().map(|day| day.to_string());
            assert_eq!(found.as_deref(), expected, "{text:?}");
        }
    }
}
