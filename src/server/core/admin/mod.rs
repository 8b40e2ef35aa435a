//! Admin commands: runs one, after [`may`] has allowed it. The table of commands is in
//! [`protocol::admin`](crate::protocol::admin); their handlers are in `handlers` and `rooms`.

use super::{
    access::{
        AccessControl, Requester,
        may::{Action, TargetUser, may},
    },
    format::seconds,
};
use crate::{
    protocol::{
        Nickname, PublicKey, Role, RoomEvent, RoomId, RoomRules, UserId,
        admin::{AdminCommand, AdminResult, AdminSpec},
        frame::{Departure, ErrorCode, ErrorFrame},
        limits::{FRAME_BYTES_MAX, RESULT_LINES_MAX},
    },
    server::network::ClientAddress,
    text::Line,
    time::Now,
};

mod handlers;
mod people;
mod rooms;
#[cfg(test)]
mod tests;

type Reply = Result<AdminReply, ErrorFrame>;

/// Most bytes of the lines of one result, as they are written; the rest of its frame takes less
/// than the difference.
const LINES_BYTES_MAX: usize = FRAME_BYTES_MAX - 4 * 1024;

/// The user who gives a command.
#[derive(Clone, Debug)]
pub struct Actor {
    /// The user.
    pub requester: Requester,
    /// Their nickname.
    pub nickname: Nickname,
}

/// The user on whom a command acts.
#[derive(Clone, Debug)]
pub struct Target {
    /// The user.
    pub user: UserId,
    /// Their nickname.
    pub nickname: Nickname,
    /// Their role.
    pub role: Role,
    /// Whether they are present.
    pub present: bool,
    /// The addresses of their sessions, or of those that ended recently.
    pub addresses: Vec<ClientAddress>,
}

/// An effect of a command, carried out once its changes are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminEffect {
    /// A user's sessions end.
    EndSessions {
        /// The user.
        user: UserId,
        /// The reason.
        reason: Departure,
        /// The reason in words, for the user.
        words: Line,
    },
    /// The sessions that joined with a key end.
    EndSessionsOfKey(PublicKey),
    /// A user's role changes.
    SetRole {
        /// The user.
        user: UserId,
        /// Their new role.
        role: Role,
    },
    /// A room's rules change.
    SetRules {
        /// The room.
        room: RoomId,
        /// Its new rules.
        rules: RoomRules,
    },
    /// A user is in a room from now on: it is opened on their sessions that don't have it.
    Entered {
        /// The user.
        user: UserId,
        /// The room.
        room: RoomId,
    },
    /// A user is no longer in a room: it is closed on their sessions.
    Left {
        /// The user.
        user: UserId,
        /// The room.
        room: RoomId,
        /// Who removed them; `None`: they left.
        by: Option<Nickname>,
    },
    /// Whom a user ignores has changed: their sessions are told.
    IgnoredChanged {
        /// The user.
        user: UserId,
    },
    /// What a user keeps about a room has changed: their sessions are told.
    ReadChanged {
        /// The user.
        user: UserId,
        /// The room.
        room: RoomId,
    },
    /// What a room is has changed: its members are told.
    RoomChanged {
        /// The room.
        room: RoomId,
    },
    /// The actor did something that becomes an entry of the room's log.
    Event {
        /// The room.
        room: RoomId,
        /// What they did.
        event: Box<RoomEvent>,
    },
}

/// The result of a command.
#[derive(Clone, Debug)]
pub struct AdminReply {
    /// The answer, sent once the changes are stored; the hub adds the reference.
    pub result: AdminResult,
    /// The effects, carried out then.
    pub effects: Vec<AdminEffect>,
    /// Entries for the audit trail: ends of sentences that begin with the actor's nickname.
    deeds: Vec<String>,
}

impl AdminReply {
    /// A reply of one sentence.
    fn says(message: &str) -> Self {
        Self {
            result: AdminResult {
                message: Line::inert(message),
                lines: Vec::new(),
                invite: None,
                code: None,
                room: None,
                reference: None,
            },
            effects: Vec::new(),
            deeds: Vec::new(),
        }
    }

    /// A reply that lists as many of `count` lines as fit in one frame. `what`: the list's title.
    fn lists(
        lines: impl IntoIterator<Item = Line>,
        count: usize,
        nothing: &str,
        what: &str,
    ) -> Self {
        let mut room = LINES_BYTES_MAX;
        let fits = |line: &Line| {
            let bytes = written_bytes(line);
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        };
        let lines = lines.into_iter().take(RESULT_LINES_MAX);
        let lines: Vec<_> = lines.take_while(fits).collect();
        let message = match count {
            0 => nothing.to_owned(),
            count if count > lines.len() => {
                format!("{what}: the first {} of {count}", lines.len())
            }
            count => format!("{what}: {count}"),
        };
        let mut reply = Self::says(&message);
        reply.result.lines = lines;
        reply
    }

    /// A reply that lists lines, all of which are given.
    fn lists_all(lines: Vec<Line>, nothing: &str, what: &str) -> Self {
        let count = lines.len();
        Self::lists(lines, count, nothing, what)
    }

    /// Names the room that was made, entered, found or changed.
    fn of(mut self, room: RoomId) -> Self {
        self.result.room = Some(room);
        self
    }

    /// Adds an entry for the audit trail.
    fn did(mut self, deed: String) -> Self {
        self.deeds.push(deed);
        self
    }

    /// Adds an effect.
    fn then(mut self, effect: AdminEffect) -> Self {
        self.effects.push(effect);
        self
    }
}

/// The bytes of a line in a frame, with its separator: a quotation mark or a backslash is written
/// as two bytes, and a line has no character that takes more.
fn written_bytes(line: &Line) -> usize {
    let text = line.as_str();
    let escaped = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\'));
    text.len() + escaped.count() + r#"","#.len() + 1
}

/// The context in which a command runs.
#[derive(Debug)]
pub struct Context<'a> {
    /// The state that commands change.
    pub access: &'a mut AccessControl,
    /// The user who gives the command.
    pub actor: &'a Actor,
    /// The command's target, if somebody has that nickname.
    pub target: Option<Target>,
    /// Whether the actor's session is in [the command's room](room_of).
    pub in_session: bool,
    /// The number of that room's last entry.
    pub head: u64,
    /// The highest number that its last entry can have once all is committed that was asked for
    /// before.
    pub ahead: u64,
    /// Unpredictable bytes.
    pub random: &'a [u8; 32],
    /// The time.
    pub now: Now,
}

/// The room that a command is about, as far as it exists before.
pub fn room_of(access: &AccessControl, user: UserId, command: &AdminCommand) -> Option<RoomId> {
    match command {
        AdminCommand::Enter { name } => access.rooms.named_for(user, name),
        other => other.room(),
    }
}

/// Runs a command: checks that the actor may give it, carries it out, and notes it in the audit trail.
///
/// # Errors
/// The reason why not; then nothing has changed.
pub fn run(context: Context<'_>, command: &AdminCommand) -> Result<AdminReply, ErrorFrame> {
    let spec = command.spec();
    let Context { actor, now, .. } = context;
    let user = context.access.user(actor.requester, now);
    may(&user, None, Action::Command(spec))?;
    let mut running = Running { context, spec };
    let mut reply = running.handle(command)?;
    debug_assert_eq!(spec.audited, !reply.deeds.is_empty(), "{}", spec.name);
    let audit = &mut running.context.access.moderation.audit;
    for deed in reply.deeds.drain(..) {
        audit.note(
            seconds(now.wall),
            actor.requester.user,
            &actor.nickname,
            deed,
        );
    }
    Ok(reply)
}

/// A command in progress that the actor may give.
struct Running<'a> {
    context: Context<'a>,
    spec: &'static AdminSpec,
}

impl Running<'_> {
    /// The user on whom the command acts, if the actor may act on them. A handler that changes something
    /// about a user gets them from here.
    fn target(&self, nickname: &Nickname) -> Result<Target, ErrorFrame> {
        let Some(target) = &self.context.target else {
            let message = format!("There is no user {nickname} here");
            return Err(ErrorFrame::new(ErrorCode::NotFound, &message));
        };
        let other = TargetUser {
            id: target.user,
            nickname: &target.nickname,
            role: target.role,
        };
        self.may(Action::ActOn(self.spec, other))?;
        Ok(target.clone())
    }

    /// Checks that the actor may do something else.
    fn may(&self, action: Action<'_>) -> Result<(), ErrorFrame> {
        let Context {
            access, actor, now, ..
        } = &self.context;
        let user = access.user(actor.requester, *now);
        Ok(may(&user, None, action)?)
    }
}
