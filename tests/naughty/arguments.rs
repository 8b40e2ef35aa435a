//! Errors about the command lines of both programs, and about the files and folders that they name,
//! on a terminal.

use std::{
    ffi::{OsStr, OsString},
    fs,
    os::unix::ffi::{OsStrExt, OsStringExt},
    path::Path,
    process::{Command, Stdio},
};

use crate::{CHAT_SERVER, CHAT_TUI, corpus, judge, terminal::Terminal};

/// The placeholder for the text.
const HERE: &str = "{}";

/// Arguments that are wrong with any text, or with a hostile one.
const CLIENT: &[&[&str]] = &[
    &[HERE],
    &[HERE, "10500", "carol", "3"],
    &["localhost", HERE, "carol", "3"],
    &["localhost", "10500", HERE, "3", "4"],
    &["localhost", "10500", "carol", HERE],
    &["localhost", "10500", "carol", "3", HERE],
    &["localhost", "10500", "carol", "3", "--theme", HERE],
    &["localhost", "10500", "carol", "3", "--timeout", HERE],
    &[
        "localhost",
        "10500",
        "carol",
        "3",
        "--state-dir",
        HERE,
        "--no-state",
    ],
    &[HERE, "0", "carol", "3", "--serve"],
];

const SERVER: &[&[&str]] = &[
    &[HERE],
    &["10500", HERE],
    &["--bind", HERE],
    &["--max-clients", HERE],
    &["--durability", HERE],
    &["--tls-cert", HERE],
    &["--tls-cert", HERE, "--tls-key", HERE],
    &["--data-dir", HERE, "backup", HERE],
    &["--data-dir", HERE, "restore", HERE],
    &["--data-dir", HERE, "export"],
    &["--data-dir", HERE, "export", "--room", HERE],
    &["--data-dir", HERE, "export", "--output", HERE],
    &["--data-dir", HERE, "import", HERE],
    &["--data-dir", HERE, "erase", HERE],
    &["--data-dir", HERE, "erase", "1"],
    &["--data-dir", HERE, "invite", HERE],
    &["--proxy", HERE],
];

/// Returns all texts, and bytes that are not UTF-8.
fn texts() -> Vec<OsString> {
    let raw: [&[u8]; 3] = [b"x\x9b2Jy", b"x\x1b]0;PWNED\x9cy", b"\xff\x90q\x9c"];
    let raw = raw.map(|bytes| OsString::from_vec(bytes.to_vec()));
    corpus::few()
        .into_iter()
        .map(OsString::from)
        .chain(raw)
        .collect()
}

fn filled(arguments: &[&str], text: &OsStr) -> Vec<OsString> {
    let fill = |argument: &&str| {
        if *argument == HERE {
            text
        } else {
            argument.as_ref()
        }
        .to_owned()
    };
    arguments.iter().map(fill).collect()
}

/// Runs a program to its end, in a folder of its own; judges its output in a pipe.
fn in_a_pipe(folder: &Path, program: &str, arguments: &[OsString]) -> bool {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(folder)
        .env("HOME", folder)
        .env("XDG_STATE_HOME", folder)
        .env("XDG_DATA_HOME", folder)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let what = format!("{program} {arguments:?}");
    judge::plain(&what, &output.stdout);
    judge::plain(&what, &output.stderr);
    !output.status.success()
}

#[test]
fn arguments_are_repeated_in_plain_words() {
    for (program, lines) in [(CHAT_TUI, CLIENT), (CHAT_SERVER, SERVER)] {
        for line in lines {
            let mut refused = 0;
            for text in texts() {
                let folder = tempfile::tempdir().unwrap();
                refused += usize::from(in_a_pipe(folder.path(), program, &filled(line, &text)));
            }
            assert!(refused > 5, "{program} {line:?}: {refused}");
        }
    }
}

/// On a terminal a program may write colours, and could overlook other bytes among them.
#[test]
fn arguments_are_repeated_in_plain_words_on_a_terminal() {
    for (program, lines) in [(CHAT_TUI, CLIENT), (CHAT_SERVER, SERVER)] {
        for line in lines {
            for text in corpus::few().iter().step_by(4) {
                let folder = tempfile::tempdir().unwrap();
                let home = folder.path().to_str().unwrap();
                let environment = [
                    ("HOME", home),
                    ("XDG_STATE_HOME", home),
                    ("XDG_DATA_HOME", home),
                ];
                let arguments = line.iter().map(|argument| argument.replace(HERE, text));
                let arguments: Vec<String> = arguments.collect();
                let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
                let mut terminal = Terminal::start_in(program, &arguments, 300, 40, &environment);
                terminal.keys("\x03\x03");
                terminal.ended();
                judge::terminal(&format!("{program} {arguments:?}"), &terminal.raw());
            }
        }
    }
}

#[test]
fn files_are_named_in_plain_words() {
    for text in texts() {
        let folder = tempfile::tempdir().unwrap();
        let name: Vec<u8> = text
            .as_bytes()
            .iter()
            .copied()
            .filter(|byte| *byte != b'/')
            .collect();
        let name = OsString::from_vec(name);
        // A file where a directory should be, and a file with useless contents.
        fs::write(folder.path().join(&name), "nothing of any use\n").unwrap();
        for line in SERVER.iter().filter(|line| line.contains(&"--data-dir")) {
            in_a_pipe(folder.path(), CHAT_SERVER, &filled(line, &name));
        }
        let host = filled(&["0", "--data-dir", HERE], &name);
        assert!(in_a_pipe(folder.path(), CHAT_SERVER, &host));
        // A usable directory: the output names it.
        let data = folder.path().join("data").join(&name);
        let log = folder.path().join("log.jsonl");
        fs::write(&log, LOG).unwrap();
        let run = |command: &str, file: &Path| {
            let arguments = [
                "--data-dir".as_ref(),
                data.as_os_str(),
                command.as_ref(),
                file.as_ref(),
            ];
            let arguments: Vec<OsString> = arguments.map(OsStr::to_owned).into();
            assert!(
                !in_a_pipe(folder.path(), CHAT_SERVER, &arguments),
                "{arguments:?}"
            );
        };
        run("import", &log);
        let backups = folder.path().join("backups");
        fs::create_dir(&backups).unwrap();
        let backup = backups.join(&name);
        run("backup", &backup);
        run("restore", &backup);
        run("erase", "1".as_ref());
    }
}

const LOG: &str = r#"{"type":"message","room":"lobby","id":"a3f1c09b7d2e4f5a6b7c8d9e-1","user":"1b2c3d4e5f60718293a4b5c6","nickname":"carol","message":"hello","timestamp":"2026-11-22T09:22:23.456Z","seq":1}
"#;
