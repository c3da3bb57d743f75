#!/usr/bin/env python3
"""Writes tests/data/sampling/grammars.json: which strings Python's re matches as a whole (ASCII classes), and which
JSON texts jsonschema finds valid. Run: python tests/goldens/sampling_grammars.py. The seed is fixed."""
import importlib.metadata
import json
import pathlib
import platform
import random
import re

import jsonschema

OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "sampling" / "grammars.json"
rng = random.Random(5)

PATTERNS = ["a*b", "(a|b)*c{2,3}", "[a-c]+x?", "[^a-c]{1,3}", r"\d{2,}-\w+", r"\S\s\S", r"(ab|a)(c|bcd)?", "^a|b$", ".",
            "a.b", r"[\d\-x]*", "[]a]+", r"\x61\u00e9", "(?:ab){0,2}", "é+[à-ü]", r"\.\*\[", "", "(a*)*b", "[^\\n]*", r"\W\D"]
ALPHABET = list("abcdx019-_ .*[]\n\té") + ["à", "東", "😀"]

SCHEMAS = [
    {"type": "object", "properties": {"a": {"type": "integer", "minimum": -7, "maximum": 120}, "b": {"type": "string", "maxLength": 3},
     "c": {"enum": ["x", 1, None]}}, "required": ["b"], "additionalProperties": False},
    {"type": "array", "items": {"type": "number", "minimum": 2, "maximum": 30}, "minItems": 1, "maxItems": 3},
    {"type": "array", "prefixItems": [{"type": "boolean"}, {"type": "integer"}], "items": False, "minItems": 1},
    {"anyOf": [{"type": ["string", "null"]}, {"type": "integer", "exclusiveMinimum": 10}]},
    {"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {"v": {"type": "integer"},
     "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}}, "required": ["v", "next"], "additionalProperties": False}}},
    {"type": "string", "pattern": "^a[\"b]+$"},
    {"type": "string", "pattern": "b"},
    {"type": "object", "properties": {"a": {"type": "integer"}, "ab": {"type": "null"}}, "additionalProperties": {"type": "boolean"}},
    {"allOf": [{"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]},
               {"properties": {"b": {"type": "boolean"}}}]},
    {"oneOf": [{"type": "object", "properties": {"k": {"const": "x"}, "n": {"type": "integer"}}, "required": ["k", "n"],
                "additionalProperties": False},
               {"type": "object", "properties": {"k": {"const": "y"}}, "required": ["k"], "additionalProperties": False}]},
    {"type": "string", "format": "date"},
]


def strings(pattern):
    out = {"", "ab", "a", "b", "c", "abcd", "a\nb", "aé", "éé", "éü", ".*[", "12-ab", "x y", "-x1"}
    for _ in range(60):
        out.add("".join(rng.choice(ALPHABET) for _ in range(rng.randrange(7))))
    for _ in range(40):
        out.add("".join(rng.choice("abcx") for _ in range(rng.randrange(6))))
    return sorted(out)


def value(depth=0):
    pick = rng.randrange(9 if depth < 3 else 6)
    if pick < 2:
        return rng.choice([-8, -7, -1, 0, 1, 2, 7, 10, 11, 29, 30, 31, 99, 120, 121, 1000])
    if pick == 2:
        return rng.choice([1.5, 2.0, 2.25, 29.5, 30.0, 30.5])
    if pick == 3:
        return rng.choice(["", "x", "ab", "abcd", "a\"b", "b", "abab", "é", "y", "2024-02-30", "2024-12-31", "2024-13-01"])
    if pick < 6:
        return rng.choice([True, False, None])
    if pick == 6:
        return [value(depth + 1) for _ in range(rng.randrange(5))]
    keys = ["a", "b", "c", "ab", "k", "n", "v", "next", "other"]
    return {k: value(depth + 1) for k in keys if rng.random() < 0.3}


def mutated(v):
    """A value near the schema's own: built from typical ones by exchanging a part."""
    seeds = [{"a": 5, "b": "xy", "c": 1}, {"b": "x"}, [2, 3.5, 30], [True, 3], {"v": 1, "next": {"v": 2, "next": None}}, "ab",
             {"a": 1, "ab": None, "other": True}, {"a": 1, "b": True}, {"k": "x", "n": 3}, {"k": "y"}, "2023-04-30", 12, None]
    base = json.loads(json.dumps(rng.choice(seeds)))
    if rng.random() < 0.6 and isinstance(base, dict) and base:
        base[rng.choice(list(base))] = v
    elif rng.random() < 0.6 and isinstance(base, list):
        base[rng.randrange(len(base))] = v
    return base


def main():
    cases = {"versions": {"python": platform.python_version(), "jsonschema": importlib.metadata.version("jsonschema")},
             "regex": [], "schemas": []}
    for p in PATTERNS:
        whole = re.compile(p, re.ASCII)
        cases["regex"].append({"pattern": p, "strings": [[s, whole.fullmatch(s) is not None] for s in strings(p)]})
    for s in SCHEMAS:
        check = jsonschema.Draft202012Validator(s, format_checker=jsonschema.FormatChecker())
        texts = {}
        for _ in range(250):
            v = value()
            v = v if rng.random() < 0.4 else mutated(v)
            texts[json.dumps(v, ensure_ascii=False)] = check.is_valid(v)
        cases["schemas"].append({"schema": json.dumps(s, ensure_ascii=False), "texts": sorted(texts.items())})
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(cases, ensure_ascii=False, indent=0) + "\n")


main()
