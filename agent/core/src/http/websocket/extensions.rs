//! What both ends have agreed on, by `Sec-WebSocket-Extensions` of the answer.

use crate::http::head::{Field, fields_named};

/// The extensions in use, all of which are known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extensions {
    pub(super) compression: Option<Compression>,
}

/// `permessage-deflate`. The sizes of the windows don't matter: the largest decodes them all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Compression {
    /// What the server compresses doesn't refer to its earlier messages.
    pub(super) server_no_context_takeover: bool,
    /// Nor does what the client compresses.
    pub(super) client_no_context_takeover: bool,
}

impl Extensions {
    /// What may have been agreed to where nobody knows: each message says whether it is compressed,
    /// and who keeps what came before can read those that don't refer to it.
    pub(in crate::http) fn unsaid() -> Self {
        Self { compression: Some(Compression::default()) }
    }

    /// What the answer with these header fields agrees to; `None` if any of it isn't known, since
    /// that could change what frames look like.
    pub(in crate::http) fn agreed(fields: &[Field<'_>]) -> Option<Self> {
        let mut agreed = Self::default();
        let values = fields_named(fields, "sec-websocket-extensions");
        for extension in values.flat_map(|value| value.split(|&byte| byte == b',')) {
            let mut words = extension.split(|&byte| byte == b';').map(<[u8]>::trim_ascii);
            match words.next().unwrap_or_default() {
                b"" => {}
                name if name.eq_ignore_ascii_case(b"permessage-deflate")
                    && agreed.compression.is_none() =>
                {
                    agreed.compression = Some(Compression::of(words)?);
                }
                _ => return None,
            }
        }
        Some(agreed)
    }
}

impl Compression {
    fn of<'a>(parameters: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut agreed = Self::default();
        for parameter in parameters {
            let name = parameter.split(|&byte| byte == b'=').next().unwrap_or_default();
            match name.trim_ascii().to_ascii_lowercase().as_slice() {
                b"server_no_context_takeover" => agreed.server_no_context_takeover = true,
                b"client_no_context_takeover" => agreed.client_no_context_takeover = true,
                b"server_max_window_bits" | b"client_max_window_bits" => {}
                _ => return None,
            }
        }
        Some(agreed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_agreed_to() {
        let compression = |server, client| {
            Some(Extensions {
                compression: Some(Compression {
                    server_no_context_takeover: server,
                    client_no_context_takeover: client,
                }),
            })
        };
        for (values, agreed) in [
            (&[][..], Some(Extensions::default())),
            (&[""], Some(Extensions::default())),
            (&["permessage-deflate"], compression(false, false)),
            (
                &["Permessage-Deflate; server_no_context_takeover; client_max_window_bits=\"10\""],
                compression(true, false),
            ),
            (
                &["permessage-deflate;client_no_context_takeover ; server_max_window_bits = 9"],
                compression(false, true),
            ),
            (&["permessage-deflate, permessage-deflate"], None),
            (&["permessage-deflate", "x-webkit-deflate-frame"], None),
            (&["permessage-deflate; level=9"], None),
        ] {
            let fields: Vec<Field<'_>> = values
                .iter()
                .map(|value| (&b"Sec-WebSocket-Extensions"[..], value.as_bytes()))
                .collect();
            assert_eq!(Extensions::agreed(&fields), agreed, "{values:?}");
        }
    }
}
