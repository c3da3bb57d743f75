#!/usr/bin/env python3
"""Goldens for sdg/bm25.hpp: scores of BM25Okapi of the rank_bm25 package on made-up documents and queries, with its
default k1, b, epsilon and others. Writes tests/data/sdg/bm25.jsonl; run it with rank_bm25 installed."""
import importlib.metadata
import json
import pathlib
import random

from rank_bm25 import BM25Okapi

seed = 11
rng = random.Random(seed)
# Zipf-like, so that a few words stand in most documents (negative idf) and many in one.
words = [f"w{i}" for i in range(60)]
weights = [1 / (i + 1) for i in range(len(words))]
cases = []
for documents, longest, options in [(1, 8, {}), (2, 5, {}), (7, 30, {}), (40, 60, {}), (40, 60, {"k1": 0.9, "b": 0.4}),
                                    (25, 20, {"k1": 2.0, "b": 1.0, "epsilon": 0.1}), (25, 20, {"k1": 1.2, "b": 0.0})]:
    corpus = [rng.choices(words, weights, k=rng.randint(1, longest)) for _ in range(documents)]
    queries = [rng.choices(words + ["unknown"], weights + [0.2], k=rng.randint(1, 9)) for _ in range(6)] + [[]]
    index = BM25Okapi(corpus, **options)
    cases.append({"options": options, "documents": corpus,
                  "queries": [{"words": q, "scores": index.get_scores(q).tolist()} for q in queries]})

out = pathlib.Path(__file__).resolve().parent.parent / "data" / "sdg" / "bm25.jsonl"
with out.open("w", encoding="utf-8") as file:
    head = {"rank-bm25": importlib.metadata.version("rank-bm25"), "seed": seed}
    file.write(json.dumps(head) + "\n")
    for case in cases:
        file.write(json.dumps(case) + "\n")
