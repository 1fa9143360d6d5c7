//! Histories in a status, trimmed as clients know them.

use crate::running::{Answered, Api};

fn history(answer: &Answered) -> String {
    let text = answer.timeless();
    let (_, history) = text.split_once("\"historyEvents\":").unwrap();
    history.strip_suffix('}').unwrap().to_owned()
}

/// Runs `steps` until it waits for its last event.
async fn steps(api: &Api) {
    api.begin("steps", "a").await;
    while !api.get("/instances/a?showHistory=true").await.body.contains("EventSent") {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_history_is_shown_only_on_demand() {
    let api = Api::start().await;
    api.finish("echo", "a").await;
    assert!(!api.get("/instances/a").await.body.contains("historyEvents"));
    let all = api.get("/instances/a?showHistory=true&showInput=false").await;
    let expected = "[{\"EventType\":\"ExecutionStarted\",\"Timestamp\":\"TIME\",\
        \"FunctionName\":\"echo\"},\
        {\"EventType\":\"ExecutionCompleted\",\"OrchestrationStatus\":\"Completed\",\
        \"Timestamp\":\"TIME\"}]";
    assert_eq!(history(&all), expected);
    api.stop().await;
}

#[tokio::test]
async fn calls_and_their_ends_are_one_entry() {
    let api = Api::start().await;
    steps(&api).await;
    api.post("/instances/a/raiseEvent/go", "{\"b\":2}").await;
    api.ended("a").await;
    let all = api.get("/instances/a?showHistory=true&showHistoryOutput=true").await;
    let expected = "[{\"EventType\":\"ExecutionStarted\",\"Timestamp\":\"TIME\",\
        \"FunctionName\":\"steps\",\"Input\":null},\
        {\"EventType\":\"TaskCompleted\",\"Result\":\"A\",\"Timestamp\":\"TIME\",\
        \"ScheduledTime\":\"TIME\",\"FunctionName\":\"upper\",\"Input\":\"\\\"a\\\"\"},\
        {\"EventType\":\"SubOrchestrationInstanceCompleted\",\"Result\":\"A\",\
        \"Timestamp\":\"TIME\",\"ScheduledTime\":\"TIME\",\"FunctionName\":\"echo\",\
        \"Input\":\"\\\"A\\\"\"},\
        {\"EventType\":\"TimerCreated\",\"FireAt\":\"TIME\",\"Timestamp\":\"TIME\"},\
        {\"EventType\":\"TimerFired\",\"FireAt\":\"TIME\",\"Timestamp\":\"TIME\"},\
        {\"EventType\":\"EventSent\",\"InstanceId\":\"a\",\"Name\":\"hello\",\
        \"Timestamp\":\"TIME\",\"Input\":\"1\"},\
        {\"EventType\":\"EventRaised\",\"Name\":\"hello\",\"Timestamp\":\"TIME\",\"Input\":\"1\"},\
        {\"EventType\":\"EventRaised\",\"Name\":\"go\",\"Timestamp\":\"TIME\",\
        \"Input\":\"{\\\"b\\\":2}\"},\
        {\"EventType\":\"ExecutionCompleted\",\"OrchestrationStatus\":\"Completed\",\
        \"Result\":[\"done\"],\"Timestamp\":\"TIME\"}]";
    assert_eq!(history(&all), expected);
    api.stop().await;
}

#[tokio::test]
async fn results_and_inputs_are_left_out_on_demand() {
    let api = Api::start().await;
    steps(&api).await;
    let brief = api.get("/instances/a?showHistory=true&showInput=false").await;
    let history = history(&brief);
    assert!(!history.contains("Result"), "{history}");
    assert!(!history.contains("Input"), "{history}");
    assert!(history.contains("\"FunctionName\":\"upper\""), "{history}");
    api.stop().await;
}

#[tokio::test]
async fn a_failure_is_told_with_its_causes() {
    let api = Api::start().await;
    api.finish("fail", "a").await;
    let all = api.get("/instances/a?showHistory=true&showHistoryOutput=true").await;
    let details = "\"FailureDetails\":{\"ErrorType\":\"Broken\",\
        \"ErrorMessage\":\"the cup is broken\",\"StackTrace\":null,\
        \"InnerFailure\":{\"ErrorType\":\"Gravity\",\"ErrorMessage\":\"it fell\",\
        \"StackTrace\":null,\"InnerFailure\":null,\"IsNonRetriable\":false},\
        \"IsNonRetriable\":false}";
    let expected = format!(
        "{{\"EventType\":\"TaskFailed\",\"Reason\":\"the cup is broken\",{details},\
         \"Timestamp\":\"TIME\",\"ScheduledTime\":\"TIME\",\"FunctionName\":\"break\",\
         \"Input\":\"\\\"cup\\\"\"}},\
         {{\"EventType\":\"ExecutionCompleted\",\"OrchestrationStatus\":\"Failed\",\
         \"Result\":\"the cup is broken: it fell\",{details},\"Timestamp\":\"TIME\"}}]"
    );
    let history = history(&all);
    assert!(history.ends_with(&expected), "{history}");
    api.stop().await;
}

#[tokio::test]
async fn a_call_that_has_not_ended_stays_in_the_history() {
    let api = Api::start().await;
    api.begin("wait", "a").await;
    api.post("/instances/a/suspend?reason=why", "").await;
    let all = history(&api.get("/instances/a?showHistory=true").await);
    let expected = "{\"EventType\":\"ExecutionSuspended\",\"Reason\":\"why\",\
        \"Timestamp\":\"TIME\"}]";
    assert!(all.ends_with(expected), "{all}");
    api.stop().await;
}
