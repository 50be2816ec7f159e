#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Holds a ledger against what the test provider billed, and against its limits.

    ledger.py check LEDGER [--bill FILE] [--one-by-one] [--max-tokens N] [--max-cost N] [--open]
    ledger.py watch LEDGER [--max-tokens N] [--max-cost N]

`check` adds all counters up again from their calls, and wants every call of a whole answer charged
with exactly what was billed for it, every other with at least that, and nothing else. --one-by-one:
the calls were made one after the other, each is compared with its own line of the bill.
`watch` looks at the counters again and again until SIGTERM, and fails if what was spent and reserved
was once more than a limit. Both say what they saw in one line of JSON."""

import argparse
import collections
import json
import signal
import sqlite3
import sys
import time


def connect(path):
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=30, isolation_level=None)
    db.row_factory = sqlite3.Row
    return db


def verify_counters(db, faults):
    """What the sums of a counter must be: those of its calls."""
    for c in db.execute("SELECT * FROM counter"):
        sums = db.execute(
            "SELECT coalesce(sum(CASE WHEN state IN ('settled', 'recovered') THEN call.tokens END), 0),"
            " coalesce(sum(CASE WHEN state IN ('settled', 'recovered') THEN call.cost END), 0),"
            " coalesce(sum(CASE WHEN state = 'open' THEN tokens_reserved END), 0),"
            " coalesce(sum(CASE WHEN state = 'open' THEN cost_reserved END), 0)"
            " FROM call JOIN part ON part.call = call.id WHERE part.counter = ?", (c["id"],)).fetchone()
        found = (c["tokens"], c["cost"], c["tokens_reserved"], c["cost_reserved"])
        if tuple(sums) != found:
            faults.append(f"counter {c['scope']} {c['name']}: {found}, its calls: {tuple(sums)}")


def over_limits(db, a):
    """Counters that hold more than a limit and what was added to it."""
    over = []
    for c in db.execute("SELECT * FROM counter"):
        for what, limit in (("tokens", a.max_tokens), ("cost", a.max_cost)):
            used = c[what] - c[what + "_forgiven"] + c[what + "_reserved"]
            if limit is not None and used > limit + c[what + "_added"]:
                over.append(f"counter {c['scope']} {c['name']}: {used} {what} of {limit}")
    return over


def is_exact(line):
    return line["whole"] and (line["scenario"] != "nousage" or line.get("timed"))


def name_of(line):
    return f"bill {line['id']} ({line.get('case') or line['scenario']}, {line['model']})"


def compare_one(line, call, faults):
    tokens = line["input"] + line["output"]
    if is_exact(line):
        if (call["tokens"], call["cost"]) != (tokens, line["cost"]) or call["estimated"]:
            faults.append(f"{name_of(line)}: billed {tokens} tokens and {line['cost']}, ledger: "
                          f"{dict(call)}; usage {line['usage']}")
    elif call["tokens"] < tokens or call["cost"] < (line["cost"] or 0) or not call["estimated"]:
        faults.append(f"{name_of(line)}: billed {tokens} tokens and {line['cost']} without saying "
                      f"so, ledger: {dict(call)}")


def compare_sums(lines, calls, faults):
    """Calls that were made at once: each exact line of the bill has a call of its own."""
    settled = collections.Counter((c["tokens"], c["cost"]) for c in calls if not c["estimated"])
    billed = collections.Counter(
        (b["input"] + b["output"], b["cost"]) for b in lines if is_exact(b))
    estimated = sum(bool(c["estimated"]) or c["state"] == "recovered" for c in calls)
    for key, n in (settled - billed).items():
        faults.append(f"{n} calls of {key} (tokens, cost) that were not billed")
    lost = sum((billed - settled).values())
    if lost > estimated:
        faults.append(f"{lost} lines of the bill are in no call, and {estimated} calls are estimated: "
                      f"{list((billed - settled).items())[:3]}")
    if sum(c["cost"] for c in calls) < sum(b["cost"] or 0 for b in lines):
        faults.append("less is charged than was billed")


def check(a):
    db, faults = connect(a.ledger), []
    verify_counters(db, faults)
    faults += over_limits(db, a)
    calls = db.execute("SELECT * FROM call WHERE state != 'released' ORDER BY id").fetchall()
    open_calls = sum(c["state"] == "open" for c in calls)
    if open_calls and not a.open:
        faults.append(f"{open_calls} calls are open")
    lines = []
    if a.bill:
        with open(a.bill, encoding="utf-8") as f:
            lines = [json.loads(line) for line in f]
    if a.bill and a.one_by_one:
        if len(calls) != len(lines):
            faults.append(f"{len(calls)} calls, {len(lines)} lines of the bill")
        for line, call in zip(lines, calls):
            compare_one(line, call, faults)
    elif a.bill:
        compare_sums(lines, calls, faults)
        if len(calls) < len(lines):
            faults.append(f"{len(calls)} calls, {len(lines)} lines of the bill")
    for what, limit in (("input", a.max_tokens), ("cost", a.max_cost)):
        billed = sum((b["cost"] or 0) if what == "cost" else b["input"] + b["output"] for b in lines)
        if limit is not None and billed > limit:
            faults.append(f"the provider billed {billed}, the limit is {limit}")
    states = collections.Counter(c["state"] for c in calls)
    print(json.dumps({
        "calls": len(calls), "bills": len(lines), **states, "faults": len(faults),
        "estimated": sum(c["estimated"] for c in calls),
        "tokens": sum(c["tokens"] for c in calls), "cost": sum(c["cost"] for c in calls),
        "billed": sum(b["cost"] or 0 for b in lines)}))
    for fault in faults[:20]:
        print(fault)
    return 1 if faults else 0


def watch(a):
    ended, looks, highest, over = [], 0, {"tokens": 0, "cost": 0}, []
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: ended.append(True))
    db = connect(a.ledger)
    print("watching", flush=True)
    while not over and not ended:
        # One statement: one state of the file.
        over = over_limits(db, a)
        for row in db.execute("SELECT max(tokens + tokens_reserved), max(cost + cost_reserved) FROM counter"):
            highest = {"tokens": max(highest["tokens"], row[0] or 0),
                       "cost": max(highest["cost"], row[1] or 0)}
        looks += 1
        time.sleep(0.002)
    print(json.dumps({"looks": looks, **highest, "over": over}))
    return 1 if over else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("what", choices=("check", "watch"))
    parser.add_argument("ledger")
    parser.add_argument("--bill")
    parser.add_argument("--one-by-one", action="store_true")
    parser.add_argument("--open", action="store_true", help="calls may be under way")
    parser.add_argument("--max-tokens", type=int)
    parser.add_argument("--max-cost", type=int, help="in picodollars")
    a = parser.parse_args()
    sys.exit(check(a) if a.what == "check" else watch(a))


if __name__ == "__main__":
    main()
