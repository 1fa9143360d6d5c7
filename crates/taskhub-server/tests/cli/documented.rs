//! The tables of settings in the documentation: each setting with its flag, its variable and its
//! default, and none that is not there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

/// A row of such a table.
struct Row {
    keys: Vec<String>,
    flags: Vec<String>,
    variables: Vec<String>,
    default: String,
}

/// What stands in code in a cell.
fn code(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

/// The rows that the pages have, but for those that leave some to another page.
fn rows() -> Vec<Row> {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let pages = ["server.md", "cluster.md"].map(|page| fs::read_to_string(docs.join(page)));
    let pages = pages.map(|page| page.expect("the page is there"));
    let mut rows = Vec::new();
    for page in &pages {
        let (_, settings) = page.split_once("\n## Settings\n").expect("settings");
        let settings = settings.split("\n## ").next().unwrap_or_default();
        let table = settings.lines().filter(|line| line.starts_with("| `") && !line.contains(".."));
        rows.extend(table.map(|line| {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let [_, keys, flags, variables, default, ..] = cells[..] else { panic!("{line}") };
            let default = default.to_owned();
            Row { keys: code(keys), flags: code(flags), variables: code(variables), default }
        }));
    }
    rows
}

/// What the program prints when nothing is set.
fn printed(argument: &str) -> String {
    let mut program = Command::new(env!("CARGO_BIN_EXE_taskhub"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TASKHUB_") {
            program.env_remove(name);
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    let done = program.args(["serve", argument]).current_dir(folder.path()).output();
    String::from_utf8(done.expect("it runs").stdout).expect("it is text")
}

/// Every key of the settings with its default, if it has one.
fn keys() -> BTreeMap<String, Option<String>> {
    let (mut keys, mut section) = (BTreeMap::new(), String::new());
    for line in printed("--print-config").lines() {
        let (is_set, line) = match line.strip_prefix("# ") {
            Some(rest) => (false, rest),
            None => (true, line),
        };
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            section = format!("{name}.");
        } else if let Some((key, value)) = line.split_once(" = ") {
            keys.insert(format!("{section}{key}"), is_set.then(|| value.to_owned()));
        }
    }
    keys
}

#[test]
fn every_key_is_documented_with_its_default_and_no_other_is() {
    let (rows, keys) = (rows(), keys());
    let documented: BTreeSet<_> = rows.iter().flat_map(|row| &row.keys).collect();
    assert_eq!(documented, keys.keys().collect());
    for row in rows {
        let said = row.default.replace(',', "");
        for (key, value) in row.keys.iter().filter_map(|key| Some((key, keys[key].as_ref()?))) {
            let value = value.replace(['[', ']', '"', ','], "");
            let is_said = value.split_whitespace().all(|part| said.contains(part));
            assert!(is_said, "`{key}` is {value}, the page says {}", row.default);
        }
    }
}

#[test]
fn every_flag_and_variable_of_a_setting_is_documented_and_no_other_is() {
    let help = printed("--help");
    let behind = |start: &'static str| {
        let lines = help.lines().filter_map(move |line| line.trim().strip_prefix(start));
        let ends = |letter: char| !(letter.is_alphanumeric() || "-_".contains(letter));
        lines.filter_map(move |line| Some(line.split(ends).next()?.to_owned()))
    };
    let rows = rows();
    let flags: BTreeSet<_> = behind("--").map(|flag| format!("--{flag}")).collect();
    let documented = rows.iter().flat_map(|row| row.flags.clone());
    let others = ["--config", "--print-config"].map(str::to_owned);
    assert_eq!(documented.chain(others).collect::<BTreeSet<_>>(), flags);
    let variables: BTreeSet<_> = behind("[env: ").collect();
    let documented = rows.iter().flat_map(|row| row.variables.clone());
    let others = ["TASKHUB_CONFIG".to_owned()];
    assert_eq!(documented.chain(others).collect::<BTreeSet<_>>(), variables);
}
