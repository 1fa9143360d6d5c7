//! The tables of every version become those of this one.

use std::{fs, path::Path, thread};

use taskhub_core::store::Store as _;
use taskhub_sim::conformance::hub::append;

use crate::scene::{Scene, database, options, server};

/// What leads from each version to the next, in order.
fn steps() -> Vec<String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/migrations");
    let found = fs::read_dir(folder).expect("they are there");
    let mut files: Vec<_> = found.map(|file| file.expect("a file").path()).collect();
    files.sort();
    files.iter().map(|file| fs::read_to_string(file).expect("it is text")).collect()
}

/// However far the database is, and however many nodes start at once.
#[test]
fn a_database_of_each_version_is_brought_up_to_date_once() {
    let steps = steps();
    for version in 0..=steps.len() {
        let name = format!("version{version}");
        let url = database(&name, "");
        let taken = steps[..version].concat();
        let sql = format!(
            "CREATE SCHEMA taskhub; \
             CREATE TABLE taskhub.schema_version (version integer NOT NULL);\n{taken}\n\
             INSERT INTO taskhub.schema_version VALUES ({version});"
        );
        server().psql_in(&name, &sql).expect("psql works");
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| options(&url, "default").open().expect("the others wait"));
            }
        });
        let scene = Scene::open(options(&url, "default"));
        scene.step(0).expect("it is whole");
        scene.store.commit(&scene.batch([append("more", 0..3)])).expect("it is whole");
        let now = "SELECT string_agg(version::text, ' ') FROM taskhub.schema_version";
        assert_eq!(server().psql_in(&name, now).expect("psql works"), steps.len().to_string());
    }
}
