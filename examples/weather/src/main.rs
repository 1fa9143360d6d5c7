//! A GET that waits for a reply which arrives later, as a file, and survives a crash in between.

mod flags;
mod pretend;

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};
use serde_json::json;
use taskhub::{Endpoint, management::Keys, prelude::*};
use utoipa::IntoParams;

use flags::Flags;

/// The reply to one request, raised by whoever received it.
const REPLY: Event<String> = Event::new("weather_response");

/// What a caller asks, and what goes out to the backend under the id of the instance.
#[derive(Debug, Serialize, Deserialize, IntoParams)]
struct Request {
    /// The city whose weather is asked for.
    city: String,
}

#[orchestration]
async fn weather(ctx: Context, request: Request) -> Result<String> {
    ctx.call(publish, request).await?;
    ctx.event(REPLY).await
}

/// Writes `weather-requests/<id>.json`, whole or not at all, for the backend to find.
#[activity(retry = Retry::exponential(5))]
async fn publish(call: ActivityContext, to: State<PathBuf>, request: Request) -> Result<()> {
    let id = call.instance_id();
    let time = Timestamp::from(SystemTime::now());
    let body = json!({ "id": id.as_str(), "city": request.city, "time": time.to_string() });
    let (draft, place) = (to.join(format!(".{id}.tmp")), to.join(format!("{id}.json")));
    tokio::fs::write(&draft, body.to_string()).await?;
    Ok(tokio::fs::rename(draft, place).await?)
}

/// The blob `weather-results/<id>.<ext>` answers the request `<id>`.
async fn reply(blob: Blob, hub: Client) -> Result<()> {
    Ok(hub.instance(blob.stem()).raise(REPLY, blob.text()?).await?)
}

/// Forgets what was answered or given up more than a day ago.
async fn purge_old(_: Occurrence, hub: Client) -> Result<()> {
    let ended = Filter::new().status(RuntimeStatus::Completed).status(RuntimeStatus::Terminated);
    hub.purge_many(ended.created_before(SystemTime::now() - Duration::from_hours(24))).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), HostError> {
    let flags = Flags::read();
    let requests = flags.folder("weather-requests");
    if let Some(delay) = flags.pretend_backend {
        pretend::backend(requests.clone(), flags.folder("weather-results"), delay);
    }
    let gateway = sync_over_async(weather)
        .within(Duration::from_secs(flags.timeout))
        .on_timeout(OnTimeout::Terminate);
    let endpoint = Endpoint::get("weather", gateway)
        .anonymous()
        .summary("The weather of a city, as soon as somebody knows it")
        .query::<Request>()
        .gives::<String>("The weather");

    Host::builder()
        .store(Embedded::open(flags.data.join("weather.hub"))?)
        .orchestration(weather)
        .activity(publish)
        .state(requests)
        .endpoint(endpoint)
        .blob_store(BlobStore::folder(&flags.data)?)
        .blobs("weather-results/{name}", reply)
        .schedule("0 0 0 * * *", purge_old)
        .management_api(Keys::open(&flags.data)?)
        .openapi("The weather", env!("CARGO_PKG_VERSION"))
        .probes()
        .build()?
        .serve(flags.listen)
        .await
}
