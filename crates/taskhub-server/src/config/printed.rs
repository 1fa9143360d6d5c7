//! The settings as a file that has every key: what is not set stands there as a comment.

use std::collections::BTreeMap;

use super::{Age, Config, TlsConfig, without_password};

/// What is put in the place of a secret.
const SECRET: &str = "(secret)";

/// The settings, secrets left out.
pub(super) fn printed(config: &Config) -> String {
    let mut shown = config.clone();
    for secret in shown.tokens.iter_mut().chain(&mut shown.cluster.secret) {
        SECRET.clone_into(secret);
    }
    shown.store = shown.store.as_deref().map(without_password);
    match (toml::to_string(&shown), toml::to_string(&every())) {
        (Ok(set), Ok(every)) => laid_over(&set, &every),
        (Err(error), _) | (_, Err(error)) => format!("# cannot be shown: {error}\n"),
    }
}

/// Settings of which none is absent.
fn every() -> Config {
    let mut every = Config {
        store: Some("postgres://USER@HOST/DATABASE".to_owned()),
        tls: Some(TlsConfig { cert: "cert.pem".into(), key: "key.pem".into() }),
        ..Config::default()
    };
    every.cluster.secret = Some(SECRET.to_owned());
    every.cluster.address = Some("http://10.0.0.2:7071".to_owned());
    every.cluster.lanes = Some(4);
    let month = Some(Age(std::time::Duration::from_hours(30 * 24)));
    let retention = &mut every.retention;
    (retention.completed, retention.failed) = (month, month);
    (retention.terminated, retention.canceled) = (month, month);
    every.traces.endpoint = Some("http://127.0.0.1:4317".to_owned());
    every
}

/// The lines of `every`: those that are set as they are in `set`, the others as comments.
fn laid_over(set: &str, every: &str) -> String {
    let set: BTreeMap<_, _> = placed(set).collect();
    let lines = placed(every).map(|(place, line)| match set.get(&place) {
        Some(line) => format!("{line}\n"),
        None if line.is_empty() => "\n".to_owned(),
        None => format!("# {line}\n"),
    });
    lines.collect()
}

/// Each line of a file, with its section and its key.
fn placed(file: &str) -> impl Iterator<Item = ((&str, &str), &str)> {
    file.lines().scan("", |section, line| {
        if line.starts_with('[') {
            *section = line;
        }
        let key = line.split_once(" = ").map_or("", |(key, _)| key);
        Some(((if line.is_empty() { "" } else { *section }, key), line))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_printed_can_be_read() {
        for config in [Config::default(), every()] {
            assert_eq!(Config::parse(&printed(&config)), Ok(config));
        }
    }

    #[test]
    fn every_key_is_printed_those_that_are_not_set_as_comments() {
        let file = printed(&Config::default());
        assert!(file.contains("\n# [tls]\n# cert = "), "{file}");
        assert!(file.contains("\n# endpoint = \"http"), "{file}");
        let sections = ["", "hubs", "cluster", "tls", "http", "retention", "limits", "log"];
        for section in sections.into_iter().chain(["traces"]) {
            let header = if section.is_empty() { "" } else { &*format!("[{section}]\n") };
            // Who reads settings says of a key that is none which there are.
            let reason = Config::parse(&format!("{header}nothing = 1")).unwrap_err();
            let known = reason.split("expected ").nth(1).unwrap().lines().next().unwrap();
            for key in known.split('`').skip(1).step_by(2) {
                let line = file.lines().any(|line| {
                    let line = line.trim_start_matches("# ");
                    line.starts_with(&format!("{key} = ")) || line == format!("[{key}]")
                });
                assert!(line, "{section}.{key}: {file}");
            }
        }
    }

    #[test]
    fn secrets_are_not_printed() {
        let mut config = Config { tokens: vec!["open sesame".to_owned()], ..Config::default() };
        config.cluster.secret = Some("sesame street".to_owned());
        config.store = Some("postgres://me:sesame@db/hub".to_owned());
        assert!(!printed(&config).contains("sesame"));
    }
}
