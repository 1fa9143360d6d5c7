//! TLS on the way to the server: spoken when the address asks for it, and only with who is trusted.

use std::{fs, path::Path};

use taskhub_core::store::Store as _;
use taskhub_postgres::{
    OpenError,
    testing::{Server, ServerOptions},
};
use taskhub_sim::conformance::hub::append;

use crate::scene::{Scene, fresh, options};

/// A certificate for a name, and its key.
fn certificate(name: &str) -> (String, String) {
    let made = rcgen::generate_simple_self_signed([name.to_owned()]).expect("it is a name");
    (made.cert.pem(), made.signing_key.serialize_pem())
}

fn url(server: &Server, host: &str, query: &str) -> String {
    format!("postgres://postgres@{host}:{}/postgres?{query}", server.port())
}

fn trusting(mode: &str, roots: &Path) -> String {
    format!("sslmode={mode}&sslrootcert={}", roots.display())
}

#[test]
fn tls_is_spoken_with_a_server_that_is_trusted_and_with_no_other() {
    let folder = tempfile::tempdir().expect("there is room");
    let (right, wrong) = (folder.path().join("right.pem"), folder.path().join("wrong.pem"));
    let (theirs, key) = certificate("localhost");
    fs::write(&right, &theirs).expect("there is room");
    fs::write(&wrong, certificate("localhost").0).expect("there is room");
    let server = ServerOptions::default().tls(&theirs, &key).start();
    let server = server.expect("PostgreSQL is installed");

    for mode in ["require", "verify-ca", "verify-full"] {
        let scene =
            Scene::open(options(&url(&server, "localhost", &trusting(mode, &right)), &fresh()));
        scene.store.commit(&scene.batch([append("a", 0..2)])).expect("it may write");
        let plain = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
            WHERE application_name = 'taskhub' AND NOT ssl";
        assert_eq!(server.psql(plain).expect("psql works"), "0", "{mode}");
        drop(scene);
        let refused = [
            url(&server, "localhost", &trusting(mode, &wrong)),
            // It is another machine that the certificate is for.
            url(&server, "127.0.0.1", &trusting(mode, &right)),
            // Nobody here knows who signed it.
            url(&server, "localhost", &format!("sslmode={mode}")),
        ];
        for url in refused {
            let opened = options(&url, "default").open();
            let is_told =
                matches!(&opened, Err(OpenError::Unreachable(why)) if why.contains("certificate"));
            assert!(is_told || matches!(opened, Err(OpenError::Tls(_))), "{url}: {opened:?}");
        }
    }
}

/// It does not go on without.
#[test]
fn a_server_that_speaks_no_tls_is_refused_by_who_asks_for_it() {
    let folder = tempfile::tempdir().expect("there is room");
    let roots = folder.path().join("roots.pem");
    fs::write(&roots, certificate("localhost").0).expect("there is room");
    let url = url(crate::scene::server(), "localhost", &trusting("require", &roots));
    let opened = options(&url, "default").open();
    assert!(matches!(opened, Err(OpenError::Unreachable(_))), "{opened:?}");
}
