// What the browser keeps: as it was written, or nothing where it is damaged or the browser keeps nothing.

import { NEUTRAL } from "./sensitivity.js";

const MIXES = "mixes"; // [song, mix] of the songs that were mixed last, the latest first
const MOST_MIXES = 100;
const RANGES = { gain: [-60, 12], pan: [-1, 1], sensitivity: [0, 1] }; // of the mixer's sliders
const UNTOUCHED = { gain: 0, pan: 0, sensitivity: NEUTRAL, mute: false, solo: false };

export function readText(key) {
  try {
    return localStorage.getItem(key);
  } catch {
    return null;
  }
}

// Nothing (null) is kept no more.
export function writeText(key, text) {
  try {
    if (text === null) localStorage.removeItem(key);
    else localStorage.setItem(key, text);
  } catch {
    // The storage is full or closed: it is for this visit only.
  }
}

export function read(key) {
  try {
    return JSON.parse(readText(key));
  } catch {
    return null;
  }
}

export const write = (key, value) => writeText(key, JSON.stringify(value));

// A stem's place in the mixer as it was left, or untouched.
export function keptStrip(id, stem) {
  const strip = { ...UNTOUCHED };
  const kept = mixes().find(([song]) => song === id)?.[1]?.[stem] ?? {};
  for (const [what, [lowest, highest]] of Object.entries(RANGES)) {
    if (Number.isFinite(kept[what])) strip[what] = Math.max(lowest, Math.min(highest, kept[what]));
  }
  for (const what of ["mute", "solo"]) strip[what] = kept[what] === true;
  return strip;
}

export function keepMix(id, mix) {
  const isTouched = Object.values(mix).some((strip) => Object.entries(UNTOUCHED).some(([what, value]) => strip[what] !== value));
  const before = mixes();
  if (!isTouched && !before.some(([song]) => song === id)) return;
  const others = before.filter(([song]) => song !== id);
  write(MIXES, (isTouched ? [[id, mix], ...others] : others).slice(0, MOST_MIXES));
}

function mixes() {
  const kept = read(MIXES);
  return Array.isArray(kept) ? kept.filter(Array.isArray) : [];
}
