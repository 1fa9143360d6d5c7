//! An HTTP API for work that takes longer than a request: 202, and a place to ask until it is done.

use axum::{
    Json,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use taskhub::{StatusError, prelude::*};

/// Makes a report; that takes its time.
#[activity(retry = Retry::exponential(5))]
pub async fn draw(year: u16) -> Result<String> {
    Ok(format!("the report of {year}")) // .. draw it ..
}

/// The work behind the API.
#[orchestration]
pub async fn report(ctx: Context, year: u16) -> Result<String> {
    ctx.set_custom_status("drawing");
    ctx.call(draw, year).await
}

/// `POST /reports/{year}`: accepts the work, and says where to ask. The same year asked for twice
/// is the same work.
pub async fn order(State(hub): State<Client>, Path(year): Path<u16>) -> Response {
    match hub.start(report, year).id(format!("report-{year}")).join().await {
        Ok(_) => accepted(year, None),
        Err(error) => (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    }
}

/// `GET /reports/{year}`: 200 with the report, 202 while it is made, 500 when that failed.
pub async fn ask(State(hub): State<Client>, Path(year): Path<u16>) -> Response {
    let status = match hub.instance(format!("report-{year}")).status().await {
        Ok(status) => status,
        Err(StatusError::NotFound(_)) => return StatusCode::NOT_FOUND.into_response(),
        Err(error) => return (StatusCode::SERVICE_UNAVAILABLE, error.to_string()).into_response(),
    };
    match status.output::<String>() {
        Some(Ok(report)) => Json(report).into_response(),
        Some(Err(why)) => (StatusCode::INTERNAL_SERVER_ERROR, why.to_string()).into_response(),
        None => accepted(year, status.custom_status_text()),
    }
}

fn accepted(year: u16, progress: Option<&str>) -> Response {
    let headers =
        [(header::LOCATION, format!("/reports/{year}")), (header::RETRY_AFTER, "5".into())];
    (StatusCode::ACCEPTED, headers, progress.unwrap_or_default().to_owned()).into_response()
}

/// The service.
pub fn service() -> HostBuilder {
    Host::builder()
        .orchestration(report)
        .activity(draw)
        .route("/reports/{year}", post(order).get(ask))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::{
        Router,
        body::{Body, to_bytes},
        http::Request,
    };
    use taskhub::testing::TestHub;
    use tower::ServiceExt as _;

    use super::*;

    async fn send(router: &Router, method: &str, path: &str) -> (StatusCode, String) {
        let request = Request::builder().method(method).uri(path).body(Body::empty()).unwrap();
        let response = router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let body = to_bytes(response.into_body(), 1 << 10).await.unwrap();
        (status, String::from_utf8(body.into()).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn work_is_accepted_and_asked_for_until_it_is_done() {
        let hub = TestHub::new();
        let host = hub.open(service()).unwrap();
        let router = host.router();
        assert_eq!(send(&router, "GET", "/reports/1999").await.0, StatusCode::NOT_FOUND);
        assert_eq!(send(&router, "POST", "/reports/1999").await.0, StatusCode::ACCEPTED);
        let asked = send(&router, "GET", "/reports/1999").await;
        assert_eq!(asked, (StatusCode::ACCEPTED, "\"drawing\"".to_owned()));
        tokio::time::sleep(Duration::from_secs(5)).await;
        let asked = send(&router, "GET", "/reports/1999").await;
        assert_eq!(asked, (StatusCode::OK, "\"the report of 1999\"".to_owned()));
        // Asked for again, it is the work that was done.
        assert_eq!(send(&router, "POST", "/reports/1999").await.0, StatusCode::ACCEPTED);
        assert_eq!(send(&router, "GET", "/reports/1999").await.0, StatusCode::OK);
        host.stop().await;
    }
}
