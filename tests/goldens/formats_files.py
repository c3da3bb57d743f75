"""Writes tests/data/formats: small files as the peers' own writers make them, and what the peers read from them.

    python tests/goldens/formats_files.py                          # writes
    python tests/goldens/formats_files.py --read a.gguf b.safetensors ...   # prints what the peers read from any file
Made with gguf 0.19.0, safetensors 0.8.0, sentencepiece 0.2.3, transformers 5.23.0, torch 2.15.0; seed 20262.
"""
import json
import pathlib
import sys

import numpy as np

SEED = 20262
FOLDER = pathlib.Path(__file__).resolve().parents[1] / "data" / "formats"


def write_gguf():
    import gguf

    rng = np.random.default_rng(SEED)
    w = gguf.GGUFWriter(FOLDER / "gguf_py.gguf", "llama")
    w.add_custom_alignment(64)
    w.add_uint8("t.u8", 255)
    w.add_int8("t.i8", -128)
    w.add_uint16("t.u16", 65535)
    w.add_int16("t.i16", -32768)
    w.add_uint32("t.u32", 4294967295)
    w.add_int32("t.i32", -2147483648)
    w.add_uint64("t.u64", 18446744073709551615)
    w.add_int64("t.i64", -9223372036854775808)
    w.add_float32("t.f32", 0.1)
    w.add_float64("t.f64", 0.1)
    w.add_bool("t.bool", True)
    w.add_string("t.string", "grüße\n")
    w.add_array("t.strings", ["", "a", "日本"])
    w.add_array("t.ints", [-1, 0, 1])
    w.add_array("t.floats", [0.5, -0.25])
    w.add_array("t.bools", [True, False])
    a = rng.standard_normal((2, 3)).astype(np.float32)
    w.add_tensor("a.f32", a)
    w.add_tensor("b.f16", rng.standard_normal((5,)).astype(np.float16))
    q = rng.standard_normal((3, 64)).astype(np.float32)
    for kind in (gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.Q4_1, gguf.GGMLQuantizationType.BF16):
        w.add_tensor(f"c.{kind.name.lower()}", gguf.quants.quantize(q, kind), raw_dtype=kind)
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.write_tensors_to_file()
    w.close()


def write_safetensors():
    import torch
    from safetensors.torch import save_file

    g = torch.Generator().manual_seed(SEED)
    t = {
        "a.f32": torch.randn(2, 3, generator=g),
        "b.f16": torch.randn(5, generator=g).half(),
        "c.bf16": torch.randn(3, 4, generator=g).bfloat16(),
        "d.i64": torch.arange(4),
        "e.bool": torch.tensor([True, False, True]),
        "f.empty": torch.zeros(0, 7),
        "g.scalar": torch.tensor(2.5),
    }
    save_file(t, FOLDER / "package.safetensors", metadata={"format": "pt", "note": "grüße"})


def write_sharded():
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(SEED)
    config = LlamaConfig(vocab_size=24, hidden_size=16, intermediate_size=24, num_hidden_layers=1, num_attention_heads=2,
                         num_key_value_heads=1, max_position_embeddings=32, dtype="float32")
    model = LlamaForCausalLM(config)
    model.save_pretrained(FOLDER / "sharded", max_shard_size="6KB")
    (FOLDER / "sharded" / "generation_config.json").unlink(missing_ok=True)
    sums = {k: float(v.double().sum()) for k, v in model.state_dict().items()}
    (FOLDER / "sharded.sums.json").write_text(json.dumps(sums, indent=1) + "\n")


def write_configs():
    from transformers import LlamaConfig, MistralConfig, MixtralConfig

    small = dict(vocab_size=100, hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4)
    llama3 = dict(rope_type="llama3", rope_theta=500000.0, factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                  original_max_position_embeddings=8192)
    configs = {
        "llama": LlamaConfig(**small, num_key_value_heads=2, head_dim=32, tie_word_embeddings=True, architectures=["LlamaForCausalLM"],
                             dtype="bfloat16", eos_token_id=[2, 7]),
        "llama3": LlamaConfig(**small, num_key_value_heads=2, rope_parameters=llama3),
        "mistral": MistralConfig(**small, num_key_value_heads=2, sliding_window=16),
        "mixtral": MixtralConfig(**small, num_key_value_heads=2, num_local_experts=8, num_experts_per_tok=2),
    }
    for name, config in configs.items():
        (FOLDER / f"config_{name}.json").write_text(config.to_json_string())


def write_sentencepiece():
    import io

    import sentencepiece as spm

    rng = np.random.default_rng(SEED)
    syllables = ["ba", "ko", "ri", "tu", "sen", "ol", "phi", "ma", "ür", "né"]
    text = [" ".join("".join(rng.choice(syllables, rng.integers(1, 4))) for _ in range(8)) for _ in range(200)]
    for kind in ("bpe", "unigram"):
        out = io.BytesIO()
        spm.SentencePieceTrainer.train(sentence_iterator=iter(text), model_writer=out, vocab_size=330 if kind == "bpe" else 60,
                                       model_type=kind, byte_fallback=kind == "bpe", pad_id=3 if kind == "unigram" else -1,
                                       user_defined_symbols=["<|x|>"], normalization_rule_name="identity",
                                       add_dummy_prefix=kind == "bpe", minloglevel=2, character_coverage=1.0, num_threads=1)
        (FOLDER / f"{kind}.model").write_bytes(out.getvalue())
        p = spm.SentencePieceProcessor(model_proto=out.getvalue())
        pieces = [[p.id_to_piece(i), p.get_score(i), p.is_unknown(i) * 2 + p.is_control(i) * 3 + p.is_byte(i) * 6] for i in range(len(p))]
        golden = dict(unk=p.unk_id(), bos=p.bos_id(), eos=p.eos_id(), pad=p.pad_id(), pieces=pieces)
        (FOLDER / f"{kind}.model.json").write_text(json.dumps(golden, ensure_ascii=False) + "\n")


def read(path):
    """One line a tensor: name, type, shape, sum of the values in double."""
    if path.endswith(".gguf"):
        import gguf

        r = gguf.GGUFReader(path)
        for name, f in r.fields.items():
            print("key", name, f.types[-1].name if f.types else "", len(f.data))
        for t in r.tensors:
            values = gguf.quants.dequantize(t.data, t.tensor_type)
            print("tensor", t.name, t.tensor_type.name, [int(x) for x in reversed(t.shape)], float(np.sum(values, dtype=np.float64)))
    else:
        from safetensors import safe_open

        with safe_open(path, framework="pt") as f:
            print("metadata", f.metadata())
            for name in f.keys():
                t = f.get_tensor(name)
                print("tensor", name, t.dtype, list(t.shape), float(t.double().sum()))


if __name__ == "__main__":
    if len(sys.argv) > 2 and sys.argv[1] == "--read":
        for argument in sys.argv[2:]:
            read(argument)
    else:
        FOLDER.mkdir(parents=True, exist_ok=True)
        write_gguf()
        write_safetensors()
        write_sharded()
        write_configs()
        write_sentencepiece()
        for path in sorted(FOLDER.rglob("*")):
            if path.is_file():
                print(path.relative_to(FOLDER), path.stat().st_size)
