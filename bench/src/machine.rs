//! Where a run took place: the machine, the code and how fast the disk was just then.
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// The machine and the code that a run measured.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    /// How many cores this process may use.
    pub(crate) cores: usize,
    /// What the processor calls itself.
    pub(crate) cpu: String,
    /// The git commit, with `+` when files differ from it.
    pub(crate) commit: String,
}

impl Machine {
    /// This machine, and the repository in `folder`.
    pub(crate) fn here(folder: &Path) -> Machine {
        let cpuinfo = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let model = cpuinfo.lines().find_map(|line| line.strip_prefix("model name"));
        let cpu = model.map_or("unknown", |model| model.trim_start_matches([' ', '\t', ':']));
        let changed = !git(folder, &["status", "--porcelain"]).is_empty();
        let commit = git(folder, &["rev-parse", "--short=12", "HEAD"]);
        Machine {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            cpu: cpu.to_owned(),
            commit: format!("{commit}{}", if changed { "+" } else { "" }),
        }
    }
}

fn git(folder: &Path, arguments: &[&str]) -> String {
    let output = Command::new("git").arg("-C").arg(folder).args(arguments).output();
    output
        .map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
        .unwrap_or_default()
}

/// What the machine gave away while nothing was measured.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(crate) struct Probe {
    /// How often in a second the disk took 4 KiB and synced it.
    pub(crate) syncs_per_second: f64,
    /// How much of the processor was idle, of 100: the rest went to other programs.
    pub(crate) idle_percent: f64,
}

/// Looks for two seconds at what the machine has to give, with a file in `folder`.
///
/// The disk of a shared machine can change speed thirtyfold between two runs, and a build
/// beside a run halves its figures.
pub(crate) fn probe(folder: &Path) -> std::io::Result<Probe> {
    let before = processor_time()?;
    std::thread::sleep(Duration::from_secs(1));
    let after = processor_time()?;
    let syncs_per_second = syncs_per_second(folder)?;
    let share = (after.idle - before.idle) / (after.all - before.all).max(1.0);
    Ok(Probe { syncs_per_second, idle_percent: share * 100.0 })
}

/// Ticks of all cores since the machine started.
struct ProcessorTime {
    idle: f64,
    all: f64,
}

fn processor_time() -> std::io::Result<ProcessorTime> {
    let stat = std::fs::read_to_string("/proc/stat")?;
    let first = stat.lines().next().unwrap_or_default();
    let ticks: Vec<f64> = first.split_whitespace().flat_map(str::parse).collect();
    // user, nice, system, idle, waiting for the disk, ...
    Ok(ProcessorTime { idle: ticks.iter().skip(3).take(2).sum(), all: ticks.iter().sum() })
}

fn syncs_per_second(folder: &Path) -> std::io::Result<f64> {
    let path = folder.join("disk-probe");
    let mut file = File::create(&path)?;
    let (began, mut syncs) = (Instant::now(), 0_u32);
    while began.elapsed() < Duration::from_secs(1) {
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        syncs += 1;
    }
    let rate = f64::from(syncs) / began.elapsed().as_secs_f64();
    std::fs::remove_file(path)?;
    Ok(rate)
}
