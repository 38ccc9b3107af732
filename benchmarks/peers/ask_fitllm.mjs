// Asks fitllm-engine 2.18.0: npm install fitllm-engine@2.18.0
//
//   python all_questions.py | node ask_fitllm.mjs FOLDER/node_modules/fitllm-engine/engine.js > answers/fitllm-engine.jsonl
//
// Given: the model of its own list where it has it, else the config.json that a hub would serve; the GPU of its own list,
// else its memory. Not given: speed, for it shows none, and the function that it exports is marked as deprecated.
// A type that it does not list (MXFP4) is asked in the bits of Q4_K_M, its tier for 4 bits.
import fs from "node:fs";

const engine = await import(fs.realpathSync(process.argv[2]));
const board = JSON.parse(fs.readFileSync(0, "utf8"));
const GIB = 2 ** 30;
const BITS = { Q4_K_M: 4.8944, Q6_K: 6.5633, Q8_0: 8.5008 };

function modelOf(name) {
  const facts = board.models[name];
  const own = facts.names["fitllm-engine"];
  const listed = own && engine.LOCAL_MODELS.find((model) => model.name === own);
  if (listed) return listed;
  return engine.parseHfConfig(facts.repository, board.configs[name], Math.round(facts.parameters * 2));
}

function gpuOf(question) {
  const names = [question.gpu, `${question.gpu} 12GB`];
  const listed = engine.GPUS.find((gpu) => names.includes(gpu.name));
  return listed || { name: question.gpu, vramGB: question.gpu_gib, bandwidthGBs: 500 };
}

function reason(error) {
  const text = String(error.message);
  if (text.includes("sliding")) return "it knows no layout of windows for the model, and says so";
  if (text.includes("config")) return "it does not know a field of config.json, and says so";
  return text.slice(0, 120);
}

function ask(question) {
  const model = modelOf(question.model);
  const preset = "linux-headless" in engine.ENV_PRESETS ? "linux-headless" : undefined;
  const device = engine.gpuDevice(gpuOf(question), preset);
  const bits = BITS[question.quantization] ?? BITS.Q4_K_M;
  const said = engine.simulate(model, device, question.context, { weightBpw: bits, kvBits: 16 });
  const state = Math.round(said.linearState * GIB);
  return {
    id: question.id,
    fits: said.verdict !== "no",
    weights: Math.round(said.param * GIB),
    kv: Math.round(said.kv * GIB),
    ...(state ? { state } : {}),
    total: Math.round(said.used * GIB),
  };
}

for (const question of board.memory) {
  let answer;
  try {
    answer = ask(question);
  } catch (error) {
    answer = { id: question.id, why: reason(error) };
  }
  console.log(JSON.stringify(answer));
}
