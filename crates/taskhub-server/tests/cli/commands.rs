//! One round trip per command.

use serde_json::{Value, json};

use crate::program::Running;

#[tokio::test]
async fn what_is_started_is_shown_with_what_it_was_started_with() {
    let server = Running::plain().await;
    let tags = ["--tag", "team=blue", "--version", "2", "--at", "1h"];
    let start = ["start", "charge", "--id", "a", "--input", r#"{"to": 1}"#];
    assert_eq!(server.well(&[&start[..], &tags].concat()).await, "a\n");
    let shown = server.json(&["status", "a", "--json"]).await;
    assert_eq!(shown[0]["runtimeStatus"], "Pending");
    assert_eq!((&shown[0]["name"], &shown[0]["version"]), (&json!("charge"), &json!("2")));
    assert_eq!(
        (&shown[0]["input"], &shown[0]["tags"]["team"]),
        (&json!({"to": 1}), &json!("blue"))
    );
    let sheet = server.well(&["status", "a"]).await;
    for part in ["charge", "Pending", "team=blue", r#"{"to": 1}"#] {
        assert!(sheet.contains(part), "{part}: {sheet}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_start_that_waits_prints_the_output_and_ends_as_the_instance_does() {
    let server = Running::plain().await;
    let worker = server.worker().await;
    assert_eq!(server.well(&["start", "echo", "--input", "[7]", "--wait"]).await, "[7]\n");
    let ended = server.taskhub(&["start", "fails", "--wait"]).await;
    assert_eq!(ended.code, 7);
    assert!(ended.err.contains("Broken: no good"), "{}", ended.err);
    worker.abort();
    server.stop().await;
}

#[tokio::test]
async fn a_watch_lasts_until_the_end() {
    let server = Running::plain().await;
    server.well(&["start", "echo", "--id", "a"]).await;
    let watched = server.json(&["status", "a", "--watch", "--json"]);
    let (watched, worker) = tokio::join!(watched, server.worker());
    let statuses: Vec<_> = watched.iter().map(|state| &state["runtimeStatus"]).collect();
    assert_eq!(statuses.last(), Some(&&json!("Completed")));
    let ended = server.taskhub(&["status", "a", "--watch"]).await;
    assert!(ended.code == 0 && ended.out.contains("Completed"), "{}", ended.out);
    worker.abort();
    server.stop().await;
}

#[tokio::test]
async fn a_list_shows_what_matches_and_says_when_it_is_cut() {
    let server = Running::plain().await;
    for id in ["red-1", "red-2", "blue-1"] {
        server.well(&["start", "charge", "--id", id]).await;
    }
    server.well(&["terminate", "red-2"]).await;
    let ids = |listed: Vec<Value>| -> Vec<String> {
        listed.iter().map(|it| it["instanceId"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(server.json(&["list", "--json"]).await), ["red-1", "red-2", "blue-1"]);
    let red = ["list", "--json", "--prefix", "red-", "--status", "pending,running"];
    assert_eq!(ids(server.json(&red).await), ["red-1"]);
    assert!(server.json(&["list", "--json", "--created-before", "1h"]).await.is_empty());
    assert_eq!(server.json(&["list", "--json", "--created-after", "1h"]).await.len(), 3);
    let cut = server.taskhub(&["list", "--limit", "2"]).await;
    assert!(cut.out.contains("INSTANCE") && cut.out.contains("red-2"), "{}", cut.out);
    assert!(!cut.out.contains("blue-1") && cut.err.contains("--limit 0"), "{}", cut.err);
    let whole = server.taskhub(&["list", "--limit", "3"]).await;
    assert_eq!((whole.code, whole.err.as_str()), (0, ""));
    server.stop().await;
}

#[tokio::test]
async fn a_history_is_shown_event_by_event() {
    let server = Running::plain().await;
    let worker = server.worker().await;
    server.well(&["start", "echo", "--id", "a", "--input", "7", "--wait"]).await;
    let table = server.well(&["history", "a"]).await;
    assert!(table.contains("executionStarted") && table.contains("input=7"), "{table}");
    let events = server.json(&["history", "a", "--json"]).await;
    let started = events.iter().find_map(|event| event.get("executionStarted")).unwrap();
    assert_eq!((&started["name"], &started["input"]), (&json!("echo"), &json!("7")));
    assert!(
        events.iter().all(|event| event["instanceId"] == "a" && event["timestamp"].is_string())
    );
    worker.abort();
    server.stop().await;
}

#[tokio::test]
async fn an_export_has_the_events_of_every_instance_that_matches() {
    let server = Running::plain().await;
    for id in ["red-1", "red-2", "blue-1"] {
        server.well(&["start", "charge", "--id", id]).await;
    }
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("red.jsonl");
    let out = file.to_str().unwrap();
    server.well(&["export", "--prefix", "red-", "--out", out]).await;
    let written = std::fs::read_to_string(&file).unwrap();
    let ids = written.lines().map(|line| {
        let event: Value = serde_json::from_str(line).unwrap();
        event["instanceId"].as_str().unwrap().to_owned()
    });
    let mut ids: Vec<_> = ids.collect();
    ids.dedup();
    assert_eq!(ids, ["red-1", "red-2"]);
    let named = server.json(&["export", "blue-1"]).await;
    assert!(!named.is_empty() && named.iter().all(|event| event["instanceId"] == "blue-1"));
    server.stop().await;
}

#[tokio::test]
async fn an_event_is_raised_with_its_input() {
    let server = Running::plain().await;
    server.well(&["start", "charge", "--id", "a"]).await;
    assert_eq!(server.well(&["raise", "a", "go", "--input", "true"]).await, "a raised\n");
    let events = server.json(&["history", "a", "--json"]).await;
    let raised = events.iter().find_map(|event| event.get("eventRaised")).unwrap();
    assert_eq!((&raised["name"], &raised["input"]), (&json!("go"), &json!("true")));
    server.stop().await;
}

#[tokio::test]
async fn instances_are_paused_go_on_and_end() {
    let server = Running::plain().await;
    for id in ["a", "b"] {
        server.well(&["start", "charge", "--id", id]).await;
    }
    let because = ["--reason", "lunch"];
    assert_eq!(
        server.well(&[&["suspend", "a", "b"][..], &because].concat()).await,
        "a suspended\nb suspended\n"
    );
    assert_eq!(server.json(&["status", "a", "--json"]).await[0]["runtimeStatus"], "Suspended");
    server.well(&["resume", "a"]).await;
    assert_ne!(server.json(&["status", "a", "--json"]).await[0]["runtimeStatus"], "Suspended");
    let ended = server.json(&["terminate", "a", "--reason", "enough", "--json"]).await;
    assert_eq!(ended, [json!({"instanceId": "a"})]);
    let state = &server.json(&["status", "a", "--json"]).await[0];
    assert_eq!(
        (&state["runtimeStatus"], &state["output"]),
        (&json!("Terminated"), &json!("enough"))
    );
    server.stop().await;
}

#[tokio::test]
async fn an_instance_that_has_ended_starts_again_under_its_id_or_another() {
    let server = Running::plain().await;
    server.well(&["start", "charge", "--id", "a", "--input", "7"]).await;
    assert_eq!(server.taskhub(&["restart", "a"]).await.code, 4);
    server.well(&["terminate", "a"]).await;
    let fresh = server.well(&["restart", "a", "--new-id"]).await;
    assert_ne!(fresh, "a\n");
    let state = server.json(&["status", fresh.trim(), "--json"]).await;
    assert_eq!(state[0]["input"], 7);
    assert_eq!(server.well(&["restart", "a"]).await, "a\n");
    assert_eq!(server.json(&["status", "a", "--json"]).await[0]["runtimeStatus"], "Pending");
    server.stop().await;
}

#[tokio::test]
async fn only_what_has_ended_and_matches_is_purged() {
    let server = Running::plain().await;
    for id in ["red-1", "red-2", "blue-1"] {
        server.well(&["start", "charge", "--id", id]).await;
    }
    server.well(&["terminate", "red-1", "blue-1"]).await;
    assert_eq!(server.taskhub(&["purge", "red-2"]).await.code, 4);
    assert_eq!(server.well(&["purge", "--prefix", "red-"]).await, "1 purged\n");
    let all = server.json(&["purge", "--all", "--json"]).await;
    assert_eq!(all, [json!({"instancesDeleted": 1})]);
    assert_eq!(server.taskhub(&["status", "blue-1"]).await.code, 3);
    server.well(&["terminate", "red-2"]).await;
    assert_eq!(server.well(&["purge", "red-2"]).await, "1 purged\n");
    server.stop().await;
}

#[tokio::test]
async fn only_a_failed_instance_is_rewound_and_goes_on() {
    let server = Running::plain().await;
    server.well(&["start", "charge", "--id", "a"]).await;
    let refused = server.taskhub(&["rewind", "a"]).await;
    assert!(refused.code == 4, "{}: {}", refused.code, refused.err);
    let worker = server.worker().await;
    assert_eq!(server.taskhub(&["start", "fails", "--id", "b", "--wait"]).await.code, 7);
    // Nobody is there to fail it once more.
    worker.abort();
    assert_eq!(server.well(&["rewind", "b", "--reason", "mended"]).await, "b rewound\n");
    let again = &server.json(&["status", "b", "--json"]).await[0];
    assert_ne!(again["runtimeStatus"], "Failed");
    server.stop().await;
}

#[tokio::test]
async fn long_work_shows_its_progress_on_a_terminal() {
    let server = Running::plain().await;
    for id in ["a", "b"] {
        server.well(&["start", "charge", "--id", id]).await;
    }
    let program = env!("CARGO_BIN_EXE_taskhub");
    let command = format!("{program} terminate a b --server {}", server.url);
    let mut terminal = tokio::process::Command::new("script");
    terminal.args(["-qec", &command, "/dev/null"]).env("TERM", "xterm");
    let shown = terminal.output().await;
    let shown = String::from_utf8(shown.expect("every Debian has it").stdout).expect("a text");
    for part in ["/2 terminated", "a terminated\r\n", "b terminated\r\n"] {
        assert!(shown.contains(part), "{shown:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn hubs_are_apart() {
    let server = Running::plain().await;
    server.well(&["start", "charge", "--id", "a", "--hub", "red"]).await;
    server.well(&["status", "a", "--hub", "red"]).await;
    assert_eq!(server.taskhub(&["status", "a", "--hub", "blue"]).await.code, 3);
    server.stop().await;
}
