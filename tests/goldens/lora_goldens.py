#!/usr/bin/env python3
"""Makes tests/data/nn/lora_*: adapters over the models of nn_goldens.py, with PyTorch's logits, gradients and losses. PEFT writes them, but for
lora_mixtral: its experts have adapters apart, as files of PEFT name them (w1, w2, w3), where transformers 5 joins the experts' matrices; its values
come of the joined matrices with s B A added, and PEFT, which converts such files when it reads them, must come to the same logits.

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
from transformers import LlamaForCausalLM, MistralForCausalLM, MixtralForCausalLM

from nn_goldens import ADAMW, OUT, SEED, WEIGHT_DECAY, packed_loss, packed_samples, ten_losses

ALL = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
ADAPTERS = {
    "lora_llama": ("llama", LlamaForCausalLM, dict(r=4, lora_alpha=8, target_modules=ALL)),
    "lora_mistral": ("mistral", MistralForCausalLM, dict(r=3, lora_alpha=6, use_rslora=True, target_modules=["q_proj", "v_proj", "down_proj"])),
}


class Merged:
    """A model whose weights have s B A added, as a function of the adapter's tensors under their names in PEFT's files."""

    def __init__(self, model, adapter, scale):
        self.model, self.adapter, self.scale = model, adapter, scale

    def delta(self, module):
        name = f"base_model.model.{module}.lora_"
        if name + "A.weight" not in self.adapter:
            return None
        return self.scale * self.adapter[name + "B.weight"] @ self.adapter[name + "A.weight"]

    def __call__(self, **inputs):
        weights = {}
        for name, p in self.model.named_parameters():
            for stacked, parts in (("gate_up_proj", ("w1", "w3")), ("down_proj", ("w2",))):
                if name.endswith(".mlp.experts." + stacked):
                    place = name.replace(".mlp.experts." + stacked, ".block_sparse_moe.experts")
                    added = [torch.cat([self.delta(f"{place}.{e}.{part}") for part in parts]) for e in range(len(p))]
                    p = p + torch.stack(added)
            delta = self.delta(name.removesuffix(".weight"))
            weights[name] = p if delta is None else p + delta
        return torch.func.functional_call(self.model, weights, (), inputs)


def mixtral():
    """An adapter of attention and experts, its logits by PEFT where it can, its gradients and losses by autograd."""
    given = st.load_file(OUT / "mixtral" / "golden.safetensors")
    model = MixtralForCausalLM.from_pretrained(OUT / "mixtral", dtype=torch.float32, attn_implementation="eager").eval()
    model.requires_grad_(False)
    torch.manual_seed(SEED)
    rank, alpha, c = 2, 5, model.config
    modules = {}
    for layer in range(c.num_hidden_layers):
        place = f"model.layers.{layer}."
        modules[place + "self_attn.q_proj"] = (c.num_attention_heads * c.head_dim, c.hidden_size)
        for e in range(c.num_local_experts):
            for part, shape in (("w1", (c.intermediate_size, c.hidden_size)), ("w2", (c.hidden_size, c.intermediate_size)),
                                ("w3", (c.intermediate_size, c.hidden_size))):
                modules[f"{place}block_sparse_moe.experts.{e}.{part}"] = shape
    adapter = {}
    for module, (rows, columns) in modules.items():
        adapter[f"base_model.model.{module}.lora_A.weight"] = (0.2 * torch.randn(rank, columns)).requires_grad_()
        adapter[f"base_model.model.{module}.lora_B.weight"] = (0.2 * torch.randn(rows, rank)).requires_grad_()
    folder = OUT / "lora_mixtral"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    st.save_file({k: p.detach().clone() for k, p in adapter.items()}, folder / "adapter_model.safetensors")
    config = peft.LoraConfig(task_type="CAUSAL_LM", r=rank, lora_alpha=alpha, target_modules=["q_proj", "w1", "w2", "w3"],
                             base_model_name_or_path="mixtral", inference_mode=True).to_dict()
    config = {k: sorted(v) if isinstance(v, set) else v for k, v in config.items()}
    (folder / "adapter_config.json").write_text(json.dumps(config, indent=2, default=str) + "\n")

    merged = Merged(model, adapter, alpha / rank)
    with torch.no_grad():
        logits = merged(input_ids=given["tokens"].long()[None], use_cache=False).logits[0].float().contiguous()
        base = MixtralForCausalLM.from_pretrained(OUT / "mixtral", dtype=torch.float32, attn_implementation="eager").eval()
        by_peft = peft.PeftModel.from_pretrained(base, folder)(input_ids=given["tokens"].long()[None], use_cache=False).logits[0]
    assert torch.allclose(by_peft, logits, atol=1e-5), (by_peft - logits).abs().max()
    samples = packed_samples(given)
    loss = packed_loss(merged, samples)
    golden = {"logits": logits, "train.loss": loss.detach().reshape(1)}
    loss.backward()
    for key, p in adapter.items():
        golden["grad." + key] = p.grad.clone()
    optimizer = torch.optim.AdamW(adapter.values(), weight_decay=WEIGHT_DECAY, **ADAMW)
    return folder, golden, ten_losses(merged, list(adapter.values()), optimizer, samples)


def write(folder, golden, losses):
    versions = {"peft": peft.__version__, "transformers": transformers.__version__, "torch": torch.__version__, "seed": SEED}
    golden["train.losses"] = torch.tensor(losses)
    st.save_file(golden, folder / "golden.safetensors", metadata={k: str(v) for k, v in versions.items()})
    print(folder.name, [round(x, 4) for x in losses], {f.name: f.stat().st_size for f in folder.iterdir()})


def main():
    torch.set_num_threads(1)
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
        write(folder, golden, losses)
    write(*mixtral())


if __name__ == "__main__":
    main()
