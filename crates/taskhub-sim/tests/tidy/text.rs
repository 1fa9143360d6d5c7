//! Rules that need only the lines of a file.

use crate::repository::{Offences, Source};

pub(crate) fn at_most_400_lines(source: Source<'_>) -> Offences {
    let lines = source.text.lines().count();
    if lines <= 400 {
        return Vec::new();
    }
    vec![(lines, format!("{lines} lines; split the file by what its parts are about"))]
}

pub(crate) fn at_most_100_columns(source: Source<'_>) -> Offences {
    let long = source.lines().filter(|(_, line)| line.chars().count() > 100);
    long.map(|(number, _)| (number, "more than 100 columns; break the line".to_owned())).collect()
}

pub(crate) fn opens_with_a_sentence(source: Source<'_>) -> Offences {
    let opening: Vec<_> = source.text.lines().map_while(|line| line.strip_prefix("//! ")).collect();
    let opening = opening.join(" ");
    let words = opening.split_whitespace().count();
    if words >= 3 && opening.contains(['.', '?', '!', ':']) {
        return Vec::new();
    }
    vec![(1, "say in a `//!` sentence what this file is for".to_owned())]
}

pub(crate) fn no_banners(source: Source<'_>) -> Offences {
    let banners = source.lines().filter(|(_, line)| is_banner(line));
    let advice = "a banner; let a module or a function make the division";
    banners.map(|(number, _)| (number, advice.to_owned())).collect()
}

fn is_banner(line: &str) -> bool {
    let line = line.trim();
    let Some(comment) = line.strip_prefix("//") else {
        return false;
    };
    let comment = comment.trim_start_matches(['/', '!', ' ']);
    let ruled = |rule: char| comment.starts_with(&String::from(rule).repeat(4));
    line.starts_with("////") || "-=*#~_".chars().any(ruled)
}

pub(crate) fn nothing_left_for_later(source: Source<'_>) -> Offences {
    // Written in halves, so that this file passes its own rule.
    let markers = [
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
        concat!("X", "XX"),
        concat!("todo", "!"),
        concat!("unimplemented", "!"),
        concat!("#[ig", "nore"),
    ];
    let mut offences = Vec::new();
    for (number, line) in source.lines() {
        for marker in markers.iter().filter(|marker| holds_word(line, marker)) {
            offences.push((number, format!("`{marker}`: finish it now, or leave it out")));
        }
    }
    offences
}

/// Whether the line holds the word on its own, not as a part of a longer word.
fn holds_word(line: &str, word: &str) -> bool {
    let part = |neighbour: char| neighbour.is_alphanumeric() || neighbour == '_';
    line.match_indices(word).any(|(start, _)| {
        let end = start + word.len();
        let open = word.ends_with(part) && line[end..].starts_with(part);
        !open && !line[..start].ends_with(part)
    })
}

pub(crate) fn no_lint_allowed_for_a_whole_crate(source: Source<'_>) -> Offences {
    let advice = "allow the lint on one item, with a reason, or follow it";
    let inner = source.lines().filter(|(_, line)| {
        let line = line.trim_start();
        line.starts_with("#![") && (line.contains("allow(") || line.contains("expect("))
    });
    inner.map(|(number, _)| (number, advice.to_owned())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(rule: fn(Source<'_>) -> Offences, text: &str) -> Vec<usize> {
        rule(Source { path: "sample.rs", text }).into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn a_401st_line_is_reported() {
        assert_eq!(lines(at_most_400_lines, &"\n".repeat(400)), []);
        assert_eq!(lines(at_most_400_lines, &"\n".repeat(401)), [401]);
    }

    #[test]
    fn a_101st_column_is_reported_and_columns_are_characters() {
        assert_eq!(lines(at_most_100_columns, &"é".repeat(100)), []);
        assert_eq!(lines(at_most_100_columns, &format!("\n{}", "é".repeat(101))), [2]);
    }

    #[test]
    fn an_opening_that_is_no_sentence_is_reported() {
        assert_eq!(lines(opens_with_a_sentence, "//! Holds the\n//! leases.\n"), []);
        assert_eq!(lines(opens_with_a_sentence, "//! Leases\n"), [1]);
        assert_eq!(lines(opens_with_a_sentence, "\n//! Holds the leases.\n"), [1]);
        assert_eq!(lines(opens_with_a_sentence, "use std::fs;\n"), [1]);
    }

    #[test]
    fn a_banner_is_reported_and_a_table_is_not() {
        assert_eq!(lines(no_banners, concat!("//! | a |\n//! |", "---", "|\n// a -> b")), []);
        for rule in ["// ----", "/// ====", "//! ****", "//////"] {
            assert_eq!(lines(no_banners, &format!("\n    {rule} Part two")), [2], "{rule}");
        }
    }

    #[test]
    fn a_marker_is_reported_only_as_a_word_of_its_own() {
        assert_eq!(lines(nothing_left_for_later, concat!("MAS", "TO", "DON, ", "XX", "XL")), []);
        assert_eq!(lines(nothing_left_for_later, concat!("\n// TO", "DO: later")), [2]);
        assert_eq!(lines(nothing_left_for_later, concat!("to", "do!(\"later\")")), [1]);
        assert_eq!(lines(nothing_left_for_later, concat!("#[ig", "nore = \"slow\"]")), [1]);
    }

    #[test]
    fn an_inner_allow_is_reported_and_an_outer_one_is_not() {
        let rule = no_lint_allowed_for_a_whole_crate;
        assert_eq!(lines(rule, "#[allow(dead_code)]\nfn f() {}"), []);
        assert_eq!(lines(rule, "//! A sentence.\n#![allow(dead_code)]"), [2]);
        assert_eq!(lines(rule, "#![cfg_attr(test, allow(dead_code))]"), [1]);
    }
}
