//! Which process is at the other end of a connection on this machine, as Linux tells in `/proc`.

use std::{
    fs::{read_dir, read_link, read_to_string},
    io,
    net::SocketAddr,
};

/// Which of the processes has the socket at `address` of the loopback interface that is connected
/// to `other`. A port alone does not tell: connections to different ends may begin at the same one.
pub(crate) fn owner(
    (address, other): (SocketAddr, SocketAddr),
    processes: &[Option<u32>],
) -> io::Result<Option<usize>> {
    let table = read_to_string("/proc/net/tcp")?;
    let [here, there] = [address, other].map(|end| format!(":{:04X}", end.port()));
    let inode = table.lines().skip(1).find_map(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        // An inode of zero is a socket that nobody has any more.
        let is_it = fields.get(1)?.ends_with(&here) && fields.get(2)?.ends_with(&there);
        let found = is_it && fields.get(9) != Some(&"0");
        found.then(|| fields.get(9).map(|inode| format!("socket:[{inode}]")))?
    });
    let Some(inode) = inode else { return Ok(None) };
    let has = |pid: u32| {
        let files = read_dir(format!("/proc/{pid}/fd")).into_iter().flatten().flatten();
        let mut links = files.filter_map(|file| read_link(file.path()).ok());
        links.any(|link| link.to_string_lossy() == inode)
    };
    Ok(processes.iter().position(|pid| pid.is_some_and(has)))
}
