# SPDX-License-Identifier: Apache-2.0
"""The wire formats of LLM providers, as a provider writes them. A format turns a Call (what is
answered) into one document or into the events of a stream. Each event comes with the number of
tokens that it holds, so that the bill of a stream that was cut is what had been sent."""

import base64
import json
import struct
import time

MARK = "@@number:"


def dump(value):
    """Compact JSON; a text that number() made is written as the number it stands for."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    while MARK in text:
        before, rest = text.split('"' + MARK, 1)
        number, after = rest.split('"', 1)
        text = before + number + after
    return text


def number(text):
    return MARK + text


def words(count, start=0):
    return "".join("wort " if (start + i) % 2 else "text " for i in range(count))


class Call:
    """A request, and what is answered: filled in by provider.py."""

    def __init__(self):
        self.id = self.model = self.asked = ""
        self.request, self.options = {}, {}
        self.flavor = "openai"
        self.usage = None
        self.limited = False  # the answer ended at its maximum
        self.copies = 1
        self.tools = False
        self.has_usage = True
        self.cost = 0
        self.created = int(time.time())
        self.extra = None  # another model that had a part: (name, usage)
        self.stand_in = None  # in the place of the text

    def text(self, count):
        return self.stand_in or words(count)

    def pieces(self, count):
        """A number of tokens as (text, tokens), `chunk` tokens each."""
        size = max(1, int(self.options.get("chunk", 1)))
        at = 0
        while at < count:
            n = min(size, count - at)
            yield words(n, at), n
            at += n

    def arguments(self):
        """Of a tool's call: JSON in pieces, about a token each."""
        n = max(1, self.usage.out - 4)
        return ['{"city":"', *(("Oslo" for _ in range(n))), '"}']

    def tool_name(self):
        tools = self.request.get("tools") or [{}]
        tool = tools[0]
        if "functionDeclarations" in tool:
            tool = tool["functionDeclarations"][0]
        return tool.get("function", tool).get("name", "get_weather")


class Format:
    family = "openai"
    max_keys = ()
    has_done = False

    def is_stream(self, call, path):
        return bool(call.request.get("stream"))

    def maximum(self, call):
        found = [call.request.get(key) for key in self.max_keys]
        return min([n for n in found if isinstance(n, int)], default=None)

    def asked_model(self, call, path):
        return call.request.get("model", "")

    def error(self, status, message):
        kind = {400: "invalid_request_error", 401: "invalid_request_error", 429: "requests"}
        code = {401: "invalid_api_key", 404: "model_not_found", 429: "rate_limit_exceeded"}
        return {"error": {"message": message, "type": kind.get(status, "server_error"),
                          "param": None, "code": code.get(status)}}

    def event_error(self, call):
        return "data: " + dump(self.error(500, "the server had an error in the middle")) + "\n\n"


class Chat(Format):
    max_keys = ("max_completion_tokens", "max_tokens")
    object = "chat.completion"

    def finish(self, call):
        return "length" if call.limited else "tool_calls" if call.tools else "stop"

    def usage(self, call, upto=None):
        u, flavor = call.usage, call.flavor
        out = (u.out if flavor == "xai" else u.output()) if upto is None else upto
        prompt = u.input()
        total = prompt + (u.output() if upto is None else upto)
        usage = {"prompt_tokens": prompt, "completion_tokens": out, "total_tokens": total}
        if flavor in ("ollama", "vllm", "llamacpp", "llamacpp-old", "mistral"):
            if u.cached:
                usage["prompt_tokens_details"] = {"cached_tokens": u.cached}
            return usage
        details = {"cached_tokens": u.cached, "audio_tokens": u.audio}
        if u.w5m or u.w1h:
            details["cache_write_tokens"] = u.w5m + u.w1h
        usage["prompt_tokens_details"] = details
        usage["completion_tokens_details"] = {
            "reasoning_tokens": u.reasoning, "audio_tokens": u.out_audio,
            "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
        if flavor == "deepseek":
            usage["prompt_cache_hit_tokens"] = u.cached
            usage["prompt_cache_miss_tokens"] = prompt - u.cached
        if flavor == "openrouter":
            usage["cost"] = number(dollars(call.cost))
            usage["is_byok"] = False
            if call.options.get("byok"):  # the fee alone; the rest is on the user's own account
                fee = call.cost // 20
                usage.update(is_byok=True, cost=number(dollars(fee)), cost_details={
                    "upstream_inference_cost": number(dollars(call.cost - fee))})
        if flavor == "xai" and call.options.get("ticks"):
            usage["cost_in_usd_ticks"] = call.cost // 100
        if flavor == "xai" and u.searches:
            usage["num_sources_used"] = u.searches
        return usage

    def message(self, call):
        message = {"role": "assistant", "content": call.text(call.usage.out), "refusal": None}
        if call.tools:
            message["content"] = None
            message["tool_calls"] = [{
                "id": "call_" + call.id, "type": "function",
                "function": {"name": call.tool_name(), "arguments": "".join(call.arguments())}}]
        if call.usage.reasoning and call.flavor in ("deepseek", "xai"):
            message["reasoning_content"] = words(call.usage.reasoning)
        return message

    def choice(self, call, index):
        return {"index": index, "message": self.message(call), "logprobs": None,
                "finish_reason": self.finish(call)}

    def head(self, call, kind):
        head = {"id": "chatcmpl-" + call.id, "object": kind, "created": call.created,
                "model": call.model}
        if call.flavor == "openai":
            head["service_tier"] = call.options.get("tier", "default")
            head["system_fingerprint"] = "fp_test"
        return head

    def whole(self, call):
        one = call.usage.out
        call.usage.out = one // call.copies
        choices = [self.choice(call, i) for i in range(call.copies)]
        call.usage.out = one
        body = {**self.head(call, self.object), "choices": choices}
        if call.has_usage:
            body["usage"] = self.usage(call)
        if call.flavor.startswith("llamacpp"):
            body["timings"] = timings(call)
        return body

    # What a choice of a chunk is, by its kind.
    def first(self):
        return {"delta": {"role": "assistant", "content": ""}}

    def text(self, text):
        return {"delta": {"content": text}}

    def thought(self, text):
        return {"delta": {"reasoning_content": text}}

    def last(self):
        return {"delta": {}}

    def parts(self, call):
        yield self.first(), 0
        if call.usage.reasoning and call.flavor in ("deepseek", "xai"):
            for text, n in call.pieces(call.usage.reasoning):
                yield self.thought(text), n
        if call.tools:
            yield {"delta": {"tool_calls": [{
                "index": 0, "id": "call_" + call.id, "type": "function",
                "function": {"name": call.tool_name(), "arguments": ""}}]}}, 2
            for piece in call.arguments():
                yield {"delta": {"tool_calls": [
                    {"index": 0, "function": {"arguments": piece}}]}}, 1
        else:
            for text, n in call.pieces(call.usage.out):
                yield self.text(text), n
        yield self.last(), 0

    def events(self, call):
        options = call.request.get("stream_options") or {}
        asked = bool(options.get("include_usage")) and call.has_usage
        always = call.flavor == "baseten" and call.has_usage
        every = always or (asked and options.get("continuous_usage_stats"))
        kind = "chat.completion.chunk" if self.object == "chat.completion" else self.object
        head, sent = self.head(call, kind), 0
        if call.flavor == "azure":
            yield event({"choices": [], "created": 0, "id": "", "model": "", "object": "",
                         "prompt_filter_results": [{"prompt_index": 0}]}), 0
        parts = list(self.parts(call))
        for i, (part, n) in enumerate(parts):
            sent += n
            is_last = i == len(parts) - 1
            choice = {"index": i % call.copies if n else 0, **part, "logprobs": None,
                      "finish_reason": self.finish(call) if is_last else None}
            chunk = {**head, "choices": [choice]}
            if every:
                chunk["usage"] = self.usage(call, sent)
            elif asked and call.flavor in ("openai", "azure"):
                chunk["usage"] = None
            if is_last and call.has_usage:
                if call.flavor in ("mistral", "openrouter", "deepseek", "llamacpp-old"):
                    chunk["usage"] = self.usage(call)
                if call.flavor == "groq":
                    chunk["x_groq"] = {"id": "req_" + call.id, "usage": self.usage(call)}
                if call.flavor == "llamacpp-old":
                    chunk["timings"] = timings(call)
            if call.flavor == "openrouter" and i % 7 == 0:
                yield ": OPENROUTER PROCESSING\n\n", 0
            yield event(chunk), n
        if (asked and call.flavor not in ("mistral", "openrouter", "deepseek", "llamacpp-old")) or \
                always or (call.flavor == "llamacpp" and call.has_usage):
            chunk = {**head, "choices": [], "usage": self.usage(call)}
            if call.flavor == "llamacpp":
                chunk["timings"] = timings(call)
            yield event(chunk), 0
        if call.flavor == "llamacpp" and not call.has_usage:
            yield event({**head, "choices": [], "timings": timings(call)}), 0
        yield "data: [DONE]\n\n", 0


class Completions(Chat):
    max_keys = ("max_tokens",)
    object = "text_completion"

    def finish(self, call):
        return "length" if call.limited else "stop"

    def choice(self, call, index):
        return {"index": index, "text": call.text(call.usage.out), "logprobs": None,
                "finish_reason": self.finish(call)}

    def first(self):
        return {"text": ""}

    def text(self, text):
        return {"text": text}

    thought = text

    def last(self):
        return {"text": ""}


class Embeddings(Format):
    def is_stream(self, call, path):
        return False

    def whole(self, call):
        vector = [0.25, -0.5, 0.125]
        if call.request.get("encoding_format") == "base64":
            vector = base64.b64encode(struct.pack("<3f", *vector)).decode()
        given = call.request.get("input", "")
        count = len(given) if isinstance(given, list) else 1
        body = {"object": "list", "model": call.model,
                "data": [{"object": "embedding", "index": i, "embedding": vector}
                         for i in range(count)]}
        if call.has_usage:
            body["usage"] = {"prompt_tokens": call.usage.input(),
                             "total_tokens": call.usage.input()}
        return body


class Responses(Format):
    max_keys = ("max_output_tokens",)

    def usage(self, call):
        u = call.usage
        details = {"cached_tokens": u.cached}
        if u.w5m or u.w1h:
            details["cache_write_tokens"] = u.w5m + u.w1h
            details["cache_write_tokens_details"] = {
                "ttl_30m_tokens": u.w5m, "ttl_12h_tokens": u.w1h}
        usage = {"input_tokens": u.input(), "input_tokens_details": details,
                 "output_tokens": u.output(),
                 "output_tokens_details": {"reasoning_tokens": u.reasoning},
                 "total_tokens": u.input() + u.output()}
        if call.flavor == "openrouter":
            usage["cost"] = number(dollars(call.cost))
        return usage

    def items(self, call):
        if call.usage.reasoning:
            yield {"id": "rs_" + call.id, "type": "reasoning", "summary": []}
        for i in range(call.usage.searches):
            yield {"id": f"ws_{call.id}_{i}", "type": "web_search_call", "status": "completed",
                   "action": {"type": "search", "query": "weather"}}
        if call.tools:
            yield {"id": "fc_" + call.id, "type": "function_call", "status": "completed",
                   "call_id": "call_" + call.id, "name": call.tool_name(),
                   "arguments": "".join(call.arguments())}
        else:
            yield {"id": "msg_" + call.id, "type": "message", "role": "assistant",
                   "status": "completed",
                   "content": [{"type": "output_text", "annotations": [],
                                "text": call.text(call.usage.out)}]}

    def response(self, call, status, output, usage):
        return {
            "id": "resp_" + call.id, "object": "response", "created_at": call.created,
            "status": status, "error": None, "model": call.model, "output": output,
            "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete"
            else None,
            "instructions": None, "max_output_tokens": call.request.get("max_output_tokens"),
            "parallel_tool_calls": True, "previous_response_id": None, "metadata": {},
            "reasoning": {"effort": None, "summary": None}, "store": False, "temperature": 1.0,
            "text": {"format": {"type": "text"}}, "tool_choice": "auto",
            "tools": call.request.get("tools", []), "top_p": 1.0, "truncation": "disabled",
            "service_tier": call.options.get("tier", "default"), "usage": usage}

    def whole(self, call):
        return self.response(call, "incomplete" if call.limited else "completed",
                             list(self.items(call)), self.usage(call) if call.has_usage else None)

    def events(self, call):
        sequence = 0

        def make(kind, **members):
            nonlocal sequence
            text = dump({"type": kind, "sequence_number": sequence, **members})
            sequence += 1
            return f"event: {kind}\ndata: {text}\n\n"

        started = self.response(call, "in_progress", [], None)
        yield make("response.created", response=started), 0
        yield make("response.in_progress", response=started), 0
        output = list(self.items(call))
        for i, item in enumerate(output):
            begun = dict(item)
            if "status" in begun:
                begun["status"] = "in_progress"
            where = {"item_id": item["id"], "output_index": i}
            if item["type"] == "message":
                begun["content"] = []
            if item["type"] == "function_call":
                begun["arguments"] = ""
            yield make("response.output_item.added", output_index=i, item=begun), 0
            if item["type"] == "reasoning":
                yield ": thinking\n\n", call.usage.reasoning
            if item["type"] == "message":
                part, where = item["content"][0], {**where, "content_index": 0}
                yield make("response.content_part.added", **where, part={**part, "text": ""}), 0
                for text, n in call.pieces(call.usage.out):
                    yield make("response.output_text.delta", **where, delta=text,
                               logprobs=[]), n
                yield make("response.output_text.done", **where, text=part["text"],
                           logprobs=[]), 0
                yield make("response.content_part.done", **where, part=part), 0
            if item["type"] == "function_call":
                for text in call.arguments():
                    yield make("response.function_call_arguments.delta", **where, delta=text), 1
                yield make("response.function_call_arguments.done", **where, name=item["name"],
                           arguments=item["arguments"]), 0
            yield make("response.output_item.done", output_index=i, item=item), 0
        status = "incomplete" if call.limited else "completed"
        usage = self.usage(call) if call.has_usage else None
        yield make("response." + status, response=self.response(call, status, output, usage)), 0

    def event_error(self, call):
        response = self.response(call, "failed", [], None)
        response["error"] = {"code": "server_error", "message": "an error in the middle"}
        return "event: response.failed\ndata: " + dump(
            {"type": "response.failed", "sequence_number": 99, "response": response}) + "\n\n"


class Messages(Format):
    family = "anthropic"
    max_keys = ("max_tokens",)

    def error(self, status, message):
        kind = {400: "invalid_request_error", 401: "authentication_error",
                403: "permission_error", 404: "not_found_error", 429: "rate_limit_error",
                529: "overloaded_error"}
        return {"type": "error", "request_id": "req_test",
                "error": {"type": kind.get(status, "api_error"), "message": message}}

    def event_error(self, call):
        return "event: error\ndata: " + dump(self.error(529, "Overloaded")) + "\n\n"

    def usage(self, call, out):
        u = call.usage
        usage = {"input_tokens": u.fresh + u.audio + u.tool_in,
                 "cache_creation_input_tokens": u.w5m + u.w1h,
                 "cache_read_input_tokens": u.cached,
                 "cache_creation": {"ephemeral_5m_input_tokens": u.w5m,
                                    "ephemeral_1h_input_tokens": u.w1h},
                 "output_tokens": out, "service_tier": call.options.get("tier", "standard")}
        if call.options.get("speed"):
            usage["speed"] = call.options["speed"]
        if call.options.get("geo"):
            usage["inference_geo"] = call.options["geo"]
        if u.searches:
            usage["server_tool_use"] = {"web_search_requests": u.searches,
                                        "web_fetch_requests": 0}
        if call.extra:
            usage["iterations"] = [
                {"type": "message", "model": call.model, "input_tokens": u.fresh,
                 "cache_read_input_tokens": u.cached, "output_tokens": out,
                 "cache_creation_input_tokens": u.w5m + u.w1h, "cache_creation": {
                     "ephemeral_5m_input_tokens": u.w5m, "ephemeral_1h_input_tokens": u.w1h}},
                {"type": "compaction", "model": call.extra[0],
                 "input_tokens": call.extra[1].fresh, "output_tokens": call.extra[1].out}]
        if call.options.get("old"):  # before the cache had two times
            del usage["cache_creation"]
        return usage

    def blocks(self, call):
        if call.usage.reasoning:
            yield {"type": "thinking", "thinking": words(call.usage.reasoning),
                   "signature": "c2lnbmVk"}
        if call.tools:
            yield {"type": "tool_use", "id": "toolu_" + call.id, "name": call.tool_name(),
                   "input": json.loads("".join(call.arguments()))}
        else:
            yield {"type": "text", "text": call.text(call.usage.out)}

    def reason(self, call):
        return "max_tokens" if call.limited else "tool_use" if call.tools else "end_turn"

    def message(self, call, content, reason, usage):
        return {"id": "msg_" + call.id, "type": "message", "role": "assistant",
                "model": call.model, "content": content, "stop_reason": reason,
                "stop_sequence": None, "usage": usage}

    def whole(self, call):
        usage = self.usage(call, call.usage.output())
        if not call.has_usage:
            usage = {}
        return self.message(call, list(self.blocks(call)), self.reason(call), usage)

    def deltas(self, call, block):
        if block["type"] == "thinking":
            for text, n in call.pieces(call.usage.reasoning):
                yield {"type": "thinking_delta", "thinking": text}, n
            yield {"type": "signature_delta", "signature": block["signature"]}, 0
        elif block["type"] == "tool_use":
            for piece in call.arguments():
                yield {"type": "input_json_delta", "partial_json": piece}, 1
        else:
            for text, n in call.pieces(call.usage.out):
                yield {"type": "text_delta", "text": text}, n

    def events(self, call):
        def make(kind, **members):
            return f"event: {kind}\ndata: " + dump({"type": kind, **members}) + "\n\n"

        usage = self.usage(call, 1) if call.has_usage else {}
        yield make("message_start", message=self.message(call, [], None, usage)), 0
        empty = {"thinking": {"type": "thinking", "thinking": "", "signature": ""},
                 "text": {"type": "text", "text": ""}}
        for i, block in enumerate(self.blocks(call)):
            begun = empty.get(block["type"], {**block, "input": {}})
            yield make("content_block_start", index=i, content_block=begun), 0
            if i == 0:
                yield make("ping"), 0
            for delta, n in self.deltas(call, block):
                yield make("content_block_delta", index=i, delta=delta), n
            yield make("content_block_stop", index=i), 0
        last = {"output_tokens": call.usage.output()}
        if not call.options.get("old"):
            last = self.usage(call, call.usage.output())
        delta = {"stop_reason": self.reason(call), "stop_sequence": None}
        yield make("message_delta", delta=delta, usage=last if call.has_usage else {}), 0
        yield make("message_stop"), 0


class Generate(Format):
    family = "gemini"

    def is_stream(self, call, path):
        return ":streamGenerateContent" in path

    def maximum(self, call):
        config = call.request.get("generationConfig") or {}
        return config.get("maxOutputTokens", config.get("max_output_tokens"))

    def asked_model(self, call, path):
        return path.split("/models/", 1)[1].split(":", 1)[0]

    def error(self, status, message):
        word = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED",
                404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 503: "UNAVAILABLE"}
        return {"error": {"code": status, "message": message,
                          "status": word.get(status, "INTERNAL")}}

    def usage(self, call, upto=None):
        u = call.usage
        out = u.out if upto is None else max(0, upto - u.reasoning)
        thoughts = u.reasoning if upto is None else min(upto, u.reasoning)
        prompt = u.fresh + u.cached + u.audio
        usage = {"promptTokenCount": prompt, "candidatesTokenCount": out,
                 "totalTokenCount": prompt + u.tool_in + out + thoughts,
                 "promptTokensDetails": [
                     {"modality": "TEXT", "tokenCount": prompt - u.audio}]}
        if u.audio:
            usage["promptTokensDetails"].append({"modality": "AUDIO", "tokenCount": u.audio})
        if u.cached:
            usage["cachedContentTokenCount"] = u.cached
            usage["cacheTokensDetails"] = [{"modality": "TEXT", "tokenCount": u.cached}]
        if thoughts:
            usage["thoughtsTokenCount"] = thoughts
        if u.tool_in:
            usage["toolUsePromptTokenCount"] = u.tool_in
        return usage

    def answer(self, call, parts, finish, usage):
        candidate = {"content": {"parts": parts, "role": "model"}, "index": 0}
        if finish:
            candidate["finishReason"] = "MAX_TOKENS" if call.limited else "STOP"
            if call.usage.searches:
                candidate["groundingMetadata"] = {
                    "webSearchQueries": [f"query {i}" for i in range(call.usage.searches)]}
        answer = {"candidates": [candidate], "modelVersion": call.model, "responseId": call.id}
        if call.has_usage:
            answer["usageMetadata"] = usage
        return answer

    def parts(self, call):
        if call.usage.reasoning:
            for text, n in call.pieces(call.usage.reasoning):
                yield {"text": text, "thought": True}, n
        if call.tools:
            yield {"functionCall": {"name": call.tool_name(),
                                    "args": json.loads("".join(call.arguments()))}}, call.usage.out
        else:
            for text, n in call.pieces(call.usage.out):
                yield {"text": text}, n

    def whole(self, call):
        parts = [part for part, _ in self.parts(call)]
        return self.answer(call, parts, True, self.usage(call))

    def answers(self, call):
        parts, sent = list(self.parts(call)), 0
        for i, (part, n) in enumerate(parts):
            sent += n
            last = i == len(parts) - 1
            yield self.answer(call, [part], last, self.usage(call, None if last else sent)), n

    def events(self, call):
        if call.options.get("alt") == "sse":
            for answer, n in self.answers(call):
                yield "data: " + dump(answer) + "\r\n\r\n", n
            return
        for i, (answer, n) in enumerate(self.answers(call)):
            yield (",\r\n" if i else "[") + dump(answer), n
        yield "]", 0

    def event_error(self, call):
        text = dump(self.error(503, "The model is overloaded."))
        return f"data: {text}\r\n\r\n" if call.options.get("alt") == "sse" else f",\r\n{text}]"


def event(value):
    return "data: " + dump(value) + "\n\n"


def timings(call):
    u = call.usage
    return {"prompt_n": u.input() - u.cached, "cache_n": u.cached, "predicted_n": u.output(),
            "prompt_ms": 12.5, "predicted_ms": 100.25}


def dollars(pico):
    text = f"{pico:013d}"
    return (text[:-12] + "." + text[-12:]).rstrip("0").rstrip(".")
