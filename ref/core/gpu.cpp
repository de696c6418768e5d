// Sources.
//   bf16, fp8, memory, NVLink, network, MAMF: stas00/ml-engineering, compute/accelerator/README.md and network/README.md
//     (commit 744d01e); cli99/llm-analysis gpu_configs; hahnyuan/LLM-Viewer hardware_params.py.
//   H800: ai-dynamo/aiconfigurator PR 968 (NVLink of 400 GB/s in both directions); DeepSeek-V3 (arXiv 2412.19437) 3.2.2, which
//     reaches about 160 GB/s of its 200; deepseek-ai/profile-data (132 multiprocessors).
//   Multiprocessors and fp32: NVIDIA's datasheets and architecture whitepapers (V100, A100, H100, GA102, Ada); for the B200 the
//     HGX B200 datasheet. GeForce: the GA102 and Ada whitepapers, bf16 with fp32 accumulation.
// The H100's 989.5 TFLOPS are at its boost clock; a power cap lowers them. Networks and the number of GPUs that NVLink
// joins belong to typical nodes, not to the chip (a bridge joins 2 PCIe cards; GeForce cards have none, or are used without).
// Memory is what CUDA reports as the device's (totalGlobalMem), which is nearer to GiB than to the GB of its name: for the H800
//   deepseek-ai/profile-data; for others PyTorch's messages ("79.15 GiB total capacity") in public issues. Where none was at
//   hand it is the datasheet's (B300, GB200); the B200 has 192 GB, of which 180 can be used.
#include "ref/core/gpu.hpp"

#include "ref/core/error.hpp"

namespace dsllm {

const std::vector<Gpu>& all_gpus() {
  constexpr double GB = 1e9;
  static const std::vector<Gpu> table = {
      // name             cc  SMs  fp32   bf16    fp8   MAMF    memory    bytes/s   NVLink gen, bytes/s, GPUs  network
      {"v100-sxm", 70, 80, 15.7, 125, 0, 0, 34.1 * GB, 900 * GB, 2, 150 * GB, 8, 12.5 * GB},
      {"a100-pcie-40gb", 80, 108, 19.5, 312, 0, 0, 42.3 * GB, 1555 * GB, 3, 300 * GB, 2, 25 * GB},
      {"a100-sxm-40gb", 80, 108, 19.5, 312, 0, 0, 42.3 * GB, 1555 * GB, 3, 300 * GB, 8, 25 * GB},
      {"a100-sxm", 80, 108, 19.5, 312, 0, 271.2, 85.0 * GB, 2039 * GB, 3, 300 * GB, 8, 25 * GB},
      {"a100-pcie", 80, 108, 19.5, 312, 0, 252.9, 85.0 * GB, 1935 * GB, 3, 300 * GB, 2, 25 * GB},
      {"rtx3090", 86, 82, 35.6, 71, 0, 0, 25.4 * GB, 936 * GB, 0, 0, 1, 0},
      {"rtx4090", 89, 128, 82.6, 165.2, 330.3, 0, 25.4 * GB, 1008 * GB, 0, 0, 1, 0},
      {"h100-pcie", 90, 114, 51.2, 756, 1513, 0, 84.9 * GB, 2000 * GB, 4, 300 * GB, 2, 50 * GB},
      {"h100-sxm", 90, 132, 66.9, 989.5, 1979, 794.5, 84.9 * GB, 3350 * GB, 4, 450 * GB, 8, 50 * GB},
      {"h800-sxm", 90, 132, 66.9, 989.5, 1979, 0, 84.9 * GB, 3350 * GB, 4, 200 * GB, 8, 50 * GB},
      {"h200-sxm", 90, 132, 66.9, 989.5, 1979, 794.5, 150.1 * GB, 4800 * GB, 4, 450 * GB, 8, 50 * GB},
      {"b200-sxm", 100, 148, 80, 2250, 4500, 1745, 180 * GB, 8000 * GB, 5, 900 * GB, 8, 50 * GB},
      {"b300-sxm", 103, 0, 0, 2250, 4500, 1769, 288 * GB, 8000 * GB, 5, 900 * GB, 8, 100 * GB},
      {"gb200", 100, 0, 80, 2500, 5000, 1822, 186 * GB, 8000 * GB, 5, 900 * GB, 72, 50 * GB},
  };
  return table;
}

const Gpu& find_gpu(const std::string& name) {
  std::string names;
  for (const Gpu& g : all_gpus()) {
    if (g.name == name) return g;
    names += (names.empty() ? "" : ", ") + g.name;
  }
  throw ValueError("GPU", "one of " + names, name);
}

}  // namespace dsllm
