//! What an orchestration must not name: whatever gives another answer when it is replayed.

use proc_macro2::{Ident, Span, TokenStream, TokenTree};
use syn::Error;

struct Rule {
    /// Neighbours in a path, such as `Instant::now`.
    path: &'static [&'static str],
    /// Whether the path begins with the first of them, as the name of a crate does.
    at_root: bool,
    advice: &'static str,
}

const CLOCK: &str = "a clock shows another time at replay: use `ctx.now()`";
const CHANCE: &str = "chance falls differently at replay: use `ctx.random()` or `ctx.uuid()`";
const TASKS: &str = "a task is lost when the process ends: await `ctx.call(..)` of an activity, or \
    join several futures here";
const SLEEP: &str = "this timer is lost when the process ends: use `ctx.sleep(..)`";
const THREADS: &str = "a thread is lost when the process ends, and blocks others meanwhile: put \
    this into an activity";
const INPUT: &str = "what this reads or does can differ at replay: put it into an activity";

const fn any(path: &'static [&'static str], advice: &'static str) -> Rule {
    Rule { path, at_root: false, advice }
}

const fn root(path: &'static [&'static str], advice: &'static str) -> Rule {
    Rule { path, at_root: true, advice }
}

const RULES: &[Rule] = &[
    any(&["Instant", "now"], CLOCK),
    any(&["SystemTime", "now"], CLOCK),
    any(&["Utc", "now"], CLOCK),
    any(&["Local", "now"], CLOCK),
    any(&["OffsetDateTime", "now_utc"], CLOCK),
    any(&["OffsetDateTime", "now_local"], CLOCK),
    any(&["Timestamp", "now"], CLOCK),
    any(&["Zoned", "now"], CLOCK),
    any(&["Uuid", "new_v4"], CHANCE),
    any(&["Uuid", "now_v7"], CHANCE),
    any(&["Uuid", "now_v1"], CHANCE),
    root(&["rand"], CHANCE),
    root(&["fastrand"], CHANCE),
    root(&["getrandom"], CHANCE),
    root(&["tokio", "spawn"], TASKS),
    root(&["tokio", "task"], TASKS),
    root(&["tokio", "time"], SLEEP),
    root(&["tokio", "fs"], INPUT),
    root(&["tokio", "net"], INPUT),
    root(&["tokio", "process"], INPUT),
    root(&["reqwest"], INPUT),
    root(&["ureq"], INPUT),
    root(&["std", "thread"], THREADS),
    root(&["thread", "sleep"], THREADS),
    root(&["thread", "spawn"], THREADS),
    root(&["std", "fs"], INPUT),
    root(&["std", "net"], INPUT),
    root(&["std", "env"], INPUT),
    root(&["std", "process"], INPUT),
];

const HATCH: &str = "(if it does no harm here: #[orchestration(unchecked = \"why\")])";

/// An error for each name in the body that an orchestration must not use.
pub(crate) fn scan(body: TokenStream) -> Option<Error> {
    let mut errors = None::<Error>;
    let mut waiting = vec![body];
    while let Some(stream) = waiting.pop() {
        for path in paths(stream, &mut waiting) {
            let Some((rule, at)) = offence(&path) else { continue };
            let named = rule.path.join("::");
            let message = format!("`{named}` in an orchestration: {} {HATCH}", rule.advice);
            let last = path[at + rule.path.len() - 1].1;
            let error = Error::new(path[at].1.join(last).unwrap_or(last), message);
            match &mut errors {
                Some(errors) => errors.combine(error),
                none => *none = Some(error),
            }
        }
    }
    errors
}

type Path = Vec<(String, Span)>;

fn offence(path: &Path) -> Option<(&'static Rule, usize)> {
    let named = |rule: &Rule, at: usize| {
        let end = at + rule.path.len();
        // A crate's name alone is no path: it could be a variable.
        let enough = end <= path.len() && path.len() > 1;
        enough && rule.path.iter().zip(&path[at..end]).all(|(a, (b, _))| a == b)
    };
    RULES.iter().find_map(|rule| {
        let places = if rule.at_root { 1 } else { path.len() };
        (0..places).find(|at| named(rule, *at)).map(|at| (rule, at))
    })
}

/// The paths of a token stream; the groups in it are left for later.
fn paths(stream: TokenStream, groups: &mut Vec<TokenStream>) -> Vec<Path> {
    let mut paths: Vec<Path> = Vec::new();
    let mut colons = 0;
    for token in stream {
        match token {
            TokenTree::Punct(punct) if punct.as_char() == ':' => colons += 1,
            TokenTree::Ident(name) => {
                let name = (plain(&name), name.span());
                match paths.last_mut() {
                    Some(path) if colons == 2 && !path.is_empty() => path.push(name),
                    _ => paths.push(vec![name]),
                }
                colons = 0;
            }
            other => {
                if let TokenTree::Group(group) = other {
                    groups.push(group.stream());
                }
                paths.push(Path::new());
                colons = 0;
            }
        }
    }
    paths
}

fn plain(name: &Ident) -> String {
    let name = name.to_string();
    name.strip_prefix("r#").map_or(name.clone(), str::to_owned)
}
