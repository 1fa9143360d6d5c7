//! A private PostgreSQL for a test or a benchmark, gone when it is dropped.
//!
//! It needs `initdb`, `pg_ctl` and `postgres`, as Debian's package `postgresql` has them; they are
//! looked for in `PATH` and where Debian puts them. A folder named by `TASKHUB_TEST_POSTGRES` comes
//! first: so the same tests run on other versions. It listens on a socket in a folder of its own.
//! When the process that started it dies in whichever way, a guard notices and stops the server.

use std::{
    env, fs, io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

/// Who is let in where a package of Debian made the server, but for the user `postgres`, who need
/// not be the one of the machine.
const AS_INSTALLED: &str = "local all postgres trust\nlocal all all peer\n\
    host all all 127.0.0.1/32 scram-sha-256\n";

/// How a database is made.
const INIT: [&str; 8] = ["-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "-N"];

/// Names a folder with the programs of the version that is wanted.
const FOLDER: &str = "TASKHUB_TEST_POSTGRES";

/// The folders in which programs of PostgreSQL are looked for, one after the other: that which is
/// named, then those of Debian from the latest on, then those of `PATH`.
#[derive(Debug)]
struct Programs(Vec<PathBuf>);

/// A running server.
#[derive(Debug)]
pub struct Server {
    programs: Programs,
    folder: TempDir,
    /// As whom it runs, when that is somebody else: PostgreSQL refuses to run as root.
    user: Option<(u32, u32)>,
    /// Where it listens besides its socket.
    port: u16,
    settings: String,
    guard: Child,
}

/// How a server is made.
#[derive(Debug, Clone, Default)]
#[must_use = "nothing is started until `start` is called"]
pub struct ServerOptions {
    is_durable: bool,
    is_as_installed: bool,
    settings: Vec<String>,
    within: Option<PathBuf>,
    /// Where the server is that this one follows.
    primary: Option<String>,
    /// A certificate and its key, in PEM.
    tls: Option<(String, String)>,
}

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
#[error("no private PostgreSQL: {0}; Debian's package `postgresql` has what it needs")]
pub struct ServerError(String);

impl ServerOptions {
    /// Commits reach the disk; without this they are lost with the machine, though not with the
    /// server, and tests are faster.
    pub fn durable(mut self) -> Self {
        self.is_durable = true;
        self
    }

    /// A setting as in `postgresql.conf`, such as `deadlock_timeout=10ms`.
    pub fn setting(mut self, setting: &str) -> Self {
        self.settings.push(setting.to_owned());
        self
    }

    /// It lets in whom one that was just installed does: over the socket users of the machine that
    /// it knows by name, over TCP who has a password.
    pub fn as_installed(mut self) -> Self {
        self.is_as_installed = true;
        self
    }

    /// It speaks TLS with this certificate and this key, in PEM, to whoever asks for it.
    pub fn tls(mut self, certificate: &str, key: &str) -> Self {
        self.tls = Some((certificate.to_owned(), key.to_owned()));
        self
    }

    /// It is a copy of this one, and follows it until it is promoted.
    pub fn following(mut self, primary: &Server) -> Self {
        let place = primary.folder.path().display();
        self.primary = Some(format!("host={place} port={} user=postgres", primary.port));
        self
    }

    /// Its folder is made in this one, instead of in that for temporary files.
    pub fn within(mut self, folder: &Path) -> Self {
        self.within = Some(folder.to_owned());
        self
    }

    /// Makes a database and starts a server for it.
    pub fn start(self) -> Result<Server, ServerError> {
        let failed = |error: io::Error| ServerError(error.to_string());
        let programs = Programs::find()?;
        let within = self.within.unwrap_or_else(env::temp_dir);
        let folder = TempDir::new_in(within).map_err(failed)?;
        let user = other_user().map_err(failed)?;
        if let Some((user, group)) = user {
            std::os::unix::fs::chown(folder.path(), Some(user), Some(group)).map_err(failed)?;
        }
        let mut settings = vec![
            format!("-k {} -h 127.0.0.1", folder.path().display()),
            format!("-c fsync={}", if self.is_durable { "on" } else { "off" }),
            "-c max_connections=200 -c shared_buffers=64MB".to_owned(),
        ];
        if let Some((certificate, key)) = &self.tls {
            settings.push("-c ssl=on".to_owned());
            for (what, text) in [("cert", certificate), ("key", key)] {
                let file = folder.path().join(what);
                keep_private(&file, text, user).map_err(failed)?;
                settings.push(format!("-c ssl_{what}_file={}", file.display()));
            }
        }
        if self.is_as_installed {
            let file = folder.path().join("hba");
            keep_private(&file, AS_INSTALLED, user).map_err(failed)?;
            settings.push(format!("-c hba_file={}", file.display()));
        }
        settings.extend(self.settings.iter().map(|setting| format!("-c {setting}")));
        let settings = settings.join(" ");
        let guard = guard(&programs.path("pg_ctl"), folder.path(), user).map_err(failed)?;
        let mut server = Server { programs, folder, user, port: 0, settings, guard };
        let data = server.data();
        match &self.primary {
            Some(place) => server.run("pg_basebackup", &["-D", &data, "-d", place, "-R", "-cfast"]),
            None => server.run("initdb", &[&["-D", &data], &INIT[..]].concat()),
        }?;
        let mut tries = 0;
        loop {
            server.port = free_port().map_err(failed)?;
            match server.begin() {
                Ok(()) => return Ok(server),
                // Somebody else may have taken the port meanwhile.
                Err(error) if tries == 4 => return Err(error),
                Err(_) => tries += 1,
            }
        }
    }
}

impl Server {
    /// A server whose commits need not survive the machine.
    pub fn start() -> Result<Self, ServerError> {
        ServerOptions::default().start()
    }

    /// Its address over its socket.
    #[must_use]
    pub fn url(&self) -> String {
        let folder = self.folder.path().display().to_string().replace('/', "%2F");
        format!("postgres://postgres@{folder}:{}/postgres", self.port)
    }

    /// Its address over TCP.
    #[must_use]
    pub fn tcp_url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    /// The port at which it listens on the loopback interface.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Starts it again after [`Server::stop`] or [`Server::crash`].
    pub fn begin(&self) -> Result<(), ServerError> {
        let log = self.folder.path().join("log").display().to_string();
        let settings = format!("-p {} {}", self.port, self.settings);
        self.run("pg_ctl", &["-D", &self.data(), "-l", &log, "-w", "-o", &settings, "start"])
    }

    /// Stops it; connections are cut.
    pub fn stop(&self) -> Result<(), ServerError> {
        self.run("pg_ctl", &["-D", &self.data(), "-w", "-m", "fast", "stop"])
    }

    /// Kills it, as a crash would.
    pub fn crash(&self) -> Result<(), ServerError> {
        self.run("pg_ctl", &["-D", &self.data(), "-w", "-m", "immediate", "stop"])
    }

    /// One of the programs of PostgreSQL, set to talk to this server.
    #[must_use]
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(self.programs.path(name));
        command.env("PGHOST", self.folder.path()).env("PGPORT", self.port.to_string());
        command.env("PGUSER", "postgres");
        command
    }

    /// Runs SQL by `psql`; returns what it prints, one row a line.
    pub fn psql(&self, sql: &str) -> Result<String, ServerError> {
        self.psql_in("postgres", sql)
    }

    /// Runs SQL in another database than `postgres`.
    pub fn psql_in(&self, database: &str, sql: &str) -> Result<String, ServerError> {
        let mut program = self.program("psql");
        let ran = program.args(["-X", "-A", "-t", "-q", "-c", sql, "-d", database]);
        let ran = ran.output().map_err(|error| ServerError(error.to_string()))?;
        if !ran.status.success() {
            return Err(ServerError(String::from_utf8_lossy(&ran.stderr).into_owned()));
        }
        Ok(String::from_utf8_lossy(&ran.stdout).trim().to_owned())
    }

    /// Waits until a question has an answer.
    pub fn wait_for(&self, sql: &str) -> Result<(), ServerError> {
        while self.psql(sql)?.is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        Ok(())
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<(), ServerError> {
        let mut command = Command::new(self.programs.path(program));
        let command = as_user(&mut command, self.user).args(arguments).current_dir("/");
        // Not a pipe: the server would keep it open.
        let output = self.folder.path().join("output");
        let failed = |error: io::Error| ServerError(format!("{program}: {error}"));
        let file = fs::File::create(&output).map_err(failed)?;
        let both = file.try_clone().map_err(failed)?;
        let command = command.stdin(Stdio::null()).stdout(file).stderr(both);
        if command.status().map_err(failed)?.success() {
            return Ok(());
        }
        let said = fs::read_to_string(&output).unwrap_or_default();
        let log = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        Err(ServerError(format!("{program} failed: {said}{log}")))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The guard stops the server when nobody holds the other end of its input.
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
    }
}

/// Starts a shell that waits for the end of its input, and then stops the server in `folder`.
fn guard(pg_ctl: &Path, folder: &Path, user: Option<(u32, u32)>) -> io::Result<Child> {
    use std::os::unix::process::CommandExt as _;
    let script = "cat; \"$0\" -D \"$1/data\" -w -m immediate stop; rm -rf \"$1\"";
    let mut command = Command::new("/bin/sh");
    as_user(&mut command, user).arg("-c").arg(script).arg(pg_ctl).arg(folder);
    // Ctrl-C ends the test, and must not end its guard before.
    command.current_dir("/").process_group(0);
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

fn as_user(command: &mut Command, user: Option<(u32, u32)>) -> &mut Command {
    use std::os::unix::process::CommandExt as _;
    match user {
        Some((user, group)) => command.uid(user).gid(group),
        None => command,
    }
}

/// Writes a file that nobody else may read: the server insists.
fn keep_private(file: &Path, text: &str, user: Option<(u32, u32)>) -> io::Result<()> {
    use std::os::unix::fs::{PermissionsExt as _, chown};
    fs::write(file, text)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600))?;
    user.map_or(Ok(()), |(user, group)| chown(file, Some(user), Some(group)))
}

/// Somebody else to run as, if this is root.
fn other_user() -> io::Result<Option<(u32, u32)>> {
    use std::os::unix::fs::MetadataExt as _;
    if fs::metadata("/proc/self")?.uid() != 0 {
        return Ok(None);
    }
    let users = fs::read_to_string("/etc/passwd")?;
    let find = |name: &str| {
        users.lines().map(|line| line.split(':').collect::<Vec<_>>()).find_map(|user| {
            let wanted = user.first() == Some(&name);
            Some((user.get(2)?.parse().ok()?, user.get(3)?.parse().ok()?)).filter(|_| wanted)
        })
    };
    Ok(find("postgres").or_else(|| find("nobody")))
}

impl Programs {
    fn find() -> Result<Self, ServerError> {
        let of_debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
        let mut folders: Vec<_> = of_debian.map(|version| version.path().join("bin")).collect();
        folders.sort();
        folders.extend(env::var_os(FOLDER).map(PathBuf::from));
        folders.reverse();
        folders.extend(env::split_paths(&env::var_os("PATH").unwrap_or_default()));
        let programs = Self(folders);
        if programs.path("initdb").is_absolute() {
            return Ok(programs);
        }
        Err(ServerError("initdb is not found".to_owned()))
    }

    /// Where a program is: what the named folder lacks, another version may have.
    fn path(&self, name: &str) -> PathBuf {
        let mut paths = self.0.iter().map(|folder| folder.join(name));
        paths.find(|path| path.is_file()).unwrap_or_else(|| name.into())
    }
}

/// A port that was free a moment ago.
fn free_port() -> io::Result<u16> {
    Ok(TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}
