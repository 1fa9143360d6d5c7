//! What the program makes of its settings: which of them counts, which it refuses, how it shows
//! them, and what its log says.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

/// The program, with no variables but these.
fn program(variables: &[(&str, &str)]) -> Command {
    let mut program = Command::new(env!("CARGO_BIN_EXE_taskhub"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TASKHUB_") {
            program.env_remove(name);
        }
    }
    program.envs(variables.iter().copied()).stdin(Stdio::null());
    program
}

/// Which settings `taskhub serve` would use.
fn printed(file: &str, variables: &[(&str, &str)], flags: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("taskhub.toml");
    fs::write(&path, file).unwrap();
    let mut program = program(variables);
    program.args(["serve", "--print-config", "--config"]).arg(path).args(flags);
    program.output().unwrap()
}

#[test]
fn a_flag_wins_over_its_variable_and_a_variable_over_the_file() {
    let file = "[limits]\ncalls = 1\nconnections = 1\nbody_seconds = 1\n";
    let variables = [("TASKHUB_CALLS", "2"), ("TASKHUB_CONNECTIONS", "2")];
    let done = printed(file, &variables, &["--calls", "3"]);
    let out = String::from_utf8(done.stdout).unwrap();
    for line in ["calls = 3\n", "connections = 2\n", "body_seconds = 1\n", "request_seconds = 0\n"]
    {
        assert!(out.contains(line), "{line}: {out}");
    }
}

#[test]
fn settings_are_printed_as_a_file_with_every_key_and_no_secret() {
    let done = printed("tokens = \"sesame\"\n", &[], &["--retention-failed", "90d"]);
    assert!(done.status.success());
    let out = String::from_utf8(done.stdout).unwrap();
    for line in ["tokens = [\"(secret)\"]\n", "failed = \"90d\"\n", "# completed = \"30d\"\n"] {
        assert!(out.contains(line), "{line}: {out}");
    }
    let again = printed(&out, &[], &[]);
    assert_eq!(String::from_utf8(again.stdout).unwrap(), out);
}

#[test]
fn what_serve_would_refuse_is_not_printed() {
    for (file, flags, reason) in [
        ("", &["--token", ""][..], "a token is empty"),
        ("", &["--http-origins", "example.com"], "is no origin"),
        ("", &["--log", "=="], "is no filter"),
        ("", &["--hubs-max", "0"], "the default is 64"),
        ("[limits]\ncals = 1\n", &[], "did you mean `calls`?"),
        ("lisen = \"a\"\n", &[], "did you mean `listen`?"),
    ] {
        let done = printed(file, &[], flags);
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{flags:?}");
        assert!(said.contains(reason) && done.stdout.is_empty(), "{said}");
    }
}

#[test]
fn a_server_that_cannot_start_says_what_to_do() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = other.local_addr().unwrap().to_string();
    for (flags, advice) in [
        (&["--listen", "nonsense"][..], "it must be a host and a port"),
        (&["--listen", &taken], "or end the program that uses it"),
        (&["--listen", "127.0.0.1:0", "--data", "Cargo.toml"], "may read and write"),
        (&["--listen", "127.0.0.1:0", "--traces-endpoint", "here"], "begin with `http://`"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let mut program = program(&[("TASKHUB_DATA", folder.path().to_str().unwrap())]);
        let done = program.arg("serve").args(flags).output().unwrap();
        let said = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(1), "{flags:?}");
        assert!(said.contains(advice), "{said}");
    }
}

/// What a server logs until it serves.
fn logged(folder: &Path, flags: &[&str]) -> Vec<String> {
    let mut server = program(&[]);
    server.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder).args(flags);
    let mut server = server.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = Vec::new();
    for line in BufReader::new(server.stderr.take().unwrap()).lines() {
        lines.push(line.unwrap());
        if lines.last().unwrap().contains("serving") {
            break;
        }
    }
    server.kill().unwrap();
    server.wait().unwrap();
    lines
}

#[test]
fn a_log_is_text_or_an_object_per_line() {
    let folder = tempfile::tempdir().unwrap();
    let lines = logged(folder.path(), &["--log-format", "json"]);
    let objects: Vec<Value> =
        lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    let last = objects.last().unwrap();
    assert_eq!((&last["level"], &last["fields"]["message"]), (&"INFO".into(), &"serving".into()));
    assert!(last["fields"]["address"].as_str().unwrap().starts_with("127.0.0.1:"));
    let text = logged(folder.path(), &[]);
    assert!(text.last().unwrap().contains("INFO") && !text.last().unwrap().starts_with('{'));
}

#[test]
fn a_server_without_keys_says_who_may_manage_instances() {
    let folder = tempfile::tempdir().unwrap();
    let warned = |flags: &[&str], word: &str| {
        logged(folder.path(), flags).iter().any(|it| it.contains("WARN") && it.contains(word))
    };
    assert!(warned(&[], "everybody on this machine may manage instances"));
    assert!(warned(&["--listen", "0.0.0.0:0"], "nobody may manage instances over HTTP"));
    taskhub_server::Keys::open(folder.path()).unwrap().create("default", None).unwrap();
    assert!(!warned(&[], "manage instances"));
}

/// As it is when a backup is put beside the folders of the hubs instead of into one.
#[test]
fn a_hub_in_the_folder_of_the_hubs_is_not_passed_over() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("hub.db"), "").unwrap();
    let mut server = program(&[]);
    server.args(["serve", "--listen", "127.0.0.1:0", "--data"]).arg(folder.path());
    let ended = server.output().unwrap();
    let said = String::from_utf8(ended.stderr).unwrap();
    assert_eq!(ended.status.code(), Some(1), "{said}");
    assert!(said.contains("move its files into") && said.contains("/default"), "{said}");
    assert!(!folder.path().join("default").exists());
}
