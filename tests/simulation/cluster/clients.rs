//! The users and their clients.

use std::{cell::RefCell, rc::Rc, time::Duration};

use chat_tui::{
    client::{
        Host,
        event::{ConnectionStatus, Delivery, Event, OutboxMessage},
        session::{
            CommandLine, Config, Credentials, Session,
            persist_types::{LeaseClaim, PersistedState, Save},
        },
    },
    protocol::{ClientId, Epoch, Identity, MessageId, Nickname, RoomId, RoomKind, Token, UserId},
    server::core::ConnectionId,
};
use jiff::tz::TimeZone;

use super::{Cluster, Task};
use crate::{
    client_disk::ClientDisk,
    mutant::{self, Mutant},
    truth::{Fault, Truth, key, room_names},
    witness::Witness,
};

/// A nickname that several users want; the later ones must choose another.
pub(super) const CONTESTED: [&str; 2] = ["Same", "sAME"];
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
    pub(super) was_killed: bool,
    pub(super) config: Config,
    /// The nickname that its own user requested here.
    pub(super) own_nickname: Nickname,
    /// The state that outlives the process; `None`: nothing is stored, and the process never fails.
    pub(super) disk: Option<Rc<RefCell<ClientDisk>>>,
    /// Distinguishes its process from others on the disk.
    pub(super) run: u64,
    /// The save under way.
    pub(super) saving: Option<(u64, Save)>,
    pub(super) role: Role,
    /// The number of users so far.
    pub(super) generation: u32,
    pub(super) renames: u32,
    pub(super) typed: u32,
    /// When it began to leave, if it has been awake all the time.
    pub(super) leaving: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
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
pub(super) fn claim(config: &Config) -> LeaseClaim {
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
    pub(super) fn is_of_pair(&self) -> bool {
        matches!(self.role, Role::Original | Role::Twin)
    }

    /// Checks that every submitted message, at whichever process, was sent or refused.
    pub(super) fn outbox_is_empty(&self) -> Result<(), Fault> {
        let unsent = self.disk.as_ref().map(|disk| disk.borrow().keys(false));
        match unsent.unwrap_or_default().first() {
            Some(key) => Err(format!("{key:?} is still on the disk of {}", self.user)),
            None => Ok(()),
        }
    }

    /// Checks that the disk stands as the log does.
    pub(super) fn disk_is_current(&self, truth: &Truth, epoch: Epoch) -> Result<(), Fault> {
        let disk = self.disk.as_ref().map(|disk| disk.borrow());
        disk.map_or(Ok(()), |disk| disk.settled(truth, epoch))
            .map_err(|fault| format!("on the disk of {}: {fault}", self.user))
    }

    /// Returns the ids of the messages in its outbox that have one: pending and refused ones.
    pub(super) fn ids(&self) -> Vec<(RoomId, MessageId)> {
        let device = self.config.token.device(&self.config.client_id);
        let disk = self.disk.as_ref().map(|disk| disk.borrow().counters());
        let counters = disk.unwrap_or_default().into_iter();
        let ids = counters.map(|(room, counter)| (room, MessageId { device, counter }));
        ids.collect()
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

    pub(super) fn person(&mut self, index: usize, role: Role, generation: u32) -> Client {
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
            enter: room_names().into(),
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
            witness: Witness::new(format!("client {index}"), shares, mutant),
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

    /// Shows an event to a client's witness, and reacts as a user would.
    pub(super) fn told(&mut self, index: usize, event: &Event) -> Result<(), Fault> {
        if self.loud {
            println!("{:?} client {index} is told {event:?}", self.now);
        }
        let client = &mut self.clients[index];
        client.witness.see(&self.truth, event)?;
        self.wishes.told(client.user, index, event);
        self.wishes.check_marker(client.user, event)?;
        if let Event::Outbox(OutboxMessage {
            content,
            delivery: Delivery::Failed { .. },
            ..
        }) = event
        {
            self.truth.refused(key(content));
        }
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
            Event::Room(start) if start.info.kind != RoomKind::Public && !self.mended => {
                self.after_any(500, Task::Search(index, start.room));
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
}
