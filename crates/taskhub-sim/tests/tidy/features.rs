//! The rule that each ability in docs/features.md has a page that shows it and a test that exists.

use crate::repository::{self, Offences, Source};

/// One row per ability: what it is, a link to a heading, and tests by their names in their files.
pub(crate) fn rows_are_full(source: Source<'_>) -> Offences {
    let rows = source.lines().filter(|(_, line)| line.starts_with("| ") && !is_head(line));
    rows.filter_map(|(number, line)| Some((number, fault(line)?))).collect()
}

fn is_head(line: &str) -> bool {
    line.starts_with("| ability |")
}

fn fault(row: &str) -> Option<String> {
    let cells: Vec<_> = row.trim_matches('|').split(" | ").map(str::trim).collect();
    let [ability, page, test] = cells[..] else {
        return Some("a row has an ability, a page and a test".to_owned());
    };
    let tests: Option<Vec<_>> = test.split(", ").map(link).collect();
    let Some(((_, page), tests)) = link(page).zip(tests) else {
        return Some(format!("link the page and the test of `{ability}`"));
    };
    for (name, file) in tests {
        let name = name.trim_matches('`');
        let source = repository::read(&below_docs(file));
        if !["fn", "def"].iter().any(|word| source.contains(&format!("{word} {name}("))) {
            return Some(format!(
                "there is no test `{name}` in {file}; name the one that there is"
            ));
        }
    }
    let Some((page, heading)) = page.split_once('#') else {
        return Some(format!("link the heading of {page} below which `{ability}` is shown"));
    };
    let content = repository::read(&below_docs(page));
    let has = content.lines().any(|line| line.starts_with('#') && anchor(line) == heading);
    (!has).then(|| format!("{page} has no heading `{heading}`; link to one that it has"))
}

/// The content and the target of a cell that is one link.
fn link(cell: &str) -> Option<(&str, &str)> {
    cell.strip_prefix('[')?.strip_suffix(')')?.split_once("](")
}

fn below_docs(path: &str) -> String {
    path.strip_prefix("../").map_or_else(|| format!("docs/{path}"), str::to_owned)
}

/// What a heading is linked by.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = text.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(row: &str) -> usize {
        rows_are_full(Source { path: "docs/features.md", text: row }).len()
    }

    #[test]
    fn a_row_without_a_page_or_a_test_is_reported() {
        let own = "[`rows_are_full`](../crates/taskhub-sim/tests/tidy/features.rs)";
        assert_eq!(faults(&format!("| a | [b](testing.md#chaos) | {own} |")), 0);
        assert_eq!(faults("| ability | page | test |\n|---|---|---|"), 0);
        assert_eq!(faults(&format!("| a | | {own} |")), 1);
        assert_eq!(faults("| a | [b](testing.md#chaos) | |"), 1);
        assert_eq!(faults("| a | [b](testing.md#chaos) |"), 1);
        assert_eq!(faults(&format!("| a | [b](testing.md#nowhere) | {own} |")), 1);
        assert_eq!(faults(&format!("| a | [b](testing.md) | {own} |")), 1);
        assert_eq!(faults(&format!("| a | [b](testing.md#chaos) | {own}, {own} |")), 0);
        assert_eq!(faults(&format!("| a | [b](testing.md#chaos) | {own}, own |")), 1);
        let other = own.replace("rows_are_full", "rows_are_empty");
        assert_eq!(faults(&format!("| a | [b](testing.md#chaos) | {other} |")), 1);
    }
}
