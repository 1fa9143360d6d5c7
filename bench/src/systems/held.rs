//! This hub as it serves its users, with requests that it holds for as long as one likes.
use std::time::Duration;

use bench_harness::{Door, Holding, Place, Result, Steps};
use taskhub::management::Keys;
use taskhub::prelude::{Embedded, get, sync_over_async};
use tokio::net::TcpListener;

use super::taskhub::{functions, weather};

/// Longer than anything takes here.
const LONG: Duration = Duration::from_hours(1);

/// Serves until the process ends.
pub(super) async fn serve(place: &Place, door: Door) -> Result<Holding> {
    let gateway = sync_over_async(weather).within(LONG);
    let host = functions(Steps::default()).store(Embedded::open(&place.folder)?);
    let host = host.route("/api/weather", get(gateway)).management_api(Keys::none()).build()?;
    let hub = host.client().hub().ok_or("the hub is not here")?.clone();
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(host.serve_on(listener, std::future::pending()));
    let api = "/runtime/webhooks/durabletask/orchestrators/weather?timeout=3600";
    let (method, path) = match door {
        Door::Gateway => ("GET", "/api/weather"),
        Door::StartAndWait => ("POST", api),
    };
    let held = Box::new(move || hub.held_requests());
    Ok(Holding { address, method, path: path.to_owned(), held })
}
