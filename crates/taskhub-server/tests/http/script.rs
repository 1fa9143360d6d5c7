//! A script written from the public description of the API, run as it is.

use std::path::Path;

use tokio::process::Command;

use crate::running::Api;

#[tokio::test]
async fn a_script_for_durable_functions_runs_unchanged() {
    let api = Api::start().await;
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let done = Command::new("sh")
        .arg(root.join("tests/http/durable-functions.sh"))
        .env("HOST", format!("http://{}", api.address))
        .envs([("HUB", "Test"), ("CODE", "key")])
        .envs([("ECHO", "echo"), ("WAIT", "approve"), ("FAIL", "fail"), ("ENTITY", "Counter")])
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{said}{}", String::from_utf8_lossy(&done.stderr));
    assert!(said.contains("checks passed"), "{said}");
    api.stop().await;
}
