// Compiles the modules that a first answer loads: `node compile_modules.mjs PAGE WORD…`
// PAGE is the folder that build_page.py writes, the words are the first question.
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [page, ...words] = process.argv.slice(2);
const wheels = [join(page, "selfhost.whl"), join(page, "packaging.whl")];

const { loadPyodide } = await import(pathToFileURL(join(page, "pyodide", "pyodide.mjs")));
const python = await loadPyodide();
for (const wheel of wheels) {
  python.unpackArchive(bytesOf(wheel), "wheel");
}
runScript("run_command.py");
python.globals.get("run_command")(words);

runScript("compile_modules.py");
const library = join(page, "pyodide", "python_stdlib.zip");
compile(library, "next(path for path in sys.path if path.endswith('.zip'))");
for (const wheel of wheels) {
  compile(wheel, "os.getcwd()");
}

/** Write an archive anew, its loaded modules compiled; `place` says in Python where they lie. */
function compile(archive, place) {
  python.FS.writeFile("/sources.zip", new Uint8Array(bytesOf(archive)));
  python.runPython(`import os, sys; compile_loaded("/sources.zip", "/compiled.zip", ${place})`);
  writeFileSync(archive, python.FS.readFile("/compiled.zip"));
}

function runScript(name) {
  python.runPython(readFileSync(new URL(name, import.meta.url), "utf8"));
}

/** A file as Pyodide takes it: it does not know Node's own kind of bytes. */
function bytesOf(path) {
  return new Uint8Array(readFileSync(path)).buffer;
}
