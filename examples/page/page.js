// The form is a command line: what it says is shown to copy, kept in the fragment of the address,
// and answered by the program in the worker.
import { Answers, ROWS } from "./answer.js";
import { fragmentOf, lineOf, questionOf, wordsOf } from "./command.js";
import { elementWith } from "./elements.js";
import { errorNodes, recordIsGone } from "./errors.js";
import { fillForm, loadNames, readForm, showFieldsFor, tellFolded } from "./form.js";
import { Program } from "./program.js";
import { isRecord, records, takeFile } from "./records.js";
import { browserGpu, exampleMachine } from "./visitor.js";

// while somebody types a name, its half is not asked
const TYPING_MS = 250;
// as HTML, `list` would judge every model; as the line that is shown, in a terminal, it shows these
const SHOWN_AS_HTML = {
  check: ["--format", "html"],
  compare: ["--format", "html"],
  list: ["--top", String(ROWS), "--format", "html"],
  plan: ["--format", "html"],
};
// the exit code for a question that has no answer
const NO_ANSWER = 2;

const form = document.getElementById("question");
const command = document.getElementById("command");
const status = document.getElementById("status");
const answerPlace = document.getElementById("answer");
const onwardPlace = document.getElementById("onward");
const usual = readForm(form);
const answers = new Answers(form, usual);
const program = new Program(say);
let typing = 0;
let isKept = false;

/** Show and keep the question of the form, and answer it after a pause. */
function ask(pauseMs = 0) {
  const question = readForm(form);
  const words = wordsOf(question);
  showFieldsFor(question.ask);
  tellFolded(form, usual);
  const line = lineOf(words);
  command.textContent = line;
  clearTimeout(typing);
  return new Promise((settle) => {
    typing = setTimeout(() => {
      keepInAddress(question);
      settle(answer(line, words, question));
    }, pauseMs);
  });
}

function keepInAddress(question) {
  const fragment = fragmentOf(question, usual);
  history.replaceState(null, "", fragment ? `#${fragment}` : location.pathname + location.search);
}

/** Answer a line, which these words ask for, unless a newer one comes meanwhile. */
async function answer(line, words, question) {
  if (question.ask !== "plan" && isRecord(question.machine) && !(question.machine in records)) {
    answerPlace.replaceChildren(...recordIsGone(question.machine));
    onwardPlace.hidden = true;
    finish(line, NO_ANSWER, "The record must be dropped again.");
    return;
  }
  answerPlace.setAttribute("aria-busy", "true");
  const given = await program.ask([...words, ...SHOWN_AS_HTML[question.ask]], records);
  if (given === null) {
    return;
  }
  let error = null;
  if (given.exitCode === NO_ANSWER) {
    const told = await program.ask([...words, "--json"], records);
    if (told === null) {
      return;
    }
    error = JSON.parse(told.errors);
  }
  show(given, error, question);
  finish(line, given.exitCode, `Answered in ${Math.round(given.milliseconds)} ms by your own browser.`);
}

/** Say that the question of this line is answered. */
function finish(line, exitCode, sentence) {
  answerPlace.removeAttribute("aria-busy");
  const heading = answerPlace.querySelector("h1")?.textContent ?? "selfhost";
  document.title = `${heading} · selfhost`;
  say(sentence, heading.replaceAll(/\s+/g, " ").replace(/[^.]$/, "$&."));
  // what waits for an answer looks for this
  document.body.dataset.answered = line;
  document.body.dataset.exitCode = exitCode;
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

/** Show what the program wrote. */
function show({ output, errors }, error, question) {
  const links = error ? [] : answers.onward(output, question);
  onwardPlace.replaceChildren(...links);
  onwardPlace.hidden = links.length === 0;
  if (error) {
    answerPlace.replaceChildren(...errorNodes(error, question, form, answers));
    return;
  }
  answerPlace.replaceChildren(...answers.nodes(output, question));
  if (errors) {
    answerPlace.append(elementWith("pre", errors, "errors"));
  }
}

/** Judge the machine that a file records, as `selfhost machine --format json` writes it. */
async function takeRecord(file) {
  const name = await takeFile(file);
  if (name === null) {
    say(`${file.name} is no record of a machine: it is too large.`);
    return;
  }
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

/** Copy the command beside a button. */
async function copy(button) {
  const line = button.parentElement.querySelector("code");
  try {
    await navigator.clipboard.writeText(line.textContent);
    say("Copied.");
    button.textContent = "Copied";
  } catch {
    // a page that came by plain HTTP may not copy: the user can, once it is selected
    getSelection().selectAllChildren(line);
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
    // another question has its best rows first
    form.elements.from.value = "";
    const isTyped = event.target.type === "text";
    ask(isTyped ? TYPING_MS : 0);
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    ask();
  });
  addEventListener("hashchange", followAddress);
  document.addEventListener("click", (event) => {
    const button = event.target.closest("[data-copy]");
    if (button) {
      copy(button);
    }
  });
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

/** Answer the question of a link, and show the answer from its beginning. */
async function followAddress() {
  await askFromAddress();
  if (answerPlace.getBoundingClientRect().top < 0) {
    answerPlace.scrollIntoView();
  }
  if (document.activeElement === document.body) {
    // the link went with the answer that had it: the keyboard goes on from the new one
    answerPlace.focus({ preventScroll: true });
  }
}

for (const element of document.querySelectorAll("[disabled]")) {
  element.disabled = false;
}
listen();
if (location.hash === "") {
  form.elements.machine.value = exampleMachine(usual.machine);
  ask();
} else {
  askFromAddress();
}
answers.know(await loadNames());
// the prepared answer, and one that came before the names
answers.putIn(answerPlace, readForm(form));
offerBrowserGpu();
