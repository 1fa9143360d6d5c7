//! Instances that are forgotten by themselves after they have ended.

use crate::running::{Running, start, state};
use taskhub_wire::proto::TerminateRequest;

#[tokio::test]
async fn what_ended_is_forgotten_when_it_is_old_enough_and_nothing_else() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    for id in ["ended", "pending"] {
        client.start_instance(start(id)).await.unwrap();
    }
    let end = TerminateRequest { instance_id: "ended".to_owned(), ..TerminateRequest::default() };
    client.terminate_instance(end).await.unwrap();
    let folder = server.stop().await;
    let server = Running::again(folder, |config| {
        config.retention.terminated = Some("0s".parse().unwrap());
        config.retention.completed = Some("1d".parse().unwrap());
    })
    .await;
    let mut client = server.client().await;
    while state(&mut client, "ended").await.unwrap().is_some() {
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    assert!(state(&mut client, "pending").await.unwrap().is_some());
    server.stop().await;
}
