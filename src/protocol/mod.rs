//! What client and server say to each other: names, frames, limits and the codec.
//!
//! Pure: bytes and values come in, bytes and values go out. `docs/PROTOCOL.md` is the
//! specification for people; this module is the one that the programs obey.
//!
//! In reading order:
//!
//! - [`limits`]: how large, how many, how long.
//! - [`name`]: the small types that an untrusted string becomes ([`Nickname`], [`RoomName`], …).
//! - [`key`]: who is at each end, proven; [`invite`]: who may come in besides.
//! - [`frame`]: every frame, typed, as both sides see it.
//! - [`admin`]: roles, and the commands that keep order.
//! - [`codec`]: finds the frames in a stream of bytes.
//! - [`wire`]: one frame's JSON to a typed frame and back.
//! - [`legacy`]: the older format of legacy peers.

#![deny(clippy::disallowed_methods)]

pub mod admin;
pub mod codec;
pub mod frame;
mod hex;
pub mod invite;
pub mod key;
pub mod legacy;
pub mod limits;
pub mod name;
mod nickname;
pub mod wire;

pub use admin::{Password, Role, RoomRules};
pub use frame::{ClientFrame, ServerFrame};
pub use invite::{Invite, InviteId, InviteKey, InviteToken};
pub use key::{
    Binding, DeviceCode, Fingerprint, Identity, KeyTag, Nonce, OwnerCode, PublicKey, Signature,
};
pub use name::{ClientId, DeviceId, Epoch, MessageId, Nickname, RoomName, Token, UserId};
