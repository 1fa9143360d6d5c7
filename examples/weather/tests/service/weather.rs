//! The program under test, its folder, and what it writes down.

use std::{
    fs::{self, read_to_string},
    io::{self, BufRead as _, BufReader, Read as _},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use tokio::task::JoinHandle;

use crate::http::{self, Answer};

/// The longest that anything may take, on however slow a machine.
const PATIENCE: Duration = Duration::from_mins(2);

/// How often to look.
const LOOK: Duration = Duration::from_millis(10);

/// Looks until there is what was looked for.
pub(crate) async fn until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "still waiting: {what}");
        tokio::time::sleep(LOOK).await;
    }
}

/// A running program; it is killed when this is dropped.
pub(crate) struct Weather {
    child: Child,
    log: Arc<Mutex<String>>,
    pub(crate) address: SocketAddr,
    pub(crate) data: PathBuf,
}

fn command(data: &Path, flags: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_weather"));
    command.arg("--data").arg(data).args(flags).env("NO_COLOR", "1").env_remove("RUST_LOG");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

impl Weather {
    /// Starts the program on a free port, and waits until it serves.
    pub(crate) async fn start(data: &Path, flags: &[&str]) -> Self {
        let flags = [flags, &["--listen", "127.0.0.1:0"]].concat();
        let mut child = command(data, &flags).spawn().expect("the program starts");
        let log = Arc::<Mutex<String>>::default();
        for output in [child.stdout.take().map(boxed), child.stderr.take().map(boxed)] {
            let (output, log) = (output.expect("it is piped"), log.clone());
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
                    *log += &line;
                    log.push('\n');
                }
            });
        }
        let nowhere = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut weather = Self { child, log, address: nowhere, data: data.to_owned() };
        weather.address = until("it serves", || {
            let log = weather.log();
            let ended = weather.child.try_wait().expect("it can be asked");
            assert!(ended.is_none(), "it ended: {log}");
            let address = log.split("serving address=").nth(1)?.split_whitespace().next()?;
            address.parse().ok()
        })
        .await;
        weather
    }

    /// Runs the program where it should not start; its exit status and what it says on stderr.
    pub(crate) async fn refuses(data: &Path, flags: &[&str]) -> (ExitStatus, String) {
        let mut child = command(data, flags).spawn().expect("the program starts");
        let deadline = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = child.try_wait().expect("it can be asked") {
                break status;
            }
            if Instant::now() > deadline {
                let _ = child.kill();
                panic!("it runs, though it should not");
            }
            tokio::time::sleep(LOOK).await;
        };
        let mut said = String::new();
        let stderr = child.stderr.as_mut().expect("it is piped");
        stderr.read_to_string(&mut said).expect("it writes text");
        (status, said)
    }

    /// What it has logged so far.
    pub(crate) fn log(&self) -> String {
        self.log.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until it has logged something.
    pub(crate) async fn logs(&self, text: &str) {
        until(text, || self.log().contains(text).then_some(())).await;
    }

    /// Asks, and waits for the whole answer.
    pub(crate) async fn get(&self, path: &str, key: Option<&str>) -> Answer {
        http::send(self.address, &http::get(path, key)).await.expect("an answer")
    }

    /// Asks meanwhile for the weather of a city, with the city as the key.
    pub(crate) fn ask(&self, city: &str) -> JoinHandle<io::Result<Answer>> {
        let request = http::get(&format!("/api/weather?city={city}"), Some(city));
        let address = self.address;
        tokio::spawn(async move { http::send(address, &request).await })
    }

    /// The id of the request for a city, as soon as it went out.
    pub(crate) async fn id_of(&self, city: &str) -> String {
        until(&format!("a request for {city}"), || {
            let sent = sent(&self.data);
            sent.into_iter().find(|(asked, _)| asked == city).map(|(_, id)| id)
        })
        .await
    }

    /// Memory that the process has, in bytes, where the system tells.
    pub(crate) fn memory(&self) -> Option<u64> {
        self.measure("VmRSS:")
    }

    /// The most memory that the process ever had, in bytes, where the system tells.
    pub(crate) fn memory_peak(&self) -> Option<u64> {
        self.measure("VmHWM:")
    }

    fn measure(&self, what: &str) -> Option<u64> {
        let status = read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(what))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? << 10)
    }

    /// `kill -9`.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it ends");
    }

    /// Asks it to end, and waits until it has.
    pub(crate) async fn terminate(mut self) -> ExitStatus {
        let kill = format!("kill -TERM {}", self.child.id());
        let killed = Command::new("sh").args(["-c", &kill]).status().expect("a shell");
        assert!(killed.success());
        until("it ends", || self.child.try_wait().expect("it can be asked")).await
    }
}

impl Drop for Weather {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the last of its log: {}", tail(&self.log()));
        }
    }
}

fn boxed(output: impl io::Read + Send + 'static) -> Box<dyn io::Read + Send> {
    Box::new(output)
}

fn tail(log: &str) -> String {
    let lines: Vec<_> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}

/// The requests that went out: for which city, under which id.
pub(crate) fn sent(data: &Path) -> Vec<(String, String)> {
    let Ok(entries) = fs::read_dir(data.join("weather-requests")) else { return Vec::new() };
    let whole = entries.flatten().filter(|it| it.path().extension().is_some_and(|it| it == "json"));
    let request = |entry: fs::DirEntry| {
        let text = read_to_string(entry.path()).ok()?;
        let body: serde_json::Value = serde_json::from_str(&text).ok()?;
        let field = |name: &str| body[name].as_str().map(str::to_owned);
        assert_eq!(entry.file_name().to_str()?, format!("{}.json", field("id")?));
        Some((field("city")?, field("id")?))
    };
    whole.filter_map(request).collect()
}

/// Puts a reply in place, whole, under the given name.
pub(crate) fn put(data: &Path, name: &str, content: impl AsRef<[u8]>) {
    let (draft, place) = (data.join(format!(".{name}.tmp")), results(data).join(name));
    fs::write(&draft, content).expect("there is space");
    fs::rename(draft, place).expect("it is the same disk");
}

/// Where replies belong.
pub(crate) fn results(data: &Path) -> PathBuf {
    let folder = data.join("weather-results");
    fs::create_dir_all(&folder).expect("it can be made");
    folder
}

/// The text of one column, as a person would look it up in the file of the hub.
pub(crate) fn look_up(data: &Path, query: &str) -> Vec<String> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_WRITE;
    let hub = rusqlite::Connection::open_with_flags(data.join("weather.hub/hub.db"), flags);
    let hub = hub.expect("a hub");
    hub.busy_timeout(PATIENCE).expect("it can be set");
    let mut rows = hub.prepare(query).expect("a query");
    let rows = rows.query_map((), |row| row.get(0)).expect("it runs");
    rows.collect::<Result<_, _>>().expect("texts")
}
