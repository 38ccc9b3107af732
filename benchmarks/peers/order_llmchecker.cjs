// Asks llm-checker 3.8.1 in which order it proposes models on an RTX 3090 with 64 GiB: npm install llm-checker@3.8.1
//
//   python benchmarks/order_score.py --facts FACTS
//   node benchmarks/peers/order_llmchecker.cjs FACTS FOLDER/node_modules/llm-checker
//
// The selector behind its commands is asked by its module, for general use. Given: of each open model of text its name in
// Ollama's library, else that of its repository, parameters, those that a token uses, context and day of release; the machine by
// name, cores and memory. Not given: descriptions and counts of downloads, which it takes from the library. Prints the line for
// orders.jsonl.
const fs = require("node:fs");
const path = require("node:path");

const [facts, package_] = process.argv.slice(2);
const folder = fs.realpathSync(package_);
const module_ = require(path.join(folder, "src/models/deterministic-selector.js"));
const Selector = module_.DeterministicModelSelector || module_.default || module_;
const selector = new Selector();
const BILLION = 1e9;

function modelOf(row) {
  const name = row.library || row.repository.split("/")[1];
  const total = row.parameters / BILLION;
  const isMixture = row.active !== null && row.active < row.parameters;
  const active = isMixture ? row.active / BILLION : undefined;
  return {
    model_identifier: name,
    model_name: name,
    context_length: row.context,
    // in its favour: only names with `instruct` would count as made for chat
    primary_category: "chat",
    updated_at: row.released,
    isMoE: isMixture,
    totalParamsB: total,
    activeParamsB: active,
    // the tag carries the id through: two models may share a name
    variants: [{ tag: `${name}@${row.id}`, params_b: total, quant: "Q4_K_M" }],
  };
}

const rows = fs.readFileSync(facts, "utf8").trim().split("\n").map((line) => JSON.parse(line));
const hardware = {
  cpu: { cores: 8, architecture: "x64" },
  gpu: { model: "NVIDIA GeForce RTX 3090", type: "nvidia", vramGB: 24, vram: 24, unified: false },
  memory: { totalGB: 64, total: 64 },
};
const options = { hardware, installedModels: [], modelPool: rows.map(modelOf), topN: rows.length, silent: true };
selector.selectModels("general", options).then((found) => {
  const models = found.candidates.map((candidate) => candidate.meta.model_identifier.split("@").at(-1));
  console.log(JSON.stringify({ program: "llm-checker 3.8.1", machine: "desktop-rtx3090-24gb", models }));
});
