//! Settings of the log on disk.

use std::{
    fmt,
    path::{Path, PathBuf},
    str::FromStr,
};

use jiff::civil::{Time, time};

use crate::server::{event_log::EventLog, supervisor::Supervisor};

/// When a commit may be acknowledged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Durability {
    /// Once it is on the disk: it survives a power failure.
    #[default]
    Full,
    /// Once the system has it: it survives the server's end, but a power failure may lose the last
    /// ones.
    Relaxed,
}

/// When the log may be compacted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compact {
    /// Never: some erased texts stay in its file.
    Never,
    /// In the two hours from this time of day on, by the local clock.
    At(Time),
}

impl Default for Compact {
    fn default() -> Self {
        Self::At(time(3, 0, 0, 0))
    }
}

impl fmt::Display for Compact {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Never => out.write_str("never"),
            Self::At(time) => write!(out, "{:02}:{:02}", time.hour(), time.minute()),
        }
    }
}

impl FromStr for Compact {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str = "give a time of day, such as 03:00, or never";
        if text == "never" {
            return Ok(Self::Never);
        }
        let number = |digits: &str, length: usize| {
            let all = digits.bytes().all(|digit| digit.is_ascii_digit());
            let fits = (1..=length).contains(&digits.len());
            digits.parse().ok().filter(|_| all && fits)
        };
        let parts = text.split_once(':').ok_or(WRONG)?;
        let hour = number(parts.0, 2).ok_or(WRONG)?;
        let minute = number(parts.1, 2).filter(|_| parts.1.len() == 2);
        let time = Time::new(hour, minute.ok_or(WRONG)?, 0, 0);
        time.map(Self::At).map_err(|_| WRONG)
    }
}

/// Settings of a log on disk.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The data directory.
    pub directory: PathBuf,
    /// When a commit may be acknowledged.
    pub durability: Durability,
    /// Whether to keep an index for searches. Without it they read only the latest part of the log.
    pub index: bool,
    /// When the log may be compacted.
    pub compact: Compact,
    /// The server's event log.
    pub recorder: EventLog,
    /// Starts and watches the threads.
    pub supervisor: Supervisor,
}

impl Settings {
    /// Those of a command, which opens the log for one change while no server runs. It keeps no index:
    /// the next start makes it again.
    pub fn of_command(directory: &Path) -> Self {
        Self {
            directory: directory.to_owned(),
            durability: Durability::Full,
            index: false,
            compact: Compact::Never,
            recorder: EventLog::none(),
            supervisor: Supervisor::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_read_and_shown() {
        for (text, expected, shown) in [
            ("never", Compact::Never, "never"),
            ("03:00", Compact::default(), "03:00"),
            ("3:00", Compact::default(), "03:00"),
            ("23:59", Compact::At(time(23, 59, 0, 0)), "23:59"),
        ] {
            let read: Compact = text.parse().unwrap();
            assert_eq!(read, expected, "{text}");
            assert_eq!(read.to_string(), shown);
        }
        for text in [
            "", "3", "24:00", "12:60", "1:2", "-1:00", "+3:00", "003:00", "3:00 ", "NEVER",
        ] {
            assert!(text.parse::<Compact>().is_err(), "{text}");
        }
    }
}
