//! Entities: read, listed, and asked for operations.

use taskhub_core::InstanceId;

use crate::running::{Answered, Api};

/// The entity, as soon as its state is this.
async fn becomes(api: &Api, entity: &str, state: &str) -> Answered {
    loop {
        let answer = api.get(&format!("/entities/{entity}")).await;
        if answer.body == state {
            return answer;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn an_entity_does_what_it_is_asked_for_and_shows_its_state() {
    let api = Api::start().await;
    assert_eq!(api.get("/entities/Counter/a").await.code, 404);
    let answer = api.post("/entities/Counter/a?op=add", "5").await;
    assert_eq!((answer.code, answer.body.as_str()), (202, ""));
    let answer = becomes(&api, "counter/a", "5").await;
    assert_eq!(answer.code, 200);
    assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
    assert_eq!(api.delete("/entities/counter/a").await.code, 202);
    becomes(&api, "counter/a", "").await;
    assert_eq!(api.get("/entities/counter/a").await.code, 404);
    api.stop().await;
}

#[tokio::test]
async fn an_operation_takes_json_or_a_plain_text() {
    let api = Api::start().await;
    let text = [("content-type", "text/plain")];
    api.send_with("POST", "/entities/note/a?op=set", "say \"hi\"", &text).await;
    becomes(&api, "note/a", r#""say \"hi\"""#).await;
    assert_eq!(api.post("/entities/note/a", "{}").await.code, 202);
    becomes(&api, "note/a", "{}").await;
    let answer = api.post("/entities/note/a", "{").await;
    let expected = "{\"Message\":\"Could not parse JSON content: \
        EOF while parsing an object at line 1 column 1\"}";
    assert_eq!((answer.code, answer.body.as_str()), (400, expected));
    api.stop().await;
}

#[tokio::test]
async fn an_entity_needs_a_name() {
    let api = Api::start().await;
    assert_eq!(api.post("/entities", "{}").await.code, 400);
    assert_eq!(api.delete("/entities/").await.code, 400);
    assert_eq!(api.post("/entities/no@te/a", "{}").await.code, 400);
    api.stop().await;
}

#[tokio::test]
async fn an_entity_is_forgotten_only_while_it_has_nothing_to_do() {
    let api = Api::start().await;
    assert_eq!(api.delete("/instances/@counter@a").await.body, "{\"instancesDeleted\":0}");
    api.post("/entities/counter/a?op=add", "").await;
    becomes(&api, "counter/a", "1").await;
    assert_eq!(api.delete("/instances/@counter@a").await.body, "{\"instancesDeleted\":1}");
    assert_eq!(api.get("/entities/counter/a").await.code, 404);
    // Nobody performs the operations of this one, so it never comes to rest.
    let id = InstanceId::entity("nobody", "a").unwrap();
    api.post("/entities/nobody/a?op=add", "").await;
    let answer = api.delete(&format!("/instances/{id}")).await;
    assert_eq!(answer.code, 412, "{}", answer.body);
    api.stop().await;
}

#[tokio::test]
async fn a_dollar_or_nothing_stands_for_the_empty_key() {
    let api = Api::start().await;
    api.post("/entities/counter/$?op=add", "").await;
    becomes(&api, "counter/$", "1").await;
    api.post("/entities/counter?op=add", "").await;
    becomes(&api, "counter/$", "2").await;
    let listed = api.get("/entities/counter").await;
    assert!(listed.body.contains("{\"name\":\"counter\",\"key\":\"\"}"), "{}", listed.body);
    api.stop().await;
}

#[tokio::test]
async fn entities_are_listed_by_name_with_their_states_on_demand() {
    let api = Api::start().await;
    for entity in ["counter/a", "counter/b", "note/c"] {
        api.post(&format!("/entities/{entity}?op=add"), "").await;
        becomes(&api, entity, "1").await;
    }
    let answer = api.get("/entities/Counter?fetchState=true").await;
    let expected = "[{\"entityId\":{\"name\":\"counter\",\"key\":\"a\"},\
        \"lastOperationTime\":\"TIME\",\"state\":1},\
        {\"entityId\":{\"name\":\"counter\",\"key\":\"b\"},\
        \"lastOperationTime\":\"TIME\",\"state\":1}]";
    assert_eq!((answer.code, answer.timeless()), (200, expected.to_owned()));
    let answer = api.get("/entities/counter/").await;
    assert_eq!(answer.timeless(), expected.replace("\"state\":1", "\"state\":null"));
    let page = api.get("/entities/?top=2").await;
    let token = page.header("x-ms-continuation-token").unwrap().to_owned();
    let headers = [("x-ms-continuation-token", token.as_str())];
    let rest = api.send_with("GET", "/entities?top=2", "", &headers).await;
    assert!(rest.body.contains("\"note\""), "{}", rest.body);
    let none = api.get("/entities?lastOperationTimeTo=2020-01-01").await;
    assert_eq!((none.code, none.body.as_str()), (200, "[]"));
    assert_eq!(api.get("/instances").await.body, "[]", "entities are no instances");
    api.stop().await;
}
