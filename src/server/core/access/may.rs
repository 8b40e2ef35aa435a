//! Permissions: [`may`] decides what a user may do. It is pure, and the only place that compares
//! roles, or looks at bans, mutes or a room's rules, to allow or refuse something. How often
//! something may be done is a matter of [rate limits](crate::server::core::rate_limit).

use super::mode::RoomMakers;
use crate::{
    protocol::{
        Nickname, Role, RoomKind, RoomRules, UserId,
        admin::{ActsOn, AdminSpec, Rank},
        frame::{ErrorCode, ErrorFrame},
    },
    server::core::{
        format::until,
        moderation::{bans::Ban, mutes::Mute},
        rooms::{membership::Standing, span::Visible},
    },
};

/// The error for a room that does not exist or that the user is not in. It is one text for both, so
/// that outsiders do not learn which rooms exist.
pub const NO_SUCH_ROOM: &str = "There is no such room, or you are not in it";

/// A user who wants to do something.
#[derive(Clone, Copy, Debug)]
pub struct User<'a> {
    /// Their id.
    pub id: UserId,
    /// Their role.
    pub role: Role,
    /// The ban that applies to them. It is set for joins only, since a ban ends the user's
    /// sessions.
    pub ban: Option<&'a Ban>,
    /// The mute that applies to them.
    pub mute: Option<&'a Mute>,
}

/// The user on whom another user wants to act.
#[derive(Clone, Copy, Debug)]
pub struct TargetUser<'a> {
    /// Their id.
    pub id: UserId,
    /// Their nickname.
    pub nickname: &'a Nickname,
    /// Their role.
    pub role: Role,
}

/// A room, as far as it decides what a user may do in it.
#[derive(Clone, Debug)]
pub struct RoomView<'a> {
    /// Who can find and enter it.
    pub kind: RoomKind,
    /// Who may write.
    pub rules: &'a RoomRules,
    /// Whether it can only be read.
    pub archived: bool,
    /// Whether it is the lobby, which everybody is in.
    pub is_lobby: bool,
    /// The user's relation to it. A user without a key who is in it for a session counts as a member.
    pub standing: Standing,
    /// Its entries that the user may read.
    pub visible: Visible,
}

/// An action that a user asks for.
#[derive(Clone, Copy, Debug)]
pub enum Action<'a> {
    /// Join the server.
    Join {
        /// Whether the nickname is one that they own, or had when they were muted.
        own_nickname: bool,
    },
    /// Take another nickname.
    Rename,
    /// Make a room.
    CreateRoom {
        /// The room's kind.
        kind: RoomKind,
        /// Who may make rooms that have a name.
        makers: RoomMakers,
    },
    /// Find a direct conversation, or make it.
    Direct,
    /// Enter a room.
    Enter,
    /// Leave a room.
    Leave,
    /// Make another user a member of a room.
    Invite,
    /// End another user's membership in a room.
    RemoveMember(TargetUser<'a>),
    /// Give a room another name.
    RenameRoom,
    /// Archive a room.
    Archive,
    /// Take a room out of the archive.
    Unarchive,
    /// Change a room's topic.
    SetTopic,
    /// Let only moderators write in a room, or everybody.
    SetAnnounce,
    /// Change the pause between two messages in a room.
    SetSlow,
    /// Change which older entries a private room's members may read.
    SetHistory,
    /// Make a member a room's moderator, or no longer.
    AppointModerator,
    /// Read or search a room's history.
    Read {
        /// The lowest number.
        from: u64,
        /// The highest number.
        to: u64,
    },
    /// Write in a room.
    Write,
    /// Mention all members of a room.
    MentionEveryone,
    /// Erase what they wrote in a room themselves.
    Erase,
    /// Erase what others wrote in a room.
    EraseOthers,
    /// Write in a room in slow mode without a pause.
    SkipPause,
    /// Give an admin command.
    Command(&'static AdminSpec),
    /// Give an admin command that acts on another user.
    ActOn(&'static AdminSpec, TargetUser<'a>),
    /// Lift or replace a ban or a mute that a user of this role has set.
    Lift(Role),
}

/// The reason why an action is refused.
#[derive(Clone, Copy, Debug)]
pub enum Denied<'a> {
    /// They are banned.
    Banned(&'a Ban),
    /// They are muted.
    Muted(&'a Mute),
    /// They are muted, and want to join under another nickname than they had.
    MutedUnderAnotherName(&'a Mute),
    /// There is no such room, or they are not in it.
    NoSuchRoom,
    /// Only moderators may write in the room.
    Announcements,
    /// The room is archived.
    Archived,
    /// The lobby can't be changed so.
    Lobby,
    /// A direct conversation can't be changed so.
    Direct,
    /// All of the room is for all members.
    AllIsVisible,
    /// These entries are of a time when they were not in the room.
    Withheld,
    /// It takes at least this role.
    Needs(Role),
    /// They named themselves.
    Oneself,
    /// The other user has at least their role.
    Outranked {
        /// The other user.
        other: TargetUser<'a>,
        /// Whether it is the same role.
        same: bool,
    },
    /// It was set by this role, which is above theirs.
    SetBy(Role),
}

/// Decides whether a user may do something. `room`: the room concerned; `None` if there is no such
/// room, or the action concerns none.
///
/// # Errors
/// The reason for the refusal.
pub fn may<'a>(
    user: &User<'a>,
    room: Option<&RoomView<'_>>,
    action: Action<'a>,
) -> Result<(), Denied<'a>> {
    match action {
        Action::Join { own_nickname } => may_join(user, own_nickname),
        // Everybody in the room reads the nickname.
        Action::Rename => user.not_muted(),
        Action::CreateRoom { kind, makers } => {
            user.has_role(match kind {
                RoomKind::Public | RoomKind::Private => makers.role(),
                RoomKind::Direct => Role::Member,
            })?;
            user.not_muted()
        }
        Action::Direct => {
            user.has_role(Role::Member)?;
            user.not_muted()
        }
        Action::Enter => {
            let is_open = |room: &&RoomView<'_>| room.kind == RoomKind::Public || room.has(user);
            room.filter(is_open).map(|_| ()).ok_or(Denied::NoSuchRoom)
        }
        Action::Leave => entered(user, room)?.is_changeable(),
        Action::Invite => {
            let room = entered(user, room)?;
            room.is_changeable()?;
            user.has_role(Role::Member)?;
            room.is_not_archived()?;
            user.not_muted()
        }
        Action::RemoveMember(other) => {
            let room = entered_or_public(user, room)?;
            room.is_changeable()?;
            user.moderates(room)?;
            user.speaks()?;
            may_remove(user, room, other)
        }
        Action::RenameRoom => {
            let room = entered_or_public(user, room)?;
            room.is_changeable()?;
            user.moderates(room)?;
            room.is_not_archived()?;
            user.speaks()
        }
        Action::Archive | Action::Unarchive | Action::AppointModerator => {
            let room = entered_or_public(user, room)?;
            room.is_changeable()?;
            user.moderates(room)?;
            user.speaks()
        }
        Action::SetTopic | Action::SetAnnounce | Action::SetSlow => {
            let room = entered_or_public(user, room)?;
            room.is_not_direct()?;
            user.moderates(room)?;
            room.is_not_archived()?;
            user.speaks()
        }
        Action::SetHistory => {
            let room = entered_or_public(user, room)?;
            room.is_changeable()?;
            if room.kind == RoomKind::Public {
                return Err(Denied::AllIsVisible);
            }
            user.moderates(room)?;
            room.is_not_archived()
        }
        Action::Read { from, to } => {
            let visible = &entered(user, room)?.visible;
            // An empty range asks for nothing.
            if from <= to && visible.within(from, to).next().is_none() {
                return Err(Denied::Withheld);
            }
            Ok(())
        }
        Action::Write => may_write(user, entered(user, room)?),
        Action::MentionEveryone => {
            let room = entered(user, room)?;
            may_write(user, room)?;
            match room.kind {
                RoomKind::Public | RoomKind::Private => user.moderates(room),
                RoomKind::Direct => Ok(()),
            }
        }
        // A mute and an archive are about what others read, and they will read less.
        Action::Erase => entered(user, room).map(|_| ()),
        Action::EraseOthers => {
            user.moderates(entered(user, room)?)?;
            user.speaks()
        }
        Action::SkipPause => user.moderates(entered(user, room)?),
        Action::Command(spec) => {
            user.has_role(spec.may)?;
            // A muted moderator may not change texts that everybody reads: reasons and the like.
            if spec.may >= Role::Moderator {
                user.speaks()?;
            }
            Ok(())
        }
        Action::ActOn(spec, other) => match spec.on {
            ActsOn::User(rank) => may_act_on(user, other, rank),
            ActsOn::Server | ActsOn::Oneself | ActsOn::Room(_) => Ok(()),
        },
        Action::Lift(by) if by > user.role => Err(Denied::SetBy(by)),
        Action::Lift(_) => Ok(()),
    }
}

fn may_join<'a>(user: &User<'a>, own_nickname: bool) -> Result<(), Denied<'a>> {
    match (user.ban, user.mute) {
        (Some(ban), _) => Err(Denied::Banned(ban)),
        // Everybody in the room reads the nickname.
        (None, Some(mute)) if !own_nickname => Err(Denied::MutedUnderAnotherName(mute)),
        (None, _) => Ok(()),
    }
}

/// The room, if the user is in it.
fn entered<'r, 'a>(
    user: &User<'a>,
    room: Option<&'r RoomView<'r>>,
) -> Result<&'r RoomView<'r>, Denied<'a>> {
    room.filter(|room| room.has(user)).ok_or(Denied::NoSuchRoom)
}

/// The room, if the user is in it, or if it is public and they moderate the server.
fn entered_or_public<'r, 'a>(
    user: &User<'a>,
    room: Option<&'r RoomView<'r>>,
) -> Result<&'r RoomView<'r>, Denied<'a>> {
    let moderates = user.role >= Role::Moderator;
    room.filter(|room| room.has(user) || moderates && room.kind == RoomKind::Public)
        .ok_or(Denied::NoSuchRoom)
}

fn may_write<'a>(user: &User<'a>, room: &RoomView<'_>) -> Result<(), Denied<'a>> {
    room.is_not_archived()?;
    user.not_muted()?;
    if room.rules.announce && user.moderates(room).is_err() {
        return Err(Denied::Announcements);
    }
    Ok(())
}

/// Whether a user who moderates a room may remove a member.
fn may_remove<'a>(
    user: &User<'a>,
    room: &RoomView<'_>,
    other: TargetUser<'a>,
) -> Result<(), Denied<'a>> {
    // Those of the server rank above the room's moderators, and above each other by their roles.
    let ranks = match room.kind {
        RoomKind::Public => other.role >= Role::Moderator,
        RoomKind::Private | RoomKind::Direct => other.role >= Role::Owner,
    };
    if other.id == user.id {
        Err(Denied::Oneself)
    } else if ranks && other.role >= user.role {
        let same = other.role == user.role;
        Err(Denied::Outranked { other, same })
    } else {
        Ok(())
    }
}

impl RoomView<'_> {
    /// Whether the user is in it. Users without a key are in public rooms only.
    fn has(&self, user: &User<'_>) -> bool {
        self.standing.is_member() && (self.kind == RoomKind::Public || user.role >= Role::Member)
    }

    fn is_not_archived<'a>(&self) -> Result<(), Denied<'a>> {
        if self.archived {
            return Err(Denied::Archived);
        }
        Ok(())
    }

    fn is_not_direct<'a>(&self) -> Result<(), Denied<'a>> {
        match self.kind {
            RoomKind::Direct => Err(Denied::Direct),
            RoomKind::Public | RoomKind::Private => Ok(()),
        }
    }

    /// Whether its members and its name can be changed.
    fn is_changeable<'a>(&self) -> Result<(), Denied<'a>> {
        if self.is_lobby {
            return Err(Denied::Lobby);
        }
        self.is_not_direct()
    }
}

impl<'a> User<'a> {
    fn has_role(&self, role: Role) -> Result<(), Denied<'a>> {
        if self.role < role {
            return Err(Denied::Needs(role));
        }
        Ok(())
    }

    fn not_muted(&self) -> Result<(), Denied<'a>> {
        self.mute.map_or(Ok(()), |mute| Err(Denied::Muted(mute)))
    }

    /// Whether they may change what others read, as a moderator does. An owner may have been muted
    /// before they became one, and nobody ranks above them to lift it.
    fn speaks(&self) -> Result<(), Denied<'a>> {
        if self.role >= Role::Owner {
            return Ok(());
        }
        self.not_muted()
    }

    /// Whether they moderate a room: as its moderator; in public rooms as one of the server; in
    /// private ones as an owner who is a member.
    fn moderates(&self, room: &RoomView<'_>) -> Result<(), Denied<'a>> {
        let by_role = match room.kind {
            RoomKind::Public => self.role >= Role::Moderator,
            RoomKind::Private => self.role >= Role::Owner && room.has(self),
            RoomKind::Direct => return Err(Denied::Direct),
        };
        let of_room = self.role >= Role::Member && room.standing == Standing::Moderator;
        if by_role || of_room {
            return Ok(());
        }
        Err(Denied::Needs(Role::Moderator))
    }
}

fn may_act_on<'a>(user: &User<'a>, other: TargetUser<'a>, rank: Rank) -> Result<(), Denied<'a>> {
    let anybody = match rank {
        Rank::Any => true,
        Rank::Lower => false,
        Rank::LowerUnlessOwner => user.role >= Role::Owner,
    };
    if anybody {
        Ok(())
    } else if other.id == user.id {
        Err(Denied::Oneself)
    } else if other.role >= user.role {
        let same = other.role == user.role;
        Err(Denied::Outranked { other, same })
    } else {
        Ok(())
    }
}

impl Denied<'_> {
    fn code(&self) -> ErrorCode {
        match self {
            Self::Banned(_) => ErrorCode::Banned,
            Self::NoSuchRoom => ErrorCode::NoSuchRoom,
            Self::Muted(_)
            | Self::MutedUnderAnotherName(_)
            | Self::Announcements
            | Self::Archived
            | Self::Lobby
            | Self::Direct
            | Self::AllIsVisible
            | Self::Withheld
            | Self::Needs(_)
            | Self::Oneself
            | Self::Outranked { .. }
            | Self::SetBy(_) => ErrorCode::NotAllowed,
        }
    }

    fn message(&self) -> String {
        let muted = |mute: &Mute| format!("A moderator has muted you{}", until(mute.until));
        match self {
            Self::Banned(ban) => {
                let (until, reason) = (until(ban.until), ban.reason_words());
                format!("You are banned from this server{until}{reason}")
            }
            Self::Muted(mute) => muted(mute),
            Self::MutedUnderAnotherName(mute) => {
                format!("{}: join as {}", muted(mute), mute.nickname)
            }
            Self::NoSuchRoom => NO_SUCH_ROOM.to_owned(),
            Self::Announcements => "Only moderators may write in this room".to_owned(),
            Self::Archived => "This room is archived: it can only be read".to_owned(),
            Self::Lobby => "That can't be done in the lobby, which everybody is in".to_owned(),
            Self::Direct => "That can't be done in a direct conversation".to_owned(),
            Self::AllIsVisible => {
                "All of a public room can be read by everybody who enters it".to_owned()
            }
            Self::Withheld => "You were not in this room when that was written".to_owned(),
            Self::Needs(Role::Unverified | Role::Member) => {
                "This is for users with a key, and your client sent none".to_owned()
            }
            Self::Needs(Role::Moderator) => "Only moderators can do that".to_owned(),
            Self::Needs(Role::Owner) => "Only the owner can do that".to_owned(),
            Self::Oneself => "You can't do that to yourself".to_owned(),
            Self::Outranked { other, same } => {
                let too = if *same { " too" } else { "" };
                format!("{} is {}{too}", other.nickname, other.role)
            }
            Self::SetBy(by) => format!("This was set by the {by}: only the {by} can change it"),
        }
    }
}

impl From<Denied<'_>> for ErrorFrame {
    fn from(denied: Denied<'_>) -> Self {
        Self::new(denied.code(), &denied.message())
    }
}

#[cfg(test)]
mod matrix;
#[cfg(test)]
mod tests;
