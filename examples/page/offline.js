// The service worker: keeps every file of the page at the first visit, and answers from there.
//
// `files.js` states the files with their SHA-256, so that a browser sees by it that the page changed.
// A file is kept under its hash: of a new page only what changed is loaded, and what is loaded is
// what the build wrote.
importScripts("files.js");

const CACHE = "selfhost-page";
const hashes = self.FILES;

self.addEventListener("install", (event) => event.waitUntil(keepFiles()));
self.addEventListener("activate", (event) => event.waitUntil(takeOver()));
self.addEventListener("fetch", (event) => {
  const hash = hashOf(event.request.url);
  if (event.request.method === "GET" && hash) {
    event.respondWith(keptOrFetched(event.request, hash));
  }
});

/** The hash of the file at that address, or undefined where it is none of the page's. */
function hashOf(address) {
  const { origin, pathname } = new URL(address);
  const top = new URL("./", self.location).pathname;
  if (origin !== self.location.origin || !pathname.startsWith(top)) {
    return undefined;
  }
  const path = decodeURIComponent(pathname.slice(top.length));
  return hashes[path || "index.html"];
}

/** The address under which a file is kept. */
function keptAt(hash) {
  return new URL(`./?${hash}`, self.location).href;
}

/** Some servers send whoever asks for `index.html` on to the folder, and a page must not be kept so. */
function addressOf(path) {
  return path === "index.html" ? "./" : path;
}

async function keepFiles() {
  const cache = await caches.open(CACHE);
  for (const [path, hash] of Object.entries(hashes)) {
    if (await cache.match(keptAt(hash))) {
      continue;
    }
    // the browser refuses a file of another hash: then nothing is kept of this version
    const response = await fetch(addressOf(path), { integrity: hash, cache: "no-cache" });
    if (!response.ok) {
      throw new Error(`${path}: ${response.status}`);
    }
    await cache.put(keptAt(hash), response);
  }
}

/** Answer for the pages that are open, and forget the files of older versions. */
async function takeOver() {
  const cache = await caches.open(CACHE);
  const wanted = new Set(Object.values(hashes).map(keptAt));
  for (const request of await cache.keys()) {
    if (!wanted.has(request.url)) {
      await cache.delete(request);
    }
  }
  await self.clients.claim();
}

async function keptOrFetched(request, hash) {
  const cache = await caches.open(CACHE);
  const kept = await cache.match(keptAt(hash));
  return kept ?? fetch(request);
}
