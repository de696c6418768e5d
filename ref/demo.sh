#!/bin/sh
# The demo: from raw text to a model that writes. Called by `./run demo`, which builds dsllm-ref and installs the texts.
set -eu

usage() {
  cat <<'TEXT'
usage: ./run demo [--out DIR] [--tokens N]

  --out DIR     where everything is written (default: runs/demo)
  --tokens N    training tokens of each of the two runs (default: 1300000, which takes about ten minutes on 2 cores)
example: ./run demo --out /tmp/demo --tokens 200000
TEXT
}

# Called as demo.sh CALLER BIN ARGUMENT...: paths on the command line are those of the folder it was typed in.
caller=$1
program=$2/dsllm-ref
shift 2
out=runs/demo
tokens=1300000
while [ $# -gt 0 ]; do
  case $1 in
    --out | --tokens)
      [ $# -ge 2 ] || { echo "demo: $1 needs a value" >&2; exit 2; }
      case $1:$2 in
        --tokens:*) tokens=$2 ;;
        --out:/*) out=$2 ;;
        *) out=$caller/$2 ;;
      esac
      shift 2
      ;;
    --help | -h) usage; exit 0 ;;
    *) echo "demo: unknown argument '$1'" >&2; usage >&2; exit 2 ;;
  esac
done
case $tokens in
  '' | *[!0-9]*) echo "demo: --tokens needs a whole number, got '$tokens'" >&2; exit 2 ;;
esac
# The warm-up of 60 steps has to end inside the first stage of the half-length run: 0.8 * 0.5 * tokens.
[ "$tokens" -ge 160000 ] || { echo "demo: --tokens must be at least 160000, got $tokens" >&2; exit 2; }

say() { printf '\n\033[1m%s\033[0m\n' "$*"; }
[ -t 1 ] || say() { printf '\n== %s\n' "$*"; }

mkdir -p "$out/text"
text=$out/text
say "1. Text: the King James Bible, Tang and Song poems, the sources of the reference"
# The bible program asks before every page; -l100 joins its lines.
bible=$(command -v bible || echo /usr/games/bible)
yes '' | "$bible" -p /usr/lib -l100 'gen1:1-rev22:21' >"$text/bible.txt" || true
[ -s "$text/bible.txt" ] || { echo "demo: no text from the program 'bible' (packages bible-kjv, bible-kjv-text)" >&2; exit 1; }
for poems in tang300 song100; do
  # Without the colours that the package puts in for terminals.
  sed 's/\x1b\[[0-9;]*m//g' "/usr/share/games/fortunes/$poems" >"$text/$poems.txt"
done
# Of the reference alone: the other rooms grow, and the demo shall stay what its description says.
find ref \( -name '*.cpp' -o -name '*.hpp' \) | LC_ALL=C sort | xargs cat >"$text/sources.txt"
wc -c "$text"/*.txt

say "2. A byte-level BPE tokenizer of 2048 tokens (paper, section 2.1)"
"$program" tokenizer train --input "$text"/*.txt --vocab-size 2048 --all-bytes \
  --special '<｜begin▁of▁sentence｜>' '<｜end▁of▁sentence｜>' --out "$out/tokenizer.json"
"$program" data pack --tokenizer "$out/tokenizer.json" --input "$text"/*.txt --separator % --out "$out/data"

# config NAME SCHEDULE: the same model, data and rates for both schedules.
steps=$(((tokens + 1023) / 1024))
stage1_of_half=$((steps * 2 / 5))
config() {
  cat >"$out/$1.json" <<TEXT
{"model": {"preset": "demo"},
 "train": {"tokens": $tokens, "batch": 4, "micro_batch": 4, "seq_len": 256, "schedule": "$2", "lr": 0.002,
           "warmup_steps": 60, "log_every": 5, "eval_every": 250, "eval_tokens": 20000,
           "checkpoint_every": $stage1_of_half, "keep": 9}}
TEXT
}
config multi-step multi-step
config cosine cosine
# pretrain RUN CONFIG [OPTION...]
pretrain() {
  run=$out/$1
  config=$out/$2.json
  shift 2
  rm -rf "$run"
  "$program" pretrain --data "$out/data" --out "$run" --config "$config" "$@"
}
say "3. The model (paper, section 2.2)"
"$program" params --config "$out/multi-step.json"
say "4. Training with the multi-step schedule (sections 2.3 and 2.4)"
pretrain multi-step multi-step
say "5. The same with a cosine"
pretrain cosine cosine
say "6. Half the budget, continued from the first stage of run 4: only its last fifth is trained anew"
checkpoint=$out/multi-step/checkpoints/step-$(printf %06d "$stage1_of_half")
pretrain half multi-step --from "$checkpoint" --tokens $((steps * 512))

say "7. The loss"
"$program" plot "$out/cosine" "$out/multi-step" "$out/half"

say "8. What the model writes"
for prompt in 'And it came to pass' '作者：杜甫' '#include "ref/core/'; do
  echo "--- $prompt"
  "$program" generate --model "$out/multi-step/model" --prompt "$prompt" --max-tokens 80 --temperature 0.6 --top-p 0.9 \
    --seed 1
done

say "9. Bits per byte"
heldout() { awk -F, '$3 == "heldout" { bits = $5 } END { printf "%.3f", bits }' "$out/$1/log.csv"; }
bytes=$(cat "$text"/*.txt | wc -c)
xz_bits=$(cat "$text"/*.txt | xz -9e | wc -c | awk -v bytes="$bytes" '{ printf "%.3f", $1 * 8 / bytes }')
row() { printf '%-46s %8s\n' "$1" "$2"; }
row "xz -9e, the whole corpus" "$xz_bits"
row "model, held-out text, multi-step, $tokens tokens" "$(heldout multi-step)"
row "model, held-out text, cosine, $tokens tokens" "$(heldout cosine)"
row "model, held-out text, multi-step, half of them" "$(heldout half)"
awk -v model="$(heldout multi-step)" -v xz="$xz_bits" 'BEGIN {
  if (model + 0 < xz + 0) printf "the model wins by %.1f%%\n", 100 * (xz - model) / xz
  else print "xz wins: this model has seen too little text (--tokens)"
}'
cat <<TEXT

model      $out/multi-step/model (config.json, model.safetensors, tokenizer.json)
log        $out/multi-step/log.csv
text       $text
more text  $program generate --model $out/multi-step/model --prompt 'In the beginning'
TEXT
