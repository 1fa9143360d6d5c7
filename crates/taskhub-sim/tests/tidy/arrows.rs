//! Rules about the manifests: which crate may depend on which, and the lints of the workspace.

use toml::Table;

use crate::repository::{Offences, Source};

/// Each published crate and the crates of this workspace it may depend on.
const MAY_DEPEND_ON: [(&str, &[&str]); 8] = [
    ("taskhub-core", &[]),
    ("taskhub-macros", &[]),
    ("taskhub-engine", &["taskhub-core"]),
    ("taskhub-postgres", &["taskhub-core"]),
    ("taskhub-wire", &["taskhub-core"]),
    ("taskhub-link", &["taskhub-core", "taskhub-wire"]),
    (
        "taskhub-server",
        &["taskhub-core", "taskhub-engine", "taskhub-link", "taskhub-postgres", "taskhub-wire"],
    ),
    (
        "taskhub",
        &[
            "taskhub-core",
            "taskhub-engine",
            "taskhub-link",
            "taskhub-macros",
            "taskhub-postgres",
            "taskhub-server",
            "taskhub-wire",
        ],
    ),
];

/// The crate that is never published: it may use every crate, none may be built on it.
const SIMULATOR: &str = "taskhub-sim";

/// Dev-dependencies are free: they are in no build but that of the crate's own tests.
pub(crate) fn point_down(source: Source<'_>) -> Offences {
    let manifest = match source.text.parse::<Table>() {
        Ok(manifest) => manifest,
        Err(error) => return vec![(1, format!("not TOML; correct it: {error}"))],
    };
    let name = manifest.get("package").and_then(|package| package.get("name"));
    let name = name.and_then(|name| name.as_str()).unwrap_or_default();
    let row = MAY_DEPEND_ON.iter().find(|(crate_name, _)| *crate_name == name);
    if row.is_none() && name != SIMULATOR && source.path.starts_with("crates/") {
        return vec![(1, format!("give `{name}` a row in {}", file!()))];
    }
    let forbidden = |dependency: &String| match row {
        Some((_, allowed)) => !allowed.contains(&dependency.as_str()),
        None => dependency == SIMULATOR,
    };
    let ours = dependencies(&manifest).into_iter().filter(|name| name.starts_with("taskhub"));
    ours.filter(forbidden)
        .map(|wrong| {
            let advice = format!("`{name}` must not depend on `{wrong}`; arrows point down");
            (line_of(source, &wrong), advice)
        })
        .collect()
}

/// A package that is a workspace of its own has nothing to inherit.
pub(crate) fn lints_of_the_workspace(source: Source<'_>) -> Offences {
    let manifest = source.text.parse::<Table>().unwrap_or_default();
    let inherited = manifest.get("lints").and_then(|lints| lints.get("workspace"));
    if inherited.and_then(toml::Value::as_bool) == Some(true) || manifest.contains_key("workspace")
    {
        return Vec::new();
    }
    vec![(1, "add `[lints]` with `workspace = true`".to_owned())]
}

/// The packages a manifest needs to build, for any target.
fn dependencies(manifest: &Table) -> Vec<String> {
    let targets = manifest.get("target").and_then(|targets| targets.as_table());
    let targets = targets.into_iter().flat_map(Table::values).filter_map(|it| it.as_table());
    let mut packages = Vec::new();
    for table in targets.chain([manifest]) {
        for kind in ["dependencies", "build-dependencies"] {
            let entries = table.get(kind).and_then(|entries| entries.as_table());
            for (key, value) in entries.into_iter().flatten() {
                let renamed = value.get("package").and_then(|package| package.as_str());
                packages.push(renamed.unwrap_or(key).to_owned());
            }
        }
    }
    packages
}

fn line_of(source: Source<'_>, dependency: &str) -> usize {
    let named = |line: &str| line.contains(dependency) && !line.trim().starts_with("name");
    source.lines().find(|(_, line)| named(line)).map_or(1, |(number, _)| number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, rest: &str) -> Vec<usize> {
        let text = format!("[package]\nname = \"{name}\"\n{rest}");
        let source = Source { path: "crates/sample/Cargo.toml", text: &text };
        point_down(source).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn an_arrow_that_points_up_is_reported() {
        assert_eq!(check("taskhub-engine", "[dependencies]\ntaskhub-core.workspace = true"), []);
        assert_eq!(check("taskhub-core", "[dependencies]\ntaskhub-engine.workspace = true"), [4]);
        assert_eq!(check("taskhub-core", "[build-dependencies.taskhub]\nworkspace = true"), [3]);
    }

    #[test]
    fn an_arrow_is_seen_for_one_target_and_under_another_name() {
        let unix = "[target.'cfg(unix)'.dependencies]\ntaskhub-macros.workspace = true";
        assert_eq!(check("taskhub-engine", unix), [4]);
        let renamed = "[dependencies]\nhub = { path = \"..\", package = \"taskhub\" }";
        assert_eq!(check("taskhub-engine", renamed), [4]);
    }

    #[test]
    fn the_simulator_is_for_tests_only() {
        assert_eq!(check("taskhub-core", "[dev-dependencies]\ntaskhub-sim.workspace = true"), []);
        assert_eq!(check("taskhub", "[dependencies]\ntaskhub-sim.workspace = true"), [4]);
        let text = "[package]\nname = \"weather\"\n[dependencies]\ntaskhub-sim.workspace = true";
        let example = Source { path: "examples/weather/Cargo.toml", text };
        assert_eq!(point_down(example).len(), 1);
    }

    #[test]
    fn a_crate_without_a_row_is_reported() {
        assert_eq!(check("taskhub-azure", ""), [1]);
    }

    #[test]
    fn a_crate_with_lints_of_its_own_is_reported() {
        let check = |text| lints_of_the_workspace(Source { path: "xtask/Cargo.toml", text }).len();
        assert_eq!(check("[lints]\nworkspace = true"), 0);
        assert_eq!(check("[lints.clippy]\nall = \"allow\""), 1);
        assert_eq!(check("[package]"), 1);
        assert_eq!(check("[package]\n[workspace]"), 0);
    }
}
