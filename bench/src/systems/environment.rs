//! Programs in Python, each in an environment with exactly what it lists.
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use super::{home, target};

/// Makes the environment of the programs in `folder`, unless it is there.
pub(super) fn install(folder: &str) -> Result<(), String> {
    let wanted = home().join(folder).join("requirements.txt");
    let (environment, said) = (environment(folder), |error: std::io::Error| error.to_string());
    let installed = environment.join("requirements.txt");
    let list = fs::read_to_string(&wanted).map_err(said)?;
    if fs::read_to_string(&installed).is_ok_and(|installed| installed == list) {
        return Ok(());
    }
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&environment))?;
    let mut pip = Command::new(environment.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]);
    run(pip.args(["--only-binary", ":all:", "-r"]).arg(&wanted))?;
    fs::write(installed, list).map_err(said)
}

/// The command that runs a program in `folder`.
pub(super) fn command(folder: &str, name: &str) -> Command {
    let mut command = Command::new(environment(folder).join("bin/python"));
    command.env("PYTHONDONTWRITEBYTECODE", "1").arg(home().join(folder).join(name));
    command
}

fn environment(folder: &str) -> PathBuf {
    target().join("python").join(folder)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("python3 with venv: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}", String::from_utf8_lossy(&output.stderr).trim()))
}
