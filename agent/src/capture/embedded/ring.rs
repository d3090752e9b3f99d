//! Where ring seals and opens records for rustls, in programs that have their symbols.
//!
//! Its functions raise no errors that name them, so nothing else tells where they are. Their addresses are in
//! a table, and so each is there, once, whole, and called as it is compiled: `seal(key, nonce, aad, in_out,
//! …)` and `open(key, nonce, aad, in_out, from, …)`, which return a `Result<Tag, _>`. How these are
//! passed is rustc's affair and no ABI. The result doesn't fit into registers, so where to leave it is the
//! first argument; the key, the additional data, the text and `from` take one, two, two and one place.
//! Of the nonce, 12 bytes, it isn't known: it may be passed by its address or in two registers. As six
//! places are registers, how many more the code finds on the stack tells ([`on_stack`]).
//!
//! A mistake yields nothing: what isn't a record by its additional data and length is dropped, and an
//! opened one counts only with the right tag.

mod on_stack;

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt as _;

use super::names::Names;
use crate::capture::elf::{self, Place};

/// What is said where it is, and its functions can't be found.
pub(super) const LIBRARY: &str = "rustls on ring";
/// The first ring whose functions return a `Result`.
const FIRST_RING: (u32, u32) = (17, 8);
/// The first rustls that seals a record where it sends it from, and opens it where it received it.
const FIRST_IN_PLACE: (u32, u32) = (23, 0);
/// Most functions of one kind: those of two ciphers, of two versions.
const COPIES_MAX: usize = 4;
/// The longest function that is looked at, in bytes. Those that are known have up to 1,800.
const CODE_MAX: u64 = 16 << 10;

/// The path of each function that seals as symbols have it, each part behind its length. From 0.17.9 on all are
/// in one module.
const SEALS: [&[u8]; 4] = [
    b"4ring4aead9algorithm12aes_gcm_seal",
    b"4ring4aead9algorithm22chacha20_poly1305_seal",
    b"4ring4aead7aes_gcm12aes_gcm_seal",
    b"4ring4aead17chacha20_poly130522chacha20_poly1305_seal",
];
/// The same of those that open.
const OPENS: [&[u8]; 4] = [
    b"4ring4aead9algorithm12aes_gcm_open",
    b"4ring4aead9algorithm22chacha20_poly1305_open",
    b"4ring4aead7aes_gcm12aes_gcm_open",
    b"4ring4aead17chacha20_poly130522chacha20_poly1305_open",
];

/// Where the functions are that are probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::capture) struct Functions {
    /// `aes_gcm_seal` and `chacha20_poly1305_seal`.
    pub(in crate::capture) seals: [Option<Place>; COPIES_MAX],
    /// `aes_gcm_open` and `chacha20_poly1305_open`.
    pub(in crate::capture) opens: [Option<Place>; COPIES_MAX],
    /// Whether records are copied after they were sealed, and before they are opened.
    pub(in crate::capture) copies: bool,
}

/// What one of them does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Seals,
    Opens,
}

/// Why the functions are not found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// There is no rustls, or no ring.
    Library,
    /// There are no symbols of theirs, or too many.
    Symbols,
    /// They are not those that are known, for this reason.
    Known(&'static str),
}

/// The functions, if all that are there are as they should be.
pub(super) fn functions(file: &File, names: &Names) -> Result<Functions, Missing> {
    if !names.has_rustls_on_ring() {
        return Err(Missing::Library);
    }
    if names.ring.iter().any(|version| *version < FIRST_RING) {
        return Err(Missing::Known("of a ring before 0.17.8, whose functions are others"));
    }
    let found = elf::internals(file, 2 * COPIES_MAX + 1, role);
    let found = found.map_err(|_unreadable| Missing::Symbols)?;
    let [seals, opens] = [Role::Seals, Role::Opens].map(|wanted| {
        let found = found.iter().filter(|(role, _)| *role == wanted);
        few(found.map(|(_, place)| *place))
    });
    let (Some(seals), Some(opens)) = (seals, opens) else { return Err(Missing::Symbols) };
    if !found.iter().all(|(role, place)| is_called_so(file, *place, *role)) {
        let reason = "whose compiler passes arguments otherwise than those that are known";
        return Err(Missing::Known(reason));
    }
    let copies = names.rustls.iter().any(|version| *version < FIRST_IN_PLACE);
    Ok(Functions { seals, opens, copies })
}

/// None of them if there are none, or too many.
fn few(places: impl Iterator<Item = Place>) -> Option<[Option<Place>; COPIES_MAX]> {
    let mut few = [None; COPIES_MAX];
    for (index, place) in places.enumerate() {
        *few.get_mut(index)? = Some(place);
    }
    few[0].map(|_| few)
}

/// What the function of this symbol does: `_ZN…17h…E`, or `_RNv…` with the path at its end; either may
/// have something behind a dot.
fn role(symbol: &[u8]) -> Option<Role> {
    let symbol = symbol.split(|byte| *byte == b'.').next()?;
    let is = |path: &&[u8]| match symbol.strip_prefix(b"_ZN") {
        Some(rest) => rest.strip_prefix(*path).is_some_and(|rest| rest.starts_with(b"17h")),
        None => symbol.starts_with(b"_RNvNtNtC") && symbol.ends_with(path),
    };
    if SEALS.iter().any(is) {
        return Some(Role::Seals);
    }
    OPENS.iter().any(is).then_some(Role::Opens)
}

/// Whether the code has as many arguments on the stack as it has with a nonce that is passed by its address.
fn is_called_so(file: &File, place: Place, role: Role) -> bool {
    let mut code = vec![0; usize::try_from(place.length.min(CODE_MAX)).unwrap_or(0)];
    if file.read_exact_at(&mut code, place.offset).is_err() {
        return false;
    }
    on_stack::arguments(&code) == expected(role)
}

/// The length of the text; and behind it, where in it begins what is to be opened.
fn expected(role: Role) -> BTreeSet<u64> {
    match role {
        Role::Seals => BTreeSet::from([0]),
        Role::Opens => BTreeSet::from([0, 1]),
    }
}

#[cfg(test)]
mod tests;
