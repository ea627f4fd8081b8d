// What comes after the stems: the choice between the mix and the song as it was, the level of the whole, and the limiter.
//   stems → mix ─┬→ level → limiter → output
//        └→ song ┘    clicks → ┘

const LOUDNESS_STEP = 0.4; // seconds between two looks at the loudness
const SHARE_OF_NEWS = 0.3; // of each look in what is taken for the loudness: it follows in two seconds or so
const SILENCE = 1e-9; // mean square
const MOST = 4; // that the song is turned up or down by to be as loud as the mix

export class Master {
  constructor(context, settings) {
    Object.assign(this, { context, settings, powers: null, lookedAt: 0, limiter: null, isClosed: false });
    for (const name of ["mix", "song", "level", "clicks", "output"]) this[name] = context.createGain();
    this.mixGate = context.createGain();
    this.songGate = context.createGain();
    this.mix.connect(this.mixGate).connect(this.level);
    this.song.connect(this.songGate).connect(this.level);
    this.level.connect(this.output);
    this.clicks.connect(this.output);
    this.meters = { mix: new Meter(context, this.mix, 32768), song: new Meter(context, this.song, 32768) };
    this.apply();
    this.route().catch(() => {}); // who switched the limiter on has heard of it
  }

  // What is heard, after a change of the settings { db, isOriginal, isLimited }.
  apply() {
    const { db, isOriginal } = this.settings;
    const set = (node, value) => node.gain.setTargetAtTime(value, this.context.currentTime, 0.01);
    set(this.level, db <= -60 ? 0 : 10 ** (db / 20));
    set(this.mixGate, isOriginal ? 0 : 1);
    set(this.songGate, isOriginal ? this.matchingGain : 0);
  }

  // Adds the limiter, or takes it out. Rejects where the browser has no AudioWorklet; everything is heard without it then.
  async route() {
    let problem = null;
    if (this.settings.isLimited && !this.limiter) {
      await this.addLimiter().catch((error) => { problem = error; });
      if (this.isClosed) return; // meanwhile: another song is open, with the same settings
      if (problem) this.settings.isLimited = false;
    }
    this.output.disconnect();
    this.limiter?.disconnect();
    let last = this.output;
    if (this.settings.isLimited && this.limiter) last = last.connect(this.limiter);
    last.connect(this.context.destination);
    this.meters.output = new Meter(this.context, last, 8192);
    if (problem) throw problem;
  }

  async addLimiter() {
    await this.context.audioWorklet.addModule(new URL("limiter.js", import.meta.url).href);
    this.limiter ??= new AudioWorkletNode(this.context, "unweave-limiter", { outputChannelCount: [2] });
  }

  // By how much the song is turned up or down so that its level (root mean square, over the last seconds) is that of the mix.
  get matchingGain() {
    if (!this.powers || Math.min(this.powers.mix, this.powers.song) < SILENCE) return 1;
    return Math.max(1 / MOST, Math.min(MOST, Math.sqrt(this.powers.mix / this.powers.song)));
  }

  // Called while something plays: follows the loudness, and gives the peak of what is heard.
  tick() {
    if (this.context.currentTime - this.lookedAt > LOUDNESS_STEP) {
      this.lookedAt = this.context.currentTime;
      const now = { mix: this.meters.mix.power(), song: this.meters.song.power() };
      if (now.song > SILENCE) {
        const mean = (name) => (this.powers ? this.powers[name] + SHARE_OF_NEWS * (now[name] - this.powers[name]) : now[name]);
        this.powers = { mix: mean("mix"), song: mean("song") };
      }
    }
    return this.meters.output?.peak() ?? 0;
  }
}

// Looks at both channels of a node; an analyser alone would look at their sum.
class Meter {
  constructor(context, source, size) {
    const splitter = context.createChannelSplitter(2);
    source.connect(splitter);
    this.buffer = new Float32Array(size);
    this.sides = [0, 1].map((side) => {
      const analyser = context.createAnalyser();
      analyser.fftSize = size;
      splitter.connect(analyser, side);
      return analyser;
    });
  }

  each(look) {
    for (const side of this.sides) {
      side.getFloatTimeDomainData(this.buffer);
      for (const sample of this.buffer) look(sample);
    }
  }

  peak() {
    let highest = 0;
    this.each((sample) => { if (Math.abs(sample) > highest) highest = Math.abs(sample); });
    return highest;
  }

  power() {
    let sum = 0;
    this.each((sample) => { sum += sample * sample; });
    return sum / (2 * this.buffer.length);
  }
}
