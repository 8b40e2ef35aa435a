//! One server, some clients, a bad network, and a clock that jumps from event to event.
//!
//! A run has three parts: faults and chatter for [`CHATTER`]; then everything is mended, and the
//! world must come to rest within [`REST`]; then everybody leaves.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use chat_tui::{
    client::{
        event::{Command, Event as Shown, Link},
        session::{Action, Closed, Config, Now, Session},
    },
    protocol::{ClientId, Nickname, RoomName, Token, UserId},
    server::engine::{ConnectionId, Moment},
    text::Body,
};
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp, tz::TimeZone};

use crate::{
    check::{Fault, Truth, Witness},
    mutant::Mutant,
    net::{Pipe, Quality},
    server::{Server, State},
};

/// How long things go wrong.
const CHATTER: Duration = Duration::from_mins(1);
/// How long the world may take to come to rest afterwards.
const REST: Duration = Duration::from_mins(5);
/// Events in one run; more means that something turns in circles.
const STEPS_MAX: u32 = 40_000;

/// What happens by itself.
#[derive(Clone, Copy, Debug)]
enum Task {
    /// A client does something.
    Act(usize),
    /// A client's attempt to connect comes to an end.
    Dialled(usize, u64),
    /// The other end of a connection learns that it is gone.
    ServerHears(ConnectionId),
    ClientHears(ConnectionId),
    /// Something breaks.
    Break,
    /// The server process is there again.
    Restart,
    /// The server's clock strikes a second.
    Tick,
    /// A client's machine wakes up.
    Wake(usize),
}

struct Client {
    session: Session,
    witness: Witness,
    user: UserId,
    connection: Option<ConnectionId>,
    /// The attempt under way.
    dialling: Option<u64>,
    /// The machine sleeps: nothing of it moves.
    asleep: bool,
    renames: u32,
    typed: u32,
    shares_user: bool,
}

struct Connection {
    client: usize,
    up: Pipe,
    down: Pipe,
    client_open: bool,
    server_open: bool,
}

/// Everything.
pub(crate) struct World {
    rng: Rng,
    now: Duration,
    /// What the wall's clock adds to it.
    wall: Timestamp,
    server: Server,
    truth: Truth,
    clients: Vec<Client>,
    connections: BTreeMap<ConnectionId, Connection>,
    tasks: BTreeMap<(Duration, u64), Task>,
    made: u64,
    mended: bool,
    /// Whether a restart may lose the log.
    forgetful: bool,
    loud: bool,
}

/// One run; the fault found, if any.
pub(crate) fn run(seed: u64, mutant: Option<Mutant>, loud: bool) -> Result<(), Fault> {
    let mut world = World::new(seed, mutant, loud);
    world.live()
}

impl World {
    fn new(seed: u64, mutant: Option<Mutant>, loud: bool) -> Self {
        let mut rng = Rng::with_seed(seed);
        let count = rng.u8(2..=4);
        let wall = Timestamp::from_second(1_795_000_000).expect("a time");
        let start = Now {
            elapsed: Duration::ZERO,
            wall,
        };
        let shared = rng.u8(..4) == 0;
        let clients = (0..count).map(|index| {
            let shares_user = shared && index < 2;
            let token = Token::from_bytes([if shares_user { 7 } else { 10 + index }; 32]);
            let name = if shares_user {
                "both".to_owned()
            } else {
                format!("c{index}")
            };
            Client {
                session: Session::new(
                    Config {
                        host: "server".into(),
                        port: 10500,
                        nickname: Nickname::parse(&name).expect("a nickname"),
                        client_id: ClientId::parse(&index.to_string()).expect("an ID"),
                        token,
                        last: Some(1000),
                        zone: TimeZone::UTC,
                        seed: rng.u64(..),
                    },
                    start,
                ),
                witness: Witness::new(format!("client {index}")),
                user: token.user(),
                connection: None,
                dialling: None,
                asleep: false,
                renames: 0,
                typed: 0,
                shares_user,
            }
        });
        let clients: Vec<_> = clients.collect();
        let mut world = Self {
            now: Duration::ZERO,
            wall,
            server: Server::new(mutant),
            truth: Truth::default(),
            clients,
            connections: BTreeMap::new(),
            tasks: BTreeMap::new(),
            made: 0,
            mended: false,
            forgetful: rng.u8(..3) == 0,
            loud,
            rng,
        };
        world.server.start(world.moment(), false);
        world.after(Duration::from_secs(1), Task::Tick);
        world.after_any(5000, Task::Break);
        for index in 0..count.into() {
            world.after_any(3000, Task::Act(index));
        }
        world
    }

    fn live(&mut self) -> Result<(), Fault> {
        let mut steps = 0;
        self.pump()?;
        while self.now < CHATTER {
            self.step(&mut steps)?;
        }
        self.mend();
        let end = self.now + REST;
        while let Err(unsettled) = self.settled() {
            if self.now > end {
                return Err(format!("does not come to rest: {unsettled}"));
            }
            let next_look = self.now + Duration::from_secs(1);
            while self.now < next_look {
                self.step(&mut steps)?;
            }
        }
        self.leave(&mut steps)
    }

    fn settled(&self) -> Result<(), Fault> {
        if self.server.commit_due().is_some() {
            return Err("a commit is under way".into());
        }
        let present: BTreeSet<_> = self.clients.iter().map(|client| client.user).collect();
        let epoch = self.server.epoch();
        self.clients
            .iter()
            .try_for_each(|client| client.witness.settled(&self.truth, epoch, &present))?;
        self.truth.check_order()
    }

    fn leave(&mut self, steps: &mut u32) -> Result<(), Fault> {
        for index in 0..self.clients.len() {
            self.command(index, Command::Leave)?;
        }
        self.pump()?;
        let end = self.now + Duration::from_secs(5);
        while !self.clients.iter().all(|client| client.witness.ended()) {
            if self.now > end {
                return Err("a client does not end".into());
            }
            self.step(steps)?;
        }
        Ok(())
    }

    /// Goes to the next thing that happens, and does it.
    fn step(&mut self, steps: &mut u32) -> Result<(), Fault> {
        *steps += 1;
        if *steps > STEPS_MAX {
            return Err("turns in circles".into());
        }
        let task = self.tasks.first_key_value().map(|((time, _), _)| *time);
        let commit = self.server.commit_due();
        let pipes = self.connections.values().flat_map(|connection| {
            let up = connection
                .up
                .next_arrival()
                .filter(|_| connection.server_open);
            let asleep = self.clients[connection.client].asleep;
            let open = connection.client_open && !asleep;
            let down = connection.down.next_arrival().filter(|_| open);
            [up, down]
        });
        let deadlines = self
            .clients
            .iter()
            .map(|client| client.session.deadline().filter(|_| !client.asleep));
        let next = pipes
            .chain(deadlines)
            .chain([task, commit])
            .flatten()
            // What has arrived but is not wanted yet waits for something else to happen.
            .filter(|time| *time > self.now)
            .min();
        self.now = next.unwrap_or(self.now + Duration::from_millis(1));
        while let Some(entry) = self.tasks.first_entry()
            && entry.key().0 <= self.now
        {
            let task = entry.remove();
            self.perform(task)?;
        }
        self.server.commit(self.moment(), &mut self.truth)?;
        self.pump()
    }

    fn perform(&mut self, task: Task) -> Result<(), Fault> {
        if self.loud && !matches!(task, Task::Tick) {
            println!("{:?} {task:?}", self.now);
        }
        match task {
            Task::Act(index) => {
                if !self.mended {
                    self.act(index)?;
                    self.after_any(4000, Task::Act(index));
                }
            }
            Task::Dialled(index, attempt) => self.dialled(index, attempt)?,
            Task::ServerHears(id) => {
                if let Some(connection) = self.connections.get_mut(&id)
                    && connection.server_open
                {
                    connection.server_open = false;
                    self.server.lost(self.moment(), id);
                }
            }
            Task::ClientHears(id) => self.client_hears(id)?,
            Task::Break => {
                if !self.mended {
                    self.break_something()?;
                    self.after_any(12_000, Task::Break);
                }
            }
            Task::Restart => {
                if !self.server.is_up() {
                    let forgetful = self.forgetful && self.rng.bool();
                    self.server.start(self.moment(), forgetful);
                }
            }
            Task::Tick => {
                for id in self.server.tick(self.moment()) {
                    self.server_closed(id);
                }
                self.after(Duration::from_secs(1), Task::Tick);
            }
            Task::Wake(index) => {
                self.clients[index].asleep = false;
                let now = self.session_now();
                self.clients[index].session.handle_woke(now);
                self.clients[index].session.handle_time(now);
            }
        }
        Ok(())
    }

    fn act(&mut self, index: usize) -> Result<(), Fault> {
        let client = &mut self.clients[index];
        let command = match self.rng.u8(..20) {
            0 => Command::RetryNow,
            1 if !client.shares_user => {
                client.renames += 1;
                let name = format!("c{index}r{}", client.renames);
                Command::Nick(Nickname::parse(&name).expect("a nickname"))
            }
            2..=3 => {
                let pending = client.witness.pending();
                match self.rng.choice(&pending) {
                    Some(local) => Command::Withdraw(*local),
                    None => return Ok(()),
                }
            }
            _ => {
                for _ in 0..self.rng.u32(1..=4) {
                    let client = &mut self.clients[index];
                    client.typed += 1;
                    let tail = match self.rng.u8(..20) {
                        0 => "long ".repeat(self.rng.usize(..400)),
                        1 => "\ntwo lines, \u{1f44b}\u{1f3fd}".to_owned(),
                        _ => String::new(),
                    };
                    let text = format!("{index}.{} {tail}", client.typed);
                    let body = Body::visible(&text).expect("a text");
                    self.command(
                        index,
                        Command::Send {
                            room: RoomName::lobby(),
                            body,
                        },
                    )?;
                }
                return Ok(());
            }
        };
        self.command(index, command)
    }

    fn command(&mut self, index: usize, command: Command) -> Result<(), Fault> {
        if self.loud {
            println!("{:?} client {index} {command:?}", self.now);
        }
        let now = self.session_now();
        self.clients[index].session.handle_command(now, command);
        self.listen(index)
    }

    fn break_something(&mut self) -> Result<(), Fault> {
        let ids: Vec<_> = self.connections.keys().copied().collect();
        let any = self.rng.choice(&ids).copied();
        match self.rng.u8(..10) {
            0..=3 => {
                if let Some(id) = any {
                    self.cut(id);
                }
            }
            4..=5 => {
                if let Some(id) = any
                    && let Some(connection) = self.connections.get_mut(&id)
                {
                    match self.rng.u8(..3) {
                        0 => connection.up.black_hole = true,
                        1 => connection.down.black_hole = true,
                        _ => {
                            connection.up.black_hole = true;
                            connection.down.black_hole = true;
                        }
                    }
                }
            }
            6 => {
                self.server.kill(&mut self.truth, &mut self.rng)?;
                let ids: Vec<_> = self.connections.keys().copied().collect();
                for id in ids {
                    self.server_closed(id);
                }
                self.after_any(15_000, Task::Restart);
            }
            7 => self.server.failing = self.rng.u32(1..5),
            8 => {
                let index = self.rng.usize(..self.clients.len());
                self.clients[index].asleep = true;
                self.after_any(60_000, Task::Wake(index));
            }
            _ => {
                let seconds = self.rng.i64(-100..100);
                self.wall = self
                    .wall
                    .saturating_add(SignedDuration::from_secs(seconds))
                    .expect("far from the end of time");
            }
        }
        Ok(())
    }

    fn mend(&mut self) {
        self.mended = true;
        self.server.failing = 0;
        if !self.server.is_up() {
            self.server.start(self.moment(), false);
        }
        for id in self.connections.keys().copied().collect::<Vec<_>>() {
            let connection = &self.connections[&id];
            if connection.up.black_hole || connection.down.black_hole {
                self.cut(id);
            }
        }
        for index in 0..self.clients.len() {
            if self.clients[index].asleep {
                self.after(Duration::ZERO, Task::Wake(index));
            }
        }
    }

    /// Breaks a connection; both ends learn of it, each in its time.
    fn cut(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        connection.up.black_hole = true;
        connection.down.black_hole = true;
        self.after_any(3000, Task::ServerHears(id));
        self.after_any(3000, Task::ClientHears(id));
    }

    /// The server's end is closed: the other one learns it behind the last bytes.
    fn server_closed(&mut self, id: ConnectionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && connection.server_open
        {
            connection.server_open = false;
            self.after_any(200, Task::ClientHears(id));
        }
    }

    fn client_hears(&mut self, id: ConnectionId) -> Result<(), Fault> {
        let Some(connection) = self.connections.get_mut(&id) else {
            return Ok(());
        };
        let index = connection.client;
        let pending = !connection.down.is_empty() && !connection.down.black_hole;
        if self.clients[index].asleep || pending && connection.client_open {
            self.after(Duration::from_millis(10), Task::ClientHears(id));
            return Ok(());
        }
        connection.client_open = false;
        if self.clients[index].connection == Some(id) {
            self.clients[index].connection = None;
            let now = self.session_now();
            self.clients[index]
                .session
                .handle_closed(now, &Closed::Lost);
            self.listen(index)?;
        }
        Ok(())
    }

    fn dialled(&mut self, index: usize, attempt: u64) -> Result<(), Fault> {
        let client = &mut self.clients[index];
        if client.dialling != Some(attempt) {
            return Ok(());
        }
        if client.asleep {
            self.after(Duration::from_millis(100), Task::Dialled(index, attempt));
            return Ok(());
        }
        client.dialling = None;
        let now = self.session_now();
        if self.server.is_up() {
            self.made += 1;
            let id = ConnectionId::new(0, self.made);
            let quality = Quality::any(&mut self.rng);
            self.connections.insert(
                id,
                Connection {
                    client: index,
                    up: Pipe::new(quality),
                    down: Pipe::new(quality),
                    client_open: true,
                    server_open: true,
                },
            );
            self.server.accept(self.moment(), id);
            let client = &mut self.clients[index];
            client.connection = Some(id);
            client.witness.opened(self.server.epoch());
            client.session.handle_opened(now);
        } else {
            self.clients[index]
                .session
                .handle_closed(now, &Closed::Refused);
        }
        self.listen(index)
    }

    /// Moves bytes both ways until nobody has anything to do at this moment.
    fn pump(&mut self) -> Result<(), Fault> {
        let moment = self.moment();
        for index in 0..self.clients.len() {
            let now = self.session_now();
            let client = &mut self.clients[index];
            if !client.asleep && client.session.deadline().is_some_and(|at| at <= self.now) {
                client.session.handle_time(now);
            }
            self.listen(index)?;
        }
        let ids: Vec<_> = self.connections.keys().copied().collect();
        for &id in &ids {
            if let Some(connection) = self.connections.get_mut(&id) {
                self.server.read(moment, id, &mut connection.up);
            }
        }
        self.server.finish_turn(moment, &mut self.rng);
        for &id in &ids {
            let Some(connection) = self.connections.get_mut(&id) else {
                continue;
            };
            if connection.server_open
                && self
                    .server
                    .write(moment, id, &mut connection.down, &mut self.rng)
                    == State::Closed
            {
                self.server_closed(id);
            }
        }
        for &id in &ids {
            self.client_reads(id)?;
        }
        self.connections
            .retain(|_, connection| connection.client_open || connection.server_open);
        Ok(())
    }

    fn client_reads(&mut self, id: ConnectionId) -> Result<(), Fault> {
        loop {
            let Some(connection) = self.connections.get_mut(&id) else {
                return Ok(());
            };
            let index = connection.client;
            if !connection.client_open || self.clients[index].asleep {
                return Ok(());
            }
            let Some(bytes) = connection.down.read(self.now) else {
                return Ok(());
            };
            let now = self.session_now();
            self.clients[index].session.handle_bytes(now, &bytes);
            self.listen(index)?;
        }
    }

    /// Does what a session wants, writes what it has, and shows its witness what it tells.
    fn listen(&mut self, index: usize) -> Result<(), Fault> {
        let now = self.session_now();
        while let Some(action) = self.clients[index].session.poll_action() {
            let client = &mut self.clients[index];
            client.dialling = None;
            let old = client.connection.take();
            if let Some(id) = old
                && let Some(connection) = self.connections.get_mut(&id)
            {
                connection.client_open = false;
                if !connection.up.black_hole {
                    self.after_any(200, Task::ServerHears(id));
                }
            }
            if action == Action::Connect {
                self.made += 1;
                self.clients[index].dialling = Some(self.made);
                self.after_any(100, Task::Dialled(index, self.made));
            }
        }
        while let Some(event) = self.clients[index].session.poll_event() {
            if self.loud {
                println!("{:?} client {index} is told {event:?}", self.now);
            }
            self.clients[index].witness.see(&self.truth, &event)?;
            if let Shown::NicknameRefused {
                nickname,
                why,
                waiting: true,
            } = &event
            {
                return Err(format!("client {index}: {nickname} was refused: {why}"));
            }
            if let Shown::Link(Link::Stopped { why }) = &event {
                return Err(format!("client {index} stopped: {why}"));
            }
        }
        self.client_writes(index, now);
        Ok(())
    }

    fn client_writes(&mut self, index: usize, now: Now) {
        let client = &mut self.clients[index];
        let Some(id) = client.connection.filter(|_| !client.asleep) else {
            return;
        };
        let Some(connection) = self.connections.get_mut(&id) else {
            return;
        };
        // The kernel's buffer for sending: what does not fit into the pipe stays there.
        while connection.up.has_room() {
            let mut out = Vec::new();
            client.session.poll_write(now, &mut out);
            if out.is_empty() {
                break;
            }
            connection.up.write_all(self.now, &out, &mut self.rng);
        }
    }

    fn after(&mut self, wait: Duration, task: Task) {
        self.made += 1;
        self.tasks.insert((self.now + wait, self.made), task);
    }

    /// At any time within so many milliseconds.
    fn after_any(&mut self, wait_ms_max: u64, task: Task) {
        let wait = Duration::from_millis(self.rng.u64(0..=wait_ms_max));
        self.after(wait, task);
    }

    fn wall(&self) -> Timestamp {
        self.wall
            .saturating_add(self.now)
            .expect("far from the end of time")
    }

    fn moment(&self) -> Moment {
        Moment {
            wall: self.wall(),
            mono: self.now,
        }
    }

    fn session_now(&self) -> Now {
        Now {
            elapsed: self.now,
            wall: self.wall(),
        }
    }
}
