//! The clients' machines: their disks, and processes that are killed and start again.

use std::time::Duration;

use chat_tui::{
    client::session::{
        Session,
        persist_types::{CacheQuery, CacheResult, LeaseStatus, SaveError},
    },
    text::Line,
};

use super::{
    Cluster, Task,
    clients::{Role, claim},
};
use crate::truth::Fault;

impl Cluster {
    /// Sends a session's saves to the disk.
    pub(super) fn keep(&mut self, index: usize) {
        let now = self.now();
        let client = &mut self.clients[index];
        while let Some((id, look)) = client.session.poll_cache_query() {
            let run = client.run;
            let disk = client.disk.as_ref().map(|disk| disk.borrow_mut());
            let looked = match (look, disk) {
                (CacheQuery::Lease(claim), Some(mut disk)) => {
                    CacheResult::Lease(Ok(disk.lease(run, claim)))
                }
                (CacheQuery::Lease(_), None) => CacheResult::Lease(Ok(LeaseStatus {
                    ours: true,
                    ..LeaseStatus::default()
                })),
                (CacheQuery::Adopt { key }, Some(mut disk)) => {
                    CacheResult::Adopted(Ok(disk.adopt(run, key)))
                }
                (CacheQuery::Adopt { .. }, None) => CacheResult::Adopted(Ok(Some(Vec::new()))),
                (
                    CacheQuery::Page {
                        room,
                        epoch,
                        part,
                        offline,
                    },
                    Some(disk),
                ) => CacheResult::Page(Ok(disk.page(room, epoch, part, offline))),
                (CacheQuery::Page { .. }, None) => CacheResult::Page(Ok(None)),
                // No client here searches: see the historian.
                (CacheQuery::Search { .. }, _) => {
                    CacheResult::Found(Err(Line::inert("Nothing is kept")))
                }
            };
            client.session.handle_cache_result(now, id, looked);
        }
        let Some(disk) = &client.disk else {
            while client.session.poll_save(now).is_some() {
                client.session.handle_saved(now, Ok(()));
            }
            return;
        };
        if client.saving.is_none()
            && let Some(save) = client.session.poll_save(now)
        {
            disk.borrow_mut().begin(&save);
            self.made += 1;
            client.saving = Some((self.made, save));
            // Some disks are slow at times.
            let wait_ms = if self.rng.u8(..12) == 0 { 2_000 } else { 30 };
            self.after_any(wait_ms, Task::Saved(index, self.made));
        }
    }

    /// Ends a save.
    pub(super) fn saved(&mut self, index: usize, number: u64) -> Result<(), Fault> {
        let now = self.now();
        let client = &mut self.clients[index];
        if client.asleep && !client.down {
            self.after(Duration::from_millis(100), Task::Saved(index, number));
            return Ok(());
        }
        let fails = !self.mended && self.rng.u8(..60) == 0;
        let Some((_, save)) = client.saving.take_if(|(of, _)| *of == number) else {
            return Ok(());
        };
        let saved = match &client.disk {
            Some(_) if fails => Err(SaveError::Failed(Line::inert("simulated"))),
            Some(disk) => disk.borrow_mut().save(client.run, save),
            None => Ok(()),
        };
        if client.is_of_pair() {
            self.after_any(400, Task::News(index));
        }
        let client = &mut self.clients[index];
        if client.witness.ended() {
            // The process did not wait for its disk.
            return Ok(());
        }
        client.session.handle_saved(now, saved);
        self.listen(index)
    }

    /// Tells the process that has the outbox that another one has written something.
    pub(super) fn news(&mut self, from: usize) -> Result<(), Fault> {
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            if index == from || client.down || client.is_gone() || !client.is_of_pair() {
                continue;
            }
            if client.asleep {
                self.after_any(1000, Task::News(from));
                continue;
            }
            client.session.handle_store_news();
            self.listen(index)?;
        }
        Ok(())
    }

    /// Kills a client's process, or cuts its machine's power.
    pub(super) fn crash(&mut self, index: usize) {
        let client = &mut self.clients[index];
        let Some(disk) = client.disk.as_ref().filter(|_| !client.down) else {
            return;
        };
        if client.witness.ended() {
            return;
        }
        if let Some((_, save)) = client.saving.take()
            && self.rng.bool()
        {
            // No process is left to learn the outcome.
            let _ = disk.borrow_mut().write(client.run, save);
        }
        // A power failure would hit both of two on one machine.
        if !matches!(client.role, Role::Original | Role::Twin) && self.rng.bool() {
            disk.borrow_mut().power_cut(&mut self.rng);
            if self.rng.u8(..4) == 0 {
                disk.borrow_mut().lose_rooms();
            }
        }
        disk.borrow_mut().end_run(client.run);
        client.down = true;
        client.asleep = false;
        client.leaving = None;
        let witness = &client.witness;
        self.wishes.process_ended(index, |key| witness.shows(key));
        self.hang_up(index);
        if self.clients[index].is_of_pair() {
            self.after_any(400, Task::News(index));
        }
        self.after_any(10_000, Task::Boot(index));
    }

    /// Starts a client's process again.
    pub(super) fn boot(&mut self, index: usize) -> Result<(), Fault> {
        let now = self.now();
        let client = &mut self.clients[index];
        let Some(disk) = client.disk.as_ref().filter(|_| client.down) else {
            return Ok(());
        };
        let mut disk = disk.borrow_mut();
        client.run = disk.begin_run();
        let kept = disk.open(client.run, claim(&client.config));
        disk.check_folded(&self.truth)?;
        let shown = disk.shown();
        let there = disk.keys(true);
        drop(disk);
        if client.may_be_renamed() {
            // It starts with its user's current nickname.
            if let Some(nickname) = self.wishes.name(client.user) {
                client.config.nickname = nickname.clone();
            }
            let nickname = client.config.nickname.clone();
            client.own_nickname = nickname.clone();
            self.wishes.asks(client.user, index, nickname);
        }
        let (session, restored) = Session::resume(client.config.clone(), kept, now);
        client.session = session;
        client.down = false;
        client.was_killed = true;
        client
            .witness
            .restarted(&self.truth, restored, shown, &there, self.mutant)?;
        self.listen(index)
    }

    /// The machine falls asleep: the limit on leaving no longer applies.
    pub(super) fn fall_asleep(&mut self, index: usize) {
        if self.clients[index].down {
            return;
        }
        self.clients[index].asleep = true;
        self.clients[index].leaving = self.clients[index].leaving.map(|_| Duration::MAX / 2);
    }
}
