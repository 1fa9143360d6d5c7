//! This hub in a `PostgreSQL` database, synced to the disk before it acknowledges anything.
use std::time::Duration;

use bench_harness::{Place, Result, Steps};
use taskhub::Store;
use taskhub::{
    Cluster, PostgresStore,
    prelude::{Client, HostBuilder},
};
use tokio::net::TcpListener;

use super::taskhub::{Hub, Setting, functions};

/// How many partitions the hub has: as many as it gets when nobody says a number.
const PARTITIONS: usize = 32;

/// So many nodes that share a hub, each with so many lanes. All are in this process, as their
/// clients are, and reach each other over loopback.
#[derive(Debug)]
pub(crate) struct OnPostgres<const NODES: usize, const LANES: u16>;

impl<const NODES: usize, const LANES: u16> Setting for OnPostgres<NODES, LANES> {
    async fn open(place: &Place, steps: Steps) -> Result<Hub> {
        let mut clients = Vec::new();
        for _ in 0..NODES {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            clients.push(serve(functions(steps.clone()), &place.database, listener, LANES)?);
        }
        balanced(place, NODES).await?;
        Ok(Hub::at(clients))
    }
}

/// Starts a node with these functions, and returns its client.
pub(super) fn serve(
    host: HostBuilder,
    database: &str,
    listener: TcpListener,
    lanes: u16,
) -> Result<Client> {
    let address = format!("http://{}", listener.local_addr()?);
    let cluster = Cluster::new(address, "known to all nodes of the benchmark").lanes(lanes);
    let store = PostgresStore::connect(database)?;
    let host = host.store(store).cluster(cluster).build()?;
    let client = host.client().clone();
    tokio::spawn(host.serve_on(listener, std::future::pending()));
    Ok(client)
}

/// Waits until each of so many nodes owns its share.
pub(super) async fn balanced(place: &Place, nodes: usize) -> Result<()> {
    let store = PostgresStore::connect(place.database.as_str())?;
    let leases = store.shared().ok_or("a database is shared")?;
    loop {
        let mut owners: Vec<_> = leases.owners()?.into_iter().map(|lease| lease.node.id).collect();
        owners.sort();
        let shares: Vec<_> = owners.chunk_by(|one, other| one == other).map(<[_]>::len).collect();
        if shares == vec![PARTITIONS / nodes; nodes] {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
