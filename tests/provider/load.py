#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Makes LLM calls, many at a time, and says how they went in one line of JSON.

    load.py --url URL [--url URL]... --prompt TEXT [OPTION]...

Calls go to the URLs in turn (a gateway's, with the provider's name: http://127.0.0.1:4141/openai).
With --kill, everything behind `--` is the command of a gateway that prints where it listens, and URLs
are paths there: each of --rounds starts one, makes the calls, and kills it with SIGKILL after a
random number of events of their streams."""

import argparse
import collections
import concurrent.futures
import http.client
import json
import random
import signal
import subprocess
import sys
import threading
from urllib.parse import urlsplit


class Seen:
    def __init__(self):
        self.lock = threading.Condition()
        self.counts = collections.Counter()
        self.events = 0

    def count(self, word):
        with self.lock:
            self.counts[word] += 1

    def event(self):
        with self.lock:
            self.events += 1
            self.lock.notify_all()


def request_body(a):
    kind = {"messages": [{"role": "user", "content": a.prompt}], "stream": a.stream}
    body = {"model": a.model, **kind}
    if a.max is not None:
        body["max_tokens" if a.api == "messages" else "max_completion_tokens"] = a.max
    body.update(json.loads(a.more))
    return json.dumps(body).encode()


PATHS = {"chat": "/v1/chat/completions", "messages": "/v1/messages"}


def one_call(a, url, body, seen):
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=a.timeout)
    try:
        connection.request("POST", parts.path + PATHS[a.api], body, {
            "Content-Type": "application/json", "Authorization": "Bearer " + a.key})
        answer = connection.getresponse()
        seen.count(str(answer.status))
        if answer.status != 200:
            seen.count("reason " + answer.headers.get("x-purple-reason", "none"))
            answer.read()
            return
        if not a.stream:
            answer.read()
            seen.count("whole")
            return
        read_stream(a, connection, answer, seen)
    except (OSError, http.client.HTTPException):
        seen.count("broken")
    finally:
        connection.close()


def read_stream(a, connection, answer, seen):
    events, last = 0, b""
    while line := answer.readline():
        if not line.startswith(b"data:"):
            continue
        events, last = events + 1, line
        seen.event()
        if a.abort and events >= a.abort:
            seen.count("aborted")
            return
    if b"insufficient_quota" in last or b"billing_error" in last:
        seen.count("stopped")
    elif b"[DONE]" in last or b"message_stop" in last:
        seen.count("whole")
    else:
        seen.count("cut")


def make_calls(a, urls, seen):
    body = request_body(a)
    with concurrent.futures.ThreadPoolExecutor(a.parallel) as pool:
        list(pool.map(lambda i: one_call(a, urls[i % len(urls)], body, seen), range(a.count)))


def kill_rounds(a, seen):
    chance = random.Random(a.seed)
    for _ in range(a.rounds):
        with subprocess.Popen(a.gateway, stdout=subprocess.PIPE, text=True) as gateway:
            calls = None
            try:
                address = gateway.stdout.readline().strip()
                if not address:
                    raise SystemExit(f"load: the gateway ended with status {gateway.wait()}")
                with seen.lock:
                    target = seen.events + chance.randrange(1, a.kill)
                urls = [f"http://{address}{url}" for url in a.url]
                calls = threading.Thread(target=make_calls, args=(a, urls, seen))
                calls.start()
                with seen.lock:
                    seen.lock.wait_for(lambda: seen.events >= target or not calls.is_alive(),
                                       a.timeout)
            finally:
                gateway.send_signal(signal.SIGKILL)
            calls.join()
            seen.count("killed")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--url", action="append", required=True)
    parser.add_argument("--api", choices=list(PATHS), default="chat")
    parser.add_argument("--model", default="gpt-5-mini")
    parser.add_argument("--prompt", default="scenario: plain")
    parser.add_argument("--more", default="{}", help="JSON: further members of the request")
    parser.add_argument("--key", default="none")
    parser.add_argument("--count", type=int, default=1)
    parser.add_argument("--parallel", type=int, default=1)
    parser.add_argument("--stream", action="store_true")
    parser.add_argument("--max", type=int, help="most tokens to ask for")
    parser.add_argument("--abort", type=int, help="hang up after so many events")
    parser.add_argument("--timeout", type=float, default=120)
    parser.add_argument("--kill", type=int, metavar="N", help="after 1 to N events")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("gateway", nargs="*")
    a = parser.parse_args()
    seen = Seen()
    if a.kill:
        kill_rounds(a, seen)
    else:
        make_calls(a, a.url, seen)
    print(json.dumps({**seen.counts, "events": seen.events}))
    sys.exit(0)


if __name__ == "__main__":
    main()
