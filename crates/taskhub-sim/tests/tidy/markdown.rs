//! Rules about the documentation: few files, in known places, with links that lead somewhere.

use crate::repository::{Offences, Source};

const AT_THE_TOP: [&str; 4] = ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", "CHANGELOG.md"];

pub(crate) fn where_readers_look(source: Source<'_>) -> Offences {
    let parts: Vec<_> = source.path.split('/').collect();
    let expected = match parts.as_slice() {
        [name] => AT_THE_TOP.contains(name),
        ["docs", _] => true,
        ["crates" | "examples" | "bench", .., name] => *name == "README.md",
        _ => false,
    };
    if expected {
        return Vec::new();
    }
    let top = AT_THE_TOP.join(", ");
    vec![(1, format!("move it into {top}, a page of docs/, or the README.md of its crate"))]
}

/// The paths are those of the whole repository.
pub(crate) fn links_lead_to(paths: &[String], source: Source<'_>) -> Offences {
    let mut offences = Vec::new();
    let mut fenced = false;
    for (number, line) in source.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let broken = targets(line).into_iter().filter(|it| !leads(paths, source.path, it));
            offences.extend(broken.map(|it| (number, format!("`{it}` is no file; correct it"))));
        }
    }
    offences
}

/// The targets of the links and images in a line, outside of code.
fn targets(line: &str) -> Vec<String> {
    let prose: String = line.split('`').step_by(2).collect();
    let mut targets = Vec::new();
    for (before, after) in [("](", ')'), ("src=\"", '"'), ("href=\"", '"'), ("]: ", ' ')] {
        for rest in prose.split(before).skip(1) {
            let target = rest.split([after, ' ']).next().unwrap_or(rest);
            targets.push(target.trim_matches(['<', '>']).to_owned());
        }
    }
    targets
}

fn leads(paths: &[String], from: &str, target: &str) -> bool {
    if target.contains("://") || target.starts_with("mailto:") || target.starts_with('#') {
        return true;
    }
    let mut place: Vec<_> = from.split('/').collect();
    place.pop();
    for part in target.split(['#', '?']).next().unwrap_or(target).split('/') {
        match part {
            ".." if place.pop().is_none() => return false,
            "" | "." | ".." => {}
            part => place.push(part),
        }
    }
    let place = place.join("/");
    let within = |path: &String| path.strip_prefix(&place).is_some_and(|it| it.starts_with('/'));
    paths.iter().any(|path| *path == place || within(path))
}

/// A line of a page that is nothing but a link to a file of `examples/` and a colon has that file,
/// whole, in the block below it.
pub(crate) fn shows_files_as_they_are(read: fn(&str) -> String, source: Source<'_>) -> Offences {
    let mut offences = Vec::new();
    for (number, line) in source.lines() {
        let target = line.strip_suffix("):").and_then(|link| link.split_once("](../"));
        let Some((_, file)) = target.filter(|(_, file)| file.starts_with("examples/")) else {
            continue;
        };
        let mut below = source.text.lines().skip(number);
        below.find(|line| line.starts_with("```"));
        let shown: Vec<_> = below.take_while(|line| *line != "```").collect();
        if shown != read(file).lines().collect::<Vec<_>>() {
            offences.push((number, format!("`{file}` is another one by now; show it as it is")));
        }
    }
    offences
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_shown_differently_is_reported() {
        let check = |text| {
            let source = Source { path: "docs/events.md", text };
            shows_files_as_they_are(|path| format!("{path}\n\nend\n"), source).len()
        };
        assert_eq!(check("[a](../examples/a.py):\n\n```python\nexamples/a.py\n\nend\n```\n"), 0);
        assert_eq!(check("[a](../examples/a.py):\n\n```python\nexamples/a.py\n```\n"), 1);
        assert_eq!(check("[a](../examples/a.py):\n"), 1);
        assert_eq!(check("See [a](../examples/a.py).\n\n```python\nother\n```\n"), 0);
    }

    #[test]
    fn markdown_in_another_place_is_reported() {
        let check = |path| where_readers_look(Source { path, text: "" }).len();
        for path in ["README.md", "docs/events.md", "crates/taskhub/README.md"] {
            assert_eq!(check(path), 0, "{path}");
        }
        for path in ["NOTES.md", "docs/plans/next.md", "crates/taskhub/NOTES.md", "xtask/A.md"] {
            assert_eq!(check(path), 1, "{path}");
        }
    }

    fn broken(text: &str) -> Vec<usize> {
        let paths = ["README.md", "docs/events.md", "crates/taskhub/src/lib.rs"];
        let source = Source { path: "docs/events.md", text };
        let offences = links_lead_to(&paths.map(str::to_owned), source);
        offences.into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn a_link_to_nowhere_is_reported() {
        assert_eq!(broken("[a](timers.md)"), [1]);
        assert_eq!(broken("\n[a](events.md) [b](../LICENSE \"title\")"), [2]);
        assert_eq!(broken("[a](../../README.md)"), [1]);
        assert_eq!(broken("<img src=\"hub.png\">"), [1]);
        assert_eq!(broken("[a]: timers.md"), [1]);
    }

    #[test]
    fn a_link_to_a_file_a_folder_or_a_site_is_fine() {
        assert_eq!(broken("[a](../README.md#start) [b](../crates/taskhub) [c](#here)"), []);
        assert_eq!(broken("[a](https://example.org/x) ![b](../crates/taskhub/src/lib.rs)"), []);
        assert_eq!(broken("[a]: ../README.md \"title\""), []);
    }

    #[test]
    fn code_holds_no_links() {
        assert_eq!(broken("`[a](nowhere)`\n```rust\nmap[k](x)\n```\n"), []);
    }
}
