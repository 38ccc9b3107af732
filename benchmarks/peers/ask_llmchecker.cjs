// Asks llm-checker 3.8.1: npm install llm-checker@3.8.1
//
//   python all_questions.py | node ask_llmchecker.cjs FOLDER/node_modules/llm-checker > answers/llm-checker.jsonl
//
// The selector behind its commands is asked by its module. Given: parameters and, of a mixture of experts, those that a token
// uses; names, cores and memory of the machine. Not given: layers, heads and bandwidths, for which it has no field.
const fs = require("node:fs");
const path = require("node:path");

const folder = fs.realpathSync(process.argv[2]);
const module_ = require(path.join(folder, "src/models/deterministic-selector.js"));
const Selector = module_.DeterministicModelSelector || module_.default || module_;
const selector = new Selector();
const board = JSON.parse(fs.readFileSync(0, "utf8"));
const GB = 1e9;
// the nearest type that it lists
const NAMES = { "UD-Q4_K_XL": "Q4_K_M", "UD-Q4_K_M": "Q4_K_M", "4bit": "Q4_K_M", "8bit": "Q8_0" };

function modelOf(name) {
  const facts = board.models[name];
  const total = facts.parameters / GB;
  const active = facts.active_parameters ? facts.active_parameters / GB : undefined;
  return {
    model_identifier: name,
    name,
    family: facts.architecture,
    paramsB: total,
    ctxMax: facts.context,
    isMoE: active !== undefined,
    totalParamsB: total,
    total_params_b: total,
    activeParamsB: active,
    active_params_b: active,
  };
}

function askMemory(question) {
  const type = NAMES[question.quantization] || question.quantization;
  const need = selector.estimateMemoryBreakdown(modelOf(question.model), type, question.context);
  const machine = selector.normalizeHardwareProfile({
    cpu: { cores: 8, architecture: "x64" },
    gpu: { model: question.gpu, type: question.gpu.startsWith("RX") ? "amd" : "nvidia", vramGB: question.gpu_gib },
    memory: { totalGB: question.ram_gib },
  });
  return {
    id: question.id,
    fits: need.requiredGB <= machine.gpu.vramGB,
    weights: Math.round(need.modelMemGB * GB),
    kv: Math.round(need.kvCacheGB * GB),
    total: Math.round(need.requiredGB * GB),
  };
}

const GPU_TYPES = { apple: "apple_silicon", nvidia: "nvidia", amd: "amd", intel: "intel" };

function gpuOf(machine) {
  const isCard = machine.kind === "gpu";
  const isUnified = machine.kind === "unified";
  const isApple = machine.vendor === "apple";
  let name = machine.name;
  if (machine.kind === "cpu") name = "";
  else if (isApple) name = `Apple ${machine.name}`;
  return {
    model: name,
    type: machine.kind === "cpu" ? "cpu_only" : GPU_TYPES[machine.vendor],
    vramGB: isCard || (isUnified && !isApple) ? machine.memory_gib : 0,
    unified: isUnified,
    vram: isCard ? machine.memory_gib : 0,
  };
}

function askSpeed(question) {
  const machine = board.machines[question.id];
  const isArm = machine.vendor === "apple" || (machine.kind === "unified" && machine.vendor === "nvidia");
  const stated = {
    cpu: {
      cores: machine.cores,
      physicalCores: machine.cores,
      brand: machine.processor,
      architecture: isArm ? "arm64" : "x64",
      speed: 3.5,
    },
    gpu: gpuOf(machine),
    memory: { totalGB: machine.ram_gib, total: machine.ram_gib },
    summary: { hasIntegratedGPU: machine.kind === "igpu", hasDedicatedGPU: machine.kind === "gpu" },
  };
  const type = NAMES[question.quantization] || question.quantization;
  const profile = selector.normalizeHardwareProfile(stated);
  const said = selector.estimateSpeedProfile(profile, modelOf(question.model), type, "general", question.runtime);
  return { id: question.id, tps: said.estimatedTPS };
}

const answers = [...board.memory.map(askMemory), ...board.speed.map(askSpeed)];
console.log(answers.map((answer) => JSON.stringify(answer)).join("\n"));
