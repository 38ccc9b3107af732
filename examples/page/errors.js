// Why there is no answer, in the words of the page: of its fields and links, not of a command line.
import { fieldOf } from "./command.js";
import { elementWith } from "./elements.js";
import { labelOf } from "./form.js";

// what to do, by the kind of the error
const REMEDIES = {
  UnknownModelError: "The field “Model” completes the names that are known. “What runs best?” lists them all.",
  UnknownMachineError:
    "State what is in it, such as “i5-8250U 16GB”, “RTX 3060 32GB” or “16GB RAM, 8 cores”; or choose a name that the field “Machine” completes.",
};

const MEANT = /did you mean (?:--[a-z-]+ )?([^\s?]+)\? ?/;

/** The elements for an error, as `--json` tells it. */
export function errorNodes(error, question, form, answers) {
  const problem = problemIn(error);
  const [message, field] = inWordsOf(form, problem);
  const place = elementWith("div", "", "errors");
  const nodes = [elementWith("h1", "No answer"), place];
  place.append(elementWith("p", message));
  const names = nearestOf(error, problem);
  if (names.length) {
    place.append(nearNames(names, field ?? fieldFor(error), question, answers));
  }
  const advice = adviceIn(problem.remedy ?? "");
  if (advice && !(error.error in REMEDIES)) {
    place.append(elementWith("p", advice));
  }
  const remedy = REMEDIES[error.error];
  if (remedy) {
    place.append(elementWith("p", remedy));
  }
  return nodes;
}

/** The record that the form names is not in this tab. */
export function recordIsGone(name) {
  const place = elementWith("div", "", "errors");
  place.append(
    elementWith("p", `The record ${name} is not in this tab: a dropped file stays in the tab in which it was dropped.`),
    elementWith("p", "Drop it on the page again, or choose it below “Your own machine”."),
  );
  return [elementWith("h1", "No answer"), place];
}

/** The option, the message and the remedy of the first problem; an error without one states them. */
function problemIn(error) {
  if (error.problems.length) {
    return error.problems[0];
  }
  const [, key, message] = /^(--[a-z-]+): ([^]*)$/.exec(error.message) ?? [null, null, error.message];
  return { key, message, remedy: error.remedy };
}

/** A message with the label of the field in place of an option, and the field that it is about. */
function inWordsOf(form, { key, message }) {
  const field = form.elements[fieldOf(key)];
  const said = message.replace(/^selfhost knows no/, "There is no");
  if (!field?.labels?.length) {
    return [said, undefined];
  }
  return [`${labelOf(field)}: ${said}`, field.name];
}

/** The names that may have been meant. */
function nearestOf({ nearest }, { remedy }) {
  if (nearest.length) {
    return nearest;
  }
  const meant = MEANT.exec(remedy ?? "");
  return meant ? [meant[1]] : [];
}

/** What else a remedy says, but for what is typed in a terminal. */
function adviceIn(remedy) {
  const parts = remedy.replace(MEANT, "").split(/;|\n/);
  const sentence = parts.filter((part) => !/`|--|\bselfhost\b/.test(part)).join(";").trim();
  return sentence && sentence[0].toUpperCase() + sentence.slice(1);
}

/** The field in which such a name belongs. */
function fieldFor({ error }) {
  return error === "UnknownMachineError" ? "machine" : "model";
}

function nearNames(names, field, question, answers) {
  const paragraph = elementWith("p", "Did you mean ");
  for (const [at, name] of names.entries()) {
    if (at) {
      paragraph.append(at === names.length - 1 ? " or " : ", ");
    }
    paragraph.append(answers.link({ ...question, [field]: name }, name));
  }
  paragraph.append("?");
  return paragraph;
}
