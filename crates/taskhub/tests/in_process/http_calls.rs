//! HTTP calls of orchestrations, against a server in the test.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::IntoResponse,
    routing::{get, post},
};
use taskhub::{
    Client, Host, HostBuilder,
    http::{HttpCalls, HttpRequest, HttpResponse},
    prelude::{Context, Event, Failure, Result, Retry, Run, orchestration},
    testing::{TestHub, chaos},
};

const HOUR: Duration = Duration::from_hours(1);
const MINUTE: Duration = Duration::from_mins(1);

/// What a server was asked, and how often.
#[derive(Clone, Default)]
struct Server {
    asked: Arc<Mutex<Vec<(String, HeaderMap)>>>,
}

impl Server {
    fn note(&self, what: impl Into<String>, headers: HeaderMap) -> usize {
        let mut asked = self.asked.lock().expect("nobody panics");
        asked.push((what.into(), headers));
        asked.len()
    }

    fn asked(&self) -> Vec<String> {
        let asked = self.asked.lock().expect("nobody panics");
        asked.iter().map(|(what, _)| what.clone()).collect()
    }

    fn header(&self, at: usize, name: &str) -> Option<String> {
        let asked = self.asked.lock().expect("nobody panics");
        let value = asked[at].1.get(name)?;
        Some(value.to_str().expect("it is text").to_owned())
    }

    /// Jobs take until they were asked for three times; the first answer says when to come again.
    fn router(&self) -> Router {
        Router::new()
            .route("/jobs", post(begin))
            .route("/jobs/{id}", get(look))
            .route("/flaky", get(flaky))
            .route("/gone", get(async || (StatusCode::NOT_FOUND, "no such thing")))
            .route("/never", get(async || std::future::pending::<()>().await))
            .with_state(self.clone())
    }
}

async fn begin(
    State(server): State<Server>,
    headers: HeaderMap,
    body: String,
) -> impl IntoResponse {
    server.note(format!("POST {body}"), headers);
    (StatusCode::ACCEPTED, [("location", "jobs/7"), ("retry-after", "600")])
}

async fn look(
    State(server): State<Server>,
    Path(id): Path<u32>,
    headers: HeaderMap,
) -> impl IntoResponse {
    match server.note(format!("GET {id}"), headers) {
        ..4 => (StatusCode::ACCEPTED, [("location", "/jobs/7")]).into_response(),
        _ => Json(id * 2).into_response(),
    }
}

async fn flaky(State(server): State<Server>, headers: HeaderMap) -> impl IntoResponse {
    let status = [StatusCode::SERVICE_UNAVAILABLE, StatusCode::CONFLICT, StatusCode::OK];
    let count = server.note("GET flaky", headers);
    status[(count - 1).min(2)]
}

#[orchestration]
async fn job(ctx: Context, server: String) -> Result<u32> {
    let request = HttpRequest::post(format!("{server}/jobs")).header("x-functions-key", "k");
    let answer = ctx.call_http(request.content("work").token("jobs")).await?;
    answer.json()
}

#[orchestration]
async fn fetch(ctx: Context, request: HttpRequest) -> Result<HttpResponse> {
    ctx.call_http(request).await
}

#[orchestration]
async fn patient(ctx: Context, statuses: Vec<u16>) -> Result<u16> {
    let request = HttpRequest::get("http://shop.example.com/flaky");
    let retry = Retry::fixed(2, MINUTE);
    Ok(ctx.call_http(request).retry(retry).retry_on(statuses).await?.status_code)
}

fn host(calls: HttpCalls) -> HostBuilder {
    let calls = calls.tokens(async |resource| Ok(format!("for-{resource}")));
    let builder = Host::builder().orchestration(job).orchestration(fetch).orchestration(patient);
    builder.state(calls)
}

async fn run_job(hub: &Client, server: &str) -> u32 {
    let run = hub.start(job, server.to_owned()).await.expect("it starts");
    run.wait(24 * HOUR).await.expect("it ends")
}

#[tokio::test(start_paused = true)]
async fn what_is_answered_with_202_is_asked_for_until_it_is_done() {
    let server = Server::default();
    let test = TestHub::new();
    let host = test.open(host(HttpCalls::answered_by(server.router()))).unwrap();
    let began = host.client().now();
    assert_eq!(run_job(host.client(), "http://jobs.example.com").await, 14);
    // Ten minutes as the first answer says, then half a minute each as nobody says.
    assert_eq!(host.client().now() - began, 11 * MINUTE);
    assert_eq!(server.asked(), ["POST work", "GET 7", "GET 7", "GET 7"]);
    let header = |name| [0, 3].map(|at| server.header(at, name));
    assert_eq!(header("content-type"), [Some("text/plain".to_owned()), None]);
    assert_eq!(header("x-functions-key"), [Some("k".to_owned()), None]);
    let token = Some("Bearer for-jobs".to_owned());
    assert_eq!(header("authorization"), [token.clone(), token]);
    host.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_crash_between_two_requests_loses_nothing() {
    let polls = chaos(async |test| {
        let server = Server::default();
        let host = test.open(host(HttpCalls::answered_by(server.router()))).unwrap();
        let doubled = run_job(host.client(), "http://jobs.example.com").await;
        host.stop().await;
        doubled
    });
    assert_eq!(polls.await, 14);
}

#[tokio::test]
async fn it_goes_over_the_network() {
    let server = Server::default();
    // Nothing is waited for, so that the test takes no time.
    let begin = async |State(server): State<Server>, headers: HeaderMap, body: String| {
        server.note(format!("POST {body}"), headers);
        (StatusCode::ACCEPTED, [("location", "jobs/7"), ("retry-after", "0")])
    };
    let look = async |State(server): State<Server>, headers: HeaderMap| {
        server.note("GET", headers);
        "14"
    };
    let router = Router::new().route("/jobs", post(begin)).route("/jobs/7", get(look));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = router.with_state(server.clone());
    let serving = tokio::spawn(async move { axum::serve(listener, router).await });
    let folder = tempfile::tempdir().unwrap();
    let store = taskhub::Embedded::open(folder.path()).unwrap();
    let host = host(HttpCalls::new()).store(store).build().unwrap();
    assert_eq!(run_job(host.client(), &address).await, 14);
    assert_eq!(server.asked(), ["POST work", "GET"]);
    serving.abort();
}

#[tokio::test(start_paused = true)]
async fn a_status_is_a_result_unless_it_is_to_be_tried_again() {
    let flaky = async |statuses: Vec<u16>| {
        let server = Server::default();
        let host = TestHub::new().open(host(HttpCalls::answered_by(server.router()))).unwrap();
        let began = host.client().now();
        let run = host.client().start(patient, statuses).await.unwrap();
        let status = run.wait(HOUR).await;
        let minutes = (host.client().now() - began).as_secs() / 60;
        host.stop().await;
        (status, minutes)
    };
    let (status, minutes) = flaky(vec![503]).await;
    assert_eq!((status.unwrap(), minutes), (409, 1));
    let (status, minutes) = flaky(Vec::new()).await;
    let failure = status.unwrap_err().to_string();
    assert!(failure.contains("answered with 409"), "{failure}");
    assert_eq!(minutes, 1);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_or_read_is_a_failure_that_says_why() {
    let server = Server::default();
    let calls = HttpCalls::answered_by(server.router()).body_bytes_max(5);
    let host = TestHub::new().open(host(calls)).unwrap();
    let fails = async |request: HttpRequest| {
        let run = host.client().start(fetch, request).await.unwrap();
        run.wait(HOUR).await.unwrap_err().to_string()
    };
    let at = |path: &str| HttpRequest::get(format!("http://shop.example.com/{path}"));
    let failure = fails(at("never").timeout(MINUTE)).await;
    assert!(failure.contains("not answered within 60s"), "{failure}");
    let failure = fails(at("gone")).await;
    assert!(failure.contains("more than 5 bytes"), "{failure}");
    let failure = fails(at("gone").header("content-type", "multipart/form-data")).await;
    assert!(failure.contains("in parts"), "{failure}");
    let failure = fails(HttpRequest::new("GE T", "http://shop.example.com")).await;
    assert!(failure.contains("`GE T` is no method"), "{failure}");
    let failure = fails(HttpRequest::get("http://")).await;
    assert!(failure.contains("cannot be sent"), "{failure}");
    host.stop().await;
}

/// Asks two servers, and takes who answers first.
#[orchestration]
async fn first(ctx: Context) -> Result<u16> {
    let [one, other] = ["one", "other"].map(|name| {
        ctx.call_http(HttpRequest::get(format!("http://{name}.example.com"))).poll_every(HOUR)
    });
    tokio::select! {
        answer = one => Ok(answer?.status_code),
        answer = other => Ok(answer?.status_code),
        _ = ctx.event(Event::<()>::new("stop")) => Err(Failure::new("Stopped", "nobody waits")),
    }
}

#[test]
fn two_calls_in_a_select_are_replayed_as_they_were() {
    let mut run = Run::of(first).input(());
    assert_eq!(run.open_calls().len(), 2);
    run.raise(Event::<()>::new("stop"), ());
    assert_eq!(run.output().unwrap_err().kind(), "Stopped");
}
