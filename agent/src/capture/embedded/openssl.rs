//! Finds OpenSSL, from 3.0 on, in programs that have it inside and tell nobody: Python's
//! `cryptography`, interpreters that are built to run anywhere.
//!
//! Whoever raises an error there says where: a file, a line, and the name of the function that it is in.
//! Names survive stripping. `SSL_read_ex` raises none of its own, but what it and `SSL_read` call does,
//! and takes the same arguments. That the public function calls it is checked.

use std::collections::BTreeSet;

use iced_x86::Register;
use memchr::memmem;

use super::Search;
use super::calls::{self, Reference};
use super::image::Image;
use super::starts::Starts;

/// What reads for `SSL_read` and `SSL_read_ex`.
const READ: &[u8] = b"ssl_read_internal\0";
/// What writes for `SSL_write`, `SSL_write_ex` and `SSL_write_ex2`.
const WRITE: &[u8] = b"ssl_write_internal\0";
const PUBLIC_READ: &[u8] = b"SSL_read\0";
const PUBLIC_WRITE: &[u8] = b"SSL_write\0";
const NEW: &[u8] = b"SSL_new\0";
/// The end of the name of the file that all of them are in.
const SOURCE: &[u8] = b"/ssl_lib.c\0";
/// Longest name of it, in bytes.
const SOURCE_MAX: usize = 256;
/// A name may be there for something else, too: a table of functions, the end of another name.
const PLACES_MAX: usize = 4;

/// Most functions that one name is in. Compilers copy a function into those that call it.
const COPIES_MAX: usize = 3;

/// Where the functions are that are probed, as offsets in the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::capture) struct Functions {
    /// `SSL_read`, unless it calls one of `reads`.
    pub(in crate::capture) read: Option<u64>,
    /// `SSL_write`, unless it calls one of `writes`.
    pub(in crate::capture) write: Option<u64>,
    /// `(ssl, buffer, length, *size)`
    pub(in crate::capture) reads: [Option<u64>; COPIES_MAX],
    /// The same, or with flags before the size.
    pub(in crate::capture) writes: [Option<(u64, Flags)>; COPIES_MAX],
    pub(in crate::capture) new: u64,
}

/// Whether a function that writes takes flags: from 3.3 on, some do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) enum Flags {
    Absent,
    Present,
}

/// What is said where OpenSSL is, and its functions can't be told for certain.
const UNCLEAR: Search = Search::Unclear { library: "OpenSSL" };

pub(super) fn search(image: &Image<'_>) -> Search {
    let [read, source] = places(image, [READ, SOURCE]);
    let nameless = || if is_used(image, &source) { UNCLEAR } else { Search::Absent };
    if read.is_empty() {
        return nameless();
    }
    let [write, public_read, public_write, new] =
        places(image, [WRITE, PUBLIC_READ, PUBLIC_WRITE, NEW]);
    let all = [&read, &write, &public_read, &public_write, &new];
    let all = all.into_iter().flatten().copied().collect();
    let Some(references) = super::references(image, &all) else { return UNCLEAR };
    let references: BTreeSet<Reference> =
        references.into_iter().filter(|reference| names_function(image, *reference)).collect();
    if references.is_empty() {
        // The names are there for something else, as they are in this program.
        return nameless();
    }
    let Some(starts) = Starts::of(image, &references) else { return UNCLEAR };
    let named = |names: &BTreeSet<u64>| -> Option<BTreeSet<u64>> {
        let of_name = references.iter().filter(|reference| names.contains(&reference.name));
        of_name.map(|reference| starts.of_function_at(image, reference.at)).collect()
    };
    let choose = || {
        let program = Program { image, starts: &starts };
        let (read, reads) = program.one_direction(&named(&public_read)?, &named(&read)?)?;
        let (write, writes) = program.one_direction(&named(&public_write)?, &named(&write)?)?;
        let [new] = named(&new)?.into_iter().collect::<Vec<_>>().try_into().ok()?;
        if reads.into_iter().flatten().any(|(_, flags)| flags == Flags::Present) {
            return None;
        }
        Some(Functions {
            read,
            write,
            reads: reads.map(|read| read.map(|(read, _)| read)),
            writes,
            new: image.offset(new)?,
        })
    };
    choose().map_or(UNCLEAR, Search::FoundOpenSsl)
}

/// A program of which it is known where functions begin.
struct Program<'a> {
    image: &'a Image<'a>,
    starts: &'a Starts,
}

/// The public function, if it is to be probed, and the others.
type Direction = (Option<u64>, [Option<(u64, Flags)>; COPIES_MAX]);

impl Program<'_> {
    /// The functions of one direction: `public` has what names the public one, `inner` what has the name of
    /// the inner one, by itself or as a copy.
    fn one_direction(&self, public: &BTreeSet<u64>, inner: &BTreeSet<u64>) -> Option<Direction> {
        let mut public = public.iter().copied();
        let (Some(start), None) = (public.next(), public.next()) else { return None };
        let mut found = (None, [None; COPIES_MAX]);
        if inner.contains(&start) {
            found.0 = Some(self.image.offset(start)?);
        } else if !inner.iter().any(|&inner| self.calls(start, inner)) {
            return None;
        }
        let others: Vec<u64> = inner.iter().copied().filter(|inner| *inner != start).collect();
        if others.is_empty() || others.len() > COPIES_MAX {
            return None;
        }
        for (place, &other) in found.1.iter_mut().zip(&others) {
            let code = self.image.at(other, self.starts.room_after(other));
            let takes = |register| calls::takes(&code, other, register);
            let flags = match (takes(Register::RCX), takes(Register::R8)) {
                (true, true) => Flags::Present,
                (true, false) => Flags::Absent,
                (false, _) => return None,
            };
            *place = Some((self.image.offset(other)?, flags));
        }
        Some(found)
    }

    fn calls(&self, caller: u64, callee: u64) -> bool {
        let code = self.image.at(caller, self.starts.room_after(caller));
        calls::tests(&code, caller, callee).calls
    }
}

/// The addresses at which each of `names` is, at most [`PLACES_MAX`] of each. That of the source file is
/// where its path begins.
fn places<const N: usize>(image: &Image<'_>, names: [&[u8]; N]) -> [BTreeSet<u64>; N] {
    let finders = names.map(memmem::Finder::new);
    let mut places = [const { BTreeSet::new() }; N];
    image.scan(
        |_segment| true,
        SOURCE_MAX,
        |address, bytes| {
            for (finder, places) in finders.iter().zip(&mut places) {
                for place in finder.find_iter(bytes) {
                    let before = &bytes[place.saturating_sub(SOURCE_MAX)..place];
                    let path = before.iter().rev().take_while(|&&byte| byte != 0).count();
                    let into = if finder.needle() == SOURCE { path } else { 0 };
                    if places.len() < PLACES_MAX {
                        places.insert(address + (place - into) as u64);
                    }
                }
            }
        },
    );
    places
}

/// Whether errors are raised in the source file: then OpenSSL is there, but of a version that doesn't name
/// its functions.
fn is_used(image: &Image<'_>, source: &BTreeSet<u64>) -> bool {
    if source.is_empty() {
        return false;
    }
    match super::references(image, source) {
        Some(references) => references.into_iter().any(|reference| {
            let (from, code) = image.around(reference.at, calls::BEFORE, calls::AFTER);
            calls::is_error(&code, from, reference)
        }),
        // Nothing else speaks of one file so often.
        None => true,
    }
}

fn names_function(image: &Image<'_>, reference: Reference) -> bool {
    let (from, code) = image.around(reference.at, calls::BEFORE, calls::AFTER);
    calls::names_function(&code, from, reference)
}

#[cfg(test)]
mod tests;
