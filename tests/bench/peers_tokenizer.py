#!/usr/bin/env python3
"""The tokenizer against the `tokenizers` library: both sides alternately in one run, one thread each, the same text.

    python3 tests/bench/peers_tokenizer.py --bench build/release/bin/dsllm-bench --venv .venv [--tokenizer FILE]

Prints a Markdown table. The library runs in this process, timed around its calls; it may read the text whole or line by
line and from a cold or a warm cache, and its fastest way counts. dsllm-bench times its own calls. Neither time holds the
start of a process or the reading of a file (but for the library's training, which reads 4 MB). Before anything is timed, both must give the same ids and the same merges.

Texts: the King James Bible (bible-kjv), Tang and Song poems (fortunes-zh), the project's sources; the vocabulary is
--tokenizer, or else one that the library learns from these texts. If this Python lacks the library it is installed
into --venv, where temporary files lie, too; nothing is written anywhere else.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time
import venv

ROOT = pathlib.Path(__file__).resolve().parents[2]


def enter_venv(folder):
    """Runs this script again under a Python that has the library."""
    python = pathlib.Path(folder).absolute() / "bin/python"
    if not python.exists():
        venv.create(folder, with_pip=True)
    if subprocess.run([python, "-c", "import tokenizers"], capture_output=True).returncode != 0:
        subprocess.run([python, "-m", "pip", "install", "--quiet", "tokenizers"], check=True)
    os.execv(python, [str(python), *sys.argv])


def texts():
    bible = subprocess.run("yes '' | bible -p /usr/lib -l100 'gen1:1-rev22:21'", shell=True, capture_output=True).stdout
    poems = b"".join(p.read_bytes() for p in map(pathlib.Path, ["/usr/share/games/fortunes/tang300.u8",
                                                                 "/usr/share/games/fortunes/song100.u8"]) if p.exists())
    sources = b"".join(p.read_bytes() for p in sorted((ROOT / "ref").rglob("*")) if p.suffix in (".cpp", ".hpp"))
    return {"english": bible, "chinese": re.sub(rb"\x1b\[[0-9;]*m", b"", poems), "code": sources}


def seconds(f):
    start = time.perf_counter()
    f()
    return time.perf_counter() - start


class Ours:
    def __init__(self, program, folder):
        self.program, self.folder = program, folder

    def __call__(self, name):
        out = subprocess.run([self.program, f"--benchmark_filter=^tokenizer/{name}$", "--benchmark_format=json"], check=True,
                             env=os.environ | {"DSLLM_BENCH_TEXTS": self.folder}, capture_output=True, text=True).stdout
        return json.loads(out)["benchmarks"][0]["real_time"] / 1000  # printed in ms


def train_with_library(files, **options):
    learned = tokenizers.Tokenizer(tokenizers.models.BPE())
    learned.pre_tokenizer = tokenizers.Tokenizer.from_file(str(ROOT / "tests/golden/tokenizer_small.json")).pre_tokenizer
    learned.decoder = tokenizers.decoders.ByteLevel()
    learned.train(files, tokenizers.trainers.BpeTrainer(show_progress=False, **options))
    return learned


def check_same(args, folder, path, text, library):
    """Ids of the text and merges of the English one, by way of the program beside dsllm-bench."""
    program = str(pathlib.Path(args.bench).with_name("dsllm-ref"))
    for name, content in text.items():
        out = subprocess.run([program, "tokenizer", "encode", "--tokenizer", path, "--parse-special"], input=content, check=True,
                             capture_output=True).stdout
        if list(map(int, out.split())) != library.encode(content.decode()).ids:
            sys.exit(f"the ids of the {name} text differ")
    subprocess.run([program, "tokenizer", "train", "--input", f"{folder}/english.txt", "--vocab-size", "1000000", "--out",
                    f"{folder}/ours.json"], check=True, capture_output=True)
    theirs = json.loads(train_with_library([f"{folder}/english.txt"], vocab_size=1_000_000).to_str())["model"]
    ours = json.loads(pathlib.Path(f"{folder}/ours.json").read_text())["model"]
    if any(ours[field] != theirs[field] for field in ("vocab", "merges")):
        sys.exit("the learned merges differ")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bench", default=str(ROOT / "build/release/bin/dsllm-bench"))
    parser.add_argument("--venv", required=True)
    parser.add_argument("--tokenizer")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    pathlib.Path(args.venv).mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=args.venv) as folder:
        text = {name: content for name, content in texts().items() if content}
        for name in ("english", "chinese", "code"):
            pathlib.Path(f"{folder}/{name}.txt").write_bytes(text.get(name, b""))
        path = f"{folder}/tokenizer.json"
        if args.tokenizer:
            pathlib.Path(path).write_bytes(pathlib.Path(args.tokenizer).read_bytes())
        else:
            alphabet = [c for c in tokenizers.pre_tokenizers.ByteLevel.alphabet() if c not in "ÀÁõö÷øùúûüýþÿ"]
            train_with_library([f"{folder}/{name}.txt" for name in text], vocab_size=32000, initial_alphabet=alphabet).save(path)
        check_same(args, folder, path, text, tokenizers.Tokenizer.from_file(path))

        ours = Ours(args.bench, folder)
        rows = {}
        for _ in range(args.rounds):
            for name, content in text.items():
                # A new one each time: it keeps what it has encoded.
                library = tokenizers.Tokenizer.from_file(path)
                whole, lines = content.decode(), content.decode().splitlines(keepends=True)
                theirs = min(seconds(lambda: library.encode(whole)) for _ in range(2))
                theirs = min(theirs, *(seconds(lambda: [library.encode(line) for line in lines]) for _ in range(2)))
                rows.setdefault(f"encode {name}", []).append((len(content), ours(f"encode/{name}"), theirs))
            if "english" in text:
                theirs = seconds(lambda: train_with_library([f"{folder}/english.txt"], vocab_size=1_000_000))
                rows.setdefault("train english", []).append((len(text["english"]), ours("train/english"), theirs))

    print(f"Medians of {args.rounds} rounds, both sides in turn, one thread; tokenizers {tokenizers.__version__}.\n")
    print("| what | text | dsllm | tokenizers | ratio (lowest to highest) |\n|---|---|---|---|---|")
    for name, rounds in rows.items():
        size = rounds[0][0] / 1e6
        middle = [sorted(r[side] for r in rounds)[len(rounds) // 2] for side in (1, 2)]
        ratios = sorted(theirs / ours for _, ours, theirs in rounds)
        print(f"| {name} | {size:.2f} MB | {size / middle[0]:.1f} MB/s | {size / middle[1]:.2f} MB/s | "
              f"{ratios[len(ratios) // 2]:.1f} ({ratios[0]:.1f} to {ratios[-1]:.1f}) |")


# One thread, for the library too; it reads this when it is imported.
os.environ |= {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}
try:
    import tokenizers
except ImportError:
    tokenizers = None

if __name__ == "__main__":
    if tokenizers is None and "--venv" in sys.argv:
        enter_venv(sys.argv[sys.argv.index("--venv") + 1])
    main()
