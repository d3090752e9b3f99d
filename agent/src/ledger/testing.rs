//! Records for the tests of this room.

use std::collections::BTreeMap;

use weir_core::identity::{Assigned, IdentityId, Process, Workload};
use weir_core::meter::{
    BatchRecord, CallId, CostSource, EdgeId, EdgeRecord, Payer, UsageRecord, UsageSource,
};
use weir_core::provider::{Api, CallState, Protocol};
use weir_core::units::{Counts, PicoUsd, Role, Timestamp, Tokens};

use super::Dimension;
use super::change::{Change, Deed};

/// What an administrator says of an identity.
pub(super) fn change(number: u64, identity: &str, deed: Deed, time: Timestamp) -> Change {
    Change {
        change: format!("{number:032x}"),
        time,
        uid: 0,
        pid: Some(1),
        identity: IdentityId(identity.to_owned()),
        deed,
        reason: Some(format!("reason {number}")),
    }
}

/// So many seconds after the start of 23 November 2026.
pub(super) fn time(seconds: i64) -> Timestamp {
    Timestamp::from_second(1_795_392_000 + seconds).unwrap()
}

/// A step to another agent.
pub(super) fn edge(number: u64, time: Timestamp) -> EdgeRecord {
    let UsageRecord { identity, process, .. } = call(number, time);
    EdgeRecord {
        id: EdgeId(format!("{number:032x}")),
        time,
        identity,
        process,
        protocol: Protocol::Mcp,
        host: None,
        method: "tools/call".to_owned(),
        tool: Some(format!("tool-{number}")),
        trace_id: None,
        parent_id: None,
        on_behalf_of: None,
        status: Some(200),
    }
}

/// The creation of a batch by whoever makes the call of that number.
pub(super) fn batch(number: u64, id: &str, time: Timestamp) -> BatchRecord {
    let UsageRecord { identity, process, .. } = call(number, time);
    BatchRecord {
        time,
        created: time,
        provider: "openai".to_owned(),
        host: "api.openai.com".to_owned(),
        batch: id.to_owned(),
        file: None,
        told_to: None,
        creator: Payer {
            identity,
            process,
            container: None,
            unit: None,
            workload: Workload::default(),
            credential: None,
            credential_kind: None,
            credential_in: None,
            credential_ids: BTreeMap::new(),
        },
    }
}

/// What is known of who makes the call of that number.
fn workload(number: u64) -> Workload {
    let assigned = Assigned {
        rule: format!("rule-{}", number % 4),
        owner: number.is_multiple_of(2).then(|| "ann".to_owned()),
        team: Some(format!("team-{}", number % 3)),
        product_line: number.is_multiple_of(5).then(|| "helpdesk".to_owned()),
        cost_center: Some("4711".to_owned()),
        environment: number.is_multiple_of(4).then(|| "staging".to_owned()),
        ..Assigned::default()
    };
    Workload {
        script: number.is_multiple_of(3).then(|| format!("app-{}.py", number % 2)),
        assigned: (!number.is_multiple_of(6)).then_some(assigned),
        ..Workload::default()
    }
}

/// A call whose every part follows from `number`.
pub(super) fn call(number: u64, time: Timestamp) -> UsageRecord {
    UsageRecord {
        id: CallId(format!("{number:032x}")),
        time,
        identity: IdentityId(format!("spiffe://weir.local/host/h/unit/u{}.service", number % 3)),
        process: Process {
            pid: 100,
            exe: (!number.is_multiple_of(4)).then(|| "/usr/bin/python3".to_owned()),
            uid: u32::try_from(number % 2).unwrap(),
        },
        container: None,
        unit: None,
        workload: workload(number),
        role: Role::Client,
        provider: "openai".to_owned(),
        api: if number.is_multiple_of(2) { Api::ChatCompletions } else { Api::Responses },
        host: Some("api.openai.com".to_owned()),
        model_requested: None,
        model: (!number.is_multiple_of(7)).then(|| format!("model-{}", number % 5)),
        status: Some(200),
        streamed: false,
        state: if number.is_multiple_of(11) { CallState::Error } else { CallState::Complete },
        tokens: Tokens { input_uncached: number, reasoning: 3, ..Tokens::default() },
        usage_source: UsageSource::Reported,
        bounds: None,
        cost_usd: (!number.is_multiple_of(5)).then(|| PicoUsd(i128::from(number) * 1_000_003)),
        cost_source: CostSource::Table,
        credential: None,
        credential_kind: None,
        credential_in: None,
        credential_ids: BTreeMap::new(),
        latency_ms: 1000,
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
        request_fp: None,
        step_fp: None,
        trace_id: None,
        parent_id: None,
        user_agent: None,
        gateway: false,
        on_behalf_of: None,
        price_version: None,
    }
}

/// What a record has of a dimension.
pub(super) fn value(record: &UsageRecord, dimension: Dimension) -> Option<String> {
    let assigned = record.workload.assigned.as_ref();
    match dimension {
        Dimension::Identity => Some(record.identity.0.clone()),
        Dimension::Model => record.model.clone(),
        Dimension::Provider => Some(record.provider.clone()),
        Dimension::Credential => record.credential.as_ref().map(ToString::to_string),
        Dimension::Api => Some(record.api.as_str().to_owned()),
        Dimension::Process => record.process.exe.clone(),
        Dimension::Script => record.workload.script.clone(),
        Dimension::Agent => record.workload.agent.as_ref().map(|agent| agent.name.clone()),
        Dimension::Rule => assigned.map(|assigned| assigned.rule.clone()),
        Dimension::Owner => assigned?.owner.clone(),
        Dimension::Team => assigned?.team.clone(),
        Dimension::ProductLine => assigned?.product_line.clone(),
        Dimension::CostCenter => assigned?.cost_center.clone(),
        Dimension::Environment => assigned?.environment.clone(),
    }
}
