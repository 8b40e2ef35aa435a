//! Faults, and their repair.

use chat_tui::server::core::ConnectionId;
use jiff::SignedDuration;

use super::{Cluster, Task};
use crate::truth::Fault;

impl Cluster {
    pub(super) fn break_something(&mut self) {
        let ids: Vec<_> = self.connections.keys().copied().collect();
        let any = self.rng.choice(&ids).copied();
        match self.rng.u8(..16) {
            0..=3 => {
                if let Some(id) = any {
                    self.cut(id);
                }
            }
            4..=5 => {
                if let Some(id) = any {
                    self.silence(id);
                }
            }
            6 => self.server_dies(),
            9 => {
                self.server_dies();
                self.server.disk.power_cut(&mut self.rng);
            }
            10 => self.server.stop(self.now()),
            11 => self.server.disk.back_up(),
            12..=14 => {
                let index = self.rng.usize(..self.clients.len());
                self.crash(index);
            }
            7 => self.server.failing = self.rng.u32(1..5),
            8 => {
                let index = self.rng.usize(..self.clients.len());
                self.fall_asleep(index);
                self.after_any(60_000, Task::Wake(index));
            }
            _ => {
                // A little, or by hours; for a while, or for good.
                let far = if self.rng.bool() { 100 } else { 10_000 };
                let seconds = self.rng.i64(-far..far);
                self.wall = self
                    .wall
                    .saturating_add(SignedDuration::from_secs(seconds))
                    .expect("far from the end of time");
            }
        }
    }

    /// Kills the server's process.
    pub(super) fn server_dies(&mut self) {
        if self.server.is_up() {
            self.server.kill(&mut self.rng);
            self.server_is_gone();
        }
    }

    /// Ends the server's process after its goodbye: in order, or for lack of a store.
    pub(super) fn server_ends(&mut self) {
        self.server.end();
        self.server_is_gone();
    }

    fn server_is_gone(&mut self) {
        self.wishes.server_is_gone();
        for id in self.connections.keys().copied().collect::<Vec<_>>() {
            self.server_closed(id);
        }
        self.after_any(15_000, Task::Restart);
    }

    /// While the server was away its disk may have been lost, or replaced by a backup.
    pub(super) fn another_log(&mut self) {
        if self.forgetful && !self.mended {
            match self.rng.u8(..4) {
                0 => self.server.disk.lose(),
                1..=2 => self.server.disk.restore(&mut self.truth),
                _ => {}
            }
        }
    }

    /// Drops all bytes from now on, one way or both, silently.
    fn silence(&mut self, id: ConnectionId) {
        let which = self.rng.u8(..3);
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.up.black_hole |= which != 1;
            connection.down.black_hole |= which != 0;
        }
    }

    pub(super) fn mend(&mut self) -> Result<(), Fault> {
        self.mended = true;
        self.server.failing = 0;
        if !self.server.is_up() {
            self.start()?;
        }
        for id in self.connections.keys().copied().collect::<Vec<_>>() {
            let connection = &self.connections[&id];
            if connection.up.black_hole || connection.down.black_hole {
                self.cut(id);
            }
        }
        for index in 0..self.clients.len() {
            self.boot(index)?;
            if self.clients[index].asleep {
                self.after_any(0, Task::Wake(index));
            }
        }
        if let Some(older) = &mut self.older {
            older.is_to_speak();
        }
        self.twins_leave()
    }

    /// Breaks a connection; both ends learn of it, at different times.
    fn cut(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.up.black_hole = true;
        connection.down.black_hole = true;
        self.after_any(3000, Task::ServerHears(id));
        self.after_any(3000, Task::ClientHears(id));
    }
}
