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
/// Longest rest of a version, in bytes.
const VERSION_MAX: usize = 16;
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
    rustls: bool,
    ring: bool,
}

impl Names {
    pub(super) fn of(image: &Image<'_>) -> Self {
        let mut names = Self::default();
        image.scan(
            |_segment| true,
            NAME_MAX,
            |address, bytes| {
                files(bytes, address, TLS, &mut names.tls);
                files(bytes, address, AEAD, &mut names.aead);
                names.rustls |= has_package(bytes, RUSTLS);
                names.ring |= has_package(bytes, RING);
            },
        );
        names
    }

    /// Whether rustls is there, and with it what nobody can find functions in.
    pub(super) fn has_rustls_on_ring(&self) -> bool {
        self.rustls && self.ring
    }
}

/// Whether there is the name of a source file in a folder that begins so and goes on with the rest of a
/// version.
fn has_package(bytes: &[u8], folder: &[u8]) -> bool {
    memmem::find_iter(bytes, folder).any(|at| {
        let rest = bytes.get(at + folder.len()..).unwrap_or_default();
        let version = rest.iter().take(VERSION_MAX);
        let version = version.take_while(|byte| byte.is_ascii_digit() || **byte == b'.').count();
        version > 0 && rest.get(version..).is_some_and(|rest| rest.starts_with(b"/src/"))
    })
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
