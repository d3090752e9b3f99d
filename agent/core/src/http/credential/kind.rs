//! What a credential is, by its form: prefixes that its maker publishes, and where it stands.

use serde::{Deserialize, Serialize};

use super::{aws, jwt};

/// What a credential is, by its form. Others may use the same form: many gateways give out keys
/// that begin like OpenAI's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CredentialKind {
    /// `sk-…`.
    OpenaiKey,
    /// `sk-ant-…`, but not `sk-ant-oat…`.
    AnthropicKey,
    /// `sk-ant-oat…`: a token of a person's login, or of a workload identity's exchange.
    AnthropicOauth,
    /// A request signed with an AWS access key.
    AwsSigv4,
    /// A bearer key of Amazon Bedrock: `bedrock-api-key-…` or `ABSK…`.
    BedrockApiKey,
    /// The field `api-key`, or the query's parameter of that name.
    AzureApiKey,
    /// `AIza…`, the field `x-goog-api-key`, or the query's parameter `key`.
    GoogleApiKey,
    /// `ya29.…`.
    GoogleOauth,
    /// `auth_tokens/…`: a token for one session of Gemini Live.
    GoogleEphemeral,
    /// Three parts of Base64, the first of which begins a JSON object.
    Jwt,
    /// `ghp_…`, `github_pat_…` and their like.
    GithubToken,
    /// `tid=…;…`: what GitHub Copilot's clients get for their login.
    CopilotToken,
    /// `sk-or-…`.
    OpenrouterKey,
    /// `gsk_…`.
    GroqKey,
    /// `xai-…`.
    XaiKey,
    /// `pplx-…`.
    PerplexityKey,
    /// `hf_…`.
    HuggingfaceToken,
    /// `fw_…`.
    FireworksKey,
    /// `dapi…`.
    DatabricksToken,
    /// `Authorization: Basic …`.
    Basic,
    /// Any other bearer token.
    Bearer,
    /// Any other key in a field of its own, or in the query.
    ApiKey,
    /// Any other scheme of `Authorization`.
    Other,
}

/// The longest prefix that fits comes first.
pub(super) const PREFIXES: [(&str, CredentialKind); 21] = [
    ("sk-ant-oat", CredentialKind::AnthropicOauth),
    ("sk-ant-", CredentialKind::AnthropicKey),
    ("sk-or-", CredentialKind::OpenrouterKey),
    ("sk-", CredentialKind::OpenaiKey),
    (aws::BEDROCK_PREFIX, CredentialKind::BedrockApiKey),
    ("ABSK", CredentialKind::BedrockApiKey),
    ("AIza", CredentialKind::GoogleApiKey),
    ("ya29.", CredentialKind::GoogleOauth),
    ("auth_tokens/", CredentialKind::GoogleEphemeral),
    ("ghp_", CredentialKind::GithubToken),
    ("gho_", CredentialKind::GithubToken),
    ("ghu_", CredentialKind::GithubToken),
    ("ghs_", CredentialKind::GithubToken),
    ("github_pat_", CredentialKind::GithubToken),
    ("tid=", CredentialKind::CopilotToken),
    ("gsk_", CredentialKind::GroqKey),
    ("xai-", CredentialKind::XaiKey),
    ("pplx-", CredentialKind::PerplexityKey),
    ("hf_", CredentialKind::HuggingfaceToken),
    ("fw_", CredentialKind::FireworksKey),
    ("dapi", CredentialKind::DatabricksToken),
];

/// Prefixes that say what a key of their maker is for.
const CLASSES: [&str; 5] = ["sk-proj-", "sk-svcacct-", "sk-admin-", "sk-ant-api", "sk-ant-admin"];

impl CredentialKind {
    /// Whether a provider may have issued it in exchange for another token. Keys are made by people,
    /// and some kinds have the fingerprint of an id that is no secret.
    pub(crate) const fn is_issued(self) -> bool {
        match self {
            Self::AnthropicOauth | Self::OpenaiKey | Self::Jwt | Self::Bearer => true,
            Self::AnthropicKey
            | Self::AwsSigv4
            | Self::BedrockApiKey
            | Self::AzureApiKey
            | Self::GoogleApiKey
            | Self::GoogleOauth
            | Self::GoogleEphemeral
            | Self::GithubToken
            | Self::CopilotToken
            | Self::OpenrouterKey
            | Self::GroqKey
            | Self::XaiKey
            | Self::PerplexityKey
            | Self::HuggingfaceToken
            | Self::FireworksKey
            | Self::DatabricksToken
            | Self::Basic
            | Self::ApiKey
            | Self::Other => false,
        }
    }

    /// The kind of a secret that its place calls `scheme`.
    pub(super) fn of(scheme: &str, secret: &[u8]) -> Self {
        let known = PREFIXES.iter().find(|(prefix, _)| secret.starts_with(prefix.as_bytes()));
        match (scheme, known) {
            ("basic", _) => Self::Basic,
            (_, Some(&(_, kind))) => kind,
            _ if jwt::is_one(secret) => Self::Jwt,
            ("api-key", None) => Self::AzureApiKey,
            ("x-goog-api-key", None) => Self::GoogleApiKey,
            ("bearer", None) => Self::Bearer,
            ("x-api-key", None) => Self::ApiKey,
            _ => Self::Other,
        }
    }

    /// The scheme of the fingerprint where it doesn't depend on the place: one key has one
    /// fingerprint though its maker takes it in several places.
    pub(super) const fn scheme(self) -> Option<&'static str> {
        match self {
            Self::AnthropicKey => Some("x-api-key"),
            Self::GoogleApiKey => Some("x-goog-api-key"),
            Self::OpenaiKey
            | Self::AnthropicOauth
            | Self::BedrockApiKey
            | Self::GoogleOauth
            | Self::GoogleEphemeral
            | Self::Jwt
            | Self::GithubToken
            | Self::CopilotToken
            | Self::OpenrouterKey
            | Self::GroqKey
            | Self::XaiKey
            | Self::PerplexityKey
            | Self::HuggingfaceToken
            | Self::FireworksKey
            | Self::DatabricksToken
            | Self::Bearer => Some("bearer"),
            Self::AwsSigv4 => Some(aws::SCHEME),
            Self::AzureApiKey | Self::Basic | Self::ApiKey | Self::Other => None,
        }
    }
}

/// What its maker's prefix says that a key is for: `sk-proj`, `sk-svcacct`, …
pub(super) fn class(secret: &[u8]) -> Option<&'static str> {
    let prefix = CLASSES.iter().find(|prefix| secret.starts_with(prefix.as_bytes()))?;
    Some(prefix.trim_end_matches('-'))
}
