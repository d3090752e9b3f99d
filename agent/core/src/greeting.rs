//! What a TLS client says first and in clear: which host it wants (RFC 8446, section 4.1.2; RFC 6066,
//! section 3). With encrypted greetings that is the name of whoever answers for the host.

/// A host name is at most so long, in bytes.
const NAME_MAX: usize = 253;
/// The head of a TLS record: kind, version, length.
const RECORD_HEAD: usize = 5;
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
/// The extension that names the host, and the kind of name that there is.
const SERVER_NAME: u16 = 0;
const HOST_NAME: u8 = 0;
/// The version and the random bytes that a message begins with.
const FIXED: usize = 2 + 32;

/// What the beginning of a connection says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// It names this host, in lower case.
    Named(String),
    /// It is whole, and names none.
    Nameless,
    /// More bytes are needed to tell.
    Unfinished,
    /// It is no greeting.
    Foreign,
}

impl Greeting {
    /// Reads what a connection begins with, as far as it is there.
    #[must_use]
    pub fn read(bytes: &[u8]) -> Self {
        let mut message = Vec::with_capacity(bytes.len());
        let is_tls = unpack(bytes, &mut message);
        if !is_tls {
            return Self::Foreign;
        }
        match hello(Cut(&message)) {
            Ok(greeting) => greeting,
            Err(Short) => Self::Unfinished,
        }
    }
}

/// Puts together what the records carry. Says whether all are of the handshake.
fn unpack(mut bytes: &[u8], message: &mut Vec<u8>) -> bool {
    while let Some((&kind, rest)) = bytes.split_first() {
        let is_version = rest.first().is_none_or(|major| *major == 3);
        // After the greeting, which may be all that is wanted, anything may come.
        if kind != HANDSHAKE || !is_version {
            return !message.is_empty();
        }
        let Some((head, rest)) = bytes.split_at_checked(RECORD_HEAD) else { return true };
        let length = usize::from(u16::from_be_bytes([head[3], head[4]]));
        let part = rest.get(..length).unwrap_or(rest);
        message.extend_from_slice(part);
        bytes = rest.get(length..).unwrap_or_default();
    }
    true
}

/// There are fewer bytes than it takes.
struct Short;

/// Bytes that are read from the front.
#[derive(Clone, Copy)]
struct Cut<'a>(&'a [u8]);

impl<'a> Cut<'a> {
    fn take(&mut self, length: usize) -> Result<&'a [u8], Short> {
        let (front, rest) = self.0.split_at_checked(length).ok_or(Short)?;
        self.0 = rest;
        Ok(front)
    }

    fn byte(&mut self) -> Result<u8, Short> {
        Ok(u8::from_be_bytes(self.number()?))
    }

    fn short(&mut self) -> Result<u16, Short> {
        Ok(u16::from_be_bytes(self.number()?))
    }

    fn number<const N: usize>(&mut self) -> Result<[u8; N], Short> {
        let (front, rest) = self.0.split_first_chunk().ok_or(Short)?;
        self.0 = rest;
        Ok(*front)
    }
}

fn hello(mut message: Cut<'_>) -> Result<Greeting, Short> {
    if message.byte()? != CLIENT_HELLO {
        return Ok(Greeting::Foreign);
    }
    let [high, middle, low] = message.number()?;
    let length = u32::from_be_bytes([0, high, middle, low]) as usize;
    // What follows in the same record is none of it.
    let mut body = Cut(message.0.get(..length).unwrap_or(message.0));
    let is_whole = body.0.len() == length;
    match server(&mut body, is_whole) {
        // A whole message that is shorter than it says is none.
        Err(Short) if is_whole => Ok(Greeting::Foreign),
        result => result,
    }
}

/// What the body of a message says of the host. `is_whole` if nothing is to follow it.
fn server(body: &mut Cut<'_>, is_whole: bool) -> Result<Greeting, Short> {
    body.take(FIXED)?;
    let session = body.byte()?;
    body.take(usize::from(session))?;
    let ciphers = body.short()?;
    body.take(usize::from(ciphers))?;
    let compressions = body.byte()?;
    body.take(usize::from(compressions))?;
    // Before there were extensions, that was all.
    if is_whole && body.0.is_empty() {
        return Ok(Greeting::Nameless);
    }
    let length = usize::from(body.short()?);
    let all_there = body.0.len() >= length;
    let mut rest = Cut(body.0.get(..length).unwrap_or(body.0));
    while !rest.0.is_empty() {
        let kind = rest.short()?;
        let length = rest.short()?;
        let content = rest.take(usize::from(length))?;
        if kind == SERVER_NAME {
            return Ok(server_name(Cut(content)).unwrap_or(Greeting::Foreign));
        }
    }
    if all_there { Ok(Greeting::Nameless) } else { Err(Short) }
}

/// The first name of a list of one.
fn server_name(mut list: Cut<'_>) -> Result<Greeting, Short> {
    let _length = list.short()?;
    let kind = list.byte()?;
    let length = list.short()?;
    let name = list.take(usize::from(length))?;
    let is_name = kind == HOST_NAME && !name.is_empty() && name.len() <= NAME_MAX;
    let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    let text = std::str::from_utf8(name).ok().filter(|_| is_name && name.iter().all(allowed));
    Ok(text.map_or(Greeting::Foreign, |text| Greeting::Named(text.to_ascii_lowercase())))
}

#[cfg(test)]
mod tests;
