#!/usr/bin/env python3
"""Converts published measurements into tables that `dsllm-sim validate --table` reads.

Every figure is taken or computed from the input files at run time; what a source does not say stays an empty cell, and
each function below says why it fills a cell in. One table a source, written to a folder outside of the sources:

    python3 tests/sim/tables/convert.py --facts FACTS --data DATA --out build/tables
"""
import argparse
import collections
import csv
import math
import pathlib
import sys

COLUMNS = ("name,n_layers,d_model,n_heads,n_kv_heads,d_ff,gated,tied,vocab_size,seq_len,gpu,gpus,gpus_per_node,dp,tp,pp,cp,"
           "interleave,schedule,zero,micro_batch,global_batch,recompute,sp,precision,measured_step_time_s,"
           "measured_memory_bytes,oom").split(",")
GIB = 2**30


class InputError(Exception):
    """A source that does not say what this script was written for."""


def read(path):
    """The rows of a CSV file with '#' comments, as dictionaries."""
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(line for line in file if not line.startswith("#")))
    if not rows:
        raise InputError(f"{path}: expected at least one row, got none")
    return rows


def close(what, ours, theirs, tolerance):
    """Our derivation against the source's own figure: a shape that was read wrongly shows here."""
    if not abs(ours - theirs) <= tolerance * abs(theirs):
        raise InputError(f"{what}: expected {theirs} within {tolerance:.1%}, got {ours}")


def row(**cells):
    """One line. Without a pipeline there is one schedule and one chunk; every published run uses cp = 1."""
    line = dict.fromkeys(COLUMNS, "")
    line.update(cp=1, gpus_per_node=8)
    if cells.get("pp") == 1:
        line.update(schedule="1f1b", interleave=1)
    if cells.get("tp") == 1:
        line["sp"] = 0
    unknown = set(cells) - set(COLUMNS)
    assert not unknown, unknown
    line.update(cells)
    return line


def gpt(heads, hidden, layers, vocab, seq, tied):
    """GPT's layer: 4 h wide, two matrices, multi-head attention."""
    return dict(n_layers=layers, d_model=hidden, n_heads=heads, n_kv_heads=heads, d_ff=4 * hidden, gated=0, tied=tied,
                vocab_size=vocab, seq_len=seq)


def seconds(value):
    return f"{value:.6g}"


def korthikanti(facts):
    """Two runs of 22B: tensor parallelism with full recomputation, and sequence parallelism with selective."""
    for r in read(facts / "korthikanti2022_22B_row.csv"):
        shape = gpt(int(r["attention_heads"]), int(r["hidden_size"]), int(r["layers"]), int(r["vocab"]),
                    int(r["seq_len"]), tied=1)
        layout = dict(gpu="a100-sxm", gpus=int(r["gpus"]), dp=int(r["data_parallel"]), tp=int(r["tensor_parallel"]),
                      pp=int(r["pipeline_parallel"]), interleave=int(r["interleave_m"]), schedule="1f1b", zero=0,
                      micro_batch=int(r["micro_batch"]), global_batch=int(r["global_batch"]), precision="fp16", oom=0)
        yield row(name=f"korthikanti-{r['model']}-full", recompute="full", sp=0,
                  measured_step_time_s=r["iter_time_full_recompute_s"], **shape, **layout)
        yield row(name=f"korthikanti-{r['model']}-sp-selective", recompute="selective", sp=1,
                  measured_step_time_s=r["iter_time_seqpar_plus_selective_s"], **shape, **layout)


def megascale(facts):
    """Only the rows of Megatron-LM: MegaScale's own change the model (parallel block, sliding window) and the optimizer.

    Heads as printed (128). Micro-batch, ZeRO, recomputation and sequence parallelism are not given.
    """
    for r in read(facts / "megascale2024_256gpu_row.csv"):
        if r["system"] != "Megatron-LM":
            continue
        time, batch = float(r["iteration_time_s"]), int(r["global_batch"])
        close("megascale: thousand tokens a second", batch * 2048 / time / 1e3, float(r["throughput_ktok_s"]), 0.01)
        yield row(name=f"megascale-megatron-{r['gpus']}", **gpt(128, 12288, 96, 64000, 2048, tied=1), gpu="a100-sxm",
                  gpus=int(r["gpus"]), dp=int(r["dp(derived)"]), tp=int(r["tp"]), pp=int(r["pp"]),
                  interleave=int(r["interleave_v"]), schedule="interleaved", global_batch=batch, precision="bf16",
                  measured_step_time_s=seconds(time), oom=0)


def megatron_h100(facts):
    """Untied: only with two matrices of the vocabulary do the shapes have the parameters in their names.

    Sequence parallelism follows from the overlap of tensor parallelism, which needs it. Micro-batch, ZeRO and
    recomputation are not given. The time follows from the rate: full attention, no recomputation counted.
    """
    for r in read(facts / "megatron_readme_h100_up_to_32B.csv"):
        heads, hidden, layers = int(r["attention_heads"]), int(r["hidden_size"]), int(r["layers"])
        vocab, seq, batch = int(r["vocab"]), int(r["seq_len"]), int(r["global_batch"])
        gpus, tp = int(r["gpus"]), int(r["tensor_mp"])
        parameters = 12 * layers * hidden**2 + 2 * vocab * hidden
        close(f"megatron {r['model']}: parameters", parameters, float(r["model"].rstrip("B")) * 1e9, 0.04)
        flops = 72 * batch * seq * layers * hidden**2 * (1 + seq / (6 * hidden) + vocab / (12 * layers * hidden))
        time = flops / (gpus * float(r["tflops_per_gpu"]) * 1e12)
        close(f"megatron {r['model']}: step time", time, float(r["iteration_time_s(derived)"]), 0.01)
        yield row(name=f"megatron-h100-{r['model']}", **gpt(heads, hidden, layers, vocab, seq, tied=0), gpu="h100-sxm",
                  gpus=gpus, dp=int(r["data_parallel"]), tp=tp, pp=int(r["pipeline_mp"]), global_batch=batch,
                  sp=int(tp > 1), precision="bf16", measured_step_time_s=seconds(time), oom=0)


def narayanan(facts):
    """2021: full recomputation, before sequence parallelism and before the distributed optimizer; interleaved where
    there are stages. Micro-batch and the number of chunks are not given. The time follows from the paper's equation 3,
    which counts the recomputation."""
    for r in read(facts / "narayanan2021_table1_up_to_39B.csv"):
        heads, hidden, layers = int(r["attention_heads"]), int(r["hidden_size"]), int(r["layers"])
        vocab, seq, batch, gpus = int(r["vocab"]), int(r["seq_len"]), int(r["global_batch_seqs"]), int(r["gpus"])
        flops = 96 * batch * seq * layers * hidden**2 * (1 + seq / (6 * hidden) + vocab / (16 * layers * hidden))
        time = flops / (gpus * float(r["achieved_tflops_per_gpu"]) * 1e12)
        close(f"narayanan {r['params_billion']}B: step time", time,
              float(r["iteration_time_s(derived=F_eq3/(n*X))"]), 0.01)
        cells = dict(pp=int(r["pipeline_mp"]), recompute="full", sp=0, zero=0, precision="fp16", oom=0)
        if cells["pp"] > 1:
            cells["schedule"] = "interleaved"
        yield row(name=f"narayanan-{r['params_billion']}B", **gpt(heads, hidden, layers, vocab, seq, tied=1),
                  gpu="a100-sxm", gpus=gpus, dp=int(r["data_parallel(derived)"]), tp=int(r["tensor_mp"]),
                  global_batch=batch, measured_step_time_s=seconds(time), **cells)


# Only 32,000 words, counted once, give all four names of the paper's table of models (1.5B, 6.2B, 14.6B, 28.3B).
ZEROBUBBLE_VOCABULARY = 32000


def zerobubble(facts, schedules):
    """Memory in GiB: read as 10^9 bytes, most rows hold less than weights, optimizer and the activations of the formula
    34 + 5 a s / h; read as 2^30, all hold a little more. First and last stage have a layer less, so that layers + 2 is
    a multiple of the stages, and an interleaved chunk is one layer.

    ZB-1p has the bubble and the memory of ZB-H1. ZB-2p, found by a search, has a smaller bubble than ZB-H2: no schedule
    of ours is its equal, so it is written to a table of its own, as ZB-H2.
    """
    for r in read(facts / "zerobubble_table4_1B5_6B2.csv"):
        if r["schedule"] not in schedules:
            continue
        layers, pp, gpus = int(r["layers"]), int(r["pp"]), int(r["gpus"])
        micro, count = int(r["micro_batch"]), int(r["microbatches"])
        time = micro * count / (float(r["samples_per_gpu_per_s"]) * gpus)
        close(f"zerobubble {r['model']}: step time", time, float(r["iteration_time_s(derived)"]), 0.01)
        schedule = schedules[r["schedule"]]
        yield row(name=f"zerobubble-{r['model']}-{r['schedule']}-m{count}",
                  **gpt(int(r["heads"]), int(r["hidden"]), layers, ZEROBUBBLE_VOCABULARY, int(r["seq_len"]), tied=1),
                  gpu="a100-sxm", gpus=gpus, dp=gpus // pp, tp=1, pp=pp, schedule=schedule,
                  interleave=(layers + 2) // pp if schedule == "interleaved" else 1, zero=0, micro_batch=micro,
                  global_batch=micro * count, recompute="none", precision="bf16", measured_step_time_s=seconds(time),
                  measured_memory_bytes=round(float(r["memory_GB"]) * GIB), oom=0)


MPT_VOCABULARY = 50368
MPT_SHAPES = {  # model: width, heads, layers (llm-foundry, scripts/train/yamls); four widths of d_ff, tied, with biases
    "125m": (768, 12, 12), "350m": (1024, 16, 24), "760m": (1536, 12, 24), "1b": (2048, 16, 24), "3b": (2560, 20, 32),
    "7b": (4096, 32, 32), "13b": (5120, 40, 40), "30b": (7168, 56, 48), "70b": (8192, 64, 80)}


def mosaicml(data):
    """FSDP is ZeRO 3, activation checkpointing is full recomputation. The shapes are checked: they give the parameters
    to the last one. Times from tokens a second, since samples a second are rounded to an integer."""
    for r in read(data / "mosaicml_a100_40gb.csv"):
        width, heads, layers = MPT_SHAPES[r["model"]]
        seq, gpus, batch, micro = int(r["seq_len"]), int(r["gpus"]), int(r["global_batch"]), int(r["micro_batch"])
        parameters = 12 * layers * width**2 + (13 * layers + 2 + MPT_VOCABULARY + seq) * width
        close(f"mosaicml {r['model']}: parameters", parameters, int(r["num_params"]), 0)
        if (r["gpu"], r["sharding(FSDP)"], r["precision"]) != ("a100_40gb", "FULL_SHARD", "bf16"):
            raise InputError(f"mosaicml {r['model']}: expected a100_40gb, FULL_SHARD, bf16")
        if gpus * micro * int(r["grad_accum"]) != batch:
            raise InputError(f"mosaicml {r['model']}: {gpus} GPUs, micro-batch {micro} and batch {batch} disagree")
        time = batch * seq / float(r["tokens_per_s"])
        close(f"mosaicml {r['model']}: tokens a second a GPU", batch * seq / time / gpus,
              float(r["tokens_per_s_per_gpu"]), 0.01)
        yield row(name=f"mosaicml-{r['model']}-s{seq}-g{gpus}", **gpt(heads, width, layers, MPT_VOCABULARY, seq, tied=1),
                  gpu="a100-sxm-40gb", gpus=gpus, dp=gpus, tp=1, pp=1, zero=3, micro_batch=micro, global_batch=batch,
                  recompute="full" if r["activation_ckpt"] == "True" else "none", precision="bf16",
                  measured_step_time_s=seconds(time), oom=0)


def vtrain(data):
    """Full recomputation, 1F1B without chunks; ZeRO is not given. The 80 GB card, since 3.6 B parameters of 16 bytes on
    one GPU (tp = pp = 1) do not fit 40. Megatron pads the vocabulary of 50,257 to a multiple of 128 tp. The nodes have
    800 Gb/s, half of the card's usual network: the format has no cell for that."""
    times = collections.Counter()
    for r in read(data / "vtrain_multi_node_3B6_39B1.csv"):
        tp, pp, dp, gpus = int(r["tp"]), int(r["pp"]), int(r["dp"]), int(r["gpus"])
        if dp * tp * pp != gpus:
            raise InputError(f"vtrain: dp {dp} x tp {tp} x pp {pp} is not {gpus}")
        vocab = math.ceil(50257 / (128 * tp)) * 128 * tp
        name = f"vtrain-{r['params_billion']}B-dp{dp}-tp{tp}-pp{pp}-mb{r['micro_batch']}"
        times[name] += 1
        yield row(name=name if times[name] == 1 else f"{name}-{times[name]}",
                  **gpt(int(r["heads"]), int(r["hidden"]), int(r["layers"]), vocab, int(r["seq_len"]), tied=1),
                  gpu="a100-sxm", gpus=gpus, dp=dp, tp=tp, pp=pp, interleave=1, schedule="1f1b",
                  micro_batch=int(r["micro_batch"]), global_batch=int(r["global_batch"]), recompute="full", sp=0,
                  precision="fp16", measured_step_time_s=seconds(float(r["iteration_time_ms"]) / 1e3), oom=0)


def nanotron_state_bytes(r):
    """A floor of what a rank of a failed run held: weights 2, gradients 4, and optimizer 12 bytes a parameter, which
    ZeRO 1 divides by dp. Only the layers, divided evenly."""
    hidden, ffn = int(r["hidden"]), int(r["ffn"])
    kv = int(r["kv_heads"]) / int(r["heads"])
    parameters = int(r["layers"]) * ((2 + 2 * kv) * hidden**2 + 3 * hidden * ffn)
    parameters /= int(r["tp"]) * int(r["pp"])
    return parameters * (6 + 12 / (int(r["dp"]) if r["zero_stage"] == "1" else 1))


def nanotron(data):
    """Sequence parallelism and no recomputation in all; 1B is tied (its d_ff is below 10,000), 8B is not.

    Memory in GiB: nanotron divides by 1024^3, and writes what rank 0, the first stage, allocated. A row that ran has
    oom = 0. A failed one may have run out of memory, crashed or timed out. It counts as out of memory if
      - the same layout ran with a smaller micro-batch and with none as large: memory grows with the micro-batch, while
        fewer, larger passes take less time, so a time-out would have hit the smaller one first; or
      - weights, gradients and optimizer alone are more than the 80 GB of the card.
    Of the other failures nothing is known, and they are left out; so are layouts that contradict themselves, and
    failures of a configuration that also ran.
    """
    rows = [r for r in read(data / "hf_ultrascale_1B_8B_up_to_8_nodes.csv") if r["layout_consistent"] == "1"]
    def family(r):
        return tuple(r[k] for k in ("model", "kv_heads", "nodes", "dp", "tp", "pp", "zero_stage", "seq_len"))
    ran = collections.defaultdict(list)
    for r in rows:
        if r["status"] == "ok":
            ran[family(r)].append(int(r["micro_batch"]))
    names = collections.Counter()
    for r in rows:
        micro, seq, gpus = int(r["micro_batch"]), int(r["seq_len"]), int(r["gpus"])
        batch, tp, pp, ok = int(r["global_batch_seqs"]), int(r["tp"]), int(r["pp"]), r["status"] == "ok"
        if not ok and nanotron_state_bytes(r) <= 80e9 and not (ran[family(r)] and max(ran[family(r)]) < micro):
            continue
        cells = dict(oom=1)
        if ok:
            time = batch * seq / (float(r["tokens_per_s_per_gpu"]) * gpus)
            cells = dict(oom=0, measured_step_time_s=seconds(time),
                         measured_memory_bytes=round(float(r["gpu_memory_GB"]) * GIB))
        name = f"nanotron-{r['model']}-dp{r['dp']}-tp{tp}-pp{pp}-zero{r['zero_stage']}-mb{micro}"
        names[name] += 1
        yield row(name=name if names[name] == 1 else f"{name}-{names[name]}", n_layers=int(r["layers"]),
                  d_model=int(r["hidden"]), n_heads=int(r["heads"]), n_kv_heads=int(r["kv_heads"]), d_ff=int(r["ffn"]),
                  gated=1, tied=int(int(r["ffn"]) < 10_000), vocab_size=int(r["vocab"]), seq_len=seq, gpu="h100-sxm",
                  gpus=gpus, dp=int(r["dp"]), tp=tp, pp=pp, interleave=1, schedule="1f1b", zero=int(r["zero_stage"]),
                  micro_batch=micro, global_batch=batch, recompute="none", sp=int(tp > 1), precision="bf16", **cells)


def went_wrong(rows):
    """Names of nanotron's runs that took more than three times as long for a micro-batch as the fastest run with the same
    model, tp, pp and micro-batch, whose stages do the same work, on one node or on several alike: 1.1 s more for every micro-batch whatever the layout
    (no ZeRO, several nodes), or an allocator that has no room left (over 80 GB of 85). What made them slow is not in the table."""
    each = {}
    for r in rows:
        if r["measured_step_time_s"]:
            micro_batches = r["global_batch"] / (r["dp"] * r["micro_batch"])
            key = (r["n_layers"], r["tp"], r["pp"], r["micro_batch"], r["gpus"] > 8)
            each.setdefault(key, []).append((float(r["measured_step_time_s"]) / (micro_batches + r["pp"] - 1), r["name"]))
    return {name for runs in each.values() for seconds, name in runs if seconds > 3 * min(runs)[0]}


def tables(facts, data):
    """Every table by name; each is a generator of rows. Those in aside/ are not to be tuned on."""
    yield "korthikanti", korthikanti(facts)
    yield "megascale", megascale(facts)
    yield "megatron_h100", megatron_h100(facts)
    yield "narayanan", narayanan(facts)
    yield "zerobubble", zerobubble(facts, {"1F1B": "1f1b", "1F1B-I": "interleaved", "ZB-1p": "zb-h1"})
    yield "aside/zerobubble_2p_as_h2", zerobubble(facts, {"ZB-2p": "zb-h2"})
    yield "mosaicml", mosaicml(data)
    yield "vtrain", vtrain(data)
    runs = list(nanotron(data))
    slow = went_wrong(runs)
    yield "nanotron", (r for r in runs if r["name"] not in slow)
    yield "aside/nanotron_slow", (r for r in runs if r["name"] in slow)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", type=pathlib.Path, required=True, help="folder of the published tables")
    parser.add_argument("--data", type=pathlib.Path, required=True, help="folder of the longer measurements")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder that the tables are written to")
    options = parser.parse_args()
    try:
        options.out.mkdir(parents=True, exist_ok=True)
        for name, rows in tables(options.facts, options.data):
            rows = list(rows)
            path = options.out / f"{name}.csv"
            path.parent.mkdir(exist_ok=True)
            with open(path, "w", newline="", encoding="utf-8") as file:
                writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
                writer.writeheader()
                writer.writerows(rows)
            print(f"{name}.csv: {len(rows)} rows, {sum(r['oom'] == 1 for r in rows)} out of memory")
    except (OSError, InputError, KeyError, ValueError) as error:
        print(f"convert.py: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
