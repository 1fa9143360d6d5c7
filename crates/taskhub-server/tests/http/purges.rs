//! Purges: which instances are forgotten, and which are spared.

use crate::running::Api;

#[tokio::test]
async fn an_instance_that_ended_is_forgotten() {
    let api = Api::start().await;
    api.finish("echo", "a").await;
    let answer = api.delete("/instances/a").await;
    assert_eq!((answer.code, answer.body.as_str()), (200, "{\"instancesDeleted\":1}"));
    assert_eq!(api.delete("/instances/a").await.code, 404);
    assert_eq!(api.get("/instances/a").await.code, 404);
    api.stop().await;
}

#[tokio::test]
async fn an_instance_that_runs_is_not_forgotten() {
    let api = Api::start().await;
    api.begin("wait", "a").await;
    let answer = api.delete("/instances/a").await;
    let expected = "\"Only orchestrations in a terminal state can be purged, but the orchestration \
        with instance ID a has status Running\"";
    assert_eq!((answer.code, answer.body.as_str()), (412, expected));
    assert_eq!(api.get("/instances/a").await.code, 202);
    api.stop().await;
}

#[tokio::test]
async fn a_purge_of_many_needs_a_beginning() {
    let api = Api::start().await;
    for query in ["", "?createdTimeFrom=yesterday", "?createdTimeTo=2020-01-01"] {
        let answer = api.delete(&format!("/instances{query}")).await;
        let expected = "\"Please provide value for 'createdTimeFrom' parameter.\"";
        assert_eq!((answer.code, answer.body.as_str()), (400, expected), "{query}");
    }
    api.stop().await;
}

#[tokio::test]
async fn a_purge_of_many_takes_what_ended_and_matches() {
    let api = Api::start().await;
    for id in ["a", "b"] {
        api.finish("echo", id).await;
    }
    api.finish("fail", "c").await;
    api.begin("wait", "d").await;
    let none = api.delete("/instances?createdTimeFrom=2999-01-01").await;
    assert_eq!((none.code, none.body.as_str()), (404, ""));
    let running = api.delete("/instances?createdTimeFrom=2020-01-01&runtimeStatus=Running").await;
    assert_eq!(running.code, 404, "only what ended can be forgotten");
    let from = "createdTimeFrom=2020-01-01T00:00:00Z";
    let completed = format!("/instances/?{from}&runtimeStatus=Completed,Running");
    assert_eq!(api.delete(&completed).await.body, "{\"instancesDeleted\":2}");
    let all = api.delete(&format!("/instances?{from}")).await;
    assert_eq!(all.body, "{\"instancesDeleted\":1}");
    assert_eq!(api.get("/instances/d").await.code, 202);
    api.stop().await;
}

#[tokio::test]
async fn a_purge_of_many_spares_what_triggers_remember() {
    let api = Api::start().await;
    api.finish("taskhub.own", "receipt-1").await;
    let from = "createdTimeFrom=2020-01-01";
    assert_eq!(api.delete(&format!("/instances?{from}")).await.code, 404);
    let named = format!("/instances?{from}&instanceIdPrefix=receipt-");
    assert_eq!(api.delete(&named).await.body, "{\"instancesDeleted\":1}");
    api.stop().await;
}
