// Projects for DAWs, the stems in 24 bits: what unweave/audio/dawproject.py and reaper.py write of a song without tags.

import { wav } from "./encode.js";
import { alone, archived, mixed } from "./mix.js";
import { SILENCE_DB } from "./queries.js";
import { decimal, filled } from "./templates.js";

const BITS = 24;
const DEFAULT_TEMPO = 120; // beats per minute
const HAS_COLOUR = 0x1000000;

// A format's project, by its name: project(job, mix, read, name, tempo, card) gives { file, parts }, the name of a file and its
// bytes in consecutive parts. `card` is models.json.
export const PROJECTS = { dawproject, rpp };

async function dawproject(job, mix, read, name, tempo, card) {
  const tracks = tracksOf(job, mix, card).map((track, number) => ({
    ...track, number: String(number), pan: decimal((1 + track.pan) / 2), is_muted: String(track.isMuted), is_solo: String(track.isSolo),
    file: `audio/${track.name}.wav`,
  }));
  const files = [
    ["metadata.xml", [await bytesOf("metadata.xml", { elements: [{ element: "Title", text: name }] }, escaped)]],
    ["project.xml", [await bytesOf("dawproject.xml", { ...songOf(job, tempo, card), n_channels: "2", tracks }, escaped)]],
    ...stemsOf(job, mix, read, (stem) => `audio/${stem}.wav`),
  ];
  return { file: `${name}.dawproject`, parts: archived(files) };
}

async function rpp(job, mix, read, name, tempo, card) {
  const flag = (is) => (is ? "1" : "0");
  const tracks = tracksOf(job, mix, card).map((track) => ({
    ...track, name: quoted(track.name), colour: String(nativeColour(track.colour)), pan: decimal(track.pan), is_muted: flag(track.isMuted),
    is_solo: flag(track.isSolo), file: quoted(`${track.name}.wav`),
  }));
  const song = songOf(job, tempo, card);
  const values = { ...song, program: quoted(`6.0/unweave-${song.version}`), title: quoted(name), authors: [], tracks };
  const text = await bytesOf("reaper.rpp", values, undefined, "\r\n");
  return { file: `${name}.zip`, parts: archived([...stemsOf(job, mix, read, (stem) => `${name}/${stem}.wav`), [`${name}/${name}.rpp`, [text]]]) };
}

const songOf = ({ n_samples: nSamples, sample_rate: rate }, tempo, { version }) => ({
  version, tempo: decimal(tempo || DEFAULT_TEMPO), sample_rate: String(rate), seconds: (nSamples / rate).toFixed(9),
});

function tracksOf({ stems }, { gains, pans, mute, solo }, { colours }) {
  const gainOf = (db) => (db > SILENCE_DB ? 10 ** (db / 20) : 0);
  return stems.map((stem) => ({
    name: stem, colour: colours[stem], gain: decimal(gainOf(gains[stem] ?? 0)), pan: pans[stem] ?? 0, isMuted: mute.includes(stem), isSolo: solo.includes(stem),
  }));
}

// The stems as they are, except for their sensitivities: gains, pans, mutes and solos are the project's.
const stemsOf = (job, mix, read, path) => job.stems.map((stem) => [path(stem), wav(job, mixed(job, alone(mix, stem), read, BITS), BITS)]);

async function bytesOf(template, values, escape, ending = "\n") {
  return new TextEncoder().encode((await filled(template, values, escape)).replaceAll("\n", ending));
}

const ENTITIES = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };
const escaped = (text) => text.replace(/[&<>"]/g, (letter) => ENTITIES[letter]);

// In the quotes that the text does not contain; safe names have no others.
const quoted = (text) => (text.includes('"') ? `'${text}'` : `"${text}"`);

// #RRGGBB with red in the lowest byte, and a bit that says that there is a colour.
function nativeColour(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
  return HAS_COLOUR | (blue << 16) | (green << 8) | red;
}
