//! Permissions: [`may`] decides what a user may do. It is pure, and the only place that compares
//! roles, or looks at bans, mutes or a room's rules, to allow or refuse something. How often
//! something may be done is a matter of [rate limits](crate::server::core::rate_limit).

use crate::{
    protocol::{
        Nickname, Role, RoomRules, UserId,
        admin::{ActsOn, AdminSpec, Rank},
        frame::{ErrorCode, ErrorFrame},
    },
    server::core::{
        format::until,
        moderation::{bans::Ban, mutes::Mute},
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
    /// Read or search a room's history.
    Read,
    /// Write in a room.
    Write,
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

/// Decides whether a user may do something. `room`: the rules of the room concerned; `None` if
/// there is no such room, or the user is not in it.
///
/// # Errors
/// The reason for the refusal.
pub fn may<'a>(
    user: &User<'a>,
    room: Option<&RoomRules>,
    action: Action<'a>,
) -> Result<(), Denied<'a>> {
    let moderates = user.role >= Role::Moderator;
    let not_muted = || user.mute.map_or(Ok(()), |mute| Err(Denied::Muted(mute)));
    match action {
        Action::Join { own_nickname } => match (user.ban, user.mute) {
            (Some(ban), _) => Err(Denied::Banned(ban)),
            // Everybody in the room reads the nickname.
            (None, Some(mute)) if !own_nickname => Err(Denied::MutedUnderAnotherName(mute)),
            (None, _) => Ok(()),
        },
        // Everybody in the room reads the nickname.
        Action::Rename => not_muted(),
        Action::Read => room.map(|_| ()).ok_or(Denied::NoSuchRoom),
        Action::Write => {
            let rules = room.ok_or(Denied::NoSuchRoom)?;
            not_muted()?;
            if rules.announce && !moderates {
                return Err(Denied::Announcements);
            }
            Ok(())
        }
        // A mute is about what others read, and they will read less.
        Action::Erase => room.map(|_| ()).ok_or(Denied::NoSuchRoom),
        Action::EraseOthers => {
            room.ok_or(Denied::NoSuchRoom)?;
            if !moderates {
                return Err(Denied::Needs(Role::Moderator));
            }
            if user.role < Role::Owner {
                not_muted()?;
            }
            Ok(())
        }
        Action::SkipPause if moderates => Ok(()),
        Action::SkipPause => Err(Denied::Needs(Role::Moderator)),
        Action::Command(spec) => {
            if user.role < spec.may {
                return Err(Denied::Needs(spec.may));
            }
            // A muted moderator may not change texts that everybody reads: topics, reasons, and the
            // like. An owner may have been muted before they became one, and nobody ranks above
            // them to lift it.
            if spec.may >= Role::Moderator && user.role < Role::Owner {
                not_muted()?;
            }
            Ok(())
        }
        Action::ActOn(spec, other) => match spec.on {
            ActsOn::User(rank) => may_act_on(user, other, rank),
            ActsOn::Server | ActsOn::Oneself | ActsOn::Room => Ok(()),
        },
        Action::Lift(by) if by > user.role => Err(Denied::SetBy(by)),
        Action::Lift(_) => Ok(()),
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
mod tests {
    use super::*;
    use crate::protocol::admin::{ADMIN_COMMANDS, ROLES};

    fn id(byte: u8) -> UserId {
        UserId::from_bytes([byte; 12])
    }

    fn user(role: Role) -> User<'static> {
        User {
            id: id(1),
            role,
            ban: None,
            mute: None,
        }
    }

    fn mute() -> Mute {
        Mute {
            nickname: "bob".to_owned(),
            sites: Vec::new(),
            at: 1,
            until: None,
            rank: Role::Owner,
        }
    }

    fn roles() -> impl Iterator<Item = Role> {
        ROLES.iter().map(|(role, _)| *role)
    }

    #[test]
    fn every_command_takes_the_role_of_its_row() {
        for (spec, role) in ADMIN_COMMANDS
            .iter()
            .flat_map(|spec| roles().map(move |role| (spec, role)))
        {
            let allowed = may(&user(role), None, Action::Command(spec)).is_ok();
            assert_eq!(allowed, role >= spec.may, "{} {role}", spec.name);
            // A muted moderator does nothing that others read.
            let mute = mute();
            let muted = User {
                mute: Some(&mute),
                ..user(role)
            };
            let speaks = spec.may < Role::Moderator || role == Role::Owner;
            let allowed = may(&muted, None, Action::Command(spec)).is_ok();
            assert_eq!(allowed, role >= spec.may && speaks, "{} {role}", spec.name);
        }
    }

    #[test]
    fn users_cannot_act_on_their_own_role_or_above() {
        let nickname = Nickname::parse("bob").unwrap();
        let ranks = [Rank::Any, Rank::Lower, Rank::LowerUnlessOwner];
        for (rank, role, target) in ranks.into_iter().flat_map(|rank| {
            roles().flat_map(move |role| roles().map(move |target| (rank, role, target)))
        }) {
            let other = |byte| TargetUser {
                id: id(byte),
                nickname: &nickname,
                role: target,
            };
            let free = match rank {
                Rank::Any => true,
                Rank::Lower => false,
                Rank::LowerUnlessOwner => role == Role::Owner,
            };
            let allowed = |byte| may_act_on(&user(role), other(byte), rank).is_ok();
            assert_eq!(
                allowed(2),
                free || target < role,
                "{rank:?} {role} {target}"
            );
            assert_eq!(allowed(1), free, "oneself: {rank:?} {role} {target}");
        }
    }

    #[test]
    fn a_room_for_announcements_takes_messages_of_moderators_who_are_not_muted() {
        let (plain, mute) = (RoomRules::default(), mute());
        let announce = RoomRules {
            announce: true,
            ..RoomRules::default()
        };
        for role in roles() {
            let moderates = role >= Role::Moderator;
            let writes = |rules, user: User<'_>| may(&user, rules, Action::Write).is_ok();
            assert!(writes(Some(&plain), user(role)));
            assert_eq!(writes(Some(&announce), user(role)), moderates);
            assert!(!writes(None, user(role)));
            let muted = User {
                mute: Some(&mute),
                ..user(role)
            };
            assert!(!writes(Some(&plain), muted) && !writes(Some(&announce), muted));
            assert!(may(&muted, None, Action::Rename).is_err());
            assert!(may(&muted, Some(&plain), Action::Read).is_ok());
            assert!(may(&muted, None, Action::Join { own_nickname: true }).is_ok());
            assert!(
                may(
                    &muted,
                    None,
                    Action::Join {
                        own_nickname: false
                    }
                )
                .is_err()
            );
            let skips = may(&user(role), Some(&plain), Action::SkipPause).is_ok();
            assert_eq!(skips, moderates);
            for by in roles() {
                let lifts = may(&user(role), None, Action::Lift(by)).is_ok();
                assert_eq!(lifts, role >= by);
            }
        }
    }
}
