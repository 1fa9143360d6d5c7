//! Single instances: where they stand, and what is done to them.

use crate::running::Api;

#[tokio::test]
async fn an_instance_that_runs_is_202_and_says_when_to_look_again() {
    let api = Api::start().await;
    api.post("/orchestrators/wait/a", "{\"b\": 1.50}").await;
    api.begin("wait", "b").await;
    while api.get("/instances/a").await.field("runtimeStatus") == "Pending" {}
    let answer = api.get("/instances/a?code=x").await;
    assert_eq!(answer.code, 202);
    let expected = "{\"name\":\"wait\",\"instanceId\":\"a\",\"runtimeStatus\":\"Running\",\
        \"input\":{\"b\": 1.50},\"customStatus\":{\"waits\":true},\"output\":null,\
        \"createdTime\":\"TIME\",\"lastUpdatedTime\":\"TIME\"}";
    assert_eq!(answer.timeless(), expected);
    let own = format!("http://{}/runtime/webhooks/durabletask/instances/a?code=x", api.address);
    assert_eq!(answer.header("location"), Some(&*own));
    assert_eq!(answer.header("retry-after"), Some("5"));
    assert!(answer.field("createdTime").len() == "2020-01-01T00:00:00Z".len());
    api.stop().await;
}

#[tokio::test]
async fn an_instance_that_ended_is_200() {
    let api = Api::start().await;
    api.post("/orchestrators/echo/a", "\"hello\"").await;
    api.ended("a").await;
    let answer = api.get("/instances/a").await;
    assert_eq!(answer.code, 200);
    let expected = "{\"name\":\"echo\",\"instanceId\":\"a\",\"runtimeStatus\":\"Completed\",\
        \"input\":\"hello\",\"customStatus\":null,\"output\":\"hello\",\
        \"createdTime\":\"TIME\",\"lastUpdatedTime\":\"TIME\"}";
    assert_eq!(answer.timeless(), expected);
    assert_eq!(answer.header("location"), None);
    assert_eq!(answer.header("retry-after"), None);
    let hidden = api.get("/instances/a?showInput=false").await;
    assert_eq!(hidden.timeless(), expected.replace("\"input\":\"hello\"", "\"input\":null"));
    api.stop().await;
}

#[tokio::test]
async fn an_output_that_is_no_json_is_shown_as_a_string() {
    let api = Api::start().await;
    api.finish("plain", "a").await;
    let answer = api.get("/instances/a").await;
    assert!(answer.body.contains(r#""output":"plain \"text\"""#), "{}", answer.body);
    api.stop().await;
}

#[tokio::test]
async fn a_failed_instance_is_200_and_500_on_demand() {
    let api = Api::start().await;
    api.finish("fail", "a").await;
    let answer = api.get("/instances/a").await;
    assert_eq!((answer.code, answer.field("runtimeStatus").as_str()), (200, "Failed"));
    assert_eq!(answer.field("output"), "the cup is broken: it fell");
    let answer = api.get("/instances/a?returnInternalServerErrorOnFailure=true").await;
    assert_eq!((answer.code, answer.field("runtimeStatus").as_str()), (500, "Failed"));
    api.stop().await;
}

#[tokio::test]
async fn a_terminated_instance_has_the_reason_for_its_output() {
    let api = Api::start().await;
    api.begin("wait", "a").await;
    let answer = api.post("/instances/a/terminate?reason=no+longer+needed", "").await;
    assert_eq!((answer.code, answer.body.as_str()), (202, ""));
    let answer = api.get("/instances/a").await;
    assert_eq!((answer.code, answer.field("runtimeStatus").as_str()), (200, "Terminated"));
    assert_eq!(answer.field("output"), "no longer needed");
    api.stop().await;
}

#[tokio::test]
async fn an_event_is_delivered_whatever_the_case_of_its_name() {
    let api = Api::start().await;
    api.begin("wait", "a").await;
    let answer = api.post("/instances/a/RAISEEVENT/reply", "[1, 2]").await;
    assert_eq!((answer.code, answer.body.as_str()), (202, ""));
    api.ended("a").await;
    let answer = api.get("/instances/a").await;
    assert!(answer.body.contains("\"output\":[1, 2]"), "{}", answer.body);
    api.stop().await;
}

#[tokio::test]
async fn an_event_that_is_no_json_is_refused() {
    let api = Api::start().await;
    api.begin("wait", "a").await;
    let path = "/instances/a/raiseEvent/reply";
    let answer = api.send_with("POST", path, "1", &[("content-type", "text/plain")]).await;
    let expected = "{\"Message\":\"Only application/json request content is supported\"}";
    assert_eq!((answer.code, answer.body.as_str()), (400, expected));
    for body in ["", "{", "1 2"] {
        let answer = api.post(path, body).await;
        assert_eq!(answer.code, 400, "{body}");
        assert_eq!(answer.field("Message"), "Invalid JSON content");
    }
    let json = [("content-type", "Application/JSON; charset=utf-8")];
    assert_eq!(api.send_with("POST", path, "1", &json).await.code, 202);
    api.stop().await;
}

#[tokio::test]
async fn nothing_can_be_done_to_an_instance_that_is_not_there_or_has_ended() {
    let api = Api::start().await;
    api.finish("echo", "gone").await;
    for verb in ["raiseEvent/x", "terminate", "suspend", "resume"] {
        for (id, code) in [("nobody", 404), ("@counter@a", 404), ("gone", 410)] {
            let answer = api.post(&format!("/instances/{id}/{verb}"), "1").await;
            assert_eq!((answer.code, answer.body.as_str()), (code, ""), "{id} {verb}");
        }
    }
    assert_eq!(api.get("/instances/nobody").await.code, 404);
    api.stop().await;
}

#[tokio::test]
async fn a_suspended_instance_goes_on_when_it_is_resumed() {
    let api = Api::start().await;
    api.begin("wait", "a").await;
    assert_eq!(api.post("/instances/a/suspend?reason=lunch", "").await.code, 202);
    let answer = api.get("/instances/a").await;
    assert_eq!((answer.code, answer.field("runtimeStatus").as_str()), (202, "Suspended"));
    assert_eq!(api.post("/instances/a/suspend", "").await.code, 202);
    api.post("/instances/a/raiseEvent/reply", "1").await;
    assert_eq!(api.post("/instances/a/resume", "").await.code, 202);
    api.ended("a").await;
    assert_eq!(api.get("/instances/a").await.field("runtimeStatus"), "Completed");
    api.stop().await;
}

#[tokio::test]
async fn only_what_failed_can_be_rewound() {
    let api = Api::start().await;
    api.finish("echo", "a").await;
    let answer = api.post("/instances/nobody/rewind", "").await;
    let expected = r#""No orchestration with instance ID \"$nobody\" found.""#;
    assert_eq!((answer.code, answer.body.as_str()), (404, expected));
    let answer = api.post("/instances/a/rewind", "").await;
    let expected = "\"This orchestration has status Completed, but only orchestrations in the \
        \\\"Failed\\\" state can be rewound.\"";
    assert_eq!((answer.code, answer.body.as_str()), (412, expected));
    api.stop().await;
}
