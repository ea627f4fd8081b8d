// Where the stems' sensitivities are heard: between the pieces of sound and the mixer. While all are equal nothing is in the
// way of the sound; once they are not it goes through a worklet (resharer.js), and with it the clicks, which wait for it.
//   entries[stem] ─┬→ direct ─────────┬→ outputs[stem]
//                  └→ worklet → late ─┘

import { areEqual, N_FFT } from "./sensitivity.js";

const FADE = 0.02; // seconds

export class Resharing {
  // `outputs` has the node that each stem goes on to (stem → AudioNode), and `clicks` is where the clicks go on to.
  constructor(context, outputs, clicks) {
    Object.assign(this, { context, values: [], node: null, isIn: false, since: 0 });
    const path = (output) => {
      const [entry, direct, late] = [1, 1, 0].map((gain) => new GainNode(context, { gain }));
      entry.connect(direct).connect(output);
      late.connect(output);
      return { entry, direct, late };
    };
    this.paths = Object.values(outputs).map(path);
    this.clicks = path(clicks);
    this.delay = new DelayNode(context, { delayTime: N_FFT / context.sampleRate });
    this.delay.connect(this.clicks.late);
    this.entries = Object.fromEntries(Object.keys(outputs).map((stem, index) => [stem, this.paths[index].entry]));
  }

  // By how many seconds everything is heard later.
  get latency() {
    return this.isIn && this.context.currentTime >= this.since ? N_FFT / this.context.sampleRate : 0;
  }

  // The sensitivities of all stems, from now on; what is playing goes on. Rejects where the browser has no AudioWorklet, or
  // the library is missing: everything is heard without them then.
  async set(values) {
    this.values = values;
    this.node?.port.postMessage(values);
    if (areEqual(values) || this.isIn) return;
    this.loading ??= this.load();
    await this.loading;
    if (!this.isIn && !areEqual(this.values)) this.enter();
  }

  // Called when nothing plays: takes the worklet out if it is not needed.
  rest() {
    if (!this.isIn || !areEqual(this.values)) return;
    this.isIn = false;
    for (const { entry, direct } of this.paths) entry.disconnect(this.node);
    this.clicks.entry.disconnect(this.delay);
    this.fade(0, this.context.currentTime);
  }

  async load() {
    const { context, paths } = this;
    await context.audioWorklet.addModule(new URL("resharer.js", import.meta.url).href);
    this.node = new AudioWorkletNode(context, "unweave-resharer", {
      numberOfInputs: paths.length, numberOfOutputs: paths.length, outputChannelCount: paths.map(() => 2),
      channelCount: 2, channelCountMode: "explicit", processorOptions: { sensitivities: this.values },
    });
    paths.forEach(({ late }, index) => this.node.connect(late, index));
  }

  // What is heard changes once the worklet has something to say.
  enter() {
    this.isIn = true;
    this.paths.forEach(({ entry }, index) => entry.connect(this.node, 0, index));
    this.clicks.entry.connect(this.delay);
    this.since = this.context.currentTime + N_FFT / this.context.sampleRate + FADE;
    this.fade(1, this.since);
  }

  // From one way to the other, by the context's time `until`; `late` is 1 or 0.
  fade(late, until) {
    for (const path of [...this.paths, this.clicks]) {
      for (const [{ gain }, to] of [[path.direct, 1 - late], [path.late, late]]) {
        gain.cancelScheduledValues(0);
        gain.setValueAtTime(1 - to, Math.max(0, until - FADE));
        gain.linearRampToValueAtTime(to, until);
      }
    }
  }
}
