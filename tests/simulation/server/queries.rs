//! The server's log queries: each takes a while, and some fail.

use std::time::Duration;

use chat_tui::{
    server::{
        core::{log_query::QueryResult, rooms::span::Visible},
        log::StoreError,
    },
    time::Now,
};
use fastrand::Rng;

use super::Server;
use crate::mutant::Mutant;

impl Server {
    /// Ends the log queries that are due.
    pub(crate) fn look(&mut self, now: Now, rng: &mut Rng) {
        let Some(running) = &mut self.running else {
            return;
        };
        for (&id, endpoint) in &mut running.endpoints {
            if let Some(mut look) = endpoint.poll_query() {
                if self.mutant == Some(Mutant::SearchSeesAll) && look.is_search() {
                    look.visible = Visible::all();
                }
                let latency = Duration::from_millis(rng.u64(0..20));
                running.looking.insert(id, (now.mono + latency, look));
            }
        }
        while let Some((&id, _)) = running
            .looking
            .iter()
            .find(|(_, (due, _))| *due <= now.mono)
        {
            let Some((_, look)) = running.looking.remove(&id) else {
                return;
            };
            let mut looked = match rng.u8(..20) {
                0 => Err(StoreError::Refused),
                _ => look.read(&mut self.disk.log),
            };
            match (&mut looked, self.mutant) {
                (Ok(QueryResult::Page(page)), Some(Mutant::PageWithAHole))
                    if page.frames.len() > 2 =>
                {
                    page.frames.remove(1);
                }
                (Ok(QueryResult::Changed(changed)), Some(Mutant::ChangesWithAHole))
                    if !changed.frames.is_empty() =>
                {
                    changed.frames.remove(0);
                }
                _ => {}
            }
            if let Some(endpoint) = running.endpoints.get_mut(&id) {
                endpoint.handle_query_result(now, &looked);
            }
        }
    }
}
