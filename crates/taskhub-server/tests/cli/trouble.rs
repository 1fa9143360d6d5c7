//! What goes wrong, and the exit code that says so.

use taskhub_server::TlsConfig;
use tokio::{io::AsyncWriteExt as _, net::TcpListener};

use crate::program::{Ended, Running, taskhub};

fn says(ended: &Ended, code: i32, word: &str) {
    assert_eq!(ended.code, code, "{}", ended.err);
    assert!(ended.err.contains(word), "{}", ended.err);
    assert_eq!(ended.out, "");
}

#[tokio::test]
async fn an_unknown_instance_is_not_found_by_any_command() {
    let server = Running::plain().await;
    for command in [
        &["status", "nobody"][..],
        &["status", "nobody", "--watch"],
        &["history", "nobody"],
        &["history", "nobody", "--json"],
        &["export", "nobody"],
        &["raise", "nobody", "go"],
        &["terminate", "nobody"],
        &["suspend", "nobody"],
        &["resume", "nobody"],
        &["rewind", "nobody"],
        &["restart", "nobody"],
        &["purge", "nobody"],
    ] {
        says(&server.taskhub(command).await, 3, "nobody");
    }
    server.stop().await;
}

#[tokio::test]
async fn an_instance_that_has_ended_or_is_there_already_is_told_of() {
    let server = Running::plain().await;
    server.well(&["start", "charge", "--id", "a"]).await;
    says(&server.taskhub(&["start", "charge", "--id", "a"]).await, 4, "a");
    server.well(&["terminate", "a"]).await;
    for command in [&["raise", "a", "go"][..], &["terminate", "a"], &["suspend", "a"]] {
        says(&server.taskhub(command).await, 4, "has ended already: Terminated");
    }
    server.stop().await;
}

#[tokio::test]
async fn of_many_instances_those_that_can_are_done() {
    let server = Running::plain().await;
    server.well(&["start", "charge", "--id", "a"]).await;
    let ended = server.taskhub(&["terminate", "nobody", "a"]).await;
    assert_eq!((ended.code, ended.out.as_str()), (3, "a terminated\n"));
    assert_eq!(ended.err.matches("nobody").count(), 1, "told once: {}", ended.err);
    server.stop().await;
}

#[tokio::test]
async fn no_server_is_told_from_a_server_that_says_no() {
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = nobody.local_addr().unwrap().to_string();
    drop(nobody);
    says(&taskhub(&["list", "--server", &address]).await, 5, "no server answers");
    let server = Running::with(|config| config.tokens = vec!["sesame".to_owned()]).await;
    says(&server.taskhub(&["list"]).await, 6, "--token");
    says(&server.taskhub(&["list", "--token", "wrong"]).await, 6, "--token");
    server.well(&["list", "--token", "sesame"]).await;
    server.stop().await;
}

#[tokio::test]
async fn a_server_of_another_kind_is_no_server() {
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = other.local_addr().unwrap().to_string();
    let speaking = tokio::spawn(async move {
        loop {
            let (mut stream, _) = other.accept().await.unwrap();
            stream.write_all(b"220 mail.example ESMTP\r\n").await.unwrap();
        }
    });
    let ended = taskhub(&["list", "--server", &address, "--timeout", "5"]).await;
    assert_eq!(ended.code, 5, "{}", ended.err);
    speaking.abort();
}

#[tokio::test]
async fn what_has_no_code_of_its_own_is_1() {
    let server = Running::plain().await;
    let out = server.taskhub(&["export", "--out", "no/such/folder/file"]).await;
    says(&out, 1, "no/such/folder/file cannot be written");
    server.stop().await;
}

#[tokio::test]
async fn rubbish_is_wrong_usage() {
    let server = Running::plain().await;
    for (rubbish, word) in [
        (&["start", "charge", "--input", "{oops"][..], "no JSON"),
        (&["start", "charge", "--input", "@/nowhere/at/all"], "cannot be read"),
        (&["start", "charge", "--tag", "blue"], "KEY=VALUE"),
        (&["start", "charge", "--at", "soon"], "soon"),
        (&["start", ""], "name"),
        (&["start", "charge", "--id", ""], "--id"),
        (&["list", "--status", "happy"], "happy"),
        (&["list", "--created-after", "yesterday"], "yesterday"),
        (&["list", "--hub", "not a hub"], "not a hub"),
        (&["list", "--hub", "no\nhub"], "--hub"),
        (&["list", "--ca", "nowhere.pem"], "write https://"),
        (&["purge"], "--all"),
        (&["purge", "a", "--all"], "--all"),
        (&["purge", "a", "--parked"], "--parked"),
        (&["purge", "a", "--created-after", "7d"], "--created-after"),
        (&["purge", "--status", "running"], "ended"),
        (&["terminate"], "IDS"),
    ] {
        says(&server.taskhub(rubbish).await, 2, word);
    }
    for address in ["ftp://127.0.0.1", "http://", "not an address"] {
        says(&taskhub(&["list", "--server", address]).await, 2, "no address");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_certificate_of_ones_own_is_trusted_only_when_it_is_named() {
    let files = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let tls = TlsConfig { cert: cert.clone(), key };
    let mut server = Running::with(|config| config.tls = Some(tls)).await;
    server.url = server.url.replace("http://127.0.0.1", "https://localhost");
    says(&server.taskhub(&["list"]).await, 5, "`--ca`");
    server.well(&["list", "--ca", cert.to_str().unwrap()]).await;
    server.stop().await;
}

/// What people try first: openssl makes certificates of authorities unless it is told otherwise.
#[tokio::test]
async fn the_certificate_of_an_authority_is_told_from_no_server() {
    let files = tempfile::tempdir().unwrap();
    let mut made = rcgen::CertificateParams::new(["localhost".to_owned()]).unwrap();
    made.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let pair = rcgen::KeyPair::generate().unwrap();
    let (cert, key) = (files.path().join("cert.pem"), files.path().join("key.pem"));
    std::fs::write(&cert, made.self_signed(&pair).unwrap().pem()).unwrap();
    std::fs::write(&key, pair.serialize_pem()).unwrap();
    let tls = TlsConfig { cert: cert.clone(), key };
    let server = Running::with(|config| config.tls = Some(tls)).await;
    let at = server.url.replace("http://127.0.0.1", "https://localhost");
    let authority = taskhub(&["list", "--server", &at, "--ca", cert.to_str().unwrap()]).await;
    says(&authority, 5, "-addext basicConstraints=critical,CA:FALSE");
    server.stop().await;
}

#[tokio::test]
async fn a_look_at_a_hub_that_nobody_made_makes_none() {
    let folder = tempfile::tempdir().unwrap();
    let server = Running::with(|config| {
        config.data = folder.path().to_owned();
        config.hubs.count_max = 2;
    })
    .await;
    for hub in ["a", "b", "c"] {
        says(&server.taskhub(&["status", "w3", "--hub", hub]).await, 3, "no instance w3");
        assert!(!server.well(&["list", "--hub", hub]).await.contains("w3"));
    }
    assert!(!folder.path().join("a").exists());
    server.well(&["start", "charge", "--id", "w3", "--hub", "a"]).await;
    server.well(&["status", "w3", "--hub", "a"]).await;
    says(&server.taskhub(&["start", "charge", "--hub", "b"]).await, 1, "hubs.count_max");
    server.stop().await;
}

#[tokio::test]
async fn who_waits_bears_that_the_server_is_away_for_a_while() {
    let folder = tempfile::tempdir().unwrap();
    let at = |listen: &str| {
        let (data, listen) = (folder.path().to_owned(), vec![listen.to_owned()]);
        Running::with(|config| (config.data, config.listen) = (data, listen))
    };
    let server = at("127.0.0.1:0").await;
    let url = server.url.clone();
    let waiting = tokio::spawn(async move {
        taskhub(&["start", "charge", "--id", "w", "--wait", "--server", &url]).await
    });
    while server.taskhub(&["status", "w"]).await.code != 0 {}
    let listen = server.url.trim_start_matches("http://").to_owned();
    server.stop().await;
    let server = at(&listen).await;
    server.well(&["terminate", "w"]).await;
    let ended = waiting.await.unwrap();
    assert_eq!(ended.code, 7, "{}", ended.err);
    assert!(ended.err.contains("waiting for instance w"), "{}", ended.err);
    server.stop().await;
}
