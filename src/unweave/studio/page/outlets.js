// How pieces of sound are heard: as they are, or stretched. Both are started once, and then given consecutive pieces of all
// stems: add({ at, offset, seconds, buffers }) lets `seconds` of the buffers (stem → AudioBuffer), from `offset` on, be heard
// from the context's time `at` on, and begin(at) comes before the first piece and wherever one does not follow the last.
// `inputs` has the node that each stem is sent to (stem → AudioNode).

const LEAD = 0.08; // seconds between the wish to hear something and its beginning

// Plays pieces as they are; another speed changes the pitch, too.
export class Plain {
  constructor(context, inputs) {
    Object.assign(this, { context, inputs, lead: LEAD, sources: new Set() });
  }

  start({ rate }) {
    this.rate = rate;
  }

  begin() {}

  add({ at, offset, seconds, buffers }) {
    for (const [stem, buffer] of Object.entries(buffers)) {
      const source = this.context.createBufferSource();
      source.buffer = buffer;
      source.playbackRate.value = this.rate;
      source.connect(this.inputs[stem]);
      source.start(at, offset, seconds);
      source.onended = () => this.sources.delete(source);
      this.sources.add(source);
    }
  }

  stop() {
    for (const source of this.sources) source.stop();
    this.sources.clear();
  }
}

// Plays pieces slower or faster at their pitch, or in another key at their tempo. All stems go through one node of Signalsmith
// Stretch, two channels each, so that they stay together to the sample. The node gets everything in the order in which it is
// heard, loops included, and counts the seconds that it was given.
export class Stretched {
  // Rejects where the library is missing, or AudioWorklet, which browsers have for HTTPS and for this machine only.
  static async open(context, inputs) {
    if (!context.audioWorklet) throw new Error("this browser has no AudioWorklet here");
    const { default: create } = await import("./vendor/stretch.js");
    create.moduleUrl = new URL("vendor/stretch.js", import.meta.url).href; // a made-up one is against the page's policy
    const nChannels = 2 * Object.keys(inputs).length;
    const node = await create(context, { numberOfInputs: 1, numberOfOutputs: 1, outputChannelCount: [nChannels] });
    return new Stretched(context, inputs, node, await node.latency());
  }

  constructor(context, inputs, node, latency) {
    Object.assign(this, { context, inputs, node, lead: LEAD + latency, given: 0, begun: { at: 0, given: 0 } });
    const splitter = context.createChannelSplitter(2 * Object.keys(inputs).length);
    node.connect(splitter);
    Object.values(inputs).forEach((input, index) => {
      const merger = context.createChannelMerger(2);
      for (const side of [0, 1]) splitter.connect(merger, 2 * index + side, side);
      merger.connect(input);
    });
  }

  start({ rate, semitones }) {
    Object.assign(this, { rate, semitones, given: 0 });
  }

  begin(at) {
    this.begun = { at, given: this.given };
    this.node.schedule({ active: true, output: at, input: this.given, rate: this.rate, semitones: this.semitones });
  }

  add({ offset, seconds, buffers }) {
    const channels = Object.keys(this.inputs).flatMap((stem) => {
      const { sampleRate } = buffers[stem];
      const first = Math.round(offset * sampleRate);
      const stop = first + Math.round(seconds * sampleRate);
      return [0, 1].map((side) => buffers[stem].getChannelData(side).slice(first, stop));
    });
    const heard = this.begun.given + (this.context.currentTime - this.begun.at) * this.rate;
    this.node.dropBuffers(heard - 1);
    this.given += channels[0].length / this.context.sampleRate;
    this.node.addBuffers(channels, channels.map(({ buffer }) => buffer));
  }

  stop() {
    this.node.schedule({ active: false });
    this.node.dropBuffers();
  }
}
