//! The kinds of clients.

/// What a client is written in, and what its TLS comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Python `openai`, synchronous.
    OpenAiSync,
    /// Python `openai`, asyncio.
    OpenAiAsync,
    /// Python `anthropic`, synchronous.
    AnthropicSync,
    /// Python `anthropic`, asyncio.
    AnthropicAsync,
    /// Node `openai`.
    Node,
    /// curl.
    Curl,
    /// Python `openai`, asyncio, over HTTP/2.
    OpenAiHttp2,
    /// Node `openai` over `node:http2`.
    NodeHttp2,
    /// curl over HTTP/2.
    CurlHttp2,
    /// Go's `net/http` over HTTP/2, its TLS from OpenSSL.
    GoHttp2,
    /// Go's `net/http` over its own TLS, in a program of fixed addresses.
    Go,
    /// The same in a program without symbols and fixed addresses.
    GoStripped,
    /// Go's `net/http` over HTTP/2 and its own TLS.
    GoTlsHttp2,
    /// reqwest, its TLS from rustls on AWS-LC.
    Reqwest,
    /// The same over TLS 1.2.
    ReqwestTls12,
    /// The same over HTTP/2, stripped and static.
    ReqwestHttp2,
    /// reqwest, its TLS from rustls on ring, in a program with symbols.
    RingReqwest,
    /// The same over TLS 1.2.
    RingReqwestTls12,
    /// The same over HTTP/2.
    RingReqwestHttp2,
    /// reqwest 0.11, its TLS from rustls 0.21 on ring, in a program with symbols.
    OldReqwest,
    /// The same over TLS 1.2.
    OldReqwestTls12,
    /// The same over HTTP/2.
    OldReqwestHttp2,
    /// Node `openai` on Deno, whose TLS is rustls on AWS-LC. It speaks HTTP/2.
    Deno,
    /// Python `openai`, asyncio, over WebSocket.
    OpenAiWebSocket,
    /// PycURL, whose TLS is GnuTLS.
    GnuTls,
    /// The same over HTTP/2.
    GnuTlsHttp2,
    /// libcurl over NSS.
    Nss,
    /// The same over HTTP/2.
    NssHttp2,
    /// Bun `openai`, whose TLS is BoringSSL inside.
    Bun,
    /// curl in a container.
    ContainerCurl,
    /// The same over HTTP/2.
    ContainerCurlHttp2,
    /// Python's own `http.client` in a container.
    ContainerPython,
    /// PycURL in a container, whose TLS is GnuTLS, over HTTP/2.
    ContainerGnuTlsHttp2,
    /// Go's own TLS in a stripped program, in a container.
    ContainerGo,
    /// reqwest in a stripped and static program, in a container, over HTTP/2.
    ContainerReqwestHttp2,
    /// PycURL as it comes from PyPI, with an OpenSSL of its own.
    WheelCurl,
    /// The same over HTTP/2.
    WheelCurlHttp2,
    /// urllib3 over pyOpenSSL, whose OpenSSL is inside a module without exported symbols.
    PyOpenSsl,
    /// OpenSSL inside a program without symbols.
    StaticOpenSsl,
    /// Node `openai`, whose TLS is OpenSSL 1.1.
    OldNode,
    /// GnuTLS by itself, which holds back what is sent. Not one of [`Kind::ALL`].
    GnuTlsCorked,
    /// NSS by itself, which looks at what it is sent before it takes it. Not one of [`Kind::ALL`].
    NssPeeking,
}

impl Kind {
    /// All that people use.
    pub const ALL: [Self; 23] = [
        Self::OpenAiSync,
        Self::OpenAiAsync,
        Self::AnthropicSync,
        Self::AnthropicAsync,
        Self::Node,
        Self::Curl,
        Self::OpenAiHttp2,
        Self::NodeHttp2,
        Self::CurlHttp2,
        Self::GoHttp2,
        Self::Go,
        Self::GoStripped,
        Self::GoTlsHttp2,
        Self::OpenAiWebSocket,
        Self::GnuTls,
        Self::GnuTlsHttp2,
        Self::Nss,
        Self::NssHttp2,
        Self::Bun,
        Self::Reqwest,
        Self::ReqwestTls12,
        Self::ReqwestHttp2,
        Self::Deno,
    ];

    /// Other ways to come by OpenSSL.
    pub const OF_OPENSSL: [Self; 5] = [
        Self::WheelCurl,
        Self::WheelCurlHttp2,
        Self::PyOpenSsl,
        Self::StaticOpenSsl,
        Self::OldNode,
    ];

    /// Those that have rustls on ring, and symbols.
    pub const ON_RING: [Self; 6] = [
        Self::RingReqwest,
        Self::RingReqwestTls12,
        Self::RingReqwestHttp2,
        Self::OldReqwest,
        Self::OldReqwestTls12,
        Self::OldReqwestHttp2,
    ];

    /// What people run in containers.
    pub const IN_CONTAINERS: [Self; 6] = [
        Self::ContainerCurl,
        Self::ContainerCurlHttp2,
        Self::ContainerPython,
        Self::ContainerGnuTlsHttp2,
        Self::ContainerGo,
        Self::ContainerReqwestHttp2,
    ];

    /// A short name for labels and tests.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::OpenAiSync => "python-openai",
            Self::OpenAiAsync => "python-openai-async",
            Self::AnthropicSync => "python-anthropic",
            Self::AnthropicAsync => "python-anthropic-async",
            Self::Node => "node-openai",
            Self::Curl => "curl",
            Self::OpenAiHttp2 => "python-openai-http2",
            Self::NodeHttp2 => "node-openai-http2",
            Self::CurlHttp2 => "curl-http2",
            Self::GoHttp2 => "go-http2",
            Self::Go => "go",
            Self::GoStripped => "go-stripped",
            Self::GoTlsHttp2 => "go-tls-http2",
            Self::OpenAiWebSocket => "python-openai-websocket",
            Self::GnuTls => "gnutls",
            Self::GnuTlsHttp2 => "gnutls-http2",
            Self::Nss => "nss",
            Self::NssHttp2 => "nss-http2",
            Self::GnuTlsCorked => "gnutls-corked",
            Self::NssPeeking => "nss-peeking",
            Self::Bun => "bun-openai",
            Self::Reqwest => "reqwest",
            Self::ReqwestTls12 => "reqwest-tls12",
            Self::ReqwestHttp2 => "reqwest-stripped-http2",
            Self::RingReqwest => "reqwest-ring",
            Self::RingReqwestTls12 => "reqwest-ring-tls12",
            Self::RingReqwestHttp2 => "reqwest-ring-http2",
            Self::OldReqwest => "reqwest-0.11",
            Self::OldReqwestTls12 => "reqwest-0.11-tls12",
            Self::OldReqwestHttp2 => "reqwest-0.11-http2",
            Self::Deno => "deno-openai",
            Self::WheelCurl => "wheel-pycurl",
            Self::WheelCurlHttp2 => "wheel-pycurl-http2",
            Self::PyOpenSsl => "pyopenssl",
            Self::StaticOpenSsl => "static-openssl",
            Self::OldNode => "node16-openai",
            Self::ContainerCurl => "container-curl",
            Self::ContainerCurlHttp2 => "container-curl-http2",
            Self::ContainerPython => "container-python",
            Self::ContainerGnuTlsHttp2 => "container-gnutls-http2",
            Self::ContainerGo => "container-go",
            Self::ContainerReqwestHttp2 => "container-reqwest-http2",
        }
    }

    /// The APIs that it speaks, by the clients' own names.
    #[must_use]
    pub const fn apis(self) -> &'static [&'static str] {
        match self {
            Self::OpenAiSync
            | Self::OpenAiAsync
            | Self::OpenAiHttp2
            | Self::Node
            | Self::NodeHttp2
            | Self::OldNode
            | Self::Bun
            | Self::Deno => &["chat", "responses", "embeddings"],
            Self::AnthropicSync | Self::AnthropicAsync => &["messages"],
            Self::Curl
            | Self::CurlHttp2
            | Self::ContainerCurl
            | Self::ContainerCurlHttp2
            | Self::Reqwest
            | Self::ReqwestHttp2
            | Self::ContainerReqwestHttp2 => &["chat", "responses", "embeddings", "messages"],
            Self::GoHttp2
            | Self::Go
            | Self::ContainerGo
            | Self::GoStripped
            | Self::GoTlsHttp2
            | Self::ReqwestTls12
            | Self::RingReqwest
            | Self::RingReqwestTls12
            | Self::RingReqwestHttp2
            | Self::OldReqwest
            | Self::OldReqwestTls12
            | Self::OldReqwestHttp2 => &["chat", "messages"],
            Self::GnuTls
            | Self::GnuTlsHttp2
            | Self::Nss
            | Self::NssHttp2
            | Self::WheelCurl
            | Self::WheelCurlHttp2
            | Self::PyOpenSsl
            | Self::StaticOpenSsl
            | Self::ContainerPython
            | Self::ContainerGnuTlsHttp2 => &["chat", "responses", "messages"],
            Self::GnuTlsCorked | Self::NssPeeking => &["chat"],
            Self::OpenAiWebSocket => &["responses"],
        }
    }

    /// Whether it says what it made of the answers.
    #[must_use]
    pub const fn reports(self) -> bool {
        matches!(
            self,
            Self::OpenAiSync
                | Self::OpenAiAsync
                | Self::OpenAiHttp2
                | Self::OpenAiWebSocket
                | Self::AnthropicSync
                | Self::AnthropicAsync
                | Self::Node
                | Self::NodeHttp2
                | Self::OldNode
                | Self::Bun
                | Self::Deno
        )
    }

    /// Whether its calls are messages of a session, which fails by other means than HTTP's.
    #[must_use]
    pub const fn is_session(self) -> bool {
        matches!(self, Self::OpenAiWebSocket)
    }

    pub(super) const fn is_curl(self) -> bool {
        matches!(
            self,
            Self::Curl | Self::CurlHttp2 | Self::ContainerCurl | Self::ContainerCurlHttp2
        )
    }

    pub(super) const fn is_in_container(self) -> bool {
        matches!(
            self,
            Self::ContainerCurl
                | Self::ContainerCurlHttp2
                | Self::ContainerPython
                | Self::ContainerGnuTlsHttp2
                | Self::ContainerGo
                | Self::ContainerReqwestHttp2
        )
    }

    /// Whether a connection of its is understood only in part by who has not seen its beginning.
    pub(super) const fn builds_on_its_past(self) -> bool {
        self.asks_for_http2() || matches!(self, Self::GoHttp2 | Self::OpenAiWebSocket | Self::Deno)
    }

    /// Whether it has to be told to speak HTTP/2.
    pub(super) const fn asks_for_http2(self) -> bool {
        matches!(
            self,
            Self::OpenAiHttp2
                | Self::NodeHttp2
                | Self::CurlHttp2
                | Self::GoTlsHttp2
                | Self::GnuTlsHttp2
                | Self::NssHttp2
                | Self::ReqwestHttp2
                | Self::RingReqwestHttp2
                | Self::OldReqwestHttp2
                | Self::WheelCurlHttp2
                | Self::ContainerCurlHttp2
                | Self::ContainerGnuTlsHttp2
                | Self::ContainerReqwestHttp2
        )
    }

    /// Whether it has to be told to speak no newer TLS than 1.2.
    pub(super) const fn asks_for_tls12(self) -> bool {
        matches!(self, Self::ReqwestTls12 | Self::RingReqwestTls12 | Self::OldReqwestTls12)
    }

    /// Whether it makes one call at a time, whatever the load says.
    pub(super) const fn is_sequential(self) -> bool {
        matches!(self, Self::OpenAiSync | Self::AnthropicSync | Self::StaticOpenSsl)
    }
}
