//! From the fields of a header block to a message head.

use super::hpack::Fields;
use crate::http::Side;
use crate::http::coding::UNSAID;
use crate::http::head::{Field, Method, RequestHead, ResponseHead};
use crate::http::websocket::Extensions;
use crate::secret::FingerprintKey;

impl Fields {
    /// Which message it begins, as far as its pseudo-header fields tell. Trailers have none.
    pub(super) fn side(&self) -> Option<Side> {
        self.known.iter().find_map(|field| match field.name.bytes() {
            b":method" | b":scheme" | b":authority" | b":path" => Some(Side::Request),
            b":status" => Some(Side::Response),
            _ => None,
        })
    }

    /// The status of an answer.
    pub(super) fn status(&self) -> Option<u16> {
        let digits = self.text(":status").filter(|text| text.len() == 3)?;
        digits.parse().ok()
    }

    /// The head of a request, if its method is known: without it nobody knows what is asked.
    pub(super) fn request(&self, key: &FingerprintKey) -> Option<RequestHead> {
        let method = Method::of(self.text(":method")?.as_bytes());
        let target = self.text(":path").unwrap_or_default();
        let authority = self.text(":authority");
        let fields = self.all()?;
        let head = RequestHead::new(method, target, authority, &fields, key).ok()?;
        Some(RequestHead { websocket: self.asks_for_websocket(method), ..head })
    }

    /// The head of an answer.
    pub(super) fn response(&self) -> Option<ResponseHead> {
        ResponseHead::new(self.status()?, &self.all()?).ok()
    }

    /// The head of the answer to a request that asks for a WebSocket: any that says "yes" agrees to
    /// it (RFC 8441, section 5).
    pub(super) fn handshake(&self) -> Option<ResponseHead> {
        let head = self.response()?;
        let agrees = (200..300).contains(&head.status);
        let websocket = if agrees { self.agreed() } else { None };
        Some(ResponseHead { websocket, ..head })
    }

    /// Whether the request asks for a WebSocket (RFC 8441, section 4). Only a CONNECT that asks for
    /// some protocol has a scheme; where it isn't known for which, what follows will tell.
    fn asks_for_websocket(&self, method: Method) -> bool {
        method == Method::Connect
            && match self.value(":protocol") {
                Some(protocol) => protocol == b"websocket",
                None => self.incomplete && self.value(":scheme").is_some(),
            }
    }

    /// How the WebSocket that an answer agrees to is spoken, if all of that is known.
    fn agreed(&self) -> Option<Extensions> {
        if self.incomplete && self.value("sec-websocket-extensions").is_none() {
            return Some(Extensions::unsaid());
        }
        Extensions::agreed(&self.all()?)
    }

    fn value(&self, name: &str) -> Option<&[u8]> {
        let mut fields = self.known.iter();
        let found = fields.find(|field| field.name.bytes() == name.as_bytes());
        found.map(|field| field.value.bytes())
    }

    fn text(&self, name: &str) -> Option<&str> {
        std::str::from_utf8(self.value(name)?).ok()
    }

    fn all(&self) -> Option<Vec<Field<'_>>> {
        if self.overfull {
            return None;
        }
        let known = self.known.iter();
        let mut all: Vec<Field<'_>> =
            known.map(|field| (field.name.bytes(), field.value.bytes())).collect();
        if self.incomplete && self.value("content-encoding").is_none() {
            // It may be among what is unknown.
            all.push((b"content-encoding", UNSAID.as_bytes()));
        }
        Some(all)
    }
}
