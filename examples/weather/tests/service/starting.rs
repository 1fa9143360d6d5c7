//! Places where the program cannot run: it says why and where, and harms nobody.

use std::{fs, path::Path, process::Command};

use crate::weather::{Weather, put};

/// A start that must fail, with an error that names something.
async fn refused(data: &Path, flags: &[&str], names: &[&str]) {
    let (status, said) = Weather::refuses(data, flags).await;
    assert_eq!(status.code(), Some(1), "{said}");
    for name in names {
        assert!(said.contains(name), "`{name}` is not named: {said}");
    }
    let error = said.lines().filter(|line| !line.contains(" INFO ")).count();
    assert!(error <= 3 && !said.contains("panicked"), "{said}");
}

#[tokio::test]
async fn a_second_process_is_told_who_has_the_folder_and_the_first_goes_on() {
    let data = tempfile::tempdir().expect("a folder");
    let first = Weather::start(data.path(), &[]).await;
    let held = first.ask("Turin");
    let id = first.id_of("Turin").await;
    let folder = data.path().join("weather.hub").display().to_string();
    refused(data.path(), &["--listen", "127.0.0.1:0"], &[&folder, "process"]).await;
    put(data.path(), &format!("{id}.txt"), "fog");
    assert_eq!(held.await.expect("no panic").expect("an answer").says(), (200, "fog"));
}

#[tokio::test]
async fn a_busy_address_is_named() {
    let (data, other) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir());
    let first = Weather::start(data.path(), &[]).await;
    let address = first.address.to_string();
    let other = other.expect("a folder");
    refused(other.path(), &["--listen", &address], &["cannot listen", &address]).await;
}

#[tokio::test]
async fn a_folder_that_is_a_file_is_named() {
    let data = tempfile::tempdir().expect("a folder");
    let file = data.path().join("notes.txt");
    fs::write(&file, "my notes").expect("there is space");
    refused(&file, &["--listen", "127.0.0.1:0"], &["notes.txt"]).await;
    assert_eq!(fs::read_to_string(&file).expect("it is there"), "my notes");

    let data = tempfile::tempdir().expect("a folder");
    fs::write(data.path().join("weather.hub"), "no folder").expect("there is space");
    refused(data.path(), &["--listen", "127.0.0.1:0"], &["weather.hub"]).await;

    let data = tempfile::tempdir().expect("a folder");
    fs::create_dir(data.path().join("weather.hub")).expect("there is space");
    fs::write(data.path().join("weather.hub/hub.db"), "no database, by no means").expect("it is");
    refused(data.path(), &["--listen", "127.0.0.1:0"], &["weather.hub"]).await;
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_is_named() {
    let place = tempfile::tempdir().expect("a folder");
    let data = place.path().join("data");
    fs::create_dir(&data).expect("it can be made");
    let mut permissions = fs::metadata(&data).expect("it is there").permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&data, permissions).expect("it is ours");
    // Permissions do not stop root, but a disk that is mounted for reading does.
    let is_root = fs::write(data.join("probe"), "").is_ok();
    if is_root && !mount(&data, "ro") {
        println!("skipped: root may write everywhere here, and may not mount");
        return;
    }
    refused(&data, &["--listen", "127.0.0.1:0"], &["data"]).await;
    if is_root {
        unmount(&data);
    }
}

/// Mounts an empty disk in memory, if this process may.
pub(crate) fn mount(place: &Path, options: &str) -> bool {
    let mount = ["-t", "tmpfs", "-o", options, "tmpfs"];
    let mounted = Command::new("mount").args(mount).arg(place).output();
    mounted.is_ok_and(|mounted| mounted.status.success())
}

/// Takes a disk away again.
pub(crate) fn unmount(place: &Path) {
    let unmounted = Command::new("umount").arg(place).status();
    assert!(unmounted.is_ok_and(|status| status.success()));
}
