//! A user's devices: each has a key of its own, and one adds another by a code.

use std::{collections::HashMap, time::Duration};

use super::Accounts;
use crate::{
    protocol::{
        DeviceCode, KeyTag, PublicKey, UserId,
        frame::{ErrorCode, ErrorFrame},
    },
    server::core::format::moment,
    text::Line,
    time::Now,
};

/// Most keys of one user.
pub const KEYS_MAX: usize = 16;
/// How long the code for a device is valid.
const DEVICE_CODE_FOR: Duration = Duration::from_mins(10);
/// Most valid codes for devices; each user has at most one.
const DEVICE_CODES_MAX: usize = 1_000;

/// The codes for devices. They need not outlive the process.
#[derive(Debug, Default)]
pub(super) struct DeviceCodes(HashMap<DeviceCode, Offer>);

/// A code's user and its end.
#[derive(Clone, Copy, Debug)]
struct Offer {
    user: UserId,
    until: Duration,
}

impl DeviceCodes {
    /// Removes a user's code, and this one.
    pub(super) fn withdraw(&mut self, code: Option<DeviceCode>, user: UserId) {
        self.0
            .retain(|known, offer| Some(*known) != code && offer.user != user);
    }
}

impl Accounts {
    /// Makes a code that adds a device to a user's account; it replaces the one before.
    pub fn offer_device(
        &mut self,
        user: UserId,
        code: DeviceCode,
        now: Now,
    ) -> Result<(), ErrorFrame> {
        let codes = &mut self.codes.0;
        codes.retain(|_, offer| offer.until > now.mono && offer.user != user);
        let count = codes.len();
        if !self.has_room_for_key(user) {
            let message = "You can't have more devices: revoke one first";
            return Err(ErrorFrame::new(ErrorCode::NotAllowed, message));
        }
        if count >= DEVICE_CODES_MAX {
            let message = "Too many devices are being added at the moment: try again later";
            return Err(ErrorFrame::new(ErrorCode::RateLimited, message));
        }
        let until = now.mono + DEVICE_CODE_FOR;
        self.codes.0.insert(code, Offer { user, until });
        Ok(())
    }

    /// The user who made a code.
    pub fn offered(&self, code: DeviceCode, now: Now) -> Result<UserId, ErrorFrame> {
        let offer = self.codes.0.get(&code);
        offer
            .filter(|offer| offer.until > now.mono && self.has_room_for_key(offer.user))
            .map(|offer| offer.user)
            .ok_or_else(|| {
                let message = "The code is wrong or too old: ask for another with /device add";
                ErrorFrame::new(ErrorCode::BadCode, message)
            })
    }

    /// Removes a user's code.
    pub fn withdraw_codes(&mut self, user: UserId) {
        self.codes.withdraw(None, user);
    }

    /// Whether one more key may be added to a user.
    fn has_room_for_key(&self, user: UserId) -> bool {
        self.get(user)
            .is_some_and(|account| account.keys.len() < KEYS_MAX)
    }

    /// A user's devices, one a line.
    pub fn device_lines(&self, user: UserId) -> Vec<Line> {
        let keys = self.get(user).into_iter().flat_map(|account| &account.keys);
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

    /// Removes a device's key from its user.
    pub fn revoke_device(&mut self, user: UserId, tag: KeyTag) -> Result<PublicKey, ErrorFrame> {
        let none = || ErrorFrame::new(ErrorCode::NotFound, "You have no such device");
        let account = self.get(user).ok_or_else(none)?;
        let at = account.keys.iter().position(|key| key.public.tag() == tag);
        let at = at.ok_or_else(none)?;
        if account.keys.len() == 1 {
            let message = "This is your only device: without it you could never join again";
            return Err(ErrorFrame::new(ErrorCode::NotAllowed, message));
        }
        let removed = self
            .by_user
            .update(&user, |account| account.keys.remove(at));
        let key = removed.ok_or_else(none)?.public;
        self.keys.remove(&key);
        Ok(key)
    }
}
