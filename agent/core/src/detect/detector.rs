//! The names of the detectors, and what the standards call what they find.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Who found something. The names are part of the public contract: some are added, none is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Detector {
    /// A budget is nearly or wholly used up, or will be before its window ends.
    Budget,
    /// A budget is used up faster than its window allows.
    BudgetBurn,
    /// Far more tokens than usual.
    TokenSpike,
    /// Far more dollars than usual.
    CostSpike,
    /// The cost of a day moves away from what it was.
    CostDrift,
    /// Calls at hours in which there never were any.
    OffHours,
    /// One call is tried again and again.
    RetryStorm,
    /// An agent asks the same again and again.
    AgentLoop,
    /// A credential is used by more identities than it was.
    CredentialShared,
    /// A credential is used by two identities at the same time that never shared one.
    CredentialLeaked,
    /// Somebody uses what was offboarded.
    UseAfterOffboarding,
    /// Somebody who made no calls for a long time makes many.
    DormantRevival,
    /// An identity uses a model that it never used, or that it isn't approved for.
    NewModel,
    /// An identity uses a provider that it never used, or that it isn't approved for.
    NewProvider,
    /// One credential is used in two environments.
    EnvironmentCrossing,
    /// A person uses the credential of a workload.
    HumanUse,
    /// A credential is older than it should become.
    LongLivedCredential,
    /// A credential travels where others can read it.
    ExposedCredential,
    /// The steps of somebody who has stolen a cloud credential to use models with it.
    Llmjacking,
    /// Agents that call agents, too deep, too many or in a circle.
    AgentChain,
    /// Far more input than usual for little, or far more output than others get.
    UnsafeCost,
    /// A model has no price.
    UnpricedModel,
    /// Connections to a model endpoint that nothing is read of.
    BlindSpot,
    /// Something that may have been part of a call was lost.
    Loss,
}

impl Detector {
    /// Its name.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Budget => "budget",
            Self::BudgetBurn => "budget_burn",
            Self::TokenSpike => "token_spike",
            Self::CostSpike => "cost_spike",
            Self::CostDrift => "cost_drift",
            Self::OffHours => "off_hours",
            Self::RetryStorm => "retry_storm",
            Self::AgentLoop => "agent_loop",
            Self::CredentialShared => "credential_shared",
            Self::CredentialLeaked => "credential_leaked",
            Self::UseAfterOffboarding => "use_after_offboarding",
            Self::DormantRevival => "dormant_revival",
            Self::NewModel => "new_model",
            Self::NewProvider => "new_provider",
            Self::EnvironmentCrossing => "environment_crossing",
            Self::HumanUse => "human_use",
            Self::LongLivedCredential => "long_lived_credential",
            Self::ExposedCredential => "exposed_credential",
            Self::Llmjacking => "llmjacking",
            Self::AgentChain => "agent_chain",
            Self::UnsafeCost => "unsafe_cost",
            Self::UnpricedModel => "unpriced_model",
            Self::BlindSpot => "blind_spot",
            Self::Loss => "loss",
        }
    }

    /// What it is in the OWASP lists of 2025: "NHI…" of the Non-Human Identities Top 10, "LLM10" (unbounded
    /// consumption) of the one for LLM applications.
    #[must_use]
    pub const fn owasp(self) -> &'static [&'static str] {
        match self {
            Self::Budget
            | Self::BudgetBurn
            | Self::CostDrift
            | Self::RetryStorm
            | Self::AgentLoop
            | Self::UnsafeCost => &["LLM10:2025"],
            Self::TokenSpike | Self::CostSpike => &["LLM10:2025", "NHI2:2025"],
            Self::OffHours => &["NHI2:2025", "NHI10:2025"],
            Self::CredentialShared => &["NHI9:2025"],
            Self::CredentialLeaked => &["NHI2:2025", "NHI9:2025"],
            Self::UseAfterOffboarding => &["NHI1:2025"],
            Self::DormantRevival => &["NHI1:2025", "NHI7:2025"],
            Self::NewModel | Self::NewProvider => &["NHI3:2025", "NHI5:2025"],
            Self::EnvironmentCrossing => &["NHI8:2025", "NHI9:2025"],
            Self::HumanUse => &["NHI10:2025"],
            Self::LongLivedCredential => &["NHI7:2025"],
            Self::ExposedCredential => &["NHI4:2025"],
            Self::Llmjacking => &["NHI2:2025", "NHI5:2025", "NHI7:2025"],
            Self::AgentChain => &["LLM10:2025", "NHI5:2025"],
            Self::UnpricedModel | Self::BlindSpot | Self::Loss => &[],
        }
    }

    /// The outcomes of the NIST Cybersecurity Framework 2.0 that it serves.
    #[must_use]
    pub const fn nist_csf(self) -> &'static [&'static str] {
        match self {
            Self::Budget | Self::BudgetBurn | Self::UnpricedModel => &["DE.CM-06"],
            Self::TokenSpike
            | Self::CostSpike
            | Self::CostDrift
            | Self::OffHours
            | Self::UnsafeCost => &["DE.CM-06", "DE.AE-02"],
            Self::RetryStorm | Self::AgentLoop | Self::AgentChain => &["DE.CM-09", "DE.AE-02"],
            Self::CredentialShared | Self::CredentialLeaked | Self::HumanUse => {
                &["PR.AA-01", "DE.CM-03"]
            }
            Self::UseAfterOffboarding | Self::DormantRevival => &["PR.AA-01", "DE.CM-03"],
            Self::NewModel | Self::NewProvider => &["ID.AM-02", "DE.CM-06"],
            Self::EnvironmentCrossing | Self::LongLivedCredential => &["PR.AA-01"],
            Self::ExposedCredential => &["PR.AA-01", "PR.DS-02"],
            Self::Llmjacking => &["DE.AE-03", "DE.CM-06"],
            Self::BlindSpot | Self::Loss => &["DE.CM-01"],
        }
    }
}

impl fmt::Display for Detector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
