//! Addresses, networks and sites, as used by options and limits.

use std::{
    fmt, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    str::FromStr,
};

/// A network: the addresses that begin with the same bits, such as `10.0.0.0/8` or `fd00::/8`;
/// without a number of bits, one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Network {
    first: IpAddr,
    bits: u8,
}

impl Network {
    /// The network of this address with the first `bits` bits, at most all of them.
    pub fn new(address: IpAddr, bits: u8) -> Self {
        let address = address.to_canonical();
        let bits = bits.min(width(address));
        Self {
            first: masked(address, bits),
            bits,
        }
    }

    /// Whether the network contains an address. An IPv4 address may be written as IPv6.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        address.is_ipv4() == self.first.is_ipv4() && masked(address, self.bits) == self.first
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address = IpAddr::from_str(address)
            .map_err(|_| "give an address, or a network such as 10.0.0.0/8")?;
        // The bits of an IPv4 address that is written as IPv6 may be counted either way.
        let is_mapped = address.is_ipv6() && address.to_canonical().is_ipv4();
        let address = address.to_canonical();
        let most = width(address);
        let bits = match bits.map(u8::from_str) {
            None => most,
            Some(Ok(bits)) if bits <= most => bits,
            Some(Ok(bits @ 96..=128)) if is_mapped => bits - 96,
            Some(_) => {
                return Err("give the number of bits behind the /: up to 32, for IPv6 up to 128");
            }
        };
        Ok(Self::new(address, bits))
    }
}

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.first, self.bits)
    }
}

/// An address of this machine to listen on. A link-local one names its interface: `fe80::1%eth0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindAddress {
    ip: IpAddr,
    zone: Option<String>,
}

impl BindAddress {
    /// The socket address with this port. Asks the system for the number of the interface.
    pub fn at(&self, port: u16) -> io::Result<SocketAddr> {
        let Some(zone) = &self.zone else {
            return Ok(SocketAddr::new(self.ip, port));
        };
        let found = (format!("{}%{zone}", self.ip), port).to_socket_addrs();
        let no_interface = || io::Error::from(io::ErrorKind::AddrNotAvailable);
        found
            .map_err(|_| no_interface())?
            .next()
            .ok_or_else(no_interface)
    }

    /// The address itself.
    pub fn ip(&self) -> IpAddr {
        self.ip
    }
}

impl<A: Into<IpAddr>> From<A> for BindAddress {
    fn from(address: A) -> Self {
        Self {
            ip: address.into(),
            zone: None,
        }
    }
}

impl FromStr for BindAddress {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WANTED: &str =
            "give an address of this machine, such as 192.168.1.20 or fe80::1%eth0";
        let Some((address, zone)) = text.split_once('%') else {
            return text.parse::<IpAddr>().map(Self::from).map_err(|_| WANTED);
        };
        let address: Ipv6Addr = address.parse().map_err(|_| WANTED)?;
        if !address.is_unicast_link_local() || zone.is_empty() {
            return Err(WANTED);
        }
        Ok(Self {
            ip: address.into(),
            zone: Some(zone.to_owned()),
        })
    }
}

/// A client's full address, as far as it is known. Whether it is this machine, or in a private
/// network, is decided by this, never by a [`Site`], which many addresses can share.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClientAddress {
    /// The address. IPv4 addresses are stored as such, even if a dual-stack socket reported them as
    /// IPv6.
    Known(SocketAddr),
    /// The client connects through this proxy, which does not name its address (PROXY protocol:
    /// `UNKNOWN`, `LOCAL`). It is not trusted: it counts neither as this machine, even if the proxy
    /// is on it, nor as a private network.
    Hidden(SocketAddr),
}

impl ClientAddress {
    /// Whether it is this machine.
    pub fn is_this_machine(self) -> bool {
        self.ip().is_some_and(|ip| ip.is_loopback())
    }

    /// Whether its address can only belong to this machine or a private network.
    pub fn is_near(self) -> bool {
        self.ip().is_some_and(is_near)
    }

    /// The site by which the limits count it.
    pub fn site(self) -> Site {
        Site(self.ip().map(shared))
    }

    /// The wider networks that a provider may also give to one customer, counted beside its
    /// [`site`](Self::site): for IPv6 the /56 and the /48. `None` where a site is a single address.
    pub fn wider(self) -> Option<[Network; 2]> {
        let Some(IpAddr::V6(ip)) = self.ip() else {
            return None;
        };
        (!is_whole(ip)).then(|| [56, 48].map(|bits| Network::new(ip.into(), bits)))
    }

    /// The site that a ban of this client closes to newcomers. Never this machine, which the owner
    /// uses, nor a proxy that names no addresses.
    pub fn closable(self) -> Option<Site> {
        (!self.is_this_machine())
            .then(|| self.site())
            .filter(|site| site.0.is_some())
    }

    fn ip(self) -> Option<IpAddr> {
        match self {
            Self::Known(address) => Some(address.ip().to_canonical()),
            Self::Hidden(_) => None,
        }
    }
}

impl From<SocketAddr> for ClientAddress {
    fn from(address: SocketAddr) -> Self {
        Self::Known(match address.ip().to_canonical() {
            v4 @ IpAddr::V4(_) => SocketAddr::new(v4, address.port()),
            // With its zone, if it has one.
            IpAddr::V6(_) => address,
        })
    }
}

impl fmt::Display for ClientAddress {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Known(address) => address.fmt(out),
            Self::Hidden(proxy) => write!(out, "an address hidden by the proxy {proxy}"),
        }
    }
}

/// The unit that limits and bans count by: roughly one machine or household.
///
/// An IPv4 address; for IPv6 the first 64 bits, which a provider gives to one household. But the
/// whole IPv6 address where unrelated machines share a /64: unique local and link-local ones (all
/// machines of a network), those that stand for IPv4 addresses (NAT64, RFC 6052 and RFC 8215), and
/// the network of `::1`. All clients with addresses hidden by a proxy are one site.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Site(Option<IpAddr>);

impl Site {
    /// The address stored with a ban or a mute.
    pub fn kept(self) -> Option<IpAddr> {
        self.0
    }

    /// Restores a stored site. `None` for addresses that no ban should close: older servers stored
    /// this machine's `::1` as `::`.
    pub fn of_kept(address: IpAddr) -> Option<Self> {
        let unspecified = address.to_canonical().is_unspecified();
        let known = ClientAddress::from(SocketAddr::new(address, 0));
        known.closable().filter(|_| !unspecified)
    }
}

/// The first address of a site.
fn shared(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) if !is_whole(v6) => masked(address, 64),
        address => address,
    }
}

/// Whether unrelated machines share an address's /64, so that each address counts alone.
fn is_whole(address: Ipv6Addr) -> bool {
    let first = |bits| masked(address.into(), bits);
    address.is_unique_local()
        || address.is_unicast_link_local()
        || first(64) == Ipv6Addr::UNSPECIFIED
        || first(96) == NAT64
        || first(48) == LOCAL_NAT64
}

/// The network whose addresses stand for all of IPv4 (RFC 6052), /96.
const NAT64: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0);
/// The same for private translators (RFC 8215), /48.
const LOCAL_NAT64: Ipv6Addr = Ipv6Addr::new(0x64, 0xff9b, 1, 0, 0, 0, 0, 0);

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

fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn masked(address: IpAddr, bits: u8) -> IpAddr {
    match address {
        IpAddr::V4(v4) => {
            let mask = u32::MAX
                .checked_shl(32 - u32::from(bits.min(32)))
                .unwrap_or(0);
            IpAddr::V4((u32::from(v4) & mask).into())
        }
        IpAddr::V6(v6) => {
            let mask = u128::MAX
                .checked_shl(128 - u32::from(bits.min(128)))
                .unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(v6) & mask))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_what_begins_alike() {
        for (network, inside, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.1"),
            ("10.1.2.3/8", "10.0.0.0", "9.255.255.255"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.6"),
            ("192.0.2.7/32", "::ffff:192.0.2.7", "::192.0.2.7"),
            ("0.0.0.0/0", "203.0.113.9", "::1"),
            ("fd00::/8", "fdff::1", "fc00::1"),
            ("2001:db8::1", "2001:db8::1", "2001:db8::2"),
            ("::/0", "2001:db8::1", "127.0.0.1"),
            ("::ffff:10.0.0.0/8", "10.9.9.9", "11.0.0.1"),
            ("::ffff:10.0.0.0/104", "10.9.9.9", "11.0.0.1"),
            ("::ffff:0:0/96", "203.0.113.9", "::1"),
            ("fe80::/10", "febf::1", "fec0::1"),
            ("::1", "::1", "::"),
        ] {
            let read: Network = network.parse().unwrap();
            assert!(read.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(
                !read.contains(outside.parse().unwrap()),
                "{network} {outside}"
            );
            assert_eq!(read.to_string().parse(), Ok(read));
        }
        for wrong in [
            "",
            "localhost",
            "10.0.0.0/33",
            "::/129",
            "10.0.0.0/",
            "10.0.0.0/-1",
            "::ffff:10.0.0.0/95",
            "10.0.0.0/104",
            "/8",
        ] {
            assert!(Network::from_str(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_to_listen_on_may_name_its_interface() {
        let at = |text: &str| BindAddress::from_str(text).map(|bind| bind.at(7).unwrap());
        for text in ["127.0.0.1", "::1", "fe80::1"] {
            assert_eq!(at(text), Ok(SocketAddr::new(text.parse().unwrap(), 7)));
        }
        let SocketAddr::V6(link_local) = at("fe80::1%1").unwrap() else {
            panic!("an address of IPv6");
        };
        assert_eq!((link_local.scope_id(), link_local.port()), (1, 7));
        let nowhere = BindAddress::from_str("fe80::1%no-such-0").unwrap().at(7);
        assert_eq!(nowhere.unwrap_err().kind(), io::ErrorKind::AddrNotAvailable);
        for wrong in [
            "",
            "localhost",
            "fe80::1%",
            "::1%1",
            "192.0.2.1%eth0",
            "[::1]",
        ] {
            assert!(BindAddress::from_str(wrong).is_err(), "{wrong}");
        }
    }

    fn from(text: &str) -> ClientAddress {
        ClientAddress::from(SocketAddr::new(text.parse().unwrap(), 7))
    }

    fn hidden() -> ClientAddress {
        ClientAddress::Hidden("127.0.0.1:7".parse().unwrap())
    }

    #[test]
    fn near_is_what_nobody_reaches_from_elsewhere() {
        for (address, this_machine, near) in [
            ("127.0.0.1", true, true),
            ("127.9.9.9", true, true),
            ("::1", true, true),
            ("::ffff:127.0.0.1", true, true),
            ("10.1.2.3", false, true),
            ("172.16.0.1", false, true),
            ("172.32.0.1", false, false),
            ("192.168.1.20", false, true),
            ("::ffff:192.168.1.20", false, true),
            ("169.254.1.1", false, true),
            ("100.64.0.1", false, true),
            ("100.127.255.254", false, true),
            ("100.128.0.1", false, false),
            ("fe80::1", false, true),
            ("febf::1", false, true),
            ("fec0::1", false, false),
            ("fc00::1", false, true),
            ("fd00::1", false, true),
            ("2001:db8::1", false, false),
            ("192.0.2.1", false, false),
            ("8.8.8.8", false, false),
            ("0.0.0.0", false, false),
            // Similar to this machine's addresses, but not them.
            ("::", false, false),
            ("::2", false, false),
            ("::127.0.0.1", false, false),
            ("64:ff9b::127.0.0.1", false, false),
            ("64:ff9b::10.0.0.1", false, false),
            ("::ffff:0:127.0.0.1", false, false),
        ] {
            let address = from(address);
            assert_eq!(address.is_this_machine(), this_machine, "{address}");
            assert_eq!(address.is_near(), near, "{address}");
        }
        assert!(!hidden().is_this_machine() && !hidden().is_near());
    }

    #[test]
    fn a_household_is_one_site_and_no_two_are() {
        let one = |a: &str, b: &str| from(a).site() == from(b).site();
        for (a, b) in [
            ("2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff"),
            ("2002:c000:201::1", "2002:c000:201::2"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::ffff:127.0.0.1", "127.0.0.1"),
        ] {
            assert!(one(a, b), "{a} {b}");
        }
        for (a, b) in [
            ("2001:db8::1", "2001:db8:0:1::1"),
            ("192.0.2.6", "192.0.2.7"),
            ("::ffff:192.0.2.6", "::ffff:192.0.2.7"),
            // All machines of a network have the same 64 bits.
            ("fe80::1", "fe80::2"),
            ("fd00:1:2:3::1", "fd00:1:2:3::2"),
            // As the whole internet has behind a translator.
            ("64:ff9b::192.0.2.6", "64:ff9b::192.0.2.7"),
            ("64:ff9b:1::192.0.2.6", "64:ff9b:1::192.0.2.7"),
            // This machine shares its site with no other address.
            ("::1", "::2"),
            ("::1", "::"),
            ("::1", "::127.0.0.1"),
            ("127.0.0.1", "::1"),
        ] {
            assert!(!one(a, b), "{a} {b}");
        }
        let other = ClientAddress::Hidden("[2001:db8::5]:9".parse().unwrap());
        assert_eq!(hidden().site(), other.site());
        assert_ne!(hidden().site(), from("127.0.0.1").site());
    }

    #[test]
    fn a_ban_closes_what_it_may_also_after_a_restart() {
        for (address, closes) in [
            ("192.0.2.7", true),
            ("192.168.1.20", true),
            ("2001:db8::7", true),
            ("fd00::7", true),
            ("fe80::7", true),
            ("127.0.0.1", false),
            ("127.0.0.2", false),
            ("::1", false),
            ("::ffff:127.0.0.1", false),
        ] {
            let closed = from(address).closable();
            assert_eq!(closed.is_some(), closes, "{address}");
            let kept = closed.and_then(Site::kept).and_then(Site::of_kept);
            assert_eq!(kept, closed, "{address}");
        }
        assert_eq!(hidden().closable(), None);
        // As older servers stored this machine.
        for kept in ["::", "::1", "127.0.0.1", "0.0.0.0"] {
            assert_eq!(Site::of_kept(kept.parse().unwrap()), None, "{kept}");
        }
    }
}
