//! The handler of a blob takes no blob.
use taskhub::prelude::*;

async fn reply(hub: Client) -> Result<()> {
    drop(hub);
    Ok(())
}

fn host() -> HostBuilder {
    //~ a handler is an `async fn` that takes a `Blob` first
    Host::builder().blobs("replies/{name}", reply)
}
