//! What the hub reports to the server's log, and in which words.
//!
//! Every string from a client is a [`Line`], a [`Nickname`] or an id, all of which are harmless to a
//! terminal; a message's text becomes one line here.

use std::{fmt, sync::Arc};

use jiff::{SignedDuration, Timestamp};

use super::accounts::{ACCOUNTS_MAX, STRANGERS_MAX};
#[cfg(doc)]
use super::client::Abilities;
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

/// Something for the server's log.
#[derive(Debug)]
pub enum LogEvent {
    /// Somebody came in.
    Joined {
        /// As what.
        nickname: Nickname,
        /// Who.
        user: UserId,
        /// With which client ID.
        client_id: ClientId,
        /// From where.
        address: ClientAddress,
        /// By which key; `None`: unverified.
        key: Option<KeyTag>,
        /// Whether nobody on the way can read what is said.
        encrypted: bool,
        /// With which program; `None`: it does not say.
        agent: Option<Line>,
        /// What its dialect [calls](Abilities::called) its clients.
        called: Option<&'static str>,
        /// How many sessions are in now.
        present: usize,
    },
    /// A message was stored.
    Message {
        /// The sender.
        sender: Arc<Member>,
        /// Where the sender is; `None` if he has left.
        address: Option<ClientAddress>,
        /// Its id.
        id: MessageId,
        /// The room.
        room: RoomName,
        /// Its number.
        seq: u64,
        /// Bytes of its text.
        bytes: usize,
        /// When.
        time: Timestamp,
        /// How many sessions it goes to.
        receivers: usize,
        /// The text, if texts are wanted.
        text: Option<Body>,
    },
    /// Somebody took another nickname.
    Renamed {
        /// The one before.
        was: Nickname,
        /// The one now.
        nickname: Nickname,
        /// Who.
        user: UserId,
    },
    /// A session ended.
    Left {
        /// As what.
        nickname: Nickname,
        /// Who.
        user: UserId,
        /// With which client ID.
        client_id: ClientId,
        /// From where.
        address: ClientAddress,
        /// Why.
        reason: Departure,
        /// How many sessions are in now.
        present: usize,
    },
    /// Somebody was not let in.
    Refused {
        /// As what.
        nickname: Nickname,
        /// From where.
        address: ClientAddress,
        /// Why.
        message: Line,
    },
    /// Old messages were erased, as the operator wants it.
    Erased {
        /// The room.
        room: RoomName,
        /// The lowest number erased.
        from: u64,
        /// The highest number erased.
        to: u64,
    },
    /// The clock on the wall was corrected.
    ClockCorrected {
        /// By how much.
        by: SignedDuration,
        /// What was told last before.
        was: Timestamp,
        /// What is told now.
        now: Timestamp,
        /// Whether nothing is erased by age for a while, where something would be.
        stops_erasing: bool,
    },
    /// At the start the clock is behind the log.
    ClockBehindLog {
        /// When the last message was stored, by the clock of then.
        last: Timestamp,
        /// What the clock says.
        now: Timestamp,
    },
    /// The clock on the wall is away from what the log knows: nothing is erased by age for a day.
    ClockDoubted {
        /// By how much; below zero where it is behind.
        by: SignedDuration,
    },
    /// Half, or nine tenths, of the accounts that the server can have are there.
    ManyAccounts {
        /// How many there are.
        known: usize,
    },
    /// The store refused something; told once for all that it refused in a minute.
    StoreRefused {
        /// How many operations.
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
            | Self::Erased { .. } => Level::INFO,
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
                write!(out, "; {present} in now")
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
                 {present} in now",
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
            Self::ClockCorrected { .. }
            | Self::ClockBehindLog { .. }
            | Self::ClockDoubted { .. } => self.clock(out),
            Self::ManyAccounts { known } => write!(
                out,
                "{known} people are known by a key, of {ACCOUNTS_MAX} at the most; from \
                 {STRANGERS_MAX} on newcomers come in unverified. Those who never wrote are \
                 forgotten sooner now; see docs/OPERATING.md, Limits"
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
            "message from {} to #{room}: number {seq}, id {id}, {bytes} bytes, from {}, at {time}, \
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
            None => out.write_str("somebody who has left"),
        }
    }
}

fn name(reason: Departure) -> &'static str {
    let named = DEPARTURES.iter().find(|(of, _)| *of == reason);
    named.map_or("unknown", |(_, name)| name)
}
