// A question is what the form says, as an object of its fields. This module writes a question as
// the words of a command line, as a line to type, and as the fragment of an address.

const OPTIONS = {
  machine: "--machine",
  use: "--use",
  purpose: "--for",
  context: "--context",
  users: "--users",
  speed: "--min-speed",
  wait: "--max-wait",
  license: "--license",
  runtime: "--runtime",
  quantization: "--quant",
  link: "--link",
  split: "--split",
  from: "--from",
};
const SWITCHES = {
  private: "--private",
  commercial: "--commercial",
  verbose: "-v",
};
// the fields that some questions have no use for, with the questions that have
const ONLY_FOR = {
  // the least machine is what `plan` looks for
  machine: ["check", "list", "compare"],
  use: ["list"],
  from: ["list"],
  // of machines that serve one model together
  link: ["check"],
  split: ["check"],
};

/** The words behind `selfhost` that ask this question. */
export function wordsOf(question) {
  const words = [question.ask, ...namesOf(question)];
  for (const [field, option] of Object.entries(OPTIONS)) {
    const isAsked = ONLY_FOR[field]?.includes(question.ask) ?? true;
    if (question[field] && isAsked) {
      words.push(option, question[field]);
    }
  }
  for (const [field, option] of Object.entries(SWITCHES)) {
    if (question[field]) {
      words.push(option);
    }
  }
  return words;
}

/** The models that a question names; for `list` the words in their names. */
function namesOf({ ask, model, others, words }) {
  if (ask === "list") {
    return words.split(/\s+/).filter(Boolean);
  }
  if (ask === "compare") {
    const names = others.split(",").map((name) => name.trim());
    return [model, ...names.filter(Boolean)];
  }
  return [model];
}

/**
 * The question that a line to type asks, or null where the form has no field for one of its words.
 * Fields that the line does not name are as usual, but for the machine: there is none.
 */
export function questionOfLine(line, usual) {
  const [program, ask, ...words] = unquoted(line);
  if (program !== "selfhost" || !["check", "list", "compare", "plan"].includes(ask)) {
    return null;
  }
  const question = { ...usual, ask, machine: "" };
  const names = [];
  while (words.length) {
    const word = words.shift();
    const field = fieldOf(word);
    if (!word.startsWith("-")) {
      names.push(word);
    } else if (field in OPTIONS && words.length) {
      question[field] = words.shift();
    } else if (field in SWITCHES) {
      question[field] = "on";
    } else {
      return null;
    }
  }
  if (ask === "list") {
    return { ...question, words: names.join(" ") };
  }
  const [model, ...others] = names;
  if (!model || (others.length && ask !== "compare")) {
    return null;
  }
  return { ...question, model, others: others.join(", ") || usual.others };
}

/** The field that an option or a switch fills, or undefined. */
export function fieldOf(option) {
  const all = Object.entries({ ...OPTIONS, ...SWITCHES });
  return all.find(([, known]) => known === option)?.[0];
}

/** The words of a line, without the quotes around those with blanks. */
function unquoted(line) {
  const words = line.match(/"[^"]*"|'[^']*'|\S+/g) ?? [];
  return words.map((word) => word.replace(/^(["'])(.*)\1$/, "$2"));
}

/** The line to type in a terminal. */
export function lineOf(words) {
  return ["selfhost", ...words].map(quoted).join(" ");
}

function quoted(word) {
  if (/^[\w@%+=:,./-]+$/.test(word)) {
    return word;
  }
  // double quotes mean the same in sh, PowerShell and cmd, unless there is something to expand
  if (/^[^"$`\\!%]*$/.test(word)) {
    return `"${word}"`;
  }
  return `'${word.replaceAll("'", `'"'"'`)}'`;
}

/** The fragment of the address: the fields that differ from the usual question. */
export function fragmentOf(question, usual) {
  const changed = Object.entries(question).filter(([field, value]) => value !== usual[field]);
  return new URLSearchParams(changed).toString();
}

/** The question of a fragment; fields that it does not name are as usual, unknown ones are left. */
export function questionOf(fragment, usual) {
  const question = { ...usual };
  for (const [field, value] of new URLSearchParams(fragment)) {
    if (field in usual) {
      question[field] = value;
    }
  }
  return question;
}
