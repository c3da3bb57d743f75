"""One measurement of PyTorch and transformers for bench/compare_training: whole steps (forward, backward, clipping,
AdamW) of a Llama over random tokens, printed as one line of JSON. The job comes as JSON in the first argument."""
import json
import resource
import statistics
import sys
import time

import torch
import transformers

job = json.loads(sys.argv[1])
torch.set_num_threads(job["threads"])
torch.manual_seed(1)
model = transformers.LlamaForCausalLM(transformers.LlamaConfig(**job["config"], attn_implementation="sdpa")).train()
if job.get("lora"):
    import peft

    model = peft.get_peft_model(model, peft.LoraConfig(r=job["lora"], lora_alpha=2 * job["lora"], lora_dropout=0.0,
                                                       target_modules="all-linear", task_type="CAUSAL_LM"))
update = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5, betas=(0.9, 0.95), eps=1e-8,
                           weight_decay=0.0, fused=True)

samples = []
for n in job["lengths"]:
    ids = torch.randint(0, job["config"]["vocab_size"], (n,))
    labels = ids.clone()
    labels[: int(job["masked"] * n)] = -100
    samples.append((ids, labels))
batches = []  # padded to the longest of each, as a data collator does
for first in range(0, len(samples), job["padded_batch"]):
    part = samples[first: first + job["padded_batch"]]
    pad = lambda rows, value: torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)
    ids, labels = pad([s[0] for s in part], 0), pad([s[1] for s in part], -100)
    mask = pad([torch.ones_like(s[0]) for s in part], 0)
    batches.append({"input_ids": ids, "labels": labels} | ({} if mask.all() else {"attention_mask": mask}))
targets = sum(int((b["labels"][:, 1:] != -100).sum()) for b in batches)


def step():
    update.zero_grad(set_to_none=True)
    for b in batches:
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=job["type"] == "bf16"):
            loss = model(**b, num_items_in_batch=targets).loss
        loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    update.step()
    assert torch.isfinite(loss)


step()
seconds = []
for _ in range(job["repetitions"]):
    start = time.perf_counter()
    step()
    seconds.append(time.perf_counter() - start)
median = statistics.median(seconds)
tokens = sum(len(s[0]) for s in samples)
print(json.dumps({"tokens": tokens, "tok_s": tokens / median, "samples_s": len(samples) / median, "step_ms": 1e3 * median,
                  "peak_rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
                  "versions": f"PyTorch {torch.__version__}, transformers {transformers.__version__}"}))
