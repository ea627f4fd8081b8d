// The page: uploads, the job that is open, the list of songs, the keyboard.

import * as api from "./api.js";
import { Player } from "./player.js";
import { showProjects } from "./projects.js";
import { make, Strips } from "./strips.js";
import { currentLanguage, knows, say, sayBytes, sayNumber, sayRefusal, sayShare, setLanguage } from "./words.js";

const $ = (id) => document.getElementById(id);
const PLAY = "M7 4l14 8-14 8z";
const PAUSE = "M6 4h4v16H6zM14 4h4v16h-4z";

const player = new Player();
const strips = new Strips(player, { strips: $("strips"), presets: $("presets"), layers: $("layers") }, showLinks);
let open = null; // the job on the screen
let stopWatching = null;
let built = "";
let drawnAt = 0;
let models = [];
let loopStart = null;

const clock = (seconds) => `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
const length = () => open?.seconds || player.length;

function complain(error) {
  $("message").textContent = !error ? "" : error.code === "unreachable" ? say("unreachable") : sayRefusal(error.code, error.values, error.message);
}

// Jobs

async function send(files) {
  for (const file of files) {
    complain(null);
    try {
      $("message").textContent = say("uploading");
      const job = await api.upload(file, $("model").value, $("quality").value, $("consent").checked);
      complain(null);
      show(job);
    } catch (error) {
      complain(error);
    }
  }
  list();
}

function show(job) {
  if (open?.id !== job.id) {
    stopWatching?.();
    built = "";
    loopStart = null;
    history.replaceState(null, "", `#${job.id}`);
    stopWatching = api.watch(job.id, (now) => { update(now); if (!["queued", "running"].includes(now.state)) list(); });
  }
  update(job);
}

function update(job) {
  open = job;
  player.open(job);
  $("player").hidden = false;
  $("song").textContent = job.name;
  $("detail").textContent = `${modelName(job.model)}, ${say(job.quality)}`;
  const isActive = ["queued", "running"].includes(job.state);
  $("job").hidden = job.state === "done";
  $("progress").value = job.progress;
  const left = isActive && job.seconds_left != null ? `, ${say("left", { time: clock(job.seconds_left) })}` : "";
  $("progress-text").textContent = job.error
    ? sayRefusal(job.error_code, job.error_values, job.error)
    : `${say(job.state)} ${isActive ? sayShare(job.progress) : ""}${left}`;
  $("cancel").hidden = !isActive;
  $("retry").hidden = isActive;
  const shape = `${job.id} ${job.stems} ${job.model} ${currentLanguage()}`;
  if (job.stems.length && built !== shape) {
    strips.build(job);
    built = shape;
    drawnAt = 0;
  }
  if (job.state === "done" || Date.now() - drawnAt > 1500) {
    drawnAt = Date.now();
    if (job.stems.length && job.n_samples) strips.draw(job);
  }
  if (job.state === "done" && !$("spectra").hidden) strips.pictures(job);
  $("play").disabled = !job.n_samples;
  showLinks();
}

function showLinks() {
  if (!open) return;
  const format = $("format").value;
  $("export-mix").href = api.mixAddress(open.id, player.mix, format);
  $("export-all").href = api.zipAddress(open.id, format);
  for (const id of ["export-mix", "export-all"]) $(id).setAttribute("aria-disabled", open.state !== "done");
  strips.links(open, format);
  showProjects($("projects"), open, player.mix);
}

// Where no server answers at a link's address, the browser makes the file.
function saveLink(event) {
  const link = event.target.closest("a[download]");
  if (!link) return;
  event.preventDefault();
  if (link.getAttribute("aria-disabled") !== "true") api.save(link.href).catch(complain);
}

async function list() {
  const jobs = await api.jobs().catch(() => []);
  $("empty").hidden = jobs.length > 0;
  $("history").replaceChildren(...jobs.map((job) => {
    const button = make("button", { type: "button", className: "open", textContent: job.name });
    button.setAttribute("aria-current", job.id === open?.id);
    button.onclick = () => { show(job); list(); window.scrollTo({ top: 0, behavior: "smooth" }); };
    const remove = make("button", { type: "button", className: "quiet", textContent: say("remove") });
    remove.setAttribute("aria-label", `${say("remove")}: ${job.name}`);
    remove.onclick = async () => {
      await api.remove(job.id).catch(complain);
      if (open?.id === job.id) { player.pause(); stopWatching?.(); open = null; $("player").hidden = true; history.replaceState(null, "", "#"); }
      list();
    };
    return make("li", {}, button, make("span", { className: "note", textContent: `${modelName(job.model)} · ${say(job.state)}` }), remove);
  }));
  return jobs;
}

// Transport

async function toggle() {
  if (player.isPlaying) player.pause();
  else await player.play();
  showPlaying();
}

function showPlaying() {
  $("play-shape").setAttribute("d", player.isPlaying ? PAUSE : PLAY);
  $("play").setAttribute("aria-label", say(player.isPlaying ? "pause" : "play"));
}

// First press: from here; second: to here; third: no loop.
function loop() {
  if (player.loop) {
    player.loop = null;
    loopStart = null;
    player.seek(player.now);
  } else if (loopStart === null) {
    loopStart = player.now;
  } else if (player.now > loopStart + 0.1) {
    player.loop = [loopStart, player.now];
    player.seek(loopStart);
  } else {
    loopStart = null;
  }
  $("loop").setAttribute("aria-pressed", Boolean(player.loop) || loopStart !== null);
  $("loop").textContent = say(player.loop ? "loop" : loopStart === null ? "loop" : "loop_to");
}

function view(spectra) {
  $("spectra").hidden = !spectra;
  $("view-waves").setAttribute("aria-pressed", !spectra);
  $("view-spectra").setAttribute("aria-pressed", spectra);
  if (spectra && open?.state === "done") strips.pictures(open);
}

function tick() {
  if (open) {
    const seconds = length() || 1;
    const now = player.now;
    $("clock").textContent = clock(now);
    $("length").textContent = clock(length());
    if (document.activeElement !== $("seek") || player.isPlaying) $("seek").value = now / seconds;
    strips.tick(now / seconds, player.loop?.map((edge) => edge / seconds));
  }
  requestAnimationFrame(tick);
}

function key(event) {
  if (event.target.matches("input, select, textarea") || event.metaKey || event.ctrlKey || event.altKey || !open) return;
  const digit = /^Digit([1-9])$/.exec(event.code);
  if (event.code === "Space" && event.target.tagName !== "BUTTON" && event.target.tagName !== "A") toggle();
  else if (event.code === "ArrowLeft") player.seek(player.now - 5);
  else if (event.code === "ArrowRight") player.seek(player.now + 5);
  else if (event.key.toLowerCase() === "l") loop();
  else if (digit && open.stems[digit[1] - 1]) {
    const mix = player.mix[open.stems[digit[1] - 1]];
    if (event.shiftKey) mix.solo = !mix.solo;
    else mix.mute = !mix.mute;
    strips.show();
  } else return;
  event.preventDefault();
}

// Beginning

// A model is called by what it is for, where it is one of those that most people want.
function modelName(name) {
  const purpose = models.find((model) => model.name === name)?.purpose;
  return purpose ? say(`purpose_${purpose}`) : name;
}

function listModels() {
  const chosen = $("model").value;
  const option = (model, text) => make("option", { value: model.name, textContent: text, disabled: Boolean(model.problem) });
  const notes = (model) => (model.problem ? ` – ${say("unusable", model)}` : model.here ? "" : ` – ${say("to_download", { size: sayBytes(model.download_bytes) })}`);
  const wanted = models.filter(({ purpose }) => purpose).map((model) => option(model, say(`purpose_${model.purpose}`) + notes(model)));
  const others = models.filter(({ purpose }) => !purpose).map((model) => option(model, `${model.name} (${model.stems.map((stem) => say(stem)).join(", ")})${notes(model)}`));
  $("model").replaceChildren(...wanted, ...(others.length ? [make("optgroup", { label: say("more_models") }, ...others)] : []));
  if (chosen) $("model").value = chosen;
}

function showLicence() {
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

function speak(language) {
  setLanguage(language);
  for (const option of $("quality").options) option.textContent = say(option.value);
  listModels();
  showLicence();
  showPlaying();
  if (open) { built = ""; update(open); }
  list();
}

async function begin() {
  const theme = localStorage.getItem("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  $("theme").onclick = () => {
    const isDark = getComputedStyle(document.documentElement).colorScheme === "dark"
      || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    const chosen = isDark ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    localStorage.setItem("theme", chosen);
  };
  models = await api.models();
  listModels();
  $("quality").replaceChildren(...(await api.qualities()).map((name) => make("option", { value: name, textContent: say(name) })));
  $("quality").value = "balanced";
  $("model").onchange = showLicence;
  $("language").value = currentLanguage();
  $("language").onchange = () => speak($("language").value);
  $("file").onchange = () => { send([...$("file").files]); $("file").value = ""; };
  $("play").onclick = toggle;
  $("loop").onclick = loop;
  $("cancel").onclick = () => api.cancel(open.id).catch(complain);
  $("retry").onclick = async () => {
    const job = await api.retry(open.id).catch(complain);
    if (job) { open = null; show(job); list(); }
  };
  $("seek").oninput = () => player.seek(Number($("seek").value) * length());
  $("rate").onchange = () => player.setRate(Number($("rate").value));
  $("format").replaceChildren(...api.FORMATS.map((name) => make("option", { value: name, textContent: name })));
  $("format").onchange = showLinks;
  if (api.save) document.addEventListener("click", saveLink);
  $("view-waves").onclick = () => view(false);
  $("view-spectra").onclick = () => view(true);
  strips.onSeek = (share) => player.seek(share * length());
  player.onEnd = showPlaying;
  document.addEventListener("keydown", key);
  const drop = $("drop");
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      drop.classList.toggle("over", name === "dragover");
      if (name === "drop") send([...event.dataTransfer.files]);
    });
  }
  speak(currentLanguage());
  if (location.search.includes("token=")) history.replaceState(null, "", location.pathname + location.hash); // the cookie has taken over
  const jobs = await list();
  const wanted = jobs.find(({ id }) => id === location.hash.slice(1));
  if (wanted) show(wanted);
  requestAnimationFrame(tick);
  window.unweave = { player };
}

begin().catch(complain);
