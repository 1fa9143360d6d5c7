//! What the tests need from the machine, installed only where it is missing.

use std::{env, fs};

use crate::steps::{Step, output, succeeds};

/// Parts of the Rust toolchain, each with the command that shows it is there.
const COMPONENTS: [(&str, &str); 2] =
    [("rustfmt", "cargo fmt --version"), ("clippy", "cargo clippy --version")];

/// What the tests of the Rust code need beside the toolchain.
const TOOLS: [(&str, &str); 3] = [
    ("curl", "curl --version"),
    ("systemd", "systemd-analyze --version"),
    ("pgbouncer", "/usr/sbin/pgbouncer --version"),
];

/// Debian packages that the tests of the SDKs and of the pages need, each with the command that
/// shows it is there: where a language came from is nobody's business.
const PACKAGES: [(&str, &str); 7] = [
    ("python3", "python3 --version"),
    ("python3-venv", "python3 -c __import__('ensurepip')"),
    ("nodejs", "node --version"),
    ("npm", "npm --version"),
    ("jq", "jq --version"),
    ("openssl", "openssl version"),
    ("sqlite3", "sqlite3 --version"),
];

/// What the peers of the benchmark are built with.
const PEERS: [(&str, &str); 2] =
    [("pkg-config", "pkg-config --version"), ("libssl-dev", "pkg-config --exists openssl")];

/// Brings the machine to where every test of the Rust code can run.
pub(crate) fn run() -> Result<(), String> {
    toolchain()?;
    packages(&TOOLS)?;
    postgres()
}

/// Brings the programs of PostgreSQL, from which tests and benchmarks start servers of their own.
pub(crate) fn postgres() -> Result<(), String> {
    let probe = if has_postgres() { "true" } else { "false" };
    packages(&[("postgresql", probe)])
}

/// Brings the machine to where the SDKs can run.
pub(crate) fn languages() -> Result<(), String> {
    packages(&PACKAGES)
}

/// Brings the machine to where the peers of the benchmark can be built and run.
pub(crate) fn peers() -> Result<(), String> {
    languages()?;
    packages(&PEERS)
}

fn toolchain() -> Result<(), String> {
    for (component, probe) in COMPONENTS {
        if !succeeds(probe) {
            let add = format!("rustup component add {component}");
            let advice = "install this component the way your Rust toolchain was installed";
            Step::new(&add, advice).run()?;
        }
    }
    Ok(())
}

/// Whether a server of PostgreSQL is there: in `PATH`, or where Debian keeps it.
fn has_postgres() -> bool {
    let of_debian = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let folders = of_debian.map(|version| version.path().join("bin"));
    let path = env::var_os("PATH").unwrap_or_default();
    let mut folders = folders.chain(env::split_paths(&path));
    folders.any(|folder| folder.join("initdb").is_file())
}

fn packages(wanted: &[(&str, &str)]) -> Result<(), String> {
    let missing = wanted.iter().filter(|(_, probe)| !succeeds(probe));
    let missing: Vec<_> = missing.map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(" ");
    if !succeeds("apt-get --version") {
        println!("no apt-get here; the tests need what Debian calls: {missing}");
        return Ok(());
    }
    let Some(root) = become_root() else {
        return Err(format!("neither root nor sudo; as root: apt-get install {missing}"));
    };
    let advice = "the network or the package lists of this machine need a look";
    Step::new(&format!("{root}apt-get update -q"), advice).run()?;
    let install = "env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends";
    Step::new(&format!("{root}{install} {missing}"), advice).run()
}

/// The words to put before a command that needs root, if there is a way.
fn become_root() -> Option<&'static str> {
    if output("id -u").trim() == "0" {
        Some("")
    } else {
        succeeds("sudo --version").then_some("sudo ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_run_when_nothing_is_missing() {
        assert_eq!(packages(&[]), Ok(()));
        assert_eq!(packages(&[("taskhub-no-such-package", "true")]), Ok(()));
    }
}
