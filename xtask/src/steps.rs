//! A chore is a list of commands, run in order until one fails.

use std::env;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// What a chore has to say at its end: its summary, or what went wrong and what to do.
pub(crate) type Outcome = Result<String, String>;

/// One command line, with what to do when it fails.
pub(crate) struct Step {
    line: Vec<String>,
    env: Vec<(&'static str, String)>,
    advice: &'static str,
}

impl Step {
    /// A step from a command line whose words hold no spaces, such as `cargo fmt --check`.
    pub(crate) fn new(line: &str, advice: &'static str) -> Self {
        let line = line.split_whitespace().map(str::to_owned).collect();
        Self { line, env: Vec::new(), advice }
    }

    /// The same step with an environment variable set.
    pub(crate) fn with_env(mut self, name: &'static str, value: &str) -> Self {
        self.env.push((name, value.to_owned()));
        self
    }

    /// The same step with further words, which may hold spaces.
    pub(crate) fn with_words(mut self, words: &[String]) -> Self {
        self.line.extend_from_slice(words);
        self
    }

    /// Runs the step under a heading and says how long it took, in seconds.
    pub(crate) fn run(&self) -> Result<(), String> {
        println!("\n==> {}", self.heading());
        let start = Instant::now();
        let status = self.command().status();
        self.conclude(status, start)
    }

    /// Runs the step, and shows what it printed in one piece when it has ended.
    fn run_apart(&self) -> Result<(), String> {
        let start = Instant::now();
        let output = self.command().output();
        let mut out = std::io::stdout().lock();
        let printed = output.as_ref().map(|it| [&it.stdout[..], &it.stderr[..]].concat());
        let _ = writeln!(out, "\n==> {}", self.heading());
        let _ = out.write_all(&printed.unwrap_or_default());
        self.conclude(output.map(|it| it.status), start)
    }

    fn heading(&self) -> String {
        self.line.join(" ")
    }

    fn command(&self) -> Command {
        let mut command = command(&self.line);
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    fn conclude(&self, status: std::io::Result<ExitStatus>, start: Instant) -> Result<(), String> {
        let (heading, advice) = (self.heading(), self.advice);
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

/// Runs all steps at the same time; a failure does not end the others.
pub(crate) fn run_together(chore: &str, steps: &[Step]) -> Outcome {
    let start = Instant::now();
    println!("\n{chore}: {} steps side by side; what they print comes at their ends", steps.len());
    let outcomes: Vec<Result<(), String>> = thread::scope(|scope| {
        let running: Vec<_> = steps.iter().map(|it| scope.spawn(|| it.run_apart())).collect();
        let panicked = || Err(format!("{chore}: a step panicked"));
        running.into_iter().map(|it| it.join().unwrap_or_else(|_| panicked())).collect()
    });
    outcomes.into_iter().collect::<Result<Vec<()>, String>>()?;
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
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).current_dir(root()).stdin(Stdio::null());
    // Cargo told this program of its own package. Build scripts that look for that themselves, such
    // as ring's, would be run anew by each step, and half of the dependencies with them.
    for (name, _) in env::vars_os() {
        let shown = name.to_string_lossy();
        if shown.starts_with("CARGO_MANIFEST_") || shown.starts_with("CARGO_PKG_") {
            command.env_remove(&name);
        }
    }
    command
}

/// The root of the repository.
pub(crate) fn root() -> &'static Path {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own)
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
    fn a_step_knows_nothing_of_this_package() {
        assert!(env::var_os("CARGO_MANIFEST_DIR").is_some(), "cargo says it to tests as well");
        let told = output("env");
        assert!(told.contains("PATH="), "{told}");
        assert!(!told.contains("CARGO_MANIFEST_") && !told.contains("CARGO_PKG_"), "{told}");
    }

    #[test]
    fn a_program_that_is_missing_is_named() {
        let problem = Step::new("no-such-program --flag", "get it").run().unwrap_err();
        assert!(problem.starts_with("`no-such-program --flag` could not be started"), "{problem}");
        assert!(problem.ends_with("get it"), "{problem}");
    }
}
