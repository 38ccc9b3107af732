// Elements with texts: whatever a text has in it, it is no markup.

/** An element with a text. */
export function elementWith(tag, text, className = "") {
  const element = document.createElement(tag);
  element.className = className;
  element.textContent = text;
  return element;
}

/** A link that asks a question, by the fragment of its address. */
export function linkTo(fragment, text) {
  const link = elementWith("a", text);
  link.href = `#${fragment}`;
  return link;
}

/** A command as it is typed, with a button that copies it. */
export function commandWith(text) {
  const place = elementWith("div", "", "command");
  const button = elementWith("button", "Copy");
  button.type = "button";
  button.dataset.copy = "";
  const line = elementWith("pre", "");
  line.append(elementWith("code", text));
  place.append(line, button);
  return place;
}
