// The records of machines that were dropped. They are kept for this tab alone, so that they survive a
// reload and end with it; another tab, and whoever gets the link, must drop the file again.

const KEPT_AS = "selfhost records";
// a record of a machine has some thousand bytes
const MOST_BYTES = 4_000_000;

/** Their texts by the names under which the command line names them. */
export const records = kept();

function kept() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT_AS)) ?? {};
  } catch {
    // a browser that keeps nothing, or not what was kept
    return {};
  }
}

/** Take a file as a record; returns its name, or null where the file is too large to be one. */
export async function takeFile(file) {
  if (file.size > MOST_BYTES) {
    return null;
  }
  let name = file.name.replace(/[^\w.-]+/g, "_");
  if (!isRecord(name)) {
    name += ".json";
  }
  records[name] = await file.text();
  try {
    sessionStorage.setItem(KEPT_AS, JSON.stringify(records));
  } catch {
    // it is judged all the same; after a reload the page says that it must be dropped again
  }
  return name;
}

/** Whether a machine is named by a file. */
export function isRecord(machine) {
  return /\.jsonl?$/.test(machine);
}
