//! The files in `deploy/`: what they name is there, and what they set the program knows.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

use yaml_serde::Value;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn file(name: &str) -> String {
    fs::read_to_string(root().join("deploy").join(name)).expect("the file is there")
}

/// The program, with these variables and none of its own that somebody may have set.
fn taskhub(arguments: &[&str], variables: &BTreeMap<String, String>) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_taskhub"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TASKHUB_") {
            command.env_remove(name);
        }
    }
    let folder = tempfile::tempdir().expect("a folder");
    command.args(arguments).envs(variables).current_dir(folder.path()).stdin(Stdio::null());
    command.output().expect("it runs")
}

/// The settings that it would use; every variable must be one that it knows.
fn settings(arguments: &[&str], variables: &BTreeMap<String, String>) -> toml::Table {
    let help = taskhub(&["serve", "--help"], &BTreeMap::new());
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    for name in variables.keys() {
        let is_known = ["=", "]"].iter().any(|end| help.contains(&format!("[env: {name}{end}")));
        assert!(is_known, "there is no variable {name}");
    }
    let arguments = [arguments, &["--print-config"]].concat();
    let printed = taskhub(&arguments, variables);
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    String::from_utf8_lossy(&printed.stdout).parse().expect("it prints TOML")
}

/// The instructions of a Dockerfile, each on one line.
fn instructions(text: &str) -> Vec<(String, String)> {
    let text = text.replace("\\\n", " ");
    let lines = text.lines().map(str::trim).filter(|it| !it.is_empty() && !it.starts_with('#'));
    let split = lines.filter_map(|line| line.split_once(' '));
    split.map(|(what, rest)| (what.to_owned(), rest.trim().to_owned())).collect()
}

#[test]
fn the_image_is_made_of_what_is_there() {
    let steps = instructions(&file("Dockerfile"));
    let all = |what| {
        let of = steps.iter().filter(move |(name, _)| name == what);
        of.map(|(_, rest)| rest.as_str()).collect::<Vec<_>>()
    };
    let workspace = fs::read_to_string(root().join("Cargo.toml")).expect("it is there");
    let workspace: toml::Table = workspace.parse().expect("it is TOML");
    let rust = workspace["workspace"]["package"]["rust-version"].as_str().expect("a version");
    assert!(all("FROM")[0].starts_with(&format!("rust:{rust}-")), "that Rust builds it");

    let package = env!("CARGO_PKG_NAME");
    let build = format!("cargo build --release --locked --package {package}");
    assert_eq!(all("RUN")[0], build);
    assert!(root().join("Cargo.lock").is_file(), "it is locked");
    let program = Path::new(env!("CARGO_BIN_EXE_taskhub")).file_name().expect("a name");
    let program = program.to_string_lossy();
    let copied = format!("--from=build /taskhub/target/release/{program} /usr/local/bin/{program}");
    assert_eq!(all("COPY"), [". .", &copied]);
    let left_out = fs::read_to_string(root().join(".dockerignore")).expect("it is there");
    assert!(left_out.lines().any(|line| line == "**/target"), "builds are gigabytes");

    assert_eq!(all("ENTRYPOINT"), [format!("[\"{program}\"]")]);
    assert_eq!(all("CMD"), ["[\"serve\"]"]);
    let set = all("ENV").join(" ");
    let set = set.split_whitespace().filter_map(|pair| pair.split_once('='));
    let set = set.map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let settings = settings(&["serve"], &set);
    assert_eq!(settings["listen"], toml::Value::from(vec!["0.0.0.0:7071"]));
    let data = settings["data"].as_str().expect("a folder");
    assert_eq!((all("EXPOSE"), all("VOLUME")), (vec!["7071"], vec![data]));
    assert_eq!(all("USER"), ["taskhub"], "it may do nothing");
}

/// What a service sets, with the variables of its user filled in.
fn environment(service: &Value) -> BTreeMap<String, String> {
    let set = service["environment"].as_mapping().expect("it sets something");
    let text = |value: &Value| {
        let text = value.as_str().expect("a text");
        match text.split_once("${").and_then(|(before, rest)| Some((before, rest.split_once('}')?)))
        {
            Some((before, (_, after))) => format!("{before}secret{after}"),
            None => text.to_owned(),
        }
    };
    set.iter().map(|(name, value)| (text(name), text(value))).collect()
}

#[test]
fn the_three_nodes_of_the_composition_are_one_hub() {
    let mut all: Value = yaml_serde::from_str(&file("docker-compose.yml")).expect("it is YAML");
    all.apply_merge().expect("what is merged is there");
    let database = environment(&all["services"]["database"]);
    let (user, name) = (&database["POSTGRES_USER"], &database["POSTGRES_DB"]);
    let store = format!("postgres://{user}:(secret)@database/{name}");
    let (mut ports, mut builders) = (Vec::new(), Vec::new());
    for node in ["node-1", "node-2", "node-3"] {
        let service = &all["services"][node];
        let settings = settings(&["serve"], &environment(service));
        assert_eq!(settings["store"].as_str(), Some(store.as_str()), "{node}");
        let cluster = &settings["cluster"];
        let address = format!("http://{node}:7071");
        assert_eq!(cluster["address"].as_str(), Some(address.as_str()), "others reach it there");
        assert!(cluster.get("secret").is_some() && settings.get("tokens").is_some(), "{node}");
        assert_eq!(service["image"].as_str(), Some("taskhub"), "{node}");
        builders.extend(service.get("build"));
        assert_eq!(service["stop_grace_period"].as_str(), Some("30s"), "a hand-over takes 15 s");
        let port = service["ports"][0].as_str().expect("a port");
        ports.push(port.strip_suffix(":7071").expect("it listens there").to_owned());
        let volume = service["volumes"][0].as_str().expect("a volume");
        let (volume, _) = volume.split_once(':').expect("it is mounted somewhere");
        assert!(all["volumes"].get(volume).is_some(), "{volume} is declared");
    }
    let [build] = builders[..] else { panic!("one builds the image, the others take it") };
    let path = |key: &str| build[key].as_str().expect("a path");
    assert!(root().join("deploy").join(path("context")).join(path("dockerfile")).is_file());
    assert_eq!(ports, ["127.0.0.1:7071", "127.0.0.1:7072", "127.0.0.1:7073"]);
}

#[test]
fn the_unit_of_systemd_starts_the_program() {
    let unit = file("taskhub.service");
    let folder = tempfile::tempdir().expect("a folder");
    let config = folder.path().join("taskhub.toml");
    fs::write(&config, "store = \"postgres://me@db/hub\"\n").expect("it is written");
    let line = |key: &str| unit.lines().find_map(|line| line.strip_prefix(key)).expect("it is set");
    let start = line("ExecStart=")
        .replace("${CREDENTIALS_DIRECTORY}", &folder.path().display().to_string());
    let mut words = start.split(' ');
    assert_eq!(words.next(), Some("/usr/local/bin/taskhub"));
    let (name, value) = line("Environment=").split_once('=').expect("a variable");
    let set = BTreeMap::from([(name.to_owned(), value.to_owned())]);
    let settings = settings(&words.collect::<Vec<_>>(), &set);
    assert_eq!(settings["store"].as_str(), Some("postgres://me@db/hub"), "it reads the file");

    // What systemd itself says, of a program that is where the unit has it.
    let there = unit.replace("/usr/local/bin/taskhub", env!("CARGO_BIN_EXE_taskhub"));
    let unit = folder.path().join("taskhub.service");
    fs::write(&unit, there).expect("it is written");
    let said = Command::new("systemd-analyze").arg("verify").arg(&unit).output();
    let said = said.expect("Debian's package `systemd` is installed");
    let told = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(said.status.success() && !told.contains("taskhub.service"), "{told}");
}
