//! `taskhub copy`: a hub moves between a folder and a database, or from one to another.

use std::{
    error::Error,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::Args;
use taskhub_core::store::Store;
use taskhub_engine::store::Embedded;
use taskhub_postgres::{Copied, Postgres, PostgresOptions};

use super::Failure;
use crate::{
    END_TIME_MAX, HubName, asked_to_end,
    hubs::{hubs_in, is_hub},
};

/// The flags of `taskhub copy`.
#[derive(Debug, Args)]
pub(super) struct Flags {
    /// The hub to copy: its folder, or the address of its database
    from: String,
    /// Where to: a folder or a database, in which the hub is made
    to: String,
    /// Its name in a database
    #[arg(long, value_name = "NAME", env = "TASKHUB_HUB", default_value = "default")]
    hub: String,
}

/// Copies the hub and says how much was in it.
pub(super) fn run(flags: &Flags) -> Result<(), Failure> {
    // What is there is looked for first, so that a slip of the pen makes nothing.
    let from = find(&flags.from, &flags.hub)?;
    let to = make(&flags.to, &flags.hub)?;
    let copied = copied(&*from, &*to).map_err(Failure::from)?;
    println!("copied {} instances and {} messages", copied.instances, copied.messages);
    Ok(())
}

fn copied(from: &dyn Store, to: &dyn Store) -> Result<Copied, Box<dyn Error>> {
    // Whoever is interrupted gives both hubs back.
    let stopped = Arc::new(AtomicBool::new(false));
    let mut signals = tokio::runtime::Builder::new_multi_thread();
    let signals = signals.worker_threads(1).enable_all().build()?;
    let tell = stopped.clone();
    signals.spawn(async move {
        asked_to_end(END_TIME_MAX).await;
        tell.store(true, Ordering::Relaxed);
    });
    let is_stopped = || stopped.load(Ordering::Relaxed);
    Ok(taskhub_postgres::copy(from, to, &is_stopped)?)
}

/// A hub that is there; none is made.
fn find(place: &str, hub: &str) -> Result<Box<dyn Store>, Failure> {
    let Some(database) = database(place)? else {
        is_no_folder_of_hubs(place)?;
        if !is_hub(Path::new(place)) {
            return Err(Failure::NotFound(format!("there is no hub in {place}")));
        }
        return Ok(Box::new(Embedded::open(place).map_err(boxed)?));
    };
    let names = database.hubs().map_err(boxed)?;
    if !names.iter().any(|name| name == hub) {
        let (known, none) = (names.join(", "), names.is_empty());
        let known = if none { "there are none".to_owned() } else { format!("there are {known}") };
        return Err(Failure::NotFound(format!(
            "there is no hub {hub} in that database: {known}; see `--hub`"
        )));
    }
    Ok(Box::new(database.open(hub).map_err(boxed)?))
}

/// A hub that is made if it is not there.
fn make(place: &str, hub: &str) -> Result<Box<dyn Store>, Failure> {
    if let Some(database) = database(place)? {
        return Ok(Box::new(database.open(hub).map_err(boxed)?));
    }
    is_no_folder_of_hubs(place)?;
    Ok(Box::new(Embedded::open(place).map_err(boxed)?))
}

fn database(place: &str) -> Result<Option<Postgres>, Failure> {
    let is_one = place.contains("://");
    is_one.then(|| PostgresOptions::new(place).connect().map_err(boxed)).transpose()
}

/// A server keeps its hubs in a folder, a hub in a folder of its own in that.
fn is_no_folder_of_hubs(place: &str) -> Result<(), Failure> {
    let hubs = hubs_in(Path::new(place)).unwrap_or_default();
    let Some(first) = hubs.iter().find(|hub| hub.as_str() == HubName::DEFAULT).or(hubs.first())
    else {
        return Ok(());
    };
    let meant = Path::new(place).join(first.as_str());
    let meant = meant.display();
    Err(Failure::NotFound(format!("{place} is a folder of hubs, and no hub; you mean {meant}?")))
}

fn boxed(error: impl Error + 'static) -> Failure {
    Failure::from(Box::<dyn Error>::from(error))
}
