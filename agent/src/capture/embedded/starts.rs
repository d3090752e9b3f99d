//! Where functions begin, near some places that matter.

use std::collections::BTreeSet;

use gimli::{BaseAddresses, EhFrameHdr, LittleEndian, Pointer};

use super::calls::{self, Reference};
use super::image::Image;

/// The longest function that is looked at, in bytes.
const LONGEST: u64 = 16 << 10;
/// How many starts are tried for one place.
const TRIED: usize = 16;
/// Compilers begin functions at multiples of this, unless code is to be small.
const ALIGNED: u64 = 16;

/// Addresses at which functions may begin. Those that the linker's index has do; where there is no
/// index, they are what calls name, and what happens to look like a call.
#[derive(Debug)]
pub(super) struct Starts {
    near: BTreeSet<u64>,
    are_indexed: bool,
}

impl Starts {
    /// The starts near `references`, as far as they can be found out.
    pub(super) fn of(image: &Image<'_>, references: &BTreeSet<Reference>) -> Option<Self> {
        let mut near = BTreeSet::new();
        let mut add = |start: u64| {
            let end = start.saturating_add(LONGEST);
            let from = Reference { at: start.saturating_sub(LONGEST), ..Reference::FIRST };
            if references.range(from..).next().is_some_and(|reference| reference.at < end) {
                near.insert(start);
            }
        };
        let index = image.index();
        let are_indexed = index.is_some();
        match index {
            Some((address, index)) => indexed(address, &index, add)?,
            None => image.scan(
                |segment| segment.executable,
                calls::CALL_MAX,
                |address, code| calls::targets(code, address, &mut add),
            ),
        }
        Some(Self { near, are_indexed })
    }

    /// The start of the function that has an instruction at `address`: the nearest from which the code
    /// can be read to there.
    pub(super) fn of_function_at(&self, image: &Image<'_>, address: u64) -> Option<u64> {
        let before = self.near.range(address.saturating_sub(LONGEST)..=address).rev();
        let before = before.copied().filter(|&start| self.are_indexed || is_likely(image, start));
        before.take(TRIED).find(|&start| {
            let code = image.at(start, address - start + calls::INSTRUCTION_MAX);
            calls::leads_to(&code, start, address)
        })
    }

    /// How long the function that begins there can be.
    pub(super) fn room_after(&self, start: u64) -> u64 {
        let next = self.near.range(start + 1..).next();
        next.map_or(LONGEST, |next| (next - start).min(LONGEST))
    }
}

/// Whether what looks like a call to `start` may be one.
fn is_likely(image: &Image<'_>, start: u64) -> bool {
    start.is_multiple_of(ALIGNED)
        || image
            .at(start.saturating_sub(calls::JUMP_MAX), calls::JUMP_MAX)
            .first_chunk()
            .is_some_and(calls::ends_code)
}

/// Takes the starts out of `.eh_frame_hdr`; `None` if it can't be read.
fn indexed(address: u64, index: &[u8], mut add: impl FnMut(u64)) -> Option<()> {
    let bases = BaseAddresses::default().set_eh_frame_hdr(address);
    let index = EhFrameHdr::new(index, LittleEndian).parse(&bases, 8).ok()?;
    let table = index.table()?;
    let mut entries = table.iter(&bases);
    while let Ok(Some((start, _))) = entries.next() {
        if let Pointer::Direct(start) = start {
            add(start);
        }
    }
    Some(())
}
