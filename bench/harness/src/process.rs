//! What this process takes of the machine.
use crate::Result;

/// The memory of this process that is in RAM now, in bytes.
pub(crate) fn resident_bytes() -> Result<f64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix("kB")).ok_or("no VmRSS")?;
    Ok(kib.trim().parse::<f64>()? * 1024.0)
}
