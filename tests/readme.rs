//! The README says what the programs say: its lists of keys, commands and options are written by
//! them. After a change of those, `UPDATE_README=1 cargo test --test readme` writes them anew.

#![cfg(all(feature = "tui", feature = "server"))]

use std::{env, fs, path::Path, process::Command};

use chat_tui::tui::{commands, keymap};

/// What `PROGRAM -h` prints, as a block.
fn help(program: &str) -> String {
    let output = Command::new(program).arg("-h").output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    format!("```text\n{}\n```\n", lines.join("\n").trim())
}

/// The README with the list `name` as it should be.
fn with_list(readme: &str, name: &str, list: &str) -> String {
    let start = format!("<!-- {name} -->\n");
    let (before, rest) = readme.split_once(&start).expect(name);
    let (_, after) = rest.split_once("<!-- end -->").expect(name);
    format!("{before}{start}\n{}\n\n<!-- end -->{after}", list.trim())
}

#[test]
fn the_lists_are_those_of_the_programs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(&path).expect("a README");
    let mut due = readme.clone();
    for (name, list) in [
        ("server options", help(env!("CARGO_BIN_EXE_chat-server"))),
        ("options", help(env!("CARGO_BIN_EXE_chat-tui"))),
        ("keys", keymap::markdown()),
        ("commands", commands::markdown()),
    ] {
        due = with_list(&due, name, &list);
    }
    if env::var_os("UPDATE_README").is_some() {
        fs::write(&path, &due).expect("it can be written");
    } else {
        assert!(
            due == readme,
            "README.md is not up to date: UPDATE_README=1 cargo test --test readme"
        );
    }
}

#[test]
fn what_it_points_to_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = fs::read_to_string(root.join("README.md")).expect("a README");
    let targets = readme
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split(')').next());
    let mut count = 0;
    for target in targets.filter(|target| !target.contains("://")) {
        assert!(root.join(target).exists(), "{target} is not there");
        count += 1;
    }
    assert!(count > 5);
}
