//! Serves the weather API from memory.
use std::net::SocketAddr;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request as HttpRequest;
use clap::Parser;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tower::ServiceExt;
use uuid::Uuid;
use weather_in_memory::{Request, app};

/// A GET that waits for a reply which arrives later, held in memory only.
///
///   curl 'localhost:7070/api/weather?city=Berlin'
///
/// prints a request id here and waits. Answer it from another terminal:
///
///   curl -d 'Sunny, 21 degrees' localhost:7070/api/replies/<id>
#[derive(Parser)]
#[command(verbatim_doc_comment)]
struct Flags {
    /// Address to serve on
    #[arg(long, default_value = "127.0.0.1:7070")]
    listen: SocketAddr,

    /// Seconds to hold a request before it is answered with 500
    #[arg(long, default_value_t = 60, value_name = "SECONDS")]
    timeout: u64,

    /// Answer each request here after a random delay of at most this many milliseconds
    #[arg(long, value_name = "MS", num_args = 0..=1, default_missing_value = "2000")]
    pretend_backend: Option<u64>,
}

#[tokio::main]
async fn main() -> std::io::Result<()> {
    let flags = Flags::parse();
    let (backend, requests) = mpsc::unbounded_channel();
    let app = app(Duration::from_secs(flags.timeout), move |request| {
        println!("request {} wants {:?}", request.id, request.city);
        let _ = backend.send(request);
    });
    if let Some(delay) = flags.pretend_backend {
        tokio::spawn(pretend(app.clone(), requests, delay));
    } else {
        drop(requests); // A person answers, and reads the requests on the screen.
    }
    let listener = TcpListener::bind(flags.listen).await?;
    println!("try: curl 'http://{}/api/weather?city=Berlin'", listener.local_addr()?);
    axum::serve(listener, app).await
}

/// Replies to every request on the other channel, after a random delay.
async fn pretend(app: Router, mut requests: mpsc::UnboundedReceiver<Request>, at_most: u64) {
    while let Some(Request { id, city }) = requests.recv().await {
        let app = app.clone();
        let delay = Duration::from_millis(Uuid::now_v7().as_u64_pair().1 % at_most.max(1));
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let text = format!("{city}: sunny, 21 degrees\n");
            let reply = HttpRequest::post(format!("/api/replies/{id}")).body(Body::from(text));
            app.oneshot(reply.expect("an id fits in a path")).await
        });
    }
}
