//! The rule that what a page shows is tried: Rust is compiled, commands are run.

use crate::repository::{self, Offences, Source};

/// Compiles every block of Rust in the pages that it includes.
const COMPILED_BY: &str = "crates/taskhub/src/howto.rs";

/// Each runs all commands of the pages that it names, but for those in [`UNRUN`].
const RUN_BY: [&str; 2] =
    ["crates/taskhub-server/tests/cli/pages.rs", "tests/sdk/python/test_docs.py"];

/// The commands that nobody runs: the page, how the block begins, and why.
const UNRUN: &str = "tests/docs/unrun.txt";

pub(crate) fn are_tried(source: Source<'_>) -> Offences {
    check(source, repository::read)
}

fn check(source: Source<'_>, read: fn(&str) -> String) -> Offences {
    let page = source.path.rsplit('/').next().unwrap_or(source.path);
    let compiled = read(COMPILED_BY).contains(&format!("/{page}\")]"));
    let run = RUN_BY.iter().any(|path| read(path).contains(&format!("\"{page}\"")));
    let unrun = read(UNRUN);
    let unrun = |first: &str| {
        let of_page = unrun.lines().filter_map(|line| line.strip_prefix(&format!("{page} | ")));
        of_page.filter_map(|line| line.split_once(" | ")).any(|(start, _)| first.starts_with(start))
    };
    let mut lines = source.lines();
    let mut offences = Vec::new();
    while let Some((number, line)) = lines.next() {
        let Some(language) = line.strip_prefix("```") else { continue };
        let block: Vec<_> =
            lines.by_ref().map(|(_, it)| it).take_while(|it| *it != "```").collect();
        let advice = match language.split(',').next() {
            Some("rust") if !compiled || language.contains("ignore") => {
                format!("nobody compiles this: include the page in {COMPILED_BY}")
            }
            Some("sh") if !run && !block.first().is_some_and(|first| unrun(first)) => {
                format!("nobody runs this: add the page to {}, or say why in {UNRUN}", RUN_BY[1])
            }
            _ => continue,
        };
        offences.push((number, advice));
    }
    offences
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &str) -> String {
        let text = match path {
            COMPILED_BY => "#[doc = include_str!(\"../../../docs/compiled.md\")]",
            UNRUN => "plain.md | go run | Go is not here\n",
            _ => "(\"run.md\")",
        };
        text.to_owned()
    }

    fn offences(page: &str, block: &str) -> usize {
        let text = format!("Text.\n\n```{block}\n```\n\n```text\nsh\n```\n");
        check(Source { path: &format!("docs/{page}"), text: &text }, read).len()
    }

    #[test]
    fn a_block_that_nobody_tries_is_reported() {
        assert_eq!(offences("plain.md", "rust\nlet a = 1;"), 1);
        assert_eq!(offences("compiled.md", "rust,no_run\nlet a = 1;"), 0);
        assert_eq!(offences("compiled.md", "rust,ignore\nlet a = 1;"), 1);
        assert_eq!(offences("plain.md", "sh\ntaskhub serve"), 1);
        assert_eq!(offences("plain.md", "sh\ngo run ."), 0);
        assert_eq!(offences("run.md", "sh\ntaskhub serve"), 0);
        assert_eq!(offences("plain.md", "toml\na = 1"), 0);
    }
}
