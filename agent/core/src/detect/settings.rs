//! Which detectors there are, and their parameters.

use super::agent_chain::AgentChain;
use super::agent_loop::AgentLoop;
use super::blind_spot::BlindSpots;
use super::cost_drift::CostDrift;
use super::cost_spike::CostSpike;
use super::credential_leaked::CredentialLeaked;
use super::credential_shared::CredentialShared;
use super::declared::Declared;
use super::dormant_revival::DormantRevival;
use super::environment_crossing::EnvironmentCrossing;
use super::exposed_credential::ExposedCredential;
use super::human_use::HumanUse;
use super::llmjacking::Llmjacking;
use super::long_lived_credential::LongLivedCredential;
use super::loss::Losses;
use super::new_model::NewModel;
use super::new_provider::NewProvider;
use super::off_hours::OffHours;
use super::retry_storm::RetryStorm;
use super::token_spike::TokenSpike;
use super::unpriced_model::UnpricedModel;
use super::unsafe_cost::UnsafeCost;
use super::use_after_offboarding::UseAfterOffboarding;
use super::watch::Watches;
use super::{
    agent_chain, agent_loop, blind_spot, cost_drift, credential_leaked, credential_shared,
    dormant_revival, environment_crossing, exposed_credential, human_use, llmjacking,
    long_lived_credential, loss, new_model, new_provider, off_hours, retry_storm, spike,
    unpriced_model, unsafe_cost, use_after_offboarding,
};
use crate::identity::Rules;

/// The parameters of each detector but those of budgets; nothing for one that is switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "each field is the detector of that name")]
pub struct Settings {
    pub token_spike: Option<spike::Settings>,
    pub cost_spike: Option<spike::Settings>,
    pub cost_drift: Option<cost_drift::Settings>,
    pub off_hours: Option<off_hours::Settings>,
    pub retry_storm: Option<retry_storm::Settings>,
    pub agent_loop: Option<agent_loop::Settings>,
    pub credential_shared: Option<credential_shared::Settings>,
    pub credential_leaked: Option<credential_leaked::Settings>,
    pub use_after_offboarding: Option<use_after_offboarding::Settings>,
    pub dormant_revival: Option<dormant_revival::Settings>,
    pub new_model: Option<new_model::Settings>,
    pub new_provider: Option<new_provider::Settings>,
    pub environment_crossing: Option<environment_crossing::Settings>,
    pub human_use: Option<human_use::Settings>,
    pub long_lived_credential: Option<long_lived_credential::Settings>,
    pub exposed_credential: Option<exposed_credential::Settings>,
    pub llmjacking: Option<llmjacking::Settings>,
    pub agent_chain: Option<agent_chain::Settings>,
    pub unsafe_cost: Option<unsafe_cost::Settings>,
    pub unpriced_model: Option<unpriced_model::Settings>,
    pub blind_spot: Option<blind_spot::Settings>,
    pub loss: Option<loss::Settings>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            token_spike: Some(spike::Settings::tokens()),
            cost_spike: Some(spike::Settings::dollars()),
            cost_drift: Some(cost_drift::Settings::default()),
            off_hours: Some(off_hours::Settings::default()),
            retry_storm: Some(retry_storm::Settings::default()),
            agent_loop: Some(agent_loop::Settings::default()),
            credential_shared: Some(credential_shared::Settings::default()),
            credential_leaked: Some(credential_leaked::Settings::default()),
            use_after_offboarding: Some(use_after_offboarding::Settings::default()),
            dormant_revival: Some(dormant_revival::Settings::default()),
            new_model: Some(new_model::Settings::default()),
            new_provider: Some(new_provider::Settings::default()),
            environment_crossing: Some(environment_crossing::Settings::default()),
            human_use: Some(human_use::Settings::default()),
            long_lived_credential: Some(long_lived_credential::Settings::default()),
            exposed_credential: Some(exposed_credential::Settings::default()),
            llmjacking: Some(llmjacking::Settings::default()),
            agent_chain: Some(agent_chain::Settings::default()),
            unsafe_cost: Some(unsafe_cost::Settings::default()),
            unpriced_model: Some(unpriced_model::Settings::default()),
            blind_spot: Some(blind_spot::Settings::default()),
            loss: Some(loss::Settings::default()),
        }
    }
}

impl Watches {
    /// All detectors that are switched on, where `rules` say what is meant to be.
    #[must_use]
    pub fn of(settings: Settings, rules: &Rules) -> Self {
        let mut watches = Self::new(Declared::new(rules));
        watches.add::<TokenSpike>(settings.token_spike);
        watches.add::<CostSpike>(settings.cost_spike);
        watches.add::<CostDrift>(settings.cost_drift);
        watches.add::<OffHours>(settings.off_hours);
        watches.add::<RetryStorm>(settings.retry_storm);
        watches.add::<AgentLoop>(settings.agent_loop);
        watches.add::<CredentialShared>(settings.credential_shared);
        watches.add::<CredentialLeaked>(settings.credential_leaked);
        watches.add::<UseAfterOffboarding>(settings.use_after_offboarding);
        watches.add::<DormantRevival>(settings.dormant_revival);
        watches.add::<NewModel>(settings.new_model);
        watches.add::<NewProvider>(settings.new_provider);
        watches.add::<EnvironmentCrossing>(settings.environment_crossing);
        watches.add::<HumanUse>(settings.human_use);
        watches.add::<LongLivedCredential>(settings.long_lived_credential);
        watches.add::<ExposedCredential>(settings.exposed_credential);
        watches.add::<Llmjacking>(settings.llmjacking);
        watches.add::<AgentChain>(settings.agent_chain);
        watches.add::<UnsafeCost>(settings.unsafe_cost);
        watches.add::<UnpricedModel>(settings.unpriced_model);
        watches.add::<BlindSpots>(settings.blind_spot);
        watches.add::<Losses>(settings.loss);
        watches
    }
}
