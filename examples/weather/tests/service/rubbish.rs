//! Requests that make no sense: a clear answer, or an end to the connection, and nothing kept.

use std::{
    net::SocketAddr,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    http::{self, Answer},
    weather::{Weather, put, sent},
};

/// What a process may grow by while it refuses 100 MB.
const GROWTH_MAX: u64 = 32 << 20;

/// By then a client that says nothing must be cut off.
const SILENCE_MAX: Duration = Duration::from_mins(1);

#[tokio::test]
async fn nonsense_is_refused_with_a_reason() {
    let data = tempfile::tempdir().expect("a folder");
    let weather = Weather::start(data.path(), &[]).await;
    for (path, status) in [
        ("/", 404),
        ("/api", 404),
        ("/api/weather/17", 404),
        ("/api/../etc/passwd", 404),
        ("/api/weather", 400),
        ("/api/weather?", 400),
        ("/api/weather?town=Rome", 400),
        ("/api/weather?=", 400),
        ("/api/weather?city=%FF%FE", 400),
        ("/api/weather?city=%C3%28", 400),
        ("/api/weather?city=%ZZ", 400),
        ("/api/weather?city=100%", 400),
        ("/api/weather?city=%", 400),
    ] {
        let answer = weather.get(path, None).await;
        assert_eq!(answer.status, status, "{path}: {answer:?}");
        assert!(status == 404 || !answer.text.is_empty(), "{path}: no reason is given");
    }
    let key = "k".repeat(2_000);
    assert_eq!(weather.get("/api/weather?city=Rome", Some(&key)).await.status, 400);
    assert_eq!(weather.get("/api/weather?city=Rome", Some("")).await.status, 400);
    let post = b"POST /api/weather?city=Rome HTTP/1.1\r\nhost: w\r\nconnection: close\r\n\
                 content-length: 0\r\n\r\n";
    let answer = http::send(weather.address, post).await.expect("an answer");
    assert_eq!((answer.status, answer.header("allow")), (405, Some("get,head")));
    assert_eq!(sent(data.path()), []);
    works(&weather).await;
}

#[tokio::test]
async fn what_is_not_http_ends_the_connection() {
    let data = tempfile::tempdir().expect("a folder");
    let weather = Weather::start(data.path(), &[]).await;
    let long = format!("GET /{} HTTP/1.1\r\nhost: w\r\n\r\n", "x".repeat(1 << 20));
    let header = format!("GET / HTTP/1.1\r\nhost: w\r\nx: {}\r\n\r\n", "x".repeat(1 << 20));
    let headers = format!("GET / HTTP/1.1\r\nhost: w\r\n{}\r\n", "x: y\r\n".repeat(100_000));
    let rubbish: [&[u8]; 7] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"hello\r\n\r\n",
        b"GET /api/weather?city=a b HTTP/1.1\r\n\r\n",
        b"GET /api/weather?city=\xff\xfe HTTP/1.1\r\nhost: w\r\nconnection: close\r\n\r\n",
        header.as_bytes(),
        headers.as_bytes(),
        long.as_bytes(),
    ];
    for bytes in rubbish {
        // Who writes on while the other side has given up may not get to see why.
        let answer = http::send(weather.address, bytes).await;
        if let Ok(answer) = answer {
            assert!((400..500).contains(&answer.status), "{answer:?}");
        }
    }
    assert_eq!(sent(data.path()), []);
    works(&weather).await;
}

/// Sends 100 MB, as far as they are taken, and what is answered meanwhile.
async fn flood(address: SocketAddr, head: &str, piece: &[u8]) -> Option<Answer> {
    let mut stream = TcpStream::connect(address).await.expect("it listens");
    stream.write_all(head.as_bytes()).await.expect("the head is taken");
    for _ in 0..(100 << 20) / piece.len() {
        if stream.write_all(piece).await.is_err() {
            break;
        }
    }
    http::answer(&mut stream).await.ok()
}

#[tokio::test]
async fn a_body_of_100_mb_is_refused_and_not_kept() {
    let data = tempfile::tempdir().expect("a folder");
    let weather = Weather::start(data.path(), &[]).await;
    works(&weather).await;
    let before = weather.memory_peak();
    let known = "host: w\r\ncontent-length: 104857600\r\n\r\n";
    let chunked = "host: w\r\ntransfer-encoding: chunked\r\n\r\n";
    let piece = [b"10000\r\n".as_slice(), &vec![b' '; 0x10000], b"\r\n"].concat();
    for method in ["GET", "POST"] {
        for (rest, piece) in [(known, &piece[7..0x10007]), (chunked, &piece[..])] {
            let head = format!("{method} /api/weather?city=Rome HTTP/1.1\r\n{rest}");
            let answer = flood(weather.address, &head, piece).await;
            let status = answer.map(|answer| answer.status);
            assert!(matches!(status, None | Some(405 | 413)), "{method}: {status:?}");
        }
    }
    if let (Some(before), Some(after)) = (before, weather.memory_peak()) {
        println!("refusing 4 x 100 MB took {} KiB", (after - before) >> 10);
        assert!(after - before < GROWTH_MAX, "{before} -> {after}");
    }
    assert_eq!(sent(data.path()).len(), 1);
}

#[tokio::test]
async fn who_says_nothing_is_cut_off() {
    let data = tempfile::tempdir().expect("a folder");
    let weather = Weather::start(data.path(), &[]).await;
    let began = Instant::now();
    let silent = [
        "",
        "GET /api/weather?city=Rome HTTP/1.1\r\nhost:",
        "GET /nowhere HTTP/1.1\r\nhost: w\r\n\r\n",
    ]
    .map(|said| {
        let address = weather.address;
        tokio::spawn(async move {
            let mut stream = TcpStream::connect(address).await.expect("it listens");
            stream.write_all(said.as_bytes()).await.expect("it is taken");
            let mut answer = Vec::new();
            // Whether it ends with an answer or without one.
            let _ = tokio::time::timeout(SILENCE_MAX, stream.read_to_end(&mut answer))
                .await
                .unwrap_or_else(|_| panic!("still connected, having said only {said:?}"));
            String::from_utf8_lossy(&answer).lines().next().unwrap_or_default().to_owned()
        })
    });
    works(&weather).await;
    for silent in silent {
        println!("{:?} after {:?}", silent.await.expect("it is cut off"), began.elapsed());
    }
    assert_eq!(sent(data.path()).len(), 1);
}

/// Asks for a city, and answers it as it should be.
async fn works(weather: &Weather) {
    let held = weather.ask("Works");
    let id = weather.id_of("Works").await;
    put(&weather.data, &format!("{id}.txt"), "fine");
    assert_eq!(held.await.expect("no panic").expect("an answer").says(), (200, "fine"));
}
