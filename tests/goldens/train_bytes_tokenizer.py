#!/usr/bin/env python3
"""Writes tests/data/train/bytes: a byte-level tokenizer of 260 tokens (256 bytes, two merges, <|im_start|>, <|im_end|>) with a
ChatML template, for tests that train a tiny model through the apps. Made with the peer `tokenizers` so that its form is the real one."""
import json
import pathlib

import tokenizers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

out = pathlib.Path(__file__).resolve().parent.parent / "data" / "train" / "bytes"
out.mkdir(parents=True, exist_ok=True)
alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
vocab = {c: i for i, c in enumerate(alphabet + ["er", "on"])}
t = Tokenizer(models.BPE(vocab=vocab, merges=[("e", "r"), ("o", "n")]))
t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
t.decoder = decoders.ByteLevel()
t.add_special_tokens([AddedToken("<|im_start|>", special=True), AddedToken("<|im_end|>", special=True)])
t.save(str(out / "tokenizer.json"), pretty=False)
template = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n'}}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
config = {"eos_token": "<|im_end|>", "chat_template": template, "tokenizer_class": "PreTrainedTokenizerFast"}
(out / "tokenizer_config.json").write_text(json.dumps(config, indent=1) + "\n")
print("tokenizers", tokenizers.__version__, "size", t.get_vocab_size(), "'Hi' ->", t.encode("Hi<|im_end|>").ids)
