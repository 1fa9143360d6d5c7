//! One measurement: a fresh folder, a fresh process, and what it printed.
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use bench_harness::{Figures, Order, Pace, Place, Task};

use crate::database::Database;
use crate::systems::{Contestant, Store};

/// Beyond its cap a measuring process has this long to end by itself.
const GRACE: Duration = Duration::from_secs(30);

/// Measures `task` on `system` in a folder below `data`, which is removed afterwards, or in
/// a fresh database on `server`.
pub(crate) fn measure(
    system: &Contestant,
    task: Task,
    pace: Pace,
    (data, server): (&Path, Option<&Database>),
) -> Result<Figures, String> {
    let folder = Folder::create(data.join(format!("store-{}", system.name)))?;
    let server = server.filter(|_| system.store == Store::Postgres);
    let database = server.map_or(Ok(String::new()), Database::fresh)?;
    let at = Place { folder: folder.0.clone(), database };
    let Task::Park { instances } = task else {
        return obeyed(system, &Order { task, place: at, pace });
    };
    let task = Task::Park { instances: instances.min(system.parks_at_most) };
    let parked = obeyed(system, &Order { task, place: at.clone(), pace })?;
    let instances = parked.values.get("parked").map_or(0, |count| {
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count")]
        let count = *count as usize;
        count
    });
    let task = Task::Return { instances };
    let woken = obeyed(system, &Order { task, place: at, pace })?;
    let mut figures = parked;
    figures.values.extend(woken.values);
    figures.unfinished |= woken.unfinished;
    Ok(figures)
}

/// Starts a measuring process, and reads the figures from the last line it prints.
fn obeyed(system: &Contestant, order: &Order) -> Result<Figures, String> {
    let argument = serde_json::to_string(order).map_err(|error| error.to_string())?;
    let mut command = system.command().map_err(|error| error.to_string())?;
    command.arg(argument).env("RUST_LOG", "error");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().map_err(|error| format!("could not start: {error}"))?;
    let printed = reader(child.stdout.take());
    let complaint = reader(child.stderr.take());

    let latest = Instant::now() + order.pace.cap + GRACE;
    while child.try_wait().is_ok_and(|status| status.is_none()) {
        if Instant::now() > latest {
            let _ = child.kill();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let printed = printed.join().unwrap_or_default();
    let last = printed.lines().last().unwrap_or_default();
    serde_json::from_str(last).map_err(|_| {
        let complaint = complaint.join().unwrap_or_default();
        let last = complaint.lines().last().unwrap_or("the measuring process said nothing");
        last.to_owned()
    })
}

/// Collects what a process prints, so that it never waits for us to read.
fn reader(pipe: Option<impl Read + Send + 'static>) -> std::thread::JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut text);
        }
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// A folder that goes when it is no longer needed.
#[derive(Debug)]
pub(crate) struct Folder(pub(crate) PathBuf);

impl Folder {
    /// Creates `path`, or says why that cannot be.
    pub(crate) fn create(path: PathBuf) -> Result<Folder, String> {
        match std::fs::create_dir_all(&path) {
            Ok(()) => Ok(Folder(path)),
            Err(error) => Err(format!("{} cannot be created: {error}", path.display())),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
