//! Formats times and durations for the server's messages, and makes the errors that carry them.

use std::time::Duration;

use jiff::Timestamp;

use crate::protocol::frame::{ErrorCode, ErrorFrame};

/// Seconds since 1970, UTC.
pub(super) fn seconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_second()).unwrap_or(0)
}

/// A time in UTC, to the minute.
pub(super) fn moment(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| Timestamp::from_second(seconds).ok())
        .map_or_else(
            || "the end of time".to_owned(),
            |time| time.strftime("%Y-%m-%d %H:%M UTC").to_string(),
        )
}

/// ` until` and a time; empty if there is no end.
pub(super) fn until(end: Option<u64>) -> String {
    end.map_or_else(String::new, |end| format!(" until {}", moment(end)))
}

/// So many entries that were erased of the numbers `from` to `to`.
pub(super) fn erased(from: u64, to: u64, count: u64) -> String {
    if from == to {
        format!("the entry {from}")
    } else {
        format!("{count} of the entries {from} to {to}")
    }
}

/// A duration in whole units, rounded down: `10 minutes`. Below two of a unit it is given in the
/// next smaller one, except for exactly one.
pub(super) fn duration(time: Duration) -> String {
    let seconds = time.as_secs() + u64::from(time.subsec_nanos() > 0);
    let (count, unit) = match seconds {
        0..120 => (seconds, "second"),
        120..7_200 => (seconds / 60, "minute"),
        7_200..172_800 => (seconds / 3_600, "hour"),
        _ => (seconds / 86_400, "day"),
    };
    // Exactly one minute, hour or day.
    let (count, unit) = match seconds {
        60 => (1, "minute"),
        3_600 => (1, "hour"),
        86_400 => (1, "day"),
        _ => (count, unit),
    };
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {unit}{plural}")
}

/// The error for an exceeded rate limit, with the time to wait.
pub(super) fn too_often(what: &str, wait: Duration) -> ErrorFrame {
    let ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    ErrorFrame {
        retry_after_ms: Some(ms.saturating_add(1)),
        ..ErrorFrame::new(
            ErrorCode::RateLimited,
            &format!("{what}: try again in {}", duration(wait)),
        )
    }
}
