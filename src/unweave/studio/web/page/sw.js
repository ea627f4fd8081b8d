// Keeps the whole site, so that it works without a network, and isolates it from other sites, so that ONNX Runtime may use
// threads whatever headers the host sends. The page's rules go with every file: a worker only keeps to those that come with its
// own. files.js is written by the export, and changes with every file of the site. A newer version waits until the older one's
// last tab is closed: what a page loads later, such as the network, must go with the rest.

importScripts("files.js");

const CACHE = `unweave-${self.SITE.version}`;
const OURS = new Set(self.SITE.files.map((name) => new URL(name, self.registration.scope).href));
const HEADERS = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Embedder-Policy": "require-corp",
  "Content-Security-Policy": self.SITE.rules,
};

self.addEventListener("install", (event) => {
  const requests = self.SITE.files.map((name) => new Request(name, { cache: "no-cache" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(requests)));
});

self.addEventListener("activate", (event) => {
  const forget = (names) => Promise.all(names.filter((name) => name.startsWith("unweave-") && name !== CACHE).map((name) => caches.delete(name)));
  event.waitUntil(caches.keys().then(forget).then(() => self.clients.claim()));
});

self.addEventListener("fetch", (event) => {
  if (event.request.method !== "GET" || !OURS.has(event.request.url.replace(/[?#].*/, ""))) return; // another page of the same host
  event.respondWith(answer(event.request));
});

async function answer(request) {
  const cache = await caches.open(CACHE);
  const found = (await cache.match(request, { ignoreSearch: true })) ?? (await fetch(request));
  const headers = new Headers(found.headers);
  for (const [name, value] of Object.entries(HEADERS)) headers.set(name, value);
  return new Response(found.body, { status: found.status, statusText: found.statusText, headers });
}
