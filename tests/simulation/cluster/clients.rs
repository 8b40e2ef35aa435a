//! The users: what they type, how they join and leave.

use std::{cell::RefCell, rc::Rc, time::Duration};

use chat_tui::{
    client::{
        Host,
        event::{Command, ConnectionStatus, Event},
        session::{
            CommandLine, Config, Credentials, Session,
            persist_types::{
                CacheQuery, CacheResult, LeaseClaim, LeaseStatus, PersistedState, Save, SaveError,
            },
        },
    },
    protocol::{ClientId, Content, Identity, Nickname, RoomName, Token, UserId},
    server::core::ConnectionId,
    text::{Body, Line},
};
use jiff::tz::TimeZone;

use super::{Cluster, Task};
use crate::{
    client_disk::ClientDisk,
    mutant::{self, Mutant},
    truth::{Fault, rooms},
    witness::Witness,
};

/// A nickname that several users want; the later ones must choose another.
const CONTESTED: [&str; 2] = ["Same", "sAME"];
/// How long leaving may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// One client, and its user.
pub(super) struct Client {
    pub(super) session: Session,
    pub(super) witness: Witness,
    pub(super) user: UserId,
    pub(super) connection: Option<ConnectionId>,
    /// The attempt to connect under way.
    pub(super) dialling: Option<u64>,
    /// The machine sleeps: nothing of it runs.
    pub(super) asleep: bool,
    /// The process does not run.
    pub(super) down: bool,
    /// Whether its process was killed once.
    was_killed: bool,
    config: Config,
    /// The nickname that its own user requested here.
    own_nickname: Nickname,
    /// The state that outlives the process; `None`: nothing is stored, and the process never fails.
    disk: Option<Rc<RefCell<ClientDisk>>>,
    /// Distinguishes its process from others on the disk.
    run: u64,
    /// The save under way.
    saving: Option<(u64, Save)>,
    role: Role,
    /// The number of users so far.
    generation: u32,
    renames: u32,
    typed: u32,
    /// When it began to leave, if it has been awake all the time.
    leaving: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// A user of its own.
    Single,
    /// Another client is another session of the same user, under the same nickname.
    Shared,
    /// Another client is the same session, and replaces it.
    Original,
    /// Replaces the original; both use one disk, where the later process has the lease.
    Twin,
}

/// Whether a process takes the lease from another one at its start.
fn claim(config: &Config) -> LeaseClaim {
    if config.yields {
        LeaseClaim::IfFree
    } else {
        LeaseClaim::Take
    }
}

impl Client {
    /// Whether this user requests other nicknames. Two clients that replace each other do not.
    pub(super) fn may_be_renamed(&self) -> bool {
        matches!(self.role, Role::Single | Role::Shared)
    }

    /// Changes its output as a client with this fault would.
    pub(super) fn spoil(&self, mutant: Option<Mutant>, written: &mut Vec<u8>) {
        match mutant {
            Some(Mutant::MissesRenames) if self.role == Role::Shared => {
                mutant::ask_again(written, Some(&self.own_nickname));
            }
            Some(Mutant::AsksAgain) => mutant::ask_again(written, None),
            _ => {}
        }
    }

    /// Returns the data that a thief needs to join in its place.
    pub(super) fn stolen(&self) -> (Token, ClientId) {
        (self.config.token, self.config.client_id.clone())
    }

    /// Whether its session is over.
    pub(super) fn is_gone(&self) -> bool {
        self.witness.ended()
    }

    /// Whether another process has the same client ID.
    fn is_of_pair(&self) -> bool {
        matches!(self.role, Role::Original | Role::Twin)
    }

    /// Checks that every submitted message, at whichever process, was sent or refused.
    pub(super) fn outbox_is_empty(&self) -> Result<(), Fault> {
        let unsent = self.disk.as_ref().map(|disk| disk.borrow().texts(false));
        match unsent.unwrap_or_default().first() {
            Some(text) => Err(format!("{text:?} is still on the disk of {}", self.user)),
            None => Ok(()),
        }
    }

    /// Checks that leaving does not take longer than that.
    pub(super) fn check_leaving(&self, now: Duration) -> Result<(), Fault> {
        match self.leaving {
            Some(since) if !self.is_gone() && now > since + GOODBYE => {
                Err(format!("{} is still there long after leaving", self.user))
            }
            _ => Ok(()),
        }
    }
}

impl Cluster {
    /// Starts all users.
    pub(super) fn people(&mut self) {
        let count = self.rng.usize(2..=4);
        let pair = match self.rng.u8(..4) {
            0 => [Role::Shared, Role::Shared],
            1 => [Role::Original, Role::Twin],
            _ => [Role::Single, Role::Single],
        };
        let roles = pair.into_iter().chain([Role::Single; 2]);
        for (index, role) in roles.take(count).enumerate() {
            let client = self.person(index, role, 0);
            self.clients.push(client);
        }
    }

    fn person(&mut self, index: usize, role: Role, generation: u32) -> Client {
        let seat = u8::try_from(index).expect("few seats");
        let mut token = [10 + seat; 32];
        token[..4].copy_from_slice(&generation.to_le_bytes());
        if role != Role::Single {
            token = [7; 32];
        }
        // Every other user has a key; clients of one user have the same one, or none.
        let who = if role == Role::Single { index } else { 0 };
        let keyed = (who + generation as usize).is_multiple_of(2);
        let identity = keyed.then(|| Identity::from_seed(token));
        if role == Role::Shared {
            // Each of a user's devices makes a token of its own; the key is common to them.
            token[31] = seat;
        }
        let token = Token::from_bytes(token);
        let user = identity
            .as_ref()
            .map_or_else(|| token.user(), |identity| identity.public().user());
        let contested = self.rng.u8(..4) == 0;
        let name = match role {
            Role::Shared => "both".to_owned(),
            Role::Original | Role::Twin => "twin".to_owned(),
            Role::Single if contested => CONTESTED[index % 2].to_owned(),
            Role::Single => format!("c{index}g{generation}"),
        };
        let client_id = if role == Role::Twin { 0 } else { index };
        let config = Config {
            host: Host::parse("server").expect("a name"),
            port: 10500,
            nickname: Nickname::parse(&name).expect("a nickname"),
            client_id: ClientId::parse(&client_id.to_string()).expect("an ID"),
            token,
            enter: rooms().into(),
            last: Some(1000),
            most: None,
            credentials: Credentials {
                identity,
                ..Credentials::default()
            },
            command_line: CommandLine::default(),
            // Scripts do, and screens do not.
            yields: matches!(role, Role::Original | Role::Twin) && self.rng.bool(),
            zone: TimeZone::UTC,
            seed: self.rng.u64(..),
        };
        let shares = matches!(role, Role::Original | Role::Twin);
        let mutant = self.mutant;
        let fresh = || Rc::new(RefCell::new(ClientDisk::new(mutant)));
        let disk = match role {
            // Of the same machine.
            Role::Twin => self.clients[0].disk.clone(),
            Role::Original => Some(fresh()),
            Role::Single | Role::Shared => (self.rng.u8(..3) > 0).then(fresh),
        };
        let (run, kept) = match &disk {
            Some(disk) => {
                let mut disk = disk.borrow_mut();
                let run = disk.begin_run();
                // If it is the twin's, another process has filled it already.
                (run, disk.open(run, claim(&config)))
            }
            None => (0, PersistedState::default()),
        };
        let standby = kept.standby;
        let kept = PersistedState {
            standby,
            ..PersistedState::default()
        };
        self.wishes.asks(user, index, config.nickname.clone());
        Client {
            own_nickname: config.nickname.clone(),
            session: Session::resume(config.clone(), kept, self.now()).0,
            down: false,
            was_killed: false,
            config,
            disk,
            run,
            saving: None,
            witness: Witness::new(format!("client {index}"), shares),
            user,
            connection: None,
            dialling: None,
            asleep: false,
            role,
            generation,
            renames: 0,
            typed: 0,
            leaving: None,
        }
    }

    /// A user does something, and schedules the next action.
    pub(super) fn act(&mut self, index: usize) -> Result<(), Fault> {
        if self.mended {
            return Ok(());
        }
        self.after_any(4000, Task::Act(index));
        let client = &self.clients[index];
        if client.is_gone() || client.leaving.is_some() || client.down {
            return Ok(());
        }
        // A message withdrawn at one process counts as sent at the other, so these users withdraw
        // none.
        let shares = matches!(client.role, Role::Original | Role::Twin);
        match self.rng.u8(..40) {
            0..=1 => self.command(index, Command::RetryNow),
            2..=3 => self.rename(index),
            4..=7 if !shares => {
                let pending = self.clients[index].witness.pending();
                match self.rng.choice(&pending) {
                    Some(local) => {
                        let witness = &mut self.clients[index].witness;
                        witness.takes_back(*local);
                        if let Some(text) = witness.text(*local) {
                            self.wishes.takes_back(text);
                        }
                        self.command(index, Command::Withdraw(*local))
                    }
                    None => Ok(()),
                }
            }
            8 if !shares => {
                let failed = self.clients[index].witness.failed();
                match self.rng.choice(&failed) {
                    Some(local) => self.command(index, Command::SendAgain(*local)),
                    None => Ok(()),
                }
            }
            9 if self.clients[index].role == Role::Single => self.leave(index),
            _ => {
                let count = self.rng.u32(1..=4);
                (0..count).try_for_each(|_| self.say(index))
            }
        }
    }

    fn say(&mut self, index: usize) -> Result<(), Fault> {
        let client = &mut self.clients[index];
        client.typed += 1;
        let tail = match self.rng.u8(..20) {
            0 => "long ".repeat(self.rng.usize(..400)),
            1 => "\ntwo lines, \u{1f44b}\u{1f3fd}".to_owned(),
            _ => String::new(),
        };
        let text = format!("{index}.{}.{} {tail}", client.generation, client.typed);
        let [lobby, build] = rooms();
        let room = match self.rng.u8(..30) {
            0 => RoomName::parse("nowhere").expect("a room's name"),
            1..=9 => build,
            _ => lobby,
        };
        let body = Body::visible(&text).expect("a text");
        self.wishes
            .says(client.user, index, room.clone(), body.as_str());
        self.command(
            index,
            Command::Send {
                room,
                content: Content::Text(body),
            },
        )
    }

    pub(super) fn rename(&mut self, index: usize) -> Result<(), Fault> {
        let client = &mut self.clients[index];
        let waits = self.wishes.waits_for_name(client.user);
        if !client.may_be_renamed() || waits || client.is_gone() || client.down {
            return Ok(());
        }
        client.renames += 1;
        let single = client.role == Role::Single;
        let name = if single && !self.mended && self.rng.u8(..4) == 0 {
            CONTESTED[index % 2].to_owned()
        } else {
            format!("c{index}g{}r{}", client.generation, client.renames)
        };
        let nickname = Nickname::parse(&name).expect("a nickname");
        if self.wishes.has_name(client.user, index, &nickname) {
            return Ok(());
        }
        client.own_nickname = nickname.clone();
        self.wishes.asks(client.user, index, nickname.clone());
        self.command(index, Command::Nick(nickname))
    }

    pub(super) fn retry(&mut self, index: usize) -> Result<(), Fault> {
        if self.mended && self.clients[index].role == Role::Twin {
            return Ok(());
        }
        self.command(index, Command::RetryNow)
    }

    /// A user leaves, for good.
    pub(super) fn leave(&mut self, index: usize) -> Result<(), Fault> {
        let client = &mut self.clients[index];
        if client.is_gone() || client.leaving.is_some() || client.down {
            return Ok(());
        }
        client.leaving = Some(self.now).filter(|_| !client.asleep);
        self.command(index, Command::Leave)
    }

    /// Once the faults end, the client that only replaces others leaves.
    pub(super) fn twins_leave(&mut self) -> Result<(), Fault> {
        let twin = |client: &Client| client.role == Role::Twin;
        let twin = self.clients.iter().position(twin);
        twin.map_or(Ok(()), |index| self.leave(index))
    }

    /// Starts another user's client, unless the run is coming to rest.
    pub(super) fn anew(&mut self, index: usize) {
        if self.mended {
            return;
        }
        let generation = self.clients[index].generation + 1;
        self.clients[index] = self.person(index, Role::Single, generation);
    }

    pub(super) fn command(&mut self, index: usize, command: Command) -> Result<(), Fault> {
        if self.clients[index].down {
            return Ok(());
        }
        if self.loud {
            println!("{:?} client {index} {command:?}", self.now);
        }
        let now = self.now();
        self.clients[index].session.handle_command(now, command);
        self.listen(index)
    }

    /// Shows an event to a client's witness, and reacts as a user would.
    pub(super) fn told(&mut self, index: usize, event: &Event) -> Result<(), Fault> {
        if self.loud {
            println!("{:?} client {index} is told {event:?}", self.now);
        }
        let client = &mut self.clients[index];
        client.witness.see(&self.truth, event)?;
        self.wishes.told(client.user, index, event);
        let (user, has_key) = (client.user, client.config.credentials.identity.is_some());
        let called = match event {
            // (Not where a silent server was taken for a legacy one.)
            Event::Entered(entered) if entered.user == Some(user) => Some(&entered.nickname),
            Event::Renamed {
                user: who,
                nickname,
                ..
            } if *who == user => Some(nickname),
            _ => None,
        };
        if has_key && let (Some(nickname), Some(epoch)) = (called, client.witness.epoch()) {
            self.truth.owns(epoch, user, nickname.clone());
            if matches!(event, Event::Entered(_)) {
                let (token, client_id) = client.stolen();
                self.truth.owns_device(epoch, token.device(&client_id));
            }
        }
        match event {
            Event::NicknameRefused { why, waiting, .. } if why.as_str().contains("can't store") => {
                if *waiting {
                    self.after_any(8000, Task::Retry(index));
                } else {
                    self.after_any(8000, Task::Rename(index));
                }
            }
            Event::NicknameRefused {
                nickname, waiting, ..
            } => {
                if !CONTESTED.contains(&nickname.as_str()) {
                    return Err(format!("client {index} can't be called {nickname}"));
                }
                if *waiting {
                    self.after_any(8000, Task::Rename(index));
                }
            }
            Event::Connection(ConnectionStatus::Stopped { why, .. }) => {
                let taken_over = why.as_str().contains("same client ID");
                let refused = why.as_str() == "Nickname already in use";
                match client.role {
                    Role::Original | Role::Twin if taken_over => {
                        self.after_any(20_000, Task::Retry(index));
                    }
                    // A join of the killed process arrived after the new one's.
                    Role::Single if taken_over && client.was_killed => {
                        self.after_any(20_000, Task::Retry(index));
                    }
                    Role::Single if refused => {}
                    _ => return Err(format!("client {index} stopped: {why}")),
                }
            }
            Event::Ended(_) => {
                if let Some(disk) = &client.disk {
                    disk.borrow_mut().end_run(client.run);
                }
                if !self.mended {
                    self.after_any(8000, Task::Anew(index));
                }
            }
            _ => {}
        }
        Ok(())
    }

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
                // No client here reads history: see the historian.
                (CacheQuery::Page { .. }, _) => CacheResult::Page(Ok(None)),
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
            self.after_any(30, Task::Saved(index, self.made));
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
        }
        disk.borrow_mut().end_run(client.run);
        client.down = true;
        client.asleep = false;
        client.leaving = None;
        let witness = &client.witness;
        self.wishes.process_ended(index, |text| witness.shows(text));
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
        let shown = disk.shown();
        let there = disk.texts(true);
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
            .restarted(&self.truth, restored, &shown, &there)?;
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
