//! The page about several nodes, as a newcomer follows it.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Stdio},
};

use taskhub_postgres::testing::Server;

/// What the page says under a heading, as a shell would be told: a block per entry.
fn blocks(heading: &str) -> Vec<String> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cluster.md");
    let page = fs::read_to_string(page).expect("the page is there");
    let part = page.split("\n## ").find_map(|part| part.strip_prefix(heading));
    let part = part.expect("the heading is there");
    let blocks = part.split("```sh\n").skip(1);
    blocks.filter_map(|block| Some(block.split_once("```")?.0.to_owned())).collect()
}

fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a port is free"));
    listeners.map(|listener| listener.local_addr().expect("it has one").port())
}

/// What the test has instead of what is installed, and of a database of one's own.
fn is_for_this_machine(line: &str) -> bool {
    ["cargo install", "createdb", "export TASKHUB_STORE"].iter().any(|it| line.starts_with(it))
}

/// Waits until this holds, and says no when it takes too long.
const IN_THE_END: &str = r#"
in_the_end() {
    for _ in $(seq 600); do
        if "$@"; then return; fi
        sleep 0.1
    done
    echo "in vain: $*" >&2
    exit 1
}
share() { test "$(taskhub nodes --json 2>/dev/null | grep -c '"lives":true')" = "$1"; }
"#;

#[test]
fn three_nodes_on_one_machine_as_the_page_has_it() {
    let server = Server::start().expect("PostgreSQL is installed");
    let folder = tempfile::tempdir().expect("a folder");
    let [start, look, ask, kill] = <[String; 4]>::try_from(blocks("Three nodes in five minutes"))
        .expect("the page has four blocks there");
    // Jobs have numbers, as in a shell that somebody types in.
    let mut script = format!("set -em\n{IN_THE_END}trap 'kill -9 %2 %3 2>/dev/null' EXIT\n");
    script += &[start, "in_the_end share 3\n".to_owned(), look, ask, kill].concat();
    let lines = script.lines().filter(|line| !is_for_this_machine(line));
    let mut script = lines.collect::<Vec<_>>().join("\n");
    let ports = free_ports();
    for (page, port) in ["7071", "7072", "7073"].into_iter().zip(ports) {
        script = script.replace(page, &port.to_string());
    }
    let program = Path::new(env!("CARGO_BIN_EXE_taskhub"));
    let programs = program.parent().expect("it is in a folder").display();
    let path = format!("{programs}:{}", std::env::var("PATH").unwrap_or_default());
    let ran = Command::new("bash")
        .args(["-c", &script])
        .current_dir(folder.path())
        .env("PATH", path)
        .env("TASKHUB_STORE", server.tcp_url())
        .env("TASKHUB_SERVER", format!("http://127.0.0.1:{}", ports[0]))
        .env("TASKHUB_CLUSTER_LEASE_SECONDS", "2")
        .stdin(Stdio::null())
        .output()
        .expect("bash is there");
    let said = String::from_utf8_lossy(&ran.stdout);
    let log = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{script}\n{said}\n{log}");
    let shown = said.matches("Pending").count();
    assert_eq!(shown, 2, "before a node is killed, and after: {said}\n{log}");
    assert!(said.contains("LIVES") && said.contains("EPOCH"), "{said}");
}
