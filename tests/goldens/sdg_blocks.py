#!/usr/bin/env python3
"""Goldens for sdg/blocks: runs pipelines through InstructLab's own code (PyPI: instructlab-sdg) with a scripted client and
writes what went in, what was asked and answered, and what came out.

    sdg_blocks.py                              tests/data/sdg/blocks/*.yaml -> tests/data/sdg/blocks/golden.json
    sdg_blocks.py --instructlab SDG --out F    a checkout's shipped, documented and test pipelines -> F (its prompts are
                                               in there: F stays out of the repository)

Needs datasets, openai, jinja2, PyYAML and `pip install --no-deps instructlab-sdg`; what that imports for documents and
training (docling, torch ...) is stubbed. Batches are off, so that its duplicates are dropped over all rows."""
import argparse
import hashlib
import importlib.metadata
import importlib.util
import json
import logging
import pathlib
import re
import sys
import types

SEED = 7
HERE = pathlib.Path(__file__).resolve().parent.parent / "data" / "sdg" / "blocks"


class Anything:
    def __init__(self, *args, **kwargs):
        pass

    def __getattr__(self, name):
        return Anything()

    def __call__(self, *args, **kwargs):
        return Anything()


class Stub(types.ModuleType):
    __path__ = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Anything


class Stubs:
    """Stands in for packages that pipelines do not use."""

    names = {"docling", "docling_core", "git", "gitdb", "gguf", "h5py", "transformers", "torch", "numba", "sentencepiece",
             "submodlib", "tenacity", "langchain_text_splitters", "click", "easyocr", "tesserocr", "sklearn"}

    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in self.names:
            return importlib.util.spec_from_loader(name, self)

    def create_module(self, spec):
        return Stub(spec.name)

    def exec_module(self, module):
        pass


sys.meta_path.insert(0, Stubs())
logging.disable(logging.CRITICAL)

import datasets  # noqa: E402
from instructlab.sdg import Block, BlockRegistry, LLMBlock, Pipeline, PipelineContext  # noqa: E402

datasets.disable_progress_bars()


class Dice:
    """Numbers that follow from a text alone."""

    def __init__(self, text):
        self.state = hashlib.sha256(f"{SEED} {text}".encode()).digest()

    def below(self, n):
        value = int.from_bytes(self.state[:8], "big") % n
        self.state = hashlib.sha256(self.state).digest()
        return value

    def pick(self, items):
        return items[self.below(len(items))]


WORDS = "the ferry leaves at 07:30 and keeps to the tide; Zoe's naïve café ... sells tea, 8.50 a cup (東京)".split()


def words(dice, least=3, most=12):
    return " ".join(dice.pick(WORDS) for _ in range(least + dice.below(most - least + 1)))


def section(dice, name):
    """A value for a tag, mostly one that a judge would pass."""
    low = name.lower()
    if "score" in low or "rating" in low:
        return dice.pick(["1", "2", "2", "3", "1.0", " 2 ", "two", "2.0"])
    if low == "answer":
        return dice.pick(["YES", "YES", "YES", "NO", "yes", "B) " + words(dice), "1"])
    if "question" in low:
        return dice.pick([words(dice) + "?", "Why?", words(dice) + "\n\nA) x\nB) y\nC) z\nD) w"])
    return words(dice)


def answer_to(prompt, draw):
    """What the scripted teacher says: the tags that the prompt speaks of, now and then broken."""
    dice = Dice(f"{draw} {prompt}")
    tags = list(dict.fromkeys(re.findall(r"\[Start of ([A-Za-z ]+)\]", prompt)))
    closed = [t for t in tags if f"[End of {t}]" in prompt]
    if re.search(r"\[(?:Q|QUESTION|Question)\]", prompt) and "Start of" not in prompt:
        q, a, end = ("[Q]", "[A]", "[END]") if "[Q]" in prompt else ("[QUESTION]", "[ANSWER]", "[END]")
        parts = []
        for _ in range(1 + dice.below(4)):
            parts.append(f"{q}\n{dice.pick(['Why?', words(dice) + '?'])}\n{a} {words(dice)}\n{end}\n")
        if dice.below(8) == 0:
            return words(dice)
        return "\n".join(parts) + dice.pick(["", "[End]", " \n"])
    if "Use TAGS." in prompt:
        return dice.pick(["<t>one</t> two; <t> three </t>", "<t></t>;;", "a; b; <t>c</t>", "<t>x", "", "<t>1</t><t>2</t> 3;"])
    if not closed:
        return dice.pick([words(dice) + "? no. 4 " + words(dice), words(dice) + " no. 12", f" no. {dice.below(99)}\n no. 7 x", "",
                          "  \n", words(dice)])
    out = words(dice) if dice.below(3) == 0 else ""
    rounds = 1 + (dice.below(3) if any("uestion" in t or "ontext" in t for t in closed) else 0)
    for _ in range(rounds):
        for tag in closed:
            if dice.below(14) == 0:
                continue
            gap = dice.pick(["\n", " ", ""])
            out += f"[Start of {tag}]{gap}{section(dice, tag)}{gap}[End of {tag}]\n"
    return out


class Client:
    """As much of openai.OpenAI as the blocks use. The n-th answer to a prompt depends on prompt and n; without
    temperature all are the same."""

    server_supports_batched = True

    def __init__(self):
        self.calls, self.counts = {}, {}
        self.completions = types.SimpleNamespace(create=self.complete)
        self.chat = types.SimpleNamespace(completions=types.SimpleNamespace(create=self.talk))

    def say(self, key, prompt, options):
        draw, asked = 0, (key, options["temperature"], options["max_tokens"])
        if options["temperature"] > 0:
            draw = self.counts.get(asked, 0)
            self.counts[asked] = draw + 1
        text = answer_to(prompt, draw)
        call = self.calls.setdefault(asked, {"prompt": key, "temperature": options["temperature"],
                                             "max_tokens": options["max_tokens"], "model": options["model"], "answers": []})
        if draw == len(call["answers"]):
            call["answers"].append(text)
        return text

    def complete(self, prompt, **options):
        texts = [self.say(p, p, options) for p in prompt for _ in range(options.get("n", 1))]
        return types.SimpleNamespace(choices=[types.SimpleNamespace(text=t) for t in texts])

    def talk(self, messages, **options):
        key = json.dumps([[m["role"], m["content"]] for m in messages], ensure_ascii=False, separators=(",", ":"))
        texts = [self.say(key, key, options) for _ in range(options.get("n", 1))]
        return types.SimpleNamespace(
            choices=[types.SimpleNamespace(message=types.SimpleNamespace(content=t)) for t in texts])


def run(name, path, rows, **options):
    client = Client()
    family, model = options.get("family"), options.get("model", "teacher")
    context = PipelineContext(client, family, model, options.get("scaled", 2), batch_size=0, dataset_num_procs=1,
                              max_num_tokens=options.get("max_num_tokens", 4096))
    made = Pipeline.from_file(context, str(path)).generate(datasets.Dataset.from_list(rows))
    print(f"{name}: {len(rows)} rows in, {len(made)} out, {len(client.calls)} prompts", file=sys.stderr)
    return {"name": name, "pipeline": options["shown"], "family": family or "", "scaled": options.get("scaled", 2),
            "max_num_tokens": options.get("max_num_tokens", 4096), "rows": rows, "calls": list(client.calls.values()),
            "out": made.to_list()}


def skill_rows(context=False):
    out = []
    for i in range(5):
        row = {"task_description": "Say when the ferry leaves.", "seed_question": f"When does ferry {i} leave?",
               "seed_response": f"At {7 + i}:30."}
        if context:
            row = {**row, "seed_context": f"Ferry {i} leaves at {7 + i}:30, on Sundays at noon."}
        out.append({**row, "leaf_node_type": "grounded_skill" if context else "freeform_skill",
                    "leaf_node_path": "compositional_skills_ferries"})
    return out


def knowledge_rows():
    out = []
    for chunk in range(2):
        for seed in range(5):
            row = {"document": f"Pellamy has {chunk + 2} ferries. They keep to the tide.", "icl_document": f"Ferry {seed} is blue.",
                   "document_outline": "Ferries of Pellamy", "domain": "travel", "leaf_node_type": "knowledge"}
            for k in (1, 2, 3):
                row[f"icl_query_{k}"] = f"What colour is ferry {seed}, asked {k} times?"
                row[f"icl_response_{k}"] = "Blue."
            out.append({**row, "leaf_node_path": "knowledge_travel_ferries"})
    return out


def own():
    pairs = [{"question": "2+2", "answer": "4"}, {"question": "the \"tide\"", "answer": "é"}]
    texts = [{"document": f"Text {i} about the tide, <t> and more;", "kind": kind, "number": i, "nothing": None, "pairs": pairs}
             for i, kind in enumerate(["long", "short", "other", "short", "short"])]
    texts[4]["document"] = texts[3]["document"]
    texts[4]["number"] = texts[3]["number"]
    drinks = [{"drink": d, "side": s, "one": a, "two": b, "mood": m} for d, s, a, b, m in
              [("tea", "left", "x", "y", "glad"), ("water", "right", "x", "y", "sad"), ("tea", "left", "x", "z", "sad"),
               ("tea", "right", "q", "r", "glad")]]
    ages = [("25", "0.2", "", "Anna"), ("30", "0.2", "no", "Ann"), ("35", "high", "x", "Jo"), ("forty", " 0.4 ", "x", "Jo Ann"),
            ("7", "0", "x", "Ann"), ("30", "0.6", "x", "Ann"), ("3_0", "1e-1", "x", "Zoe Ann"), ("35", "inf", "x", "Joe"),
            ("35", "nan", "x", "Joe"), (" 35 ", "-.5e0", "0", "Joe"), ("35.0", "0", "x", "Joe")]
    talks = [{"talk": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"Ferry {i % 2}?"}], "id": i}
             for i in range(3)]
    cases = [("skills", skill_rows(), {"family": "granite"}), ("knowledge", knowledge_rows(), {"family": "mixtral", "max_num_tokens": 99}),
             ("columns", drinks, {}), ("filters", [dict(zip(("age", "share", "flag", "name"), a)) for a in ages], {}),
             ("conditional", texts, {"family": "llama", "scaled": 3}), ("messages", talks, {}),
             ("families", texts[:4] + [{**texts[0], "document": f"{i} <t> more;"} for i in range(8)], {"model": None}), ("undefined", skill_rows(), {})]
    return [run(name, HERE / f"{name}.yaml", rows, shown=f"{name}.yaml", **more) for name, rows, more in cases]


@BlockRegistry.register("EchoBlock")
class EchoBlock(Block):
    def generate(self, samples):
        return samples


@BlockRegistry.register("MockLLMBlock")
class MockLLMBlock(LLMBlock):
    """InstructLab's tests make up columns under this name; here it asks, as the block does that it is made of."""


def instructlab(sdg):
    pipelines = sdg / "src" / "instructlab" / "sdg" / "pipelines"
    cases = []
    for folder in ("simple", "full", "llama"):
        for file, rows in (("knowledge", knowledge_rows()), ("freeform_skills", skill_rows()), ("grounded_skills", skill_rows(True))):
            path = pipelines / folder / f"{file}.yaml"
            for family in ("mixtral", "granite", "llama"):
                cases.append(run(f"{folder}/{file} {family}", path, rows, family=family, shown=str(path.relative_to(sdg))))
    path = pipelines / "eval" / "mmlu_bench.yaml"
    cases.append(run("eval/mmlu_bench", path, knowledge_rows(), family="mixtral", shown=str(path.relative_to(sdg))))
    for file, rows in (("knowledge", knowledge_rows()), ("freeform_skills", skill_rows()), ("grounded_skills", skill_rows(True))):
        path = sdg / "tests" / "testdata" / "mock_pipelines" / f"{file}.yaml"
        cases.append(run(f"tests/mock {file}", path, rows, family="mixtral", shown=str(path.relative_to(sdg))))
    path = sdg / "tests" / "testdata" / "custom_block_pipeline.yaml"
    cases.append(run("tests/custom_block", path, [{"fruit": "apple", "color": "red"}], shown=str(path.relative_to(sdg))))
    path = sdg / "docs" / "examples" / "blocks" / "iterblock" / "pipeline.yaml"
    cases.append(run("docs/iterblock", path, [{"foo": "bar"}], shown=str(path.relative_to(sdg))))
    path = sdg / "docs" / "examples" / "annotation" / "annotation_pipeline.yaml"
    task = {"system_prompt": "You sort news.", "simple_task_description": "Name the section.", "principles": "One word."}
    rows = [{"text": f"News {i}", "seed_question": "Goal!", "seed_response": "Sports", **task} for i in (0, 1, 1)]
    cases.append(run("docs/annotation", path, rows, family="mixtral", shown=str(path.relative_to(sdg))))
    return cases


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--instructlab", type=pathlib.Path, help="checkout of instructlab/sdg")
    parser.add_argument("--out", type=pathlib.Path, default=HERE / "golden.json")
    args = parser.parse_args()
    cases = instructlab(args.instructlab.resolve()) if args.instructlab else own()
    versions = {p: importlib.metadata.version(p) for p in ("instructlab-sdg", "datasets", "pandas", "openai", "jinja2")}
    def line(value):
        return json.dumps(value, ensure_ascii=False)

    args.out.write_text(f'{{"versions": {line(versions)}, "seed": {SEED}, "cases": [\n' + ",\n".join(map(line, cases)) + "\n]}\n",
                        encoding="utf-8")


main()
