"""Prints the prices that an installed PyPI package carries, as JSON.

usage: python extract.py genai-prices|litellm

litellm need not be importable: `pip install --no-deps litellm` is enough.
"""

import dataclasses
import datetime
import decimal
import importlib.metadata
import importlib.util
import json
import pathlib
import sys

def plain(value):
    """Turns the package's classes into dictionaries, exact numbers into strings."""
    if isinstance(value, decimal.Decimal):
        return format(value, "f")
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if dataclasses.is_dataclass(value):
        names = [field.name for field in dataclasses.fields(value)]
        value = {name: getattr(value, name) for name in names if hasattr(value, name)}
    elif hasattr(value, "__dict__"):
        value = {name: item for name, item in vars(value).items() if not name.startswith("_")}
    else:
        return value
    return {name.rstrip("_"): plain(item) for name, item in value.items() if item is not None}


def genai_prices():
    from genai_prices.data import providers

    wanted = ("id", "match", "prices", "price_variants")
    return [
        {
            "id": provider.id,
            "models": [
                {key: item for key, item in plain(model).items() if key in wanted}
                for model in provider.models
            ],
        }
        for provider in providers
    ]


def litellm():
    package = pathlib.Path(importlib.util.find_spec("litellm").origin).parent
    text = (package / "model_prices_and_context_window_backup.json").read_text()
    return {
        name: row
        for name, row in json.loads(text, parse_float=decimal.Decimal).items()
        if name != "sample_spec"
    }


name = sys.argv[1]
models = {"genai-prices": genai_prices, "litellm": litellm}[name]()
print(json.dumps({"version": importlib.metadata.version(name), "models": plain(models)}))
