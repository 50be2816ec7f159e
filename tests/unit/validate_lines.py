#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Validates a file of JSON documents, one a line, against a schema of draft 2020-12.
#   validate_lines.py SCHEMA LINES
import json
import sys

import jsonschema

with open(sys.argv[1]) as f:
    schema = json.load(f)
jsonschema.Draft202012Validator.check_schema(schema)
validator = jsonschema.Draft202012Validator(schema)
lines = 0
with open(sys.argv[2]) as f:
    for line in f:
        lines += 1
        for error in validator.iter_errors(json.loads(line)):
            sys.exit(line + "/".join(str(p) for p in error.absolute_path) + ": " + error.message)
sys.exit(0 if lines else "no lines")
