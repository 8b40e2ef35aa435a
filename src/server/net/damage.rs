//! Looks for damaged records at the start.

use super::{Clock, StartError};
use crate::server::{
    config::Config,
    core::access::{self, Unread},
    log::{Batch, Operation, StateRecord, Store},
};

/// Damaged records that are named where the server does not start because of them.
const NAMED_MAX: usize = 5;

/// Refuses to start where records are damaged, or deletes them if the operator says so.
pub(super) fn look_for_it(config: &Config, store: &mut dyn Store) -> Result<(), StartError> {
    let records = store.state().map_err(|_| StartError::Unreadable)?;
    let Unread { damaged, unknown } = access::unread(&records);
    for (kind, count) in unknown {
        config.recorder.warn(format!(
            "{count} records of the kind {kind:?} are of a newer server: they are kept, and not used"
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
            .warn(format!("the damaged record {name} is deleted"));
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
