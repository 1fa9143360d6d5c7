//! An orchestration that keeps its thread ends its test, which could not end by itself.

use std::{
    env,
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use taskhub::{MemoryStore, prelude::*, testing::TestHub};

#[orchestration(unchecked = "it is to block")]
async fn never_yields(_ctx: Context) -> Result<()> {
    loop {
        thread::sleep(Duration::from_hours(1));
    }
}

/// Where this is set, the tests hang that else do nothing.
const HANGS: &str = "TASKHUB_TEST_HANGS";

fn is_to_hang() -> bool {
    env::var_os(HANGS).is_some()
}

/// Runs a test of this program in a process of its own: what it said when it failed.
fn said_by(test: &str) -> String {
    let mut child = Command::new(env::current_exe().expect("its path"));
    let child = child.args(["--exact", test]).env(HANGS, "1").stdout(Stdio::null());
    let ended = child.stdin(Stdio::null()).output().expect("it runs");
    assert_eq!(ended.status.code(), Some(101));
    String::from_utf8(ended.stderr).expect("text")
}

#[test]
fn a_unit_test_of_code_that_never_yields_fails_and_names_it() {
    let said = said_by("blocked::hangs_in_a_unit_test");
    assert!(said.contains("`never_yields` has been running for 10 s"), "{said}");
}

#[test]
fn so_does_a_test_of_a_whole_hub() {
    let said = said_by("blocked::hangs_in_a_hub");
    assert!(said.contains("`never_yields` has been running for 10 s"), "{said}");
}

#[test]
fn hangs_in_a_unit_test() {
    if is_to_hang() {
        Run::of(never_yields).input(());
    }
}

#[tokio::test(start_paused = true)]
async fn hangs_in_a_hub() {
    if !is_to_hang() {
        return;
    }
    let host = TestHub::new().open(Host::builder().orchestration(never_yields)).unwrap();
    let run = host.client().start(never_yields, ()).await.unwrap();
    run.wait(Duration::from_mins(1)).await.unwrap();
}

#[cfg(target_os = "linux")]
#[test]
fn a_second_signal_ends_a_process_whose_threads_are_all_blocked() {
    let mut child = Command::new(env::current_exe().unwrap());
    let child = child.args(["--exact", "blocked::serves_with_all_threads_blocked", "--nocapture"]);
    let mut child = child.env(HANGS, "1").stdout(Stdio::piped()).spawn().unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    assert!(said.lines().map_while(Result::ok).any(|line| line.contains("all is blocked")));
    let status = format!("/proc/{}/status", child.id());
    let listens = || {
        let status = std::fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << 14) != 0
    };
    while !listens() {
        thread::sleep(Duration::from_millis(5));
    }
    let ended = loop {
        // One that comes before the last was heard is one with it.
        let kill = format!("kill -TERM {}", child.id());
        Command::new("sh").args(["-c", &kill]).status().unwrap();
        thread::sleep(Duration::from_millis(50));
        if let Some(ended) = child.try_wait().unwrap() {
            break ended;
        }
    };
    assert_eq!(ended.code(), Some(130));
}

#[activity]
async fn blocks() -> Result<()> {
    println!("all is blocked");
    loop {
        thread::sleep(Duration::from_hours(1));
    }
}

#[orchestration]
async fn calls_what_blocks(ctx: Context) -> Result<()> {
    ctx.call(blocks, ()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn serves_with_all_threads_blocked() {
    if !is_to_hang() {
        return;
    }
    let host = Host::builder().orchestration(calls_what_blocks).activity(blocks);
    let host = host.store(MemoryStore::new(1)).build().unwrap();
    host.client().start(calls_what_blocks, ()).await.unwrap();
    host.serve("127.0.0.1:0").await.unwrap();
}

#[test]
fn a_host_that_is_built_outside_of_tokio_says_so() {
    let error = Host::builder().store(MemoryStore::new(1)).build().unwrap_err();
    assert!(matches!(error, taskhub::HostError::NoRuntime), "{error}");
}
