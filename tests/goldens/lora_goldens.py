#!/usr/bin/env python3
"""Makes tests/data/nn/lora_*: adapters written by PEFT over the models of nn_goldens.py, with PyTorch's logits, gradients and losses.

Run: python tests/goldens/lora_goldens.py   (peft 0.21.2, transformers 5.23.0, torch 2.15.0; seed below)
Each folder holds adapter_config.json and adapter_model.safetensors as PEFT saves them (B is random, not zero), and golden.safetensors:
  logits [n, vocab]    of the base golden's `tokens`, fp32, eager attention
  train.loss [1]       mean cross-entropy over the base golden's packed samples
  grad.<tensor>        the gradients of the adapter's tensors
  train.losses [10]    the loss before each of ten AdamW steps on the adapter alone, gradients clipped to 1
"""
import json
import pathlib
import shutil

import peft
import safetensors.torch as st
import torch
import transformers
from transformers import LlamaForCausalLM, MistralForCausalLM

from nn_goldens import ADAMW, OUT, SEED, WEIGHT_DECAY, packed_loss, packed_samples, ten_losses

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ADAPTERS = {
    "lora_llama": ("llama", LlamaForCausalLM, dict(r=4, lora_alpha=8, target_modules=ALL)),
    "lora_mistral": ("mistral", MistralForCausalLM, dict(r=3, lora_alpha=6, use_rslora=True, target_modules=["q_proj", "v_proj", "down_proj"])),
}


def main():
    torch.set_num_threads(1)
    versions = {"peft": peft.__version__, "transformers": transformers.__version__, "torch": torch.__version__, "seed": SEED}
    for name, (base, cls, settings) in ADAPTERS.items():
        given = st.load_file(OUT / base / "golden.safetensors")
        samples = packed_samples(given)
        model = cls.from_pretrained(OUT / base, dtype=torch.float32, attn_implementation="eager")
        torch.manual_seed(SEED)
        config = peft.LoraConfig(task_type="CAUSAL_LM", lora_dropout=0.0, init_lora_weights=False, **settings)
        model = peft.get_peft_model(model, config)
        with torch.no_grad():
            for key, p in model.named_parameters():
                if "lora_" in key:
                    p.copy_(0.2 * torch.randn_like(p))
        folder = OUT / name
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        saved = json.loads((folder / "adapter_config.json").read_text())
        saved["base_model_name_or_path"] = base
        (folder / "adapter_config.json").write_text(json.dumps(saved, indent=2) + "\n")

        model.eval()
        golden = {}
        with torch.no_grad():
            golden["logits"] = model(input_ids=given["tokens"].long()[None], use_cache=False).logits[0].float().contiguous()
        adapter = {k.replace(".default", ""): p for k, p in model.named_parameters() if p.requires_grad}
        assert sorted(adapter) == sorted(st.load_file(folder / "adapter_model.safetensors"))
        loss = packed_loss(model, samples)
        golden["train.loss"] = loss.detach().reshape(1)
        loss.backward()
        for key, p in adapter.items():
            golden["grad." + key] = p.grad.clone()
        optimizer = torch.optim.AdamW(adapter.values(), weight_decay=WEIGHT_DECAY, **ADAMW)
        losses = ten_losses(model, list(adapter.values()), optimizer, samples)
        golden["train.losses"] = torch.tensor(losses)
        st.save_file(golden, folder / "golden.safetensors", metadata={k: str(v) for k, v in versions.items()})
        print(name, [round(x, 4) for x in losses], {f.name: f.stat().st_size for f in folder.iterdir()})


if __name__ == "__main__":
    main()
