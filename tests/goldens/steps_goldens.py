#!/usr/bin/env python3
"""Makes tests/data/train/hundred_steps.json: PyTorch's losses before each of 100 AdamW steps over the models of nn_goldens.py.

Run: python tests/goldens/steps_goldens.py   (transformers 5.23.0, peft 0.21.2, torch 2.15.0)
  samples               token lists, and how many of each are a prompt that is not learnt
  series                for each of fp32 and bf16 (autocast), the whole model and LoRA, clipped or not: 100 losses
Step k takes samples 4k .. 4k + 3, modulo their number; its loss is the mean over all its targets. The rate rises over ten steps, then
stays. LoRA begins with the adapter of lora_goldens.py.
"""
import importlib.metadata
import json

import peft
import torch
from transformers import LlamaForCausalLM

from nn_goldens import OUT, SEED, packed_loss

# At twice this rate the loss is so sensitive that PyTorch in float32 strays by 3e-4 from itself in float64; here by 8e-6.
RATE, WARMUP, STEPS, BATCH, COUNT, CLIP = 1e-3, 10, 100, 4, 13, 0.5
ADAMW = dict(betas=(0.9, 0.95), eps=1e-8)


def draw_samples():
    g = torch.Generator().manual_seed(SEED)
    samples = []
    for _ in range(COUNT):
        length = int(torch.randint(6, 60, (1,), generator=g))
        prompt = int(torch.randint(1, length - 1, (1,), generator=g))
        samples.append((torch.randint(0, 64, (length,), generator=g), prompt))
    return samples


def with_targets(sample):
    tokens, prompt = sample
    targets = torch.cat([tokens[1:], torch.tensor([-1])])
    targets[: prompt - 1] = -1  # the last token of the prompt predicts the first that is learnt
    return tokens, targets


def losses(samples, bf16, lora, clipped):
    model = LlamaForCausalLM.from_pretrained(OUT / "llama", dtype=torch.float32, attn_implementation="eager")
    if lora:
        model = peft.PeftModel.from_pretrained(model, OUT / "lora_llama", is_trainable=True)
    model.train()
    learnt = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW([{"params": [p for p in learnt if p.dim() >= 2], "weight_decay": 0.1},
                                   {"params": [p for p in learnt if p.dim() < 2], "weight_decay": 0.0}], lr=RATE, **ADAMW)
    out = []
    for k in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = RATE * min(1.0, (k + 1) / WARMUP)
        step = [with_targets(samples[(BATCH * k + i) % COUNT]) for i in range(BATCH)]
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            loss = packed_loss(model, step)
        out.append(loss.item())
        loss.backward()
        if clipped:
            torch.nn.utils.clip_grad_norm_(learnt, CLIP)
        optimizer.step()
    return out


def main():
    torch.set_num_threads(1)
    samples = draw_samples()
    series = []
    for lora in (False, True):
        for clipped in (False, True):
            for bf16 in (False, True):
                got = losses(samples, bf16, lora, clipped)
                series.append({"compute": "bf16" if bf16 else "f32", "lora": lora, "clip": CLIP if clipped else 0, "losses": got})
                print(series[-1]["compute"], lora, clipped, [round(x, 4) for x in got[::11]])
    versions = {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft")}
    (OUT.parent / "train" / "hundred_steps.json").write_text(json.dumps({
        "versions": versions, "rate": RATE, "warmup": WARMUP, "batch": BATCH,
        "samples": [{"tokens": t.tolist(), "prompt": p} for t, p in samples], "series": series}) + "\n")


if __name__ == "__main__":
    main()
