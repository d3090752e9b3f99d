//! Which uid a process has for itself, and what its own root calls that.

use super::super::users::{User, entries};

/// Most lines of a mapping; the kernel allows no more (`UID_GID_MAP_MAX_EXTENTS`).
const EXTENTS_MAX: usize = 340;
/// Longest name that is kept, in bytes (`LOGIN_NAME_MAX`).
const NAME_MAX: usize = 256;

/// The uid that the user `uid` of the host has in a user namespace with this `/proc/PID/uid_map`, whose
/// lines are `<first inside> <first outside> <how many>`. `None` if it isn't mapped.
pub(super) fn inside(uid: u32, map: &str) -> Option<u32> {
    map.lines().take(EXTENTS_MAX).find_map(|line| {
        let mut fields = line.split_ascii_whitespace().map(|field| field.parse::<u32>().ok());
        let (first, outside, count) = (fields.next()??, fields.next()??, fields.next()??);
        let offset = uid.checked_sub(outside).filter(|&offset| offset < count)?;
        first.checked_add(offset)
    })
}

/// The name of a uid in a user database.
pub(super) fn name_of(uid: u32, database: &str) -> Option<String> {
    let (_, user) = entries::<User>(database).find(|&(id, _)| id == uid)?;
    let is_kept = user.name.len() <= NAME_MAX && !user.name.contains(char::is_control);
    is_kept.then_some(user.name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn uids_are_mapped_as_the_kernel_does() {
        let whole = "         0          0 4294967295\n";
        let rootless = "         0       1000          1\n         1     100000      65536\n";
        for (map, uid, expected) in [
            (whole, 0, Some(0)),
            (whole, 1000, Some(1000)),
            (rootless, 1000, Some(0)),
            (rootless, 100_000, Some(1)),
            (rootless, 165_535, Some(65_536)),
            (rootless, 165_536, None),
            (rootless, 999, None),
            ("4294967295 5 9", 6, None),
            ("0 0", 0, None),
            ("x y z", 0, None),
            ("", 0, None),
        ] {
            assert_eq!(inside(uid, map), expected, "{map:?} {uid}");
        }
    }

    #[test]
    fn the_first_name_counts() {
        let database = "root:x:0:0::/root:/bin/sh\nbot:x:7:7::/:/\nother:x:7:7::/:/\n";
        assert_eq!(name_of(7, database).as_deref(), Some("bot"));
        assert_eq!(name_of(8, database), None);
        assert_eq!(name_of(1, "a\u{1b}:x:1:1::/:/"), None);
    }

    proptest! {
        #[test]
        fn no_map_breaks_it(uid: u32, map in "([0-9 -]{0,30}\n){0,5}", any in any::<String>()) {
            let _ = (inside(uid, &map), inside(uid, &any), name_of(uid, &any));
        }
    }
}
