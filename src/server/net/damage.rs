//! Checks the stored records for damage at the start.

use super::{Clock, StartError};
use crate::server::{
    config::Config,
    core::access::{self, UnreadableRecords},
    log::{Batch, Operation, StateRecord, Store},
};

/// Damaged records that the error names at most.
const NAMED_MAX: usize = 5;

/// Refuses to start if records are damaged, or deletes them if the operator says so.
pub(super) fn check(config: &Config, store: &mut dyn Store) -> Result<(), StartError> {
    let records = store.state().map_err(|_| StartError::Unreadable)?;
    let UnreadableRecords { damaged, unknown } = access::unread(&records);
    for (kind, count) in unknown {
        config.recorder.warn(format!(
            "{count} records of the kind {kind:?} are from a newer server: they are kept, but not used"
        ));
    }
    if damaged.is_empty() {
        return Ok(());
    }
    let name = |fact: &StateRecord| format!("{} {:?}", fact.kind, fact.key);
    if !config.drop_damaged {
        let names = damaged.iter().take(NAMED_MAX).map(name);
        return Err(StartError::Damaged(damaged.len(), names.collect()));
    }
    for fact in &damaged {
        let name = name(fact);
        config
            .recorder
            .warn(format!("deleted the damaged record {name}"));
    }
    let gone = damaged.into_iter().map(|fact| StateRecord {
        value: None,
        ..fact
    });
    let operations = vec![Operation::PutState(gone.collect())];
    let batch = Batch::new(Clock::start().now().wall, operations);
    store.append(batch).map_err(|_| StartError::Unreadable)?;
    Ok(())
}
