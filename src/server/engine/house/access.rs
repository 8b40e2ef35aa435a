//! Who may enter at all, by where he comes from.

use std::net::{IpAddr, Ipv4Addr};

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

/// Whether an address is this machine's own.
pub fn is_this_machine(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Whether an address can only belong to this machine or a private network: loopback, private
/// (RFC 1918), link-local (RFC 3927, RFC 4291), unique local (RFC 4193), and shared by a carrier's
/// customers (RFC 6598), as overlay networks use them.
pub fn is_near(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            address.is_loopback()
                || address.is_private()
                || address.is_link_local()
                || is_shared(address)
        }
        IpAddr::V6(address) => {
            address.is_loopback() || address.is_unique_local() || address.is_unicast_link_local()
        }
    }
}

fn is_shared(address: Ipv4Addr) -> bool {
    let [first, second, ..] = address.octets();
    first == 100 && (64..128).contains(&second)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_is_what_nobody_reaches_from_elsewhere() {
        for (address, near) in [
            ("127.0.0.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("10.1.2.3", true),
            ("172.16.0.1", true),
            ("172.32.0.1", false),
            ("192.168.1.20", true),
            ("::ffff:192.168.1.20", true),
            ("169.254.1.1", true),
            ("100.64.0.1", true),
            ("100.127.255.254", true),
            ("100.128.0.1", false),
            ("fe80::1", true),
            ("fd00::1", true),
            ("2001:db8::1", false),
            ("192.0.2.1", false),
            ("8.8.8.8", false),
            ("0.0.0.0", false),
        ] {
            assert_eq!(is_near(address.parse().unwrap()), near, "{address}");
        }
    }
}
