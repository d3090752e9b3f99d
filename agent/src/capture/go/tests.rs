//! Programs made up for the purpose, in each form that Go's linkers have given to them.

use std::fs::File;
use std::io::Write as _;

use proptest::prelude::*;

use super::{CLIENT, CLOSE, Functions, READ, SERVER, Search, WRITE, is_go, search};
use crate::capture::site::Exits;

/// Where the code, the tables and the data are, in memory and in the file, a page for each.
const CODE: u64 = 0x40_1000;
const TABLES: u64 = 0x40_3000;
const DATA: u64 = 0x40_5000;
const PAGE: usize = 0x1000;
/// Where code begins that is Go's: a linker for C has put some before it.
const START: u64 = 0x40;

/// `cmp rsp, [r14+0x10]; jbe …; push rbp; mov rbp, rsp; sub rsp, 0x10; mov [rsp+0x20], rax;
/// mov [rsp+0x28], rbx; add rsp, 0x10; pop rbp; ret; …: ud2`.
const BODY: &[u8] = b"\x49\x3b\x66\x10\x76\x18\x55\x48\x89\xe5\x48\x83\xec\x10\x48\x89\x44\x24\x20\
    \x48\x89\x5c\x24\x28\x48\x83\xc4\x10\x5d\xc3\x0f\x0b";
const SIZE: usize = BODY.len();

/// A program.
#[derive(Clone, Debug)]
struct Program {
    /// The first byte of the table.
    magic: u8,
    version: &'static str,
    /// The version is where an address says that it is.
    is_far: bool,
    /// The table says where the code begins.
    has_start: bool,
    functions: Vec<&'static str>,
    body: Vec<u8>,
}

impl Program {
    fn new(magic: u8, version: &'static str) -> Self {
        let functions = vec!["runtime.text", READ, CLOSE, "main.main", CLIENT, WRITE, SERVER];
        let (is_far, has_start) = (magic == 0xfa, magic == 0xf0);
        Self { magic, version, is_far, has_start, functions, body: BODY.to_vec() }
    }

    fn start(&self, function: usize) -> u64 {
        START + (function * SIZE) as u64
    }

    fn tables(&self) -> Vec<u8> {
        let is_absolute = self.magic == 0xfa;
        let field = if is_absolute { 8 } else { 4 };
        let number = |number: u64| number.to_le_bytes()[..field].to_vec();
        let at = |function| self.start(function) + if is_absolute { CODE } else { 0 };
        let distance = |function| if is_absolute { at(function) } else { at(function) - START };
        let mut names = vec![0];
        let mut facts = Vec::new();
        let mut list = Vec::new();
        let count = self.functions.len();
        for (index, name) in self.functions.iter().enumerate() {
            list.extend(number(distance(index)));
            list.extend(number(((2 * count + 1) * field + facts.len()) as u64));
            facts.extend(number(distance(index)));
            facts.extend((names.len() as u32).to_le_bytes());
            // What is behind it has other sizes in each function.
            facts.resize(facts.len() + 4 * index, 0xee);
            names.extend(name.as_bytes());
            names.push(0);
        }
        list.extend(number(distance(count)));
        let words = if is_absolute { 8 } else { 9 };
        let mut table = vec![self.magic, 0xff, 0xff, 0xff, 0, 0, 1, 8];
        let mut word = |number: u64| table.extend(number.to_le_bytes());
        word(count as u64);
        word(3);
        if !is_absolute {
            word(if self.has_start { CODE + START } else { 0 });
        }
        let behind = (8 * words + names.len()) as u64;
        word(8 * words as u64);
        for _ in 0..4 {
            word(behind);
        }
        for part in [names, list, facts] {
            table.extend(part);
        }
        table
    }

    fn data(&self) -> Vec<u8> {
        let mut data = vec![0x55; 16];
        data.extend(b"\xff Go buildinf:\x08");
        data.push(if self.is_far { 0 } else { 2 });
        if self.is_far {
            data.extend((DATA + 64).to_le_bytes());
            data.resize(64, 0);
            data.extend((DATA + 80).to_le_bytes());
            data.extend((self.version.len() as u64).to_le_bytes());
        } else {
            data.resize(48, 0);
            data.push(self.version.len() as u8);
        }
        data.extend(self.version.as_bytes());
        data.resize(256, 0);
        let begin = CODE + START;
        let end = CODE + self.start(self.functions.len());
        let words = if self.magic == 0xfa { 8 } else { 9 };
        for word in [TABLES, TABLES + 8 * words, 7, 7, TABLES + 100, begin, end, begin, end] {
            data.extend(word.to_le_bytes());
        }
        data
    }

    fn file(&self) -> Vec<u8> {
        let mut file = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0".to_vec();
        file.resize(PAGE, 0);
        file[20] = 1;
        file[32] = 64;
        file[52] = 64;
        file[54] = 56;
        file[56] = 3;
        let mut code = vec![0x90; START as usize];
        for _ in &self.functions {
            code.extend(&self.body);
        }
        let parts = [(5, CODE, code), (4, TABLES, self.tables()), (6, DATA, self.data())];
        for (index, (flags, address, bytes)) in parts.into_iter().enumerate() {
            let at = 64 + 56 * index;
            file[at] = 1;
            file[at + 4] = flags;
            let words = [file.len() as u64, address, 0, bytes.len() as u64];
            let words: Vec<u8> = words.into_iter().flat_map(u64::to_le_bytes).collect();
            file[at + 8..at + 40].copy_from_slice(&words);
            file.extend(&bytes);
            file.resize(file.len().next_multiple_of(PAGE), 0);
        }
        file
    }
}

fn written(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn found(program: &Program) -> Search {
    search(&written(&program.file()))
}

/// The version, and where each function is, or what is the matter.
fn shown(search: Search) -> String {
    match search {
        Search::Absent => "absent".to_owned(),
        Search::TooOld { version } => format!("{version} is too old"),
        Search::Unclear { version, reason } => format!("{version}: {reason}"),
        Search::Found { version, functions } => {
            let Functions { read, write, close, client, server } = *functions;
            assert_eq!((read.sites.entry.offset, &read.sites.exits), (29, &Exits::At(Vec::new())));
            assert_eq!((write.sites.entry.offset, &write.sites.exits), (6, &Exits::Unwatched));
            let all = [Some(read), Some(write), Some(close), Some(client), server];
            let number = |offset: u64| (offset - PAGE as u64 - START) / SIZE as u64;
            let all = all.map(|place| place.map_or("-".into(), |it| number(it.offset).to_string()));
            format!("{version} at {}", all.join(" "))
        }
    }
}

#[track_caller]
fn check(program: &Program, expected: &str) {
    assert_eq!(shown(found(program)), expected, "{program:?}");
}

#[test]
fn functions_are_found_in_the_tables_of_every_version() {
    for (magic, version, expected) in [
        (0xfb, "go1.15.1", "Go 1.15.1 is too old"),
        (0xfa, "go1.16.3", "Go 1.16.3 is too old"),
        (0xfa, "go1.17.2", "Go 1.17.2 at 1 5 2 4 6"),
        (0xf0, "go1.18.2", "Go 1.18.2 at 1 5 2 4 6"),
        (0xf1, "go1.27.3", "Go 1.27.3 at 1 5 2 4 6"),
        (0xf1, "devel go1.28-0123abcd", "Go 1.28-0123abcd at 1 5 2 4 6"),
        (0xf1, "", "Go at 1 5 2 4 6"),
        (0xf2, "go1.99", "absent"),
    ] {
        check(&Program::new(magic, version), expected);
    }
}

#[test]
fn a_version_is_read_wherever_it_is() {
    let program = Program::new(0xf1, "go1.27.3");
    check(&Program { is_far: true, ..program }, "Go 1.27.3 at 1 5 2 4 6");
}

#[test]
fn what_is_not_there_once_is_not_probed() {
    let program = Program::new(0xf1, "go1.27.3");
    let with =
        |functions: &[&'static str]| Program { functions: functions.to_vec(), ..program.clone() };
    check(&with(&[READ, WRITE, CLOSE, CLIENT]), "Go 1.27.3 at 0 1 2 3 -");
    let missing = "Go 1.27.3: not all of the functions are there once";
    check(&with(&[READ, CLOSE, CLIENT]), missing);
    check(&with(&[READ, WRITE, CLOSE, CLIENT, READ]), missing);
    check(&with(&[WRITE, CLOSE, CLIENT]), "absent");
    check(&with(&["main.main"]), "absent");
}

#[test]
fn code_that_is_not_understood_is_not_probed() {
    let mut body = BODY.to_vec();
    body[18] = 0x08;
    let program = Program { body, ..Program::new(0xf1, "go1.27.3") };
    check(&program, "Go 1.27.3: the code of Read is not understood");
    let body = [&[0x90], &BODY[..SIZE - 1]].concat();
    let program = Program { body, ..Program::new(0xf1, "go1.27.3") };
    check(&program, "Go 1.27.3: the code of Read is not understood");
}

/// Where in the file something is.
fn find(bytes: &[u8], what: &[u8]) -> usize {
    memchr::memmem::find(bytes, what).unwrap()
}

#[test]
fn tables_that_contradict_themselves_are_damaged() {
    let program = Program::new(0xf1, "go1.27.3");
    let tables = 2 * PAGE;
    let second = find(&program.file(), b"serverHandshake\0") + 16 + 8;
    let damaged = "Go 1.27.3: its table of functions is damaged";
    let no_start = "Go 1.27.3: nothing tells where its code begins";
    for (name, at, value, expected) in [
        ("no functions", tables + 8, 0u64, "absent"),
        ("too many functions", tables + 8, 1 << 40, "absent"),
        ("names end before they begin", tables + 40, 1, "absent"),
        ("the list is elsewhere", tables + 64, 1 << 20, "absent"),
        ("functions out of order", second, 1 << 32 | 0x900, damaged),
        ("facts out of order", second, 0x900 << 32 | SIZE as u64, damaged),
        ("no start", 3 * PAGE + 256 + 56, 1, no_start),
    ] {
        let mut bytes = program.file();
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
        assert_eq!(shown(search(&written(&bytes))), expected, "{name}");
    }
}

#[test]
fn two_tables_are_one_too_many() {
    let mut bytes = Program::new(0xf1, "go1.27.3").file();
    let page = bytes[2 * PAGE..3 * PAGE].to_vec();
    // The data's page is followed by nothing: make that segment longer.
    bytes[64 + 112 + 32..64 + 112 + 40].copy_from_slice(&(2 * PAGE as u64).to_le_bytes());
    bytes.extend(page);
    assert_eq!(shown(search(&written(&bytes))), "Go 1.27.3: it has two tables of functions");
}

#[test]
fn other_files_are_not_of_go() {
    let whole = Program::new(0xf1, "go1.27.3").file();
    assert!(is_go(&written(&whole)));
    let mut other = whole.clone();
    other[3 * PAGE + 18] ^= 1;
    // The first segment is the whole file several times over.
    let mut long = whole.clone();
    long[64 + 32..64 + 40].copy_from_slice(&(1u64 << 20).to_le_bytes());
    for bytes in [&b""[..], b"#!/bin/sh\n", b"\x7fELF", &whole[..PAGE], &other, &long] {
        assert!(!is_go(&written(bytes)));
        assert_eq!(search(&written(bytes)), Search::Absent);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn no_damage_panics(
        magic in prop::sample::select(vec![0xfa, 0xf0, 0xf1]),
        flips in prop::collection::vec((prop::sample::select(vec![64, 2 * PAGE, 3 * PAGE]), 0..512usize, any::<u8>()), 0..6),
        end in prop_oneof![Just(4 * PAGE), 0..4 * PAGE],
    ) {
        let mut bytes = Program::new(magic, "go1.27.3").file();
        for (page, into, value) in flips {
            bytes[page + into] = value;
        }
        bytes.truncate(end);
        let file = written(&bytes);
        if let Search::Found { functions, .. } = search(&file) {
            // Whatever it was taken for, there is such code.
            for place in [functions.read, functions.write, functions.close, functions.client] {
                let at = usize::try_from(place.offset).unwrap();
                prop_assert!(bytes[at..].starts_with(&BODY[..6]));
            }
        }
    }
}
