//! The peer Restate under the works of the benchmark: its server, and handlers on its Rust SDK.
mod handlers;
mod server;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use bench_harness::{Api, Connection, Job, Place, Published, Result, Steps, System};
use tokio::task::JoinHandle;

use crate::server::Server;

fn main() {
    let order = std::env::args().nth(1).expect("an order, as JSON");
    bench_harness::obey::<Restate>(&order);
}

/// A server in a process of its own. The handlers that it calls are in this one.
struct Restate {
    server: Server,
    published: Arc<OnceLock<Published>>,
    /// Instances whose end nobody has asked for yet: each is a call that is answered by its end.
    calls: Mutex<HashMap<String, JoinHandle<Result<String>>>>,
    /// Connections that no call is on.
    idle: Arc<Mutex<Vec<Connection>>>,
}

impl System for Restate {
    async fn open(place: &Place, steps: Steps) -> Result<Restate> {
        let published = Arc::new(OnceLock::new());
        let at = handlers::serve(steps, Arc::clone(&published))?;
        let server = Server::start(&place.folder, at).await?;
        let restate = Restate { server, published, calls: Mutex::default(), idle: Arc::default() };
        // The first call waits until the partitions have found their leaders.
        restate.start("first", Job::Chain(0)).await?;
        restate.wait("first").await?;
        Ok(restate)
    }

    fn weather(&self, published: Published) -> Api {
        let _ = self.published.set(published);
        let reply = ["/restate/awakeables/", "/resolve"];
        Api::Server { address: self.server.ingress, hold: "/restate/call/bench/weather", reply }
    }

    /// Calls a handler: one exchange for the start and the end, which is the least that a user of
    /// Restate pays.
    async fn start(&self, id: &str, job: Job) -> Result<()> {
        let (path, input) = match job {
            Job::Chain(length) => ("/restate/call/bench/chain", length),
            Job::FanOut(width) => ("/restate/call/bench/fan_out", width),
            Job::Wait => return Err("it is not measured with parked instances".into()),
        };
        let (idle, ingress) = (Arc::clone(&self.idle), self.server.ingress);
        let call = tokio::spawn(call(idle, ingress, path, input.to_string()));
        self.calls.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), call);
        Ok(())
    }

    async fn wait(&self, id: &str) -> Result<String> {
        let call = self.calls.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
        call.ok_or("nobody started that instance")?.await?
    }
}

async fn call(
    idle: Arc<Mutex<Vec<Connection>>>,
    ingress: SocketAddr,
    path: &'static str,
    input: String,
) -> Result<String> {
    let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let mut connection = match kept {
        Some(connection) => connection,
        None => Connection::open(ingress).await?,
    };
    let answer = connection.post_json(path, &input).await?.accepted()?;
    idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    Ok(answer)
}
