#!/usr/bin/env python3
"""Goldens of valid/invalid for qna.yaml files, judged by instructlab-schema; and a comparison on random mutations.

    python tests/goldens/taxonomy_goldens.py                       writes tests/data/taxonomy/cases.jsonl
    python tests/goldens/taxonomy_goldens.py --compare CHECKER [N] [SEED]
        compares CHECKER (build target taxonomy_check) on N random mutations; prints the agreement and each disagreement

instructlab-schema judges with the version taken from the file (schema_version=0) and without yamllint, whose findings
are no part of the schema. A file that it cannot parse (any exception) is invalid.
"""
import contextlib, copy, importlib.metadata, io, json, logging, os, pathlib, random, subprocess, sys, tempfile

import yaml
from instructlab.schema.taxonomy import TaxonomyParser

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE.parent / "data" / "taxonomy" / "cases.jsonl"
SEED = 20240601
os.environ["PATH"] = "/nonexistent"  # neither yamllint nor yq
logging.disable(logging.CRITICAL)

KNOWLEDGE = """\
version: 3
domain: Ferries
created_by: lab
seed_examples:
""" + "".join(f"""\
  - context: |
      Boat {n} is {c}.
    questions_and_answers:
      - question: Which colour has boat {n}?
        answer: {c}
      - question: Which boat is {c}?
        answer: boat {n}
      - question: Is boat {n} {c}?
        answer: It is.
""" for n, c in [("Ada", "red"), ("Bea", "blue"), ("Cleo", "green"), ("Dora", "pink"), ("Edda", "grey")]) + """\
document_outline: Boats and their colours
document:
  repo: .
  commit: local
  patterns:
    - boats.md
"""
SKILL = """\
version: 2
task_description: Say a word twice.
created_by: lab
seed_examples:
""" + "".join(f"""\
  - question: Twice {w}
    answer: {w} {w}
""" for w in ["tea", "cup", "sun", "sea", "sky"])
GROUNDED = """\
version: 3
task_description: Find the colour.
created_by: lab
seed_examples:
""" + "".join(f"""\
  - context: The {t} is {c}.
    question: Which colour has the {t}?
    answer: {c}
""" for t, c in [("tea", "brown"), ("cup", "white"), ("sun", "gold"), ("sea", "blue"), ("sky", "grey")])
OLD = """\
created_by: IBM
seed_examples:
- answer: 'B. It is not a fruit.

    '
  question: Which is odd? A. plum B. nail C. pear
task_description: 'To teach odd one out.

  '
"""
DIRS = {"k": "knowledge/a/b", "c": "compositional_skills/a", "f": "foundational_skills/a", "n": "elsewhere/a"}


def judge(text, where):
    """Whether instructlab-schema finds no error in `text` at <tmp>/<DIRS[where]>/qna.yaml."""
    with tempfile.TemporaryDirectory(prefix="labtax") as top:
        folder = pathlib.Path(top) / DIRS[where]
        folder.mkdir(parents=True)
        path = folder / "qna.yaml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                return TaxonomyParser(schema_version=0, message_format="STANDARD").parse(path).errors == 0
        except BaseException as fault:  # noqa: B902 (RecursionError and friends mean: not readable)
            if isinstance(fault, KeyboardInterrupt):
                raise
            return False


def texts(text):
    """A hash of the seeds' texts as PyYAML reads them, blanks at both ends cut, for comparing the reading itself."""
    found = []
    tree = yaml.safe_load(text)
    for seed in (tree or {}).get("seed_examples", []):
        for pair in seed.get("questions_and_answers", [seed]):
            found += [seed.get("context", "").strip(" \t\r\n"), pair["question"].strip(" \t\r\n"), pair["answer"].strip(" \t\r\n")]
    value = 0xcbf29ce484222325
    for byte in "\x1f".join(found).encode():
        value = (value ^ byte) * 0x100000001b3 % 2**64
    return f"{value:016x}" if found else ""


def swap(text, old, new, count=1):
    assert old in text, old
    return text.replace(old, new, count)


def cases():
    """(name, where, text): each valid file, and one variant for each rule."""
    K, S, G, O = KNOWLEDGE, SKILL, GROUNDED, OLD
    yield "knowledge v3", "k", K
    yield "skill v2", "c", S
    yield "skill v2 as v3", "c", swap(S, "version: 2", "version: 3")
    yield "grounded skill v3", "c", G
    yield "skill v1 without version", "c", O
    yield "skill v1 with version", "c", "version: 1\n" + O
    yield "foundational v1", "f", O
    yield "foundational v3", "f", G
    yield "no root folder, skill", "n", S
    yield "no root folder, document means knowledge", "n", K
    yield "knowledge among compositional", "c", K
    yield "knowledge among foundational", "f", K
    yield "skill among knowledge", "k", G
    yield "empty file", "c", ""
    yield "only a comment", "c", "# nothing\n"
    yield "only a null", "c", "~\n"
    yield "empty mapping", "c", "{}\n"
    yield "empty list", "c", "[]\n"
    yield "top is a list", "c", "- a\n- b\n"
    yield "top is text", "c", "just words\n"
    yield "top is zero", "c", "0\n"
    yield "top is seven", "c", "7\n"
    yield "top is false", "c", "off\n"
    yield "top is true", "c", "on\n"
    yield "top is a date", "c", "2024-01-31\n"
    for key in ["version", "domain", "created_by", "document_outline"]:
        line = next(l for l in K.splitlines(True) if l.startswith(key + ":"))
        yield f"knowledge without {key}", "k", swap(K, line, "")
    yield "knowledge without document", "k", K[:K.index("document:\n")]
    yield "knowledge without seed_examples", "k", K[:K.index("seed_examples")] + K[K.index("document_outline"):]
    for key in ["version", "task_description", "created_by"]:
        line = next(l for l in S.splitlines(True) if l.startswith(key + ":"))
        yield f"skill v2 without {key}", "c", swap(S, line, "")
    yield "skill v2 without seed_examples", "c", S[:S.index("seed_examples")]
    yield "skill v1 without task_description", "c", O[:O.index("task_description")]
    yield "unknown key at the top", "k", K + "license: none\n"
    yield "misspelt key at the top", "c", swap(S, "task_description", "task_descripton")
    yield "task_description in knowledge v3", "k", K + "task_description: x\n"
    yield "domain in a skill", "c", S + "domain: x\n"
    yield "unknown key in a skill seed", "c", swap(S, "    answer: tea tea\n", "    answer: tea tea\n    note: x\n")
    yield "unknown key in a knowledge seed", "k", swap(K, "    questions_and_answers", "    note: x\n    questions_and_answers")
    yield "unknown key in a question", "k", swap(K, "        answer: red\n", "        answer: red\n        note: {a: [1, 2]}\n")
    yield "unknown key in document", "k", K + "  branch: main\n"
    yield "key that is a number", "k", K + "7: x\n"
    yield "key that is a boolean", "k", K + "on: x\n"
    for what, value in [("empty", '""'), ("null", ""), ("number", "7"), ("boolean", "yes"), ("date", "2024-01-31"),
                        ("list", "[a]"), ("mapping", "{a: b}"), ("decimal", "1.5"), ("sexagesimal", "1:30"), ("octal", "017"),
                        ("octal of YAML 1.2, text here", "0o17"), ("exponent without a dot, text here", "1e5"),
                        ("letter y, text", "y"), ("True in quotes", "'True'"), ("tilde", "~"), ("equals sign", "="),
                        ("infinity", ".inf"), ("time, sexagesimal", "12:30:45"), ("time 07.30, decimal", "07.30"),
                        ("version 1.2.3, text", "1.2.3"), ("month 13", "2024-13-01"), ("timestamp", "2024-01-31 10:00:00"),
                        ("hexadecimal", "0xff"), ("tagged text", "!!str 7"), ("unknown tag", "!mine 7"),
                        ("binary", "!!binary aGk=")]:
        yield f"created_by is {what}", "c", swap(S, "created_by: lab", "created_by: " + value)
    yield "domain empty", "k", swap(K, "domain: Ferries", "domain: ''")
    yield "document_outline empty", "k", swap(K, "Boats and their colours", "''")
    yield "v1 task_description may be empty", "c", O[:O.index("task_description")] + "task_description: ''\n"
    yield "v2 task_description may not be empty", "c", swap(S, "Say a word twice.", "''")
    yield "v1 needs one seed", "c", "created_by: x\ntask_description: x\nseed_examples: []\n"
    yield "v2 with four seeds", "c", S[:S.index("  - question: Twice sky")]
    yield "knowledge with four seeds", "k", K[:K.index("  - context: |\n      Boat Edda")] + K[K.index("document_outline"):]
    yield "knowledge seed with two questions", "k", swap(K, "      - question: Is boat Ada red?\n        answer: It is.\n", "")
    yield "knowledge seed with four questions", "k", swap(K, "        answer: It is.\n", "        answer: It is.\n      - question: More?\n        answer: No more.\n")
    yield "same skill seed twice", "c", swap(swap(S, "Twice sky", "Twice tea"), "sky sky", "tea tea")
    yield "same skill seed twice, keys in other order", "c", swap(S, "  - question: Twice sky\n    answer: sky sky", "  - answer: tea tea\n    question: Twice tea")
    yield "same seed twice in v1 is allowed", "c", swap(O, "task_description", "- {question: a, answer: b}\n- {question: a, answer: b}\ntask_description")
    yield "same question twice", "k", swap(swap(K, "Which boat is red?", "Which colour has boat Ada?"), "boat Ada\n      - question: Is", "red\n      - question: Is")
    yield "same pattern twice", "k", K + "    - boats.md\n"
    yield "two patterns", "k", K + "    - '**/*.txt'\n"
    yield "no pattern", "k", swap(K, "  patterns:\n    - boats.md\n", "  patterns: []\n")
    yield "pattern is text, not a list", "k", swap(K, "  patterns:\n    - boats.md\n", "  patterns: boats.md\n")
    yield "pattern is a number", "k", swap(K, "- boats.md", "- 7")
    yield "pattern starts with a star, an alias", "k", swap(K, "- boats.md", "- *.md")
    yield "commit is a number", "k", swap(K, "commit: local", "commit: 1234567")
    yield "commit like an exponent, text", "k", swap(K, "commit: local", "commit: 12e4567")
    yield "commit like a float", "k", swap(K, "commit: local", "commit: 1.2e+34")
    yield "document is text", "k", K[:K.index("document:\n")] + "document: boats.md\n"
    yield "document without repo", "k", swap(K, "  repo: .\n", "")
    yield "document without commit", "k", swap(K, "  commit: local\n", "")
    yield "seed without question", "c", swap(S, "  - question: Twice tea\n    answer", "  - answer")
    yield "seed without answer", "c", swap(S, "    answer: tea tea\n", "")
    yield "seed is text", "c", swap(S, "  - question: Twice tea\n    answer: tea tea\n", "  - tea\n")
    yield "seed with empty context", "c", swap(G, "The tea is brown.", "''")
    yield "some seeds without context", "c", swap(G, "  - context: The cup is white.\n    question", "  - question")
    yield "knowledge seed without context", "k", swap(K, "  - context: |\n      Boat Ada is red.\n    questions", "  - questions")
    yield "knowledge seeds of version 2", "k", swap(swap(GROUNDED, "task_description: Find the colour.", "domain: x"), "created_by", "document_outline: x\ndocument: {repo: a, commit: b, patterns: [c]}\ncreated_by")
    yield "seed_examples is a mapping", "c", "version: 2\ncreated_by: x\ntask_description: x\nseed_examples: {question: a, answer: b}\n"
    yield "seed_examples is null", "c", "version: 2\ncreated_by: x\ntask_description: x\nseed_examples:\n"
    yield "answer yes is a boolean", "k", swap(K, "answer: It is.", "answer: yes")
    yield "answer 42 is a number", "k", swap(K, "answer: It is.", "answer: 42")
    for v in ["0", "4", "-1", "2.0", "3.0", "2.5", "'3'", "'2'", "three", "true", "~", "[3]", "0x3", "0b11", "03", "+3", "3_", ".inf",
              ".nan", "99999999999999999999", "!!float 2", "!!int '2'", "0:3", "2024-01-31", "1", "3"]:
        yield f"skill, version {v}", "c", swap(S, "version: 2", "version: " + v)
    for v in ["1", "2", "'3'", "3.0"]:
        yield f"knowledge, version {v}", "k", swap(K, "version: 3", "version: " + v)
    yield "repeated key, last one counts", "c", "version: 7\n" + S
    yield "repeated key, last one is bad", "c", S + "created_by: 7\n"
    yield "merge key", "c", swap(S, "  - question: Twice tea\n    answer: tea tea\n  - question: Twice cup\n", "  - &t\n    question: Twice tea\n    answer: tea tea\n  - <<: *t\n    question: Twice cup\n")
    yield "merge of a text", "c", swap(S, "    answer: tea tea\n", "    <<: tea\n    answer: tea tea\n")
    yield "merge brings an unknown key", "c", swap(S, "    answer: tea tea\n", "    <<: {note: x}\n    answer: tea tea\n")
    yield "merge of a list", "c", swap(S, "    answer: tea tea\n", "    <<: [{answer: tea tea}, {answer: x}]\n")
    yield "alias used twice, not unique", "c", swap(S, "  - question: Twice tea\n    answer: tea tea\n", "  - &a {question: Twice tea, answer: tea tea}\n  - *a\n")
    yield "alias of a text", "c", swap(swap(S, "answer: tea tea", "answer: &x tea tea"), "answer: cup cup", "answer: *x")
    yield "alias without anchor", "c", swap(S, "answer: tea tea", "answer: *nothing")
    yield "anchor defined twice", "c", swap(swap(S, "answer: tea tea", "answer: &x tea tea"), "answer: cup cup", "answer: &x cup cup")
    yield "two documents", "c", S + "---\na: b\n"
    yield "document start and end", "c", "---\n" + S + "...\n"
    yield "YAML directive", "c", "%YAML 1.1\n---\n" + S
    yield "YAML directive 2.0", "c", "%YAML 2.0\n---\n" + S
    yield "tab as indentation", "c", swap(S, "    answer: tea tea", "\tanswer: tea tea")
    yield "wrong indentation", "c", swap(S, "    answer: tea tea", "   answer: tea tea")
    yield "colon inside plain text", "c", swap(S, "question: Twice tea", "question: Twice: tea")
    yield "colon in quotes", "c", swap(S, "question: Twice tea", "question: 'Twice: tea'")
    yield "open quote", "c", swap(S, "question: Twice tea", "question: 'Twice tea")
    yield "text behind a quote", "c", swap(S, "question: Twice tea", "question: 'Twice' tea")
    yield "starts with a percent sign", "c", swap(S, "question: Twice tea", "question: %tea")
    yield "starts with an at sign", "c", swap(S, "question: Twice tea", "question: @tea")
    yield "starts with a backquote", "c", swap(S, "question: Twice tea", "question: `tea`")
    yield "hash starts a comment", "c", swap(S, "question: Twice tea", "question: # tea")
    yield "list as a key", "c", S + "[a, b]: c\n"
    yield "mapping as a key", "c", S + "{a: b}: c\n"
    yield "open bracket", "c", S + "x: [a, b\n"
    yield "unknown escape", "c", swap(S, "question: Twice tea", 'question: "a \\q b"')
    yield "carriage returns", "c", S.replace("\n", "\r\n")
    yield "byte-order mark", "c", "\ufeff" + S
    yield "control character", "c", swap(S, "Twice tea", "Twice \x07 tea")
    yield "umlauts and emoji", "c", swap(S, "Twice tea", "Zweimal Täe \U0001f375")
    yield "trailing blanks", "c", swap(S, "Twice tea\n", "Twice tea  \n")
    yield "no line end at the end", "c", S[:-1]
    yield "folded and literal texts", "c", swap(swap(S, "answer: tea tea", "answer: >-\n      tea\n      tea"), "answer: cup cup", "answer: |+\n      cup\n      cup\n")
    yield "quoted texts over several lines", "c", swap(swap(swap(S, "answer: tea tea", "answer: 'tea\n      tea\n\n      end '"),
          "answer: cup cup", 'answer: "cup \\\n      cup\n\n\n      a\\tb \\u00e9 \\x41\\n"'), "answer: sun sun", "answer: sun\n      moon\n\n      stars")
    yield "folded texts with deeper lines", "c", swap(swap(swap(S, "answer: tea tea", "answer: >\n      a\n      b\n        deeper\n        lines\n      c\n\n      d"),
          "answer: cup cup", "answer: >2\n        a\n      b"), "answer: sun sun", "answer: |-\n      # no comment\n       one\n\n      two  ")
    yield "folded text with blank lines", "c", swap(swap(S, "answer: tea tea", "answer: >+\n\n      a\n\n\n      b\n\n        c\n\n      d\n\n"), "question: Twice cup", "question: >-\n      a\n       * one\n       * two\n      b")
    yield "flow style", "c", "{version: 2, created_by: a, task_description: b, seed_examples: [" + ", ".join(f"{{question: q{i}, answer: a{i}}}" for i in range(5)) + "]}\n"
    yield "JSON", "c", json.dumps(yaml.safe_load(S)) + "\n"
    yield "complex keys with question marks", "c", swap(S, "created_by: lab", "? created_by\n: lab")
    yield "latin-1 bytes", "c", swap(S, "Twice tea", "Twice t\xe9a").encode("latin-1")


VALUES = ["", "''", "7", "yes", "text", "[a]", "{a: b}", "~", "1.5", "3", "2024-02-30", "'3'", "- x", "&a b", "*a", "|", "!x y", "a: b"]


def mutate(rng, text):
    """A structural mutation: of lines, of characters that mean something to YAML, or of the tree itself."""
    kind = rng.randrange(12)
    lines = text.splitlines(True)
    i = rng.randrange(len(lines))
    if kind == 0:
        del lines[i]
    elif kind == 1:
        lines.insert(rng.randrange(len(lines) + 1), lines[i])
    elif kind == 2:
        j = rng.randrange(len(lines))
        lines[i], lines[j] = lines[j], lines[i]
    elif kind == 3:
        lines[i] = " " * rng.choice([1, 2, 4]) + lines[i] if rng.random() < 0.5 else lines[i][rng.choice([1, 2]):]
    elif kind == 4 and ":" in lines[i]:
        lines[i] = lines[i][:lines[i].index(":") + 1] + " " + rng.choice(VALUES) + "\n"
    elif kind == 5:
        at = rng.randrange(len(lines[i]))
        lines[i] = lines[i][:at] + rng.choice(":-'\"[]{}#&*!|>%@`,? \t=<~\n") + lines[i][at:]
    elif kind == 6:
        at = rng.randrange(len(lines[i]))
        lines[i] = lines[i][:at] + lines[i][at + 1:]
    elif kind == 7:
        del lines[i:i + rng.randrange(1, 8)]
    elif kind == 8 and ":" in lines[i]:
        word = rng.choice(["version", "context", "question", "answer", "document", "domain", "notes", "created_by", "seed_examples"])
        indent = len(lines[i]) - len(lines[i].lstrip(" -"))
        lines[i] = lines[i][:indent] + word + lines[i][lines[i].index(":"):]
    else:
        tree = yaml.safe_load(text)
        spots = []

        def walk(node):
            if isinstance(node, dict):
                for key in node:
                    spots.append((node, key))
                    walk(node[key])
            elif isinstance(node, list):
                for k in range(len(node)):
                    spots.append((node, k))
                    walk(node[k])
        walk(tree)
        holder, key = rng.choice(spots)
        action = rng.randrange(6)
        if action == 0:
            del holder[key]
        elif action == 1:
            holder[key] = rng.choice(["", None, 7, True, 2.5, [], {}, ["x"], {"x": "y"}, "3", "yes", 3.0])
        elif action == 2:
            other, k = rng.choice(spots)
            holder[key] = copy.deepcopy(other[k])
        elif action == 3 and isinstance(holder, list):
            holder.append(copy.deepcopy(holder[key]))
        elif action == 4 and isinstance(holder, dict):
            holder[rng.choice(["note", "context", 5, "version", None, True])] = rng.choice(["x", 1, None])
        return yaml.safe_dump(tree, sort_keys=rng.random() < 0.5, default_flow_style=rng.choice([False, False, None, True]),
                              width=rng.choice([20, 80]))
    return "".join(lines)


def random_cases(count, seed):
    rng = random.Random(seed)
    bases = [(KNOWLEDGE, "k"), (SKILL, "c"), (GROUNDED, "c"), (OLD, "f"), (GROUNDED, "f"), (KNOWLEDGE, "n")]
    for n in range(count):
        text, where = rng.choice(bases)
        for _ in range(rng.choice([1, 1, 1, 2, 3])):
            try:
                changed = mutate(rng, text)
            except (yaml.YAMLError, IndexError, ValueError, TypeError, AttributeError):
                break
            if not changed:
                break
            text = changed
        yield f"random {n}", where, text


def write():
    OUT.parent.mkdir(parents=True, exist_ok=True)
    with open(OUT, "w", encoding="utf-8") as out:
        note = {"goldens": "validity by instructlab-schema, version from the file, without yamllint", "seed": SEED,
                **{p: importlib.metadata.version(p) for p in ["instructlab-schema", "jsonschema", "PyYAML"]}}
        out.write(json.dumps(note) + "\n")
        total = 0
        for name, where, text in list(cases()) + list(random_cases(60, SEED)):
            record = {"name": name, "path": DIRS[where] + "/qna.yaml", "valid": judge(text, where)}
            # Bytes that are no UTF-8 travel as Latin-1, one character a byte.
            record.update({"latin1": text.decode("latin-1")} if isinstance(text, bytes) else {"yaml": text})
            if record["valid"]:
                record["texts"] = texts(text)
            out.write(json.dumps(record, ensure_ascii=False) + "\n")
            total += 1
    print(f"{OUT}: {total} cases")


def compare(checker, count, seed):
    all_cases = list(cases()) + list(random_cases(count, seed))
    with tempfile.TemporaryDirectory(prefix="labtax") as top:
        for n, (_, where, text) in enumerate(all_cases):
            folder = pathlib.Path(top) / f"{n:06}" / DIRS[where]
            folder.mkdir(parents=True)
            (folder / "qna.yaml").write_bytes(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass"))
        result = subprocess.run([os.path.abspath(checker), top], capture_output=True, text=True)
        assert result.returncode in (0, 1), result.stderr
        ours = {}
        for line in result.stdout.splitlines():
            record = json.loads(line)
            ours[int(os.path.relpath(record["path"], top).split("/")[0])] = record
    agreed, valid = 0, 0
    for n, (name, where, text) in enumerate(all_cases):
        theirs = judge(text, where)
        valid += theirs
        if theirs == ours[n]["valid"]:
            agreed += 1
            continue
        print(f"--- {name}: instructlab-schema says {'valid' if theirs else 'invalid'}; ours: {ours[n]['problems'][:2]}")
        try:
            yaml.safe_load(text)
        except Exception as fault:
            print("    PyYAML:", " ".join(str(fault).split())[:200])
        print("    " + str(text)[:2500].replace("\n", "\n    ") if "-v" in sys.argv else "")
    print(f"{agreed} of {len(all_cases)} agree ({100 * agreed / len(all_cases):.2f} %); {valid} are valid")


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] == "--compare":
        numbers = [int(a) for a in sys.argv[3:] if a.isdigit()]
        compare(sys.argv[2], numbers[0] if numbers else 2000, numbers[1] if len(numbers) > 1 else SEED)
    else:
        write()
