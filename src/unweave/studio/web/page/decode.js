// Songs as samples, by the browser's own decoder.

import { asRefused, refused } from "./refused.js";

// Gives [left, right] at `rate`. Throws `refused`.
export async function decode(file, rate) {
  const bytes = await file.arrayBuffer();
  if (!bytes.byteLength) throw refused("empty");
  let song;
  try {
    song = await new OfflineAudioContext(2, 1, rate).decodeAudioData(bytes);
    if (song.numberOfChannels > 2) song = await downmix(song);
  } catch (error) {
    throw error.name === "EncodingError" ? refused("no_audio") : asRefused(error);
  }
  return [0, Math.min(1, song.numberOfChannels - 1)].map((channel) => song.getChannelData(channel));
}

// Surround becomes stereo as the browser plays it.
function downmix(song) {
  const context = new OfflineAudioContext(2, song.length, song.sampleRate);
  const player = new AudioBufferSourceNode(context, { buffer: song });
  player.connect(context.destination);
  player.start();
  return context.startRendering();
}
