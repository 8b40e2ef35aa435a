//! Makes invites.
//!
//! An invite names the server by its key and by an address that others can reach. Only the operator
//! knows the address for sure: unless they give it, it is the one that this machine would use to
//! reach others.

use std::{
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
    path::Path,
};

use jiff::{Timestamp, tz::TimeZone};

use super::{error::CommandError, say};
use crate::{
    protocol::{Invite, InviteId, InviteToken},
    server::{
        args::InviteArgs,
        network::is_near,
        secrets,
        store::sqlite::{maintenance::MaintenanceError, owner::AsOwner},
    },
};

/// Documentation addresses (RFC 5737, RFC 3849). Nothing is ever sent to them.
const ELSEWHERE: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
];

pub(super) fn run(data: &Path, wanted: &InviteArgs) -> Result<(), CommandError> {
    let _owner = AsOwner::of(data).map_err(MaintenanceError::Open)?;
    if !secrets::has_hosted(data)? {
        return Err(CommandError::NoServer(data.to_owned()));
    }
    let (host, is_given) = match &wanted.host {
        Some(host) => (bare(host).to_owned(), true),
        None => (own_host().ok_or(CommandError::Host(None))?, false),
    };
    let expires = Timestamp::now().saturating_add(wanted.expires);
    let expires = expires.unwrap_or(Timestamp::MAX);
    let key = secrets::invite_key(data)?;
    let id = InviteId::from_bytes(secrets::random()?);
    let seconds = u64::try_from(expires.as_second()).unwrap_or(0);
    let invite = Invite {
        host,
        port: wanted.port,
        fingerprint: secrets::fingerprint(data)?,
        token: InviteToken::mint(&key, id, seconds, wanted.uses),
    };
    let shown = invite.expose();
    if !is_host(&invite.host) || Invite::parse(&shown).as_ref() != Ok(&invite) {
        return Err(CommandError::Host(Some(invite.host)));
    }
    let mut out = io::stdout();
    writeln!(out, "{shown}").map_err(CommandError::Output)?;
    out.flush().map_err(CommandError::Output)?;

    let people = match wanted.uses {
        0 => "any number of people".to_owned(),
        1 => "one person".to_owned(),
        uses => format!("{uses} people"),
    };
    let until = expires.to_zoned(TimeZone::system());
    say(&format!(
        "an invite for {people}, valid until {}; join with it: chat-tui INVITE",
        until.strftime("%A, %Y-%m-%d %H:%M"),
    ));
    let (host, port) = (&invite.host, invite.port);
    if is_given {
        say(&format!("it leads to {host}, port {port}"));
    } else {
        let reach = if host.parse().is_ok_and(is_near) {
            "of this machine in its private network, which people elsewhere can't reach"
        } else {
            "by which this machine reaches others"
        };
        say(&format!(
            "it leads to {host}, port {port}: the address {reach}. If people reach it by \
             another, give that: --host NAME --port N"
        ));
    }
    Ok(())
}

/// Removes the brackets that an IPv6 address has in front of a port.
fn bare(host: &str) -> &str {
    let inner = host
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'));
    inner.unwrap_or(host)
}

/// Whether a host with a colon is an IPv6 address, perhaps with an interface behind `%`.
fn is_host(host: &str) -> bool {
    let address = host.split_once('%').map_or(host, |(address, _)| address);
    !host.contains(':') || address.parse::<Ipv6Addr>().is_ok()
}

/// The host by which others probably reach this machine.
fn own_host() -> Option<String> {
    let address = ELSEWHERE.into_iter().find_map(address_towards);
    address.map(|address| address.to_string()).or_else(name)
}

/// The address by which this machine reaches another one.
fn address_towards(other: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match other {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind(SocketAddr::new(any, 0)).ok()?;
    // Connecting a UDP socket chooses the address, and sends nothing.
    socket.connect(SocketAddr::new(other, 9)).ok()?;
    let own = socket.local_addr().ok()?.ip();
    (!own.is_loopback() && !own.is_unspecified()).then_some(own)
}

#[cfg(unix)]
fn name() -> Option<String> {
    let name = rustix::system::uname();
    let name = name.nodename().to_str().ok()?;
    (!name.is_empty() && name != "localhost").then(|| name.to_owned())
}

#[cfg(not(unix))]
fn name() -> Option<String> {
    std::env::var("COMPUTERNAME").ok()
}
