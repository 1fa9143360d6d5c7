//! HTTP connections: accepted one by one, cut off when a client keeps silent, ended gracefully.

use std::{io, pin::pin, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// How long a client may take from one request to the end of the next one's head; a connection is
/// an open file, and these are few.
const HEAD_TIME_MAX: Duration = Duration::from_secs(30);

/// How long to wait for open files to become free.
const PAUSE: Duration = Duration::from_millis(200);

/// Serves `routes` until `stop` completes, and then until each connection has got its answer.
pub(crate) async fn serve(listener: TcpListener, routes: Router, stop: impl Future<Output = ()>) {
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_TIME_MAX);
    // Each connection has a receiver: it hears of the end, and is counted until it has ended.
    let (end, _) = watch::channel(());
    let mut stop = pin!(stop);
    loop {
        let connection = tokio::select! {
            connection = accept(&listener) => connection,
            () = &mut stop => break,
        };
        let service = TowerToHyperService::new(routes.clone());
        let serving = http.serve_connection(TokioIo::new(connection), service).with_upgrades();
        let mut ending = end.subscribe();
        tokio::spawn(async move {
            let mut serving = pin!(serving);
            let ended = tokio::select! {
                ended = serving.as_mut() => ended,
                _ = ending.changed() => {
                    serving.as_mut().graceful_shutdown();
                    serving.await
                }
            };
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection was cut");
            }
            drop(ending);
        });
    }
    drop(listener);
    end.send_replace(());
    end.closed().await;
}

/// The next connection, however long it takes.
async fn accept(listener: &TcpListener) -> TcpStream {
    let mut is_told = false;
    loop {
        match listener.accept().await {
            Ok((connection, _)) => {
                if let Err(error) = connection.set_nodelay(true) {
                    tracing::debug!(%error, "a connection may be slow");
                }
                return connection;
            }
            Err(error) if is_of_the_client(&error) => {}
            Err(error) => {
                if !is_told {
                    tracing::warn!(%error, "no connection is accepted until this is over");
                }
                is_told = true;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

/// Whether a connection failed before it was accepted; the next one may be well.
fn is_of_the_client(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}
