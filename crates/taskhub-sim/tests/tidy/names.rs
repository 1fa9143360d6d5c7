//! Rules about what files and modules are called.

use crate::repository::{Offences, Source};
use crate::syntax;

const VAGUE: [&str; 6] = ["util", "utils", "helper", "helpers", "common", "misc"];

pub(crate) fn paths(source: Source<'_>) -> Offences {
    let stems = source.path.split('/').map(|part| part.split('.').next().unwrap_or(part));
    stems.filter(|stem| VAGUE.contains(stem)).map(|stem| (1, advice(stem))).collect()
}

pub(crate) fn modules(source: Source<'_>) -> Offences {
    let declared = syntax::modules(source).into_iter();
    let vague = declared.filter(|(_, name)| VAGUE.contains(&name.as_str()));
    vague.map(|(line, name)| (line, advice(&name))).collect()
}

fn advice(name: &str) -> String {
    format!("`{name}` says nothing; use the name of what it holds")
}

#[test]
fn a_vague_path_is_reported() {
    let check = |path| paths(Source { path, text: "" }).len();
    assert_eq!(check("crates/taskhub-core/src/commonly_used.rs"), 0);
    assert_eq!(check("crates/taskhub-core/src/utils.rs"), 1);
    assert_eq!(check("crates/taskhub/tests/common/mod.rs"), 1);
}

#[test]
fn a_vague_module_is_reported() {
    let text = "mod lease;\n#[cfg(test)]\nmod helpers {}";
    let offences = modules(Source { path: "sample.rs", text });
    assert_eq!(offences.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [3]);
}
