//! A whole run: a database, nodes, clients, trouble, and the verdict.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use taskhub_postgres::{
    PostgresStore,
    testing::{Server, ServerOptions},
};
use tokio::{task::JoinSet, time::sleep};

use crate::{
    chance::Chance,
    check::Known,
    clients::{self, Shared},
    faults::{Fault, Scene},
    ledger::Ledger,
    nodes::{Nodes, Times},
    probes,
    seen::Seen,
    wires::{End, Wires},
};

/// How long the leases of the nodes last.
const TTL: Duration = Duration::from_secs(2);

/// The longest that all that is under way may take in the end.
const END_MAX: Duration = Duration::from_mins(1);

/// The fewest requests that must be answered, on however slow a machine.
const ANSWERED_MIN: usize = 100;

/// What to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The program of a node: `PROGRAM node ..`.
    pub program: PathBuf,
    /// What trouble.
    pub trouble: Trouble,
    /// What clients ask, and what is drawn of the trouble.
    pub seed: u64,
    /// How many nodes.
    pub nodes: usize,
    /// How many clients ask at the same time.
    pub clients: usize,
    /// How long the database may take to answer before a node thinks that its connection is lost.
    pub patience: Duration,
}

impl Options {
    /// Three nodes and sixteen clients, as in the tests.
    #[must_use]
    pub fn small(program: impl Into<PathBuf>, trouble: Trouble) -> Self {
        let (program, patience) = (program.into(), Duration::from_mins(1));
        Self { program, trouble, seed: 1, nodes: 3, clients: 16, patience }
    }
}

/// What goes wrong.
#[derive(Debug, Clone, Copy)]
pub enum Trouble {
    /// Whatever the seed has, for so many seconds.
    Drawn(f64),
    /// One node after another is restarted, as for an update, for so many seconds.
    Restarts(f64),
    /// Each kind of fault at least once, in an order that is always the same.
    Each,
}

/// Runs it all. Returns what was seen, or what was wrong and where the logs are.
pub fn run(options: &Options) -> Result<String, String> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    let folder = tempfile::tempdir().map_err(|error| error.to_string())?;
    let done = runtime.block_on(whole(options, folder.path()));
    done.map_err(|wrong| {
        let place = folder.keep();
        format!("{wrong}\nseed {}; logs and ledgers are in {}", options.seed, place.display())
    })
}

async fn whole(options: &Options, folder: &Path) -> Result<String, String> {
    let scene = open(options, folder).await?;
    let ledger = Ledger::open(folder).map_err(|error| error.to_string())?;
    let shared = Shared::new(scene.nodes.clone(), ledger, options.seed);
    let mut asking = JoinSet::new();
    for number in 0..options.clients {
        asking.spawn(clients::run(shared.clone(), number as u64));
    }
    let open = Arc::<AtomicUsize>::default();
    let world = crate::backend::run(shared.clone(), folder.to_owned(), open.clone());
    let world = tokio::spawn(world);
    let seen = Seen::new(scene.server.clone());
    let watching = tokio::spawn(seen.clone().watch());
    trouble(options, &scene, &shared).await?;
    let mut told = String::new();

    shared.enough.store(true, Ordering::Relaxed);
    let calm = Instant::now();
    while !asking.is_empty() || open.load(Ordering::SeqCst) > 0 || !is_quiet(&scene) {
        let _ = tokio::time::timeout(Duration::from_millis(200), asking.join_next()).await;
        if calm.elapsed() > END_MAX {
            // The verdict tells what is missing.
            shared.giving_up.store(true, Ordering::Relaxed);
            break;
        }
    }
    let ended = calm.elapsed();
    for task in [world, watching] {
        task.abort();
    }
    let mut wrong = scene.nodes.missing();
    let answered = shared.answered.load(Ordering::Relaxed);
    if answered < ANSWERED_MIN {
        wrong.push(format!("only {answered} requests were answered: that shows little"));
    }
    for node in 0..scene.nodes.count() {
        wrong.extend(scene.nodes.end(node).await.err());
    }
    let _ = writeln!(told, "everything had ended {} ms after the last fault", ended.as_millis());
    let retried = shared.retried.load(Ordering::Relaxed);
    let _ = writeln!(told, "{retried} tries of clients came to nothing, and were repeated");
    verdict(&scene, &seen, folder, wrong, told)
}

async fn open(options: &Options, folder: &Path) -> Result<Scene, String> {
    // A server that is asked to end waits, before version 18, for who has connected meanwhile and
    // says nothing, as a node does whose way to it is silent: a minute, if nothing is set.
    let server = ServerOptions::default().durable().setting("authentication_timeout=2s").start();
    let server = server.map_err(|error| error.to_string())?;
    let (server, wires) = (Arc::new(server), Wires::default());
    wires.lead(End::Database, server.port());
    let place = (options.program.clone(), folder.to_owned());
    let times = Times { ttl: TTL, patience: options.patience };
    let nodes = Nodes::new(place, options.nodes, times, wires.clone()).await;
    let nodes = Arc::new(nodes.map_err(|error| error.to_string())?);
    for node in 0..nodes.count() {
        nodes.start(node).await?;
    }
    Ok(Scene { nodes, wires, server, ttl: TTL })
}

/// One fault after another; tells each of them, and how long it took until all nodes answered.
async fn trouble(options: &Options, scene: &Scene, shared: &Shared) -> Result<(), String> {
    let mut chance = Chance::new(options.seed, 1);
    let began = Instant::now();
    println!("{} nodes, seed {}", scene.nodes.count(), options.seed);
    for number in 0.. {
        sleep(chance.millis(300, 2_000)).await;
        let goes_on = |seconds| began.elapsed().as_secs_f64() < seconds;
        let faults = match options.trouble {
            Trouble::Drawn(seconds) if goes_on(seconds) => Fault::draw_some(&mut chance, scene),
            Trouble::Restarts(seconds) if goes_on(seconds) => vec![Fault::restart(number, scene)],
            Trouble::Each => Fault::each(scene).into_iter().skip(number).take(1).collect(),
            Trouble::Drawn(_) | Trouble::Restarts(_) => vec![],
        };
        if faults.is_empty() {
            break;
        }
        let names: Vec<_> = faults.iter().map(ToString::to_string).collect();
        let mut happening = JoinSet::new();
        for fault in faults {
            happening.spawn(fault.happen(scene.clone()));
        }
        let mut stood = None;
        while let Some(done) = happening.join_next().await {
            stood = stood.max(done.map_err(|error| error.to_string())??);
        }
        let stood = stood.map_or(String::new(), |stood| {
            format!("others did its work after {} ms, ", stood.as_millis())
        });
        let recovered = probes::recovery(&scene.nodes).await?;
        let answered = shared.answered.load(Ordering::Relaxed);
        println!(
            "{:6.1} s  {}: {stood}well again after {} ms, {answered} answered",
            began.elapsed().as_secs_f64(),
            names.join(" and "),
            recovered.as_millis(),
        );
        let missing = scene.nodes.missing();
        if !missing.is_empty() {
            return Err(missing.join("\n"));
        }
    }
    Ok(())
}

/// Whether nothing is under way.
fn is_quiet(scene: &Scene) -> bool {
    let open = "SELECT (SELECT count(*) FROM taskhub.message) \
        + (SELECT count(*) FROM taskhub.instance WHERE busy OR due IS NOT NULL)";
    scene.server.psql(open).is_ok_and(|count| count == "0")
}

fn verdict(
    scene: &Scene,
    seen: &Seen,
    folder: &Path,
    mut wrong: Vec<String>,
    mut told: String,
) -> Result<String, String> {
    let server: &Server = &scene.server;
    let store = PostgresStore::connect(server.url()).map_err(|error| error.to_string())?;
    let known = Known::read(&store, folder).map_err(|error| error.to_string())?;
    let verdict = known.check();
    wrong.extend(verdict.wrong);
    wrong.extend(seen.changed()?);
    let messages = server.psql("SELECT count(*) FROM taskhub.message");
    if messages.as_deref().ok() != Some("0") {
        wrong.push(format!("messages are still on their way: {messages:?}"));
    }
    for line in verdict.summary {
        let _ = writeln!(told, "{line}");
    }
    let _ = write!(told, "{} pieces of histories were seen early, and stand", seen.count());
    if seen.count() == 0 {
        wrong.push("no history was looked at while it was written".to_owned());
    }
    if wrong.is_empty() {
        return Ok(told);
    }
    let count = wrong.len();
    wrong.truncate(40);
    Err(format!("{told}\n{count} things are wrong:\n{}", wrong.join("\n")))
}
