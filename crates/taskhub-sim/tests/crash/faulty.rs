//! A disk that fails now and then, under a process that goes on committing: reads, writes and
//! syncs end with EIO, space runs out, writes stop in the middle.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use tempfile::TempDir;

use super::{
    kill::{BEGIN, child_command, outcome, spawn},
    workload::left,
};

/// How many processes suffer.
const ROUNDS: u32 = 8;

/// Builds the layer that fails; SQLite is built by the same compiler.
fn build(folder: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/crash/faulty_disk.c");
    let layer = folder.join("faulty_disk.so");
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-o"]).arg(&layer).arg(source);
    let status = compiler.status().expect("there is a C compiler");
    assert!(status.success(), "the faulty disk compiles");
    layer
}

#[test]
fn whatever_was_acknowledged_outlives_a_disk_that_fails_now_and_then() {
    let built = TempDir::new().unwrap();
    let layer = build(built.path());
    let begin = built.path().join("begin");
    let folder = TempDir::new().unwrap();
    let (mut before, mut failures) = (0, 0);
    for round in 0..ROUNDS {
        let share = if round % 2 == 0 { "40" } else { "300" };
        let mut command = child_command();
        command.env("LD_PRELOAD", &layer).env(BEGIN, &begin).env("FAULTY_ONE_IN", share);
        let mut child = spawn(&mut command, folder.path());
        thread::sleep(Duration::from_millis(500));
        // The disk works again, and the same process goes on.
        drop(fs::remove_file(&begin));
        thread::sleep(Duration::from_millis(200));
        child.kill().unwrap();
        let told = outcome(child);
        failures += told.failures;
        before = left(folder.path(), told.acknowledged.unwrap_or(before), before);
    }
    println!("{before} batches, {failures} attempts failed");
    assert!(before > 0 && failures > 0, "some succeed ({before}), some fail ({failures})");
}
