//! The operator's choices of who may join, and who may make rooms.

use crate::protocol::Role;

/// The operator's choice of who may join.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Access {
    /// Everybody on this machine or in a private network; from elsewhere only users admitted before
    /// or with an invite.
    #[default]
    Local,
    /// Everybody.
    Open,
    /// Users admitted before or with an invite.
    Invite,
    /// Users admitted before, with an invite, or who know the password.
    Password,
}

impl Access {
    /// The choice in one sentence for the operator.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Local => {
                "everybody on this machine and in private networks may join; others need an invite \
                 (chat-server invite)"
            }
            Self::Open => "everybody who can reach this machine may join",
            Self::Invite => "only people with an invite may join (chat-server invite)",
            Self::Password => "people who know the password or have an invite may join",
        }
    }
}

/// Who may make rooms: the operator's setting.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum RoomMakers {
    /// Every user with a key.
    #[default]
    Members,
    /// Moderators and owners.
    Moderators,
    /// Owners.
    Owner,
}

impl RoomMakers {
    /// The least role that makes rooms.
    pub fn role(self) -> Role {
        match self {
            Self::Members => Role::Member,
            Self::Moderators => Role::Moderator,
            Self::Owner => Role::Owner,
        }
    }
}
