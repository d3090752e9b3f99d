//! What an answer's head says of the call beside its body. Amazon says there what other providers
//! say in the body (botocore's `bedrock-runtime` model: `InvokeModelResponse`), and so does
//! text-generation-inference unless it is asked for details. Azure says there how it was served.

use super::head::{Field, bounded, field};

/// What an answer's head says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remarks {
    /// The provider's id of the call (`x-amzn-requestid`).
    pub request_id: Option<String>,
    /// Tokens of input (`x-amzn-bedrock-input-token-count`, `x-prompt-tokens`).
    pub input_tokens: Option<u64>,
    /// Tokens of output (`x-amzn-bedrock-output-token-count`, `x-generated-tokens`).
    pub output_tokens: Option<u64>,
    /// The service tier it was served at (`x-amzn-bedrock-service-tier`, `x-gemini-service-tier`).
    pub service_tier: Option<String>,
    /// The latency it was served with, `standard` or `optimized`
    /// (`x-amzn-bedrock-performanceconfig-latency`).
    pub speed: Option<String>,
    /// It was asked of capacity bought in advance, which was used up, and served at the price of other
    /// calls (Azure's `x-ms-is-spilled-over: true`, or `x-ms-spillover-from-deployment`).
    pub spilled_over: bool,
    /// What went wrong (`x-amzn-errortype`), without the place of its definition.
    pub error_type: Option<String>,
}

impl Remarks {
    pub(super) fn new(fields: &[Field<'_>]) -> Self {
        let text = |name| field(fields, name).and_then(bounded).filter(|text| !text.is_empty());
        let count = |name| text(name)?.parse().ok();
        Self {
            request_id: text("x-amzn-requestid"),
            input_tokens: count("x-amzn-bedrock-input-token-count")
                .or_else(|| count("x-prompt-tokens")),
            output_tokens: count("x-amzn-bedrock-output-token-count")
                .or_else(|| count("x-generated-tokens")),
            service_tier: text("x-amzn-bedrock-service-tier")
                .or_else(|| text("x-gemini-service-tier")),
            speed: text("x-amzn-bedrock-performanceconfig-latency"),
            spilled_over: text("x-ms-is-spilled-over")
                .is_some_and(|said| said.eq_ignore_ascii_case("true"))
                || text("x-ms-spillover-from-deployment").is_some(),
            error_type: text("x-amzn-errortype")
                .and_then(|kind| kind.split(':').next().map(str::to_owned)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remarks_are_read_where_they_have_their_form() {
        let some = |text: &str| Some(text.to_owned());
        for (name, value, expected) in [
            ("X-Amzn-RequestId", "a-1", Remarks { request_id: some("a-1"), ..Remarks::default() }),
            ("x-amzn-requestid", "", Remarks::default()),
            ("x-amzn-requestid", "bell\u{7}", Remarks::default()),
            (
                "X-Amzn-Bedrock-Input-Token-Count",
                "14",
                Remarks { input_tokens: Some(14), ..Remarks::default() },
            ),
            ("x-prompt-tokens", "14", Remarks { input_tokens: Some(14), ..Remarks::default() }),
            ("x-amzn-bedrock-output-token-count", "-1", Remarks::default()),
            ("x-amzn-bedrock-output-token-count", "18446744073709551616", Remarks::default()),
            (
                "x-amzn-errortype",
                "ThrottlingException:http://internal.amazon.com/coral/",
                Remarks { error_type: some("ThrottlingException"), ..Remarks::default() },
            ),
            ("x-ms-is-spilled-over", "false", Remarks::default()),
            ("x-ms-is-spilled-over", "True", Remarks { spilled_over: true, ..Remarks::default() }),
            (
                "x-ms-spillover-from-deployment",
                "ptu",
                Remarks { spilled_over: true, ..Remarks::default() },
            ),
            (
                "x-amzn-bedrock-performanceconfig-latency",
                "optimized",
                Remarks { speed: some("optimized"), ..Remarks::default() },
            ),
        ] {
            let fields = [(name.as_bytes(), value.as_bytes())];
            assert_eq!(Remarks::new(&fields), expected, "{name}: {value}");
        }
    }
}
