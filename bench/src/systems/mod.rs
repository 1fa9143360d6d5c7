//! The systems that are compared, and how to start a measuring process of each.
//!
//! To add one, implement [`System`](bench_harness::System) in a file beside this one, then
//! name it in [`ALL`] and in [`child`].
mod environment;
mod held;
mod in_memory;
mod managed;
mod over_grpc;
mod packages;
mod pinned;
mod postgres;
mod python;
mod raw;
mod taskhub;

use std::path::PathBuf;
use std::process::Command;

use bench_harness::obey;

use self::taskhub::Taskhub;

/// A system in the comparison.
#[derive(Debug)]
pub(crate) struct Contestant {
    /// What it is called in the table and by `--systems`.
    pub(crate) name: &'static str,
    /// Its bars in the chart.
    pub(crate) colour: &'static str,
    /// What a reader must know of its promise before comparing.
    pub(crate) note: &'static str,
    /// The works it can do.
    pub(crate) works: &'static [&'static str],
    /// The most instances it is asked to park.
    pub(crate) parks_at_most: usize,
    /// Where it keeps what it stores.
    pub(crate) store: Store,
    /// Whether it is another system of this list in another form, and stands beside that only.
    pub(crate) is_variant: bool,
    /// Whether it is left out unless `--systems` names it.
    pub(crate) is_extra: bool,
    program: Program,
}

/// Where a system keeps what it stores.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Store {
    /// In a folder of its own, or nowhere.
    Folder,
    /// In a database of its own on the private server of the run.
    Postgres,
}

/// Where the code that measures a system is built.
#[derive(Debug)]
enum Program {
    /// In this program: see [`child`].
    Here,
    /// In this program, with a worker in Python: see `python.rs`.
    Python,
    /// In the package of this name in the folder of that name, since it cannot be linked here,
    /// with what the folder lists for npm.
    Apart { package: &'static str, folder: &'static str },
    /// In the script `main.py` in the folder of this name.
    Script { folder: &'static str },
}

/// All systems, in the order of the table.
pub(crate) const ALL: [Contestant; 18] = [
    Contestant {
        name: "taskhub",
        colour: "#2f81f7",
        note: "taskhub syncs to the disk before it acknowledges anything.",
        works: &["w1", "w2", "w3", "w4", "w5", "w6"],
        parks_at_most: usize::MAX,
        store: Store::Folder,
        is_variant: false,
        is_extra: false,
        program: Program::Here,
    },
    Contestant {
        name: "taskhub-grpc",
        colour: "#8957e5",
        note: "taskhub-grpc is the same with its functions as a worker that is connected to \
               `taskhub serve`.",
        works: &["w2"],
        parks_at_most: 0,
        store: Store::Folder,
        is_variant: false,
        is_extra: false,
        program: Program::Here,
    },
    Contestant {
        name: "taskhub-raw",
        colour: "#bf4b8a",
        note: "taskhub-raw is a worker that knows the public protocol only, as those of the SDKs \
               do: whole\nhistories, and a call for each result.",
        works: &["w2"],
        parks_at_most: 0,
        store: Store::Folder,
        is_variant: false,
        is_extra: true,
        program: Program::Here,
    },
    Contestant {
        name: "taskhub-managed",
        colour: "#3fb950",
        note: "taskhub-managed is the same with 200 management calls per second beside it: lists \
               and histories.",
        works: &["w1", "w2"],
        parks_at_most: 0,
        store: Store::Folder,
        is_variant: false,
        is_extra: true,
        program: Program::Here,
    },
    Contestant {
        name: "in-memory",
        colour: "#8b949e",
        note: "in-memory is a map of one-shot channels: nothing survives the process.",
        works: &["w1"],
        parks_at_most: 0,
        store: Store::Folder,
        is_variant: false,
        is_extra: false,
        program: Program::Here,
    },
    Contestant {
        name: "restate",
        colour: "#e5534b",
        note: "restate is its server 1.7.12 as it comes, which syncs its log, and handlers on its \
               Rust SDK.\nIn W1 clients speak to the server itself.",
        works: &["w1", "w2", "w3", "w4"],
        parks_at_most: 0,
        store: Store::Folder,
        is_variant: false,
        is_extra: false,
        program: Program::Apart { package: "bench-restate", folder: "restate" },
    },
    Contestant {
        name: "duroxide",
        colour: "#d29922",
        note: "duroxide acknowledges before its SQLite has synced: it asks for `synchronous = \
               WAL`,\nwhich is no value of SQLite's and reads back as NORMAL.",
        works: &["w1", "w2", "w3", "w4", "w5"],
        parks_at_most: 1_000,
        store: Store::Folder,
        is_variant: false,
        is_extra: false,
        program: Program::Apart { package: "bench-duroxide", folder: "duroxide" },
    },
    Contestant {
        name: "python",
        colour: "#3fb950",
        note: "python is a worker of the SDK for Python, connected to `taskhub serve`.",
        works: &["w2"],
        parks_at_most: 0,
        store: Store::Folder,
        is_variant: false,
        is_extra: true,
        program: Program::Python,
    },
    Contestant {
        name: "python-in-memory",
        colour: "#a371f7",
        note: "python-in-memory is the same worker on the backend in memory that the SDK brings \
               for tests:\nnothing survives its process.",
        works: &["w2"],
        parks_at_most: 0,
        store: Store::Folder,
        is_variant: false,
        is_extra: true,
        program: Program::Python,
    },
    Contestant {
        name: "taskhub-pg",
        colour: "#2f81f7",
        note: "taskhub-pg is one node with four lanes, as when nobody says a number.",
        is_variant: false,
        ..ON_POSTGRES
    },
    Contestant {
        name: "pg-1-lane",
        note: "pg-1-lane, pg-2-lanes and pg-8-lanes are one node with so many lanes.",
        ..ON_POSTGRES
    },
    Contestant { name: "pg-2-lanes", ..ON_POSTGRES },
    Contestant { name: "pg-8-lanes", ..ON_POSTGRES },
    Contestant {
        name: "pg-2-nodes",
        note: "pg-2-nodes are two nodes with four lanes each, on the same machine as their \
               clients and\nthe server. Each is asked half of the requests; a held one without \
               a key starts on the\nnode that was asked.",
        ..ON_POSTGRES
    },
    Contestant {
        name: "pg-1-core",
        note: "pg-1-core and pg-2-cores are one and two nodes with one lane and a core of their \
               own each,\nthe first ones of the machine, which clients ask over gRPC: keep the \
               rest away from those\ncores, by `taskset -c 2,3` for instance.",
        is_extra: true,
        ..ON_POSTGRES
    },
    Contestant { name: "pg-2-cores", is_extra: true, ..ON_POSTGRES },
    Contestant {
        name: "duroxide-pg",
        colour: "#d29922",
        is_variant: false,
        program: Program::Apart { package: "bench-duroxide", folder: "duroxide" },
        ..ON_POSTGRES
    },
    Contestant {
        name: "dbos",
        colour: "#3fb950",
        note: "dbos is one Python process. Its clients call it directly: it is spared the HTTP \
               exchanges\nof W1.",
        is_variant: false,
        program: Program::Script { folder: "dbos" },
        ..ON_POSTGRES
    },
];

/// What the systems on `PostgreSQL` have in common.
const ON_POSTGRES: Contestant = Contestant {
    name: "",
    colour: "",
    note: "",
    works: &["w1", "w2"],
    parks_at_most: 0,
    store: Store::Postgres,
    is_variant: true,
    is_extra: false,
    program: Program::Here,
};

/// Measures what `order` says in this process, for a system that is linked here.
pub(crate) fn child(name: &str, order: &str) -> ! {
    match name {
        "taskhub" => obey::<Taskhub<taskhub::Folder>>(order),
        "taskhub-grpc" => obey::<Taskhub<over_grpc::OverGrpc>>(order),
        "taskhub-raw" => obey::<Taskhub<raw::Raw>>(order),
        "taskhub-pg" => obey::<Taskhub<postgres::OnPostgres<1, 4>>>(order),
        "pg-1-lane" => obey::<Taskhub<postgres::OnPostgres<1, 1>>>(order),
        "pg-2-lanes" => obey::<Taskhub<postgres::OnPostgres<1, 2>>>(order),
        "pg-8-lanes" => obey::<Taskhub<postgres::OnPostgres<1, 8>>>(order),
        "pg-2-nodes" => obey::<Taskhub<postgres::OnPostgres<2, 4>>>(order),
        "pg-1-core" => obey::<Taskhub<pinned::Pinned<1>>>(order),
        "pg-2-cores" => obey::<Taskhub<pinned::Pinned<2>>>(order),
        "taskhub-managed" => obey::<Taskhub<managed::Managed>>(order),
        "python" => obey::<python::Python<python::Taskhub>>(order),
        "python-in-memory" => obey::<python::Python<python::InMemory>>(order),
        "in-memory" => obey::<in_memory::InMemory>(order),
        _ => panic!("{name} is not linked into this program"),
    }
}

/// Serves as a node of a hub in this database, for a system whose nodes are processes.
pub(crate) fn node(database: &str) -> ! {
    pinned::node(database)
}

impl Contestant {
    /// Builds what measures this system, unless it is this program.
    pub(crate) fn build(&self) -> Result<(), String> {
        let folder = match self.program {
            Program::Here => return Ok(()),
            Program::Python => return environment::install("python"),
            Program::Script { folder } => return environment::install(folder),
            Program::Apart { folder, .. } => folder,
        };
        packages::install(folder)?;
        let manifest = home().join(folder).join("Cargo.toml");
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut build = Command::new(cargo);
        build.args(["build", "--release", "--quiet", "--manifest-path"]).arg(manifest);
        build.arg("--target-dir").arg(target());
        match build.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("cargo could not build {}: {status}", self.name)),
            Err(error) => Err(format!("cargo could not be started: {error}")),
        }
    }

    /// The command that measures this system; it takes an order as its next argument.
    pub(crate) fn command(&self) -> std::io::Result<Command> {
        match self.program {
            Program::Here | Program::Python => {
                let mut command = Command::new(std::env::current_exe()?);
                command.args(["child", self.name]);
                Ok(command)
            }
            Program::Apart { package, .. } => {
                Ok(Command::new(target().join("release").join(package)))
            }
            Program::Script { folder } => Ok(environment::command(folder, "main.py")),
        }
    }
}

/// Where builds go: to where this program was built.
pub(crate) fn target() -> PathBuf {
    let program = std::env::current_exe().ok();
    let target = program.as_deref().and_then(|program| program.ancestors().nth(2));
    target.map_or_else(|| home().join("target"), PathBuf::from)
}

/// The folder of the benchmark.
pub(crate) fn home() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The names of all systems, for `--systems`.
pub(crate) fn names() -> Vec<&'static str> {
    ALL.iter().map(|system| system.name).collect()
}
