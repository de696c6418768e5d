#!/bin/sh
# A line for each kernel from what nvcc printed (-Xptxas -v), on standard input: registers a thread, bytes of static shared
# memory a block, bytes spilled. Ends with 1 if there is no kernel, or one that spills.
set -eu
c++filt | awk '
  /Compiling entry function/ {
    split($0, quoted, "\047")
    kernel = quoted[2]; arch = quoted[4]
    # C++ names in short: no namespaces, no arguments
    gsub(/\(anonymous namespace\)::/, "", kernel)
    gsub(/dsllm::|cuda::/, "", kernel)
    sub(/^void /, "", kernel)
    sub(/\(.*$/, "", kernel)
  }
  /bytes spill stores/ { spilled = $5 }
  /Used [0-9]+ registers/ {
    shared = 0
    for (i = 1; i <= NF; ++i) {
      if ($(i) == "registers,") registers = $(i - 1)
      if ($(i) ~ /^smem/) shared = $(i - 2)
    }
    line = sprintf("%-56s %-6s %3d registers %6d B shared %4d B spilled", kernel, arch, registers, shared, spilled)
    if (!(line in seen)) { seen[line] = 1; print line | "LC_ALL=C sort"; ++kernels }
    if (spilled > 0) bad = 1
  }
  END {
    if (kernels == 0) { print "no kernel in nvcc\047s output" > "/dev/stderr"; exit 1 }
    exit bad
  }'
