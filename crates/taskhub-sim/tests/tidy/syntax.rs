//! Rules that need the tokens of a file, so that comments and strings are free to say anything.

use std::str::FromStr;

use proc_macro2::{Delimiter, Group, Ident, LexError, TokenStream, TokenTree};

use crate::repository::{Offences, Source};

/// What the core must not name: time and chance come in as arguments, the engine has the threads.
const NOT_IN_THE_CORE: [&str; 5] = ["Instant", "SystemTime", "thread", "tokio", "rand"];

pub(crate) fn functions_of_at_most_60_lines(source: Source<'_>) -> Offences {
    let mut offences = Vec::new();
    let read = visit(source, &mut |tokens, index| {
        let Some((name, body)) = function_at(tokens, index) else {
            return;
        };
        let first = tokens[index].span().start().line;
        let lines = body.span_close().end().line - first + 1;
        if lines > 60 {
            offences.push((first, format!("`{name}` has {lines} lines; find the steps it takes")));
        }
    });
    offences.extend(unreadable(read));
    offences
}

pub(crate) fn no_clock_thread_or_chance(source: Source<'_>) -> Offences {
    let mut offences = Vec::new();
    let read = visit(source, &mut |tokens, index| {
        if let TokenTree::Ident(word) = &tokens[index]
            && NOT_IN_THE_CORE.iter().any(|name| word == name)
        {
            let advice = format!("`{word}` in the core; take what it gives as an argument");
            offences.push((word.span().start().line, advice));
        }
    });
    offences.extend(unreadable(read));
    offences
}

/// The names of the modules a file declares, with their lines.
pub(crate) fn modules(source: Source<'_>) -> Vec<(usize, String)> {
    let mut modules = Vec::new();
    let read = visit(source, &mut |tokens, index| {
        if let Some(name) = named(tokens, index, "mod") {
            modules.push((name.span().start().line, name.to_string()));
        }
    });
    modules.extend(unreadable(read));
    modules
}

/// Calls `seen` for every token of the file with its neighbours, inside macro calls too.
fn visit(source: Source<'_>, seen: &mut impl FnMut(&[TokenTree], usize)) -> Result<(), LexError> {
    let mut waiting = vec![TokenStream::from_str(source.text)?];
    while let Some(stream) = waiting.pop() {
        let tokens: Vec<_> = stream.into_iter().collect();
        for (index, token) in tokens.iter().enumerate() {
            seen(&tokens, index);
            if let TokenTree::Group(group) = token {
                waiting.push(group.stream());
            }
        }
    }
    Ok(())
}

/// The name and the body of the function whose `fn` stands at the index.
fn function_at(tokens: &[TokenTree], index: usize) -> Option<(&Ident, &Group)> {
    let name = named(tokens, index, "fn")?;
    for token in &tokens[index + 2..] {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => {
                return Some((name, group));
            }
            TokenTree::Punct(end) if end.as_char() == ';' => return None,
            _ => {}
        }
    }
    None
}

/// The name that follows the keyword, if the keyword stands at the index.
fn named<'a>(tokens: &'a [TokenTree], index: usize, keyword: &str) -> Option<&'a Ident> {
    match &tokens[index..] {
        [TokenTree::Ident(word), TokenTree::Ident(name), ..] if word == keyword => Some(name),
        _ => None,
    }
}

fn unreadable(read: Result<(), LexError>) -> Option<(usize, String)> {
    let error = read.err()?;
    Some((error.span().start().line, format!("not Rust ({error}); correct it")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(text: &str) -> Source<'_> {
        Source { path: "sample.rs", text }
    }

    fn lines(offences: Offences) -> Vec<usize> {
        offences.into_iter().map(|(line, _)| line).collect()
    }

    #[test]
    fn a_function_of_61_lines_is_reported_wherever_it_stands() {
        let long = |lines: usize| format!("fn long() {{{}}}", "\n".repeat(lines - 1));
        let check = |text: &str| lines(functions_of_at_most_60_lines(sample(text)));
        assert_eq!(check(&long(60)), []);
        assert_eq!(check(&long(61)), [1]);
        assert_eq!(check(&format!("impl A {{\n    async {}\n}}", long(61))), [2]);
        assert_eq!(check(&format!("proptest! {{\n{}\n}}", long(61))), [2]);
    }

    #[test]
    fn a_declaration_and_a_pointer_are_no_functions() {
        let text =
            format!("trait A {{ fn f(); }}\ntype F = fn(u8);\nmod m {{{}}}", "\n".repeat(70));
        assert_eq!(functions_of_at_most_60_lines(sample(&text)), []);
    }

    #[test]
    fn a_clock_in_the_core_is_reported_and_a_word_in_a_comment_is_not() {
        let check = |text: &str| lines(no_clock_thread_or_chance(sample(text)));
        assert_eq!(check("// Instant\n/// tokio\nconst A: &str = \"rand\";"), []);
        assert_eq!(check("\nuse std::time::{Duration, Instant};"), [2]);
        assert_eq!(check("fn f() { std::thread::yield_now() }"), [1]);
        assert_eq!(check("use tokio::sync::mpsc;"), [1]);
    }

    #[test]
    fn a_file_that_is_not_rust_is_reported() {
        assert_eq!(lines(functions_of_at_most_60_lines(sample("\nfn f( {"))).len(), 1);
    }
}
