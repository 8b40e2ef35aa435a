//! The protocol between client and server: names, frames, limits and the codec.
//!
//! Pure: bytes and values in, bytes and values out. `docs/PROTOCOL.md` specifies it for people;
//! this module is the one that the programs obey.
//!
//! In reading order:
//!
//! - [`limits`]: sizes, counts and durations.
//! - [`name`]: the small types that an untrusted string becomes ([`Nickname`], [`RoomName`], …).
//! - [`key`]: proof of identity for both ends; [`invite`]: tokens that admit a new user.
//! - [`extent`]: the range of numbers that a room's log holds.
//! - [`entry`]: what a room's log holds; [`fold`]: what entries do to each other.
//! - [`room`]: what a room is, and what a member keeps about it.
//! - [`frame`]: every frame, typed, as both sides see it.
//! - [`admin`]: roles and admin commands.
//! - [`codec`]: finds the frames in a stream of bytes.
//! - [`wire`]: converts one frame's JSON to a typed frame and back.
//! - [`legacy`]: the format of legacy peers.

#![deny(clippy::disallowed_methods)]

pub mod admin;
pub mod codec;
pub mod entry;
pub mod extent;
pub mod fold;
pub mod frame;
mod hex;
pub mod invite;
pub mod key;
pub mod legacy;
pub mod limits;
pub mod name;
mod nickname;
pub mod room;
pub mod wire;

pub use admin::{Password, Role};
pub use entry::{Author, Content, Entry, EntryKind, Mentions, RoomChange, RoomEvent};
pub use extent::Extent;
pub use frame::{ClientFrame, ServerFrame};
pub use invite::{Invite, InviteId, InviteKey, InviteToken};
pub use key::{
    Binding, DeviceCode, Fingerprint, Identity, KeyTag, Nonce, OwnerCode, PublicKey, Signature,
};
pub use name::{ClientId, DeviceId, Epoch, MessageId, Nickname, RoomId, RoomName, Token, UserId};
pub use room::{
    Count, HistoryAccess, NotifyLevel, Person, Preferences, ReadMarker, ReadState, RoomInfo,
    RoomKind, RoomRules,
};
