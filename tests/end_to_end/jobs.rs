//! Stopped, continued, in the background: under a shell with job control, as the job of a script,
//! and without a shell.

use std::{fs, process::Command};

use crate::{
    conversation::{assert_restored, signal},
    process::{CHAT_TUI, Server},
    terminal::Terminal,
};

/// The shell's prompt.
const PROMPT: &str = "READY> ";
/// The bytes by which the client takes the screen.
const TAKEN: &[u8] = b"\x1b[?1049h";

/// Shells with job control, one that edits its lines and one that leaves that to the terminal; at
/// least one of them must be installed.
fn shells() -> Vec<&'static [&'static str]> {
    const SHELLS: &[&[&str]] = &[&["sh", "-i"], &["bash", "--norc", "--noprofile", "-i"]];
    let is_there = |shell: &&&[&str]| {
        let asked = Command::new(shell[0]).args(["-c", ":"]).status();
        asked.is_ok_and(|status| status.success())
    };
    SHELLS.iter().filter(is_there).copied().collect()
}

/// A shell with job control, in a terminal.
struct Shell(Terminal);

impl Shell {
    fn start(server: &Server, shell: &[&str]) -> Self {
        let port = server.port();
        // The test looks for bracketed paste; the shell must not turn it on by itself.
        let settings = concat!(env!("CARGO_TARGET_TMPDIR"), "/inputrc");
        fs::write(settings, "set enable-bracketed-paste off\n").expect("a file");
        let environment = [
            ("PS1", PROMPT),
            ("ENV", ""),
            ("INPUTRC", settings),
            ("CHAT", CHAT_TUI),
            ("PORT", &port),
        ];
        let terminal = Terminal::start_in(shell[0], &shell[1..], 80, 24, &environment);
        terminal.wait_for(PROMPT);
        Self(terminal)
    }

    /// Types a command. It ends with a byte that is Enter in every mode: a shell that leaves line
    /// editing to the terminal finds the mode of the stopped program.
    fn command(&mut self, command: &str) {
        self.0.keys(command);
        self.0.keys("\n");
    }

    /// Lets the shell print something: it has the terminal.
    fn answers(&mut self, number: u32) {
        // The typed command does not contain the answer.
        self.command(&format!("echo answer-$(({number}+0))."));
        self.0.wait_for(&format!("answer-{number}."));
    }

    /// Waits for another prompt.
    fn prompts_again(&self, before: usize) {
        let prompts = |raw: &[u8]| count(raw, PROMPT.as_bytes());
        self.0
            .wait_raw("another prompt", |raw| prompts(raw) > before);
    }

    fn prompts(&self) -> usize {
        count(&self.0.raw(), PROMPT.as_bytes())
    }

    /// Starts the client by a command that prints its process ID.
    fn chat(&mut self, command: &str) -> u32 {
        self.command(command);
        self.0.wait_for("● encrypted");
        let raw = String::from_utf8_lossy(&self.0.raw()).into_owned();
        let told = raw.rsplit("client=").next().expect("a part");
        let digits: String = told.chars().take_while(char::is_ascii_digit).collect();
        digits.parse().expect("a process")
    }
}

fn count(bytes: &[u8], part: &[u8]) -> usize {
    let windows = bytes.windows(part.len());
    windows.filter(|window| *window == part).count()
}

/// As a command of its own, which prints its process ID first.
const ALONE: &str = r#"sh -c 'echo client=$$; exec "$CHAT" localhost "$PORT" carol 3'"#;
/// As the job of a script that waits for it.
const IN_A_SCRIPT: &str = r#"sh -c 'sh -c "echo client=\$\$; exec \"\$CHAT\" localhost \"\$PORT\" carol 3"; echo left-$?.'"#;

/// Opens a second client, which receives carol's messages.
fn alice(server: &Server) -> Terminal {
    let alice = server.client("alice", "1", 100, 30);
    alice.wait_for("● encrypted");
    alice
}

/// Continues the client, which has to be as it was before.
fn comes_back(shell: &mut Shell, alice: &Terminal, text: &str) {
    shell.command("fg");
    shell.0.wait_for("● encrypted");
    shell.0.wait_gone(PROMPT);
    shell.0.keys(text);
    shell.0.wait_for(text);
    shell.0.keys("\r");
    alice.wait_for(text);
}

/// Leaves the client, and checks that the terminal is as a shell needs it.
fn leaves(shell: &mut Shell) {
    let before = shell.prompts();
    shell.0.line("q!");
    shell.prompts_again(before);
    assert_restored(&shell.0);
    shell.command(
        "stty -a | tr ' ;' '\\n\\n' | grep -x -e icanon -e echo -e isig | sort | tr '\\n' :",
    );
    shell.0.wait_for("echo:icanon:isig:");
}

#[test]
fn ctrl_z_gives_the_shell_back_and_fg_the_screen() {
    let server = Server::start();
    let alice = alice(&server);
    for (command, kind) in [ALONE, IN_A_SCRIPT]
        .into_iter()
        .flat_map(|command| shells().into_iter().map(move |kind| (command, kind)))
    {
        let mut shell = Shell::start(&server, kind);
        shell.chat(command);
        for round in 1..=2 {
            let before = shell.prompts();
            shell.0.keys("\x1a");
            shell.prompts_again(before);
            assert_restored(&shell.0);
            shell.answers(40 + round);
            let text = format!("back {round} {} {}", command.len(), kind[0]);
            comes_back(&mut shell, &alice, &text);
        }
        leaves(&mut shell);
    }
}

#[test]
fn after_any_stop_fg_brings_the_screen_back() {
    let server = Server::start();
    let mut alice = alice(&server);
    for (name, kind) in ["STOP", "TSTP"]
        .into_iter()
        .flat_map(|name| shells().into_iter().map(move |kind| (name, kind)))
    {
        let mut shell = Shell::start(&server, kind);
        let client = shell.chat(ALONE);
        let before = shell.prompts();
        signal(client, name);
        shell.prompts_again(before);
        shell.answers(41);
        let (meanwhile, after) = (
            format!("by {name} {}", kind[0]),
            format!("{} {name}", kind[0]),
        );
        alice.line(&meanwhile);
        comes_back(&mut shell, &alice, &after);
        shell.0.wait_for(&meanwhile);
        leaves(&mut shell);
    }
}

#[test]
fn a_client_continued_in_place_goes_on() {
    let server = Server::start();
    let alice = alice(&server);
    let mut shell = Shell::start(&server, shells()[0]);
    // The shell waits for the script, and does not see that the client was stopped.
    let client = shell.chat(IN_A_SCRIPT);
    signal(client, "STOP");
    signal(client, "CONT");
    shell.0.keys("goes on");
    shell.0.wait_for("goes on");
    shell.0.keys("\r");
    alice.wait_for("goes on");
    leaves(&mut shell);
}

#[test]
fn in_the_background_it_writes_nothing() {
    let server = Server::start();
    let mut alice = alice(&server);
    let mut shell = Shell::start(&server, shells().pop().expect("a shell"));
    let client = shell.chat(ALONE);
    let before = shell.prompts();
    signal(client, "STOP");
    shell.prompts_again(before);
    let taken = count(&shell.0.raw(), TAKEN);
    shell.command("bg");
    alice.line("some news");
    alice.wait_for("✓");
    shell.answers(42);
    shell.answers(43);
    let raw = shell.0.raw();
    assert_eq!(
        count(&raw, TAKEN),
        taken,
        "it took the terminal in the background"
    );
    assert_eq!(count(&raw, b"some news"), 0, "it drew in the background");
    comes_back(&mut shell, &alice, "in front again");
    leaves(&mut shell);
}

#[test]
fn without_a_shell_ctrl_z_stops_nothing() {
    let server = Server::start();
    let alice = alice(&server);
    let port = server.port();
    // The leader of the terminal's session, as by `ssh -t host chat-tui`; and a script that is.
    let script = r#""$CHAT" localhost "$PORT" carol 3; echo left-$?."#;
    let environment = [("CHAT", CHAT_TUI), ("PORT", port.as_str())];
    for (program, arguments) in [
        (CHAT_TUI, &["localhost", &port, "carol", "3"][..]),
        ("sh", &["-c", script]),
    ] {
        let mut carol = Terminal::start_in(program, arguments, 80, 24, &environment);
        carol.wait_for("● encrypted");
        carol.keys("\x1a");
        carol.wait_for("no shell here");
        let text = format!("still here {}", arguments.len());
        carol.line(&text);
        alice.wait_for(&text);
        carol.line("q!");
        carol.ended();
        assert_restored(&carol);
    }
}

#[test]
fn a_terminal_without_a_size_shows_what_is_typed() {
    let server = Server::start();
    let alice = alice(&server);
    for (sized, environment, columns) in [
        ("rows 0 cols 0", &[][..], 80),
        ("rows 0 cols 0", &[("COLUMNS", "60"), ("LINES", "20")], 60),
        (
            "rows 0 cols 80",
            &[("COLUMNS", "nonsense"), ("LINES", "0")],
            80,
        ),
        ("rows 24 cols 0", &[], 80),
    ] {
        let mut shell = Shell::start(&server, shells()[0]);
        let variables: Vec<_> = environment
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let variables = variables.join(" ");
        // Some shells set the variables by themselves.
        shell.command(&format!(
            "unset COLUMNS LINES; stty {sized}; env {variables} {ALONE}"
        ));
        shell.0.wait_for("● encrypted");
        let is_wide = |screen: &vt100::Screen, columns| {
            let is_rule = |row: &str| row.starts_with('─') && row.chars().count() == columns;
            screen.rows(0, 80).any(|row| is_rule(row.trim_end()))
        };
        shell
            .0
            .wait("that width", |screen| is_wide(screen, columns));
        let text = format!("seen at {sized} {columns}");
        shell.0.keys(&text);
        shell.0.wait_for(&text);
        shell.0.keys("\r");
        alice.wait_for(&text);
        // A size that is reported later counts.
        shell.0.resize(80, 24);
        shell
            .0
            .wait("the whole width", |screen| is_wide(screen, 80));
        leaves(&mut shell);
    }
}
