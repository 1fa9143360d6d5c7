//! What keys are good for, and what becomes of their file.

use axum::http::Request;
use tempfile::TempDir;

use super::*;

fn request(uri: &str, key: Option<&str>) -> Parts {
    let request = Request::get(uri);
    let request = match key {
        Some(key) => request.header("X-Functions-Key", key),
        None => request,
    };
    request.body(()).unwrap().into_parts().0
}

fn folder() -> (TempDir, Keys) {
    let folder = tempfile::tempdir().unwrap();
    let keys = Keys::open(folder.path()).unwrap();
    (folder, keys)
}

#[test]
fn a_key_is_good_for_what_it_was_made_for() {
    let (_folder, keys) = folder();
    let function = AuthLevel::Function("orders".to_owned());
    let other = AuthLevel::Function("other".to_owned());
    let levels = [&function, &other, &AuthLevel::Management, &AuthLevel::Admin];
    for (name, of, good) in [
        ("default", Some("orders"), [true, false, false, false]),
        ("default", None, [true, true, true, false]),
        ("durabletask_extension", None, [false, false, true, false]),
        ("_master", None, [true, true, true, true]),
    ] {
        let key = keys.create(name, of).unwrap();
        let sent = request("/", Some(&key));
        assert_eq!(levels.map(|level| keys.admit(level, &sent)), good, "{name} {of:?}");
    }
}

#[test]
fn a_key_is_found_in_the_header_or_in_the_query() {
    let (_folder, keys) = folder();
    let key = keys.create("default", None).unwrap();
    let level = AuthLevel::Management;
    assert!(keys.admit(&level, &request(&format!("/?a=b&CODE={key}"), None)));
    assert!(keys.admit(&level, &request("/?code=wrong", Some(&key))));
    let short = &key[..63];
    for wrong in ["", "default", short, &format!("{key}0")] {
        assert!(!keys.admit(&level, &request("/", Some(wrong))), "{wrong}");
    }
    assert!(!keys.admit(&level, &request("/", None)));
    assert!(keys.admit(&AuthLevel::Anonymous, &request("/", None)));
}

#[test]
fn a_key_that_was_rotated_or_removed_is_good_for_nothing() {
    let (_folder, keys) = folder();
    let old = keys.create("default", None).unwrap();
    let new = keys.rotate("default", None).unwrap();
    let admits = |key: &str| keys.admit(&AuthLevel::Management, &request("/", Some(key)));
    assert_eq!((admits(&old), admits(&new)), (false, true));
    keys.remove("default", None).unwrap();
    assert!(!admits(&new));
    assert!(keys.is_empty());
}

#[test]
fn the_file_holds_no_key() {
    let (folder, keys) = folder();
    let key = keys.create("default", None).unwrap();
    let file = folder.path().join(file::NAME);
    assert!(!std::fs::read_to_string(&file).unwrap().contains(&key));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let again = Keys::open(folder.path()).unwrap();
    assert!(again.admit(&AuthLevel::Management, &request("/", Some(&key))));
}

#[test]
fn what_cannot_be_done_to_a_key_is_refused_with_a_reason() {
    let (folder, keys) = folder();
    keys.create("default", None).unwrap();
    let said = |done: Result<String, KeysError>| done.unwrap_err().to_string();
    assert!(said(keys.create("default", None)).contains("there is a host key `default` already"));
    assert!(said(keys.rotate("other", Some("f"))).contains("no key `other` of the function `f`"));
    assert!(said(keys.create("a b", None)).contains("is no name for a key"));
    let draft = folder.path().join("keys.json.tmp");
    std::fs::write(&draft, "").unwrap();
    assert!(said(keys.create("more", None)).contains("keys.json.tmp"));
    std::fs::remove_file(draft).unwrap();
    keys.create("more", None).unwrap();
    std::fs::write(folder.path().join(file::NAME), "{}").unwrap();
    assert!(Keys::open(folder.path()).unwrap_err().to_string().contains("holds no keys"));
}
