//! What the server calls: handlers on the Rust SDK, in this process.
use std::future::pending;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};

use bench_harness::{Published, Result, Steps};
use restate_sdk::prelude::*;
use tokio::net::TcpSocket;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// The handlers of all works.
struct Bench {
    steps: Steps,
    published: Arc<OnceLock<Published>>,
}

#[restate_sdk::service(name = "bench")]
impl Bench {
    /// Steps as `ctx.run`, the cheapest that is durable.
    #[handler]
    async fn chain(&self, ctx: Context<'_>, length: u32) -> HandlerResult<String> {
        for _ in 0..length {
            ctx.run(async || {
                self.steps.mark();
                Ok(())
            })
            .await?;
        }
        Ok("done".to_owned())
    }

    /// Steps as calls: those of `ctx.run` can only go one after the other in this SDK.
    #[handler]
    async fn fan_out(&self, ctx: Context<'_>, width: u32) -> HandlerResult<String> {
        let step = || ctx.service_client::<BenchClient<'_>>().step().call();
        let steps: Vec<_> = (0..width).map(|_| step()).collect();
        for step in steps {
            step.await?;
        }
        Ok("done".to_owned())
    }

    #[handler]
    #[expect(clippy::unused_async, reason = "a handler is a future")]
    async fn step(&self, _: Context<'_>) -> HandlerResult<()> {
        self.steps.mark();
        Ok(())
    }

    /// The call is durable before it comes here, so the id is announced without a step of its own.
    #[handler]
    async fn weather(&self, ctx: Context<'_>) -> HandlerResult<Vec<u8>> {
        let (id, reply) = ctx.awakeable::<Vec<u8>>();
        if let Some(published) = self.published.get() {
            published.announce(id);
        }
        Ok(reply.await?)
    }
}

/// Serves the handlers until the process ends, at the address that this yields.
pub(crate) fn serve(steps: Steps, published: Arc<OnceLock<Published>>) -> Result<SocketAddr> {
    let socket = TcpSocket::new_v4()?;
    // Its connections inherit this; the SDK would leave small answers waiting.
    socket.set_nodelay(true)?;
    socket.bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
    let listener = socket.listen(BACKLOG)?;
    let address = listener.local_addr()?;
    let endpoint = Endpoint::builder().bind(Bench { steps, published }).build();
    let served = HttpServer::new(endpoint).serve_with_cancel(listener, pending::<()>());
    tokio::spawn(served);
    Ok(address)
}
