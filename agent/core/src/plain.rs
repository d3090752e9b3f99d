//! Requests that travel by plain HTTP: what the first segment of a connection says of a model call and
//! of the credential that it carries. Nothing else of the connection is looked at, so what is here is
//! a sighting and no call: nobody sees what it came to.

use zeroize::Zeroizing;

use crate::http::{Connection, Credential, Event, Side};
use crate::provider::{Api, Glance, Glanced};
use crate::secret::FingerprintKey;
use crate::units::Direction;

/// What a request says of itself. All of it are claims of whoever sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The host that it names, in lower case, the port included where it is there.
    pub host: Option<String>,
    /// Whose endpoint that host is; else who made the form that it speaks.
    pub provider: Option<&'static str>,
    /// The form, if what is asked for is a model call.
    pub api: Option<Api>,
    /// That host is known as an endpoint of a provider's.
    pub is_to_provider: bool,
    /// What is known of its credential.
    pub credential: Option<Credential>,
}

impl Request {
    /// Reads what a connection begins with: the head of a request of HTTP/1.1 or HTTP/2, and of its
    /// body what there is. `None` if there is no request, or too little of it to tell whose.
    #[must_use]
    pub fn read(bytes: &[u8], key: &FingerprintKey) -> Option<Self> {
        glance(bytes, key).or_else(|| glance(&ended(bytes), key)).map(Self::of)
    }

    fn of(glanced: Glanced) -> Self {
        let Glanced { head, provider, api, is_to_provider } = glanced;
        Self {
            host: head.host.map(|host| host.to_ascii_lowercase()),
            provider,
            api,
            is_to_provider,
            credential: head.credential.map(|credential| *credential),
        }
    }
}

fn glance(bytes: &[u8], key: &FingerprintKey) -> Option<Glanced> {
    let mut glance: Option<Glance> = None;
    Connection::new(0).feed(Direction::Write, bytes, key, |event| match event {
        Event::Request { exchange: 0, head, .. } => glance = Some(Glance::new(head)),
        Event::Body { exchange: 0, side: Side::Request, data } => {
            if let Some(glance) = &mut glance {
                glance.body(data);
            }
        }
        Event::Request { .. }
        | Event::Body { .. }
        | Event::Response { .. }
        | Event::Message { .. }
        | Event::Lost { .. }
        | Event::End { .. }
        | Event::Unreadable(_) => {}
    });
    glance.map(Glance::finish)
}

/// The lines that are whole, as a head that ends there: of one that is too long, the rest is unknown, and
/// a credential that is cut is none.
fn ended(bytes: &[u8]) -> Zeroizing<Vec<u8>> {
    let end = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    Zeroizing::new([&bytes[..end], b"\r\n"].concat())
}

#[cfg(test)]
mod tests;
