//! Connections: how they begin, which bytes move on them, and when each side learns of their end.

use std::time::Duration;

use chat_tui::{
    client::session::{Channel, Closed, SocketAction},
    protocol::{ClientId, Token},
    server::core::ConnectionId,
    time::Now,
};

use super::{Client, Cluster, Task};
use crate::{
    net::{Pipe, Quality},
    server::{self, State},
    truth::Fault,
};

/// The owner of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Whose {
    Client(usize),
    Older,
    Historian,
    Thief,
}

pub(super) struct Connection {
    pub(super) whose: Whose,
    pub(super) up: Pipe,
    pub(super) down: Pipe,
    pub(super) client_open: bool,
    pub(super) server_open: bool,
    /// When the server wants to write again, if it has delayed output.
    pub(super) server_waits: Option<Duration>,
}

impl Cluster {
    pub(super) fn is_asleep(&self, whose: Whose) -> bool {
        match whose {
            Whose::Client(index) => self.clients[index].asleep || self.clients[index].down,
            Whose::Older | Whose::Historian | Whose::Thief => false,
        }
    }

    fn connect(&mut self, whose: Whose) -> ConnectionId {
        self.made += 1;
        let id = ConnectionId::new(0, self.made);
        let quality = Quality::any(&mut self.rng);
        self.connections.insert(
            id,
            Connection {
                whose,
                up: Pipe::new(quality),
                down: Pipe::new(quality),
                client_open: true,
                server_open: true,
                server_waits: None,
            },
        );
        self.server.accept(self.now(), id);
        id
    }

    pub(super) fn dialled(&mut self, index: usize, attempt: u64) -> Result<(), Fault> {
        let client = &mut self.clients[index];
        if client.dialling != Some(attempt) {
            return Ok(());
        }
        if client.asleep {
            self.after(Duration::from_millis(100), Task::Dialled(index, attempt));
            return Ok(());
        }
        client.dialling = None;
        let now = self.now();
        if self.server.is_up() {
            let id = self.connect(Whose::Client(index));
            let client = &mut self.clients[index];
            client.connection = Some(id);
            client.witness.opened(self.server.epoch());
            let server = server::ADDRESS;
            client.session.handle_opened(now, Channel::Plain { server });
        } else {
            self.clients[index]
                .session
                .handle_closed(now, &Closed::Refused);
        }
        self.listen(index)
    }

    /// The legacy client joins, or sends something.
    pub(super) fn older_acts(&mut self) {
        self.after_any(4000, Task::OlderActs);
        let Some(mut older) = self.older.take() else {
            return;
        };
        let says = match older.connection {
            None if self.server.is_up() => {
                let id = self.connect(Whose::Older);
                Some(older.joins(id, self.server.epoch()))
            }
            Some(_) if !self.mended || !older.has_spoken() => Some(older.says()),
            _ => None,
        };
        if let Some(says) = says
            && let Some(id) = older.connection
            && let Some(connection) = self.connections.get_mut(&id)
        {
            connection.up.write_all(self.now, &says, &mut self.rng);
        }
        self.older = Some(older);
    }

    /// The historian joins, or requests something.
    pub(super) fn historian_acts(&mut self) {
        self.after_any(1500, Task::HistorianActs);
        let Some(mut historian) = self.historian.take() else {
            return;
        };
        let says = match historian.connection {
            None if self.server.is_up() => {
                let id = self.connect(Whose::Historian);
                Some(historian.joins(id, self.server.epoch(), &mut self.rng))
            }
            Some(_) if !self.mended => historian.asks(&self.truth, self.wall(), &mut self.rng),
            _ => None,
        };
        if let Some(says) = says
            && let Some(id) = historian.connection
            && let Some(connection) = self.connections.get_mut(&id)
        {
            connection.up.write_all(self.now, &says, &mut self.rng);
        }
        self.historian = Some(historian);
    }

    /// The thief tries to join as a member whom the server knows by a key.
    pub(super) fn thief_acts(&mut self) {
        self.after_any(6000, Task::ThiefActs);
        let Some(mut thief) = self.thief.take() else {
            return;
        };
        if self.server.is_up() && thief.connection.is_none() {
            let epoch = self.server.epoch();
            let known = |(token, client_id): &(Token, ClientId)| {
                self.truth.is_owned(epoch, token.device(client_id))
            };
            let all = self.clients.iter().map(Client::stolen);
            let known: Vec<_> = all.filter(known).collect();
            let stolen = self.rng.choice(&known).cloned();
            if let Some((token, client_id)) = stolen {
                let id = self.connect(Whose::Thief);
                let says = thief.joins(id, token, client_id);
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.up.write_all(self.now, &says, &mut self.rng);
                }
            }
        }
        self.thief = Some(thief);
    }

    pub(super) fn server_hears(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && connection.server_open
        {
            connection.server_open = false;
            self.server.lost(self.now(), id);
        }
    }

    /// Closes the server's end: the client learns it after the last bytes.
    pub(super) fn server_closed(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && connection.server_open
        {
            connection.server_open = false;
            self.after_any(200, Task::ClientHears(id));
        }
    }

    pub(super) fn client_hears(&mut self, id: ConnectionId) -> Result<(), Fault> {
        let Some(connection) = self.connections.get(&id) else {
            return Ok(());
        };
        let whose = connection.whose;
        let unread = !connection.down.is_empty() && !connection.down.black_hole;
        if self.is_asleep(whose) || unread && connection.client_open {
            self.after(Duration::from_millis(10), Task::ClientHears(id));
            return Ok(());
        }
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.client_open = false;
        }
        match whose {
            Whose::Client(index) if self.clients[index].connection == Some(id) => {
                self.clients[index].connection = None;
                let now = self.now();
                self.clients[index]
                    .session
                    .handle_closed(now, &Closed::Lost);
                self.listen(index)
            }
            Whose::Older => {
                if let Some(older) = &mut self.older
                    && older.connection == Some(id)
                {
                    older.connection = None;
                }
                Ok(())
            }
            Whose::Historian => {
                if let Some(historian) = &mut self.historian {
                    historian.closed(id);
                }
                Ok(())
            }
            Whose::Thief => {
                if let Some(thief) = &mut self.thief {
                    thief.connection = thief.connection.filter(|of| *of != id);
                }
                Ok(())
            }
            Whose::Client(_) => Ok(()),
        }
    }

    /// Moves bytes both ways until nothing is left to do at this moment.
    pub(super) fn pump(&mut self) -> Result<(), Fault> {
        let moment = self.now();
        let now = self.now();
        for index in 0..self.clients.len() {
            let client = &mut self.clients[index];
            let awake = !client.asleep && !client.down;
            if awake && client.session.deadline().is_some_and(|at| at <= self.now) {
                client.session.handle_time(now);
            }
            self.listen(index)?;
        }
        for (&id, connection) in &mut self.connections {
            self.server.read(moment, id, &mut connection.up);
        }
        self.server.finish_turn(moment, &mut self.rng);
        self.server.look(moment, &mut self.rng);
        let ids: Vec<_> = self.connections.keys().copied().collect();
        for &id in &ids {
            self.server_writes(id);
        }
        for &id in &ids {
            self.client_reads(id)?;
        }
        self.connections
            .retain(|_, connection| connection.client_open || connection.server_open);
        Ok(())
    }

    fn server_writes(&mut self, id: ConnectionId) {
        let moment = self.now();
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        if !connection.server_open {
            return;
        }
        connection.server_waits = None;
        match self
            .server
            .write(moment, id, &mut connection.down, &mut self.rng)
        {
            State::Open => {}
            State::Waits(until) => connection.server_waits = Some(until),
            State::Closed => self.server_closed(id),
        }
    }

    fn client_reads(&mut self, id: ConnectionId) -> Result<(), Fault> {
        loop {
            let Some(connection) = self.connections.get_mut(&id) else {
                return Ok(());
            };
            let whose = connection.whose;
            if !connection.client_open {
                return Ok(());
            }
            if let Whose::Client(index) = whose
                && (self.clients[index].asleep || self.clients[index].down)
            {
                return Ok(());
            }
            let Some(bytes) = connection.down.read(self.now) else {
                return Ok(());
            };
            match whose {
                Whose::Client(index) => {
                    let now = self.now();
                    self.clients[index].session.handle_bytes(now, &bytes);
                    self.listen(index)?;
                }
                Whose::Older => {
                    if let Some(older) = &mut self.older {
                        older.hears(&self.truth, &bytes)?;
                    }
                }
                Whose::Thief => {
                    if let Some(thief) = &mut self.thief {
                        thief.hears(&bytes)?;
                    }
                }
                Whose::Historian => {
                    if let Some(historian) = &mut self.historian {
                        let answer = historian.hears(&self.truth, &bytes)?;
                        connection.up.write_all(self.now, &answer, &mut self.rng);
                    }
                }
            }
        }
    }

    /// Carries out a session's requests, writes its output, and passes its events on.
    pub(super) fn listen(&mut self, index: usize) -> Result<(), Fault> {
        let now = self.now();
        if self.clients[index].down {
            return Ok(());
        }
        self.keep(index);
        while let Some(action) = self.clients[index].session.poll_action() {
            self.hang_up(index);
            if action == SocketAction::Connect {
                self.made += 1;
                self.clients[index].dialling = Some(self.made);
                self.after_any(100, Task::Dialled(index, self.made));
            }
        }
        while let Some(event) = self.clients[index].session.poll_event() {
            self.told(index, &event)?;
        }
        self.client_writes(index, now);
        Ok(())
    }

    pub(super) fn hang_up(&mut self, index: usize) {
        let client = &mut self.clients[index];
        client.dialling = None;
        if let Some(id) = client.connection.take()
            && let Some(connection) = self.connections.get_mut(&id)
        {
            connection.client_open = false;
            if !connection.up.black_hole {
                self.after_any(200, Task::ServerHears(id));
            }
        }
    }

    fn client_writes(&mut self, index: usize, now: Now) {
        let client = &mut self.clients[index];
        let Some(id) = client.connection.filter(|_| !client.asleep) else {
            return;
        };
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        // The kernel's send buffer: bytes that do not fit into the pipe stay there.
        while connection.up.has_room() {
            let mut out = Vec::new();
            client.session.poll_write(now, &mut out);
            if out.is_empty() {
                break;
            }
            client.spoil(self.mutant, &mut out);
            connection.up.write_all(self.now, &out, &mut self.rng);
        }
    }
}
