//! An orchestration that keeps its thread ends its test, which could not end by itself.

use std::{
    env,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

use taskhub::{prelude::*, testing::TestHub};

#[orchestration(unchecked = "it is to block")]
async fn never_yields(_ctx: Context) -> Result<()> {
    loop {
        thread::sleep(Duration::from_secs(3_600));
    }
}

/// Runs a test of this program that is otherwise ignored: what it said when it failed.
fn said_by(test: &str) -> String {
    let mut child = Command::new(env::current_exe().unwrap());
    let child = child.args(["--exact", test, "--ignored"]).stdout(Stdio::null());
    let ended = child.stdin(Stdio::null()).output().unwrap();
    assert_eq!(ended.status.code(), Some(101));
    String::from_utf8(ended.stderr).unwrap()
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
#[ignore = "it hangs, and is run by the tests above"]
fn hangs_in_a_unit_test() {
    Run::of(never_yields).input(());
}

#[tokio::test(start_paused = true)]
#[ignore = "it hangs, and is run by the tests above"]
async fn hangs_in_a_hub() {
    let host = TestHub::new().open(Host::builder().orchestration(never_yields)).unwrap();
    let run = host.client().start(never_yields, ()).await.unwrap();
    run.wait(Duration::from_mins(1)).await.unwrap();
}
