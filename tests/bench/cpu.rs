//! What a thread of this process has used of the processors, as Linux counts it.

use std::fs;
use std::io;
use std::time::Duration;

/// Of all threads of this name.
pub fn of(name: &str) -> io::Result<Duration> {
    let mut used = Duration::ZERO;
    for task in fs::read_dir("/proc/self/task")? {
        let task = task?.path();
        if fs::read_to_string(task.join("comm"))?.trim_end() == name {
            let times = fs::read_to_string(task.join("schedstat"))?;
            let running = times.split(' ').next().and_then(|nanoseconds| nanoseconds.parse().ok());
            used += Duration::from_nanos(running.ok_or(io::ErrorKind::InvalidData)?);
        }
    }
    Ok(used)
}
