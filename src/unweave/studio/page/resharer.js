// sensitivity.js in the sound's own thread: inputs and outputs are the stems. Sensitivities come as messages.

import { N_FFT, Resharer } from "./sensitivity.js";
import FFT from "./vendor/fft.js";

class ResharingProcessor extends AudioWorkletProcessor {
  constructor({ processorOptions: { sensitivities } }) {
    super();
    this.resharer = new Resharer(FFT, sensitivities);
    this.port.onmessage = ({ data }) => { this.resharer.sensitivities = data; };
    this.quiet = 0; // samples since something was heard
  }

  process(inputs, outputs) {
    const count = outputs[0][0].length;
    const isQuiet = inputs.every((sides) => sides.every((side) => side.every((sample) => sample === 0)));
    this.quiet = isQuiet ? this.quiet + count : 0;
    if (this.quiet < 3 * N_FFT) this.resharer.push(inputs, outputs, count); // after that all that is left in it is silence
    return true;
  }
}

registerProcessor("unweave-resharer", ResharingProcessor);
