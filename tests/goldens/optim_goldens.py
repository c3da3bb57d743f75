#!/usr/bin/env python3
"""Makes tests/data/optim/golden.safetensors: ten steps of PyTorch's and transformers' optimizers, and label smoothing.

Run: python tests/goldens/optim_goldens.py   (torch 2.15.0, transformers 5.24.0, safetensors 0.8.0; seed below)
  start.<tensor>, gradients.<tensor> [10, ...]   given parameters and gradients, for tensors a [5, 7], b [3], c [16, 4]
  <optimizer>.<tensor> [10, ...]                 the parameters after each step
  <optimizer>.losses [10]                        training tests/data/nn/llama: the loss before each step, clipped at 1
  smooth.loss [1], smooth.grad.<parameter>       cross_entropy(label_smoothing=0.1) of that model (some parameters)
Optimizers: sgd, sgd_plain, sgd_nesterov (torch.optim.SGD), adafactor (transformers.Adafactor, absolute steps),
adafactor_relative (torch.optim.Adafactor; its first epsilon is set so small that it has no effect).
"""
import pathlib

import safetensors.torch as st
import torch
import transformers

from nn_goldens import packed_loss, packed_samples, ten_losses

SEED = 20260101
DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
DECAY = 0.1
OPTIMIZERS = {
    "sgd": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, weight_decay=DECAY),
    "sgd_plain": lambda p, lr: torch.optim.SGD(p, lr=lr),
    "sgd_nesterov": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, nesterov=True, weight_decay=DECAY),
    "adafactor": lambda p, lr: transformers.Adafactor(p, lr=lr, eps=(1e-30, 1e-3), clip_threshold=1.0, decay_rate=-0.8, beta1=None,
                                                      weight_decay=DECAY, scale_parameter=False, relative_step=False,
                                                      warmup_init=False),
    "adafactor_relative": lambda p, lr: torch.optim.Adafactor(p, lr=lr, beta2_decay=-0.8, eps=(1e-15, 1e-3), d=1.0,
                                                              weight_decay=DECAY),
}
RATES = {"sgd": 0.05, "sgd_plain": 0.2, "sgd_nesterov": 0.05, "adafactor": 1e-2, "adafactor_relative": 5e-2}


def trajectories(golden):
    g = torch.Generator().manual_seed(SEED)
    shapes = {"a": (5, 7), "b": (3,), "c": (16, 4)}
    start = {k: torch.randn(s, generator=g) for k, s in shapes.items()}
    gradients = {k: 0.3 * torch.randn((10, *s), generator=g) for k, s in shapes.items()}
    for k in shapes:
        golden["start." + k], golden["gradients." + k] = start[k], gradients[k]
    for name, make in OPTIMIZERS.items():
        parameters = {k: torch.nn.Parameter(v.clone()) for k, v in start.items()}
        optimizer = make(list(parameters.values()), RATES[name])
        kept = {k: [] for k in shapes}
        for step in range(10):
            for k, p in parameters.items():
                p.grad = gradients[k][step].clone()
            optimizer.step()
            for k, p in parameters.items():
                kept[k].append(p.detach().clone())
        for k in shapes:
            golden[f"{name}.{k}"] = torch.stack(kept[k])


def load():
    return transformers.LlamaForCausalLM.from_pretrained(DATA / "nn" / "llama", dtype=torch.float32, attn_implementation="eager").eval()


def main():
    torch.set_num_threads(1)
    golden = {}
    trajectories(golden)
    samples = packed_samples(st.load_file(DATA / "nn" / "llama" / "golden.safetensors"))
    for name, make in OPTIMIZERS.items():
        model = load()
        optimizer = make(list(model.parameters()), RATES[name])
        losses = ten_losses(model, list(model.parameters()), optimizer, samples)
        golden[name + ".losses"] = torch.tensor(losses)
        print(name, [round(x, 4) for x in losses])
    model = load()
    loss = packed_loss(model, samples, 0.1)
    loss.backward()
    golden["smooth.loss"] = loss.detach().reshape(1)
    for key, p in model.named_parameters():
        if key in ("lm_head.weight", "model.norm.weight") or "layers.0.mlp.up" in key:
            golden["smooth.grad." + key] = p.grad.clone()
    out = DATA / "optim"
    out.mkdir(exist_ok=True)
    versions = {"torch": torch.__version__, "transformers": transformers.__version__, "seed": SEED}
    st.save_file({k: v.contiguous() for k, v in golden.items()}, out / "golden.safetensors", metadata={k: str(v) for k, v in versions.items()})
    print((out / "golden.safetensors").stat().st_size, "bytes")


if __name__ == "__main__":
    main()
