//! What machine this is, and since when.

use std::io;
use std::path::Path;

use super::files::Dir;

/// Names this boot of the machine: a random UUID, from `/proc/sys/kernel/random/boot_id`.
///
/// # Errors
///
/// If procfs is not mounted there.
pub fn boot_id() -> io::Result<String> {
    let id = Dir::open(Path::new("/proc/sys/kernel/random"))?.read("boot_id", 64)?;
    let id = std::str::from_utf8(&id).map_err(|_| io::ErrorKind::InvalidData)?;
    Ok(id.trim_end().to_owned())
}

/// The machine's name, as in `uname -n`: that of our own UTS namespace, which in a container may
/// be the container's.
#[must_use]
pub fn hostname() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_a_name_and_a_boot() {
        assert_eq!(boot_id().unwrap().len(), 36);
        assert_eq!(boot_id().unwrap(), boot_id().unwrap());
        assert!(!hostname().is_empty());
    }
}
