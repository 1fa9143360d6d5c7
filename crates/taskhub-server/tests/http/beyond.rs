//! What this API has beyond the original.

use crate::running::{Answered, Api};

/// Starts instances that wait, with a tag of their own each.
async fn three(api: &Api) {
    for (id, shop) in [("a", "north"), ("b", "south"), ("c", "north")] {
        api.post(&format!("/orchestrators/wait/{id}?tag=shop:{shop}&tag=kind:order"), "").await;
        while api.get(&format!("/instances/{id}")).await.field("runtimeStatus") == "Pending" {}
    }
}

async fn statuses(api: &Api) -> Vec<String> {
    let mut found = Vec::new();
    for id in ["a", "b", "c"] {
        found.push(api.get(&format!("/instances/{id}")).await.field("runtimeStatus"));
    }
    found
}

async fn lines(api: &Api, method: &str, path: &str) -> Answered {
    api.send_with(method, path, "", &[("accept", "application/x-ndjson")]).await
}

#[tokio::test]
async fn instances_are_listed_by_tag_and_by_name() {
    let api = Api::start().await;
    three(&api).await;
    api.finish("echo", "d").await;
    for (query, expected) in [
        ("tag=shop:north", ["a", "c"].as_slice()),
        ("tag=shop:north&tag=kind:order", &["a", "c"]),
        ("tag=shop:west", &[]),
        ("name=echo", &["d"]),
    ] {
        let answer = api.get(&format!("/instances?{query}")).await;
        for id in ["a", "b", "c", "d"] {
            let has = answer.body.contains(&format!("\"instanceId\":\"{id}\""));
            assert_eq!(has, expected.contains(&id), "{query} {id}: {}", answer.body);
        }
    }
    assert_eq!(api.get("/instances?tag=north").await.code, 400);
    api.stop().await;
}

#[tokio::test]
async fn many_are_paused_resumed_ended_and_forgotten_at_once() {
    let api = Api::start().await;
    three(&api).await;
    let done = |count: usize| format!("{{\"done\":{count},\"skipped\":0,\"complete\":true}}");
    let answer = api.post("/instances/suspend?tag=shop:north&reason=lunch", "").await;
    assert_eq!((answer.code, answer.body.clone()), (200, done(2)));
    assert_eq!(statuses(&api).await, ["Suspended", "Running", "Suspended"]);
    let answer = api.post("/instances/resume?tag=kind:order", "").await;
    assert_eq!(answer.body, done(2), "only what is suspended can be resumed");
    assert_eq!(statuses(&api).await, ["Running", "Running", "Running"]);
    let answer = api.post("/instances/terminate?tag=shop:north&reason=over", "").await;
    assert_eq!(answer.body, done(2));
    assert_eq!(api.get("/instances/a").await.field("output"), "over");
    let answer = api.post("/instances/purge?tag=kind:order", "").await;
    assert_eq!(answer.body, done(2), "only what has ended can be purged");
    assert_eq!(api.get("/instances/a").await.code, 404);
    assert_eq!(api.get("/instances/b").await.code, 202);
    let more = "runtimeStatus=Running&TASKHUB=Test&connection=Storage&code=x";
    let answer = api.post(&format!("/instances/purge?tag=kind:order&{more}"), "").await;
    assert_eq!(answer.body, done(0));
    api.stop().await;
}

#[tokio::test]
async fn a_batch_that_names_nothing_is_refused() {
    let api = Api::start().await;
    three(&api).await;
    for verb in ["terminate", "suspend", "resume", "purge"] {
        assert_eq!(api.post(&format!("/instances/{verb}"), "").await.code, 400, "{verb}");
    }
    assert_eq!(statuses(&api).await, ["Running", "Running", "Running"]);
    api.stop().await;
}

#[tokio::test]
async fn a_batch_with_a_filter_that_cannot_be_read_is_refused() {
    let api = Api::start().await;
    three(&api).await;
    let slips = [
        "runtimeStatus=Running,Runing",
        "createdTimeTo=yesterday",
        "createdTimeFrom=1/2",
        "stuck=maybe",
        "recursive=yes",
        "tagg=shop:north",
        "top=1",
        "name=",
    ];
    for slip in slips {
        let path = format!("/instances/terminate?tag=kind:order&{slip}");
        let answer = api.post(&path, "").await;
        assert_eq!(answer.code, 400, "{slip}");
        let named = answer.body.contains(&format!("`{slip}`"));
        assert!(named && answer.body.contains("cannot be read"), "{}", answer.body);
    }
    let answer = api.post("/instances/purge?tag=kind:order&recursive=true", "").await;
    assert_eq!(answer.code, 400, "only an end is passed on to children");
    let answer = api.post("/instances/terminate?tag=shop:north&tag=shop:south", "").await;
    assert!(answer.code == 400 && answer.body.contains("two values"), "{}", answer.body);
    assert_eq!(statuses(&api).await, ["Running", "Running", "Running"]);
    api.stop().await;
}

#[tokio::test]
async fn the_progress_of_a_batch_is_told_page_by_page() {
    let api = Api::start().await;
    for number in 0..501 {
        let path = format!("/orchestrators/wait/n{number}");
        assert_eq!(api.post(&path, "").await.code, 202);
    }
    let answer = lines(&api, "POST", "/instances/terminate?instanceIdPrefix=n").await;
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let expected = "{\"done\":500,\"skipped\":0,\"complete\":false}\n\
        {\"done\":501,\"skipped\":0,\"complete\":true}\n";
    assert_eq!(answer.body, expected);
    api.stop().await;
}

#[tokio::test]
async fn a_history_comes_as_one_event_per_line() {
    let api = Api::start().await;
    api.finish("fail", "a").await;
    let answer = api.get("/instances/a/history?showInput=false").await;
    assert_eq!(answer.header("content-type"), Some("application/x-ndjson"));
    let kinds: Vec<_> = answer.body.lines().map(|line| line.split('"').nth(3).unwrap()).collect();
    let expected = [
        "ExecutionStarted",
        "OrchestratorStarted",
        "TaskScheduled",
        "TaskFailed",
        "OrchestratorStarted",
        "ExecutionCompleted",
    ];
    assert_eq!(kinds, expected);
    let timeless = answer.timeless();
    let scheduled = "{\"EventType\":\"TaskScheduled\",\"EventId\":0,\"Name\":\"break\",\
        \"Timestamp\":\"TIME\"}\n";
    assert!(timeless.contains(scheduled), "{timeless}");
    assert!(timeless.contains("\"TaskFailed\",\"TaskScheduledId\":0"), "{timeless}");
    assert_eq!(api.get("/instances/nobody/history").await.code, 404);
    api.stop().await;
}

#[tokio::test]
async fn a_long_history_comes_whole() {
    let api = Api::start().await;
    api.begin("wait", "a").await;
    api.post("/instances/a/suspend", "").await;
    for number in 0..600 {
        let path = format!("/instances/a/raiseEvent/e{number}");
        assert_eq!(api.post(&path, "1").await.code, 202);
    }
    let answer = api.get("/instances/a/history").await;
    let raised = answer.body.lines().filter(|line| line.contains("\"EventRaised\""));
    let names: Vec<_> = raised.map(|line| line.split('"').nth(7).unwrap().to_owned()).collect();
    let expected: Vec<_> = (0..600).map(|number| format!("e{number}")).collect();
    assert_eq!(names, expected);
    api.stop().await;
}

#[tokio::test]
async fn the_output_alone_can_be_waited_for() {
    let api = Api::start().await;
    api.begin("wait", "a").await;
    let waits = api.get("/instances/a/output?timeout=3600");
    let reply = async {
        api.held(1).await;
        api.post("/instances/a/raiseEvent/reply", "{\"b\":1}").await
    };
    let (answer, _) = tokio::join!(waits, reply);
    assert_eq!((answer.code, answer.body.as_str()), (200, "{\"b\":1}"));
    api.begin("wait", "b").await;
    assert_eq!(api.get("/instances/b/output?timeout=0").await.code, 202);
    assert_eq!(api.get("/instances/nobody/output").await.code, 404);
    for wrong in ["abc", "", "1s"] {
        let answer = api.get(&format!("/instances/b/output?timeout={wrong}")).await;
        assert!(answer.code == 400 && answer.body.contains("no timeout"), "{answer:?}");
    }
    api.stop().await;
}

#[tokio::test]
async fn an_event_is_kept_for_an_instance_that_is_not_started_yet() {
    let api = Api::start().await;
    let event = "/instances/early/raiseEvent/reply";
    assert_eq!(api.post(event, "\"lost\"").await.code, 404);
    assert_eq!(api.post(&format!("{event}?keepFor=3600"), "\"kept\"").await.code, 202);
    assert_eq!(api.get("/instances/early").await.code, 404);
    assert_eq!(api.get("/instances").await.body, "[]");
    api.finish("wait", "early").await;
    assert!(api.get("/instances/early").await.body.contains("kept"));
    api.stop().await;
}

#[tokio::test]
async fn what_is_parked_says_why_and_is_found_resumed_and_purged_by_that() {
    let api = Api::start().await;
    api.begin("wait", "a").await;
    api.post("/orchestrators/trip/b", "").await;
    let answer = api.get("/instances/b").await;
    assert_eq!(answer.code, 202);
    assert!(
        answer.body.contains("\"stuck\":\"the orchestration panicked: over a cable"),
        "{answer:?}"
    );
    let listed = api.get("/instances?stuck=true").await;
    assert!(listed.body.contains("\"b\"") && !listed.body.contains("\"a\""), "{listed:?}");
    let one = r#"{"done":1,"skipped":0,"complete":true}"#;
    assert_eq!(api.post("/instances/resume?stuck=true", "").await.body, one);
    assert_eq!(api.post("/instances/purge?stuck=true", "").await.body, one);
    assert_eq!(api.get("/instances/b").await.code, 404);
    assert_eq!(api.get("/instances/a").await.code, 202);
    api.stop().await;
}
