//! Restate's server in a process of its own, on loopback, with its data in the folder it is given.
use std::env::consts;
use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bench_harness::{Connection, Result};
use tokio::time::{Instant, sleep};

/// How long it may take to begin.
const START_TIME_MAX: Duration = Duration::from_secs(20);

/// Runs the command that follows until the standard input ends, however this process does.
const WHILE_WE_LIVE: &str = r#"trap "" INT; "$@" >&2 & cat; kill -KILL $!; wait"#;

/// A server that ends with this process.
pub(crate) struct Server {
    /// Where it takes calls.
    pub(crate) ingress: SocketAddr,
    _process: Child,
}

impl Server {
    /// Starts a server with its data in `folder`, and has it call the handlers at `handlers`.
    ///
    /// All is as it comes, the ports aside: 24 partitions, and a log that is synced before
    /// anything is acknowledged.
    pub(crate) async fn start(folder: &Path, handlers: SocketAddr) -> Result<Server> {
        let [ingress, admin, fabric] = free_addresses()?;
        let log = folder.join("restate.log");
        let mut command = Command::new("sh");
        command.args(["-c", WHILE_WE_LIVE, "sh"]).arg(program()?).arg("--base-dir").arg(folder);
        command.args(["--listen-mode", "tcp"]).env("RESTATE_BIND_ADDRESS", fabric.to_string());
        command.env("RESTATE_INGRESS__BIND_ADDRESS", ingress.to_string());
        command.env("RESTATE_ADMIN__BIND_ADDRESS", admin.to_string());
        command.env("RESTATE_DISABLE_TELEMETRY", "true");
        // The shell keeps our standard output, so that who reads it waits for the server's end.
        command.stdin(Stdio::piped()).stderr(File::create(&log)?);
        let server = Server { ingress, _process: command.spawn()? };

        let latest = Instant::now() + START_TIME_MAX;
        while let Err(error) = register(admin, handlers).await {
            if Instant::now() > latest {
                let log = fs::read_to_string(log).unwrap_or_default();
                return Err(format!("{error}; its log ends: {}", last_of(&log)).into());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Ok(server)
    }
}

/// Tells the server where the handlers are.
async fn register(admin: SocketAddr, handlers: SocketAddr) -> Result<()> {
    let about = format!(r#"{{"uri":"http://{handlers}"}}"#);
    let mut connection = Connection::open(admin).await?;
    connection.post_json("/deployments", &about).await?.accepted().map(drop)
}

/// The program, which the benchmark installed beside this one.
fn program() -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let target = own.ancestors().nth(2).ok_or("this program is in no target folder")?;
    let machine = match consts::ARCH {
        "aarch64" => "arm64",
        _ => "x64",
    };
    let package = format!("@restatedev/restate-server-linux-{machine}/bin/restate-server");
    Ok(target.join("npm/restate/node_modules").join(package))
}

/// Addresses that nobody listens on; all are looked for before any is given up.
fn free_addresses() -> Result<[SocketAddr; 3]> {
    let free = || TcpListener::bind("127.0.0.1:0");
    let listeners = [free()?, free()?, free()?];
    let [one, two, three] = listeners.each_ref().map(TcpListener::local_addr);
    Ok([one?, two?, three?])
}

fn last_of(log: &str) -> &str {
    log.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("it said nothing")
}
