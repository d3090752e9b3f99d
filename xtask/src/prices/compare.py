"""Has the calculators of genai-prices and LiteLLM price cases, which it reads as a JSON list.

Prints one list for each case: what each calculator makes of it as exact dollars, or null if it
doesn't know the model.
"""

import datetime
import decimal
import json
import sys
import warnings

import genai_prices
import litellm
from litellm.cost_calculator import batch_cost_calculator
from litellm.litellm_core_utils.llm_cost_calc.utils import generic_cost_per_token
from litellm.llms.anthropic.cost_calculation import cost_per_token as anthropic_cost
from litellm.types.utils import PromptTokensDetailsWrapper, Usage

warnings.simplefilter("ignore")

GENAI = {
    "gcp.gemini": "google",
    "mistral_ai": "mistral",
    "x_ai": "x-ai",
    "zhipu": "zai",
    "github_copilot": "github-copilot",
    "aws.bedrock": "aws",
    "azure.ai.openai": "azure",
}
LITELLM = {
    "azure.ai.openai": [("azure", "azure/"), ("azure_text", "azure/")],
    "azure.ai.inference": [("azure_ai", "azure_ai/")],
    "aws.bedrock": [
        ("bedrock", ""),
        ("bedrock", "bedrock/"),
        ("bedrock", "bedrock_mantle/"),
    ],
    "gcp.gemini": [("gemini", "gemini/")],
    "gcp.vertex_ai": [("vertex_ai", "vertex_ai/"), ("vertex_ai", "")],
    "mistral_ai": [("mistral", "mistral/")],
    "x_ai": [("xai", "xai/")],
    "together": [("together_ai", "together_ai/")],
    "fireworks": [("fireworks_ai", "fireworks_ai/")],
    "alibaba": [("dashscope", "dashscope/")],
    "zhipu": [("zai", "zai/")],
    "vercel": [("vercel_ai_gateway", "vercel_ai_gateway/")],
    "openai": [("openai", ""), ("text-completion-openai", "")],
    "anthropic": [("anthropic", "")],
    "deepseek": [("deepseek", "deepseek/"), ("deepseek", "")],
    "cohere": [("cohere", "cohere/"), ("cohere", "")],
}
KEYS = {key.lower(): key for key in litellm.model_cost}
TIERS = {"flex", "priority", "ultrafast"}


def of_genai(case):
    provider, model = case["provider"], case["model"]
    if provider == "huggingface":
        model, server = model.rsplit(":", 1)
        provider = f"huggingface_{server}"
    usage = genai_prices.Usage(
        input_tokens=case["input"],
        cache_read_tokens=case["cache_read"],
        cache_write_tokens=case["cache_write"] + case["cache_write_1h"],
        cache_write_1h_tokens=case["cache_write_1h"],
        output_tokens=case["output"],
    )
    tier, context = case["tier"], {}
    if tier == "batch":
        context = {"processing": "batch"}
    elif tier == "fast" and provider == "anthropic":
        context = {"speed": "fast"}
    elif tier:
        context = {"service_tier": tier}
    if case["region"]:
        return None
    try:
        price = genai_prices.calc_price(
            usage,
            model,
            provider_id=GENAI.get(provider, provider),
            genai_request_timestamp=datetime.datetime.fromisoformat(case["at"]),
            price_context=context,
        )
    except LookupError:
        return None
    # It takes the standard price of a tier that it has no prices of.
    variants = getattr(price.model, "price_variants", None) or []
    if tier and not any(context.items() <= variant.when.items() for variant in variants):
        return None
    return format(price.total_price, "f")


def litellm_name(case):
    provider = case["provider"]
    for ours, prefix in LITELLM.get(provider, [(provider, f"{provider}/")]):
        key = KEYS.get(prefix + case["model"])
        if key is not None and litellm.model_cost[key]["litellm_provider"].startswith(ours):
            return ours, key
    return None


def of_litellm(case):
    found = litellm_name(case)
    if found is None:
        return None
    provider, key = found
    row = litellm.model_cost[key]
    usage = Usage(
        prompt_tokens=case["input"],
        completion_tokens=case["output"],
        total_tokens=case["input"] + case["output"],
        prompt_tokens_details=PromptTokensDetailsWrapper(
            cached_tokens=case["cache_read"],
            cache_creation_tokens=case["cache_write"] + case["cache_write_1h"],
            cache_creation_token_details={
                "ephemeral_5m_input_tokens": case["cache_write"],
                "ephemeral_1h_input_tokens": case["cache_write_1h"],
            }
            if case["cache_write_1h"]
            else None,
        ),
    )
    tier, region = case["tier"], case["region"]
    time = datetime.datetime.fromisoformat(case["at"])
    if tier == "batch":
        if not any(name.endswith("_batches") for name in row):
            return None
        costs = batch_cost_calculator(usage, key, custom_llm_provider=provider)
    elif provider == "anthropic" and (tier == "fast" or region):
        specific = row.get("provider_specific_entry") or {}
        if (tier or region) not in specific:
            return None
        usage.speed, usage.inference_geo = tier, region
        costs = anthropic_cost(key, usage)
    elif tier is not None and (tier not in TIERS or not any(f"_{tier}" in name for name in row)):
        return None
    else:
        costs = generic_cost_per_token(
            model=key,
            usage=usage,
            custom_llm_provider=provider,
            service_tier=tier,
            data_residency=region if provider == "openai" else None,
            vertex_location=region if provider == "vertex_ai" else None,
            current_time=time,
        )
    return format(decimal.Decimal(repr(sum(costs))), "f")


def calculated(calculator, case):
    try:
        return calculator(case)
    except Exception as error:  # whatever it is, it becomes a difference to explain
        return f"error: {type(error).__name__}: {error}"[:200]


cases = json.load(sys.stdin)
print(json.dumps([[calculated(of_genai, case), calculated(of_litellm, case)] for case in cases]))
