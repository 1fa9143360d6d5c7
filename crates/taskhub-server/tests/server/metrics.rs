//! What Prometheus reads.

use std::collections::BTreeSet;

use taskhub_wire::proto::{RaiseEventRequest, TerminateRequest};

use crate::running::{Running, get, start};

const DASHBOARD: &str = include_str!("../../../../docs/grafana-dashboard.json");
const PAGE: &str = include_str!("../../../../docs/telemetry.md");

fn terminate(id: &str) -> TerminateRequest {
    TerminateRequest { instance_id: id.to_owned(), output: None, recursive: false }
}

/// The value of a series.
fn value(metrics: &str, series: &str) -> Option<f64> {
    metrics.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' ')?.parse().ok())
}

#[tokio::test]
async fn starts_and_ends_are_counted_once() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    for id in ["a", "b"] {
        client.start_instance(start(id)).await.unwrap();
    }
    client.terminate_instance(terminate("a")).await.unwrap();
    client.terminate_instance(terminate("a")).await.unwrap();
    let (instance_id, name) = ("a".to_owned(), "go".to_owned());
    client
        .raise_event(RaiseEventRequest { instance_id, name, input: None, keep_until: None })
        .await
        .unwrap();
    let metrics = server.get("/metrics", "").await;
    let started = r#"taskhub_instances_started_total{hub="default"}"#;
    let ended = r#"taskhub_instances_ended_total{hub="default",status="Terminated"}"#;
    assert_eq!(value(&metrics, started), Some(2.0), "{metrics}");
    assert_eq!(value(&metrics, ended), Some(1.0), "{metrics}");
    assert!(value(&metrics, r#"taskhub_commits_total{hub="default"}"#) >= Some(1.0));
    server.stop().await;
}

#[tokio::test]
async fn calls_are_counted_and_timed_under_names_that_the_protocol_has() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    client.get_instance(get("a")).await.unwrap();
    client.start_instance(start("")).await.unwrap();
    client.start_instance(start("@x")).await.unwrap_err();
    server.get("/made-up", "").await;
    server.get("/healthz", "").await;
    let metrics = server.get("/metrics", "").await;
    for series in [
        r#"taskhub_calls_total{protocol="grpc",call="GetInstance",status="Ok"}"#,
        r#"taskhub_calls_total{protocol="grpc",call="StartInstance",status="InvalidArgument"}"#,
        r#"taskhub_calls_total{protocol="http",call="other",status="404"}"#,
        r#"taskhub_calls_total{protocol="http",call="/healthz",status="200"}"#,
    ] {
        assert_eq!(value(&metrics, series), Some(1.0), "{series}: {metrics}");
    }
    let timed = r#"taskhub_call_seconds_count{protocol="grpc",call="StartInstance"}"#;
    assert_eq!(value(&metrics, timed), Some(2.0), "{metrics}");
    server.stop().await;
}

#[tokio::test]
async fn where_others_can_ask_a_token_is_needed() {
    let tokens = vec!["sesame".to_owned()];
    let here = Running::with(|config| config.tokens.clone_from(&tokens)).await;
    assert!(here.get("/metrics", "").await.starts_with("HTTP/1.1 200"));
    here.stop().await;
    let anywhere = Running::with(|config| {
        config.tokens.clone_from(&tokens);
        config.listen = vec!["0.0.0.0:0".to_owned()];
    })
    .await;
    assert!(anywhere.get("/metrics", "").await.starts_with("HTTP/1.1 401"));
    let let_in = anywhere.get("/metrics", "authorization: Bearer sesame\r\n").await;
    assert!(let_in.starts_with("HTTP/1.1 200"), "{let_in}");
    anywhere.stop().await;
}

#[tokio::test]
async fn the_dashboard_and_the_page_tell_of_what_there_is() {
    let server = Running::plain().await;
    server.client().await.start_instance(start("a")).await.unwrap();
    let metrics = server.get("/metrics", "").await;
    let there: BTreeSet<_> = metrics
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let is_part = |char: char| char.is_ascii_alphanumeric() || char == '_';
    for word in DASHBOARD.split(|char: char| !is_part(char)) {
        if word.starts_with("taskhub_") {
            let name = word.strip_suffix("_bucket").unwrap_or(word);
            assert!(there.contains(name), "{name} is on the dashboard and not in {there:?}");
        }
    }
    for name in there {
        assert!(PAGE.contains(&format!("`{name}`")), "{name} is not told of");
    }
    server.stop().await;
}

#[tokio::test]
async fn turns_and_what_is_in_memory_are_counted() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    for id in ["a", "b"] {
        client.start_instance(start(id)).await.unwrap();
    }
    let metrics = server.get("/metrics", "").await;
    let at_least = |name: &str, least: f64| {
        let found = value(&metrics, &format!("{name}{{hub=\"default\"}}"));
        assert!(found >= Some(least), "{name}: {metrics}");
    };
    at_least("taskhub_turns_total", 2.0);
    at_least("taskhub_turn_microseconds_total", 0.0);
    at_least("taskhub_cached_instances", 2.0);
    at_least("taskhub_cached_bytes", 2.0);
    at_least("taskhub_instances_read_total", 2.0);
    at_least("taskhub_turns_uncommitted", 0.0);
    server.stop().await;
}

#[tokio::test]
async fn how_long_turns_and_commits_take_is_told_as_histograms() {
    let server = Running::plain().await;
    server.client().await.start_instance(start("a")).await.unwrap();
    let metrics = server.get("/metrics", "").await;
    for name in ["taskhub_turn_seconds", "taskhub_commit_seconds"] {
        let count = value(&metrics, &format!("{name}_count{{hub=\"default\"}}")).unwrap();
        assert!(count >= 1.0, "{name}: {metrics}");
        let prefix = format!("{name}_bucket{{hub=\"default\",le=\"");
        let buckets = metrics.lines().filter_map(|line| line.strip_prefix(&prefix));
        let buckets: Vec<_> = buckets.map(|line| line.split_once("\"} ").unwrap()).collect();
        let counts = buckets.iter().map(|(_, count)| count.parse::<f64>().unwrap());
        assert!(counts.clone().is_sorted(), "{name}: {buckets:?}");
        assert_eq!(buckets.last().unwrap().0, "+Inf");
        assert_eq!(counts.max_by(f64::total_cmp), Some(count));
    }
    let turns = value(&metrics, r#"taskhub_turns_total{hub="default"}"#);
    let clocked = value(&metrics, r#"taskhub_turn_seconds_count{hub="default"}"#);
    assert!(clocked <= turns, "{metrics}");
    server.stop().await;
}
