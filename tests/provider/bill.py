# SPDX-License-Identifier: Apache-2.0
"""What a call costs, for the test provider: a second reading of data/model_prices.json, written
apart from the one in C that it is held against. Money is in picodollars, all sums are exact."""

import json
import re
import threading
import time


class Usage:
    """Tokens, each in one member: `out` is the text, `reasoning` the thoughts, `out_audio` speech."""

    NAMES = ("fresh", "cached", "w5m", "w1h", "audio", "tool_in", "out", "reasoning", "out_audio",
             "searches")

    def __init__(self, **given):
        for name in self.NAMES:
            setattr(self, name, given.get(name, 0))

    def input(self):
        return self.fresh + self.cached + self.w5m + self.w1h + self.audio + self.tool_in

    def output(self):
        return self.out + self.reasoning + self.out_audio

    def as_dict(self):
        return {name: getattr(self, name) for name in self.NAMES if getattr(self, name)}


class Prices:
    def __init__(self, *paths):
        self.models = {}
        for path in paths:
            with open(path, encoding="utf-8") as f:
                for model in json.load(f)["models"]:
                    self.models[(model["provider"], model["id"])] = model

    def find(self, name, provider=None):
        """The model of a name, or None."""
        candidates = [name]
        if "/" in name:
            candidates.append(name.split("/", 1)[1])
        undated = re.sub(r"-20\d{6}$|-20\d\d-\d\d-\d\d$", "", candidates[-1])
        if undated != candidates[-1]:
            candidates.append(undated)
        pool = [m for m in self.models.values() if provider in (None, m["provider"])]
        for candidate in candidates:
            for model in pool:
                exact = [model["id"]] + [r["exact"] for r in model["match"] if "exact" in r]
                if candidate in exact:
                    return model
        best, length = None, 0
        for model in pool:
            for rule in model["match"]:
                prefix = rule.get("prefix", "\0")
                if candidates[-1].startswith(prefix) and len(prefix) > length:
                    best, length = model, len(prefix)
        return best

    @staticmethod
    def rates(model, tokens_in, when, tier=None):
        price, windows = model["price"], model.get("windows", [])
        if tier and tier in model.get("service_tiers", {}):
            price = model["service_tiers"][tier]["price"]
            windows = []
        rates = dict(price)
        for bound in price.get("tiers", []):
            if tokens_in > bound["above_input_tokens"]:
                rates.update(bound)
        clock = time.strftime("%H:%M:%SZ", time.gmtime(when))
        for window in windows:
            start, end = window["from_utc"], window["to_utc"]
            if start <= clock < end or (start > end and not end <= clock < start):
                rates.update(window)
                break
        return rates

    def cost(self, name, usage, provider=None, when=None, tier=None):
        """What the provider bills, or None for a model that has no price."""
        model = self.find(name, provider) or self.find(name)
        if not model:
            return None
        rates = self.rates(model, usage.input(), time.time() if when is None else when, tier)
        text = rates["input"]
        write = rates.get("cache_write", text)
        return (
            (usage.fresh + usage.tool_in) * text
            + usage.cached * rates.get("cache_read", text)
            + usage.w5m * write
            + usage.w1h * rates.get("cache_write_1h", write)
            + usage.audio * rates.get("input_audio", text)
            + usage.out * rates.get("output", 0)
            + usage.reasoning * rates.get("output_reasoning", rates.get("output", 0))
            + usage.out_audio * rates.get("output_audio", rates.get("output", 0))
            + usage.searches * rates.get("web_search_call", 0)
            + rates.get("request_call", 0)
        )


class Journal:
    """A file of JSON lines."""

    def __init__(self, path):
        self.file = open(path, "a", encoding="utf-8") if path else None
        self.lock = threading.Lock()

    def add(self, record):
        if self.file:
            line = json.dumps(record, separators=(",", ":")) + "\n"
            with self.lock:
                self.file.write(line)
                self.file.flush()
