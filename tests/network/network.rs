//! A network namespace, and the programs in it.

use std::{
    ffi::OsStr,
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use crate::families::skip::skip;

/// A namespace that lasts until drop.
pub(crate) struct Network {
    /// The process that holds it, until the end of its input.
    holder: Child,
}

impl Network {
    /// Makes a namespace with its loopback alone. `None`, with a note, where that is not possible.
    pub(crate) fn alone() -> Option<Self> {
        let made = Command::new("unshare")
            .args([
                "--net",
                "sh",
                "-c",
                "ip link set lo up && echo up && exec cat",
            ])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let made = made.ok().and_then(|mut holder| {
            let mut said = String::new();
            BufReader::new(holder.stdout.take()?)
                .read_line(&mut said)
                .ok()?;
            let network = Self { holder };
            (said == "up\n").then_some(network)
        });
        if made.is_none() {
            skip("in a network of its own: it takes root, unshare and ip");
        }
        made
    }

    /// Makes two namespaces, and a cable between their interfaces `near` and `far`.
    pub(crate) fn two() -> Option<[Self; 2]> {
        let two = [Self::alone()?, Self::alone()?];
        let other = two[1].holder.id().to_string();
        two[0].ip(&format!(
            "link add near type veth peer name far netns {other}"
        ));
        two[0].ip("link set near up");
        two[1].ip("link set far up");
        Some(two)
    }

    /// Runs `ip` in it.
    pub(crate) fn ip(&self, words: &str) {
        self.runs("ip", words);
    }

    /// Runs a program in it, which must succeed.
    pub(crate) fn runs(&self, program: &str, words: &str) {
        let mut command = self.command(program);
        let status = command.args(words.split(' ')).status().unwrap();
        assert!(status.success(), "{program} {words}");
    }

    /// Returns the command of a program in it.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net=/proc/{}/ns/net", self.holder.id()));
        command.arg("--").arg(program);
        command
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
