//! How clients come in: one port for all protocols, tokens, TLS, and what is refused at the door.

use std::{fs, time::Duration};

use taskhub_server::{Config, Server};
use taskhub_wire::proto::{
    CreateInstanceRequest, InstanceQuery, QueryInstancesRequest, TaskFailureDetails,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codegen::http::uri::PathAndQuery,
    transport::{Certificate, ClientTlsConfig, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::v1::{
    ServerReflectionRequest, server_reflection_client::ServerReflectionClient,
    server_reflection_request::MessageRequest, server_reflection_response::MessageResponse,
};

use crate::running::{Client, Running, for_hub, get, start};

#[tokio::test]
async fn one_port_speaks_grpc_and_http() {
    let server = Running::plain().await;
    server.client().await.hello(()).await.unwrap();
    for path in ["/healthz", "/readyz", "/version"] {
        let response = server.get(path, "").await;
        assert!(response.starts_with("HTTP/1.1 200 "), "{path}: {response}");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_path_of_http_is_404() {
    let server = Running::plain().await;
    for path in ["/", "/TaskHubSidecarService/Hello", "/api/x"] {
        let response = server.get(path, "").await;
        assert!(response.starts_with("HTTP/1.1 404 "), "{path}: {response}");
    }
    let browser = server.get("/", "content-type: application/grpc-web\r\n").await;
    assert!(browser.starts_with("HTTP/1.1 404 "), "{browser}");
    server.stop().await;
}

#[tokio::test]
async fn an_unknown_call_of_grpc_is_unimplemented() {
    let server = Running::plain().await;
    let channel = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let mut grpc = Grpc::new(channel.connect().await.unwrap());
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/TaskHubSidecarService/Nothing");
    let codec = tonic_prost::ProstCodec::<(), ()>::default();
    let error = grpc.unary(Request::new(()), path, codec).await.unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented);
    server.stop().await;
}

#[tokio::test]
async fn health_and_reflection_are_answered() {
    let server = Running::plain().await;
    let channel = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let channel = channel.connect().await.unwrap();
    let request = HealthCheckRequest { service: "TaskHubSidecarService".to_owned() };
    let health = HealthClient::new(channel.clone()).check(request).await.unwrap();
    assert_eq!(health.into_inner().status, 1);
    let request = ServerReflectionRequest {
        host: String::new(),
        message_request: Some(MessageRequest::FileContainingSymbol(
            "TaskHubSidecarService".to_owned(),
        )),
    };
    let requests = futures::stream::iter([request]);
    let mut answers = ServerReflectionClient::new(channel)
        .server_reflection_info(requests)
        .await
        .unwrap()
        .into_inner();
    let answer = answers.message().await.unwrap().unwrap().message_response;
    assert!(matches!(answer, Some(MessageResponse::FileDescriptorResponse(_))), "{answer:?}");
    server.stop().await;
}

#[tokio::test]
async fn rubbish_is_refused_with_a_reason() {
    let server = Running::plain().await;
    let mut client = server.client().await;
    let nameless = CreateInstanceRequest { name: String::new(), ..start("a") };
    let long = CreateInstanceRequest { name: "x".repeat(2_000), ..start("a") };
    let mut wrong = vec![nameless, long];
    wrong.extend(["@counter@a", "a/b", &"x".repeat(201)].map(start));
    for request in wrong {
        let error = client.start_instance(request).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(!error.message().is_empty());
    }
    let query = InstanceQuery { runtime_status: vec![99], ..InstanceQuery::default() };
    let error = client.query_instances(QueryInstancesRequest { query: Some(query) }).await;
    assert_eq!(error.unwrap_err().code(), Code::InvalidArgument);
    for hub in ["", "a b", "../x", "a/b"] {
        let error = client.get_instance(for_hub(hub, get("a"))).await.unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument, "{hub}");
    }
    server.stop().await;
}

#[tokio::test]
async fn bytes_that_are_no_message_are_refused_with_a_reason() {
    let server = Running::plain().await;
    let channel = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
    let mut grpc = Grpc::new(channel.connect().await.unwrap());
    grpc.ready().await.unwrap();
    let path = PathAndQuery::from_static("/TaskHubSidecarService/StartInstance");
    let codec = tonic_prost::ProstCodec::<TaskFailureDetails, ()>::default();
    // Its fifth field is a number, where a start has a message.
    let message = TaskFailureDetails { is_non_retriable: true, ..Default::default() };
    let error = grpc.unary(Request::new(message), path, codec).await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    server.stop().await;
}

#[tokio::test]
async fn a_chunk_that_is_none_is_told_from_one_that_does_not_come() {
    let server = Running::plain().await;
    let head = "POST /runtime/webhooks/durabletask/orchestrators/charge HTTP/1.1\r\n";
    let chunks = "host: 127.0.0.1\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[1\r\nzz\r\n";
    let answer = server.raw(&format!("{head}{chunks}")).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("broke off"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn what_is_too_large_is_refused_with_a_hint() {
    let server = Running::with(|config| {
        config.limits.message_bytes = 10_000;
        config.limits.payload_bytes = 1_000;
    })
    .await;
    let mut client = server.client().await;
    for (bytes, hint) in [(5_000, "payload_bytes"), (50_000, "limits.message_bytes")] {
        let mut request = start("a");
        request.input = Some("x".repeat(bytes));
        let error = client.start_instance(request).await.unwrap_err();
        assert_eq!(error.code(), Code::ResourceExhausted, "{error}");
        assert!(error.message().contains(hint), "{error}");
    }
    server.stop().await;
}

fn with_token<T>(message: T, token: &str) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

#[tokio::test]
async fn with_tokens_only_those_who_know_one_are_let_in() {
    let server = Running::with(|config| config.tokens = vec!["sesame".to_owned()]).await;
    let mut client = server.client().await;
    let code = |result: Result<_, Status>| result.err().map(|status| status.code());
    assert_eq!(code(client.hello(()).await), Some(Code::Unauthenticated));
    let wrong = client.hello(with_token((), "sesam")).await;
    assert_eq!(code(wrong), Some(Code::Unauthenticated));
    assert_eq!(code(client.hello(with_token((), "sesame")).await), None);
    let version = server.get("/version", "").await;
    assert!(version.starts_with("HTTP/1.1 401 "), "{version}");
    let version = server.get("/version", "authorization: Bearer sesame\r\n").await;
    assert!(version.starts_with("HTTP/1.1 200 "), "{version}");
    let health = server.get("/healthz", "").await;
    assert!(health.starts_with("HTTP/1.1 200 "), "{health}");
    server.stop().await;
}

#[tokio::test]
async fn tls_is_spoken_with_a_certificate_of_ones_own() {
    let files = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
    fs::write(&cert, made.cert.pem()).unwrap();
    fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = taskhub_server::TlsConfig { cert, key };
    let server = Running::with(|config| config.tls = Some(tls)).await;
    let trust = ClientTlsConfig::new().ca_certificate(Certificate::from_pem(made.cert.pem()));
    let endpoint = Endpoint::from_shared(format!("https://localhost:{}", server.address.port()));
    let endpoint = endpoint.unwrap().tls_config(trust).unwrap();
    let mut client = Client::new(endpoint.connect().await.unwrap());
    client.start_instance(start("a")).await.unwrap();
    let url = format!("https://localhost:{}/runtime/webhooks/durabletask", server.address.port());
    let mut curl = tokio::process::Command::new("curl");
    curl.args(["-sSi", "-X", "POST", "--cacert"]).arg(files.path().join("cert.pem"));
    let answer = curl.arg(format!("{url}/orchestrators/charge/b")).output().await.unwrap();
    let answer = String::from_utf8([answer.stdout, answer.stderr].concat()).unwrap();
    let told = format!("location: {url}/instances/b?");
    assert!(answer.contains(" 202") && answer.contains(&told), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn a_connection_too_many_waits_until_another_ends() {
    let server = Running::with(|config| config.limits.connections = 1).await;
    let mut first = TcpStream::connect(server.address).await.unwrap();
    first.write_all(b"GET /healthz HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
    first.read_u8().await.unwrap();
    let mut second = Box::pin(server.get("/healthz", ""));
    let early = tokio::time::timeout(Duration::from_millis(100), second.as_mut()).await;
    assert!(early.is_err(), "{early:?}");
    drop(first);
    assert!(second.as_mut().await.starts_with("HTTP/1.1 200 "));
    drop(second);
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_lists_its_hubs_has_no_others() {
    let server = Running::with(|config| config.hubs.names = vec!["red".to_owned()]).await;
    let mut client = server.client().await;
    client.start_instance(for_hub("red", start("a"))).await.unwrap();
    let error = client.start_instance(start("a")).await.unwrap_err();
    assert_eq!(error.code(), Code::NotFound);
    server.stop().await;
}

#[tokio::test]
async fn there_are_only_so_many_hubs() {
    let server = Running::with(|config| config.hubs.count_max = 2).await;
    let mut client = server.client().await;
    client.start_instance(for_hub("red", start("a"))).await.unwrap();
    let error = client.start_instance(for_hub("blue", start("a"))).await.unwrap_err();
    assert_eq!(error.code(), Code::ResourceExhausted);
    server.stop().await;
}

#[tokio::test]
async fn an_empty_token_is_refused() {
    let mut config = Config::default();
    config.tokens = vec![String::new()];
    let error = Server::start(&config).await.unwrap_err().to_string();
    assert!(error.contains("a token is empty"), "{error}");
}

#[tokio::test]
async fn a_server_that_cannot_start_says_why() {
    let server = Running::plain().await;
    let mut config = Config::default();
    config.listen = vec!["127.0.0.1:0".to_owned()];
    config.data = server.folder.path().to_owned();
    let error = Server::start(&config).await.unwrap_err().to_string();
    assert!(error.contains("is in use"), "{error}");
    let other = tempfile::tempdir().unwrap();
    config.data = other.path().to_owned();
    config.listen = vec![server.address.to_string()];
    let error = Server::start(&config).await.unwrap_err().to_string();
    assert!(error.contains("cannot listen on"), "{error}");
    config.listen = vec!["127.0.0.1:0".to_owned(), server.address.to_string()];
    assert!(Server::start(&config).await.is_ok(), "only the first address must be free");
    let missing = other.path().join("cert.pem");
    config.tls = Some(taskhub_server::TlsConfig { cert: missing.clone(), key: missing });
    let error = Server::start(&config).await.unwrap_err().to_string();
    assert!(error.contains("cert.pem cannot be used"), "{error}");
    server.stop().await;
}
