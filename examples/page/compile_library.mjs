// Compiles the modules of Python's library that a first answer loads: `node compile_library.mjs PAGE WORD…`
// PAGE is the folder that build_page.py writes, the words are the first question.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [page, ...words] = process.argv.slice(2);
const library = join(page, "pyodide", "python_stdlib.zip");

const { loadPyodide } = await import(pathToFileURL(join(page, "pyodide", "pyodide.mjs")));
const python = await loadPyodide();
python.unpackArchive(bytesOf(join(page, "selfhost.whl")), "wheel");
python.unpackArchive(bytesOf(join(page, "packaging.whl")), "wheel");
runScript("run_command.py");
python.globals.get("run_command")(words);

runScript("compile_library.py");
python.FS.writeFile("/library.zip", new Uint8Array(bytesOf(library)));
python.globals.get("compile_loaded")("/library.zip", "/compiled.zip");
writeFileSync(library, python.FS.readFile("/compiled.zip"));

function runScript(name) {
  python.runPython(readFileSync(new URL(name, import.meta.url), "utf8"));
}

/** A file as Pyodide takes it: it does not know Node's own kind of bytes. */
function bytesOf(path) {
  return new Uint8Array(readFileSync(path)).buffer;
}
