//! `taskhub copy`: a hub moves between a folder and a database, or from one to another.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use clap::Args;
use taskhub_core::store::Store;
use taskhub_engine::store::Embedded;
use taskhub_postgres::PostgresOptions;

use crate::{END_TIME_MAX, asked_to_end};

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
pub(super) fn run(flags: &Flags) -> Result<(), Box<dyn Error>> {
    let (from, to) = (open(&flags.from, &flags.hub)?, open(&flags.to, &flags.hub)?);
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
    let copied = taskhub_postgres::copy(&*from, &*to, &is_stopped)?;
    println!("copied {} instances and {} messages", copied.instances, copied.messages);
    Ok(())
}

fn open(place: &str, hub: &str) -> Result<Box<dyn Store>, Box<dyn Error>> {
    Ok(if place.contains("://") {
        Box::new(PostgresOptions::new(place).open(hub)?)
    } else {
        Box::new(Embedded::open(place)?)
    })
}
