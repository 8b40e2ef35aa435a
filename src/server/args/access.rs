//! Options for access to the server.

use std::time::Duration;

use clap::Args;

use crate::server::core::access::{Access, RoomMakers};

/// The longest validity of an invite.
const INVITE_FOR_MAX: Duration = Duration::from_hours(366 * 24);

/// Who may join.
#[derive(Clone, Debug, Args)]
pub struct AccessArgs {
    /// Who may join: local: everyone on this machine and in private networks, others with an
    /// invite; open: everyone; invite: people with an invite; password: people with the password or
    /// an invite
    #[arg(
        long,
        value_name = "WHO",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub access: Access,
    /// Show a code for a new owner; the old owner becomes a member
    #[arg(long)]
    pub new_owner: bool,
    /// Delete records of accounts and bans that can't be read, instead of refusing to start
    #[arg(long)]
    pub drop_damaged: bool,
    /// Days for which people who wrote keep their account and nickname while they are away
    #[arg(
        long,
        value_name = "DAYS",
        default_value_t = crate::server::config::KEEP_ACCOUNTS_DAYS_DEFAULT as u32,
        value_parser = clap::value_parser!(u32).range(1..=100_000)
    )]
    pub keep_accounts: u32,
    /// Who may make rooms: members: everyone with a key; moderators: moderators and owners; owner:
    /// owners
    #[arg(
        long,
        value_name = "WHO",
        value_enum,
        default_value_t,
        hide_possible_values = true
    )]
    pub rooms_by: RoomMakers,
}

/// Options of an invite.
#[derive(Clone, Debug, Args)]
pub struct InviteArgs {
    /// How many people may join with it; 0: any number
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub uses: u16,
    /// How long it is valid: 30m, 12h, 7d, 2w
    #[arg(long, value_name = "TIME", default_value = "7d", value_parser = time)]
    pub expires: Duration,
    /// The name or address by which people reach this machine [default: the address by which it
    /// reaches others]
    #[arg(long, value_name = "NAME")]
    pub host: Option<String>,
    /// The port by which people reach it
    #[arg(
        long,
        value_name = "N",
        default_value_t = crate::server::config::PORT_DEFAULT,
        value_parser = clap::value_parser!(u16).range(1..)
    )]
    pub port: u16,
}

/// Options of the password.
#[derive(Clone, Copy, Debug, Args)]
pub struct PasswordArgs {
    /// Remove the password
    #[arg(long)]
    pub remove: bool,
}

/// Parses a time such as `7d`.
fn time(text: &str) -> Result<Duration, String> {
    const WRONG: &str = "give a time as a number with m, h, d or w: 30m, 12h, 7d, 2w";
    let split = text.find(|c: char| !c.is_ascii_digit()).ok_or(WRONG)?;
    let (count, unit) = text.split_at(split);
    let seconds: u64 = match unit {
        "m" => 60,
        "h" => 3_600,
        "d" => 24 * 3_600,
        "w" => 7 * 24 * 3_600,
        _ => return Err(WRONG.to_owned()),
    };
    let count = count.parse().ok().filter(|count| *count > 0).ok_or(WRONG)?;
    let time = Duration::from_secs(seconds.saturating_mul(count));
    if time > INVITE_FOR_MAX {
        return Err("an invite is valid for at most 366 days".to_owned());
    }
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_a_number_and_a_unit() {
        for (text, minutes) in [
            ("1m", Some(1)),
            ("90m", Some(90)),
            ("12h", Some(12 * 60)),
            ("7d", Some(7 * 24 * 60)),
            ("2w", Some(14 * 24 * 60)),
            ("366d", Some(366 * 24 * 60)),
            ("367d", None),
            ("99999999999999999999w", None),
            ("18446744073709551615m", None),
            ("0d", None),
            ("7", None),
            ("d", None),
            ("+7d", None),
            ("7 d", None),
            ("7y", None),
            ("", None),
            ("é", None),
        ] {
            let expected = minutes.map(Duration::from_mins);
            assert_eq!(time(text).ok(), expected, "{text}");
        }
    }
}
