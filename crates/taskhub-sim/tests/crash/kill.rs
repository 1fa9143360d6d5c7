//! Real processes that are killed while they commit, and a disk that takes no more.
//!
//! `TASKHUB_KILLS=200 cargo test -p taskhub-sim --release --test crash kill` for the long run.

use std::{
    env,
    ffi::OsString,
    fs,
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread,
    time::Duration,
};

use tempfile::TempDir;

use super::workload::{Chance, check, check_file, commit, committed, left, open};

/// Tells a child that it is one, and where its hub lies.
const FOLDER: &str = "TASKHUB_CRASH_FOLDER";

/// Tells a child that it is to create this file once its hub is open.
pub(crate) const BEGIN: &str = "FAULTY_WHILE";

/// How many processes to kill, unless the environment says otherwise.
const KILLS: &str = "TASKHUB_KILLS";

#[test]
fn whatever_was_acknowledged_outlives_a_kill() {
    let kills = env::var(KILLS).ok().and_then(|text| text.parse().ok()).unwrap_or(20);
    let folder = TempDir::new().unwrap();
    let mut chance = Chance::new();
    let (mut before, mut unacknowledged, mut moved) = (0, 0, 0);
    for kill in 0..kills {
        let mut child = spawn(&mut child_command(), folder.path());
        // Sometimes while it still opens what the last one left, mostly in the midst of commits.
        thread::sleep(Duration::from_millis(
            5 + chance.below(if kill % 4 == 0 { 15 } else { 250 }),
        ));
        child.kill().unwrap();
        let acknowledged = outcome(child).acknowledged.unwrap_or(before);

        // From 8 MB on, the log is being moved while commits go on.
        let log = fs::metadata(folder.path().join("hub.db-wal")).map_or(0, |log| log.len());
        moved += u32::from(log > 8 << 20);
        let count = left(folder.path(), acknowledged, before);
        unacknowledged += count - acknowledged;
        before = count;
    }
    println!("{kills} kills, {moved} of them after the log had begun to be moved;");
    println!("{before} batches, {unacknowledged} of them not acknowledged");
    assert!(before > 0, "some process had the time to commit");
}

#[test]
fn a_disk_that_takes_no_more_loses_nothing() {
    let folder = TempDir::new().unwrap();
    let mut limited = Command::new("sh");
    // No file may grow beyond 2,000 blocks (1 or 2 MB), and the signal that says so is ignored:
    // writes fail.
    limited.args(["-c", "trap '' XFSZ; ulimit -f 2000; exec \"$0\" \"$@\""]).args(child_args());
    let child = spawn(&mut limited, folder.path());
    let Told { acknowledged, status, .. } = outcome(child);
    let acknowledged = acknowledged.expect("it begins well");
    assert!(status.success(), "it saw its failures and checked what it could read: {status}");
    check_file(folder.path());
    let hub = open(folder.path());
    let count = committed(&hub);
    assert!((acknowledged..=acknowledged + 1).contains(&count), "{count}, not {acknowledged}");
    check(&hub, count);
    // There is room again.
    for number in count + 1..count + 20 {
        commit(&hub, number).unwrap();
    }
    check(&hub, count + 19);
}

/// What a child does; in any other run of the tests it does nothing.
#[test]
fn child() {
    let Some(folder) = env::var_os(FOLDER).map(PathBuf::from) else { return };
    let hub = open(&folder);
    if let Some(begin) = env::var_os(BEGIN) {
        fs::write(begin, "").expect("this folder works");
    }
    let mut out = io::stdout().lock();
    let first = committed(&hub) + 1;
    for number in first.. {
        // A batch that failed may be tried again: what failed is not there.
        let mut failures = 0;
        while let Err(error) = commit(&hub, number) {
            failures += 1;
            eprintln!("batch {number}: {error}");
            writeln!(out, "failed {number}").unwrap();
            thread::sleep(Duration::from_millis(20));
            if failures == 10 && env::var_os(BEGIN).is_none() {
                check(&hub, number - 1);
                return;
            }
        }
        writeln!(out, "ack {number}").unwrap();
        out.flush().unwrap();
    }
}

fn child_args() -> [OsString; 4] {
    let this = env::current_exe().expect("this program has a path").into_os_string();
    [this, "kill::child".into(), "--exact".into(), "--nocapture".into()]
}

pub(crate) fn child_command() -> Command {
    let [this, args @ ..] = child_args();
    let mut command = Command::new(this);
    command.args(args);
    command
}

pub(crate) fn spawn(command: &mut Command, folder: &Path) -> Child {
    command
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a child starts")
}

/// What a child said.
pub(crate) struct Told {
    /// The last batch that it acknowledged.
    pub(crate) acknowledged: Option<u64>,
    /// How many attempts failed.
    pub(crate) failures: usize,
    /// How it ended.
    pub(crate) status: ExitStatus,
}

/// What a child said before it ended.
pub(crate) fn outcome(mut child: Child) -> Told {
    let said = BufReader::new(child.stdout.take().expect("it is piped")).lines();
    let said: Vec<_> = said.map_while(Result::ok).collect();
    let acknowledged = |line: &String| line.strip_prefix("ack ")?.parse().ok();
    Told {
        acknowledged: said.iter().filter_map(acknowledged).next_back(),
        failures: said.iter().filter(|line| line.starts_with("failed ")).count(),
        status: child.wait().expect("it ends"),
    }
}
