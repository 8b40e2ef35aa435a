//! The devices' rows and counters: all of them on disk, recently used ones cached in memory.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension, Result};

use super::{
    damage::{InRow, damaged},
    schema::{number, number_at},
};
use crate::protocol::{DeviceId, UserId, limits::NUMBER_MAX};

/// Devices cached in memory: at most twice this many, 56 bytes each.
const DEVICES_MAX: usize = 10_000;

/// The record of a device.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Device {
    /// Its row; `None` before it has one.
    pub(super) no: Option<i64>,
    /// The highest counter settled.
    pub(super) counter: u64,
    /// The owner, if they have a key.
    pub(super) user: Option<UserId>,
}

/// The cache of devices, as of the last commit. It has two generations: when the younger is full,
/// the older is dropped.
#[derive(Debug, Default)]
pub(super) struct Devices {
    young: HashMap<DeviceId, Device>,
    old: HashMap<DeviceId, Device>,
}

impl Devices {
    fn get(&self, id: DeviceId) -> Option<Device> {
        self.young.get(&id).or_else(|| self.old.get(&id)).copied()
    }

    fn put(&mut self, id: DeviceId, device: Device) {
        if self.young.len() >= DEVICES_MAX {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(id, device);
    }

    /// Applies the changes of a committed transaction.
    pub(super) fn keep(&mut self, changes: Changes) {
        for (id, Change { device, .. }) in changes.devices {
            self.put(id, device);
        }
    }
}

#[derive(Clone, Copy, Debug)]
struct Change {
    device: Device,
    /// Whether its row has to be updated.
    dirty: bool,
}

/// The devices used by a transaction; dropped if it fails.
#[derive(Debug, Default)]
pub(super) struct Changes {
    devices: HashMap<DeviceId, Change>,
}

impl Changes {
    /// Reads a device, from these changes, the cache or the database.
    pub(super) fn get(
        &mut self,
        connection: &Connection,
        known: &Devices,
        id: DeviceId,
    ) -> Result<Device> {
        if let Some(change) = self.devices.get(&id) {
            return Ok(change.device);
        }
        let device = match known.get(id) {
            Some(device) => device,
            None => find(connection, id)?,
        };
        let change = Change {
            device,
            dirty: false,
        };
        self.devices.insert(id, change);
        Ok(device)
    }

    /// Changes a device, and returns its row number.
    pub(super) fn put(
        &mut self,
        connection: &Connection,
        id: DeviceId,
        device: Device,
    ) -> Result<i64> {
        let no = match device.no {
            Some(no) => no,
            None => insert(connection, id, device)?,
        };
        let change = Change {
            device: Device {
                no: Some(no),
                ..device
            },
            dirty: device.no.is_some() || self.devices.get(&id).is_some_and(|c| c.dirty),
        };
        self.devices.insert(id, change);
        Ok(no)
    }

    /// The row of a device that was read or changed, if it has one.
    pub(super) fn row(&self, id: DeviceId) -> Option<i64> {
        self.devices.get(&id)?.device.no
    }

    /// Updates the rows of changed devices.
    pub(super) fn write(&self, connection: &Connection) -> Result<()> {
        let mut update =
            connection.prepare_cached("UPDATE device SET counter = ?2, user = ?3 WHERE no = ?1")?;
        for Change { device, dirty } in self.devices.values() {
            if *dirty && let Some(no) = device.no {
                let user = device.user.map(UserId::to_bytes);
                update.execute((no, number(device.counter), user))?;
            }
        }
        Ok(())
    }
}

fn find(connection: &Connection, id: DeviceId) -> Result<Device> {
    connection
        .prepare_cached("SELECT no, counter, user FROM device WHERE id = ?1")?
        .query_row([id.to_bytes()], |row| {
            let no = row.get(0)?;
            let counter = number_at(row, 1).in_row("device", no)?;
            if counter > NUMBER_MAX {
                let what = format!("there is no counter {counter}");
                return Err(damaged("device", no, what));
            }
            Ok(Device {
                no: Some(no),
                counter,
                user: row.get::<_, Option<_>>(2)?.map(UserId::from_bytes),
            })
        })
        .optional()
        .map(Option::unwrap_or_default)
}

fn insert(connection: &Connection, id: DeviceId, device: Device) -> Result<i64> {
    let user = device.user.map(UserId::to_bytes);
    connection
        .prepare_cached("INSERT INTO device(id, counter, user) VALUES(?1, ?2, ?3)")?
        .insert((id.to_bytes(), number(device.counter), user))
}
