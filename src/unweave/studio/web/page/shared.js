// Stems shared anew by their sensitivities, on disk while several files are made of them: each file by itself would need all
// stems again.

import * as database from "./database.js";
import { hasSensitivities, sound } from "./mix.js";

const lockOf = ({ id }) => `unweave-shared-${id}`;

// Calls make(mix, read) with a mix and a reader of stems that give what `mix` and `read` would.
export function withShared(job, mix, read, make) {
  if (!hasSensitivities(job, mix)) return make(mix, read);
  return navigator.locks.request(lockOf(job), async () => {
    try {
      let start = 0;
      for await (const { count, sides } of sound(job, mix, [...job.stems.keys()], read)) {
        for (const [number, stem] of sides.entries()) {
          await database.put(job.id, database.SHARED - number, start, { samples: new Blob(stem), n_samples: count });
        }
        start += count;
      }
      return await make({ ...mix, sensitivities: {} }, (number, ...where) => database.samples(job.id, database.SHARED - number, ...where));
    } finally {
      await database.forgetShared(job.id);
    }
  });
}

// Forgets what is left of files of a song that were being made when their page was closed.
export const clear = (job) => navigator.locks.request(lockOf(job), { ifAvailable: true }, (lock) => lock && database.forgetShared(job.id));
