#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What is generated from the policy language's table: the JSON Schema is valid draft 2020-12, takes
# every shipped policy and is never stricter than the reader; the man page has no formatting faults
# and its example is a policy that Purple accepts.
# Needs python3 with jsonschema and yaml, and groff. Without them it is skipped (77), except
# under PURPLE_STRICT=1, where it fails.
set -eu
top=${srcdir:-.}
docs=${POLICY_DOCS:-./tests/unit/policy_docs}
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT

missing() {
	echo "schema_check: needs $1" >&2
	[ "${PURPLE_STRICT:-0}" = 1 ] && exit 1
	exit 77
}

python=
for p in python3 /usr/bin/python3; do
	if "$p" -c 'import jsonschema, yaml; jsonschema.Draft202012Validator' 2>/dev/null; then
		python=$p
		break
	fi
done
[ -n "$python" ] || missing "python3-jsonschema and python3-yaml"
command -v groff >/dev/null || missing groff

"$docs" schema >"$tmp/schema.json"
"$docs" man >"$tmp/purple-policy.5"

groff -man -Tutf8 -ww -z "$tmp/purple-policy.5" 2>"$tmp/faults" || true
if [ -s "$tmp/faults" ]; then
	cat "$tmp/faults" >&2
	exit 1
fi
sed -n '/^\.SH EXAMPLE/,/^\.fi/{/^\./d;s/\\-/-/g;p}' "$tmp/purple-policy.5" >"$tmp/code-reader.yaml"
grep -q '^name: code-reader' "$tmp/code-reader.yaml"
"$docs" check "$tmp/code-reader.yaml"

"$python" - "$tmp/schema.json" "$top" "$docs" "$tmp" <<'PY'
import glob, json, re, subprocess, sys
import jsonschema, yaml

schema_path, top, docs, tmp = sys.argv[1:]
schema = json.load(open(schema_path))
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)


class Loader(yaml.SafeLoader):
    """YAML 1.2's core schema, as far as policies need it: no yes, no octal, no dates."""


Loader.yaml_implicit_resolvers = {}
for tag, pattern, first in [
    ("bool", r"^(true|True|TRUE|false|False|FALSE)$", "tTfF"),
    ("null", r"^(~|null|Null|NULL|)$", ["~", "n", "N", ""]),
    ("int", r"^([-+]?(0|[1-9][0-9]*)|0x[0-9A-Fa-f]+|0o[0-7]+)$", "-+0123456789"),
    ("float", r"^([-+]?[0-9]+(\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?\.(inf|nan))$", "-+.0123456789"),
]:
    Loader.add_implicit_resolver("tag:yaml.org,2002:" + tag, re.compile(pattern), list(first))
Loader.add_constructor("tag:yaml.org,2002:int", lambda l, n: int(n.value, 0))
Loader.add_constructor("tag:yaml.org,2002:float", lambda l, n: float(re.sub(r"\.(nan|inf)", r"\1", n.value)))


def valid(text):
    return not list(validator.iter_errors(yaml.load(text, Loader)))


good = sorted(glob.glob(top + "/policies/*.yaml")) + [top + "/tests/unit/data/readme-policy.yaml"]
assert len(good) >= 12, good
for path in good:
    errors = list(validator.iter_errors(yaml.load(open(path), Loader)))
    assert not errors, (path, errors[0].message)

# The reader refuses all of these; the schema cannot refuse every one, but most.
cases = open(top + "/tests/unit/data/policy-bad.txt").read().split("\n=== ")[1:]
refused = readable = 0
for case in cases:
    message, text = case.split("\n", 1)
    try:
        ok = valid(text)
    except yaml.YAMLError:
        continue
    readable += 1
    refused += not ok
print(f"{len(good)} policies are valid; {refused} of {readable} bad ones are refused by the schema")
assert readable > 300 and refused > 0.6 * readable

# What the reader takes, the schema takes.
for path in sorted(glob.glob(top + "/tests/fuzz/corpus/policy/*")):
    if subprocess.run([docs, "check", path], stdout=subprocess.DEVNULL).returncode == 0:
        assert valid(open(path, encoding="utf-8-sig").read()), path

for text, want in [
    ("name: x", True), ("nam: x", False), ("name: X", False), ("name: 5", False),
    ("name: x\nnetwork: {isolated: 'true'}", False),
    ("name: x\nresources: {memory_limit_bytes: 512M, cpu_shares: 0.5}", True),
    ("name: x\nresources: {cpu_shares: 0}", False),
    ("name: x\nresources: {pids_limit: 0}", False),
    ("name: x\nfilesystem: {scratch_paths: [/a/../b]}", False),
    ("name: x\nfilesystem: {scratch_paths: [/a..b]}", True),
    ("name: x\nfilesystem: {output_paths: [{sandbox_path: /o}]}", False),
    ("name: x\nnetwork: {allow_outgoing: ['[::1]:443', '*.a.b:1-2/udp', 443]}", True),
    ("name: x\nnetwork: {blocked_ips: ['::1', 1.2.3.4/32]}", True),
    ("name: x\nai_policy: {budget: {max_cost: $5.00}}", True),
    ("name: x\nai_policy: {budget: {period: week}}", False),
]:
    assert valid(text) == want, text
PY
