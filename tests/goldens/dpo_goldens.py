#!/usr/bin/env python3
"""Makes tests/data/train/preferences.json: what TRL's DPOTrainer reports of 20 steps over the llama of nn_goldens.py.

Run: python tests/goldens/dpo_goldens.py   (trl 1.16.0, transformers 5.23.0, peft 0.21.2, torch 2.15.0)
  pairs     token lists: prompt, chosen, rejected
  series    for the whole model and LoRA: before each step the loss, the mean rewards, the share of pairs in order
Step k takes pairs 4k .. 4k + 3, modulo their number. AdamW without weight decay, constant rate, no clipping. LoRA begins with the adapter of
lora_goldens.py, which is part of the reference.
"""
import importlib.metadata
import json
import tempfile

import datasets
import peft
import tokenizers
import torch
import transformers
import trl

from nn_goldens import OUT, SEED

RATE, STEPS, BATCH, COUNT, BETA = 1e-3, 20, 4, 12, 0.3
ADAMW = dict(adam_beta1=0.9, adam_beta2=0.95, adam_epsilon=1e-8, weight_decay=0.0)


def draw_pairs():
    g = torch.Generator().manual_seed(SEED)
    draw = lambda least, most: torch.randint(0, 64, (int(torch.randint(least, most, (1,), generator=g)),), generator=g).tolist()
    return [{"prompt_ids": draw(3, 20), "chosen_ids": draw(1, 30), "rejected_ids": draw(1, 30)} for _ in range(COUNT)]


class InOrder(trl.DPOTrainer):
    """Takes token lists as they are, one after another."""

    def _prepare_dataset(self, dataset, *_, **__):
        return dataset

    def _get_train_sampler(self, *_, **__):
        return torch.utils.data.SequentialSampler(self.train_dataset)


def reports(pairs, lora):
    model = transformers.LlamaForCausalLM.from_pretrained(OUT / "llama", dtype=torch.float32, attn_implementation="eager")
    if lora:
        model = peft.PeftModel.from_pretrained(model, OUT / "lora_llama", is_trainable=True)
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=tokenizers.Tokenizer(tokenizers.models.WordLevel({str(i): i for i in range(64)}, "0")), pad_token="0", eos_token="1")
    with tempfile.TemporaryDirectory() as folder:
        args = trl.DPOConfig(folder, beta=BETA, learning_rate=RATE, lr_scheduler_type="constant", per_device_train_batch_size=BATCH,
                             max_steps=STEPS, max_grad_norm=0.0, logging_steps=1, report_to="none", save_strategy="no", use_cpu=True, bf16=False,
                             gradient_checkpointing=False, disable_dropout=True, **ADAMW)
        trainer = InOrder(model, args=args, train_dataset=datasets.Dataset.from_list(pairs), processing_class=tokenizer)
        trainer.train()
    keys = {"loss": "loss", "reward_chosen": "rewards/chosen", "reward_rejected": "rewards/rejected", "reward_accuracy": "rewards/accuracies"}
    return [{ours: line[theirs] for ours, theirs in keys.items()} for line in trainer.state.log_history if "loss" in line]


def main():
    torch.set_num_threads(1)
    pairs = draw_pairs()
    series = []
    for lora in (False, True):
        series.append({"lora": lora, "steps": reports(pairs, lora)})
        print(lora, series[-1]["steps"][::6])
    versions = {name: importlib.metadata.version(name) for name in ("trl", "torch", "transformers", "peft")}
    (OUT.parent / "train" / "preferences.json").write_text(json.dumps({
        "versions": versions, "rate": RATE, "batch": BATCH, "beta": BETA,
        "pairs": [{k.removesuffix("_ids"): v for k, v in p.items()} for p in pairs], "series": series}) + "\n")


if __name__ == "__main__":
    main()
