//! Go's table of functions, `.gopclntab`: what `debug/gosym` in Go's library reads. The runtime needs it
//! to walk stacks, so every program has it, stripped or not.

use std::collections::BTreeMap;
use std::ops::Range;

use super::file::{Forwards, Segments};

/// The first bytes of the table, of which the first differs. Then come two zeros, the size of the
/// smallest instruction and that of a pointer.
const MAGIC: &[u8] = b"\xff\xff\xff\0\0\x01\x08";
/// Go 1.2 to 1.15.
const FIRST_12: u8 = 0xfb;
/// Go 1.16 and 1.17.
const FIRST_116: u8 = 0xfa;
/// Go 1.18 and 1.19.
const FIRST_118: u8 = 0xf0;
/// Go 1.20 and later.
const FIRST_120: u8 = 0xf1;
/// How tables are aligned, in bytes.
const ALIGNMENT: u64 = 8;
/// No program has as many functions.
const FUNCTIONS_MAX: u64 = 8 << 20;
/// A program has one table, one `moduledata`, and each name once. Whoever has more of what looks like
/// one wants to keep us busy: so many are looked at.
const TABLES_MAX: usize = 4;
const MAGICS_MAX: usize = 1024;
const MODULES_MAX: usize = 64;
const NAMES_MAX: usize = 64;

/// Words of `moduledata` that are looked at. The start of the code is the 23rd in Go 1.27.
const MODULE_WORDS: usize = 40;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    form: Form,
    address: u64,
    functions: u64,
    /// Where names are.
    names: Range<u64>,
    /// The list of functions; what it refers to is counted from here.
    list: u64,
}

/// How the list is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// In a way that isn't read: nothing that was built so passes arguments in registers.
    Old,
    /// By addresses.
    Absolute,
    /// By the distance from the beginning of the code.
    Relative,
}

/// Why there is no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// The table contradicts itself or goes beyond its bounds.
    Damaged,
    /// Nothing tells where the code begins from which functions are counted.
    NoStart,
}

impl Table {
    /// All that may be one.
    pub(super) fn all(segments: &Segments<'_>) -> Vec<Self> {
        let mut found = Vec::new();
        let mut magics = 0;
        for segment in segments.iter() {
            segments.find(&segment.addresses, MAGIC, |magic| {
                let address = magic.checked_sub(1).filter(|it| it.is_multiple_of(ALIGNMENT));
                let end = segment.addresses.end;
                found.extend(address.and_then(|address| Self::at(segments, address, end)));
                magics += 1;
                found.len() < TABLES_MAX && magics < MAGICS_MAX
            });
        }
        found
    }

    fn at(segments: &Segments<'_>, address: u64, end: u64) -> Option<Self> {
        let [first, ..] = segments.bytes::<8>(address)?;
        let (form, skipped) = match first {
            FIRST_12 => {
                return Some(Self {
                    form: Form::Old,
                    address,
                    functions: 0,
                    names: address..end,
                    list: end,
                });
            }
            FIRST_116 => (Form::Absolute, 0),
            // The start of the code, which isn't written any more since Go 1.26.
            FIRST_118 | FIRST_120 => (Form::Relative, 1),
            _ => return None,
        };
        // How many functions, how many files; then where the parts are: names, units, files, what
        // instructions are of, the list.
        let word = |number: u64| segments.word(address.checked_add(8 * number)?);
        let part = |number: u64| {
            let at = address.checked_add(word(3 + skipped + number)?)?;
            (address..end).contains(&at).then_some(at)
        };
        let table =
            Self { form, address, functions: word(1)?, names: part(0)?..part(1)?, list: part(4)? };
        let entries = table.functions.checked_add(1)?.checked_mul(2 * form.field())?;
        let fits = (1..=FUNCTIONS_MAX).contains(&table.functions)
            && table.names.start < table.names.end
            && end - table.list >= entries;
        fits.then_some(table)
    }

    pub(super) fn form(&self) -> Form {
        self.form
    }

    /// Whether there is a name for a function.
    pub(super) fn has_name(&self, segments: &Segments<'_>, name: &str) -> bool {
        !self.names(segments, &[name]).is_empty()
    }

    /// The addresses of each function that is asked for, its padding included. Those that are there
    /// more than once are not there.
    pub(super) fn functions(
        &self,
        segments: &Segments<'_>,
        wanted: &[&str],
    ) -> Result<Vec<Option<Range<u64>>>, Unreadable> {
        let names = self.names(segments, wanted);
        if names.is_empty() {
            return Ok(vec![None; wanted.len()]);
        }
        let start = self.start(segments).ok_or(Unreadable::NoStart)?;
        let mut found = vec![Vec::new(); wanted.len()];
        self.each(segments, |name, addresses| {
            let found = names.get(&name).and_then(|index| found.get_mut(*index));
            // Two are as bad as many.
            if let Some(found) = found.filter(|found: &&mut Vec<_>| found.len() < 2) {
                found.push(addresses);
            }
        })
        .ok_or(Unreadable::Damaged)?;
        let moved = |addresses: Range<u64>| {
            Some(addresses.start.checked_add(start)?..addresses.end.checked_add(start)?)
        };
        let only = found.into_iter().map(|all| match <[_; 1]>::try_from(all) {
            Ok([one]) => moved(one),
            Err(_none_or_many) => None,
        });
        Ok(only.collect())
    }

    /// Which of `wanted` the names at these offsets are.
    fn names(&self, segments: &Segments<'_>, wanted: &[&str]) -> BTreeMap<u32, usize> {
        let mut found = BTreeMap::new();
        for (index, name) in wanted.iter().enumerate() {
            let name = [b"\0", name.as_bytes(), b"\0"].concat();
            let mut count = 0;
            segments.find(&self.names, &name, |before| {
                let offset = before.checked_sub(self.names.start).and_then(|it| it.checked_add(1));
                if let Some(offset) = offset.and_then(|offset| u32::try_from(offset).ok()) {
                    found.insert(offset, index);
                }
                count += 1;
                count < NAMES_MAX
            });
        }
        found
    }

    /// What addresses in the list are counted from.
    fn start(&self, segments: &Segments<'_>) -> Option<u64> {
        if self.form == Form::Absolute {
            return Some(0);
        }
        let first = self.entry(segments, 0)?;
        let last = self.entry(segments, self.functions)?;
        // `moduledata` begins with the addresses of the table and of the names, and has, one after the
        // other, those of the first function, of the end of the last, and of the start of the code.
        let mut found = None;
        let mut modules = 0;
        let begin = [self.address.to_le_bytes(), self.names.start.to_le_bytes()].concat();
        for segment in segments.iter().filter(|segment| segment.writable) {
            segments.find(&segment.addresses, &begin, |at| {
                let words: Vec<u64> = (0..MODULE_WORDS)
                    .map_while(|number| segments.word(at.checked_add(8 * number as u64)?))
                    .collect();
                let is_start = |words: &&[u64]| {
                    words[2].checked_add(first) == Some(words[0])
                        && words[2].checked_add(last) == Some(words[1])
                };
                found = words.windows(3).find(is_start).map(|words| words[2]);
                modules += 1;
                found.is_none() && modules < MODULES_MAX
            });
            if found.is_some() {
                break;
            }
        }
        found
    }

    /// Where function `number` begins, as the list has it; behind the last one, where that ends.
    fn entry(&self, segments: &Segments<'_>, number: u64) -> Option<u64> {
        let at = self.list.checked_add(number.checked_mul(2 * self.form.field())?)?;
        match self.form {
            Form::Old => None,
            Form::Absolute => segments.word(at),
            Form::Relative => segments.bytes(at).map(|it| u64::from(u32::from_le_bytes(it))),
        }
    }

    /// Hands `visit` each function's name and addresses. `None` if the list isn't in order.
    fn each(&self, segments: &Segments<'_>, mut visit: impl FnMut(u32, Range<u64>)) -> Option<()> {
        let (mut list, mut facts) = (Forwards::new(segments), Forwards::new(segments));
        let field = self.form.field();
        let mut at = self.list;
        let mut before: Option<(u64, u64)> = None;
        for number in 0..=self.functions {
            let (entry, fact) = match self.form {
                Form::Old => return None,
                Form::Absolute => {
                    let entry = u64::from_le_bytes(list.bytes(at)?);
                    // The last entry is the end of the last function, and nothing else.
                    let fact =
                        if number < self.functions { list.bytes(at + field)? } else { [0; 8] };
                    (entry, u64::from_le_bytes(fact))
                }
                Form::Relative => {
                    let entry = u32::from_le_bytes(list.bytes(at)?);
                    let fact =
                        if number < self.functions { list.bytes(at + field)? } else { [0; 4] };
                    (u64::from(entry), u64::from(u32::from_le_bytes(fact)))
                }
            };
            at = at.checked_add(2 * field)?;
            if let Some((start, about)) = before {
                // Where the function begins, once more, and then its name.
                let name = self.list.checked_add(about)?.checked_add(field)?;
                let is_in_order = start < entry && (number == self.functions || about < fact);
                is_in_order.then_some(())?;
                visit(u32::from_le_bytes(facts.bytes(name)?), start..entry);
            }
            before = Some((entry, fact));
        }
        Some(())
    }
}

impl Form {
    /// Bytes of one field of the list.
    fn field(self) -> u64 {
        match self {
            Self::Old | Self::Absolute => 8,
            Self::Relative => 4,
        }
    }
}
