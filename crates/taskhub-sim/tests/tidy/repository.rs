//! Finds and reads the files that the rules are about.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One file: its path from the root of the repository, with `/`, and its text.
#[derive(Clone, Copy)]
pub(crate) struct Source<'a> {
    pub(crate) path: &'a str,
    pub(crate) text: &'a str,
}

impl<'a> Source<'a> {
    /// The lines with their numbers, counted from 1.
    pub(crate) fn lines(self) -> impl Iterator<Item = (usize, &'a str)> {
        self.text.lines().enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Where a rule is broken, as a line counted from 1, and what to do about it.
pub(crate) type Offences = Vec<(usize, String)>;

/// Every file git knows or would add; without git, every file that is not build output.
pub(crate) fn paths() -> Vec<String> {
    let mut paths = listed_by_git();
    if !paths.iter().any(|path| path == "Cargo.toml") {
        paths.clear();
        walk(&root(), &mut paths);
    }
    paths.retain(|path| root().join(path).is_file());
    paths.sort();
    paths
}

/// The text of a file; bytes that are not UTF-8 are replaced.
pub(crate) fn read(path: &str) -> String {
    let bytes = fs::read(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"));
    String::from_utf8_lossy(&bytes).into_owned()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn listed_by_git() -> Vec<String> {
    let arguments = ["ls-files", "-z", "--cached", "--others", "--exclude-standard"];
    let Ok(output) = Command::new("git").args(arguments).current_dir(root()).output() else {
        return Vec::new();
    };
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    list.split_terminator('\0').map(str::to_owned).collect()
}

fn walk(folder: &Path, paths: &mut Vec<String>) {
    let entries = fs::read_dir(folder).expect("a folder of the repository is readable");
    for path in entries.flatten().map(|entry| entry.path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" && name != "node_modules" {
                walk(&path, paths);
            }
        } else if let Ok(path) = path.strip_prefix(root()) {
            paths.push(path.to_string_lossy().replace('\\', "/"));
        }
    }
}

#[test]
fn a_walk_finds_the_sources_and_skips_hidden_folders() {
    let mut paths = Vec::new();
    walk(&root(), &mut paths);
    assert!(paths.iter().any(|path| path == "xtask/src/main.rs"));
    assert!(!paths.iter().any(|path| path.starts_with(".git/")));
}
