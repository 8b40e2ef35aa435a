//! Carries out saves.

use rusqlite::{Connection, TransactionBehavior};

use super::{Store, StoreFault, budget, cache, device, handover, has_moved};
use crate::{
    client::session::persist_types::{Save, SaveError, StoreChange},
    protocol::ClientId,
    text::Line,
};

/// How often messages are dropped for one save that finds the disk full.
const ROOM_TRIES: usize = 8;

impl Store {
    /// Saves all changes or none; but see [`SaveError::Lost`].
    pub fn save(&mut self, save: &Save) -> Result<(), SaveError> {
        let failed = |fault: &StoreFault| SaveError::Failed(Line::inert(&fault.words()));
        let mut saved = self.soundly(|store| store.try_save(save, true));
        // Cached messages come again from the server; everything else takes precedence.
        if matches!(&saved, Err(fault) if fault.wants_space()) && !save.changes.iter().all(is_cache)
        {
            saved = self.soundly(|store| store.try_save(save, false));
        }
        for _ in 0..ROOM_TRIES {
            let lacks = matches!(&saved, Err(fault) if fault.wants_space());
            if !lacks
                || save.changes.iter().all(is_cache)
                || !budget::make_room(&self.database, &self.path)
            {
                break;
            }
            saved = self.soundly(|store| store.try_save(save, false));
        }
        saved.map_err(|fault| failed(&fault))?
    }

    /// `caches`: whether to store messages too.
    fn try_save(&mut self, save: &Save, caches: bool) -> Result<Result<(), SaveError>, StoreFault> {
        if self.durable != save.is_durable() {
            self.durable = save.is_durable();
            let level = if self.durable { "FULL" } else { "NORMAL" };
            self.database.pragma_update(None, "synchronous", level)?;
        }
        let bytes = save.changes.iter().map(cache::bytes).sum();
        let caches = caches && bytes > 0 && self.budget.has_room(&self.database, &self.path, bytes);
        let client = &self.profile.client_id;
        let max = self.cache_messages_max;
        let mut erased = false;
        let transaction = self
            .database
            .transaction_with_behavior(TransactionBehavior::Immediate)?;
        if save.is_fenced() && has_moved(self.file, &self.path) {
            return Err(StoreFault::Moved);
        }
        let owner = self.owner;
        let lost = save.is_fenced() && !device::holds_lease(&transaction, client, owner)?;
        // The session stores the user of a key, and may leave out the token's.
        let mut user = device::user(&transaction)?.unwrap_or_else(|| self.token.user());
        for change in &save.changes {
            match change {
                change if lost && change.is_fenced() => {}
                StoreChange::Entry(_)
                | StoreChange::Settled { .. }
                | StoreChange::Submit { .. }
                | StoreChange::Remove(_)
                | StoreChange::TakeBack(_)
                | StoreChange::NextCounter(_) => {
                    save_outbox(&transaction, client, owner, change)?;
                }
                StoreChange::Draft { room, text } => {
                    device::draft(&transaction, client, *room, text)?;
                }
                StoreChange::Typed(text) => device::add_typed(&transaction, text)?,
                StoreChange::Erased(text) => {
                    device::forget_text(&transaction, text)?;
                    erased = true;
                }
                StoreChange::User(known) => {
                    user = *known;
                    device::set_user(&transaction, user)?;
                }
                StoreChange::Room {
                    epoch,
                    start,
                    folded,
                } => {
                    cache::open_room(&transaction, *epoch, start, *folded, max)?;
                }
                StoreChange::Entries(run) => {
                    erased |= cache::put(&transaction, run, user, max, caches)?;
                }
                StoreChange::Changed(changed) => {
                    erased |= cache::change(&transaction, changed, user)?;
                }
                StoreChange::Read {
                    room,
                    epoch,
                    marker,
                    preferences,
                } => {
                    cache::read(&transaction, *room, *epoch, *marker, *preferences)?;
                }
                StoreChange::RoomInfo { room, info } => {
                    cache::set_info(&transaction, *room, info)?;
                }
                StoreChange::RoomLeft(room) => erased |= cache::leave_room(&transaction, *room)?,
            }
        }
        if caches {
            self.budget.keep(&transaction, &self.path)?;
        }
        transaction.commit()?;
        if erased {
            // If others are reading, the log keeps the text until the next time.
            budget::checkpoint(&self.database);
        }
        if caches {
            // Free pages can be returned later.
            let _ = self.budget.give_back(&self.database, &self.path);
        }
        if save.is_fenced() {
            self.held = !lost;
        }
        for change in save.changes.iter().filter(|_| !lost) {
            match change {
                StoreChange::NextCounter(next) => self.next.0 = self.next.0.max(*next),
                StoreChange::Entry(entry) => self.next.1 = self.next.1.max(entry.key + 1),
                _ => {}
            }
        }
        Ok(if lost { Err(SaveError::Lost) } else { Ok(()) })
    }
}

fn is_cache(change: &StoreChange) -> bool {
    matches!(change, StoreChange::Entries(_) | StoreChange::Changed(_))
}

/// Carries out a change of the outbox or of the counters.
fn save_outbox(
    database: &Connection,
    client: &ClientId,
    owner: [u8; 16],
    change: &StoreChange,
) -> Result<(), StoreFault> {
    match change {
        StoreChange::Entry(entry) => {
            let origin = entry.number.map(|number| (&owner[..], number));
            device::put(database, client, entry, origin)?;
        }
        StoreChange::Settled { key, delivery } => {
            handover::settle_entry(database, client, owner, *key, delivery)?;
        }
        StoreChange::Submit {
            number,
            room,
            enter,
            content,
        } => {
            let enter = enter.as_ref();
            handover::submit(database, client, owner, *number, *room, enter, content)?;
        }
        StoreChange::Remove(key) | StoreChange::TakeBack(key) => {
            device::remove(database, client, *key)?;
        }
        StoreChange::NextCounter(next) => {
            device::next_counter(database, client, *next)?;
        }
        // It is of the cache.
        _ => {}
    }
    Ok(())
}
