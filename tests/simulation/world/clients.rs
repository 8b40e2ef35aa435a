//! The people: what they type, how they come and go.

use std::time::Duration;

use chat_tui::{
    client::{
        event::{Command, Event, Link},
        session::{Config, Session},
    },
    protocol::{ClientId, Nickname, RoomName, Token, UserId},
    server::engine::ConnectionId,
    text::Body,
};
use jiff::tz::TimeZone;

use super::{Task, World};
use crate::{
    truth::{Fault, rooms},
    witness::Witness,
};

/// A nickname that several want; whoever comes too late must think of another.
const CONTESTED: [&str; 2] = ["Same", "sAME"];
/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// One client, and who sits there.
pub(super) struct Client {
    pub(super) session: Session,
    pub(super) witness: Witness,
    pub(super) user: UserId,
    pub(super) connection: Option<ConnectionId>,
    /// The attempt under way.
    pub(super) dialling: Option<u64>,
    /// The machine sleeps: nothing of it moves.
    pub(super) asleep: bool,
    role: Role,
    /// How many have sat here.
    generation: u32,
    renames: u32,
    typed: u32,
    /// Since when it is leaving, if it has been awake all the time.
    leaving: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    /// A user of its own.
    Single,
    /// Another client is another session of the same user, under the same nickname.
    Shared,
    /// Another client is the same session, and takes its place over.
    Original,
    /// Takes the original's place over, and only reads: a device's messages come from one process.
    Twin,
}

impl Client {
    /// Whether its session is over.
    pub(super) fn is_gone(&self) -> bool {
        self.witness.ended()
    }

    /// Nobody waits longer than that for a goodbye.
    pub(super) fn check_leaving(&self, now: Duration) -> Result<(), Fault> {
        match self.leaving {
            Some(since) if !self.is_gone() && now > since + GOODBYE => {
                Err(format!("{} is still there long after leaving", self.user))
            }
            _ => Ok(()),
        }
    }
}

impl World {
    /// Brings everybody in.
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
        let token = Token::from_bytes(token);
        let contested = self.rng.u8(..4) == 0;
        let name = match role {
            Role::Shared => "both".to_owned(),
            Role::Original | Role::Twin => "twin".to_owned(),
            Role::Single if contested => CONTESTED[index % 2].to_owned(),
            Role::Single => format!("c{index}g{generation}"),
        };
        let client_id = if role == Role::Twin { 0 } else { index };
        let config = Config {
            host: "server".into(),
            port: 10500,
            nickname: Nickname::parse(&name).expect("a nickname"),
            client_id: ClientId::parse(&client_id.to_string()).expect("an ID"),
            token,
            last: Some(1000),
            most: None,
            zone: TimeZone::UTC,
            seed: self.rng.u64(..),
        };
        Client {
            session: Session::new(config, self.session_now()),
            witness: Witness::new(format!("client {index}")),
            user: token.user(),
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

    /// Somebody does something, and does something else in a while.
    pub(super) fn act(&mut self, index: usize) -> Result<(), Fault> {
        if self.mended {
            return Ok(());
        }
        self.after_any(4000, Task::Act(index));
        let client = &self.clients[index];
        if client.is_gone() || client.leaving.is_some() || client.role == Role::Twin {
            return Ok(());
        }
        match self.rng.u8(..40) {
            0..=1 => self.command(index, Command::RetryNow),
            2..=3 => self.rename(index),
            4..=7 => {
                let pending = self.clients[index].witness.pending();
                match self.rng.choice(&pending) {
                    Some(local) => self.command(index, Command::Withdraw(*local)),
                    None => Ok(()),
                }
            }
            8 => {
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
        self.command(index, Command::Send { room, body })
    }

    pub(super) fn rename(&mut self, index: usize) -> Result<(), Fault> {
        let client = &mut self.clients[index];
        if client.role != Role::Single || client.is_gone() {
            return Ok(());
        }
        client.renames += 1;
        let name = if !self.mended && self.rng.u8(..4) == 0 {
            CONTESTED[index % 2].to_owned()
        } else {
            format!("c{index}g{}r{}", client.generation, client.renames)
        };
        let nickname = Nickname::parse(&name).expect("a nickname");
        self.command(index, Command::Nick(nickname))
    }

    pub(super) fn retry(&mut self, index: usize) -> Result<(), Fault> {
        if self.mended && self.clients[index].role == Role::Twin {
            return Ok(());
        }
        self.command(index, Command::RetryNow)
    }

    /// Somebody leaves, for good.
    pub(super) fn leave(&mut self, index: usize) -> Result<(), Fault> {
        let client = &mut self.clients[index];
        if client.is_gone() || client.leaving.is_some() {
            return Ok(());
        }
        client.leaving = Some(self.now).filter(|_| !client.asleep);
        self.command(index, Command::Leave)
    }

    /// When all is mended, the one who only takes over others' places goes.
    pub(super) fn twins_leave(&mut self) -> Result<(), Fault> {
        let twin = |client: &Client| client.role == Role::Twin;
        let twin = self.clients.iter().position(twin);
        twin.map_or(Ok(()), |index| self.leave(index))
    }

    /// Somebody else sits down, unless all is coming to rest.
    pub(super) fn anew(&mut self, index: usize) {
        if self.mended {
            return;
        }
        let generation = self.clients[index].generation + 1;
        self.clients[index] = self.person(index, Role::Single, generation);
    }

    pub(super) fn command(&mut self, index: usize, command: Command) -> Result<(), Fault> {
        if self.loud {
            println!("{:?} client {index} {command:?}", self.now);
        }
        let now = self.session_now();
        self.clients[index].session.handle_command(now, command);
        self.listen(index)
    }

    /// Shows a client's witness what its screen is told, and reacts as a user would.
    pub(super) fn told(&mut self, index: usize, event: &Event) -> Result<(), Fault> {
        if self.loud {
            println!("{:?} client {index} is told {event:?}", self.now);
        }
        let client = &mut self.clients[index];
        client.witness.see(&self.truth, event)?;
        match event {
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
            Event::Link(Link::Stopped { why }) => {
                let taken_over = why.as_str().contains("same client ID");
                let refused = why.as_str() == "Nickname already in use";
                match client.role {
                    Role::Original | Role::Twin if taken_over => {
                        self.after_any(20_000, Task::Retry(index));
                    }
                    Role::Single if refused => {}
                    _ => return Err(format!("client {index} stopped: {why}")),
                }
            }
            Event::Ended(_) if !self.mended => self.after_any(8000, Task::Anew(index)),
            _ => {}
        }
        Ok(())
    }

    /// The machine falls asleep: nobody can say how long a goodbye takes then.
    pub(super) fn fall_asleep(&mut self, index: usize) {
        self.clients[index].asleep = true;
        self.clients[index].leaving = self.clients[index].leaving.map(|_| Duration::MAX / 2);
    }
}
