// A question is what the form says, as an object of its fields. This module writes a question as
// the words of a command line, as a line to type, and as the fragment of an address.

const OPTIONS = {
  machine: "--machine",
  purpose: "--for",
  context: "--context",
  runtime: "--runtime",
  quantization: "--quant",
};
const SWITCHES = {
  private: "--private",
  commercial: "--commercial",
};

/** The words behind `selfhost` that ask this question. */
export function wordsOf(question) {
  const words = [question.ask];
  if (question.ask !== "list") {
    words.push(question.model);
  }
  for (const [field, option] of Object.entries(OPTIONS)) {
    // the least machine is what `plan` looks for
    const isAnswer = field === "machine" && question.ask === "plan";
    if (question[field] && !isAnswer) {
      words.push(option, question[field]);
    }
  }
  for (const [field, option] of Object.entries(SWITCHES)) {
    if (question[field]) {
      words.push(option);
    }
  }
  if (question.verbose) {
    words.push("-v");
  }
  return words;
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
