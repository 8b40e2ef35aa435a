//! The operator's choice of who may enter.

/// Who may enter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Access {
    /// Everybody on this machine or in a private network; from elsewhere only those who were let in
    /// before, or are invited.
    #[default]
    Local,
    /// Everybody.
    Open,
    /// Those who were let in before, or are invited.
    Invite,
    /// Those who were let in before, are invited, or know the password.
    Password,
}

impl Access {
    /// Who may enter, in one plain sentence for the operator.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Local => {
                "everybody on this machine and in private networks may come in, others by invite \
                 (chat-server invite)"
            }
            Self::Open => "everybody who can reach this machine may come in",
            Self::Invite => "only the invited may come in (chat-server invite)",
            Self::Password => "who knows the password, or is invited, may come in",
        }
    }
}
