//! A user's devices: each has a key of its own, and the first lets the others in.

use std::time::Duration;

use super::{DEVICE_CODE_FOR, DEVICE_CODES_MAX, House, moment, persist, refusal};
use crate::{
    protocol::{
        DeviceCode, KeyTag, PublicKey, UserId,
        frame::{ErrorCode, ErrorFrame},
    },
    text::Line,
    time::Now,
};

/// A code that lets a device in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Offer {
    user: UserId,
    until: Duration,
}

impl House {
    /// Makes a code by which another device of a user comes in; the one before is void.
    pub(super) fn offer_device(
        &mut self,
        user: UserId,
        code: DeviceCode,
        now: Now,
    ) -> Result<(), ErrorFrame> {
        self.codes
            .retain(|_, offer| offer.until > now.mono && offer.user != user);
        if !self.has_room_for_key(user) {
            let message = "You have as many devices as one can have: revoke one first";
            return Err(refusal(ErrorCode::NotAllowed, message));
        }
        if self.codes.len() >= DEVICE_CODES_MAX {
            let message = "Too many devices are being added at the moment: try again later";
            return Err(refusal(ErrorCode::RateLimited, message));
        }
        let until = now.mono + DEVICE_CODE_FOR;
        self.codes.insert(code, Offer { user, until });
        Ok(())
    }

    /// Whose device brings a code.
    pub(super) fn offered(&self, code: DeviceCode, now: Now) -> Result<UserId, ErrorFrame> {
        self.codes
            .get(&code)
            .filter(|offer| offer.until > now.mono && self.has_room_for_key(offer.user))
            .map(|offer| offer.user)
            .ok_or_else(|| {
                let message = "The code is wrong or too old: ask for another with /device add";
                refusal(ErrorCode::BadCode, message)
            })
    }

    /// A code was used.
    pub(super) fn taken_up(&mut self, code: Option<DeviceCode>, user: UserId) {
        self.codes
            .retain(|known, offer| Some(*known) != code && offer.user != user);
    }

    /// A user's devices, one a line.
    pub(super) fn device_lines(&self, user: UserId) -> Vec<Line> {
        let account = self.accounts.get(&user);
        let keys = account.into_iter().flat_map(|account| &account.keys);
        keys.map(|key| {
            Line::inert(&format!(
                "{}  added {}, last seen about {}",
                key.public.tag(),
                moment(key.added),
                moment(key.seen),
            ))
        })
        .collect()
    }

    /// Lets a device in no more.
    pub(super) fn revoke_device(
        &mut self,
        user: UserId,
        tag: KeyTag,
    ) -> Result<PublicKey, ErrorFrame> {
        let none = || refusal(ErrorCode::NotFound, "You have no such device");
        let account = self.accounts.get_mut(&user).ok_or_else(none)?;
        let at = account.keys.iter().position(|key| key.public.tag() == tag);
        let at = at.ok_or_else(none)?;
        if account.keys.len() == 1 {
            let message = "It is your only device: you could never come in again";
            return Err(refusal(ErrorCode::NotAllowed, message));
        }
        let key = account.keys.remove(at).public;
        self.dirty.push(persist::of_account(user, account));
        self.keys.remove(&key);
        Ok(key)
    }
}
