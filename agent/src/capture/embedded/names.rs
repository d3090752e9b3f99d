//! The names in a program that tell which TLS library is in it.

use std::collections::BTreeSet;

use memchr::memmem;

use super::image::Image;

/// The end of the name under which each build knows a file, and the byte that ends it: where TLS is
/// read and written, and where records are sealed and opened for those that write TLS themselves.
const TLS: &[u8] = b"ssl/ssl_lib.cc\0";
const AEAD: &[u8] = b"cipher/aead.c\0";
/// What is in the names of the files that programs in Rust give where they panic: how the folders begin in
/// which cargo keeps rustls, and the other library of which rustls can have its ciphers.
const RUSTLS: &[u8] = b"/rustls-0.";
const RING: &[u8] = b"/ring-0.";
/// Longest rest of a version and what is behind it, in bytes.
const VERSION_MAX: usize = 16;
/// Most versions of one library that are noted.
const VERSIONS_MAX: usize = 4;
/// Longest name of a file, in bytes.
const NAME_MAX: usize = 256;
/// A program that has more names of one file is not what it seems.
pub(super) const NAMES_MAX: usize = 4;

/// What a program has of them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// The addresses of names of `ssl/ssl_lib.cc`; more than one if the program has it more than once.
    pub(super) tls: BTreeSet<u64>,
    /// The same of `cipher/aead.c`.
    pub(super) aead: BTreeSet<u64>,
    /// The versions of rustls.
    pub(super) rustls: BTreeSet<Version>,
    /// Those of ring.
    pub(super) ring: BTreeSet<Version>,
}

/// What is behind the `0.` of a version: two numbers.
pub(super) type Version = (u32, u32);

impl Names {
    pub(super) fn of(image: &Image<'_>) -> Self {
        let mut names = Self::default();
        image.scan(
            |_segment| true,
            NAME_MAX,
            |address, bytes| {
                files(bytes, address, TLS, &mut names.tls);
                files(bytes, address, AEAD, &mut names.aead);
                versions(bytes, RUSTLS, &mut names.rustls);
                versions(bytes, RING, &mut names.ring);
            },
        );
        names
    }

    /// Whether rustls is there, and with it ring.
    pub(super) fn has_rustls_on_ring(&self) -> bool {
        !self.rustls.is_empty() && !self.ring.is_empty()
    }
}

/// Adds the versions of which there is the name of a source file in a folder that begins so.
fn versions(bytes: &[u8], folder: &[u8], found: &mut BTreeSet<Version>) {
    for at in memmem::find_iter(bytes, folder) {
        let rest = bytes.get(at + folder.len()..).unwrap_or_default();
        let rest = rest.get(..VERSION_MAX.min(rest.len())).unwrap_or_default();
        if let Some(length) = memmem::find(rest, b"/src/")
            && let Some(version) = rest.get(..length).and_then(version)
            && found.len() < VERSIONS_MAX
        {
            found.insert(version);
        }
    }
}

/// Two numbers and a dot between them.
fn version(text: &[u8]) -> Option<Version> {
    let (minor, patch) = str::from_utf8(text).ok()?.split_once('.')?;
    let number = |digits: &str| {
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        is_number.then(|| digits.parse().ok()).flatten()
    };
    Some((number(minor)?, number(patch)?))
}

/// Adds the addresses of the names that end so.
fn files(bytes: &[u8], address: u64, end: &[u8], found: &mut BTreeSet<u64>) {
    for at in memmem::find_iter(bytes, end) {
        let before = &bytes[at.saturating_sub(NAME_MAX)..at];
        let length = before.iter().rev().take_while(|&&byte| byte != 0).count();
        // The beginning may be in the part before, which this one overlaps.
        if length < before.len() && found.len() <= NAMES_MAX {
            found.insert(address + (at - length) as u64);
        }
    }
}
