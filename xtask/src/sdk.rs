//! `cargo xtask sdk`: a real server, driven by the SDKs that its users have.

use std::fs;

use crate::setup;
use crate::steps::{Outcome, Step, root, run as run_steps, run_together};

/// The tests of the Python SDKs, and where their environment is made.
const PYTHON: &str = "tests/sdk/python";
const PYTHON_ENVIRONMENT: &str = "target/sdk/python";

/// The tests of the JavaScript SDK, and where its packages are put.
const JAVASCRIPT: &str = "tests/sdk/javascript";
const JAVASCRIPT_PACKAGES: &str = "target/sdk/javascript";

const NETWORK: &str = "the packages come from the network, and it needs a look";

/// Builds the server, installs the SDKs where they are missing, and runs their tests.
pub(crate) fn run() -> Outcome {
    setup::languages()?;
    // The same selection as that of the tests: cargo picks the features of dependencies by it, and
    // would build all of them once more for the server alone.
    let line = "cargo build --workspace --all-targets";
    Step::new(line, "the compiler says why above").run()?;
    install_python()?;
    install_packages(JAVASCRIPT, JAVASCRIPT_PACKAGES)?;
    run_together("cargo xtask sdk", &[python_tests()?, javascript_tests()?])
}

/// Makes a virtual environment of exactly what `requirements.txt` lists.
fn install_python() -> Result<(), String> {
    let wanted = format!("{PYTHON}/requirements.txt");
    let installed = format!("{PYTHON_ENVIRONMENT}/requirements.txt");
    if same(&wanted, &installed) {
        return Ok(());
    }
    let pip = format!("{PYTHON_ENVIRONMENT}/bin/python -m pip");
    let quiet = "--quiet --disable-pip-version-check --no-deps --only-binary :all:";
    let steps = [
        Step::new(&format!("python3 -m venv --clear {PYTHON_ENVIRONMENT}"), "python3 says why"),
        Step::new(&format!("{pip} install {quiet} -r {wanted}"), NETWORK),
    ];
    run_steps("the Python SDK", &steps)?;
    copy(&wanted, &installed)
}

/// Installs in the folder `packages` exactly what `package-lock.json` in `listed` lists, unless it
/// is there.
pub(crate) fn install_packages(listed: &str, packages: &str) -> Result<(), String> {
    let file = |folder: &str, name: &str| format!("{folder}/{name}");
    let lock = "package-lock.json";
    // npm writes its own list once it has put everything in place.
    let done = file(packages, "node_modules/.package-lock.json");
    let there = root().join(done).exists();
    if there && same(&file(listed, lock), &file(packages, lock)) {
        return Ok(());
    }
    for name in ["package.json", lock] {
        copy(&file(listed, name), &file(packages, name))?;
    }
    let quiet = "--ignore-scripts --no-audit --no-fund --loglevel error";
    Step::new(&format!("npm ci --prefix {packages} {quiet}"), NETWORK).run()
}

fn python_tests() -> Result<Step, String> {
    let python = format!("{PYTHON_ENVIRONMENT}/bin/python");
    let step = Step::new(
        &format!("{python} -m pytest -n 4 --dist worksteal -c {PYTHON}/pytest.ini {PYTHON}"),
        "the failing test is named above; add its file to the command to run it alone",
    );
    let step = step.with_env("TASKHUB_BIN", &program("taskhub")?);
    let step = step.with_env("WEATHER_BIN", &program("weather")?);
    Ok(step.with_env("PYTHONDONTWRITEBYTECODE", "1"))
}

fn javascript_tests() -> Result<Step, String> {
    let folder = root().join(JAVASCRIPT);
    let listed = fs::read_dir(&folder).map_err(|error| format!("{JAVASCRIPT}: {error}"))?;
    let names = listed.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut tests: Vec<_> = names.filter(|name| name.ends_with(".test.js")).collect();
    tests.sort();
    let paths: Vec<_> = tests.iter().map(|name| format!("{JAVASCRIPT}/{name}")).collect();
    let packages = root().join(JAVASCRIPT_PACKAGES).join("node_modules");
    let step = Step::new(
        "node --test --test-reporter=spec",
        "the failing test is named above; `node --test` with its file alone runs it again",
    );
    let step = step.with_words(&paths).with_env("TASKHUB_BIN", &program("taskhub")?);
    Ok(step.with_env("NODE_PATH", &packages.to_string_lossy()))
}

/// A program that was built with this one, beside it.
fn program(name: &str) -> Result<String, String> {
    let own = std::env::current_exe().map_err(|error| format!("where am I? {error}"))?;
    Ok(own.with_file_name(name).to_string_lossy().into_owned())
}

/// Whether two files of the repository hold the same text.
fn same(left: &str, right: &str) -> bool {
    let read = |path: &str| fs::read(root().join(path)).ok();
    let (left, right) = (read(left), read(right));
    left.is_some() && left == right
}

fn copy(from: &str, to: &str) -> Result<(), String> {
    let (from, to) = (root().join(from), root().join(to));
    let folder = to.parent().map_or(Ok(()), fs::create_dir_all);
    let copied = folder.and_then(|()| fs::copy(&from, &to));
    copied.map(drop).map_err(|error| format!("{}: {error}", to.display()))
}
