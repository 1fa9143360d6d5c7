//! What goes wrong: one fault after another, sometimes two at once, from a seed.

use std::{
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use taskhub_postgres::testing::{Server, ServerError};
use tokio::time::sleep;

use crate::{
    chance::Chance,
    nodes::Nodes,
    probes,
    wires::{End, How, Wires},
};

/// A database that takes longer to stop and to start is told of.
const SLOW: Duration = Duration::from_secs(2);

/// Something that goes wrong, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Fault {
    pub what: What,
    pub time: Duration,
}

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    /// A node is killed, and started again afterwards.
    Killed(usize),
    /// A node is asked to end, and started again afterwards.
    Ended(usize),
    /// A node is stopped where it stands, and goes on afterwards.
    Paused(usize),
    /// A node is cut from the database.
    WithoutDatabase(usize, How),
    /// A node is cut from the other nodes; clients and the database reach it.
    Alone(usize, How),
    /// The database is stopped, and started again.
    DatabaseStopped,
    /// The database is killed, and started again.
    DatabaseKilled,
}

/// What faults happen to.
#[derive(Clone)]
pub(crate) struct Scene {
    pub nodes: Arc<Nodes>,
    pub wires: Wires,
    pub server: Arc<Server>,
    pub ttl: Duration,
}

impl Fault {
    /// What happens next: one fault, or two at once.
    pub(crate) fn draw_some(chance: &mut Chance, scene: &Scene) -> Vec<Self> {
        let (first, second) = (Self::draw(chance, scene), Self::draw(chance, scene));
        let is_alone = chance.below(4) > 0 || !first.goes_with(second);
        if is_alone { vec![first] } else { vec![first, second] }
    }

    /// Each kind at least once, in a fixed order; some for longer than a lease.
    pub(crate) fn each(scene: &Scene) -> Vec<Self> {
        let ttl = scene.ttl;
        [
            (What::Killed(0), ttl * 2),
            (What::DatabaseKilled, ttl / 4),
            (What::Paused(1), ttl * 3 / 2),
            (What::WithoutDatabase(2, How::Cut), ttl * 3 / 2),
            (What::Alone(0, How::Silent), ttl / 2),
            (What::Ended(1), ttl / 4),
            (What::WithoutDatabase(0, How::Mute), ttl / 2),
            (What::DatabaseStopped, ttl / 4),
            (What::Killed(2), ttl / 4),
        ]
        .map(|(what, time)| Self { what, time })
        .into()
    }

    /// One node after another is replaced by a newer one.
    pub(crate) fn restart(number: usize, scene: &Scene) -> Self {
        let time = Duration::from_millis(100);
        Self { what: What::Ended(number % scene.nodes.count()), time }
    }

    fn draw(chance: &mut Chance, scene: &Scene) -> Self {
        let ttl = u64::try_from(scene.ttl.as_millis()).unwrap_or_default();
        let node = chance.below(scene.nodes.count());
        let how = [How::Cut, How::Silent, How::Deaf, How::Mute][chance.below(4)];
        let what = match chance.below(11) {
            0 | 1 => What::Killed(node),
            2 => What::Ended(node),
            3 | 4 => What::Paused(node),
            5 | 6 => What::WithoutDatabase(node, how),
            7 | 8 if scene.nodes.count() > 1 => What::Alone(node, how),
            7..=9 => What::DatabaseStopped,
            _ => What::DatabaseKilled,
        };
        let time = match what {
            // Longer than its lease, and sometimes not.
            What::Killed(_) | What::Paused(_) | What::WithoutDatabase(..) | What::Alone(..) => {
                chance.millis(ttl / 4, ttl * 5 / 2)
            }
            _ => chance.millis(10, ttl),
        };
        Self { what, time }
    }

    /// Whether two may happen at once.
    fn goes_with(self, other: Self) -> bool {
        self.node() != other.node()
    }

    /// The node that it happens to.
    fn node(self) -> Option<usize> {
        match self.what {
            What::Killed(node)
            | What::Ended(node)
            | What::Paused(node)
            | What::WithoutDatabase(node, _)
            | What::Alone(node, _) => Some(node),
            What::DatabaseStopped | What::DatabaseKilled => None,
        }
    }

    /// Lets it happen, and sets it right afterwards. Returns how long work stood still meanwhile,
    /// if others had to take it over.
    pub(crate) async fn happen(self, scene: Scene) -> Result<Option<Duration>, String> {
        match self.what {
            What::Killed(node) => {
                scene.nodes.kill(node);
                let stood = self.away(&scene, node).await?;
                scene.nodes.start(node).await.map(|()| stood)
            }
            What::Ended(node) => {
                scene.nodes.end(node).await?;
                sleep(self.time).await;
                scene.nodes.start(node).await.map(|()| None)
            }
            What::Paused(node) => {
                scene.nodes.pause(node, true)?;
                let stood = self.away(&scene, node).await;
                scene.nodes.pause(node, false)?;
                stood
            }
            What::WithoutDatabase(node, how) => {
                scene.wires.set(End::Node(node), End::Database, Some(how));
                let stood = self.away(&scene, node).await;
                scene.wires.set(End::Node(node), End::Database, None);
                stood
            }
            What::Alone(node, how) => {
                let others = (0..scene.nodes.count()).filter(|other| *other != node);
                let others: Vec<_> = others.collect();
                for (others, how) in [(&others, Some(how)), (&others, None)] {
                    for other in others {
                        scene.wires.set(End::Node(node), End::Node(*other), how);
                    }
                    sleep(how.map_or(Duration::ZERO, |_| self.time)).await;
                }
                Ok(None)
            }
            What::DatabaseStopped | What::DatabaseKilled => {
                self.database(scene).await.map(|()| None)
            }
        }
    }

    /// A node can do nothing for some time: if that is longer than its lease, at least until the
    /// others do its work.
    async fn away(self, scene: &Scene, node: usize) -> Result<Option<Duration>, String> {
        // With two nodes, something may happen to the other one at the same time.
        if self.time <= scene.ttl || scene.nodes.count() < 3 {
            sleep(self.time).await;
            return Ok(None);
        }
        let (stood, ()) = tokio::join!(probes::takeover(&scene.nodes, node), sleep(self.time));
        stood.map(Some)
    }

    async fn database(self, scene: Scene) -> Result<(), String> {
        let (what, time) = (self.what, self.time);
        let done = tokio::task::spawn_blocking(move || {
            let timed = |does: &dyn Fn() -> Result<(), ServerError>| {
                let began = Instant::now();
                does().map(|()| began.elapsed())
            };
            let stopped = timed(&|| match what {
                What::DatabaseKilled => scene.server.crash(),
                _ => scene.server.stop(),
            })?;
            std::thread::sleep(time);
            let started = timed(&|| scene.server.begin())?;
            // Nobody goes on before: who looks at the figures is to know.
            if stopped + started > SLOW {
                println!("the database took {stopped:.1?} to stop, and {started:.1?} to start");
            }
            Ok(())
        });
        let done: Result<(), ServerError> = done.await.map_err(|error| error.to_string())?;
        done.map_err(|error| error.to_string())
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = |how| match how {
            How::Cut => "cut from",
            How::Silent => "silently cut from",
            How::Deaf => "deaf to",
            How::Mute => "not heard by",
        };
        match self.what {
            What::Killed(node) => write!(f, "node {node} killed")?,
            What::Ended(node) => write!(f, "node {node} asked to end")?,
            What::Paused(node) => write!(f, "node {node} stopped in its tracks")?,
            What::WithoutDatabase(node, how) => {
                write!(f, "node {node} {} the database", way(how))?;
            }
            What::Alone(node, how) => write!(f, "node {node} {} the others", way(how))?,
            What::DatabaseStopped => write!(f, "the database stopped")?,
            What::DatabaseKilled => write!(f, "the database killed")?,
        }
        write!(f, " for {} ms", self.time.as_millis())
    }
}
