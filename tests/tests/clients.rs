//! The clients against the model server alone: the SDKs understand every form in which the server
//! answers, and read the same numbers out of it that the server noted as the truth.

use serde_json::{Value, json};
use weir_tests::harness::client::{Load, Stream};
use weir_tests::harness::{Client, Kind, Scene, Who};
use weir_tests::play::{Coding, Failure, Play};
use weir_tests::truth::{State, Truth};

/// Where this machine has no clients installed, there is nothing to test, unless that was required.
fn scene() -> anyhow::Result<Option<Scene>> {
    match Scene::start() {
        Err(error) if std::env::var_os("WEIR_E2E").is_none() => {
            println!("skipped: {error:#}");
            Ok(None)
        }
        started => started.map(Some),
    }
}

/// Runs one client and returns what it reported and what the server noted.
fn play(scene: &Scene, kind: Kind, load: &Load) -> anyhow::Result<(Vec<Value>, Vec<Truth>)> {
    let client = Client::start(scene, kind, Who::Myself, load)?;
    let (caller, reports) = client.finish()?;
    let truth = scene.server.journal().calls();
    Ok((reports, truth.into_iter().filter(|call| call.label == caller.label).collect()))
}

/// Sorted, what an SDK should report of each call.
fn expected(truth: &[Truth]) -> Vec<String> {
    let mut lines: Vec<String> = truth.iter().map(report_of).map(|line| line.to_string()).collect();
    lines.sort();
    lines
}

fn report_of(truth: &Truth) -> Value {
    let Some(tokens) = truth.usage else { return json!({"id": truth.response_id}) };
    if truth.api == "embeddings" {
        return json!({"input": tokens.input()});
    }
    json!({
        "id": truth.response_id, "input": tokens.input(), "output": tokens.output,
        "cached": tokens.cache_read, "reasoning": tokens.reasoning,
    })
}

fn sorted(reports: Vec<Value>) -> Vec<String> {
    let mut lines: Vec<String> = reports.iter().map(ToString::to_string).collect();
    lines.sort();
    lines
}

#[test]
fn sdks_read_what_the_server_noted() -> anyhow::Result<()> {
    let Some(scene) = scene()? else { return Ok(()) };
    for kind in Kind::ALL {
        for api in kind.apis() {
            let load = Load { stream: Stream::Mixed, concurrency: 4, ..Load::new(api, 40) };
            let (reports, truth) = play(&scene, kind, &load)?;
            assert_eq!(truth.len(), 40, "{} {api}", kind.name());
            assert!(truth.iter().all(|call| call.state == State::Complete), "{truth:#?}");
            if kind.reports() {
                assert_eq!(sorted(reports), expected(&truth), "{} {api}", kind.name());
            }
        }
    }
    let calls = scene.server.journal().calls();
    for coding in Coding::NAMED {
        let streams = calls.iter().filter(|call| call.coding == coding.name() && call.streamed);
        assert!(streams.count() > 0, "no client took a stream in {}", coding.name());
    }
    Ok(())
}

#[test]
fn errors_are_errors_to_the_sdks() -> anyhow::Result<()> {
    let Some(scene) = scene()? else { return Ok(()) };
    for kind in Kind::ALL.into_iter().filter(|kind| kind.reports() && !kind.is_session()) {
        for (fail, name) in [
            (Failure::BadRequest, "BadRequestError"),
            (Failure::Unauthorized, "AuthenticationError"),
            (Failure::RateLimited, "RateLimitError"),
        ] {
            let play_of = Play { fail: Some(fail), ..Play::default() };
            let load = Load { play: play_of, ..Load::new(kind.apis()[0], 1) };
            let (reports, truth) = play(&scene, kind, &load)?;
            assert_eq!(reports[0]["error"], name, "{}: {reports:?}", kind.name());
            assert_eq!(truth[0].state, State::Error);
        }
    }
    Ok(())
}

#[test]
fn broken_streams_are_noted_as_such() -> anyhow::Result<()> {
    let Some(scene) = scene()? else { return Ok(()) };
    for kind in [Kind::OpenAiSync, Kind::AnthropicAsync, Kind::Node] {
        let api = kind.apis()[0];
        let cut = Play { cut_after: Some(3), ..Play::default() };
        let load = Load { stream: Stream::Yes, play: cut, ..Load::new(api, 1) };
        let (reports, truth) = play(&scene, kind, &load)?;
        assert!(reports[0].get("error").is_some(), "{}: {reports:?}", kind.name());
        assert_eq!((truth[0].state, truth[0].usage), (State::Aborted, None), "{}", kind.name());

        let slow = Play { pause_ms: 100, ..Play::default() };
        let load = Load { stream: Stream::Yes, play: slow, leave_after: 2, ..Load::new(api, 1) };
        let (_, truth) = play(&scene, kind, &load)?;
        assert_eq!(truth[0].usage, None, "{}", kind.name());
    }
    Ok(())
}

#[test]
fn large_bodies_are_whole() -> anyhow::Result<()> {
    let Some(scene) = scene()? else { return Ok(()) };
    let large = Play { output_bytes: 4 << 20, ..Play::default() };
    let load =
        Load { stream: Stream::Yes, play: large, prompt_bytes: 4 << 20, ..Load::new("chat", 1) };
    let (reports, truth) = play(&scene, Kind::OpenAiSync, &load)?;
    assert_eq!(sorted(reports), expected(&truth));
    assert!(truth[0].request_bytes >= 4 << 20 && truth[0].response_bytes >= 4 << 20, "{truth:?}");
    Ok(())
}
