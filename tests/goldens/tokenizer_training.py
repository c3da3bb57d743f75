#!/usr/bin/env python3
"""What tokenizers' BpeTrainer learns from text: tests/data/tokenizer/trained.json, for tests/tokenizer/train_bpe_test.cpp.

    tests/goldens/tokenizer_training.py [--shared DIR]

Of the project's own text all merges; with --shared the SHA-256 of those of corpora that are not checked in. Needs: tokenizers.
"""
import argparse
import hashlib
import importlib.metadata
import json
import pathlib

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
QWEN2 = LLAMA3.replace(r"\p{N}{1,3}", r"\p{N}")


def splits(name):
    level = pre_tokenizers.ByteLevel
    if name == "gpt-2":
        return level(add_prefix_space=False)
    if name == "smollm":
        return pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), level(add_prefix_space=False)])
    pattern = Regex(LLAMA3 if name == "llama-bpe" else QWEN2)
    return pre_tokenizers.Sequence([pre_tokenizers.Split(pattern, "isolated"), level(add_prefix_space=False, use_regex=False)])


def train(files, pre, size, least, special):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = splits(pre)
    t.train([str(f) for f in files], trainers.BpeTrainer(
        vocab_size=size, min_frequency=least, special_tokens=special, show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    model = json.loads(t.to_str())["model"]
    merges = [m if isinstance(m, list) else m.split(" ") for m in model["merges"]]
    return [token for token, _ in sorted(model["vocab"].items(), key=lambda item: item[1])], merges


def digest(vocab, merges):
    lines = vocab + [" ".join(m) for m in merges]
    return hashlib.sha256("".join(line + "\n" for line in lines).encode()).hexdigest()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--shared", type=pathlib.Path)
    a = p.parse_args()
    special = ["<|endoftext|>", "<|im_start|>"]
    own = ["data/text/plain_english.txt", "tests/data/tokenizer/training.txt"]
    cases = []
    for pre in ("gpt-2", "smollm", "llama-bpe", "qwen2"):
        for files, size, least, tokens in (([own[0]], 700, 0, special), (own, 100000, 3, []), ([own[1]], 400, 2, special[:1])):
            vocab, merges = train([ROOT / f for f in files], pre, size, least, tokens)
            cases.append({"files": files, "pre": pre, "vocab_size": size, "min_frequency": least, "special": tokens,
                          "tokens": len(vocab), "sha256": digest(vocab, merges), "first": [" ".join(m) for m in merges[:20]]})
    shared = []
    if a.shared:
        for name in sorted(f.relative_to(a.shared) for f in (a.shared / "corpora").rglob("*.txt")):
            vocab, merges = train([a.shared / name], "smollm", 8000, 0, special)
            shared.append({"files": [str(name)], "pre": "smollm", "vocab_size": 8000, "min_frequency": 0, "special": special,
                           "tokens": len(vocab), "sha256": digest(vocab, merges), "first": [" ".join(m) for m in merges[:20]]})
    out = {"tokenizers": importlib.metadata.version("tokenizers"), "cases": cases, "shared": shared}
    (ROOT / "tests/data/tokenizer/trained.json").write_text(json.dumps(out, indent=1, ensure_ascii=False) + "\n")


main()
