//! Tells which blobs a trigger is for: `weather-results/{name}.json` is a path with captures.

use std::collections::{BTreeMap, HashSet};

/// What a pattern found in a path, by the names in its braces.
pub(crate) type Captures = BTreeMap<String, String>;

/// Why a text is no pattern.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("blob pattern `{pattern}`: {problem}")]
pub struct PatternError {
    pattern: String,
    problem: Problem,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Problem {
    #[error("it must begin with a folder, as in `replies/{{name}}`")]
    NoFolder,
    #[error("its folder must be literal: a capture may only follow the first `/`")]
    CaptureInFolder,
    #[error("it has an empty part; remove the second `/`")]
    EmptyPart,
    #[error("it names a folder; add what the blobs in it are called, as in `replies/{{name}}`")]
    NoBlob,
    #[error("`{0}` may not be a part of a path")]
    Dots(String),
    #[error("a `{{` is not closed; write `{{{{` for the character itself")]
    Open,
    #[error("a `}}` closes nothing; write `}}}}` for the character itself")]
    Closed,
    #[error("`{{{0}}}` is no name: a name has letters, digits, `_` and `-`")]
    Name(String),
    #[error("two captures are called `{0}`")]
    Twice(String),
    #[error("no text divides `{{{0}}}` from the capture before it")]
    Adjacent(String),
}

/// A path in which `{name}` stands for any text that is not empty, slashes included.
///
/// Where several texts would do, the first capture takes as much as it can, then the second, and
/// so on: `{name}.{kind}` finds `a.b` and `json` in `a.b.json`. Letters match in their own case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    folder: String,
    pieces: Vec<Piece>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Capture(String),
}

impl Pattern {
    /// Reads a pattern; `{{` and `}}` stand for the braces themselves.
    pub(crate) fn parse(text: &str) -> Result<Self, PatternError> {
        let pattern = pieces(text).and_then(|pieces| {
            let folder = folder(&pieces)?;
            check_parts(&pieces)?;
            check_captures(&pieces)?;
            Ok(Self { folder, pieces })
        });
        pattern.map_err(|problem| PatternError { pattern: text.to_owned(), problem })
    }

    /// The longest literal folder that holds everything the pattern can match.
    pub(crate) fn folder(&self) -> &str {
        &self.folder
    }

    /// What the pattern captures in `path`, if it matches.
    pub(crate) fn captures(&self, path: &str) -> Option<Captures> {
        let mut found = Vec::new();
        let matches = matches(&self.pieces, path, &mut HashSet::new(), &mut found);
        matches.then(|| found.into_iter().map(|(a, b)| (a.to_owned(), b.to_owned())).collect())
    }
}

/// Whether the pieces match all of `text`. `dead` remembers what was tried in vain, so that the
/// work grows with the length of the pattern times that of the text and no faster.
fn matches<'a>(
    pieces: &'a [Piece],
    text: &'a str,
    dead: &mut HashSet<(usize, usize)>,
    found: &mut Vec<(&'a str, &'a str)>,
) -> bool {
    let (name, rest) = match pieces {
        [] => return text.is_empty(),
        [Piece::Literal(literal), rest @ ..] => {
            let text = text.strip_prefix(literal.as_str());
            return text.is_some_and(|text| matches(rest, text, dead, found));
        }
        [Piece::Capture(name), rest @ ..] => (name, rest),
    };
    if !dead.insert((pieces.len(), text.len())) {
        return false;
    }
    let ends = text.char_indices().map(|(start, char)| start + char.len_utf8());
    for end in ends.rev() {
        let (capture, after) = text.split_at(end);
        let depth = found.len();
        found.push((name, capture));
        if matches(rest, after, dead, found) {
            return true;
        }
        found.truncate(depth);
    }
    false
}

/// The path, cut where captures begin and end; neighbouring literals are one.
fn pieces(text: &str) -> Result<Vec<Piece>, Problem> {
    let mut pieces = Vec::new();
    let mut literal = String::new();
    let mut rest = text;
    while let Some(char) = rest.chars().next() {
        rest = &rest[char.len_utf8()..];
        let doubled = rest.starts_with(char);
        match char {
            '{' | '}' if doubled => {
                literal.push(char);
                rest = &rest[1..];
            }
            '}' => return Err(Problem::Closed),
            '{' => {
                let (name, after) = rest.split_once('}').ok_or(Problem::Open)?;
                if !literal.is_empty() {
                    pieces.push(Piece::Literal(std::mem::take(&mut literal)));
                }
                pieces.push(Piece::Capture(name.to_owned()));
                rest = after;
            }
            char => literal.push(char),
        }
    }
    if !literal.is_empty() {
        pieces.push(Piece::Literal(literal));
    }
    Ok(pieces)
}

fn folder(pieces: &[Piece]) -> Result<String, Problem> {
    let Some(Piece::Literal(literal)) = pieces.first() else {
        return Err(if pieces.is_empty() { Problem::NoFolder } else { Problem::CaptureInFolder });
    };
    match literal.rsplit_once('/') {
        Some((folder, _)) => Ok(folder.to_owned()),
        None if pieces.len() > 1 => Err(Problem::CaptureInFolder),
        None => Err(Problem::NoFolder),
    }
}

fn check_parts(pieces: &[Piece]) -> Result<(), Problem> {
    let stand_in = |piece: &Piece| match piece {
        Piece::Literal(literal) => literal.clone(),
        Piece::Capture(_) => "x".to_owned(),
    };
    let example: String = pieces.iter().map(stand_in).collect();
    if example.starts_with('/') {
        return Err(Problem::NoFolder);
    }
    if example.ends_with('/') {
        return Err(Problem::NoBlob);
    }
    match example.split('/').find(|part| ["", ".", ".."].contains(part)) {
        Some("") => Err(Problem::EmptyPart),
        Some(dots) => Err(Problem::Dots(dots.to_owned())),
        None => Ok(()),
    }
}

fn check_captures(pieces: &[Piece]) -> Result<(), Problem> {
    let mut names = HashSet::new();
    let mut after_capture = false;
    for piece in pieces {
        let Piece::Capture(name) = piece else {
            after_capture = false;
            continue;
        };
        let allowed = |char: char| char.is_alphanumeric() || char == '_' || char == '-';
        if name.is_empty() || !name.chars().all(allowed) {
            return Err(Problem::Name(name.clone()));
        }
        if !names.insert(name) {
            return Err(Problem::Twice(name.clone()));
        }
        if after_capture {
            return Err(Problem::Adjacent(name.clone()));
        }
        after_capture = true;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The captures as `name=text`, in the order of their names.
    fn captures(pattern: &str, path: &str) -> Option<String> {
        let found = Pattern::parse(pattern).unwrap().captures(path)?;
        let found: Vec<_> = found.iter().map(|(name, text)| format!("{name}={text}")).collect();
        Some(found.join(" "))
    }

    fn error(pattern: &str) -> String {
        Pattern::parse(pattern).unwrap_err().to_string()
    }

    #[test]
    fn a_capture_takes_the_rest_of_a_path() {
        assert_eq!(captures("replies/{name}", "replies/17.json").unwrap(), "name=17.json");
        assert_eq!(captures("replies/{name}", "replies/a/b.json").unwrap(), "name=a/b.json");
        assert_eq!(captures("replies/{name}", "replies/"), None);
        assert_eq!(captures("replies/{name}", "requests/17.json"), None);
    }

    #[test]
    fn the_first_capture_takes_as_much_as_it_can() {
        let found = |path| captures("in/{name}.{kind}", path);
        assert_eq!(found("in/a.b.json").unwrap(), "kind=json name=a.b");
        assert_eq!(found("in/sub/a.json").unwrap(), "kind=json name=sub/a");
        assert_eq!(found("in/none"), None);
        assert_eq!(found("in/.json"), None);
        let found = captures("in/{a}.{b}-/{c}", "in/foo.bar.txt-/x-/y").unwrap();
        assert_eq!(found, "a=foo.bar b=txt-/x c=y");
    }

    #[test]
    fn literals_filter() {
        assert_eq!(captures("in/original-{name}", "in/original-a.png").unwrap(), "name=a.png");
        assert_eq!(captures("in/original-{name}", "in/small-a.png"), None);
        assert_eq!(captures("in/{name}.png", "in/a.PNG"), None);
        assert_eq!(captures("in/settings.json", "in/settings.json").unwrap(), "");
        assert_eq!(captures("in/settings.json", "in/settings.json5"), None);
    }

    #[test]
    fn doubled_braces_stand_for_themselves() {
        assert_eq!(captures("in/{{20}}-{name}", "in/{20}-a").unwrap(), "name=a");
        assert_eq!(captures("in/{{{name}", "in/{a").unwrap(), "name=a");
    }

    #[test]
    fn the_folder_is_as_long_as_it_is_literal() {
        let folder = |pattern| Pattern::parse(pattern).unwrap().folder().to_owned();
        assert_eq!(folder("in/{name}"), "in");
        assert_eq!(folder("in/deep/er-{name}/x"), "in/deep");
        assert_eq!(folder("in/settings.json"), "in");
    }

    #[test]
    fn an_error_says_what_to_write() {
        assert_eq!(
            error("replies"),
            "blob pattern `replies`: it must begin with a folder, as in `replies/{name}`"
        );
        assert!(error("").contains("must begin with a folder"));
        assert!(error("/{name}").contains("must begin with a folder"));
        assert!(error("{folder}/{name}").contains("must be literal"));
        assert!(error("a{folder}/{name}").contains("must be literal"));
        assert!(error("in/").contains("names a folder"));
        assert!(error("in//{name}").contains("empty part"));
        assert!(error("in/../{name}").contains("`..` may not be"));
        assert!(error("in/{name").contains("a `{` is not closed"));
        assert!(error("in/name}").contains("a `}` closes nothing"));
        assert!(error("in/{}").contains("`{}` is no name"));
        assert!(error("in/{a b}").contains("`{a b}` is no name"));
        assert!(error("in/{a}-{a}").contains("two captures are called `a`"));
        assert!(error("in/{a}{b}").contains("divides `{b}`"));
    }

    #[test]
    fn a_long_name_of_many_dots_is_refused_quickly() {
        let path = format!("in/{}", ".".repeat(500));
        assert_eq!(captures("in/{a}.{b}.{c}.{d}.{e}.{f}!", &path), None);
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(pattern in "[a-c./{}]{0,16}", path in "\\PC{0,16}") {
            if let Ok(pattern) = Pattern::parse(&pattern) {
                let _ = pattern.captures(&path);
            }
        }

        #[test]
        fn captures_put_back_into_the_pattern_give_the_path(path in "in/[a-c./]{0,16}") {
            let pattern = Pattern::parse("in/{a}.{b}/{c}").unwrap();
            if let Some(found) = pattern.captures(&path) {
                let text = format!("in/{}.{}/{}", found["a"], found["b"], found["c"]);
                prop_assert_eq!(text, path);
            }
        }
    }
}
