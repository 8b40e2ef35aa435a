//! The tests that `SECURITY.md` names exist.

use std::{collections::HashSet, fs, path::Path};

const PAGE: &str = include_str!("../SECURITY.md");

/// Collects the name of every function of the project, tests among them.
fn tests_below(directory: &Path, names: &mut HashSet<String>) {
    for entry in fs::read_dir(directory).expect("a directory of the project") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            tests_below(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let code = fs::read_to_string(&path).expect("a source");
            let functions = code.split("fn ").skip(1);
            names.extend(functions.filter_map(|rest| {
                let (name, _) = rest.split_once('(')?;
                Some(name.to_owned())
            }));
        }
    }
}

#[test]
fn every_threat_is_shown_by_tests_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut names = HashSet::new();
    tests_below(&root.join("src"), &mut names);
    tests_below(&root.join("tests"), &mut names);
    let (_, threats) = PAGE.split_once("## Threats").expect("the threats");
    let (threats, _) = threats.split_once("## Secrets").expect("their end");
    let rows = threats.lines().filter(|line| {
        line.starts_with("| ") && !line.starts_with("| threat |") && !line.starts_with("|---")
    });
    let mut count = 0;
    for row in rows {
        let shown = row.split('|').nth(3).expect("what shows it");
        let shown: Vec<_> = shown.split('`').skip(1).step_by(2).collect();
        assert!(!shown.is_empty(), "nothing shows: {row}");
        for test in shown {
            assert!(names.contains(test), "there is no test {test}");
        }
        count += 1;
    }
    assert!(count >= 20, "{count} threats");
}
