//! How many tokens an image may be.

/// Parts of models' names, and the tokens of a photo of 12 megapixels with the detail left to the
/// provider. Each scales larger images down, so that hardly one is more. Measured by others (the
/// data set `JOHNISKING/image-token-cost` on Hugging Face, 2026) with Gemini 3, Claude 5.5 and GPT-6;
/// older models of these makers use fewer, but GPT-4o mini, which counts an image 33 times.
const PHOTO: &[(&str, Option<u64>)] = &[
    ("gpt-4o-mini", None),
    ("gpt-4o", Some(14_364)),
    ("gpt-4.1", Some(14_364)),
    ("gpt-5", Some(14_364)),
    ("gpt-6", Some(14_364)),
    ("claude", Some(4_005)),
    ("gemini", Some(1_065)),
];

/// Most tokens of so many images; `None` if that isn't known of this model.
pub(super) fn most_tokens(model: &str, images: u64) -> Option<u64> {
    if images == 0 {
        return Some(0);
    }
    let model = model.to_ascii_lowercase();
    let (_, photo) = PHOTO.iter().find(|(part, _)| model.contains(part))?;
    Some(photo.as_ref()?.saturating_mul(images))
}
