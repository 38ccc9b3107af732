// The form is a command line: what it says is shown to copy, kept in the fragment of the address,
// and answered by the program in the worker.
import { browserGpu } from "./browser_gpu.js";
import { fragmentOf, lineOf, questionOf, wordsOf } from "./command.js";
import { fillForm, loadNames, readForm, showFieldsFor } from "./form.js";
import { Program } from "./program.js";

// while somebody types a name, its half is not asked
const TYPING_MS = 250;
// a record of a machine has some thousand bytes
const MOST_RECORD_BYTES = 4_000_000;
// as HTML, `list` would judge every model; as the line that is shown, in a terminal, it shows these
const SHOWN_AS_HTML = {
  check: ["--format", "html"],
  list: ["--top", "20", "--format", "html"],
  plan: ["--format", "html"],
};

const form = document.getElementById("question");
const command = document.getElementById("command");
const status = document.getElementById("status");
const answerPlace = document.getElementById("answer");
const usual = readForm(form);
// the records that were dropped, by the names under which the command line names them
const records = {};
const program = new Program(say);
let typing = 0;
let isKept = false;

/** Show and keep the question of the form, and answer it after a pause. */
function ask(pauseMs = 0) {
  const question = readForm(form);
  const words = wordsOf(question);
  showFieldsFor(question.ask);
  const line = lineOf(words);
  command.textContent = line;
  clearTimeout(typing);
  typing = setTimeout(() => {
    keepInAddress(question);
    answer(line, [...words, ...SHOWN_AS_HTML[question.ask]]);
  }, pauseMs);
}

function keepInAddress(question) {
  const fragment = fragmentOf(question, usual);
  history.replaceState(null, "", fragment ? `#${fragment}` : location.pathname + location.search);
}

/** Answer a line, which these words ask for as HTML, unless a newer one comes meanwhile. */
async function answer(line, words) {
  answerPlace.setAttribute("aria-busy", "true");
  const given = await program.ask(words, records);
  if (given === null) {
    return;
  }
  answerPlace.removeAttribute("aria-busy");
  const conclusion = show(given);
  say(`Answered in ${Math.round(given.milliseconds)} ms by your own browser.`, conclusion);
  // what waits for an answer looks for this
  document.body.dataset.answered = line;
  document.body.dataset.exitCode = given.exitCode;
  // not before the first answer: both would wait for the same network
  keepForOffline();
}

/**
 * Tell how it stands. Screen readers say it, too, and before it the conclusion: of a whole answer they
 * would say too much, and find the rest under "Answer".
 */
function say(sentence, conclusion = "") {
  status.replaceChildren(elementWith("span", conclusion, "unseen"), " ", sentence);
}

/** Show what the program wrote; returns its conclusion. */
function show({ output, errors }) {
  answerPlace.replaceChildren(...answerNodes(output));
  if (errors) {
    answerPlace.append(elementWith("pre", errors, "errors"));
  }
  const heading = answerPlace.querySelector("h1")?.textContent ?? "selfhost";
  document.title = `${heading} · selfhost`;
  return heading.replaceAll(/\s+/g, " ").replace(/[^.]$/, "$&.");
}

/** The elements of an answer, which is a page of its own; in it every name is text and no markup. */
function answerNodes(output) {
  const page = /<body>([^]*)<\/body>/.exec(output);
  if (page) {
    return [...new DOMParser().parseFromString(page[1], "text/html").body.childNodes];
  }
  if (output) {
    return [elementWith("pre", output)];
  }
  return [elementWith("h1", "No answer")];
}

function elementWith(tag, text, className = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

/** Judge the machine that a file records, as `selfhost machine --format json` writes it. */
async function takeRecord(file) {
  if (file.size > MOST_RECORD_BYTES) {
    say(`${file.name} is no record of a machine: it is too large.`);
    return;
  }
  let name = file.name.replace(/[^\w.-]+/g, "_");
  if (!/\.jsonl?$/.test(name)) {
    name += ".json";
  }
  records[name] = await file.text();
  form.elements.machine.value = name;
  if (form.elements.ask.value === "plan") {
    form.elements.ask.value = "check";
  }
  ask();
}

function offerBrowserGpu() {
  const name = browserGpu();
  if (!name) {
    return;
  }
  const place = document.getElementById("seen");
  place.querySelector("b").textContent = name;
  place.querySelector("button").addEventListener("click", () => {
    form.elements.machine.value = name;
    ask();
    form.elements.machine.focus();
  });
  place.hidden = false;
}

async function copyCommand() {
  try {
    await navigator.clipboard.writeText(command.textContent);
    say("Copied.");
  } catch {
    // a page that came by plain HTTP may not copy: the user can, once it is selected
    getSelection().selectAllChildren(command);
    say("Selected: copy it with the keyboard.");
  }
}

/** Keep every file for later visits without a network. Only secure addresses can. */
async function keepForOffline() {
  if (isKept || !navigator.serviceWorker) {
    return;
  }
  isKept = true;
  try {
    // the list of files is looked up anew, too, or a changed page would be seen late
    await navigator.serviceWorker.register("offline.js", { updateViaCache: "none" });
    await navigator.serviceWorker.ready;
  } catch {
    // where the browser keeps nothing, as in some private windows, the page still answers
    return;
  }
  document.getElementById("offline").textContent = "It works without a network now.";
  document.body.dataset.offline = "yes";
}

function listen() {
  form.addEventListener("input", (event) => {
    const isTyped = event.target.type === "text";
    ask(isTyped ? TYPING_MS : 0);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  addEventListener("hashchange", askFromAddress);
  document.getElementById("copy").addEventListener("click", copyCommand);
  document.getElementById("record").addEventListener("change", (event) => {
    const [file] = event.target.files;
    if (file) {
      takeRecord(file);
    }
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    document.body.classList.add("drop");
  });
  document.addEventListener("dragleave", () => document.body.classList.remove("drop"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    document.body.classList.remove("drop");
    const [file] = event.dataTransfer.files;
    if (file) {
      takeRecord(file);
    }
  });
}

function askFromAddress() {
  fillForm(form, questionOf(location.hash.slice(1), usual));
  return ask();
}

for (const element of document.querySelectorAll("[disabled]")) {
  element.disabled = false;
}
listen();
askFromAddress();
loadNames();
offerBrowserGpu();
