//! One server, some clients, a bad network, and a clock that jumps from event to event.
//!
//! A run has three parts: faults and chatter for [`CHATTER`]; then all faults end, and the cluster
//! must come to rest within [`REST`]; then all users leave.

mod acts;
mod clients;
mod faults;
mod machines;
mod rooms;
mod wires;

use std::{collections::BTreeMap, time::Duration};

use chat_tui::{
    protocol::RoomId,
    server::{
        core::{ConnectionId, rate_limit::Rate},
        log::{MemoryLimits, StoreError},
    },
    time::Now,
};
use fastrand::Rng;
use jiff::Timestamp;

use self::{clients::Client, wires::Connection};
use crate::{
    disk::Durability,
    historian::Historian,
    mutant::Mutant,
    older::Older,
    server::{Server, Setup},
    thief::Thief,
    truth::{Fault, Truth, rooms},
    wishes::Wishes,
};

/// How long faults happen.
const CHATTER: Duration = Duration::from_mins(1);
/// How long the cluster may take to come to rest afterwards.
const REST: Duration = Duration::from_mins(5);
/// Messages that a client sends on a new connection before it knows their outcome.
const FLIGHT_FIRST: u64 = 16;
/// Events in one run; more means an endless loop.
const STEPS_MAX: u32 = 60_000;

/// A scheduled event.
#[derive(Clone, Copy, Debug)]
enum Task {
    /// A client's user does something.
    Act(usize),
    /// The legacy client does something.
    OlderActs,
    /// The historian requests something.
    HistorianActs,
    /// The thief does something.
    ThiefActs,
    /// A client's user wants the connection back that another client took over.
    Retry(usize),
    /// A client's user chooses another nickname.
    Rename(usize),
    /// Another user starts a client where one left for good.
    Anew(usize),
    /// A client's attempt to connect ends.
    Dialled(usize, u64),
    /// The server learns that a connection is gone.
    ServerHears(ConnectionId),
    ClientHears(ConnectionId),
    /// A fault happens.
    Break,
    /// The server process starts again.
    Restart,
    /// The server's clock ticks, each second.
    Tick,
    /// A client's machine wakes up.
    Wake(usize),
    /// A client's save is on its disk.
    Saved(usize, u64),
    /// A client's process starts again.
    Boot(usize),
    /// A client's process notices a write of the other process of its device.
    News(usize),
    /// A client's user searches a room that they have come into.
    Search(usize, RoomId),
}

/// The whole simulation.
pub(crate) struct Cluster {
    rng: Rng,
    now: Duration,
    /// The offset of the wall clock.
    wall: Timestamp,
    server: Server,
    truth: Truth,
    wishes: Wishes,
    clients: Vec<Client>,
    older: Option<Older>,
    historian: Option<Historian>,
    thief: Option<Thief>,
    connections: BTreeMap<ConnectionId, Connection>,
    tasks: BTreeMap<(Duration, u64), Task>,
    made: u64,
    mutant: Option<Mutant>,
    mended: bool,
    /// Whether a restart may find another log: none, or an older backup.
    forgetful: bool,
    chatter: Duration,
    loud: bool,
}

/// The plan of a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    pub(crate) mutant: Option<Mutant>,
    /// How long users chat, and faults happen.
    pub(crate) chatter: Duration,
    /// A commit that fails, counted from 0, and how.
    pub(crate) fails: Option<(u32, StoreError)>,
    /// Prints each step.
    pub(crate) loud: bool,
}

impl Plan {
    /// The normal run of a seed.
    pub(crate) fn of(seed: u64) -> Self {
        Self {
            seed,
            mutant: None,
            chatter: CHATTER,
            fails: None,
            loud: false,
        }
    }
}

/// Runs a plan; returns the number of commits, or the fault found.
pub(crate) fn run(plan: Plan) -> Result<u32, Fault> {
    let mut cluster = Cluster::new(plan)?;
    cluster.live()?;
    cluster.server.check_rooms()?;
    cluster.pace_was_kept()?;
    Ok(cluster.server.commits)
}

impl Cluster {
    fn new(plan: Plan) -> Result<Self, Fault> {
        let mut rng = Rng::with_seed(plan.seed);
        let wall = Timestamp::from_second(1_795_000_000).expect("a time");
        let limits = match rng.u8(..3) {
            0 => MemoryLimits {
                room_bytes_max: rng.usize(1000..6000),
                ..MemoryLimits::default()
            },
            _ => MemoryLimits::default(),
        };
        let relaxed = rng.u8(..5) == 0;
        let setup = Setup {
            limits,
            durability: if relaxed {
                Durability::Relaxed
            } else {
                Durability::Full
            },
            keep: (rng.u8(..4) == 0).then(|| rng.u64(5..60)),
            messages: (rng.u8(..3) == 0).then(|| Rate::new(rng.u32(300..1200), rng.u32(1..30))),
            fails: plan.fails,
        };
        let mut cluster = Self {
            now: Duration::ZERO,
            wall,
            server: Server::new(setup, plan.mutant),
            truth: Truth::default(),
            wishes: Wishes::default(),
            clients: Vec::new(),
            older: (rng.u8(..3) == 0).then(Older::new),
            historian: (rng.u8(..2) == 0).then(Historian::new),
            thief: (rng.u8(..3) == 0).then(Thief::default),
            connections: BTreeMap::new(),
            tasks: BTreeMap::new(),
            made: 0,
            mutant: plan.mutant,
            mended: false,
            forgetful: rng.u8(..3) == 0,
            chatter: plan.chatter,
            loud: plan.loud,
            rng,
        };
        cluster.people();
        cluster.start()?;
        cluster.after(Duration::from_secs(1), Task::Tick);
        cluster.after_any(5000, Task::Break);
        for index in 0..cluster.clients.len() {
            cluster.after_any(3000, Task::Act(index));
        }
        if cluster.older.is_some() {
            cluster.after_any(3000, Task::OlderActs);
        }
        if cluster.thief.is_some() {
            cluster.after_any(3000, Task::ThiefActs);
        }
        if cluster.historian.is_some() {
            cluster.after_any(3000, Task::HistorianActs);
        }
        Ok(cluster)
    }

    fn start(&mut self) -> Result<(), Fault> {
        let moment = self.now();
        self.server.start(moment, &mut self.truth)
    }

    fn live(&mut self) -> Result<(), Fault> {
        let mut steps = 0;
        self.pump()?;
        while self.now < self.chatter {
            self.step(&mut steps)?;
        }
        self.mend()?;
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
        self.all_leave(&mut steps)
    }

    fn settled(&mut self) -> Result<(), Fault> {
        if self.server.commit_due().is_some() {
            return Err("a commit is under way".into());
        }
        if self.server.is_finished() || !self.server.is_up() {
            return Err("the server is not there".into());
        }
        let epoch = self.server.epoch();
        if self.clients.iter().any(|client| client.down) {
            return Err("a client is not there".into());
        }
        let staying = || self.clients.iter().filter(|client| !client.is_gone());
        for client in staying() {
            client.witness.settled(&self.truth, epoch)?;
            client.outbox_is_empty()?;
            client.disk_is_current(&self.truth, epoch)?;
        }
        if let Some(older) = &self.older {
            older.settled(&self.truth, epoch)?;
        }
        if let Some(historian) = &self.historian {
            historian.settled(&self.truth, epoch)?;
        }
        for room in rooms() {
            self.lists_agree(room)?;
        }
        self.server.check_frames(&self.truth)?;
        self.server.check_rooms()?;
        self.rooms_agree()?;
        self.wishes.check_said(&self.truth, epoch)?;
        self.truth.check_order()
    }

    /// Checks that all members of a room list the same members, and the right ones.
    fn lists_agree(&self, room: RoomId) -> Result<(), Fault> {
        let staying = || self.clients.iter().filter(|client| !client.is_gone());
        let mut lists = staying().map(|client| client.witness.members(room));
        // Where all have left for good, no client shows a list.
        let Some(list) = lists.next() else {
            return Ok(());
        };
        if let Some(other) = lists.find(|other| *other != list) {
            return Err(format!("the member lists {list:?} and {other:?}"));
        }
        let mut expected: Vec<_> = staying().map(|client| client.user).collect();
        expected.extend(self.historian.as_ref().map(|_| Historian::user()));
        expected.sort();
        expected.dedup();
        // A legacy client is in the lobby and nowhere else.
        let older = self.older.is_some() && room == RoomId::LOBBY;
        let present = expected.len() + usize::from(older);
        if list.len() != present || expected.iter().any(|user| !list.contains_key(user)) {
            return Err(format!("{list:?} are listed, present are {expected:?}"));
        }
        for client in staying().filter(|client| client.may_be_renamed()) {
            if let Some(listed) = list.get(&client.user) {
                self.wishes.check_name(client.user, listed)?;
            }
        }
        let mut names: Vec<_> = list.values().map(|n| n.as_str().to_lowercase()).collect();
        names.sort();
        names.dedup();
        if names.len() != present {
            return Err(format!("two are called the same: {list:?}"));
        }
        Ok(())
    }

    /// Checks that a client above the rate limit gets few refusals: never more than a few for each
    /// connection, and in proportion to the messages taken, not to its square.
    fn pace_was_kept(&self) -> Result<(), Fault> {
        let (refused, taken) = (self.server.too_early, self.server.outcomes);
        let connections = self.server.connections;
        if refused > 2 * taken + FLIGHT_FIRST * connections {
            return Err(format!(
                "{refused} messages came too early, {taken} were taken, over {connections} connections"
            ));
        }
        Ok(())
    }

    fn all_leave(&mut self, steps: &mut u32) -> Result<(), Fault> {
        for index in 0..self.clients.len() {
            self.leave(index)?;
        }
        self.pump()?;
        while !self.clients.iter().all(Client::is_gone) {
            self.step(steps)?;
        }
        Ok(())
    }

    /// Goes to the next event, and handles it.
    fn step(&mut self, steps: &mut u32) -> Result<(), Fault> {
        *steps += 1;
        if *steps > STEPS_MAX {
            return Err("turns in circles".into());
        }
        self.now = self
            .next_event()
            .unwrap_or(self.now + Duration::from_millis(1));
        while let Some(entry) = self.tasks.first_entry()
            && entry.key().0 <= self.now
        {
            let task = entry.remove();
            self.perform(task)?;
        }
        let moment = self.now();
        self.server.commit(moment, &mut self.truth, &mut self.rng)?;
        self.clients
            .iter()
            .try_for_each(|c| c.check_leaving(self.now))?;
        self.pump()
    }

    /// Returns the time of the next event. (Arrived bytes that are not read yet wait for another
    /// event.)
    fn next_event(&self) -> Option<Duration> {
        let task = self.tasks.first_key_value().map(|((time, _), _)| *time);
        // Scheduled just now for just now.
        if task.is_some_and(|time| time <= self.now) {
            return Some(self.now);
        }
        let mut next: Option<Duration> = None;
        let mut at = |time: Option<Duration>| {
            if let Some(time) = time.filter(|time| *time > self.now) {
                next = Some(next.map_or(time, |next| next.min(time)));
            }
        };
        at(task);
        at(self.server.wakes_at());
        for client in self
            .clients
            .iter()
            .filter(|client| !client.asleep && !client.down)
        {
            at(client.session.deadline());
        }
        for connection in self.connections.values() {
            if connection.server_open {
                at(connection.up.next_arrival());
                at(connection.server_waits);
            }
            if connection.client_open && !self.is_asleep(connection.whose) {
                at(connection.down.next_arrival());
            }
        }
        next
    }

    fn perform(&mut self, task: Task) -> Result<(), Fault> {
        if self.loud && !matches!(task, Task::Tick) {
            println!("{:?} {task:?}", self.now);
        }
        match task {
            Task::Act(index) => self.act(index)?,
            Task::OlderActs => self.older_acts(),
            Task::HistorianActs => self.historian_acts(),
            Task::ThiefActs => self.thief_acts(),
            Task::Retry(index) => self.retry(index)?,
            Task::Rename(index) => self.rename(index)?,
            Task::Anew(index) => self.anew(index),
            Task::Dialled(index, attempt) => self.dialled(index, attempt)?,
            Task::ServerHears(id) => self.server_hears(id),
            Task::ClientHears(id) => self.client_hears(id)?,
            Task::Break => {
                self.server.check_frames(&self.truth)?;
                self.server.check_rooms()?;
                if !self.mended {
                    self.break_something();
                    self.after_any(12_000, Task::Break);
                }
            }
            Task::Restart => {
                if !self.server.is_up() {
                    self.another_log();
                    self.start()?;
                }
            }
            Task::Tick => {
                for id in self.server.tick(self.now()) {
                    self.server_closed(id);
                }
                if self.server.is_finished() {
                    self.server_ends();
                }
                self.after(Duration::from_secs(1), Task::Tick);
            }
            Task::Saved(index, number) => self.saved(index, number)?,
            Task::Boot(index) => self.boot(index)?,
            Task::News(index) => self.news(index)?,
            Task::Search(index, room) => self.search(index, room)?,
            Task::Wake(index) if self.clients[index].down => {}
            Task::Wake(index) => {
                self.clients[index].asleep = false;
                let now = self.now();
                self.clients[index].session.handle_woke(now);
                self.clients[index].session.handle_time(now);
                self.listen(index)?;
            }
        }
        Ok(())
    }

    fn after(&mut self, wait: Duration, task: Task) {
        self.made += 1;
        self.tasks.insert((self.now + wait, self.made), task);
    }

    /// Schedules a task at a random time within so many milliseconds.
    fn after_any(&mut self, wait_ms_max: u64, task: Task) {
        let wait = Duration::from_millis(self.rng.u64(0..=wait_ms_max));
        self.after(wait, task);
    }

    fn wall(&self) -> Timestamp {
        self.wall
            .saturating_add(self.now)
            .expect("far from the end of time")
    }

    fn now(&self) -> Now {
        Now {
            wall: self.wall(),
            mono: self.now,
        }
    }
}
