// The form as a question, and a question as the form. Every field is a text: a checkbox is "on" or
// empty, a radio button the value of the one that is chosen.

/** What the form says now. */
export function readForm(form) {
  const question = {};
  for (const field of form.elements) {
    if (!field.name) {
      continue;
    }
    if (field.type === "radio") {
      question[field.name] = form.elements[field.name].value;
    } else if (field.type === "checkbox") {
      question[field.name] = field.checked ? "on" : "";
    } else {
      question[field.name] = field.value.trim();
    }
  }
  return question;
}

/** Let the form say the question. */
export function fillForm(form, question) {
  for (const field of form.elements) {
    if (!field.name) {
      continue;
    }
    const value = question[field.name];
    if (field.type === "radio") {
      field.checked = field.value === value;
    } else if (field.type === "checkbox") {
      field.checked = value === "on";
    } else {
      field.value = value;
    }
  }
}

/** Hide what the question has no use for: `list` has no model, `plan` no machine. */
export function showFieldsFor(ask) {
  for (const element of document.querySelectorAll("[data-for]")) {
    element.hidden = !element.dataset.for.split(" ").includes(ask);
  }
}

/** Say behind the title of the folded fields which of them are filled in. */
export function tellFolded(form, usual) {
  const question = readForm(form);
  const fields = document.querySelectorAll("#more [name]");
  const filled = [...fields].filter(({ name }) => question[name] !== usual[name]);
  const labels = filled.map(labelOf);
  document.getElementById("folded").textContent = labels.length ? `: ${labels.join("; ")}` : "";
}

/** What the form calls a field. */
export function labelOf(field) {
  return field.labels[0].textContent.trim();
}

/** Fill the lists of names from which the browser completes; returns them by the ids of the lists. */
export async function loadNames() {
  const response = await fetch("names.json");
  const names = await response.json();
  for (const [list, words] of Object.entries(names)) {
    const options = words.map((word) => new Option("", word));
    document.getElementById(list).append(...options);
  }
  return names;
}
