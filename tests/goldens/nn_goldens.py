#!/usr/bin/env python3
"""Makes tests/data/nn: tiny random models written by transformers, with PyTorch's logits, gradients and training losses.

Run: python tests/goldens/nn_goldens.py   (transformers 5.23.0, torch 2.15.0, safetensors 0.8.0; seed below)
Each folder holds config.json and model.safetensors as transformers saves them, and golden.safetensors:
  tokens [n]           one sequence, longer than the attention window where there is one
  logits [n, vocab]    fp32, eager attention
  train.tokens, train.targets [m], train.offsets [sequences + 1]   packed samples; target -1 is masked
  train.loss [1]       mean cross-entropy over the targets
  grad.<parameter>     its gradient
  train.losses [10]    the loss before each of ten AdamW steps
  train.router_loss [1], router_grad.<parameter>   of a mixture of experts: its load balancing over all samples and
                       layers, and some gradients of the loss with half of it added
Integers are stored as f32.
"""
import json
import pathlib
import shutil

import safetensors.torch as st
import torch
import transformers
from transformers.models.mixtral.modeling_mixtral import load_balancing_loss_func
from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, MixtralConfig, MixtralForCausalLM

SEED = 20240601
OUT = pathlib.Path(__file__).resolve().parent.parent / "data" / "nn"
ADAMW = dict(lr=1e-2, betas=(0.9, 0.95), eps=1e-8)
WEIGHT_DECAY, CLIP = 0.1, 1.0

COMMON = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, head_dim=12,
              intermediate_size=48, vocab_size=64, max_position_embeddings=128, initializer_range=0.2,
              bos_token_id=1, eos_token_id=2, attn_implementation="eager")
MODELS = {
    "llama": (LlamaForCausalLM, LlamaConfig(**COMMON, rms_norm_eps=1e-5), torch.float32),
    "llama_tied_bf16": (LlamaForCausalLM, LlamaConfig(**{**COMMON, "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 8,
                                                        "num_hidden_layers": 3}, tie_word_embeddings=True, rms_norm_eps=1e-6,
                                                      rope_theta=500000.0), torch.bfloat16),
    "mistral": (MistralForCausalLM, MistralConfig(**COMMON, sliding_window=8), torch.float32),
    "mixtral": (MixtralForCausalLM, MixtralConfig(**{**COMMON, "hidden_size": 24, "intermediate_size": 16}, num_local_experts=8,
                                                  num_experts_per_tok=2, sliding_window=None), torch.float32),
}


def packed_loss(model, samples, smoothing=0.0):
    """Mean cross-entropy over all targets; samples do not see each other."""
    total, count = 0.0, 0
    for tokens, targets in samples:
        logits = model(input_ids=tokens[None], use_cache=False).logits[0].float()
        total = total + torch.nn.functional.cross_entropy(logits, targets, ignore_index=-1, reduction="sum",
                                                          label_smoothing=smoothing)
        count += int((targets != -1).sum())
    return total / count


def packed_samples(given):
    """The samples of a golden file of this script."""
    offsets = given["train.offsets"].long().tolist()
    tokens, targets = given["train.tokens"].long(), given["train.targets"].long()
    return [(tokens[a:b], targets[a:b]) for a, b in zip(offsets, offsets[1:])]


def router_loss(model, samples):
    """The load balancing of all samples' rows at once."""
    layers = None
    for tokens, _ in samples:
        logits = model(input_ids=tokens[None], use_cache=False, output_router_logits=True).router_logits
        layers = list(logits) if layers is None else [torch.cat(pair) for pair in zip(layers, logits)]
    return load_balancing_loss_func(tuple(layers), model.config.num_local_experts, model.config.num_experts_per_tok)


def as_stored(name, value):
    """A parameter as checkpoints hold it: experts apart, under their own names."""
    if ".mlp.gate." in name:
        return {name.replace(".mlp.", ".block_sparse_moe."): value}
    for stacked, parts in (("gate_up_proj", ("w1", "w3")), ("down_proj", ("w2",))):
        if name.endswith(".mlp.experts." + stacked):
            place = name.replace(".mlp.experts." + stacked, ".block_sparse_moe.experts")
            return {f"{place}.{e}.{part}.weight": piece.clone() for e, expert in enumerate(value)
                    for part, piece in zip(parts, expert.chunk(len(parts)))}
    return {name: value}


def gradients(model, prefix):
    named = {}
    for name, p in model.named_parameters():
        named.update({prefix + stored: g for stored, g in as_stored(name, p.grad.clone()).items()})
    return named


def ten_losses(model, parameters, optimizer, samples):
    """The loss before each of ten steps, gradients clipped."""
    losses = []
    for _ in range(10):
        optimizer.zero_grad()
        loss = packed_loss(model, samples)
        losses.append(loss.item())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, CLIP)
        optimizer.step()
    return losses


def main():
    versions = {"transformers": transformers.__version__, "torch": torch.__version__, "seed": SEED}
    for name, (cls, config, dtype) in MODELS.items():
        torch.manual_seed(SEED)
        model = cls(config)
        with torch.no_grad():
            for key, p in model.named_parameters():
                if "norm" in key:
                    p.copy_(1 + 0.1 * torch.randn_like(p))
        model = model.to(dtype)
        folder = OUT / name
        shutil.rmtree(folder, ignore_errors=True)
        model.save_pretrained(folder)
        (folder / "generation_config.json").unlink(missing_ok=True)
        # Read back rather than cast: a cast model keeps rotary frequencies that were rounded to bf16.
        model = cls.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()

        g = torch.Generator().manual_seed(SEED)
        tokens = torch.randint(0, config.vocab_size, (40,), generator=g)
        golden = {"tokens": tokens.float()}
        with torch.no_grad():
            golden["logits"] = model(input_ids=tokens[None], use_cache=False).logits[0].float().contiguous()

        samples = []
        for length, masked in ((23, 9), (70, 40), (5, 0)):
            t = torch.randint(0, config.vocab_size, (length,), generator=g)
            targets = torch.cat([t[1:], torch.tensor([-1])])
            targets[:masked] = -1
            samples.append((t, targets))
        offsets = [0]
        for t, _ in samples:
            offsets.append(offsets[-1] + len(t))
        golden["train.tokens"] = torch.cat([t for t, _ in samples]).float()
        golden["train.targets"] = torch.cat([t for _, t in samples]).float()
        golden["train.offsets"] = torch.tensor(offsets).float()
        loss = packed_loss(model, samples)
        golden["train.loss"] = loss.detach().reshape(1)
        loss.backward()
        golden.update(gradients(model, "grad."))
        if name == "mixtral":
            balance = router_loss(model, samples)
            golden["train.router_loss"] = balance.detach().reshape(1)
            (0.5 * balance).backward()  # added to what is there
            golden.update({k: g for k, g in gradients(model, "router_grad.").items() if "moe.gate" in k or "embed" in k})
        decay = [p for p in model.parameters() if p.dim() >= 2]
        rest = [p for p in model.parameters() if p.dim() < 2]
        optimizer = torch.optim.AdamW([{"params": decay, "weight_decay": WEIGHT_DECAY}, {"params": rest, "weight_decay": 0.0}],
                                      **ADAMW)
        losses = ten_losses(model, list(model.parameters()), optimizer, samples)
        golden["train.losses"] = torch.tensor(losses)
        print(name, [round(x, 4) for x in losses])
        st.save_file(golden, folder / "golden.safetensors", metadata={k: str(v) for k, v in versions.items()})
        print(name, {f.name: f.stat().st_size for f in folder.iterdir()})
        if name == "mixtral":
            print(sorted(st.load_file(folder / "model.safetensors"))[:8])
            # The same weights as transformers 5 holds them in memory: stacked experts.
            stacked = OUT / "mixtral_stacked"
            shutil.rmtree(stacked, ignore_errors=True)
            stacked.mkdir(parents=True)
            st.save_file({k: v.contiguous() for k, v in model.state_dict().items()}, stacked / "model.safetensors", metadata={"format": "pt"})
            shutil.copy(folder / "config.json", stacked / "config.json")
            print(sorted(model.state_dict())[:14])
    (OUT / "versions.json").write_text(json.dumps(versions, indent=1) + "\n")


if __name__ == "__main__":
    main()
