//! Where AWS-LC seals and opens records for those that write TLS themselves: rustls.

use std::collections::BTreeSet;

use memchr::memmem;

use super::calls;
use super::image::Image;
use super::{Reasons, gives, only};

/// The number of the library that errors of ciphers are of (`ERR_LIB_CIPHER` in `openssl/err.h`).
pub(super) const LIBRARY: u64 = 30;

/// Reasons, by `openssl/cipher.h`.
const BAD_DECRYPT: u32 = 101;
const BUFFER_TOO_SMALL: u32 = 103;
const CTRL_NOT_IMPLEMENTED: u32 = 104;
const INVALID_OPERATION: u32 = 112;
const OUTPUT_ALIASES_INPUT: u32 = 115;
const TOO_LARGE: u32 = 117;

/// How many are looked for.
const FUNCTIONS: usize = 4;

/// Where the functions are that are probed, as offsets in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) struct Functions {
    pub(in crate::capture) seal: u64,
    pub(in crate::capture) seal_scatter: u64,
    pub(in crate::capture) open: u64,
    pub(in crate::capture) open_gather: u64,
}

/// The functions, if each is there once and is called. What nobody calls is no function, but a part of
/// one that the compiler has put elsewhere: a return probe there would do harm.
pub(super) fn choose(image: &Image<'_>, reasons: &Reasons) -> Option<Functions> {
    let seal = only(reasons, gives(&[TOO_LARGE, BUFFER_TOO_SMALL, OUTPUT_ALIASES_INPUT]))?;
    let seal_scatter = only(reasons, gives(&[OUTPUT_ALIASES_INPUT, INVALID_OPERATION]))?;
    let open_gather = only(reasons, gives(&[OUTPUT_ALIASES_INPUT, CTRL_NOT_IMPLEMENTED]))?;
    // It may have all of `open_gather` in it.
    let open = only(reasons, |_, reasons| {
        let has = |reason| reasons.contains(&reason);
        has(OUTPUT_ALIASES_INPUT) && has(BAD_DECRYPT) && has(BUFFER_TOO_SMALL) && !has(TOO_LARGE)
    })?;
    let all = BTreeSet::from([seal, seal_scatter, open, open_gather]);
    if all.len() != FUNCTIONS || !are_called(image, all) {
        return None;
    }
    let offset = |address| image.offset(address);
    Some(Functions {
        seal: offset(seal)?,
        seal_scatter: offset(seal_scatter)?,
        open: offset(open)?,
        open_gather: offset(open_gather)?,
    })
}

/// Whether there is a direct call of each, or its address: what the loader puts in place is in the file,
/// in one table or the other.
pub(super) fn are_called(image: &Image<'_>, mut functions: BTreeSet<u64>) -> bool {
    image.scan(
        |_segment| true,
        size_of::<u64>(),
        |address, bytes| {
            functions.retain(|function| memmem::find(bytes, &function.to_le_bytes()).is_none());
            if !functions.is_empty() {
                calls::targets(bytes, address, |target| {
                    functions.remove(&target);
                });
            }
        },
    );
    functions.is_empty()
}
