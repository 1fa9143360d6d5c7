//! A pooler between the nodes and the server.

use std::{
    fs,
    net::{TcpListener, TcpStream},
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::Path,
    process::{Child, Command, Stdio},
};

use taskhub_core::{PartitionId, store::Shared as _};

use crate::scene::{Scene, fresh, options, server};

/// A running pgbouncer, and its port.
struct Pooler(Child, u16);

impl Pooler {
    /// One that hands out connections in this mode.
    fn start(folder: &Path, mode: &str) -> Self {
        let port = TcpListener::bind(("127.0.0.1", 0)).and_then(|it| it.local_addr());
        let port = port.expect("there is a port").port();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={} user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = any\npool_mode = {mode}\n",
            server().port()
        );
        let file = folder.join("pgbouncer.ini");
        fs::write(&file, settings).expect("there is room");
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).expect("it is ours");
        // Debian puts it where only root looks.
        let of_debian = Path::new("/usr/sbin/pgbouncer");
        let mut command =
            Command::new(if of_debian.is_file() { of_debian } else { Path::new("pgbouncer") });
        if fs::metadata("/proc/self").is_ok_and(|it| it.uid() == 0) {
            command.args(["-u", "nobody"]);
        }
        let child = command.arg("-q").arg(&file).stderr(Stdio::null()).spawn();
        let pooler = Self(child.expect("pgbouncer is installed"), port);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        pooler
    }

    fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.1)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Each connection to it is one to the server.
#[test]
fn a_pooler_that_hands_out_connections_per_session_does_no_harm() {
    let folder = tempfile::tempdir().expect("there is room");
    let pooler = Pooler::start(folder.path(), "session");
    let scene = Scene::open(options(&pooler.url(), &fresh()));
    let mut ear = scene.store.listen().expect("it passes it on");
    for at in 0..40 {
        scene.step(at).expect("it passes it on");
    }
    assert_eq!(scene.steps(), [40, 40, 40]);
    scene.store.hint(&[PartitionId(3)]).expect("it passes it on");
    while !ear.next(std::time::Duration::from_secs(20)).expect("it hears").contains(&PartitionId(3))
    {
    }
}

/// What is set on a connection, prepared on it or listened to would be somebody else's.
#[test]
fn a_pooler_that_hands_out_connections_per_transaction_is_refused() {
    let folder = tempfile::tempdir().expect("there is room");
    for mode in ["transaction", "statement"] {
        let pooler = Pooler::start(folder.path(), mode);
        let Err(error) = options(&pooler.url(), &fresh()).open() else { panic!("{mode}") };
        assert!(error.to_string().contains("a pooler"), "{mode}: {error}");
    }
}
