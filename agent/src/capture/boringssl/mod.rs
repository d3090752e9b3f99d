//! Finds BoringSSL in programs that have it inside and tell nobody: Bun and what is built with it,
//! gRPC's core, Electron's kin. AWS-LC's TLS, which comes from it, is found alike. Where it isn't, OpenSSL,
//! which it comes from, is looked for (`openssl.rs`).
//!
//! Whoever raises an error there passes a library's number, the reason's, and the name of the source
//! file, all in one function call. Names and numbers survive stripping. So the functions of
//! `ssl/ssl_lib.cc` are known by the reasons that they can give, whatever compiler made them, and
//! without any bytes of a certain build. What isn't found exactly once is not probed.
//!
//! The file belongs to an observed process: nothing in it is believed, all that is read has a bound.

mod calls;
mod image;
mod openssl;
mod starts;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt as _;

use lru::LruCache;
use memchr::memmem;

use self::calls::{Reference, Tests};
use self::image::{Image, NoImage};
pub(super) use self::openssl::{Flags, Functions as OpenSslFunctions};
use self::starts::Starts;

/// The end of the name under which each build knows the file, and the byte that ends it.
const SOURCE: &[u8] = b"ssl/ssl_lib.cc\0";
/// Longest name of it, in bytes.
const NAME_MAX: usize = 256;
/// A file that has more names of it, or uses them more often, is not what it seems.
const NAMES_MAX: usize = 4;
const REFERENCES_MAX: usize = 512;
/// Most files that are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// Reasons, by `openssl/ssl.h` and `openssl/err.h`.
const SHOULD_NOT_HAVE_BEEN_CALLED: u32 = 66;
const BAD_LENGTH: u32 = 111;
const NULL_SSL_CTX: u32 = 185;
const SSL_HANDSHAKE_FAILURE: u32 = 215;
const UNINITIALIZED: u32 = 226;

/// Where the functions are that are probed, as offsets in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Functions {
    pub(super) read: u64,
    pub(super) write: u64,
    pub(super) new: u64,
}

/// Whether BoringSSL is in a file, or else OpenSSL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// No.
    Absent,
    /// It is too large to be searched.
    TooLarge,
    /// Yes, but its functions can't be told for certain.
    Unclear,
    /// Yes, here.
    Found(Functions),
    /// No, but OpenSSL is, and its functions can't be told for certain.
    UnclearOpenSsl,
    /// No, but OpenSSL is, here.
    OpenSsl(OpenSslFunctions),
}

/// What was found before, so that a program that is started again is not read again. The least recently
/// used are forgotten.
pub(super) struct Searches(LruCache<Version, Search>);

/// A file as it is. Only root could give it another content and the same times.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Version {
    device: u64,
    inode: u64,
    size: u64,
    /// In seconds and nanoseconds.
    changed: (i64, i64),
}

impl Searches {
    pub(super) fn new() -> Self {
        Self(LruCache::new(REMEMBERED))
    }

    /// Looks for it in `file`. What can't be read is not there.
    pub(super) fn search(&mut self, file: &File) -> Search {
        let Ok(stat) = file.metadata() else { return Search::Absent };
        let version = Version {
            device: stat.dev(),
            inode: stat.ino(),
            size: stat.size(),
            changed: (stat.ctime(), stat.ctime_nsec()),
        };
        *self.0.get_or_insert(version, || search(file))
    }
}

fn search(file: &File) -> Search {
    match Image::of(file) {
        Ok(image) => match search_image(&image) {
            Search::Absent => openssl::search(&image),
            found => found,
        },
        Err(NoImage::Unfit) => Search::Absent,
        Err(NoImage::TooLarge) => Search::TooLarge,
    }
}

fn search_image(image: &Image<'_>) -> Search {
    let names = names(image);
    if names.is_empty() {
        return Search::Absent;
    }
    if names.len() > NAMES_MAX {
        return Search::Unclear;
    }
    let Some(references) = references(image, &names) else { return Search::Unclear };
    let Some(starts) = Starts::of(image, &references) else { return Search::Unclear };
    let reasons = reasons(image, &starts, &references);
    if reasons.is_empty() {
        // The name is there for something else, as it is in this program.
        return Search::Absent;
    }
    choose(image, &starts, &reasons).map_or(Search::Unclear, Search::Found)
}

/// The addresses of the file's name. There is more than one if the program has it twice.
fn names(image: &Image<'_>) -> BTreeSet<u64> {
    let mut names = BTreeSet::new();
    image.scan(
        |_segment| true,
        NAME_MAX,
        |address, bytes| {
            for end in memmem::find_iter(bytes, SOURCE) {
                let before = &bytes[end.saturating_sub(NAME_MAX)..end];
                let length = before.iter().rev().take_while(|&&byte| byte != 0).count();
                // The beginning may be in the part before, which this one overlaps.
                if length < before.len() && names.len() <= NAMES_MAX {
                    names.insert(address + (end - length) as u64);
                }
            }
        },
    );
    names
}

/// Where code refers to one of `names`; `None` if there are too many such places.
fn references(image: &Image<'_>, names: &BTreeSet<u64>) -> Option<BTreeSet<Reference>> {
    let mut references = BTreeSet::new();
    image.scan(
        |segment| segment.executable,
        calls::REFERENCE_MAX,
        |address, code| {
            calls::references(code, address, names, |reference| {
                if references.len() <= REFERENCES_MAX {
                    references.insert(reference);
                }
            });
        },
    );
    (references.len() <= REFERENCES_MAX).then_some(references)
}

/// The reasons that each function gives, by its address.
fn reasons(
    image: &Image<'_>,
    starts: &Starts,
    references: &BTreeSet<Reference>,
) -> BTreeMap<u64, BTreeSet<u32>> {
    let mut reasons: BTreeMap<u64, BTreeSet<u32>> = BTreeMap::new();
    for reference in references {
        let Some(start) = starts.of_function_at(image, reference.at) else { continue };
        let (from, code) = image.around(reference.at, calls::BEFORE, calls::AFTER);
        if let Some(reason) = calls::reason(&code, from, *reference) {
            reasons.entry(start).or_default().insert(reason);
        }
    }
    reasons
}

/// The functions, if each is there once.
fn choose(
    image: &Image<'_>,
    starts: &Starts,
    reasons: &BTreeMap<u64, BTreeSet<u32>>,
) -> Option<Functions> {
    let only = |wanted: &dyn Fn(u64, &BTreeSet<u32>) -> bool| {
        let mut found = reasons.iter().filter(|(start, reasons)| wanted(**start, reasons));
        let (start, _) = found.next()?;
        found.next().is_none().then_some(*start)
    };
    let gives = |wanted: &[u32]| {
        let wanted: BTreeSet<u32> = wanted.iter().copied().collect();
        move |_: u64, reasons: &BTreeSet<u32>| *reasons == wanted
    };
    let write = only(&gives(&[
        SHOULD_NOT_HAVE_BEEN_CALLED,
        UNINITIALIZED,
        SSL_HANDSHAKE_FAILURE,
        BAD_LENGTH,
    ]))?;
    let new = only(&|_, reasons| reasons.contains(&NULL_SSL_CTX))?;
    // `SSL_read` is `SSL_peek`, which calls what has a record read, and then takes what was read out of
    // the buffer. A function that doesn't take it out is `SSL_peek` itself.
    let fill = only(&|_, reasons| {
        let has = |reason| reasons.contains(&reason);
        has(UNINITIALIZED) && has(SSL_HANDSHAKE_FAILURE) && !has(BAD_LENGTH)
    })?;
    let read = only(&|start, reasons: &BTreeSet<u32>| {
        let is_small = reasons.iter().eq([&SHOULD_NOT_HAVE_BEEN_CALLED]);
        is_small && {
            let code = image.at(start, starts.room_after(start));
            calls::tests(&code, start, fill) == Tests { calls: true, writes: true }
        }
    })?;
    let offset = |address| image.offset(address);
    Some(Functions { read: offset(read)?, write: offset(write)?, new: offset(new)? })
}
