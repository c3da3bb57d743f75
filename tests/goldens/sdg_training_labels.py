#!/usr/bin/env python3
"""What InstructLab's trainer makes of a file that lab-generate mix wrote: tests/data/sdg/mixed.jsonl through the data
processing of instructlab-training, with the tokenizer tests/data/train/bytes. Writes tests/data/sdg/training_labels.jsonl
(tokens and labels of each sample); run it with instructlab-training installed."""
import importlib.metadata
import json
import pathlib
import shutil
import tempfile

from instructlab.training import data_process

data = pathlib.Path(__file__).resolve().parent.parent / "data"
with tempfile.TemporaryDirectory() as place:
    model = pathlib.Path(place) / "model"
    shutil.copytree(data / "train" / "bytes", model)
    (model / "config.json").write_text('{"model_type": "llama"}')  # it asks for the architecture's name
    data_process.process_messages_into_input_ids(
        data_path=str(data / "sdg" / "mixed.jsonl"), data_output_path=place, max_seq_len=4096, model_path=str(model), num_cpu_procs=1)
    rows = [json.loads(line) for line in open(pathlib.Path(place) / "data.jsonl")]
with open(data / "sdg" / "training_labels.jsonl", "w") as out:
    out.write(json.dumps({name: importlib.metadata.version(name) for name in ("instructlab-training", "transformers")}) + "\n")
    for row in rows:
        out.write(json.dumps({"input_ids": row["input_ids"], "labels": row["labels"]}) + "\n")
