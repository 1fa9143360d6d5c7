//! The pages about several nodes and about databases, as a newcomer follows them.

use std::{
    fs,
    net::TcpListener,
    path::Path,
    process::{Command, Output, Stdio},
};

use taskhub_engine::store::Embedded;
use taskhub_postgres::testing::{Server, ServerOptions};

fn read(path: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(path);
    fs::read_to_string(path).expect("the file is there")
}

/// The blocks of a page in a language, one after the other, but for those that nobody runs.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let unrun = read("tests/docs/unrun.txt");
    let unrun = unrun.lines().filter_map(|line| {
        let (start, _) = line.strip_prefix(&format!("{page} | "))?.split_once(" | ")?;
        Some(start.to_owned())
    });
    let unrun: Vec<_> = unrun.collect();
    let text = read(&format!("docs/{page}"));
    let fence = format!("```{language}\n");
    let blocks = text.split(&fence).skip(1).filter_map(|block| Some(block.split_once("```")?.0));
    let run = blocks.filter(|block| !unrun.iter().any(|start| block.starts_with(start)));
    run.map(str::to_owned).collect()
}

/// A shell that does what `script` says, in `folder`, with this program and those of the database.
fn follow(script: &str, folder: &Path, server: &Server) -> Command {
    let program = Path::new(env!("CARGO_BIN_EXE_taskhub"));
    let programs = program.parent().expect("it is in a folder").display();
    let dump = server.program("pg_dump");
    let of_database = Path::new(dump.get_program()).parent().expect("it is in a folder");
    let path = std::env::var("PATH").unwrap_or_default();
    let mut shell = Command::new("bash");
    shell
        .args(["-c", script])
        .current_dir(folder)
        .env("PATH", format!("{programs}:{}:{path}", of_database.display()))
        .env("TASKHUB_STORE", server.tcp_url())
        .stdin(Stdio::null());
    shell
}

/// What it said on both ways, if all went well.
fn said(script: &str, ran: &Output) -> (String, String) {
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    let log = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(ran.status.success(), "{script}\n{said}\n{log}");
    (said, log)
}

fn free_ports() -> [u16; 3] {
    let listeners = [(); 3].map(|()| TcpListener::bind(("127.0.0.1", 0)).expect("a port is free"));
    listeners.map(|listener| listener.local_addr().expect("it has one").port())
}

/// Where a server of Debian has its socket, as a URL says it.
const SOCKET: &str = "%2Fvar%2Frun%2Fpostgresql";

/// The server trusts whoever calls himself `postgres`, so that nobody has to be him.
const SUDO: &str = r#"sudo() { shift 2; PGUSER=postgres "$@"; }
"#;

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
    let server = ServerOptions::default().as_installed().start().expect("PostgreSQL is installed");
    let folder = tempfile::tempdir().expect("a folder");
    let blocks = blocks("cluster.md", "sh");
    let [role, start, look, ask, kill, update] = &blocks[..] else { panic!("six blocks") };
    // Jobs have numbers, as in a shell that somebody types in.
    let mut script = format!("set -em\n{IN_THE_END}trap 'kill -9 $(jobs -p) 2>/dev/null' EXIT\n");
    script += &[SUDO, role, start, "in_the_end share 3\n", look, ask, kill].concat();
    // The first node is gone, and the third one is asked from now on.
    script += "export TASKHUB_SERVER=http://127.0.0.1:7073\n";
    script += &[update, "in_the_end share 2\n"].concat();
    let lines = script.lines().filter(|line| !line.starts_with("cargo install"));
    let url = server.url();
    let socket = url.split(['@', '/']).nth(3).expect("it has one");
    let mut script = lines.collect::<Vec<_>>().join("\n").replace(SOCKET, socket);
    let (socket, port) = socket.split_once(':').expect("it has a port");
    let ports = free_ports();
    for (page, port) in ["7071", "7072", "7073"].into_iter().zip(ports) {
        script = script.replace(page, &port.to_string());
    }
    let ran = follow(&script, folder.path(), &server)
        .env("TASKHUB_SERVER", format!("http://127.0.0.1:{}", ports[0]))
        .env("TASKHUB_CLUSTER_LEASE_SECONDS", "2")
        .env("PGHOST", socket.replace("%2F", "/"))
        .env("PGPORT", port)
        .output()
        .expect("bash is there");
    let (said, log) = said(&script, &ran);
    let shown = said.matches("Pending").count();
    assert_eq!(shown, 2, "before a node is killed, and after: {said}\n{log}");
    assert!(said.contains("LIVES") && said.contains("EPOCH"), "{said}");
}

#[test]
fn a_hub_is_moved_kept_and_looked_into_as_the_page_on_databases_has_it() {
    let server = Server::start().expect("PostgreSQL is installed");
    let folder = tempfile::tempdir().expect("a folder");
    Embedded::open(folder.path().join("taskhub-data/orders")).expect("it is new");
    let commands = format!("set -e\n{}", blocks("postgres.md", "sh").concat());
    let ran = follow(&commands, folder.path(), &server).output().expect("bash is there");
    let (said, _) = said(&commands, &ran);
    assert_eq!(said, "copied 0 instances and 0 messages\n".repeat(2));
    let statements = format!("CREATE ROLE runner; {}", blocks("postgres.md", "sql").concat());
    server.psql(&statements).expect("they are SQL");
}
