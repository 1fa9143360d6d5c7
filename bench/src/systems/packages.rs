//! Programs from npm, each folder with exactly what its `package-lock.json` lists.
use std::fs;
use std::process::Command;

use super::{home, target};

/// Installs what `folder` lists, unless it lists nothing or all of it is there.
pub(super) fn install(folder: &str) -> Result<(), String> {
    let (listed, packages) = (home().join(folder), target().join("npm").join(folder));
    let Ok(wanted) = fs::read_to_string(listed.join("package-lock.json")) else {
        return Ok(());
    };
    // What npm leaves of its own accord once everything is in place.
    let there = packages.join("node_modules/.package-lock.json").exists();
    if there && fs::read_to_string(packages.join("package-lock.json")).is_ok_and(|it| it == wanted)
    {
        return Ok(());
    }
    let said = |error: std::io::Error| format!("{}: {error}", packages.display());
    fs::create_dir_all(&packages).map_err(said)?;
    for name in ["package.json", "package-lock.json"] {
        fs::copy(listed.join(name), packages.join(name)).map_err(said)?;
    }
    let mut npm = Command::new("npm");
    npm.args(["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent", "--prefix"]);
    match npm.arg(&packages).status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("npm could not install what {folder} needs: {status}")),
        Err(error) => Err(format!("npm could not be started: {error}")),
    }
}
