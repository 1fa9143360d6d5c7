//! `cargo xtask postgres`: the store on the oldest and the newest PostgreSQL that it is for.
//!
//! The servers come from npm, as Debian has one version at a time.

use std::env::consts;

use crate::steps::{Outcome, Step, output, root, run as run_steps};
use crate::{sdk, setup};

/// What is listed, and where it is put.
const LISTED: &str = "tests/postgres";
const PACKAGES: &str = "target/postgres";

/// The tests, and what of them takes more programs than these packages have.
const TESTS: [&str; 2] = [
    "--test store -- --skip failover --skip a_dump_is_restored",
    "--test in_process -- postgres:: --skip from_a_backup",
];

/// Installs the servers where they are missing, and runs the tests on both.
pub(crate) fn run() -> Outcome {
    if (consts::OS, consts::ARCH) != ("linux", "x86_64") {
        return Ok("cargo xtask postgres: other versions are there for Linux on x86-64".to_owned());
    }
    setup::run()?;
    setup::languages()?;
    sdk::install_packages(LISTED, PACKAGES)?;
    // If this is root, the server runs as somebody else, who must be able to read its programs.
    let folder = output("mktemp -d");
    let folder = folder.trim();
    let tested = copy(folder).and_then(|()| {
        let versions = ["oldest", "newest"].map(|it| format!("{folder}/{it}"));
        let steps: Vec<_> = versions.iter().flat_map(|it| TESTS.map(|of| test(it, of))).collect();
        run_steps("cargo xtask postgres", &steps)
    });
    Step::new(&format!("rm -r {folder}"), "the folder is of this run alone").run()?;
    tested
}

/// Puts the servers into a folder, with the links between their libraries, which npm leaves out.
fn copy(folder: &str) -> Result<(), String> {
    let modules = root().join(PACKAGES).join("node_modules/.").display().to_string();
    let copy = Step::new("cp -R", "120 MB are needed").with_words(&[modules, folder.to_owned()]);
    copy.run()?;
    for version in ["oldest", "newest"] {
        let link = format!("npm run --silent --prefix {folder}/{version} postinstall");
        Step::new(&link, "the package is not what it was").run()?;
    }
    Step::new(&format!("chmod -R a+rX {folder}"), "the folder is of this run alone").run()
}

/// Some of the tests, on the server in this folder.
fn test(folder: &str, which: &str) -> Step {
    let advice = "the failing test is named above; the oldest server comes first, then the newest";
    let step = Step::new(&format!("cargo test --workspace {which}"), advice);
    step.with_env("TASKHUB_TEST_POSTGRES", &format!("{folder}/native/bin"))
}
