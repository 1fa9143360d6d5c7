//! Instances, started and restarted.

use std::sync::{Arc, atomic::AtomicBool};

use axum::{body::Body, http::Request};
use taskhub_server::Keys;

use crate::running::{Api, BASE};

#[tokio::test]
async fn a_start_is_answered_with_all_addresses_of_the_instance() {
    let api = Api::start().await;
    let answer = api.post("/orchestrators/wait/order-1", "{\"a\": 1}").await;
    assert_eq!(answer.code, 202);
    let at = format!("http://{}{BASE}/instances/order-1", api.address);
    let which = "taskHub=Test&connection=Storage";
    let expected = format!(
        "{{\"id\":\"order-1\",\
         \"statusQueryGetUri\":\"{at}?{which}\",\
         \"sendEventPostUri\":\"{at}/raiseEvent/{{eventName}}?{which}\",\
         \"terminatePostUri\":\"{at}/terminate?reason={{text}}&{which}\",\
         \"purgeHistoryDeleteUri\":\"{at}?{which}\",\
         \"restartPostUri\":\"{at}/restart?{which}\",\
         \"suspendPostUri\":\"{at}/suspend?reason={{text}}&{which}\",\
         \"resumePostUri\":\"{at}/resume?reason={{text}}&{which}\"}}"
    );
    assert_eq!(answer.body, expected);
    assert_eq!(answer.header("location"), Some(&*format!("{at}?{which}")));
    assert_eq!(answer.header("retry-after"), Some("10"));
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    api.stop().await;
}

#[tokio::test]
async fn a_start_without_a_name_is_404() {
    let api = Api::start().await;
    for path in ["orchestrators//a", "orchestrators/%20", "orchestrators/+/a", "orchestrators"] {
        assert_eq!(api.post(&format!("/{path}"), "").await.code, 404, "{path}");
    }
    assert_eq!(api.get("/instances").await.body, "[]");
    api.stop().await;
}

#[tokio::test]
async fn a_mark_of_the_byte_order_is_no_part_of_a_body() {
    let api = Api::start().await;
    let answer = api.post("/orchestrators/echo?timeout=3600", "\u{feff}[1]").await;
    assert_eq!((answer.code, answer.body.as_str()), (200, "[1]"));
    let answer = api.post("/orchestrators/echo?timeout=3600", "\u{feff}").await;
    assert_eq!((answer.code, answer.body.as_str()), (200, "null"), "this is no input");
    api.stop().await;
}

/// However late a try comes: also when what the first one started has ended.
#[tokio::test]
async fn a_start_with_a_key_is_done_once() {
    let api = Api::start().await;
    let start = async |path: &str, key: &str| {
        let request = Request::post(format!("{BASE}/orchestrators/{path}"));
        let request = request.header("idempotency-key", key).body(Body::empty());
        api.request(request.expect("a request")).await
    };
    for path in ["wait", "wait/order-1"] {
        let id = start(path, "a").await.field("id");
        assert_eq!(api.post(&format!("/instances/{id}/terminate"), "").await.code, 202);
        let again = start(path, "a").await;
        assert_eq!((again.code, again.field("id")), (202, id.clone()));
        let status = api.get(&format!("/instances/{id}")).await;
        assert_eq!(status.field("runtimeStatus"), "Terminated", "it is not started anew");
    }
    assert_ne!(start("wait", "b").await.field("id"), start("wait", "a").await.field("id"));
    assert_eq!(start("wait", "").await.code, 400);
    api.stop().await;
}

#[tokio::test]
async fn without_an_id_each_start_gets_its_own() {
    let api = Api::start().await;
    let first = api.post("/orchestrators/echo", "").await.field("id");
    let second = api.post("/orchestrators/echo/", "").await.field("id");
    assert_ne!(first, second);
    assert_eq!(first.len(), 32);
    api.ended(&first).await;
    assert_eq!(api.get(&format!("/instances/{first}")).await.code, 200);
    api.stop().await;
}

#[tokio::test]
async fn the_id_of_an_instance_that_runs_is_refused_and_that_of_one_that_ended_is_not() {
    let api = Api::start().await;
    api.begin("wait", "a").await;
    let answer = api.post("/orchestrators/wait/a", "").await;
    assert_eq!(answer.code, 409);
    assert!(answer.field("Message").contains("already exists"), "{}", answer.body);
    api.post("/instances/a/terminate", "").await;
    assert_eq!(api.post("/orchestrators/wait/a", "").await.code, 202);
    api.stop().await;
}

#[tokio::test]
async fn an_input_that_is_no_json_is_refused() {
    let api = Api::start().await;
    let answer = api.post("/orchestrators/echo/a", "{\"a\":").await;
    assert_eq!(answer.code, 400);
    let expected = "{\"Message\":\"Invalid JSON content\",\
        \"ExceptionMessage\":\"EOF while parsing a value at line 1 column 5\",\
        \"ExceptionType\":\"Newtonsoft.Json.JsonReaderException\",\"StackTrace\":null}";
    assert_eq!(answer.body, expected);
    assert_eq!(api.get("/instances/a").await.code, 404);
    api.stop().await;
}

#[tokio::test]
async fn an_id_that_cannot_be_one_is_refused() {
    let api = Api::start().await;
    for id in ["@counter@a", "a%23b", "a%3Fb", &"x".repeat(201)] {
        let answer = api.post(&format!("/orchestrators/echo/{id}"), "").await;
        assert_eq!(answer.code, 400, "{id}");
        let begins = answer.body.starts_with("{\"Message\":\"an instance id ");
        assert!(begins && !answer.body.contains("Exception"), "{}", answer.body);
    }
    api.stop().await;
}

#[tokio::test]
async fn a_body_that_is_too_long_is_refused() {
    let api = Api::start().await;
    let body = format!("\"{}\"", "x".repeat(api.hub.limits().payload_bytes_max));
    assert_eq!(api.post("/orchestrators/echo/a", &body).await.code, 413);
    api.stop().await;
}

#[tokio::test]
async fn paths_and_the_names_of_parameters_are_found_in_any_spelling() {
    let api = Api::start().await;
    for (place, path) in [
        "/runtime/webhooks/DurableTask/Orchestrators/echo/a0?TaskHub=Test",
        "/runtime/webhooks/durableTask/orchestrators/echo/a1/?TASKHUB=Test&CODE=x",
    ]
    .iter()
    .enumerate()
    {
        let request = Request::post(*path).body(Body::from("7")).unwrap();
        let answer = api.request(request).await;
        assert_eq!(answer.code, 202, "{path}");
        assert_eq!(answer.field("id"), format!("a{place}"));
    }
    api.ended("a0").await;
    let answer = api.get("/INSTANCES/a0?SHOWINPUT=False").await;
    assert_eq!((answer.code, answer.body.contains("\"input\":null")), (200, true));
    api.stop().await;
}

#[tokio::test]
async fn a_hub_that_is_not_there_is_refused() {
    let api = Api::start().await;
    assert_eq!(api.post("/orchestrators/echo?taskHub=Other", "").await.code, 404);
    assert_eq!(api.post("/orchestrators/echo?taskHub=..%2Fx", "").await.code, 400);
    assert_eq!(api.post("/orchestrators/echo?taskHub=", "").await.code, 202);
    api.stop().await;
}

#[tokio::test]
async fn what_is_not_there_is_404_whatever_the_method() {
    let api = Api::start().await;
    for (method, path) in [
        ("GET", "/orchestrators/echo"),
        ("PUT", "/instances/a"),
        ("POST", "/instances"),
        ("GET", "/instances/a/terminate"),
        ("POST", "/instances/a/explode"),
        ("PATCH", "/entities/counter/a"),
        ("GET", "/"),
        ("GET", "/nothing"),
    ] {
        assert_eq!(api.send(method, path, "").await.code, 404, "{method} {path}");
    }
    assert_eq!(api.post("/makePrimary/", "").await.code, 200);
    api.stop().await;
}

#[tokio::test]
async fn a_restart_runs_the_same_again_under_a_new_id() {
    let api = Api::start().await;
    api.post("/orchestrators/echo/a", "[1]").await;
    api.ended("a").await;
    let answer = api.post("/instances/a/restart", "").await;
    assert_eq!(answer.code, 202);
    let id = answer.field("id");
    assert_ne!(id, "a");
    api.ended(&id).await;
    let status = api.get(&format!("/instances/{id}")).await;
    assert!(status.body.contains("\"name\":\"echo\""), "{}", status.body);
    assert!(status.body.contains("\"output\":[1]"), "{}", status.body);
    api.stop().await;
}

#[tokio::test]
async fn a_restart_under_the_same_id_needs_an_end() {
    let api = Api::start().await;
    api.begin("wait", "a").await;
    let again = "/instances/a/restart?restartWithNewInstanceId=false";
    let answer = api.post(again, "").await;
    assert_eq!(answer.code, 409);
    let message = "A non-terminal instance with this instance ID already exists.";
    assert_eq!(answer.field("Message"), message);
    assert!(answer.field("ExceptionType").ends_with(".OrchestrationAlreadyExistsException"));
    api.post("/instances/a/terminate", "").await;
    let answer = api.post(again, "").await;
    assert_eq!((answer.code, answer.field("id").as_str()), (202, "a"));
    let answer = api.post("/instances/nobody/restart", "").await;
    assert_eq!(answer.code, 400);
    let message = "InstanceId does not match a valid orchestration instance.";
    assert_eq!(answer.field("Message"), message);
    assert_eq!(answer.field("ExceptionType"), "System.ArgumentException");
    api.stop().await;
}

#[tokio::test]
async fn whom_other_machines_reach_needs_a_key_before_anybody_is_let_in() {
    let api = Api::start_with(|api| api.keys(Keys::none(), Arc::new(AtomicBool::new(false)))).await;
    let answer = api.post("/orchestrators/echo", "").await;
    assert_eq!(answer.code, 401);
    assert!(answer.field("Message").contains("taskhub keys create"), "{}", answer.body);
    api.stop().await;
}
