// What the query of an address says (addresses.js): a mix, as unweave/separation/mix.py has it, a format and a tempo. Whatever
// is no setting of a mixer is refused in the words of the command.

import { refused } from "./refused.js";

export const SILENCE_DB = -60; // what a fader at its lowest means
const LOUDEST_DB = 24;
const [SLOWEST, FASTEST] = [20, 999]; // beats per minute that programs take

const bad = (reason) => refused("bad_option", { reason });

// The settings of a mix of `stems`.
export function readMix(query, stems) {
  const named = (stem) => {
    if (!stems.includes(stem)) throw bad(`expected stems of ${stems.join(", ")}, got ${stem}`);
    return stem;
  };
  const numbers = (name, isPossible, expected) => Object.fromEntries(query.getAll(name).map((text) => {
    const at = text.lastIndexOf(":");
    const stem = named(text.slice(0, Math.max(0, at)));
    const number = numberIn(text.slice(at + 1));
    if (!isPossible(number)) throw bad(`expected ${expected} for ${stem}, got ${text.slice(at + 1)}`);
    return [stem, number];
  }));
  return {
    gains: numbers("gain", (gain) => gain <= LOUDEST_DB, `a gain of at most ${LOUDEST_DB} dB`),
    pans: numbers("pan", (pan) => Math.abs(pan) <= 1, "a pan from -1 to 1"),
    sensitivities: numbers("sensitivity", (share) => share >= 0 && share <= 1, "a sensitivity from 0 to 1"),
    mute: query.getAll("mute").map(named),
    solo: query.getAll("solo").map(named),
  };
}

// One of the names of `known`.
export function readFormat(query, known) {
  const format = query.get("format");
  if (!Object.hasOwn(known, format)) throw bad(`expected a format of ${Object.keys(known).join(", ")}, got ${format}`);
  return format;
}

// Beats per minute; 0 where none are given.
export function readTempo(query) {
  const text = query.get("tempo");
  const tempo = text === null ? 0 : numberIn(text);
  if (text !== null && !(tempo >= SLOWEST && tempo <= FASTEST)) {
    throw bad(`expected a tempo from ${SLOWEST} to ${FASTEST} beats per minute, got ${text}`);
  }
  return tempo;
}

// Not a number where there is nothing.
const numberIn = (text) => (text.trim() ? Number(text) : NaN);
