//! Who may enter at all, by where he comes from.

/// Who may enter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Access {
    /// Whoever comes from this machine or a private network; from elsewhere only who was let in
    /// before, or is invited.
    #[default]
    Local,
    /// Everybody.
    Open,
    /// Who was let in before, or is invited.
    Invite,
    /// Who was let in before, is invited, or knows the password.
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
