//! The processes of the nodes: started, killed, stopped, continued.

use std::{
    fs::{File, read_to_string},
    io,
    path::PathBuf,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::time::sleep;

use crate::wires::{End, Wires};

/// The longest that a start or an end may take, on however slow a machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// How often to look.
const LOOK: Duration = Duration::from_millis(10);

/// How long a node that could not start rests before it is started again.
const REST: Duration = Duration::from_millis(300);

/// All nodes.
#[derive(Debug)]
pub(crate) struct Nodes {
    program: PathBuf,
    folder: PathBuf,
    times: Times,
    wires: Wires,
    all: Mutex<Vec<Node>>,
}

/// How long nodes wait for each other, and for the database.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// How long a lease lasts.
    pub ttl: Duration,
    /// How long an answer of the database may take.
    pub patience: Duration,
}

#[derive(Debug)]
struct Node {
    child: Option<Child>,
    starts: u32,
    ports: Ports,
}

/// Where the ways of a node begin.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    /// For clients.
    pub clients: u16,
    /// For other nodes.
    pub others: u16,
    /// From this node to the database.
    pub database: u16,
}

impl Nodes {
    /// Opens the ways of so many nodes; none runs yet.
    pub(crate) async fn new(
        (program, folder): (PathBuf, PathBuf),
        count: usize,
        times: Times,
        wires: Wires,
    ) -> io::Result<Self> {
        let mut nodes = Vec::new();
        for index in 0..count {
            let ports = Ports {
                clients: wires.open(Some(End::Clients), End::Node(index)).await?,
                others: wires.open(None, End::Node(index)).await?,
                database: wires.open(Some(End::Node(index)), End::Database).await?,
            };
            nodes.push(Node { child: None, starts: 0, ports });
        }
        Ok(Self { program, folder, times, wires, all: Mutex::new(nodes) })
    }

    pub(crate) fn count(&self) -> usize {
        self.lock().len()
    }

    /// The port at which clients reach a node.
    pub(crate) fn port(&self, node: usize) -> u16 {
        self.lock()[node].ports.clients
    }

    /// Starts a node, again and again until it serves, as the machine's supervisor would.
    pub(crate) async fn start(&self, index: usize) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let log = self.spawn(index).map_err(|error| format!("node {index}: {error}"))?;
            let ended = loop {
                let text = read_to_string(&log).unwrap_or_default();
                if let Some(port) = serving(&text) {
                    self.wires.lead(End::Node(index), port);
                    return Ok(());
                }
                if self.has_ended(index)?.is_some() {
                    break text;
                }
                if Instant::now() > deadline {
                    return Err(format!("node {index} does not begin to serve:\n{text}"));
                }
                sleep(LOOK).await;
            };
            if Instant::now() > deadline {
                return Err(format!("node {index} does not start:\n{ended}"));
            }
            sleep(REST).await;
        }
    }

    fn spawn(&self, index: usize) -> io::Result<PathBuf> {
        let mut nodes = self.lock();
        let node = &mut nodes[index];
        node.starts += 1;
        let log = self.folder.join(format!("node-{index}-{}.log", node.starts));
        let store = format!("postgres://postgres@127.0.0.1:{}/postgres", node.ports.database);
        let mut command = Command::new(&self.program);
        let [ttl, patience] = [self.times.ttl, self.times.patience].map(|it| it.as_millis());
        command.args(["node", "--store", &store, "--ttl", &ttl.to_string()]);
        command.args(["--patience", &patience.to_string()]);
        command.args(["--address", &format!("http://127.0.0.1:{}", node.ports.others)]);
        command.arg("--folder").arg(&self.folder).stdin(Stdio::null()).stdout(Stdio::null());
        let child = command.stderr(File::create(&log)?).spawn()?;
        self.wires.process(index, Some(child.id()));
        node.child = Some(child);
        Ok(log)
    }

    /// `kill -9`, and waits until it is gone.
    pub(crate) fn kill(&self, index: usize) {
        let child = self.lock()[index].child.take();
        self.wires.process(index, None);
        if let Some(mut child) = child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Stops it where it stands, or lets it go on.
    pub(crate) fn pause(&self, index: usize, is_paused: bool) -> Result<(), String> {
        self.signal(index, if is_paused { "STOP" } else { "CONT" })
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn end(&self, index: usize) -> Result<Duration, String> {
        let began = Instant::now();
        self.signal(index, "TERM")?;
        while began.elapsed() < PATIENCE {
            if let Some(status) = self.has_ended(index)? {
                self.lock()[index].child = None;
                self.wires.process(index, None);
                if status.success() {
                    return Ok(began.elapsed());
                }
                return Err(format!("node {index} was asked to end, and did so by {status}"));
            }
            sleep(LOOK).await;
        }
        Err(format!("node {index} was asked to end, and runs on"))
    }

    /// The nodes that should run and do not.
    pub(crate) fn missing(&self) -> Vec<String> {
        let indices = 0..self.count();
        let ended = |index| match self.has_ended(index) {
            Ok(Some(status)) => Some(format!("node {index} ended by itself: {status}")),
            Ok(None) => None,
            Err(error) => Some(error),
        };
        indices.filter_map(ended).collect()
    }

    fn has_ended(&self, index: usize) -> Result<Option<ExitStatus>, String> {
        let mut nodes = self.lock();
        let Some(child) = &mut nodes[index].child else { return Ok(None) };
        child.try_wait().map_err(|error| format!("node {index} cannot be asked: {error}"))
    }

    fn signal(&self, index: usize, signal: &str) -> Result<(), String> {
        let pid = self.lock()[index].child.as_ref().map(Child::id);
        let pid = pid.ok_or_else(|| format!("node {index} does not run"))?;
        let kill = format!("kill -{signal} {pid}");
        let done = Command::new("sh").args(["-c", &kill]).status();
        match done {
            Ok(status) if status.success() => Ok(()),
            other => Err(format!("`{kill}`: {other:?}")),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Node>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Nodes {
    fn drop(&mut self) {
        for index in 0..self.count() {
            self.kill(index);
        }
    }
}

/// The port at which a node serves, as it says in its log.
fn serving(log: &str) -> Option<u16> {
    let address = log.split("serving address=").nth(1)?.split_once(char::is_whitespace)?.0;
    address.rsplit(':').next()?.parse().ok()
}
