//! Conditions that a test needs and not every machine has. A test says so and skips; where CI is set, it
//! fails.

use std::{
    env,
    io::{self, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, TcpListener},
};

/// Runs a test over both families of addresses: over each address by which this machine calls itself.
pub(crate) fn over_both(test: impl Fn(IpAddr)) {
    test(Ipv4Addr::LOCALHOST.into());
    if TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok() {
        test(Ipv6Addr::LOCALHOST.into());
    } else {
        skip("over ::1: this machine has no IPv6");
    }
}

/// Says what can't be tested here, past the test runner, which shows nothing of tests that pass.
pub(crate) fn skip(what: &str) {
    assert!(env::var_os("CI").is_none(), "CI has to test it {what}");
    let _ = writeln!(io::stderr(), "skipped: {what}");
}
