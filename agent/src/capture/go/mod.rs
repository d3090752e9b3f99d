//! Finds Go's own TLS in Go programs. Their table of functions survives stripping, and names all of
//! them (`table`); where on a function the probes go is for its code to say (`site/x86/go.rs`).
//!
//! The file belongs to an observed process: nothing in it is believed, all that is read has a bound.

mod file;
mod table;
#[cfg(test)]
mod tests;
mod version;

use std::fs::File;
use std::ops::Range;

use self::file::Segments;
use self::table::{Form, Table, Unreadable};
use self::version::Version;
use super::site::{Code, Sites};

/// The longest function that is looked at, in bytes. Those that are probed have at most four thousand.
const CODE_MAX: usize = 64 << 10;
/// Until Go 1.17 all arguments were on the stack.
const REGISTERS_SINCE: u32 = 17;

pub(super) const READ: &str = "crypto/tls.(*Conn).Read";
/// What `Write` calls once the handshake is done; twice for the second byte on, where a cipher of TLS
/// 1.0 asks for it.
pub(super) const WRITE: &str = "crypto/tls.(*Conn).writeRecordLocked";
pub(super) const CLOSE: &str = "crypto/tls.(*Conn).Close";
pub(super) const CLIENT: &str = "crypto/tls.(*Conn).clientHandshake";
/// Where a program is never a server, its linker may have left this out.
pub(super) const SERVER: &str = "crypto/tls.(*Conn).serverHandshake";

/// The functions that are probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Functions {
    pub(super) read: Place,
    pub(super) write: Place,
    pub(super) close: Place,
    pub(super) client: Place,
    pub(super) server: Option<Place>,
}

/// Where a function is, as an offset in the file, and where its probes go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) sites: Sites,
}

/// Whether Go's TLS is in a file. A version is such as "Go 1.27.3".
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Search {
    /// No.
    Absent,
    /// Yes, of a version that passes its arguments on the stack.
    TooOld { version: String },
    /// Yes, but its functions can't be told for certain.
    Unclear { version: String, reason: &'static str },
    /// Yes, here.
    Found { version: String, functions: Box<Functions> },
}

/// Whether a file is made by Go. This takes less time than to search it.
pub(super) fn is_go(file: &File) -> bool {
    Segments::of(file).is_some_and(|segments| Version::of(&segments).is_some())
}

/// Looks for Go's TLS in `file`. What can't be read is not there.
pub(super) fn search(file: &File) -> Search {
    let Some(segments) = Segments::of(file) else { return Search::Absent };
    let Some(Version { text, minor }) = Version::of(&segments) else { return Search::Absent };
    let version = format!("Go {text}").trim_end().to_owned();
    let tables = Table::all(&segments);
    let mut having = tables.iter().filter(|table| table.has_name(&segments, READ));
    let Some(table) = having.next() else { return Search::Absent };
    if having.next().is_some() {
        return Search::Unclear { version, reason: "it has two tables of functions" };
    }
    if table.form() == Form::Old || minor.is_some_and(|minor| minor < REGISTERS_SINCE) {
        return Search::TooOld { version };
    }
    match functions(&segments, table) {
        Ok(functions) => Search::Found { version, functions: Box::new(functions) },
        Err(reason) => Search::Unclear { version, reason },
    }
}

fn functions(segments: &Segments<'_>, table: &Table) -> Result<Functions, &'static str> {
    let found = table.functions(segments, &[READ, WRITE, CLOSE, CLIENT, SERVER]);
    let found = found.map_err(|unreadable| match unreadable {
        Unreadable::Damaged => "its table of functions is damaged",
        Unreadable::NoStart => "nothing tells where its code begins",
    })?;
    let [Some(read), Some(write), Some(close), Some(client), server] = &found[..] else {
        return Err("not all of the functions are there once");
    };
    let place = |addresses: &Range<u64>, sites: fn(&Code) -> Option<Sites>| {
        let offset = segments.code_offset(addresses.start)?;
        let bytes = segments.range(addresses.clone(), CODE_MAX)?;
        let sites = sites(&Code { bytes, is_whole: true })?;
        Some(Place { offset, sites })
    };
    let entry = |addresses| place(addresses, Sites::go_entry).ok_or("its code is not understood");
    Ok(Functions {
        read: place(read, Sites::go_returns).ok_or("the code of Read is not understood")?,
        write: entry(write)?,
        close: entry(close)?,
        client: entry(client)?,
        server: server.as_ref().map(entry).transpose()?,
    })
}
