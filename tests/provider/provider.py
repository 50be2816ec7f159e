#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A provider of LLMs for tests: speaks the APIs of OpenAI, Anthropic and Gemini and the quirks of
those that are like OpenAI's, writes down what it bills, and misbehaves on demand.

    provider.py [--port 0] [--tls-port 0 --cert FILE --key FILE] [--bill FILE] [--log FILE]

Prints its port, and behind it that of TLS if there is one, in one line, and serves until SIGTERM.
With --key-sent KEY calls that do not bring KEY get 401.

How it answers stands in the request's own text, wherever that is, so that any client can ask for it:

    scenario: NAME [OPTION=VALUE]...

The last one in the body counts. NAME:
    plain        text                         tools        a call of the request's first tool
    cached       with reads and writes of a cache
    reasoning    with thoughts                search       with two web searches
    nousage      no usage anywhere            fail         an error: status=429, retry=SECONDS
    once         as fail, but the second call with the same tag=WORD succeeds
    cut          the connection ends after `after` events (or bytes of a whole answer)
    reset        the same with a TCP reset
    stall        no more bytes after `after` events
    inband       an error event after `after` events
    endless      text without end, whatever maximum there was
    silent       no answer at all             huge         a whole answer of `size` bytes
    gzip         compressed, whatever Accept-Encoding says
    longer, shorter   a Content-Length that is larger or smaller than the answer
    redirect     to another address           echo         an error that repeats the credentials
    headers      ever more headers            garbage      no HTTP
OPTIONs: in, cached, w5m, w1h, audio, tool_in, out, reasoning, out_audio, searches: tokens; chunk: tokens in an
event; flavor: openai, azure, vllm, baseten, llamacpp, llamacpp-old, ollama, deepseek, xai, mistral,
openrouter, groq; delay: seconds between events; wait: before the answer; split=1: a byte at a time;
crlf=1: in events; model: that the answer names; tier, speed, geo; compacted: tokens that
claude-haiku-4-5 read to make the input shorter; byok=1: OpenRouter bills its fee alone; cost: picodollars billed;
over=1: the request's maximum is not kept; case=WORD: written into the bill.

The bill has a line for each call that cost something, the log one for each request. Both are JSON
lines; a bill's line is written before the last byte of its answer is sent.
"""

import argparse
import gzip
import http.server
import itertools
import json
import os
import re
import signal
import socket
import socketserver
import ssl
import struct
import sys
import threading
import time
from urllib.parse import parse_qs, urlsplit

import bill
import formats

SCENARIO = re.compile(rb"scenario: ([a-z]+)((?: [a-z0-9_]+=[A-Za-z0-9._:/-]+)*)")
FORMATS = [
    (re.compile(r"/chat/completions$"), formats.Chat()),
    (re.compile(r"/completions$"), formats.Completions()),
    (re.compile(r"/embeddings$"), formats.Embeddings()),
    (re.compile(r"/responses$"), formats.Responses()),
    (re.compile(r"/v1/messages$"), formats.Messages()),
    (re.compile(r"/models/[^/]+:(stream)?[gG]enerateContent$"), formats.Generate()),
]
CREDENTIALS = ("authorization", "x-api-key", "api-key", "x-goog-api-key")


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version = "provider"
    timeout = 600

    def setup(self):
        if self.server.tls:
            self.request = self.server.tls.wrap_socket(self.request, server_side=True)
        self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        super().setup()

    def log_message(self, format, *args):
        pass

    # --- what comes in ---

    def read_body(self):
        if self.headers.get("transfer-encoding", "").lower() == "chunked":
            body = b""
            while size := int(self.rfile.readline().split(b";")[0], 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass
            return body
        return self.rfile.read(int(self.headers.get("content-length", 0)))

    def credentials(self):
        found = [self.headers[name] for name in CREDENTIALS if self.headers.get(name)]
        found += parse_qs(self.target.query).get("key", [])
        return [value.removeprefix("Bearer ") for value in found]

    def handle_request(self):
        provider = self.server.provider
        self.id = f"{next(provider.ids):06d}"
        self.target = urlsplit(self.path)
        self.body = self.read_body()
        provider.log.add({
            "id": self.id, "time": time.time(), "method": self.command, "path": self.path,
            "headers": list(self.headers.items()), "tls": bool(self.server.tls),
            "body": self.body[:65536].decode("utf-8", "replace"), "bytes": len(self.body)})
        wanted = provider.arguments.key_sent
        if wanted and self.credentials() != [wanted]:
            self.answer_json(401, self.format().error(401, "this is not the key"))
        elif self.command == "GET" and self.target.path.endswith("/models"):
            self.answer_json(200, {"object": "list", "data": [{"id": "gpt-5-mini", "object": "model"}]})
        elif self.target.path.endswith("/count_tokens"):
            self.answer_json(200, {"input_tokens": len(self.body) // 4})
        elif self.target.path.endswith(":countTokens"):
            self.answer_json(200, {"totalTokens": len(self.body) // 4})
        elif self.command == "POST" and self.format(None):
            self.answer_call(self.format())
        else:
            self.answer_json(404, formats.Chat().error(404, "no such thing: " + self.path))

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = do_OPTIONS = handle_request

    def format(self, default=formats.Chat()):
        for path, found in FORMATS:
            if path.search(self.target.path):
                return found
        return default

    def read_call(self, form):
        """The request and its scenario: what the answer shall be."""
        call = formats.Call()
        call.id, call.request = self.id, json.loads(self.body)
        found = SCENARIO.findall(self.body)
        name, text = found[-1] if found else (b"plain", b"")
        options = dict(word.split("=", 1) for word in text.decode().split())
        options["alt"] = parse_qs(self.target.query).get("alt", [""])[0]
        call.scenario, call.options = name.decode(), options
        call.flavor = options.get("flavor", "openai")
        call.tools = call.scenario == "tools"
        call.has_usage = call.scenario != "nousage"
        call.asked = form.asked_model(call, self.target.path)
        call.model = options.get("model", call.asked)
        call.copies = call.request.get("n") or 1
        call.usage = self.make_usage(call, form)
        if "compacted" in options:
            call.extra = ("claude-haiku-4-5", bill.Usage(fresh=int(options["compacted"]), out=100))
        call.cost = self.make_cost(call)
        return call

    def make_usage(self, call, form):
        def option(name, default=0):
            return int(call.options.get(name, default))

        tokens = max(4, len(self.body) // 4)
        caches = call.scenario == "cached"
        cached = option("cached", tokens // 2 if caches else 0)
        written = option("w5m", tokens // 4 if caches and form.family != "gemini" else 0)
        usage = bill.Usage(
            fresh=option("in", max(1, tokens - cached - written)), cached=cached, w5m=written,
            w1h=option("w1h"), audio=option("audio"), tool_in=option("tool_in"),
            out=option("out", 20) * call.copies,
            reasoning=option("reasoning", 30 if call.scenario == "reasoning" else 0),
            out_audio=option("out_audio"),
            searches=option("searches", 2 if call.scenario == "search" else 0))
        if isinstance(form, formats.Embeddings):
            usage.out = usage.reasoning = 0
        maximum = form.maximum(call)
        if maximum is not None and not call.options.get("over"):
            maximum *= call.copies
            call.limited = usage.output() > maximum
            usage.reasoning = min(usage.reasoning, maximum)
            usage.out = min(usage.out, maximum - usage.reasoning)
        return usage

    def make_cost(self, call):
        if "cost" in call.options:
            return int(call.options["cost"])
        arguments, prices = self.server.provider.arguments, self.server.provider.prices
        cost = prices.cost(call.model, call.usage, arguments.prices_of, tier=call.options.get("tier"))
        if call.extra:
            cost += prices.cost(*call.extra)
        # Anthropic's: fast answers cost six times as much, those made in the US a tenth more.
        if call.options.get("speed") == "fast":
            cost *= 6
        if call.options.get("geo") == "us":
            cost = -(-cost * 11 // 10)
        return cost

    # --- what goes out ---

    def headers_out(self, status, kind, **more):
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("x-request-id", "req_" + self.id)
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def answer_json(self, status, value, **more):
        body = formats.dump(value).encode()
        self.headers_out(status, "application/json", Content_Length=str(len(body)), **more)
        self.wfile.write(body)

    def bill(self, call, usage, is_whole):
        extra = call.extra[1] if call.extra else bill.Usage()
        self.server.provider.bill.add({
            "id": self.id, "time": time.time(), "path": self.target.path, "asked": call.asked,
            "model": call.model, "scenario": call.scenario, "case": call.options.get("case"),
            "timed": call.flavor.startswith("llamacpp"), "usage": usage.as_dict(),
            "input": usage.input() + extra.input(), "output": usage.output() + extra.output(), "cost": call.cost,
            "whole": is_whole})

    def bill_part(self, call, sent):
        """A stream that ended early: the input, and what was made by then."""
        part = bill.Usage(**call.usage.as_dict())
        part.reasoning = min(sent, part.reasoning)
        part.out = max(0, sent - part.reasoning)
        call.cost = self.server.provider.prices.cost(
            call.model, part, self.server.provider.arguments.prices_of)
        self.bill(call, part, False)

    def answer_call(self, form):
        try:
            call = self.read_call(form)
        except (ValueError, AttributeError, KeyError, IndexError) as e:
            self.answer_json(400, form.error(400, f"the request cannot be read: {e}"))
            return
        if not call.asked:
            self.answer_json(400, form.error(400, "the request names no model"))
            return
        self.server.provider.pause(float(call.options.get("wait", 0)))
        special = getattr(self, "scenario_" + call.scenario, None)
        if special:
            special(call, form)
        elif form.is_stream(call, self.target.path):
            self.answer_stream(call, form)
        else:
            self.answer_whole(call, form)

    def answer_whole(self, call, form):
        body = formats.dump(form.whole(call)).encode()
        more = {}
        if call.scenario == "gzip":
            body, more = gzip.compress(body), {"Content_Encoding": "gzip"}
        length = len(body) + {"longer": 100, "shorter": -100}.get(call.scenario, 0)
        if call.scenario in ("cut", "reset", "stall"):
            body = body[:int(call.options.get("after", 40))]
        self.headers_out(200, "application/json", Content_Length=str(length), **more)
        self.bill(call, call.usage, call.scenario not in ("cut", "reset", "stall"))
        self.wfile.write(body)
        self.end_badly(call.scenario)

    def write_piece(self, call, data):
        size = 1 if call.options.get("split") else len(data)
        for at in range(0, len(data), size):
            piece = data[at:at + size]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))

    def answer_stream(self, call, form):
        is_list = form.family == "gemini" and call.options["alt"] != "sse"
        kind = "application/json" if is_list else "text/event-stream; charset=utf-8"
        pack = gzip_pieces() if call.scenario == "gzip" else lambda text: text
        more = {"Content_Encoding": "gzip"} if call.scenario == "gzip" else {}
        bad = call.scenario in ("cut", "reset", "stall", "inband")
        after = int(call.options.get("after", 5)) if bad else None
        delay = float(call.options.get("delay", 0))
        self.headers_out(200, kind, Transfer_Encoding="chunked", Cache_Control="no-cache", **more)
        sent, pending, billed = 0, None, False
        try:
            # One behind: the bill is written before the last.
            for text, tokens in itertools.islice(form.events(call), after):
                if pending is not None:
                    self.write_piece(call, pending)
                    sent += held
                    self.server.provider.pause(delay)
                text = text.replace("\n", "\r\n") if call.options.get("crlf") else text
                pending, held = pack(text.encode()), tokens
            if bad:
                self.write_piece(call, pending)
                self.bill_part(call, sent + held)
            else:
                self.bill(call, call.usage, True)
            billed = True
            if call.scenario == "inband":
                self.write_piece(call, pack(form.event_error(call).encode()))
            elif bad:
                self.end_badly(call.scenario)
            else:
                self.write_piece(call, pending)
            self.wfile.write(b"0\r\n\r\n")
        except OSError:
            if not billed:
                self.bill_part(call, sent)
            raise

    def end_badly(self, scenario):
        """Ends the connection, or does not."""
        if scenario == "stall":
            self.wait_for_end()
        if scenario == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if scenario in ("cut", "reset", "stall", "longer", "shorter"):
            self.wfile.flush()
            raise ConnectionAbortedError

    def wait_for_end(self):
        try:
            while self.connection.recv(65536):
                pass
        except OSError:
            pass

    # --- scenarios that are no answers ---

    def scenario_fail(self, call, form):
        status = int(call.options.get("status", 500))
        more = {"Retry_After": call.options["retry"]} if "retry" in call.options else {}
        self.answer_json(status, form.error(status, f"scenario: status {status}"), **more)

    def scenario_once(self, call, form):
        if self.server.provider.is_new(call.options.get("tag", "")):
            self.scenario_fail(call, form)
        elif form.is_stream(call, self.target.path):
            self.answer_stream(call, form)
        else:
            self.answer_whole(call, form)

    def scenario_endless(self, call, form):
        call.usage.out, call.options["chunk"] = 1 << 40, call.options.get("chunk", 8)
        if form.is_stream(call, self.target.path):
            self.answer_endless(call, form)
        else:
            self.headers_out(200, "application/json", Transfer_Encoding="chunked")
            for piece in itertools.chain([b'{"choices":['], itertools.repeat(b'"text wort ",')):
                self.write_piece(call, piece)

    def answer_endless(self, call, form):
        call.usage.out = 1  # then a copy of one event, again and again
        events = list(form.events(call))
        at = next(i for i, (_, tokens) in enumerate(events) if tokens)
        is_list = form.family == "gemini" and call.options["alt"] != "sse"
        delay, sent = float(call.options.get("delay", 0)), 0
        self.headers_out(200, "application/json" if is_list else "text/event-stream",
                         Transfer_Encoding="chunked")
        try:
            for text, _ in events[:at]:
                self.write_piece(call, text.encode())
            while not self.server.provider.is_over.is_set():
                text = events[at][0]
                if is_list and sent:
                    text = "," + text.lstrip("[")
                self.write_piece(call, text.encode())
                sent += 1
                self.server.provider.pause(delay)
        finally:
            self.bill_part(call, sent)

    def scenario_silent(self, call, form):
        self.wait_for_end()
        raise ConnectionAbortedError

    def scenario_huge(self, call, form):
        """Written in parts: it need not fit into memory here."""
        size = int(call.options.get("size", 1 << 24))
        call.usage.out, call.stand_in = size // 5, "@@text@@"
        call.cost = self.make_cost(call)
        before, after = formats.dump(form.whole(call)).encode().split(b"@@text@@")
        self.headers_out(200, "application/json",
                         Content_Length=str(len(before) + size + len(after)))
        self.wfile.write(before)
        block = b"text " * 13107
        for at in range(0, size, len(block)):
            self.wfile.write(block[:size - at])
        self.bill(call, call.usage, True)
        self.wfile.write(after)

    def scenario_redirect(self, call, form):
        self.answer_json(307, {}, Location=call.options.get("to", "/v1/elsewhere"))

    def scenario_echo(self, call, form):
        status = int(call.options.get("status", 401))
        text = "Incorrect API key provided: " + ", ".join(self.credentials())
        self.answer_json(status, form.error(status, text), x_echo=" ".join(self.credentials()))

    def scenario_headers(self, call, form):
        self.wfile.write(b"HTTP/1.1 200 OK\r\n")
        for i in range(1 << 20):
            self.wfile.write(b"x-more-%d: %s\r\n" % (i, b"y" * 64))

    def scenario_garbage(self, call, form):
        self.wfile.write(b"\0\1\2 what is this?\n" * 8)
        raise ConnectionAbortedError


def gzip_pieces():
    import zlib
    packer = zlib.compressobj(wbits=31)
    return lambda data: packer.compress(data) + packer.flush(zlib.Z_SYNC_FLUSH)


class Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = daemon_threads = True
    request_queue_size = 512

    def __init__(self, provider, address, tls=None):
        self.provider, self.tls = provider, tls
        super().__init__(address, Handler)

    def handle_error(self, request, client_address):
        if not isinstance(sys.exc_info()[1], (OSError, ssl.SSLError)):
            super().handle_error(request, client_address)


class Provider:
    def __init__(self, arguments):
        self.arguments = arguments
        self.prices = bill.Prices(*arguments.prices)
        self.bill, self.log = bill.Journal(arguments.bill), bill.Journal(arguments.log)
        self.ids, self.is_over = itertools.count(1), threading.Event()
        self.tags, self.lock = set(), threading.Lock()

    def is_new(self, tag):
        with self.lock:
            is_new = tag not in self.tags
            self.tags.add(tag)
            return is_new

    def pause(self, seconds):
        if seconds > 0:
            self.is_over.wait(seconds)

    def serve(self):
        a, servers = self.arguments, []
        servers.append(Server(self, (a.host, a.port)))
        if a.cert:
            tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            tls.load_cert_chain(a.cert, a.key)
            tls.set_alpn_protocols(["http/1.1"])
            servers.append(Server(self, (a.host, a.tls_port), tls))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: self.is_over.set())
        for server in servers:
            threading.Thread(target=server.serve_forever, daemon=True).start()
        print(*(server.server_address[1] for server in servers), flush=True)
        self.is_over.wait()
        for server in servers:
            server.socket.close()
        os._exit(0)  # the threads of open calls wait for nothing that still matters


def main():
    root = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--tls-port", type=int, default=0)
    parser.add_argument("--cert")
    parser.add_argument("--key")
    parser.add_argument("--bill")
    parser.add_argument("--log")
    parser.add_argument("--key-sent", help="the one credential that is taken")
    parser.add_argument("--prices", action="append", help="price files, a later one wins")
    parser.add_argument("--prices-of", help="the name that the price files have for this provider")
    arguments = parser.parse_args()
    arguments.prices = arguments.prices or [os.path.join(root, "data", "model_prices.json")]
    Provider(arguments).serve()


if __name__ == "__main__":
    main()
