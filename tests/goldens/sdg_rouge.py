#!/usr/bin/env python3
"""Goldens for sdg/rouge.hpp: ROUGE-L of Google's rouge-score package (use_stemmer=False) on made-up pairs.
Writes tests/data/sdg/rouge_l.jsonl; run it with rouge-score installed."""
import importlib.metadata
import json
import pathlib
import random

from rouge_score import rouge_scorer

seed = 7
rng = random.Random(seed)
words = "the ferry leaves Port-Ellory at 07:30 on Thursday's tide; goats_travel FREE, naïve café 8.50 crowns ... İstanbul 5K ß 日本 x1y2".split()
pairs = [("", ""), ("a", ""), ("", "b"), ("same text here", "same text here"), ("Same, text: HERE!", "same text here"),
         ("a b c d", "d c b a"), ("...", "---"), ("the cat sat on the mat", "the mat sat on the cat")]
for _ in range(60):
    one = [rng.choice(words) for _ in range(rng.randint(0, 30))]
    two = [w for w in one if rng.random() < 0.7] + [rng.choice(words) for _ in range(rng.randint(0, 5))]
    if rng.random() < 0.3:
        rng.shuffle(two)
    pairs.append((" ".join(one), rng.choice([" ", "  ", "\n", ", "]).join(two)))

scorer = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)
out = pathlib.Path(__file__).resolve().parent.parent / "data" / "sdg" / "rouge_l.jsonl"
out.parent.mkdir(parents=True, exist_ok=True)
with out.open("w", encoding="utf-8") as file:
    head = {"rouge-score": importlib.metadata.version("rouge-score"), "seed": seed}
    file.write(json.dumps(head) + "\n")
    for target, prediction in pairs:
        s = scorer.score(target, prediction)["rougeL"]
        file.write(json.dumps({"target": target, "prediction": prediction, "precision": s.precision, "recall": s.recall,
                               "f1": s.fmeasure}) + "\n")
