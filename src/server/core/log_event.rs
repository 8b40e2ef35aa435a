//! The hub's entries in the server's log, and their texts.
//!
//! Every string from a client is a [`Line`], a [`Nickname`] or an id, all of which are harmless to a
//! terminal; a message's text becomes one line here.

use std::{fmt, sync::Arc};

use jiff::{SignedDuration, Timestamp};

#[cfg(doc)]
use super::client::Abilities;
use super::{
    accounts::{ACCOUNTS_MAX, STRANGERS_MAX},
    format::erased,
};
use crate::{
    protocol::{
        ClientId, KeyTag, MessageId, Nickname, RoomName, UserId,
        frame::{Departure, Member},
        wire::DEPARTURES,
    },
    server::{
        event_log::{Level, Report},
        network::ClientAddress,
    },
    text::{self, Body, Line},
};

/// An entry for the server's log.
#[derive(Debug)]
pub enum LogEvent {
    /// A client joined.
    Joined {
        /// The nickname.
        nickname: Nickname,
        /// The user.
        user: UserId,
        /// The client ID.
        client_id: ClientId,
        /// The address.
        address: ClientAddress,
        /// The key; `None`: unverified.
        key: Option<KeyTag>,
        /// Whether the connection is encrypted.
        encrypted: bool,
        /// The client's program; `None`: unknown.
        agent: Option<Line>,
        /// The name that its dialect [gives](Abilities::called) its clients.
        called: Option<&'static str>,
        /// The number of sessions now.
        present: usize,
    },
    /// A message was stored.
    Message {
        /// The sender.
        sender: Arc<Member>,
        /// The sender's address; `None` if they have left.
        address: Option<ClientAddress>,
        /// Its id.
        id: MessageId,
        /// The room.
        room: Line,
        /// Its number.
        seq: u64,
        /// Bytes of its text.
        bytes: usize,
        /// The time.
        time: Timestamp,
        /// The number of sessions that receive it.
        receivers: usize,
        /// The text, if the log has texts.
        text: Option<Body>,
    },
    /// A user changed their nickname.
    Renamed {
        /// The one before.
        was: Nickname,
        /// The one now.
        nickname: Nickname,
        /// The user.
        user: UserId,
    },
    /// A session ended.
    Left {
        /// The nickname.
        nickname: Nickname,
        /// The user.
        user: UserId,
        /// The client ID.
        client_id: ClientId,
        /// The address.
        address: ClientAddress,
        /// The reason.
        reason: Departure,
        /// The number of sessions now.
        present: usize,
    },
    /// A join was refused.
    Refused {
        /// The nickname.
        nickname: Nickname,
        /// The address.
        address: ClientAddress,
        /// The reason.
        message: Line,
    },
    /// Old messages were erased, by the operator's settings.
    Erased {
        /// The room.
        room: Line,
        /// The lowest number erased.
        from: u64,
        /// The highest number erased.
        to: u64,
    },
    /// Entries were erased because the operator wanted it.
    ErasedByOperator {
        /// The room.
        room: RoomName,
        /// The lowest number named.
        from: u64,
        /// The highest number named.
        to: u64,
        /// The number of entries that were erased.
        count: u64,
    },
    /// The wall clock was corrected.
    ClockCorrected {
        /// The correction.
        by: SignedDuration,
        /// The last time shown before.
        was: Timestamp,
        /// The time shown now.
        now: Timestamp,
        /// Whether this stops erasing by age for a while.
        stops_erasing: bool,
    },
    /// The clock is behind the log at the start.
    ClockBehindLog {
        /// The time of the last message, by the clock of then.
        last: Timestamp,
        /// The clock's time.
        now: Timestamp,
    },
    /// The wall clock differs from the log's last time: nothing is erased by age for a day.
    ClockDoubted {
        /// The difference; negative if the clock is behind.
        by: SignedDuration,
    },
    /// The number of accounts has passed half, or nine tenths, of the limit.
    ManyAccounts {
        /// The number of accounts.
        known: usize,
    },
    /// The store refused operations; logged at most once a minute.
    StoreRefused {
        /// The number of operations.
        operations: usize,
    },
    /// The store failed: the server stops.
    StoreFailed,
}

impl Report for LogEvent {
    fn level(&self) -> Level {
        match self {
            Self::Refused { .. }
            | Self::ClockCorrected { .. }
            | Self::ClockBehindLog { .. }
            | Self::ClockDoubted { .. }
            | Self::ManyAccounts { .. }
            | Self::StoreRefused { .. }
            | Self::StoreFailed => Level::WARN,
            Self::Joined { .. }
            | Self::Message { .. }
            | Self::Renamed { .. }
            | Self::Left { .. }
            | Self::Erased { .. }
            | Self::ErasedByOperator { .. } => Level::INFO,
        }
    }
}

impl fmt::Display for LogEvent {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Joined {
                nickname,
                user,
                client_id,
                address,
                key,
                encrypted,
                agent,
                called,
                present,
            } => {
                write!(
                    out,
                    "{nickname} joined: user {user}, client ID {client_id}, from {address}"
                )?;
                match key {
                    Some(key) => write!(out, ", key {key}")?,
                    None => out.write_str(", unverified")?,
                }
                if !encrypted {
                    out.write_str(", not encrypted")?;
                }
                match (agent, called) {
                    (Some(agent), _) => write!(out, ", with {agent}")?,
                    (None, Some(called)) => write!(out, ", with {called}")?,
                    (None, None) => {}
                }
                write!(out, "; {present} online")
            }
            Self::Message { .. } => self.message(out),
            Self::Renamed {
                was,
                nickname,
                user,
            } => write!(out, "{was} is now {nickname}: user {user}"),
            Self::Left {
                nickname,
                user,
                client_id,
                address,
                reason,
                present,
            } => write!(
                out,
                "{nickname} left ({}): user {user}, client ID {client_id}, from {address}; \
                 {present} online",
                name(*reason)
            ),
            Self::Refused {
                nickname,
                address,
                message,
            } => write!(out, "{nickname} refused, from {address}: {message}"),
            Self::Erased { room, from, to } => {
                write!(out, "erased the messages {from} to {to} of {room}")
            }
            Self::ErasedByOperator {
                room,
                from,
                to,
                count,
            } => write!(
                out,
                "erased {} of {room}, as the operator wanted",
                erased(*from, *to, *count)
            ),
            Self::ClockCorrected { .. }
            | Self::ClockBehindLog { .. }
            | Self::ClockDoubted { .. } => self.clock(out),
            Self::ManyAccounts { known } => write!(
                out,
                "{known} of at most {ACCOUNTS_MAX} accounts exist; from {STRANGERS_MAX} on new users \
                 join unverified. Accounts that never wrote are removed sooner now; see \
                 docs/OPERATING.md, Limits"
            ),
            Self::StoreRefused { operations } => write!(
                out,
                "the store refused {operations} operations; clients will try again"
            ),
            Self::StoreFailed => out.write_str("the store failed: the server stops"),
        }
    }
}

impl LogEvent {
    fn clock(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ClockCorrected {
                by,
                was,
                now,
                stops_erasing,
            } => {
                let length = text::span(by.unsigned_abs());
                if by.is_negative() {
                    write!(out, "the clock was set back by {length}")?;
                } else {
                    write!(
                        out,
                        "the clock went ahead by {length}, because it was set or the machine slept"
                    )?;
                }
                write!(
                    out,
                    ": it showed {was:.0} and now shows {now:.0}; messages get the new times, each \
                     room's next one is marked"
                )?;
                if *stops_erasing {
                    out.write_str(", and no messages are erased by age for an hour")?;
                }
                out.write_str("; see that the clock is right")
            }
            Self::ClockBehindLog { last, now } => write!(
                out,
                "the last message was stored at {last:.0}, but the clock shows {now:.0}: one of \
                 them is wrong; new messages get the clock's time and are marked, so see that the \
                 clock is right"
            ),
            Self::ClockDoubted { by } => write!(
                out,
                "the clock is {} h {} the time that the log knows of: no messages are erased by \
                 age for a day; see that the clock is right",
                by.as_hours().unsigned_abs(),
                if by.is_negative() {
                    "behind"
                } else {
                    "ahead of"
                },
            ),
            _ => Ok(()),
        }
    }

    fn message(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self::Message {
            sender,
            address,
            id,
            room,
            seq,
            bytes,
            time,
            receivers,
            text,
        } = self
        else {
            return Ok(());
        };
        write!(
            out,
            "message from {} to {room}: number {seq}, id {id}, {bytes} bytes, from {}, at {time}, \
             to {receivers} clients",
            sender.nickname,
            WhereFrom(*address),
        )?;
        match text {
            Some(text) => write!(out, ": {}", Line::inert(text.as_str())),
            None => Ok(()),
        }
    }
}

struct WhereFrom(Option<ClientAddress>);

impl fmt::Display for WhereFrom {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => write!(out, "{address}"),
            None => out.write_str("a user who has left"),
        }
    }
}

fn name(reason: Departure) -> &'static str {
    let named = DEPARTURES.iter().find(|(of, _)| *of == reason);
    named.map_or("unknown", |(_, name)| name)
}
