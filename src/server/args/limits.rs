//! Options for rate limits.

use clap::Args;

use crate::server::core::rate_limit::{Limits, Rate};

/// The options for rate limits. Each is a rate per minute; its burst keeps the proportion that the
/// default has.
#[derive(Clone, Copy, Debug, Args)]
pub struct LimitArgs {
    /// Messages that one person may send in a minute, and a third as many at once; 0: no limit
    #[arg(long, value_name = "N", default_value_t = per_minute(Limits::default().messages))]
    pub messages_per_minute: u32,
    /// Pages of history and searches of one person in a minute; 0: no limit
    #[arg(long, value_name = "N", default_value_t = per_minute(Limits::default().looks))]
    pub lookups_per_minute: u32,
    /// Joins of one person in a minute; without a key, of one address; 0: no limit
    #[arg(long, value_name = "N", default_value_t = per_minute(Limits::default().joins))]
    pub joins_per_minute: u32,
    /// People who may join for the first time from one address in a minute, and seven times as many
    /// at once; 0: no limit
    #[arg(long, value_name = "N", default_value_t = per_minute(Limits::default().newcomers))]
    pub newcomers_per_minute: u32,
}

impl LimitArgs {
    pub(super) fn limits(&self) -> Limits {
        let usual = Limits::default();
        Limits {
            messages: like(usual.messages, self.messages_per_minute),
            looks: like(usual.looks, self.lookups_per_minute),
            joins: like(usual.joins, self.joins_per_minute),
            newcomers: like(usual.newcomers, self.newcomers_per_minute),
            ..usual
        }
    }
}

fn per_minute(rate: Option<Rate>) -> u32 {
    rate.map_or(0, |rate| rate.per_minute)
}

/// A rate, with a burst in proportion to that of the default.
fn like(usual: Option<Rate>, per_minute: u32) -> Option<Rate> {
    let usual = usual.filter(|_| per_minute > 0)?;
    let burst = u64::from(usual.burst) * u64::from(per_minute) / u64::from(usual.per_minute.max(1));
    let burst = u32::try_from(burst).unwrap_or(u32::MAX);
    Some(Rate::new(per_minute, burst.max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_keeps_its_proportion() {
        let usual = Some(Rate::new(600, 200));
        for (per_minute, expected) in [
            (0, None),
            (1, Some(Rate::new(1, 1))),
            (60, Some(Rate::new(60, 20))),
            (600, usual),
            (u32::MAX, Some(Rate::new(u32::MAX, u32::MAX / 3))),
        ] {
            assert_eq!(like(usual, per_minute), expected, "{per_minute}");
        }
    }

    #[test]
    fn unless_it_is_said_the_limits_are_the_usual_ones() {
        let args = |line: &[&str]| {
            let args = crate::server::args::Args::read(line).unwrap();
            args.limits.limits()
        };
        assert_eq!(args(&["chat-server"]), Limits::default());
        let quick = args(&["chat-server", "--messages-per-minute", "0"]);
        let expected = Limits {
            messages: None,
            ..Limits::default()
        };
        assert_eq!(quick, expected);
    }
}
