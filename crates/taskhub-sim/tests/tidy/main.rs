//! The house rules, enforced on every file of the repository; CONTRIBUTING.md says why.

mod arrows;
mod blocks;
mod features;
mod markdown;
mod names;
mod repository;
mod syntax;
mod text;

use std::path::Path;

use repository::{Offences, Source};

/// Checks a rule on every file whose path it applies to, and reports all offences at once.
fn enforce(applies: fn(&str) -> bool, rule: impl Fn(Source<'_>) -> Offences) {
    let mut report = Vec::new();
    for path in repository::paths().iter().filter(|path| applies(path)) {
        let text = repository::read(path);
        for (line, advice) in rule(Source { path, text: &text }) {
            report.push(format!("{path}:{line}: {advice}"));
        }
    }
    assert!(report.is_empty(), "\n{}\n", report.join("\n"));
}

fn rust(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|it| it == "rs")
}

fn code(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|it| it == "rs" || it == "py" || it == "js")
}

fn rust_of_the_core(path: &str) -> bool {
    rust(path) && path.starts_with("crates/taskhub-core/")
}

fn manifest(path: &str) -> bool {
    path.ends_with("/Cargo.toml")
}

fn markdown(path: &str) -> bool {
    Path::new(path).extension().is_some_and(|it| it.eq_ignore_ascii_case("md"))
}

fn table_of_features(path: &str) -> bool {
    path == "docs/features.md"
}

fn any(_: &str) -> bool {
    true
}

#[test]
fn the_repository_is_found() {
    let paths = repository::paths();
    for crate_root in ["crates/taskhub-core/src/lib.rs", "xtask/src/main.rs"] {
        assert!(paths.iter().any(|path| path == crate_root), "{crate_root} is not listed");
    }
}

#[test]
fn a_file_has_at_most_400_lines() {
    enforce(code, text::at_most_400_lines);
}

#[test]
fn a_line_has_at_most_100_columns() {
    enforce(code, text::at_most_100_columns);
}

#[test]
fn a_file_opens_with_a_sentence() {
    enforce(rust, text::opens_with_a_sentence);
}

#[test]
fn no_comment_is_a_banner() {
    enforce(rust, text::no_banners);
}

#[test]
fn nothing_is_left_for_later() {
    enforce(rust, text::nothing_left_for_later);
}

#[test]
fn no_lint_is_allowed_for_a_whole_crate() {
    enforce(rust, text::no_lint_allowed_for_a_whole_crate);
}

#[test]
fn a_function_has_at_most_60_lines() {
    enforce(rust, syntax::functions_of_at_most_60_lines);
}

#[test]
fn the_core_has_no_clock_thread_or_chance() {
    enforce(rust_of_the_core, syntax::no_clock_thread_or_chance);
}

#[test]
fn a_module_is_named_after_what_it_holds() {
    enforce(rust, names::modules);
}

#[test]
fn a_file_is_named_after_what_it_holds() {
    enforce(any, names::paths);
}

#[test]
fn arrows_between_crates_point_down() {
    enforce(manifest, arrows::point_down);
}

#[test]
fn every_crate_takes_the_lints_of_the_workspace() {
    enforce(manifest, arrows::lints_of_the_workspace);
}

#[test]
fn markdown_is_where_readers_look() {
    enforce(markdown, markdown::where_readers_look);
}

#[test]
fn a_relative_link_leads_to_a_file() {
    let paths = repository::paths();
    enforce(markdown, |source| markdown::links_lead_to(&paths, source));
}

#[test]
fn a_page_shows_files_as_they_are() {
    enforce(markdown, |source| markdown::shows_files_as_they_are(repository::read, source));
}

#[test]
fn what_a_page_shows_is_tried() {
    enforce(markdown, blocks::are_tried);
}

#[test]
fn every_feature_has_a_page_and_a_test() {
    enforce(table_of_features, features::rows_are_full);
}
