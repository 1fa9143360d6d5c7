//! Who may manage instances over HTTP: whoever has a key, and everybody here while there is none.

use std::{process::Command, time::Duration};

use taskhub_server::Keys;
use taskhub_wire::keys::{Key, keys_client::KeysClient};
use tokio::{io::AsyncWriteExt as _, net::TcpStream};
use tonic::{Code, Request, transport::Endpoint};

use crate::running::{Client, Running, start as starting};

const START: &str = "/runtime/webhooks/durabletask/orchestrators/charge";

/// Starts an instance: the head and the body of the answer.
async fn start(server: &Running, query: &str, headers: &str) -> String {
    let head =
        format!("POST {START}{query} HTTP/1.1\r\nhost: localhost:7071\r\nconnection: close\r\n");
    server.raw(&format!("{head}content-length: 0\r\n{headers}\r\n")).await
}

/// A server on a folder with one key.
async fn with_key() -> (Running, String) {
    let folder = tempfile::tempdir().unwrap();
    let key = Keys::open(folder.path()).unwrap().create("default", None).unwrap();
    (Running::again(folder, |_| {}).await, key)
}

#[tokio::test]
async fn on_this_machine_nobody_needs_a_key_while_there_is_none() {
    let server = Running::plain().await;
    let answer = start(&server, "", "").await;
    assert!(answer.starts_with("HTTP/1.1 202 "), "{answer}");
    assert!(!answer.contains("code="), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn what_came_by_another_name_or_by_a_proxy_needs_a_key() {
    let server = Running::plain().await;
    let head =
        |host: &str| format!("POST {START} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n");
    for (host, headers, code) in [
        ("evil.example", "", "401"),
        ("localhost", "x-forwarded-for: 192.0.2.1\r\n", "401"),
        ("LOCALHOST", "", "202"),
        ("127.0.0.1:1", "", "202"),
        ("[::1]:7071", "", "202"),
    ] {
        let answer = server.raw(&format!("{}content-length: 0\r\n{headers}\r\n", head(host))).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{host}: {answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn calls_of_grpc_by_another_name_by_a_proxy_or_of_a_page_need_a_token() {
    let server = Running::plain().await;
    let port = server.address.port();
    let cases = [
        ("evil.example", None, false),
        ("localhost", Some(("x-forwarded-for", "192.0.2.1")), false),
        ("localhost", Some(("origin", "http://evil.example")), false),
        ("LOCALHOST", None, true),
        ("127.0.0.1", None, true),
        ("[::1]", None, true),
    ];
    for (number, (name, header, is_let_in)) in cases.into_iter().enumerate() {
        let endpoint = Endpoint::from_shared(format!("http://{}", server.address)).unwrap();
        let endpoint = endpoint.origin(format!("http://{name}:{port}").parse().unwrap());
        let channel = endpoint.connect().await.unwrap();
        let mut key = Request::new(Key { name: format!("k{number}"), ..Key::default() });
        let mut instance = Request::new(starting(&format!("i{number}")));
        if let Some((header, value)) = header {
            key.metadata_mut().insert(header, value.parse().unwrap());
            instance.metadata_mut().insert(header, value.parse().unwrap());
        }
        let made = KeysClient::new(channel.clone()).create(key).await.map_err(|it| it.code());
        let begun = Client::new(channel).start_instance(instance).await.map_err(|it| it.code());
        let expected = (!is_let_in).then_some(Code::Unauthenticated);
        assert_eq!((made.err(), begun.err()), (expected, expected), "{name} {header:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn grpc_is_not_spoken_over_http_1() {
    let server = Running::plain().await;
    let path = "/taskhub.keys.Keys/List";
    let head = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n");
    let headers = "content-type: application/grpc\r\ncontent-length: 5\r\n\r\n\0\0\0\0\0";
    let answer = server.raw(&format!("{head}{headers}")).await;
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn with_keys_only_those_who_know_one_are_let_in() {
    let (server, key) = with_key().await;
    for (query, headers) in [("", ""), ("?code=wrong", ""), ("", "x-functions-key: wrong\r\n")] {
        let answer = start(&server, query, headers).await;
        assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    }
    let by_header = start(&server, "", &format!("X-Functions-Key: {key}\r\n")).await;
    assert!(by_header.starts_with("HTTP/1.1 202 "), "{by_header}");
    let by_query = start(&server, &format!("?code={key}"), "").await;
    assert!(by_query.starts_with("HTTP/1.1 202 "), "{by_query}");
    let address = format!("?taskHub=default&connection=Storage&code={key}");
    assert!(by_query.contains(&address), "whoever is given an address can use it");
    server.stop().await;
}

#[tokio::test]
async fn a_token_is_as_good_as_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let key = Keys::open(folder.path()).unwrap().create("default", None).unwrap();
    let server = Running::again(folder, |config| config.tokens = vec!["sesame".to_owned()]).await;
    for (headers, code) in [
        (String::new(), "401"),
        ("authorization: Bearer wrong\r\n".to_owned(), "401"),
        ("authorization: Bearer sesame\r\n".to_owned(), "202"),
        (format!("x-functions-key: {key}\r\n"), "202"),
    ] {
        let answer = start(&server, "", &headers).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{headers}: {answer}");
    }
    server.stop().await;
}

#[tokio::test]
async fn with_tokens_but_no_keys_a_token_is_needed() {
    let server = Running::with(|config| config.tokens = vec!["sesame".to_owned()]).await;
    let answer = start(&server, "", "").await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn web_pages_from_elsewhere_are_refused_unless_their_origin_is_listed() {
    let origins = vec!["https://good.example".to_owned()];
    let server = Running::with(|config| config.http.origins = origins).await;
    for (origin, code) in [
        ("https://bad.example", "401"),
        ("https://good.example", "202"),
        ("http://localhost:7071", "202"),
    ] {
        let answer = start(&server, "", &format!("origin: {origin}\r\n")).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {code} ")), "{origin}: {answer}");
        let told = answer.contains("access-control-allow-origin: https://good.example");
        assert_eq!(told, origin == "https://good.example", "{answer}");
    }
    let asked = format!(
        "OPTIONS {START} HTTP/1.1\r\nhost: localhost:7071\r\nconnection: close\r\n\
         origin: https://good.example\r\naccess-control-request-method: POST\r\n\
         access-control-request-headers: x-functions-key\r\n\r\n"
    );
    let answer = server.raw(&asked).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    assert!(answer.contains("access-control-allow-headers: x-functions-key"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn without_origins_browsers_are_told_nothing() {
    let server = Running::plain().await;
    let answer = start(&server, "", "origin: https://bad.example\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 401 "), "{answer}");
    assert!(!answer.contains("access-control"), "{answer}");
    server.stop().await;
}

#[tokio::test]
async fn an_origin_that_no_browser_sends_is_refused() {
    for origin in ["https://example.com/", "example.com", ""] {
        let mut config = taskhub_server::Config::default();
        config.http.origins = vec![origin.to_owned()];
        let error = taskhub_server::Server::start(&config).await.unwrap_err().to_string();
        assert!(error.contains("is no origin"), "{error}");
    }
}

#[tokio::test]
async fn a_client_that_goes_away_frees_its_waiter() {
    let server = Running::plain().await;
    let hub = server.hubs.hub(server.hubs.default_name()).await.unwrap();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let head = format!("POST {START}?timeout=3600 HTTP/1.1\r\nhost: localhost:7071\r\n");
    stream.write_all(format!("{head}content-length: 0\r\n\r\n").as_bytes()).await.unwrap();
    for (count, stream) in [(1, Some(stream)), (0, None)] {
        let counted = async {
            while hub.held_requests() != count {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        };
        let counted = tokio::time::timeout(Duration::from_mins(1), counted).await;
        assert!(counted.is_ok(), "{} are held, not {count}", hub.held_requests());
        drop(stream);
    }
    server.stop().await;
}

fn taskhub(folder: &std::path::Path, arguments: &[&str]) -> (bool, String) {
    let mut program = Command::new(env!("CARGO_BIN_EXE_taskhub"));
    let done = program.arg("keys").args(arguments).arg("--data").arg(folder).output().unwrap();
    let said = if done.status.success() { done.stdout } else { done.stderr };
    (done.status.success(), String::from_utf8(said).unwrap())
}

#[test]
fn keys_are_made_and_rotated_on_the_command_line() {
    let folder = tempfile::tempdir().unwrap();
    let (done, key) = taskhub(folder.path(), &["create"]);
    assert_eq!((done, key.trim().len()), (true, 64));
    let (done, _) = taskhub(folder.path(), &["create", "durabletask_extension"]);
    assert!(done);
    let (done, said) = taskhub(folder.path(), &["create"]);
    assert!(!done && said.contains("there is a host key `default` already"), "{said}");
    let (done, new) = taskhub(folder.path(), &["rotate", "default"]);
    assert!(done && new != key);
    let (_, listed) = taskhub(folder.path(), &["list"]);
    let names = listed.lines().skip(1).map(|line| line.split_whitespace().take(2));
    let names: Vec<Vec<_>> = names.map(Iterator::collect).collect();
    assert_eq!(names, [["default", "host"], ["durabletask_extension", "system"]]);
    assert!(!listed.contains(new.trim()));
    let (done, _) = taskhub(folder.path(), &["remove", "default"]);
    assert!(done);
    let (done, said) = taskhub(folder.path(), &["remove", "default"]);
    assert!(!done && said.contains("there is no host key `default`"), "{said}");
}
