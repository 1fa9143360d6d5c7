//! Replays saved histories with the code of today: what runs in production must still fit it.
//!
//! Export some instances, running ones too, and keep them beside the tests; each file is what
//! [`InstanceRef::export`](crate::InstanceRef::export) gives. A test then finds the change that
//! would park them, before it is deployed.
//!
//! ```
//! use std::time::Duration;
//! use taskhub::{prelude::*, testing::replay};
//!
//! #[activity]
//! async fn charge(amount: u64) -> Result<()> {
//!     # let _ = amount;
//!     Ok(())
//! }
//!
//! #[orchestration]
//! async fn order(ctx: Context, amount: u64) -> Result<u64> {
//!     ctx.call(charge, amount).await?;
//!     ctx.sleep(Duration::from_secs(60)).await;
//!     Ok(amount)
//! }
//!
//! # let folder = tempfile::tempdir().unwrap();
//! # let histories = folder.path();
//! # if false {
//! let histories = "tests/histories"; // seen from the package's folder
//! # }
//! // Here it is a run that leaves a history; else it is `hub.instance(..).export().await?`.
//! let mut run = Run::of(order).id("order-17").input(9);
//! run.expect(charge).returns(());
//! run.history().save(histories).unwrap();
//!
//! replay::folder(histories).with(order).check();
//! ```

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use taskhub_core::{Event, Kind, Limits, Outcome, RuntimeStatus, turn::Orchestration};

use super::check::{Seen, shown};
use crate::{
    History, Registry,
    handle::{Function, OrchestrationCode},
};

/// Failures by which the engine ends a turn without writing down what the code did in it.
const CUT_SHORT: [&str; 3] = ["HistoryTooLong", "PayloadTooLarge", "TurnTooLarge"];

/// The histories in the files `*.json` of a folder.
pub fn folder(path: impl Into<PathBuf>) -> Folder {
    Folder { path: path.into(), registry: Registry::new(), inputs_may_differ: false }
}

/// Saved histories, and the code to replay them with; made by [`folder`].
#[derive(Debug)]
#[must_use = "nothing is replayed before `.check()`"]
pub struct Folder {
    path: PathBuf,
    registry: Registry,
    inputs_may_differ: bool,
}

impl Folder {
    /// Adds the orchestration that some of the histories are of.
    pub fn with<M, F>(mut self, orchestration: F) -> Self
    where
        F: Function<M>,
        F::Signature: OrchestrationCode,
    {
        self.registry = self.registry.orchestration(orchestration);
        self
    }

    /// Calls may have other inputs than in the histories, and outputs may differ: a field was
    /// added, say. A hub goes on with such an instance; by default a check does not.
    pub fn inputs_may_differ(mut self) -> Self {
        self.inputs_may_differ = true;
        self
    }

    /// Replays all of them.
    ///
    /// # Panics
    ///
    /// If a history cannot be replayed, or there is none. The message names each file with the
    /// first difference in it: what history has, what the code does, and on which line.
    #[track_caller]
    pub fn check(self) {
        let shown = self.path.display();
        let files = match files(&self.path) {
            Ok(files) => files,
            Err(error) => panic!("the histories in {shown} cannot be read: {error}"),
        };
        assert!(!files.is_empty(), "there is no history in {shown}: a check of none finds nothing");
        let differ: Vec<_> = files
            .iter()
            .filter_map(|file| Some((file, self.differs(file).err()?)))
            .map(|(file, why)| format!("  {}: {why}\n", file.display()))
            .collect();
        let (count, all) = (differ.len(), files.len());
        assert!(differ.is_empty(), "{count} of {all} histories do not fit:\n{}", differ.concat());
    }

    fn differs(&self, file: &Path) -> Result<(), String> {
        let json = fs::read_to_string(file).map_err(|error| error.to_string())?;
        let history = History::from_json(&json).map_err(|error| error.to_string())?;
        let Some(Kind::Started(started)) = history.events.first().map(|event| &event.kind) else {
            return Err("it does not begin with the start of an orchestration".to_owned());
        };
        let version = started.version.as_deref();
        let Some(code) = self.registry.find(&started.name, version) else {
            let version = version.map_or_else(String::new, |it| format!(", version `{it}`"));
            let name = &started.name;
            return Err(format!("it is of `{name}`{version}: add that by `.with(..)`"));
        };
        differs(code, &history, self.inputs_may_differ)
    }
}

fn files(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let paths = fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut paths = paths.collect::<io::Result<Vec<_>>>()?;
    paths.retain(|path| path.extension().is_some_and(|it| it == "json"));
    paths.sort();
    Ok(paths)
}

/// The first difference between a history and what the code does, in either way to cut it.
fn differs(code: &dyn Orchestration, history: &History, lenient: bool) -> Result<(), String> {
    let cut_short = matches!(&history.outcome, Some(Err(failure))
        if CUT_SHORT.contains(&&*failure.kind));
    let events = taken(&history.events, cut_short);
    for cut in [1, usize::MAX] {
        let seen = Seen::again(code, &history.instance, &events, cut)?;
        if lenient {
            continue;
        }
        if let Some(drift) = seen.drift {
            return Err(drift.to_string());
        }
        let ended = matches!(history.status, RuntimeStatus::Completed | RuntimeStatus::Failed);
        let outcome = history.outcome.as_ref().filter(|_| ended && !cut_short);
        // A hub keeps only so much of a failure.
        let kept = |outcome: Outcome| outcome.map_err(|it| it.within(&Limits::default()));
        let comes = seen.outcome.map(kept);
        if comes.as_ref() != outcome {
            let (was, is) = (shown(outcome), shown(comes.as_ref()));
            return Err(format!("it came to {was}, the code comes to {is}"));
        }
        // One that an earlier execution set is not in this history.
        let sets = seen.custom_status.is_some() && !cut_short;
        if sets && seen.custom_status != history.custom_status {
            let (was, is) = (&history.custom_status, &seen.custom_status);
            return Err(format!("the custom status was {was:?}, the code sets {is:?}"));
        }
    }
    Ok(())
}

/// The events without the arrivals that no turn has taken, or only one whose calls are not known.
fn taken(events: &[Event], cut_short: bool) -> Vec<Event> {
    let takes = events.iter().filter_map(|event| match event.kind {
        Kind::TurnStarted { takes, .. } => Some(takes),
        _ => None,
    });
    let mut takes: Vec<_> = takes.collect();
    if cut_short {
        takes.pop();
    }
    let mut left: u64 = takes.into_iter().map(u64::from).sum();
    let mut is_taken = |event: &&Event| {
        if !event.kind.is_arrival() {
            return true;
        }
        let any = left > 0;
        left = left.saturating_sub(1);
        any
    };
    events.iter().filter(&mut is_taken).cloned().collect()
}
