// selfhost in a worker: takes command lines, gives answers, and starts anew when it breaks.

// The slowest questions take a second or two on a laptop and some ten on an old phone.
const PATIENCE_MS = 60_000;
// A question that breaks the worker twice would break it again.
const MOST_ATTEMPTS = 2;
// The exit code of selfhost for a fault of its own.
const BUG = 70;

/**
 * An answer is what the command wrote and how it ended:
 * `{ output, errors, exitCode, milliseconds }`.
 */
export class Program {
  #worker = null;
  #isLoaded = false;
  #asked = 0;
  #pending = null;
  #timer = 0;
  #tellStep;

  /** `tellStep` is called with a sentence whenever loading comes a step further. */
  constructor(tellStep = () => {}) {
    this.#tellStep = tellStep;
  }

  /**
   * Ask the words of a command line. `files` are texts by the paths that the words name.
   *
   * The promise gives the answer, or null where a newer question took its place.
   */
  ask(words, files = {}) {
    this.#pending?.settle(null);
    return new Promise((settle) => {
      this.#asked += 1;
      this.#pending = { number: this.#asked, words, files, settle, attempts: 0 };
      this.#send();
    });
  }

  #send() {
    if (this.#worker === null) {
      this.#start();
    }
    const { number, words, files } = this.#pending;
    this.#pending.attempts += 1;
    this.#worker.postMessage({ number, words, files });
    this.#watch();
  }

  #start() {
    this.#isLoaded = false;
    this.#worker = new Worker("worker.js", { type: "module" });
    this.#worker.addEventListener("message", (event) => this.#receive(event.data));
    this.#worker.addEventListener("error", (event) => {
      this.#startAnew(event.message || "it could not be loaded");
    });
  }

  #receive(message) {
    if (message.step) {
      this.#tellStep(message.step);
      return;
    }
    if (message.isLoaded) {
      this.#isLoaded = true;
      this.#watch();
      return;
    }
    if (message.fault) {
      this.#startAnew(message.fault);
      return;
    }
    if (message.number === this.#pending?.number) {
      this.#settle(message);
    }
  }

  /** Count the time of an answer. Loading may take as long as the network needs. */
  #watch() {
    clearTimeout(this.#timer);
    if (this.#isLoaded && this.#pending) {
      this.#timer = setTimeout(() => this.#startAnew("it did not answer"), PATIENCE_MS);
    }
  }

  /** Python that broke never answers again: end its worker, and ask once more in a new one. */
  #startAnew(reason) {
    clearTimeout(this.#timer);
    this.#worker.terminate();
    this.#worker = null;
    if (this.#pending === null) {
      return;
    }
    if (this.#pending.attempts < MOST_ATTEMPTS) {
      this.#send();
      return;
    }
    const errors = `The program in this page broke: ${reason}\nreload the page`;
    this.#settle({ output: "", errors, exitCode: BUG, milliseconds: 0 });
  }

  #settle(answer) {
    clearTimeout(this.#timer);
    const { settle } = this.#pending;
    this.#pending = null;
    settle(answer);
  }
}
