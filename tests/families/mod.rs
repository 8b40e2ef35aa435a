//! The families of addresses that a machine has.

pub(crate) mod skip;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener};

use self::skip::skip;

/// Runs a test over IPv4 and IPv6: over each of the machine's loopback addresses.
pub(crate) fn over_both(test: impl Fn(IpAddr)) {
    test(Ipv4Addr::LOCALHOST.into());
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        test(Ipv6Addr::LOCALHOST.into());
    } else {
        skip("over ::1: this machine has no IPv6");
    }
}
