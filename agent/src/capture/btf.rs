//! As much of BTF, the kernel's description of its own types, as it takes to find where a field
//! stands (Documentation/bpf/btf.rst). aya reads BTF too, but keeps members to itself.

use std::io;
use std::path::Path;

const MAGIC: u16 = 0xeb9f;
/// Bytes of a type's common part: name, info, size or type.
const COMMON: usize = 12;
/// Bytes of a member of a structure or union: name, type, offset.
const MEMBER: usize = 12;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
/// Nesting of anonymous structures that is followed.
const DEPTH: u32 = 4;

/// The description, as the kernel exports it.
pub(super) struct Btf {
    data: Vec<u8>,
    strings: usize,
    /// Where each type begins in `data`, by its id less one.
    types: Vec<usize>,
}

/// Why a file is not a description of types.
#[derive(Debug, thiserror::Error)]
pub(super) enum BtfError {
    #[error("it can't be read")]
    Io(#[from] io::Error),
    #[error("it doesn't begin as BTF does")]
    Header,
    #[error("it has a type of the unknown kind {0}")]
    Kind(u32),
    #[error("it is cut off")]
    Short,
}

impl Btf {
    pub(super) fn read(path: &Path) -> Result<Self, BtfError> {
        Self::parse(std::fs::read(path)?)
    }

    fn parse(data: Vec<u8>) -> Result<Self, BtfError> {
        let magic = data.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes));
        if magic != Some(MAGIC) {
            return Err(BtfError::Header);
        }
        let word = |at| word(&data, at).map(|word| word as usize).ok_or(BtfError::Short);
        let [header, types_at, types_length, strings_at] =
            [word(4)?, word(8)?, word(12)?, word(16)?];
        let (mut at, end) = (header + types_at, header + types_at + types_length);
        let mut types = Vec::new();
        while at < end {
            types.push(at);
            at += COMMON + extra_length(word(at + 4)? as u32)?;
        }
        Ok(Self { strings: header + strings_at, types, data })
    }

    /// Byte offset of `field` in `structure`.
    pub(super) fn offset(&self, structure: &str, field: &str) -> Option<u32> {
        self.types
            .iter()
            .filter(|&&at| {
                self.kind(at) == Some(STRUCT) && self.name(at) == Some(structure.as_bytes())
            })
            .find_map(|&at| self.field_bits(at, field.as_bytes(), DEPTH))
            .map(|bits| bits / 8)
    }

    /// Offset in bits. Kernels that randomise their structures, and newer ones, group fields in
    /// anonymous ones.
    fn field_bits(&self, at: usize, field: &[u8], depth: u32) -> Option<u32> {
        let info = word(&self.data, at + 4)?;
        // With this flag the upper byte of an offset is the width of a bit field.
        let mask = if info >> 31 == 1 { 0x00ff_ffff } else { u32::MAX };
        (0..members(info)).find_map(|index| {
            let member = at + COMMON + index * MEMBER;
            let bits = word(&self.data, member + 8)? & mask;
            match self.name(member)? {
                name if name == field => Some(bits),
                b"" if depth > 0 => {
                    let id = word(&self.data, member + 4)? as usize;
                    let inner = *self.types.get(id.checked_sub(1)?)?;
                    matches!(self.kind(inner)?, STRUCT | UNION)
                        .then(|| self.field_bits(inner, field, depth - 1))?
                        .and_then(|inside| bits.checked_add(inside))
                }
                _ => None,
            }
        })
    }

    fn kind(&self, at: usize) -> Option<u32> {
        word(&self.data, at + 4).map(kind)
    }

    /// The name that stands first in a type and in a member.
    fn name(&self, at: usize) -> Option<&[u8]> {
        let start = self.strings.checked_add(word(&self.data, at)? as usize)?;
        let text = self.data.get(start..)?;
        text.split(|&byte| byte == 0).next()
    }
}

fn word(data: &[u8], at: usize) -> Option<u32> {
    let bytes = data.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes))
}

const fn kind(info: u32) -> u32 {
    info >> 24 & 0x1f
}

const fn members(info: u32) -> usize {
    (info & 0xffff) as usize
}

/// Bytes after a type's common part.
const fn extra_length(info: u32) -> Result<usize, BtfError> {
    Ok(match kind(info) {
        // Integer, variable, declaration tag.
        1 | 14 | 17 => 4,
        // Array.
        3 => 12,
        // Structure, union, section, 64-bit enumeration.
        STRUCT | UNION | 15 | 19 => members(info) * MEMBER,
        // Enumeration, function prototype.
        6 | 13 => members(info) * 8,
        // Pointer, forward, typedef, volatile, const, restrict, function, float, type tag.
        2 | 7..=12 | 16 | 18 => 0,
        unknown => return Err(BtfError::Kind(unknown)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// `struct outer { int a; struct { int pad; int b; }; };`
    fn example() -> Vec<u8> {
        let strings = b"\0outer\0a\0pad\0b\0int\0";
        let [outer, a, pad, b, int] = [1, 7, 9, 13, 15];
        let types: Vec<u32> = vec![
            int,
            1 << 24,
            4,
            32, // 1: int
            0,
            STRUCT << 24 | 2,
            8,
            pad,
            1,
            0,
            b,
            1,
            32, // 2: the anonymous one
            outer,
            STRUCT << 24 | 2,
            12,
            a,
            1,
            0,
            0,
            2,
            32, // 3: outer
        ];
        let length = types.len() as u32 * 4;
        let mut data = Vec::new();
        data.extend(MAGIC.to_ne_bytes());
        data.extend([1, 0]);
        for word in [24, 0, length, length, strings.len() as u32].into_iter().chain(types) {
            data.extend(word.to_ne_bytes());
        }
        data.extend(strings);
        data
    }

    #[test]
    fn fields_are_found_through_anonymous_structures() {
        let btf = Btf::parse(example()).unwrap();
        for (field, offset) in [("a", Some(0)), ("pad", Some(4)), ("b", Some(8)), ("c", None)] {
            assert_eq!(btf.offset("outer", field), offset, "{field}");
        }
        assert_eq!(btf.offset("inner", "a"), None);
    }

    #[test]
    fn what_is_not_btf_is_refused() {
        assert!(matches!(Btf::parse(Vec::new()), Err(BtfError::Header)));
        assert!(matches!(Btf::parse(example()[..40].to_vec()), Err(BtfError::Short)));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(
            noise in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..8),
        ) {
            let mut data = example();
            for (at, byte) in noise {
                let at = at.index(data.len());
                data[at] = byte;
            }
            if let Ok(btf) = Btf::parse(data) {
                btf.offset("outer", "b");
            }
        }
    }
}
