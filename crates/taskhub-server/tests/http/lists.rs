//! Lists of instances.

use serde_json::Value;

use crate::running::{Answered, Api};

fn ids(answer: &Answered) -> Vec<String> {
    assert_eq!(answer.code, 200, "{answer:?}");
    let listed: Vec<Value> = serde_json::from_str(&answer.body).unwrap();
    listed.iter().map(|one| one["instanceId"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_list_shows_each_instance_as_its_status_does() {
    let api = Api::start().await;
    api.post("/orchestrators/echo/a", "[1]").await;
    api.ended("a").await;
    api.begin("wait", "b").await;
    let answer = api.get("/instances").await;
    let expected = "[{\"name\":\"echo\",\"instanceId\":\"a\",\"runtimeStatus\":\"Completed\",\
        \"input\":[1],\"customStatus\":null,\"output\":[1],\
        \"createdTime\":\"TIME\",\"lastUpdatedTime\":\"TIME\"},\
        {\"name\":\"wait\",\"instanceId\":\"b\",\"runtimeStatus\":\"Running\",\
        \"input\":null,\"customStatus\":{\"waits\":true},\"output\":null,\
        \"createdTime\":\"TIME\",\"lastUpdatedTime\":\"TIME\"}]";
    assert_eq!((answer.code, answer.timeless()), (200, expected.to_owned()));
    assert_eq!(answer.header("x-ms-continuation-token"), None);
    let hidden = api.get("/instances/?showInput=false").await;
    assert!(!hidden.body.contains("\"input\":[1]"), "{}", hidden.body);
    api.stop().await;
}

#[tokio::test]
async fn a_list_comes_page_by_page() {
    let api = Api::start().await;
    for id in ["a", "b", "c", "d", "e"] {
        api.finish("echo", id).await;
    }
    let mut found = Vec::new();
    let mut token = String::new();
    loop {
        let headers = [("x-ms-continuation-token", token.as_str())];
        let page = api.send_with("GET", "/instances?top=2", "", &headers).await;
        assert!(ids(&page).len() <= 2);
        found.extend(ids(&page));
        match page.header("x-ms-continuation-token") {
            Some(next) => token = next.to_owned(),
            None => break,
        }
    }
    assert_eq!(found, ["a", "b", "c", "d", "e"]);
    api.stop().await;
}

#[tokio::test]
async fn a_token_that_is_not_ours_is_refused() {
    let api = Api::start().await;
    let headers = [("x-ms-continuation-token", "bm90IG91cnM=")];
    assert_eq!(api.send_with("GET", "/instances", "", &headers).await.code, 400);
    api.stop().await;
}

#[tokio::test]
async fn a_list_is_narrowed_by_status_prefix_and_time() {
    let api = Api::start().await;
    api.finish("echo", "a1").await;
    api.finish("fail", "a2").await;
    api.begin("wait", "b1").await;
    for (query, expected) in [
        ("runtimeStatus=Completed", vec!["a1"]),
        ("runtimeStatus=Completed,Running", vec!["a1", "b1"]),
        ("runtimeStatus=Failed&runtimestatus=Running", vec!["a2", "b1"]),
        ("runtimeStatus=failed", vec!["a1", "a2", "b1"]),
        ("instanceIdPrefix=a", vec!["a1", "a2"]),
        ("createdTimeFrom=2999-01-01", vec![]),
        ("createdTimeFrom=whenever", vec!["a1", "a2", "b1"]),
        ("createdTimeFrom=2020-01-01T00:00:00Z&createdTimeTo=2999-01-01", vec!["a1", "a2", "b1"]),
        ("createdTimeTo=2020-01-01", vec![]),
    ] {
        let answer = api.get(&format!("/instances?{query}")).await;
        assert_eq!(ids(&answer), expected, "{query}");
    }
    api.stop().await;
}
