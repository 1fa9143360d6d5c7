//! Lists and purges.

use taskhub_core::store::Filter;
use taskhub_server::HubName;
use taskhub_wire::proto::{
    InstanceBatch, InstanceQuery, ListInstanceIdsRequest, OrchestrationStatus, PurgeInstanceFilter,
    PurgeInstancesRequest, QueryInstancesRequest, TerminateRequest,
    purge_instances_request::Request as What,
};
use tonic::Code;

use crate::running::{Client, Running, start, state};

/// `a-0` to `a-4`, of which the first two have ended.
async fn five(client: &mut Client) {
    for number in 0..5 {
        client.start_instance(start(&format!("a-{number}"))).await.unwrap();
    }
    for number in 0..2 {
        let instance_id = format!("a-{number}");
        let request = TerminateRequest { instance_id, output: None, recursive: false };
        client.terminate_instance(request).await.unwrap();
    }
}

/// The ids on all pages.
async fn query(client: &mut Client, mut query: InstanceQuery) -> Vec<String> {
    let mut ids = Vec::new();
    loop {
        let request = QueryInstancesRequest { query: Some(query.clone()) };
        let page = client.query_instances(request).await.unwrap().into_inner();
        ids.extend(page.orchestration_state.into_iter().map(|state| state.instance_id));
        query.continuation_token = page.continuation_token;
        if query.continuation_token.is_none() {
            return ids;
        }
    }
}

async fn purge(client: &mut Client, what: What) -> (i32, Option<bool>) {
    let request = PurgeInstancesRequest { request: Some(what), ..Default::default() };
    let purged = client.purge_instances(request).await.unwrap().into_inner();
    (purged.deleted_instance_count, purged.is_complete)
}

#[tokio::test]
async fn a_list_has_what_matches_on_as_many_pages_as_it_needs() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    five(&mut client).await;
    client.start_instance(start("b")).await.unwrap();
    let all = InstanceQuery { max_instance_count: 2, ..InstanceQuery::default() };
    assert_eq!(query(&mut client, all.clone()).await.len(), 6);
    let ended = InstanceQuery {
        runtime_status: vec![OrchestrationStatus::Terminated.into()],
        ..all.clone()
    };
    assert_eq!(query(&mut client, ended).await, ["a-0", "a-1"]);
    let prefixed = InstanceQuery { instance_id_prefix: Some("b".to_owned()), ..all.clone() };
    assert_eq!(query(&mut client, prefixed).await, ["b"]);
    let created = state(&mut client, "b").await.unwrap().unwrap().created_timestamp;
    let before = InstanceQuery { created_time_to: created, ..all.clone() };
    let after = InstanceQuery { created_time_from: created, ..all };
    assert_eq!(query(&mut client, before).await.len(), 5, "the end of a span is exclusive");
    assert_eq!(query(&mut client, after).await, ["b"]);
    server.stop().await;
}

#[tokio::test]
async fn large_payloads_make_short_pages_and_nothing_is_lost() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    for number in 0..4 {
        let mut request = start(&format!("a-{number}"));
        request.input = Some("x".repeat(1_500_000));
        client.start_instance(request).await.unwrap();
    }
    let with = InstanceQuery { fetch_inputs_and_outputs: true, ..InstanceQuery::default() };
    assert_eq!(query(&mut client, with).await.len(), 4);
    server.stop().await;
}

/// What a client receives by default is less than all of this.
#[tokio::test]
async fn large_labels_make_short_pages_and_nothing_is_lost() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    for number in 0..80 {
        let mut request = start(&format!("a-{number}"));
        request.tags = [("label".to_owned(), "x".repeat(60_000))].into();
        client.start_instance(request).await.unwrap();
    }
    assert_eq!(query(&mut client, InstanceQuery::default()).await.len(), 80);
    server.stop().await;
}

#[tokio::test]
async fn ids_are_listed_of_what_has_ended() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    five(&mut client).await;
    let first = ListInstanceIdsRequest { page_size: 1, ..Default::default() };
    let page = client.list_instance_ids(first.clone()).await.unwrap().into_inner();
    assert_eq!(page.instance_ids, ["a-0"]);
    let next = ListInstanceIdsRequest { last_instance_key: page.last_instance_key, ..first };
    let page = client.list_instance_ids(next).await.unwrap().into_inner();
    assert_eq!(page.instance_ids, ["a-1"]);
    server.stop().await;
}

#[tokio::test]
async fn only_what_has_ended_is_purged() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    five(&mut client).await;
    assert_eq!(purge(&mut client, What::InstanceId("nobody".to_owned())).await, (0, Some(true)));
    assert_eq!(purge(&mut client, What::InstanceId("a-4".to_owned())).await, (0, Some(true)));
    assert_eq!(purge(&mut client, What::InstanceId("a-0".to_owned())).await, (1, Some(true)));
    let batch = ["a-1", "a-2", "nobody"].map(str::to_owned).to_vec();
    let batch = What::InstanceBatch(InstanceBatch { instance_ids: batch });
    assert_eq!(purge(&mut client, batch).await, (1, Some(true)));
    assert_eq!(query(&mut client, InstanceQuery::default()).await, ["a-2", "a-3", "a-4"]);
    server.stop().await;
}

#[tokio::test]
async fn a_filter_purges_all_that_match_and_have_ended() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    five(&mut client).await;
    let failed = PurgeInstanceFilter {
        runtime_status: vec![OrchestrationStatus::Failed.into()],
        ..Default::default()
    };
    assert_eq!(purge(&mut client, What::PurgeInstanceFilter(failed)).await, (0, Some(true)));
    let all = What::PurgeInstanceFilter(PurgeInstanceFilter::default());
    assert_eq!(purge(&mut client, all).await, (2, Some(true)));
    server.stop().await;
}

#[tokio::test]
async fn a_token_of_somebody_else_is_refused() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    for token in ["x", "1", "x|a", "|"] {
        let query = InstanceQuery {
            continuation_token: Some(token.to_owned()),
            ..InstanceQuery::default()
        };
        let request = QueryInstancesRequest { query: Some(query) };
        let error = client.query_instances(request).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{token}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_page_ends_before_its_outputs_are_more_than_memory_should_hold() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    for number in 0..6 {
        let instance_id = format!("a-{number}");
        client.start_instance(start(&instance_id)).await.unwrap();
        let output = Some("x".repeat(3 << 20));
        let end = TerminateRequest { instance_id, output, recursive: false };
        client.terminate_instance(end).await.unwrap();
    }
    let hub = server.hubs.hub(&HubName::default()).await.unwrap();
    for prefix in [None, Some("a-".into())] {
        let mut filter = Filter { prefix, limit: 100, ..Filter::default() };
        let first = hub.query(filter.clone()).await.unwrap();
        filter.after = first.next;
        let second = hub.query(filter).await.unwrap();
        assert_eq!((first.instances.len(), second.instances.len()), (3, 3));
    }
    server.stop().await;
}
