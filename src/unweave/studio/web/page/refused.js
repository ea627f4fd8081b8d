// What cannot be done, by the code and values of a sentence in words.js.

const NO_MEMORY = /out of memory|allocate memory|bad_alloc|allocation failed|array length/i; // as browsers and the runtime put it

export const refused = (code, values = {}) => Object.assign(new Error(code), { code, values });

// Any error as one of these; errors of the browser itself have numbers for codes, and the runtime throws bare numbers, too.
export function asRefused(error) {
  if (typeof error?.code === "string") return error;
  if (error?.name === "QuotaExceededError") return refused("disk_full");
  const reason = String(error?.message || error);
  return NO_MEMORY.test(reason) ? refused("no_memory") : refused("failed", { reason });
}
