# SPDX-License-Identifier: Apache-2.0
"""Validates records against doc/tlstall.schema.json, and rejects members that it does not know."""
import functools
import json
import pathlib

PATH = pathlib.Path(__file__).resolve().parents[2] / "doc" / "tlstall.schema.json"


def strict(schema):
    """The same, but closed: readers ignore unknown members, tests do not."""
    if isinstance(schema, list):
        return [strict(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(part) for key, part in schema.items()}
    if "properties" in schema and isinstance(schema.get("type"), str):
        closed["additionalProperties"] = False
    return closed


@functools.lru_cache
def validators():
    """One for each type of record, so that an error says what is wrong instead of "no type fits". None
    on Debian 11, which lacks the package: there, only versions of OpenSSL are tested."""
    try:
        import fastjsonschema  # pylint: disable=import-outside-toplevel
    except ImportError:
        return None
    schema = strict(json.loads(PATH.read_text(encoding="utf-8")))
    return {name: fastjsonschema.compile({"$schema": schema["$schema"], "definitions": schema["definitions"],
                                          "$ref": f"#/definitions/{name}"})
            for name in schema["definitions"]}


def check(record):
    if validators() is None:
        return
    assert record.get("type") in validators(), record
    validators()[record["type"]](record)
