//! Lines of `/proc/PID/maps`: which files a process has mapped as code.

use std::ops::Range;

/// A file, whatever it is called and in whatever mount namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId {
    /// Device, major and minor number.
    pub device: (u32, u32),
    /// Inode number on it.
    pub inode: u64,
}

/// A file mapped executable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mapping<'a> {
    /// Where, in the process's memory.
    pub(super) addresses: Range<u64>,
    /// Where in the file it begins.
    pub(super) offset: u64,
    /// What.
    pub(super) file: FileId,
    /// Its path in the process's mount namespace, as far as that can be told.
    pub(super) path: &'a str,
}

/// The executable file mappings in the text of a `maps` file. Lines of another form are skipped.
pub(super) fn executable(maps: &str) -> impl Iterator<Item = Mapping<'_>> {
    maps.lines().filter_map(parse)
}

/// `start-end perms offset major:minor inode path`, see proc_pid_maps(5).
fn parse(line: &str) -> Option<Mapping<'_>> {
    let mut fields = line.splitn(6, ' ');
    let (start, end) = fields.next()?.split_once('-')?;
    if fields.next()?.as_bytes().get(2) != Some(&b'x') {
        return None;
    }
    let offset = fields.next()?;
    let (major, minor) = fields.next()?.split_once(':')?;
    let inode = fields.next()?.parse().ok().filter(|inode| *inode != 0)?;
    let path = fields.next()?.trim_start();
    // Opening a device may do things to it.
    if path.starts_with("/dev/") {
        return None;
    }
    let hex = |digits| u64::from_str_radix(digits, 16).ok();
    let number = |digits| u32::from_str_radix(digits, 16).ok();
    Some(Mapping {
        addresses: hex(start)?..hex(end)?,
        offset: hex(offset)?,
        file: FileId { device: (number(major)?, number(minor)?), inode },
        path,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_code_in_files_counts() {
        let maps = "\
55d0c0a00000-55d0c0a02000 r--p 00000000 fe:01 131 /usr/bin/a b
55d0c0a02000-55d0c0a04000 r-xp 00002000 fe:01 131                        /usr/bin/a b (deleted)
7ffd0e5f2000-7ffd0e5f4000 r-xp 00000000 00:00 0                          [vdso]
7f0000000000-7f0000001000 rwxp 00000000 00:01 77                         /dev/zero
nonsense
";
        let found: Vec<_> = executable(maps).collect();
        assert_eq!(
            found,
            [Mapping {
                addresses: 0x55d0_c0a0_2000..0x55d0_c0a0_4000,
                offset: 0x2000,
                file: FileId { device: (0xfe, 1), inode: 131 },
                path: "/usr/bin/a b (deleted)",
            }]
        );
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _any = executable(&text).count();
        }
    }
}
