"""Validates JSON documents against sms.schema.json, one question a line.

Reads {"schema": "create" | "activity", "document": ...} lines on stdin (or
"text": the document as JSON text, so that broken JSON is an answer too) and
writes {"ok": true} or {"ok": false, "errors": [...]}, one line each.
"""
import datetime
import json
import os
import re
import sys

import jsonschema

NAMES = {"create": "CreateSMSActivity", "activity": "SMSActivity"}

DATE_TIME = re.compile(
    r"\d{4}-\d\d-\d\dT([01]\d|2[0-3]):\d\d:\d\d(\.\d+)?"
    r"(Z|[+-]\d\d:\d\d)", re.ASCII)


def is_date_time(value):
    """RFC 3339's date-time, but for leap seconds. jsonschema checks it only
    where a further package is installed, which Debian does not have."""
    if not isinstance(value, str):
        return True
    try:
        datetime.datetime.fromisoformat(value)
    except ValueError:
        return False
    return DATE_TIME.fullmatch(value) is not None


def unique(pairs):
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a member occurs twice")
    return members


def no_constant(name):
    raise ValueError(name + " is not JSON")


def parse(text):
    return json.loads(text, object_pairs_hook=unique,
                      parse_constant=no_constant)


def make_validators():
    path = os.path.join(os.path.dirname(os.path.abspath(__file__)),
                        "sms.schema.json")
    with open(path, encoding="utf-8") as file:
        schema = json.load(file)
    kind = jsonschema.Draft202012Validator
    formats = jsonschema.FormatChecker(formats=[])
    formats.checks("date-time")(is_date_time)
    kind.check_schema(schema)
    return {
        name: kind({**schema, "$ref": "#/$defs/" + definition},
                   format_checker=formats)
        for name, definition in NAMES.items()
    }


def answer(validators, line):
    try:
        question = json.loads(line.decode("utf-8"))
        document = question.get("document")
        if "text" in question:
            document = parse(question["text"])
    except (ValueError, RecursionError) as error:
        return [str(error)]
    errors = validators[question["schema"]].iter_errors(document)
    return sorted(error.json_path + ": " + error.message for error in errors)


def main():
    validators = make_validators()
    for line in sys.stdin.buffer:
        errors = answer(validators, line)
        reply = {"ok": False, "errors": errors} if errors else {"ok": True}
        sys.stdout.write(json.dumps(reply) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
