//! The documents agree with the programs. `docs/REFERENCE.md` holds the lists of options, keys and
//! commands, which are made from the code: after a change, `UPDATE_README=1 cargo test --test
//! readme` writes them again. The links of all pages lead to files and headings that exist.

#![cfg(all(feature = "tui", feature = "server"))]

use std::{
    collections::HashSet,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use chat_tui::tui::{commands, keymap};

/// The longest README, in lines: a tour, not a reference.
const README_LINES: usize = 150;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Prints what `PROGRAM -h` prints, as a block.
fn help(program: &str) -> String {
    let output = Command::new(program).arg("-h").output().expect("it runs");
    let text = String::from_utf8(output.stdout).expect("text");
    let lines: Vec<_> = text.lines().map(str::trim_end).collect();
    format!("```text\n{}\n```\n", lines.join("\n").trim())
}

/// Returns the page with `list` in place of its list `name`.
fn with_list(page: &str, name: &str, list: &str) -> String {
    let start = format!("<!-- {name} -->\n");
    let (before, rest) = page.split_once(&start).expect(name);
    let (_, after) = rest.split_once("<!-- end -->").expect(name);
    format!("{before}{start}\n{}\n\n<!-- end -->{after}", list.trim())
}

#[test]
fn the_lists_are_those_of_the_programs() {
    let path = root().join("docs/REFERENCE.md");
    let page = fs::read_to_string(&path).expect("a reference");
    let mut due = page.clone();
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
            due == page,
            "docs/REFERENCE.md is not up to date: UPDATE_README=1 cargo test --test readme"
        );
    }
}

#[test]
fn the_readme_stays_a_tour() {
    let readme = fs::read_to_string(root().join("README.md")).expect("a README");
    let lines = readme.lines().count();
    assert!(lines <= README_LINES, "README.md has {lines} lines");
}

/// Lists every page: those in the root and in `docs`.
fn pages() -> Vec<PathBuf> {
    let folders = [root().to_owned(), root().join("docs")];
    let entries = folders
        .iter()
        .flat_map(|folder| fs::read_dir(folder).expect("a folder of the project"));
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

/// Returns a page's lines outside of fenced blocks.
fn prose(page: &str) -> impl Iterator<Item = &str> {
    let mut fenced = false;
    page.lines().filter(move |line| {
        let fence = line.trim_start().starts_with("```");
        fenced ^= fence;
        !fenced && !fence
    })
}

/// Returns the anchors of a page: its headings as hosting sites spell them, and explicit ones.
fn anchors(page: &str) -> HashSet<String> {
    let headings = prose(page).filter_map(|line| {
        let title = line.trim_start_matches('#');
        (line.starts_with('#') && title.starts_with(' ')).then(|| {
            let kept = title.trim().chars().filter_map(|c| match c {
                ' ' => Some('-'),
                '-' | '_' => Some(c),
                _ if c.is_alphanumeric() => Some(c),
                _ => None,
            });
            kept.flat_map(char::to_lowercase).collect()
        })
    });
    let explicit = prose(page)
        .flat_map(|line| line.split("<a id=\"").skip(1))
        .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()));
    headings.chain(explicit).collect()
}

#[test]
fn the_links_of_all_pages_lead_somewhere() {
    let mut count = 0;
    for path in pages() {
        let name = path.display();
        let page = fs::read_to_string(&path).expect("a page");
        // Links may be broken between lines.
        let text = prose(&page).collect::<Vec<_>>().join(" ");
        let targets = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => path.clone(),
                file => path.with_file_name(file),
            };
            assert!(file.exists(), "{name}: {target} is not there");
            if !anchor.is_empty() {
                let there = anchors(&fs::read_to_string(&file).expect("a page"));
                assert!(there.contains(anchor), "{name}: {target} is not a heading");
            }
            count += 1;
        }
    }
    assert!(count > 50, "{count} links");
}
