// An answer as the program writes it, made one of this page: names are links, commands have buttons
// that copy them, and what is said of options is said of the form.
import { fieldOf, fragmentOf, questionOfLine } from "./command.js";
import { commandWith, elementWith, linkTo } from "./elements.js";
import { labelOf } from "./form.js";

// rows of a page of the list, as `list` shows them in a terminal
export const ROWS = 20;
// hints that this page needs not, or has no way to: it has all columns, and links to other rows (`onward`)
const OF_TERMINALS = ".hint.rows, .hint.models, .hint.columns, .hint.show";
// what may be a name of a model, and what may be an option or a line to type
const PARTS = /(`selfhost [^`]+`|selfhost (?:check|list|plan|compare)(?: (?!or )[^\s;,·]+)+|(?<![\w-])--[a-z-]+|[A-Za-z0-9][\w.:/-]*\w)/;

/**
 * What the answers of a page share: its form, its usual question, and the names of `names.json` once
 * they are there.
 */
export class Answers {
  #form;
  #usual;
  #models = new Set();
  #machines = new Set();

  constructor(form, usual) {
    this.#form = form;
    this.#usual = usual;
  }

  /** From now on these names are links. */
  know({ models, machines }) {
    this.#models = new Set(models);
    this.#machines = new Set(machines);
  }

  /** The elements of an answer, which is a page of its own; in it every name is text and no markup. */
  nodes(output, question) {
    const body = bodyOf(output);
    if (!body) {
      return output ? [elementWith("pre", output)] : [elementWith("h1", "No answer")];
    }
    this.putIn(body, question);
    return [...body.childNodes];
  }

  /** Make the elements below this one the page's: the program's, and those already on the page. */
  putIn(place, question) {
    joinCommands(place);
    this.#retell(place, question);
    for (const text of textsBelow(place)) {
      this.#makeLinks(text, question);
    }
    nameHeads(place);
  }

  /** A text with its names as links, in the words of the page. */
  said(text, question) {
    const paragraph = elementWith("p", text);
    this.#makeLinks(paragraph.firstChild, question);
    return paragraph;
  }

  /** Links from an answer to what is asked next. */
  onward(output, question) {
    if (question.ask === "list") {
      return this.#rows(output, question);
    }
    if (question.ask !== "check") {
      return [];
    }
    const { model, others } = question;
    const links = [this.link({ ...question, ask: "plan" }, `The least machine for ${model}`)];
    if (model !== others) {
      links.unshift(this.link({ ...question, ask: "compare" }, `Compare with ${others}`));
    }
    return links;
  }

  /** Links to the rows of the list before and behind those that are shown. */
  #rows(output, question) {
    const links = [];
    const first = Number(question.from) || 1;
    if (first > 1) {
      const from = first > ROWS + 1 ? String(first - ROWS) : "";
      links.push(this.link({ ...question, from }, `Rows ${from || 1} to ${first - 1}`));
    }
    const next = bodyOf(output)?.querySelector(".hint.rows span");
    if (next) {
      const from = next.textContent.replace("--from ", "");
      links.push(this.link({ ...question, from }, `Rows from ${from} on`));
    }
    return links;
  }

  /** A link that asks that question. */
  link(question, text) {
    return linkTo(fragmentOf(question, this.#usual), text);
  }

  /** Put the ways of this page into the hints, which name those of a command line. */
  #retell(place, question) {
    for (const hint of place.querySelectorAll(OF_TERMINALS)) {
      hint.remove();
    }
    for (const typed of place.querySelectorAll(".hint.all > span")) {
      typed.replaceWith(this.link({ ...question, verbose: "on" }, "show all"));
    }
    for (const typed of place.querySelectorAll(".hint.range > span")) {
      typed.replaceWith("its range: follow the name");
    }
  }

  #makeLinks(text, question) {
    const parts = text.data.split(PARTS).filter(Boolean);
    text.replaceWith(...parts.map((part) => this.#part(part, question)));
  }

  /** A part of a text: a link where it names a question, a model or a machine. */
  #part(part, question) {
    const line = part.replaceAll("`", "");
    if (line.startsWith("selfhost ")) {
      const asked = questionOfLine(line, this.#usual);
      return asked ? this.link(this.#here(asked, question), nameOf(asked)) : line;
    }
    if (part.startsWith("--")) {
      const field = this.#form.elements[fieldOf(part)];
      return field?.labels?.length ? `“${labelOf(field)}”` : part;
    }
    if (this.#models.has(part)) {
      return this.link({ ...question, ask: "check", model: part, from: "" }, part);
    }
    if (this.#machines.has(part)) {
      return this.link({ ...question, ask: "check", machine: part, from: "" }, part);
    }
    return part;
  }

  /** A question on the machine of the form, unless it names one. */
  #here(asked, question) {
    return { ...asked, machine: asked.machine || question.machine };
  }
}

/** The body of a page of the program, without its style, which the policy forbids; or null. */
function bodyOf(output) {
  const page = /<body>([^]*)<\/body>/.exec(output);
  return page && new DOMParser().parseFromString(page[1], "text/html").body;
}

/** What a line asks, in a few words. */
function nameOf({ ask, model, others, words }) {
  const named = { list: words || "all models", compare: `${model}, ${others}`, plan: `the least machine for ${model}` };
  return named[ask] ?? model;
}

/** The texts below an element that are neither a command nor a link. */
function textsBelow(place) {
  const texts = [];
  const walker = document.createTreeWalker(place, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    if (!walker.currentNode.parentElement.closest("pre, a")) {
      texts.push(walker.currentNode);
    }
  }
  return texts;
}

/** Join the lines of each command, which the program writes as elements of their own. */
function joinCommands(place) {
  let open = null;
  // those that the page has joined already, and what the program complained of, stay
  for (const line of [...place.querySelectorAll("pre:not(.command pre, .errors)")]) {
    const text = line.textContent;
    if (open) {
      open.text += `\n${text}`;
      line.remove();
    } else if (text.startsWith("#")) {
      line.className = "comment";
      continue;
    } else {
      open = { text, first: line };
    }
    if (!goesOn(open.text)) {
      open.first.replaceWith(commandWith(open.text));
      open = null;
    }
  }
  open?.first.replaceWith(commandWith(open.text));
}

/** Whether a shell would wait for more of a command: behind a backslash, or in quotes. */
function goesOn(text) {
  const beside = text.replaceAll(/"[^"]*"/g, "");
  return text.endsWith("\\") || beside.split("'").length % 2 === 0;
}

/** Give the empty heads of columns a name, which a screen reader says. */
function nameHeads(place) {
  for (const head of place.querySelectorAll("th")) {
    if (!head.textContent) {
      head.append(elementWith("span", "answer", "unseen"));
    }
  }
}
