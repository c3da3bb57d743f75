#!/usr/bin/env python3
"""Goldens for sdg/diversity.hpp: distinct-n and self-BLEU of nltk (sentence_bleu, weights 1/4, smoothing method1) and the
nearest other text by ROUGE-L of rouge-score, on made-up groups of texts. Writes tests/data/sdg/diversity.jsonl; run it
with nltk and rouge-score installed."""
import importlib.metadata
import json
import pathlib
import random

from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
from nltk.util import ngrams
from rouge_score import rouge_scorer

seed = 11
rng = random.Random(seed)
words = "the ferry leaves port at noon on thursday tide goats travel free eight crowns a ticket to the island".split()


def text(most):
    return [rng.choice(words) for _ in range(rng.randint(1, most))]


groups = [[["a"], ["b"]], [["same", "text", "here"]] * 3, [["a", "b", "c", "d", "e"], ["a", "b", "c", "d", "f", "g"]],
          [["one", "two"], ["one", "two", "three", "four", "five"], ["one", "two", "three"]], [[], ["a", "b"], ["a"]]]
for _ in range(25):
    group = [text(25) for _ in range(rng.randint(2, 9))]
    for _ in range(rng.randint(0, 3)):
        group.append([w for w in rng.choice(group) if rng.random() < 0.85] or ["x"])
    groups.append(group)

scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
method1 = SmoothingFunction().method1
out = pathlib.Path(__file__).resolve().parent.parent / "data" / "sdg" / "diversity.jsonl"
with out.open("w", encoding="utf-8") as file:
    head = {"nltk": importlib.metadata.version("nltk"), "rouge-score": importlib.metadata.version("rouge-score"), "seed": seed}
    file.write(json.dumps(head) + "\n")
    for group in groups:
        others = [[t for j, t in enumerate(group) if j != i] for i in range(len(group))]
        grams = [[g for t in group for g in ngrams(t, n)] for n in (1, 2, 3)]
        joined = [" ".join(t) for t in group]
        file.write(json.dumps({
            "texts": joined,
            "distinct": [len(set(g)) / len(g) if g else 0 for g in grams],
            "self_bleu": [float(sentence_bleu(o, t, smoothing_function=method1)) for o, t in zip(others, group)],
            "nearest": [max(scorer.score(" ".join(o), t)["rougeL"].fmeasure for o in others[i])
                        for i, t in enumerate(joined)]}) + "\n")
