//! Environment variables that were perhaps meant for this program.

use clap::Command;

/// How the names of our variables begin.
const PREFIX: &str = "TASKHUB_";

/// Variables with our prefix that no flag has, each with the one that it resembles. They are no
/// errors: others set variables of that form too, such as Kubernetes for a service of this name.
pub(super) fn unknown(
    program: &Command,
    set: impl Iterator<Item = String>,
) -> Vec<(String, Option<String>)> {
    let of = |command| Command::get_arguments(command).filter_map(|flag| flag.get_env()?.to_str());
    let known: Vec<_> = program.get_subcommands().flat_map(of).collect();
    // Only a server tells of them, so only its own can have been meant.
    let meant: Vec<_> = program.find_subcommand("serve").into_iter().flat_map(of).collect();
    let ours = set.filter(|name| name.starts_with(PREFIX) && !known.contains(&name.as_str()));
    let rest = |name: &str| name.strip_prefix(PREFIX).unwrap_or(name).to_owned();
    ours.map(|name| {
        let meant = crate::config::most_alike(&rest(&name), meant.iter().map(|meant| rest(meant)));
        (name, meant.map(|meant| format!("{PREFIX}{meant}")))
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn a_slip_in_the_name_of_a_variable_is_found() {
        let set = ["HOME", "TASKHUB_DATA", "TASKHUB_LISTN", "TASKHUB_SERVICE_HOST"];
        let program = crate::cli::Arguments::command();
        let unknown = unknown(&program, set.into_iter().map(str::to_owned));
        let expected = [
            ("TASKHUB_LISTN".to_owned(), Some("TASKHUB_LISTEN".to_owned())),
            ("TASKHUB_SERVICE_HOST".to_owned(), None),
        ];
        assert_eq!(unknown, expected);
    }
}
