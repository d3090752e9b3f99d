//! Finds the TLS libraries that programs have inside and tell nobody of. BoringSSL is in Bun and what is
//! built with it, in gRPC's core, in Electron's kin. AWS-LC, which comes from it, is found alike; rustls
//! has its ciphers from there. Where neither is, OpenSSL, which they come from, is looked for
//! (`openssl.rs`).
//!
//! Whoever raises an error there passes a library's number, the reason's, and the name of the source
//! file, all in one function call. Names and numbers survive stripping. So the functions of
//! `ssl/ssl_lib.cc` are known by the reasons that they can give, whatever compiler made them, and
//! without any bytes of a certain build. What isn't found exactly once is not probed. Those of
//! `cipher/aead.c` are looked for only where the others are not: what has TLS inside has them too, and
//! would be seen twice. rustls on ring is found by symbols, where there are any (`ring.rs`).
//!
//! The file belongs to an observed process: nothing in it is believed, all that is read has a bound.

mod aead;
mod calls;
mod image;
mod names;
mod openssl;
mod ring;
mod starts;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::num::NonZeroUsize;
use std::os::unix::fs::MetadataExt as _;

use lru::LruCache;

use self::calls::{Reference, Tests};
use self::image::{Image, NoImage};
use self::names::{NAMES_MAX, Names};
pub(super) use self::openssl::{Flags, Functions as OpenSslFunctions};
use self::starts::Starts;

pub(super) use self::aead::Functions as AeadFunctions;
pub(super) use self::ring::Functions as RingFunctions;
use self::ring::Missing;

/// A program that uses the names of a file more often is not what it seems.
const REFERENCES_MAX: usize = 512;
/// Most files that are remembered.
const REMEMBERED: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

/// The number of the library that the errors of TLS are of (`ERR_LIB_SSL` in `openssl/err.h`).
const LIBRARY: u64 = 16;
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

/// Whether such a library is in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// No.
    Absent,
    /// It is too large to be searched.
    TooLarge,
    /// Yes, but its functions can't be told for certain.
    Unclear {
        /// Its name.
        library: &'static str,
    },
    /// Yes, but its functions are not those that are known.
    Unfit {
        /// Its name.
        library: &'static str,
        /// In what they differ, said of the library.
        reason: &'static str,
    },
    /// Yes, here.
    Found(Functions),
    /// Only its ciphers, here, and perhaps those of ring too.
    FoundAead(AeadFunctions, Option<RingFunctions>),
    /// OpenSSL, here.
    FoundOpenSsl(OpenSslFunctions),
    /// The ciphers of ring, here.
    FoundRing(RingFunctions),
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
        Ok(image) => search_image(file, &image),
        Err(NoImage::Unfit) => Search::Absent,
        Err(NoImage::TooLarge) => Search::TooLarge,
    }
}

fn search_image(file: &File, image: &Image<'_>) -> Search {
    let names = Names::of(image);
    let tls = errors(image, &names.tls, LIBRARY);
    let aead = errors(image, &names.aead, aead::LIBRARY);
    match (tls, aead) {
        (Errors::Unclear, _) => Search::Unclear { library: "BoringSSL" },
        (Errors::By(starts, reasons), _) => choose(image, &starts, &reasons)
            .map_or(Search::Unclear { library: "BoringSSL" }, Search::Found),
        (Errors::None, Errors::Unclear) => Search::Unclear { library: "AWS-LC" },
        (Errors::None, Errors::By(_, reasons)) => match aead::choose(image, &reasons) {
            Some(functions) => Search::FoundAead(functions, ring::functions(file, &names).ok()),
            None => Search::Unclear { library: "AWS-LC" },
        },
        (Errors::None, Errors::None) => match openssl::search(image) {
            Search::Absent => match ring::functions(file, &names) {
                Ok(functions) => Search::FoundRing(functions),
                Err(Missing::Library) => Search::Absent,
                Err(Missing::Symbols) => Search::Unclear { library: ring::LIBRARY },
                Err(Missing::Known(reason)) => Search::Unfit { library: ring::LIBRARY, reason },
            },
            found => found,
        },
    }
}

/// The reasons that each function gives, by its address.
type Reasons = BTreeMap<u64, BTreeSet<u32>>;

/// The errors that the functions of one source file raise.
enum Errors {
    /// The file is not part of the program, or its name is there for something else, as it is in this
    /// one.
    None,
    /// There is too much of it, or where functions begin can't be told.
    Unclear,
    By(Starts, Reasons),
}

/// The errors of a library of this number where the file has one of `names`.
fn errors(image: &Image<'_>, names: &BTreeSet<u64>, library: u64) -> Errors {
    if names.is_empty() {
        return Errors::None;
    }
    if names.len() > NAMES_MAX {
        return Errors::Unclear;
    }
    let Some(references) = references(image, names) else { return Errors::Unclear };
    let Some(starts) = Starts::of(image, &references) else { return Errors::Unclear };
    let reasons = reasons(image, &starts, &references, library);
    if reasons.is_empty() { Errors::None } else { Errors::By(starts, reasons) }
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
    library: u64,
) -> Reasons {
    let mut reasons = Reasons::new();
    for reference in references {
        let Some(start) = starts.of_function_at(image, reference.at) else { continue };
        let (from, code) = image.around(reference.at, calls::BEFORE, calls::AFTER);
        if let Some(reason) = calls::reason(&code, from, *reference, library) {
            reasons.entry(start).or_default().insert(reason);
        }
    }
    reasons
}

/// The function that is `wanted`, if there is one and no other.
fn only(reasons: &Reasons, wanted: impl Fn(u64, &BTreeSet<u32>) -> bool) -> Option<u64> {
    let mut found = reasons.iter().filter(|(start, reasons)| wanted(**start, reasons));
    let (start, _) = found.next()?;
    found.next().is_none().then_some(*start)
}

/// Those that give these reasons and no others.
fn gives(wanted: &[u32]) -> impl Fn(u64, &BTreeSet<u32>) -> bool {
    let wanted: BTreeSet<u32> = wanted.iter().copied().collect();
    move |_, reasons| *reasons == wanted
}

/// The functions, if each is there once.
fn choose(image: &Image<'_>, starts: &Starts, reasons: &Reasons) -> Option<Functions> {
    let write = only(
        reasons,
        gives(&[SHOULD_NOT_HAVE_BEEN_CALLED, UNINITIALIZED, SSL_HANDSHAKE_FAILURE, BAD_LENGTH]),
    )?;
    let new = only(reasons, |_, reasons| reasons.contains(&NULL_SSL_CTX))?;
    // `SSL_read` is `SSL_peek`, which calls what has a record read, and then takes what was read out of
    // the buffer. A function that doesn't take it out is `SSL_peek` itself.
    let fill = only(reasons, |_, reasons| {
        let has = |reason| reasons.contains(&reason);
        has(UNINITIALIZED) && has(SSL_HANDSHAKE_FAILURE) && !has(BAD_LENGTH)
    })?;
    let read = only(reasons, |start, reasons| {
        let is_small = reasons.iter().eq([&SHOULD_NOT_HAVE_BEEN_CALLED]);
        is_small && {
            let code = image.at(start, starts.room_after(start));
            calls::tests(&code, start, fill) == Tests { calls: true, writes: true }
        }
    })?;
    let offset = |address| image.offset(address);
    Some(Functions { read: offset(read)?, write: offset(write)?, new: offset(new)? })
}
