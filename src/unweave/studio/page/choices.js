// What a song is separated with: the models by what they are for, and what one should know before choosing one.

import * as api from "./api.js";
import { make } from "./strips.js";
import { knows, say, sayBytes, sayNumber, sayStem } from "./words.js";

const $ = (id) => document.getElementById(id);
let models = [];

export async function loadChoices() {
  models = await api.models();
  listModels();
  $("quality").replaceChildren(...(await api.qualities()).map((name) => make("option", { value: name, textContent: say(name) })));
  $("quality").value = "balanced";
  $("model").onchange = showLicence;
}

// A model is called by what it is for, where it is one of those that most people want.
export function modelName(name) {
  const purpose = models.find((model) => model.name === name)?.purpose;
  return purpose ? say(`purpose_${purpose}`) : name;
}

export function listModels() {
  const chosen = $("model").value;
  const option = (model, text) => make("option", { value: model.name, textContent: text, disabled: Boolean(model.problem) });
  const notes = (model) => (model.problem ? ` – ${say("unusable", model)}` : model.here ? "" : ` – ${say("to_download", { size: sayBytes(model.download_bytes) })}`);
  const wanted = models.filter(({ purpose }) => purpose).map((model) => option(model, say(`purpose_${model.purpose}`) + notes(model)));
  const others = models.filter(({ purpose }) => !purpose).map((model) => option(model, `${model.name} (${model.stems.map(sayStem).join(", ")})${notes(model)}`));
  $("model").replaceChildren(...wanted, ...(others.length ? [make("optgroup", { label: say("more_models") }, ...others)] : []));
  if (chosen) $("model").value = chosen;
}

export function showLicence() {
  const model = models.find(({ name }) => name === $("model").value);
  $("consent-row").hidden = !model?.needs_consent;
  if (!model) return;
  const times = model.times_real_time;
  $("licence").textContent = [
    model.purpose ? say(`about_${model.purpose}`) : "",
    times >= 1 ? say("measured", { times: sayNumber(times, times < 10 ? 1 : 0) }) : times > 0 ? say("measured_slow", { times: sayNumber(1 / times, 1) }) : "",
    knows(`licence_${model.licence}`) ? say(`licence_${model.licence}`) : model.licence ? say("licence_other", model) : "",
    model.here ? "" : say("download", { size: sayBytes(model.download_bytes) }),
  ].filter(Boolean).join(" ");
}
