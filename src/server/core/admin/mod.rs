//! Admin commands: runs one, after [`may`] has allowed it. The table of commands is
//! [`protocol::admin`](crate::protocol::admin); the functions that carry them out are in `handlers`.

use super::{
    access::{
        AccessControl, Requester,
        may::{Action, Other, may},
    },
    format::seconds,
};
use crate::{
    protocol::{
        Nickname, PublicKey, Role, RoomName, RoomRules, UserId,
        admin::{AdminCommand, AdminResult, AdminSpec},
        frame::{Departure, ErrorCode, ErrorFrame},
        limits::{FRAME_BYTES_MAX, RESULT_LINES_MAX},
    },
    server::network::ClientAddress,
    text::Line,
    time::Now,
};

mod handlers;

/// Bytes of the lines of one result, as they are written: the rest of its frame is more than enough.
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
    /// What they may do.
    pub role: Role,
    /// Whether they are present.
    pub present: bool,
    /// Where their sessions are, or were until a short while ago.
    pub addresses: Vec<ClientAddress>,
}

/// What follows from a command, once its changes are stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdminEffect {
    /// A user's sessions end.
    EndSessions {
        /// The user.
        user: UserId,
        /// Why.
        reason: Departure,
        /// The same in words, for them.
        words: Line,
    },
    /// The sessions that came in by a key end.
    EndSessionsOfKey(PublicKey),
    /// A user's role changes.
    SetRole {
        /// The user.
        user: UserId,
        /// What they may do now.
        role: Role,
    },
    /// A room's rules change.
    SetRules {
        /// The room.
        room: RoomName,
        /// Its rules from now on.
        rules: RoomRules,
    },
}

/// What a command came to.
#[derive(Clone, Debug)]
pub struct AdminReply {
    /// The answer, to be sent once the changes are stored; the hub puts the reference in.
    pub result: AdminResult,
    /// What follows then.
    pub effects: Vec<AdminEffect>,
    /// What was done, for the audit trail: ends of sentences that begin with the actor's nickname.
    deeds: Vec<String>,
}

impl AdminReply {
    /// A sentence.
    fn says(message: &str) -> Self {
        Self {
            result: AdminResult {
                message: Line::inert(message),
                lines: Vec::new(),
                invite: None,
                code: None,
                reference: None,
            },
            effects: Vec::new(),
            deeds: Vec::new(),
        }
    }

    /// A list of `count` lines, of which as many are given as one frame holds; `what` is in it, as the
    /// beginning of a sentence.
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

    /// All of a list.
    fn lists_all(lines: Vec<Line>, nothing: &str, what: &str) -> Self {
        let count = lines.len();
        Self::lists(lines, count, nothing, what)
    }

    /// The same, with what was done.
    fn did(mut self, deed: String) -> Self {
        self.deeds.push(deed);
        self
    }

    /// The same, with something that follows.
    fn then(mut self, effect: AdminEffect) -> Self {
        self.effects.push(effect);
        self
    }
}

/// What a line takes of a frame, with what parts it from the next: a quotation mark or a backslash is
/// written as two bytes, and a line has no character that takes more.
fn written_bytes(line: &Line) -> usize {
    let text = line.as_str();
    let escaped = text.bytes().filter(|byte| matches!(byte, b'"' | b'\\'));
    text.len() + escaped.count() + r#"","#.len() + 1
}

/// What a command is run with.
#[derive(Debug)]
pub struct Context<'a> {
    /// Everything that commands change.
    pub access: &'a mut AccessControl,
    /// The user who gives the command.
    pub actor: &'a Actor,
    /// The user whom it names, if somebody has that nickname.
    pub target: Option<Target>,
    /// The rules of the room that it names, if there is such a room.
    pub rules: Option<RoomRules>,
    /// Bytes that nobody can guess.
    pub random: &'a [u8; 32],
    /// The time.
    pub now: Now,
}

/// Runs a command: checks that the actor may give it, carries it out, and notes it in the audit trail.
///
/// # Errors
/// Says why not; then nothing has changed.
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

/// A command that the actor may give.
struct Running<'a> {
    context: Context<'a>,
    spec: &'static AdminSpec,
}

impl Running<'_> {
    /// The user on whom the command acts, if the actor may act on them. A handler that changes something
    /// about a user gets them from here.
    fn target(&self, nickname: &Nickname) -> Result<Target, ErrorFrame> {
        let Some(target) = &self.context.target else {
            let message = format!("Nobody here is called {nickname}");
            return Err(ErrorFrame::new(ErrorCode::NotFound, &message));
        };
        let other = Other {
            id: target.user,
            nickname: &target.nickname,
            role: target.role,
        };
        self.may(Action::ActOn(self.spec, other))?;
        Ok(target.clone())
    }

    /// The rules of the room on which the command acts.
    fn rules(&self) -> Result<RoomRules, ErrorFrame> {
        let missing = || ErrorFrame::new(ErrorCode::NoSuchRoom, "There is no such room");
        self.context.rules.clone().ok_or_else(missing)
    }

    /// Whether the actor may do something besides.
    fn may(&self, action: Action<'_>) -> Result<(), ErrorFrame> {
        let Context {
            access, actor, now, ..
        } = &self.context;
        let user = access.user(actor.requester, *now);
        Ok(may(&user, None, action)?)
    }
}
