//! Conditions that a test needs and not every machine meets. Such a test says so and skips; where
//! CI is set, it fails.

use std::{
    env,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener},
};

/// Runs a test over IPv4 and IPv6: over each of the machine's loopback addresses.
pub(crate) fn over_both(test: impl Fn(IpAddr)) {
    test(Ipv4Addr::LOCALHOST.into());
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        test(Ipv6Addr::LOCALHOST.into());
    } else {
        skip("over ::1: this machine has no IPv6");
    }
}

/// Prints what can't be tested here, past the test runner, which hides the output of passing tests.
pub(crate) fn skip(what: &str) {
    assert!(env::var_os("CI").is_none(), "CI has to test it {what}");
    let _ = writeln!(io::stderr(), "skipped: {what}");
}
