//! What the program that writes a ledger in the crash tests and the tests themselves agree on.

use std::collections::BTreeMap;

use weir_core::identity::{IdentityId, Process, Workload};
use weir_core::meter::{CallId, CostSource, UsageRecord, UsageSource};
use weir_core::provider::{Api, CallState};
use weir_core::units::{Counts, PicoUsd, Role, Timestamp, Tokens};

/// When call 0 began, in seconds since 1970; each later call began a minute after the one before.
const BEGIN: i64 = 1_790_000_000;

/// The call of that number: it used `number` input tokens and cost `number` pico-dollars.
#[must_use]
pub fn numbered_call(number: u64) -> UsageRecord {
    let minute = i64::try_from(number % 100_000).unwrap_or_default();
    UsageRecord {
        id: CallId(format!("{number:032x}")),
        time: Timestamp::from_second(BEGIN + minute * 60).unwrap_or_default(),
        identity: IdentityId(format!("spiffe://weir.local/host/h/unit/u{}.service", number % 50)),
        process: Process { pid: 1, exe: Some("/usr/bin/agent".to_owned()), uid: 1000 },
        container: None,
        unit: None,
        workload: Workload::default(),
        role: Role::Client,
        provider: "openai".to_owned(),
        api: Api::Responses,
        host: Some("api.openai.com".to_owned()),
        model_requested: None,
        model: Some(format!("model-{}", number % 7)),
        status: Some(200),
        streamed: false,
        state: CallState::Complete,
        tokens: Tokens { input_uncached: number, ..Tokens::default() },
        usage_source: UsageSource::Reported,
        bounds: None,
        cost_usd: Some(PicoUsd(i128::from(number))),
        cost_source: CostSource::Table,
        credential: None,
        credential_kind: None,
        credential_in: None,
        credential_ids: BTreeMap::new(),
        latency_ms: 10,
        ttft_ms: None,
        lost_bytes: 0,
        response_id: None,
        error_type: None,
        service_tier: None,
        batch: false,
        speed: None,
        region: None,
        traffic_type: None,
        spilled_over: false,
        counts: Counts::default(),
        parts: Vec::new(),
        inconsistent: false,
        retrieved: false,
        retrieved_by: None,
        retrieved_with: None,
        result_of: None,
        duplicate_of: None,
        settles: None,
        retry: None,
        trace_id: None,
        parent_id: None,
        user_agent: None,
        request_fp: None,
        step_fp: None,
        gateway: false,
        on_behalf_of: None,
        price_version: None,
    }
}
