//! `taskhub keys` of a server that runs, elsewhere or here.

use std::process::Command;

use serde_json::json;

use crate::program::{Ended, Running, taskhub};

/// The command for the keys of a server.
async fn keys(server: &Running, arguments: &[&str]) -> Ended {
    let place = ["--server", &server.url];
    taskhub(&[&["keys"], arguments, &place].concat()).await
}

#[tokio::test]
async fn the_keys_of_a_server_are_made_listed_replaced_and_removed() {
    let server = Running::plain().await;
    let made = keys(&server, &["create", "scraper", "--function", "metrics", "--json"]).await;
    let made: serde_json::Value = serde_json::from_str(&made.out).unwrap();
    assert_eq!((&made["name"], &made["function"]), (&json!("scraper"), &json!("metrics")));
    assert_eq!(made["key"].as_str().unwrap().len(), 64);
    let again = keys(&server, &["create", "scraper", "--function", "metrics"]).await;
    assert_eq!(again.code, 4, "{}", again.err);
    let new = keys(&server, &["rotate", "scraper", "--function", "metrics"]).await;
    assert!(new.code == 0 && new.out.trim() != made["key"], "{}", new.err);
    let listed = keys(&server, &["list", "--json"]).await.out;
    let listed: serde_json::Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((&listed["name"], &listed["function"]), (&json!("scraper"), &json!("metrics")));
    assert!(listed["made"].is_string() && listed.get("key").is_none());
    let table = keys(&server, &["list"]).await.out;
    assert!(table.contains("scraper") && table.contains("function"), "{table}");
    assert_eq!(keys(&server, &["remove", "scraper", "--function", "metrics"]).await.code, 0);
    assert_eq!(keys(&server, &["remove", "scraper"]).await.code, 3);
    assert_eq!(keys(&server, &["create", "a b"]).await.code, 2);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_variable_names_the_server_unless_a_flag_names_a_folder() {
    let server = Running::plain().await;
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| {
        let mut program = Command::new(env!("CARGO_BIN_EXE_taskhub"));
        program.arg("keys").args(arguments).env("TASKHUB_SERVER", &server.url);
        let done = program.env("TASKHUB_DATA", folder.path()).output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    run(&["create", "there"]);
    let here = folder.path().to_str().unwrap();
    run(&["create", "here", "--data", here]);
    assert!(run(&["list", "--json"]).contains("there"));
    assert!(run(&["list", "--json", "--server", &server.url]).contains("there"));
    let listed = run(&["list", "--json", "--data", here]);
    assert!(listed.contains("\"here\"") && !listed.contains("there"), "{listed}");
    server.stop().await;
}

#[tokio::test]
async fn keys_are_changed_by_those_alone_who_may_speak_to_the_server() {
    let guarded = Running::with(|config| config.tokens = vec!["sesame".to_owned()]).await;
    assert_eq!(keys(&guarded, &["create"]).await.code, 6);
    assert_eq!(keys(&guarded, &["create", "--token", "sesame"]).await.code, 0);
    guarded.stop().await;
    let open = Running::with(|config| config.listen = vec!["0.0.0.0:0".to_owned()]).await;
    let refused = keys(&open, &["create"]).await;
    assert!(refused.code == 6 && refused.err.contains("tokens"), "{}", refused.err);
    open.stop().await;
}

#[tokio::test]
async fn a_key_for_nobody_and_the_last_key_are_warned_of() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("data").display().to_string();
    let made = taskhub(&["keys", "create", "--data", &here]).await;
    assert!(made.code == 0 && made.err.contains("no hub is in"), "{}", made.err);
    let more = taskhub(&["keys", "create", "more", "--data", &here]).await;
    assert_eq!((more.code, more.err.as_str()), (0, ""), "it is known by then");
    let app = folder.path().join("app");
    std::fs::create_dir_all(app.join("weather.hub")).unwrap();
    std::fs::write(app.join("weather.hub/hub.db"), "").unwrap();
    let made = taskhub(&["keys", "create", "--data", &app.display().to_string()]).await;
    assert_eq!((made.code, made.err.as_str()), (0, ""), "an application has a hub there");
    let removed = taskhub(&["keys", "remove", "more", "--data", &here]).await;
    assert_eq!((removed.out.as_str(), removed.err.as_str()), ("more removed\n", ""));
    let last = taskhub(&["keys", "remove", "--data", &here]).await;
    assert_eq!(last.out, "default removed\n");
    assert!(last.err.contains("that was the last key"), "{}", last.err);
}
