#!/usr/bin/env python3
"""Writes the tokenizer fixtures and goldens: tests/data/tokenizer/.

    tests/goldens/tokenizer_goldens.py --llama-tokenize PATH [--shared DIR] [--model FILE.gguf]

Fixtures: a byte-level BPE trained by tokenizers and a SentencePiece BPE trained by sentencepiece, a few hundred tokens each,
in every file form we read. goldens.json: the ids of each case for each vocabulary, by the peer that owns the file form
(tokenizers for tokenizer.json, sentencepiece for tokenizer.model, llama.cpp for GGUF). With --shared and --model also for
vocabularies that are not checked in, and a hash of the ids of every text file below DIR.
Needs: tokenizers, sentencepiece, gguf, numpy, and llama.cpp's llama-tokenize.
"""
import argparse
import copy
import importlib.metadata
import io
import json
import random
import subprocess
import tempfile
from pathlib import Path

import gguf
import sentencepiece
import tokenizers
from tokenizers import decoders, models, pre_tokenizers, trainers

SEED = 7
OUT = Path(__file__).resolve().parent.parent / "data" / "tokenizer"
TRAINING = [
    "The ferry leaves the harbour at seven in the morning and again at three in the afternoon.",
    "I've told you that she'll be there; they're sure we'd like it, and I'm not, so don't!",
    "for i in range(10):\n    print(i, i * i)\n\n\n    return [x ** 2 for x in values if x != 0]\n",
    "In 1984 there were 1,234 boats, 56 ferries and 7 lighthouses; 3.14159 is not 22/7.",
    "Der Fährmann fährt über den großen See. Où est l'hôtel près de la forêt ? El niño comió piñas.",
    "Паром отходит утром, когда на острове ещё темно. Καλημέρα, κόσμε. Cửa Việt.",
    "渡し船は朝七時に港を出る。你好,世界!我想在島上工作。안녕하세요, 섬마을 여러분.",
    "https://example.org/a?b=c&d=%20#e <p class=\"x\">HTTPServer snake_case camelCase</p> \t tabs\t\tand  spaces",
    "🚢 🏝️ 👩‍👩‍👧‍👦 the the the and and and ing ing ation ation er er   in in on on at at",
] * 4

VALID = [
    "", "a", " ", "  ", "   ", "\n", "\n\n", "\n\n\n", "\t", "\t\n", "a ", " a", "  a", "a  ", "\n a\n",
    "Hello, world!", " Hello  World   !", "I've 'told he's there, 'RE you sure? 'M not We'Ve a'lL 'D 'S 'LL don't",
    "the ferry's", "THE FERRY'S HTTPServer iPhone McDonald", "1 12 123 1234 12345 123456 1,000.50 3.14", "a1b22c333d4444 5 66  777",
    "x=[1,2];  y  = 3\r\n\r\nz\r", "def f(x):\n\treturn x**2  # comment\n\n\n    done", "!!!!!! ?? ... ------ === /// //\n/\n",
    "Привет, мир!", "你好，世界！我想在apple工作1314151天～", "渡し船は朝七時", "안녕하세요", "مرحبا ١٢٣", "नमस्ते दुनिया १२३ क्षत्रिय",
    "កាន់តែពិសេសអាចខលចេញ", "Cửa Việt", "e\u0301 a\u0323\u0302 \u0301x o\u0302\u0323 \u1e9b\u0323 \uac00\u11a8 \u1112\u1161\u11ab",
    "Åäö \u212b \u2126 \u0344 \u0958 \ufb1d \U0001d15e \u0f73\u0f71", "ǅ ǈa ʰʲ ªº ①② Ⅷ ½ ²³ 𝟘𝟙 ﬁ", "'ſ'ſa 'S",
    "🚢 🏝️ 👩‍👩‍👧‍👦 👍🏽 🏳️‍🌈 🇩🇪🇫🇷 😶‍🌫️", "zero\u200bwidth\u200djoin\u2060 nb\u00a0sp\u2003em\u3000ideo\u2028\u2029\u0085x\u1680y",
    "\u0000\u0001\u0004 nul\u0000 \u001f\u007f \u001b[0m", "▁under▁▁score ▁ _", "<s></s><unk> <0x0A> <|im_start|>user\nhi <|im_end|>\n<|endoftext|>",
    "<sep> a <sep>b<sep><sep> c", "ⓐ\u0378\U0010ffff\ue000\ufffd\ufffe", " " * 20 + "x" + "\n" * 20 + " " * 9, "\r\n" * 9 + "\t" * 9,
    "ab" * 45, "." * 67 + "é" * 35,
]
BROKEN = ["ff", "c080", "c3", "e4bd", "e4bd206f6b", "f09f98", "618062c328e2826328f09f", "eda080", "e08080", "f0808080", "fe61ff",
          "e2968120c2", "efbfbd80", "c3c3a9", "61e2", "f0e2968161"]


def random_cases(count):
    """Strings over alphabets that the patterns tell apart."""
    draw = random.Random(SEED)
    pools = ["abcdefgXYZ", "   \n\t\r", "0123456789", "'\"!?.,;:-_()/\\<>|~`$+", "éàüß", "абвЖ", "你好世界", "🙂🎉\u200d\ufe0f", "\u0301\u0308\u00a0\u3000",
             ["'s", "'re", "'LL", "the", " ferry"], "١½Ⅷ²", "\x01\x1f"]
    return ["".join("".join(draw.choice(pool) for _ in range(draw.randint(1, 4))) for pool in draw.choices(pools, k=draw.randint(1, 12)))
            for _ in range(count)]


def fnv(ids):
    value = 0xCBF29CE484222325
    for i in ids:
        for byte in int(i).to_bytes(4, "little"):
            value = ((value ^ byte) * 0x100000001B3) & 0xFFFFFFFFFFFFFFFF
    return f"{value:016x}"


# --- fixtures ---------------------------------------------------------------------------------------------------------

GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
TAIL = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
LLAMA3 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}" + TAIL
QWEN2 = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}" + TAIL
CASED = (r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+")
BYTES = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}


def split(regex):
    return {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def byte_level_fixtures():
    t = tokenizers.Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(TRAINING, trainers.BpeTrainer(
        vocab_size=480, special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"], show_progress=False,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    base = json.loads(t.to_str())
    # Flags of added tokens: a plain word, and special ones that swallow spaces or stand alone.
    next_id = len(base["model"]["vocab"])
    for text, flags in (("ferry", {"single_word": True}), ("<sep>", {"lstrip": True, "rstrip": True})):
        base["added_tokens"].append({"id": next_id, "content": text, "single_word": False, "lstrip": False, "rstrip": False,
                                     "normalized": False, "special": False} | flags)
        next_id += 1
    forms = {
        "gpt2": {"pre_tokenizer": BYTES | {"use_regex": True}},
        "smollm": {"pre_tokenizer": sequence({"type": "Digits", "individual_digits": True}, BYTES | {"use_regex": True})},
        "llama3": {"pre_tokenizer": sequence(split(LLAMA3), BYTES), "ignore_merges": True},
        "qwen2": {"pre_tokenizer": sequence(split(QWEN2), BYTES), "normalizer": {"type": "NFC"}},
        "gpt4o": {"pre_tokenizer": sequence(split(CASED), BYTES)},
        "prefix": {"pre_tokenizer": BYTES | {"use_regex": True, "add_prefix_space": True}},
    }
    # One file holds all forms: "tokenizer" and, per form, what differs from it.
    write("byte_level.json", {"tokenizer": base, "forms": forms})
    files = {}
    for name, form in forms.items():
        whole = copy.deepcopy(base)
        whole["pre_tokenizer"] = form["pre_tokenizer"]
        whole["normalizer"] = form.get("normalizer")
        whole["model"]["ignore_merges"] = form.get("ignore_merges", False)
        files[name] = json.dumps(whole)
    return base, files


def byte_level_gguf(base, pre, path):
    vocab = sorted(base["model"]["vocab"].items(), key=lambda item: item[1])
    texts = [text for text, _ in vocab] + ["ferry", "<sep>"]
    kinds = [3 if text.startswith("<|") else 1 for text, _ in vocab] + [4, 4]
    merges = [" ".join(m) if isinstance(m, list) else m for m in base["model"]["merges"]]
    w = gguf.GGUFWriter(path, "llama")
    w.add_tokenizer_model("gpt2")
    w.add_tokenizer_pre(pre)
    w.add_token_list(texts)
    w.add_token_types(kinds)
    w.add_token_merges(merges)
    w.add_bos_token_id(0)
    w.add_eos_token_id(2)
    finish(w)


def finish(w):
    w.write_header_to_file()
    w.write_kv_data_to_file()
    w.close()


def sentencepiece_fixtures():
    models_ = {}
    for name, options in (("spm_bytes", {"byte_fallback": True, "remove_extra_whitespaces": False, "user_defined_symbols": ["<sep>", "ferry"]}),
                          ("spm_plain", {"byte_fallback": False, "remove_extra_whitespaces": True, "vocab_size": 330})):
        out = io.BytesIO()
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(TRAINING), model_writer=out, model_type="bpe",
            **({"vocab_size": 620, "normalization_rule_name": "identity", "character_coverage": 0.98, "split_digits": True,
                "allow_whitespace_only_pieces": True, "max_sentence_length": 10000, "minloglevel": 2} | options))
        models_[name] = out.getvalue()
        (OUT / f"{name}.model").write_bytes(out.getvalue())
    return models_


def sentencepiece_gguf(model, path):
    sp = sentencepiece.SentencePieceProcessor(model_proto=model)
    texts = [sp.id_to_piece(i) for i in range(sp.get_piece_size())]
    kinds = []
    for i, text in enumerate(texts):
        user = text in ("<sep>", "ferry")
        kinds.append(2 if sp.is_unknown(i) else 3 if sp.is_control(i) else 6 if sp.is_byte(i) else 4 if user else 1)
    w = gguf.GGUFWriter(path, "llama")
    w.add_tokenizer_model("llama")
    w.add_tokenizer_pre("default")
    w.add_token_list(texts)
    w.add_token_scores([sp.get_score(i) for i in range(len(texts))])
    w.add_token_types(kinds)
    w.add_bos_token_id(1)
    w.add_eos_token_id(2)
    w.add_unk_token_id(0)
    finish(w)


def sentencepiece_json(model):
    """As transformers converts: every way to join two pieces into a third, ordered by the third's score."""
    sp = sentencepiece.SentencePieceProcessor(model_proto=model)
    vocab = {sp.id_to_piece(i): i for i in range(sp.get_piece_size())}
    merges = []
    for piece, i in vocab.items():
        local = [(piece[:k], piece[k:], vocab[piece[:k]], vocab[piece[k:]]) for k in range(1, len(piece))
                 if piece[:k] in vocab and piece[k:] in vocab and not sp.is_control(i)]
        merges += [(a, b, sp.get_score(i)) for a, b, *_ in sorted(local, key=lambda m: (m[2], m[3]))]
    merges = [[a, b] for a, b, _ in sorted(merges, key=lambda m: -m[2])]
    added = [{"id": vocab[t], "content": t, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
              "special": t in ("<unk>", "<s>", "</s>")} for t in ("<unk>", "<s>", "</s>", "<sep>")]
    base = {"version": "1.0", "truncation": None, "padding": None, "added_tokens": added, "normalizer": None, "pre_tokenizer": None,
            "post_processor": None,
            "decoder": {"type": "Sequence", "decoders": [
                {"type": "Replace", "pattern": {"String": "▁"}, "content": " "}, {"type": "ByteFallback"}, {"type": "Fuse"},
                {"type": "Strip", "content": " ", "start": 1, "stop": 0}]},
            "model": {"type": "BPE", "dropout": None, "unk_token": "<unk>", "continuing_subword_prefix": None,
                      "end_of_word_suffix": None, "fuse_unk": True, "byte_fallback": True, "ignore_merges": False, "vocab": vocab,
                      "merges": merges}}
    metaspace = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": "first", "split": False}
    forms = {
        "legacy": {"normalizer": {"type": "Sequence", "normalizers": [
            {"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}},
        "metaspace_first": {"pre_tokenizer": metaspace},
        "metaspace_always_split": {"pre_tokenizer": metaspace | {"prepend_scheme": "always", "split": True}},
        "metaspace_never": {"pre_tokenizer": metaspace | {"prepend_scheme": "never"}},
    }
    write("sentencepiece.json", {"tokenizer": base, "forms": forms})
    return {name: json.dumps(base | form) for name, form in forms.items()}


def write(name, value):
    (OUT / name).write_text(json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


# --- goldens ----------------------------------------------------------------------------------------------------------

def llama_ids(program, model, data, special):
    with tempfile.NamedTemporaryFile() as f:
        f.write(data)
        f.flush()
        flags = ["--ids", "--no-bos", "--no-escape", "--log-disable"] + ([] if special else ["--no-parse-special"])
        out = subprocess.run([program, "-m", str(model), "-f", f.name, *flags], check=True, capture_output=True, text=True).stdout
    return json.loads(out.strip().splitlines()[-1])


def main():
    args = argparse.ArgumentParser()
    args.add_argument("--llama-tokenize", required=True)
    args.add_argument("--shared", type=Path)
    args.add_argument("--model", type=Path)
    args = args.parse_args()
    OUT.mkdir(parents=True, exist_ok=True)

    cases = [{"text": t} for t in VALID + random_cases(40)] + [{"hex": h} for h in BROKEN]
    raw = [c["text"].encode() if "text" in c else bytes.fromhex(c["hex"]) for c in cases]

    def run(modes, valid_only=False):
        """Ids for each case, null where the peer cannot take broken UTF-8; "special" lists only the cases where it differs."""
        out = {mode: [None if valid_only and "hex" in c else encode(b) for c, b in zip(cases, raw)] for mode, encode in modes.items()}
        if "special" in out:
            out["special"] = {str(i): s for i, (p, s) in enumerate(zip(out["plain"], out["special"])) if p != s}
        return out

    def hf(text):
        plain, special = tokenizers.Tokenizer.from_str(text), tokenizers.Tokenizer.from_str(text)
        plain.encode_special_tokens = True
        return {mode: (lambda b, t=t: t.encode(b.decode(), add_special_tokens=False).ids) for mode, t in (("plain", plain), ("special", special))}

    def llama(path):
        # llama-tokenize calls an empty prompt an error.
        return {mode: (lambda b, s=mode == "special": llama_ids(args.llama_tokenize, path, b, s) if b else []) for mode in ("plain", "special")}

    ids = {}
    base, byte_files = byte_level_fixtures()
    for name, text in byte_files.items():
        ids[f"byte_level.json#{name}"] = run(hf(text), True)
    for pre in ("gpt-2", "smollm", "llama-bpe", "qwen2", "default", "falcon"):
        path = OUT / f"byte_level_{pre}.gguf"
        byte_level_gguf(base, pre, path)
        ids[path.name] = run(llama(path))
        if pre != "gpt-2":
            path.unlink()  # the test rewrites the one file that stays
    for name, model in sentencepiece_fixtures().items():
        sp = sentencepiece.SentencePieceProcessor(model_proto=model)
        ids[f"{name}.model"] = run({"plain": sp.encode})
        if name == "spm_bytes":
            sentencepiece_gguf(model, OUT / f"{name}.gguf")
            ids[f"{name}.gguf"] = run(llama(OUT / f"{name}.gguf"))
            for form, text in sentencepiece_json(model).items():
                ids[f"sentencepiece.json#{form}"] = run(hf(text), True)

    hashes, shared_ids = {}, {}
    if args.shared:
        peers = {}
        for name in ("tokenizers/ggml/ggml-vocab-gpt-2.gguf", "tokenizers/ggml/ggml-vocab-llama-spm.gguf"):
            peers["shared:" + name] = llama(args.shared / name)
        if args.model:
            peers["model:" + args.model.name] = llama(args.model)
        for name in ("tokenizers/granite-7b-lab/tokenizer.model", "tokenizers/mistral-v1/tokenizer.model.v1"):
            peers["shared:" + name] = {"plain": sentencepiece.SentencePieceProcessor(model_file=str(args.shared / name)).encode}
        name = "tokenizers/granite-7b-lab/tokenizer.json"
        peers["shared:" + name] = hf((args.shared / name).read_text())
        texts = [p for p in sorted(args.shared.rglob("*")) if p.suffix in (".md", ".txt", ".csv", ".json", ".jsonl", ".yaml", ".inp")
                 and "granite" not in str(p)]
        for name, modes in peers.items():
            shared_ids[name] = run(modes, name.endswith(".json"))
            hashes[name] = {}
            for path in texts:
                out = modes["plain"](path.read_bytes())
                hashes[name][str(path.relative_to(args.shared))] = [len(out), fnv(out)]
    write("goldens.json", {
        "generator": "tests/goldens/tokenizer_goldens.py", "seed": SEED,
        "versions": {p: importlib.metadata.version(p) for p in ("tokenizers", "sentencepiece", "gguf")}
        | {"llama.cpp": subprocess.run([args.llama_tokenize, "--version"], capture_output=True, text=True).stderr.strip().splitlines()[0]},
        "cases": cases, "ids": ids})
    write("goldens_shared.json", {"generator": "tests/goldens/tokenizer_goldens.py", "hash": "FNV-1a, 64 bits, over little-endian int32 ids",
                                  "ids": shared_ids, "files": hashes})


if __name__ == "__main__":
    main()
