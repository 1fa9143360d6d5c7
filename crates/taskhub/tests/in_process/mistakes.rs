//! What the compiler says of a newcomer's mistakes: one error each, where it was made, with advice.
//!
//! Each file in the folder `mistakes` has one. Above the line on which it is to be found stands a
//! part of what is to be said: `//~ ...`. They are compiled against the library that this test
//! uses, so nothing else has to be built for them.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

/// The folder with the library, and the library: the one that was built last.
fn library() -> (PathBuf, PathBuf) {
    let test = env::current_exe().expect("its path");
    let folder = test.parent().expect("it lies in a folder").to_owned();
    let files = fs::read_dir(&folder).expect("it can be read").map(|it| it.expect("a file").path());
    let built = |path: &PathBuf| {
        let name = path.file_name()?.to_str()?;
        let is_library = name.starts_with("libtaskhub-") && path.extension()? == "rlib";
        fs::metadata(path).ok().filter(|_| is_library)?.modified().ok()
    };
    let library = files.filter(|path| built(path).is_some()).max_by_key(built);
    (folder, library.expect("this test was linked with it"))
}

/// What the compiler says of a file.
fn said(source: &Path) -> io::Result<String> {
    let (folder, library) = library();
    let out = tempfile::tempdir()?;
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition=2024", "--crate-type=lib", "--emit=metadata", "--allow=unused"]);
    rustc.arg("--out-dir").arg(out.path()).arg("-L").arg(folder);
    rustc.arg("--extern").arg(format!("taskhub={}", library.display())).arg(source);
    Ok(String::from_utf8_lossy(&rustc.output()?.stderr).into_owned())
}

/// The line that is to be pointed at, and what is to be said of it.
fn expected(source: &str) -> (usize, &str) {
    let lines = (2..).zip(source.lines());
    let mut marked = lines.filter_map(|(next, line)| Some((next, line.split_once("//~ ")?.1)));
    marked.next().expect("a line with `//~ ...`")
}

/// What is wrong with what is said of a file.
fn amiss(path: &Path) -> Option<String> {
    let source = fs::read_to_string(path).expect("it can be read");
    let (line, advice) = expected(&source);
    let said = said(path).expect("the compiler runs");
    let errors = said.lines().filter(|line| line.starts_with("error"));
    let errors = errors.filter(|line| !line.starts_with("error: aborting")).count();
    // What is not said where the mistake stands is not found.
    let there = said.contains(&format!(":{line}:"));
    let fits = errors == 1 && there && said.contains(advice);
    (!fits).then(|| format!("{errors} errors, to be one on line {line} with {advice:?}:\n{said}"))
}

#[test]
fn each_mistake_of_a_newcomer_is_one_error_with_advice() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/in_process/mistakes");
    let files = fs::read_dir(folder).expect("it can be read");
    let mut files: Vec<_> = files.map(|it| it.expect("a file").path()).collect();
    files.sort();
    assert!(files.len() > 12, "{files:?}");
    let wrong: Vec<_> = files
        .iter()
        .filter_map(|path| Some(format!("{}: {}", path.display(), amiss(path)?)))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
