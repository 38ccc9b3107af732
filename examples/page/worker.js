// Runs the wheel of selfhost in Pyodide: one command line after another.
import { loadPyodide } from "./pyodide/pyodide.mjs";

// asked for at once, so that they arrive while Python starts
const wheel = fetchBytes("selfhost.whl");
const packaging = fetchBytes("packaging.whl");
const script = fetchText("run_command.py");

const loading = load();
let newest = null;
let working = Promise.resolve();

self.addEventListener("message", (event) => {
  newest = event.data;
  working = working.then(answerNewest);
});

/** Pyodide, and the Python function that runs a command line. */
async function load() {
  try {
    postMessage({ step: "A prepared answer. Python is loading …" });
    const python = await loadPyodide();
    postMessage({ step: "A prepared answer. The program is loading …" });
    python.unpackArchive(await wheel, "wheel");
    python.unpackArchive(await packaging, "wheel");
    python.runPython(await script);
    const runCommand = python.globals.get("run_command");
    postMessage({ isLoaded: true });
    return { python, runCommand };
  } catch (fault) {
    postMessage({ fault: String(fault) });
    throw fault;
  }
}

/** Answer the last question. Those that came while Python was busy are not wanted any more. */
async function answerNewest() {
  const { python, runCommand } = await loading;
  // lets the messages in that came meanwhile
  await new Promise((resume) => setTimeout(resume));
  if (newest === null) {
    return;
  }
  const { number, words, files } = newest;
  newest = null;
  const began = performance.now();
  try {
    writeFiles(python, files);
    const [output, errors, exitCode] = callPython(runCommand, words);
    postMessage({ number, output, errors, exitCode, milliseconds: performance.now() - began });
  } catch (fault) {
    // the program catches its own errors: this is Pyodide's, after which it is of no use
    postMessage({ fault: String(fault) });
  }
}

function callPython(runCommand, words) {
  const result = runCommand(words);
  const values = result.toJs();
  result.destroy();
  return values;
}

/** Write the files that the words name into the memory in which Python sees its files. */
function writeFiles(python, files) {
  for (const [path, text] of Object.entries(files)) {
    const folder = path.split("/").slice(0, -1).join("/");
    if (folder) {
      python.FS.mkdirTree(folder);
    }
    python.FS.writeFile(path, text);
  }
}

async function fetchFile(name) {
  const response = await fetch(name);
  if (!response.ok) {
    throw new Error(`${name}: ${response.status} ${response.statusText}`);
  }
  return response;
}

async function fetchBytes(name) {
  const response = await fetchFile(name);
  return response.arrayBuffer();
}

async function fetchText(name) {
  const response = await fetchFile(name);
  return response.text();
}
