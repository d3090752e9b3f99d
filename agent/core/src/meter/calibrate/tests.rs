use proptest::prelude::*;

use super::super::tests::call;
use super::*;
use crate::provider::Usage;
use crate::secret::Payload;
use crate::units::Tokens;

const CLAUDE: &str = "claude-opus-4-7";
const PROSE: &str = "A weir is a low dam across a river. ";
const JSON: &str = "{\"gate\":\"north\",\"level\":2.31,\"open\":true},";

fn text(output: &str) -> Countable {
    Countable { output: Payload::from(output.to_owned()), ..Countable::default() }
}

fn question(input: &str) -> Countable {
    let text = Payload::from(input.to_owned());
    let input = vec![Message { role: "user".to_owned(), text }];
    Countable { input, ..Countable::default() }
}

/// A call that has reported so many tokens of input and output, and whose text is `sample`.
fn completed(sample: Countable, input: u64, output: u64) -> ModelCall {
    let tokens = Tokens { input_uncached: input, output_visible: output, ..Tokens::default() };
    ModelCall {
        provider: "anthropic",
        api: Api::Messages,
        usage: Some(Usage::from(tokens)),
        sample: Some(sample),
        ..call()
    }
}

fn scales(calibration: &mut Calibration, model: &str, text: &Countable) -> (Scales, bool) {
    let call = ModelCall { provider: "anthropic", api: Api::Messages, ..call() };
    calibration.scales(&call, model, &Rule::of(model), text)
}

fn output_scale(calibration: &mut Calibration, output: &str) -> Scale {
    scales(calibration, CLAUDE, &text(output)).0.output
}

/// So many calls that report `thousandths` of what is counted of `output`.
fn teach(calibration: &mut Calibration, output: &str, thousandths: u64, calls: u32) {
    let counted = tokens_in(&Rule::of(CLAUDE), output).count;
    for _ in 0..calls {
        let call = completed(text(output), 0, counted * thousandths / 1_000);
        calibration.learn(&call, CLAUDE);
    }
}

fn ratios(values: impl IntoIterator<Item = u64>) -> Ratios {
    let mut ratios = Ratios::default();
    values.into_iter().for_each(|value| ratios.add(value));
    ratios
}

/// Numbers that are spread as a sum of many small things is, evenly enough to be told beforehand.
fn noisy(mean: u64, spread: u64, seed: u64) -> impl Iterator<Item = u64> {
    let mut state = seed;
    let mut next = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % (spread + 1)
    };
    std::iter::repeat_with(move || mean + (0..4).map(|_| next()).sum::<u64>() - 2 * spread)
}

#[test]
fn nothing_is_counted_before_a_call_had_to_be_estimated() {
    let mut calibration = Calibration::default();
    let output = PROSE.repeat(20);
    teach(&mut calibration, &output, 1_300, 20);
    assert!(calibration.0.is_empty());
    let table = Rule::of(CLAUDE).scale;
    assert_eq!(output_scale(&mut calibration, &output), table);
    teach(&mut calibration, &output, 1_300, ENOUGH - 1);
    assert_eq!(output_scale(&mut calibration, &output), table);
    teach(&mut calibration, &output, 1_300, 1);
    let learnt = output_scale(&mut calibration, &output);
    assert!(learnt.likely.abs_diff(1_300) < 10, "{learnt:?}");
}

#[test]
fn models_whose_tokenizer_is_known_are_not_learnt_from() {
    let mut calibration = Calibration::default();
    let (own, learnt) = scales(&mut calibration, "gpt-4o", &text(PROSE));
    assert_eq!((own.output.least, own.output.most, learnt), (1_000, 1_000, false));
    assert!(calibration.0.is_empty());
}

/// The kinds of text, both sides of a call, models and providers are apart.
#[test]
fn what_is_learnt_holds_for_its_like_only() {
    let mut calibration = Calibration::default();
    let table = Rule::of(CLAUDE).scale;
    let (prose, json) = (PROSE.repeat(20), JSON.repeat(20));
    output_scale(&mut calibration, &prose);
    teach(&mut calibration, &prose, 1_300, 10);
    assert_ne!(output_scale(&mut calibration, &prose), table);
    assert_eq!(output_scale(&mut calibration, &json), table);
    let asked = question(&prose);
    let (scale, learnt) = scales(&mut calibration, CLAUDE, &asked);
    assert_eq!((scale.input, learnt), (table, false));
    let (scale, learnt) = scales(&mut calibration, "claude-opus-4-8", &text(&prose));
    assert_eq!((scale.output, learnt), (table, false));

    let counted = tokens_in_input(&Rule::of(CLAUDE), Api::Messages, &asked.input).count;
    for _ in 0..10 {
        calibration.learn(&completed(question(&prose), counted * 2, 7), CLAUDE);
    }
    let (scale, learnt) = scales(&mut calibration, CLAUDE, &asked);
    assert_eq!((scale.input.likely, learnt), (2_000, true));
    assert!(output_scale(&mut calibration, &prose).likely < 1_310);
}

#[test]
fn what_is_too_short_or_was_not_reported_teaches_nothing() {
    let mut calibration = Calibration::default();
    output_scale(&mut calibration, PROSE);
    for (output, reported) in [(PROSE.to_owned(), 40), (PROSE.repeat(20), 0), (String::new(), 9)] {
        for _ in 0..20 {
            calibration.learn(&completed(text(&output), 0, reported), CLAUDE);
        }
    }
    let known = calibration.0.peek(&("anthropic", CLAUDE.to_owned())).unwrap();
    assert!(known.output.iter().chain(&known.input).all(|ratios| ratios.latest.is_empty()));
}

/// A process can report anything.
#[test]
fn no_report_moves_a_ratio_far() {
    let mut calibration = Calibration::default();
    let output = PROSE.repeat(20);
    output_scale(&mut calibration, &output);
    let learn = |calibration: &mut Calibration, reported, calls| {
        for _ in 0..calls {
            calibration.learn(&completed(text(&output), 0, reported), CLAUDE);
        }
    };
    learn(&mut calibration, u64::MAX, 20);
    assert_eq!(output_scale(&mut calibration, &output).likely, BELIEVED.1);
    learn(&mut calibration, 1, 3_000);
    assert!(output_scale(&mut calibration, &output).likely.abs_diff(BELIEVED.0) < 2);
    let mut honest = ratios([1_300; 40]);
    honest.add(u64::MAX);
    let scale = honest.scale().unwrap();
    assert!(scale.likely < 1_300 + BELIEVED.1 / 20 && scale.most < 1_700, "{scale:?}");
}

#[test]
fn once_enough_is_known_one_call_in_eight_is_counted() {
    let (mut ratios, mut counted) = (Ratios::default(), 0);
    for _ in 0..LATEST as u32 + 10 * EVERY {
        ratios.learn(130, || {
            counted += 1;
            100
        });
    }
    assert_eq!(counted, LATEST + 10);
}

#[test]
fn the_models_that_are_remembered_are_bounded() {
    let mut calibration = Calibration::default();
    for model in 0..2 * MODELS.get() {
        scales(&mut calibration, &model.to_string(), &text(PROSE));
    }
    assert_eq!(calibration.0.len(), MODELS.get());
}

/// Four in five of what comes lie between the percentiles, and nearly all between the ends.
#[test]
fn the_ends_hold_what_comes() {
    let (mut inside, mut near, mut all) = (0, 0, 0);
    for seed in 0..200 {
        let mut values = noisy(1_340, 100, seed);
        let ratios = ratios(values.by_ref().take(LATEST));
        let (low, high) = ratios.percentiles().unwrap();
        let scale = ratios.scale().unwrap();
        assert!(scale.likely.abs_diff(1_340) < 60, "{scale:?}");
        for value in values.take(50) {
            all += 1;
            inside += usize::from((low..=high).contains(&value));
            near += usize::from((scale.least..=scale.most).contains(&value));
        }
    }
    assert!((78..=86).contains(&(inside * 100 / all)), "{inside} of {all}");
    assert!(near * 100 >= all * 98, "{near} of {all}");
}

/// A model may be another one under the same name.
#[test]
fn what_was_learnt_long_ago_is_forgotten() {
    let mut changed = ratios(noisy(1_200, 10, 1).take(500));
    noisy(1_600, 10, 2).take(200).for_each(|ratio| changed.add(ratio));
    let scale = changed.scale().unwrap();
    assert!(scale.likely.abs_diff(1_600) < 10 && scale.least > 1_500, "{scale:?}");
}

proptest! {
    #[test]
    fn any_ratios_give_ends_around_the_mean(values in prop::collection::vec(any::<u64>(), 0..200)) {
        let enough = values.len() >= ENOUGH as usize;
        let ratios = ratios(values);
        prop_assert!(ratios.latest.len() <= LATEST);
        prop_assert_eq!(ratios.scale().is_some(), enough);
        if let Some(scale) = ratios.scale() {
            prop_assert!(scale.least < scale.likely && scale.likely < scale.most);
            prop_assert!(scale.likely <= BELIEVED.1 && scale.likely + 2 >= BELIEVED.0);
        }
    }
}
