//! A chore is a list of commands, run in order until one fails.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// What a chore has to say at its end: its summary, or what went wrong and what to do.
pub(crate) type Outcome = Result<String, String>;

/// One command line, with what to do when it fails.
pub(crate) struct Step {
    line: Vec<String>,
    env: Vec<(&'static str, &'static str)>,
    advice: &'static str,
}

impl Step {
    /// A step from a command line whose words hold no spaces, such as `cargo fmt --check`.
    pub(crate) fn new(line: &str, advice: &'static str) -> Self {
        let line = line.split_whitespace().map(str::to_owned).collect();
        Self { line, env: Vec::new(), advice }
    }

    /// The same step with an environment variable set.
    pub(crate) fn with_env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }

    /// The same step with further words, which may hold spaces.
    pub(crate) fn with_words(mut self, words: &[String]) -> Self {
        self.line.extend_from_slice(words);
        self
    }

    /// Runs the step under a heading and says how long it took, in seconds.
    pub(crate) fn run(&self) -> Result<(), String> {
        let heading = self.line.join(" ");
        println!("\n==> {heading}");
        let advice = self.advice;
        let start = Instant::now();
        let status = command(&self.line).envs(self.env.iter().copied()).status();
        let took = seconds(start.elapsed());
        match status {
            Ok(status) if status.success() => {
                println!("    {took}");
                Ok(())
            }
            Ok(status) => Err(format!("`{heading}` failed after {took} ({status}): {advice}")),
            Err(error) => Err(format!("`{heading}` could not be started ({error}): {advice}")),
        }
    }
}

/// Runs the steps in order; the first failure ends the chore.
pub(crate) fn run(chore: &str, steps: &[Step]) -> Outcome {
    let start = Instant::now();
    for step in steps {
        step.run()?;
    }
    Ok(format!("{chore}: {} steps passed in {}", steps.len(), seconds(start.elapsed())))
}

/// Whether a command can be started and succeeds; what it prints is thrown away.
pub(crate) fn succeeds(line: &str) -> bool {
    let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
    let quiet = command(&words).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

/// What a command prints on its standard output, empty if it cannot be started.
pub(crate) fn output(line: &str) -> String {
    let words: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
    let output = command(&words).stderr(Stdio::null()).output();
    output.map(|it| String::from_utf8_lossy(&it.stdout).into_owned()).unwrap_or_default()
}

/// A command in the root of the repository that asks nothing: its standard input is closed.
fn command(words: &[String]) -> Command {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).current_dir(root).stdin(Stdio::null());
    command
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_ends_the_chore_with_its_advice() {
        let steps = [Step::new("false", "give up"), Step::new("no-such-program", "unreachable")];
        let problem = run("chore", &steps).unwrap_err();
        assert!(problem.starts_with("`false` failed"), "{problem}");
        assert!(problem.ends_with("give up"), "{problem}");
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let problem = Step::new("no-such-program --flag", "get it").run().unwrap_err();
        assert!(problem.starts_with("`no-such-program --flag` could not be started"), "{problem}");
        assert!(problem.ends_with("get it"), "{problem}");
    }
}
