#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
# Validates a JSON document against a schema whose references are files beside it.
#   validate_schema.py SCHEMA DOCUMENT
import json
import pathlib
import sys

import jsonschema

schema_path = pathlib.Path(sys.argv[1]).resolve()
schema = json.loads(schema_path.read_text())
document = json.loads(pathlib.Path(sys.argv[2]).read_text())
resolver = jsonschema.RefResolver(schema_path.as_uri(), schema)
errors = list(jsonschema.Draft4Validator(schema, resolver=resolver).iter_errors(document))
for error in errors:
    print("/".join(str(p) for p in error.absolute_path) + ": " + error.message, file=sys.stderr)
sys.exit(1 if errors else 0)
