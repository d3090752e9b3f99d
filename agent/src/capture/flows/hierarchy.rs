//! Where the v2 hierarchy of cgroups is mounted.

/// The mount point of the whole hierarchy, from the text of a `mountinfo` file; else that of the
/// largest part of it that is mounted. Hybrid hosts have it beside the v1 hierarchies.
pub(super) fn root(mounts: &str) -> Option<String> {
    let mounted = mounts.lines().filter_map(parse);
    mounted.min_by_key(|(part, _)| part.len()).map(|(_, place)| place)
}

/// `id parent major:minor root mount-point options… - type source options`, see
/// proc_pid_mountinfo(5).
fn parse(line: &str) -> Option<(&str, String)> {
    let (mount, kind) = line.split_once(" - ")?;
    if kind.split(' ').next() != Some("cgroup2") {
        return None;
    }
    let mut fields = mount.split(' ').skip(3);
    let part = fields.next()?;
    Some((part, unescaped(fields.next()?)))
}

/// Space, tab, newline and backslash are written as three octal digits behind a backslash.
fn unescaped(text: &str) -> String {
    [("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")]
        .into_iter()
        .fold(text.to_owned(), |text, (escape, plain)| text.replace(escape, plain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const V1: &str = "31 25 0:27 / /sys/fs/cgroup/memory rw shared:9 - cgroup cgroup rw,memory\n";

    #[test]
    fn the_whole_hierarchy_is_preferred() {
        let hybrid = "30 25 0:26 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw\n";
        let pure = "30 25 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw\n";
        let part = "29 25 0:26 /system.slice /mnt/a\\040b rw - cgroup2 cgroup2 rw\n";
        for (mounts, expected) in [
            (format!("{V1}{hybrid}"), Some("/sys/fs/cgroup/unified")),
            (format!("{part}{pure}"), Some("/sys/fs/cgroup")),
            (part.to_owned(), Some("/mnt/a b")),
            (V1.to_owned(), None),
            (String::new(), None),
        ] {
            assert_eq!(root(&mounts).as_deref(), expected, "{mounts}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,80}") {
            let _any = root(&text);
        }
    }
}
