// The page: uploads, the job that is open, the list of songs, the transport, the keyboard.

import * as api from "./api.js";
import { listModels, loadChoices, modelName, showLicence } from "./choices.js";
import { Controls } from "./controls.js";
import { keepMix, readText, writeText } from "./kept.js";
import { Player } from "./player.js";
import { forget, Practice } from "./practice.js";
import { showProjects } from "./projects.js";
import { make, Strips } from "./strips.js";
import { isActive, refocus, Waiting } from "./waiting.js";
import { announce, clock, currentLanguage, say, sayOf, sayRefusal, sayShare, setLanguage } from "./words.js";

const $ = (id) => document.getElementById(id);
const PLAY = "M7 4l14 8-14 8z";
const PAUSE = "M6 4h4v16H6zM14 4h4v16h-4z";
const OURS = ["unreachable", "unreadable"]; // what no back end refuses

const player = new Player();
const strips = new Strips(player, { strips: $("strips"), presets: $("presets"), layers: $("layers") }, showMix);
const controls = new Controls(player, strips, { length, onMix: showLinks });
const practice = new Practice(player, showMarkers, showLinks);
const waiting = new Waiting({ section: $("queue"), list: $("waiting") }, list, complain);
let open = null; // the job on the screen
let stopWatching = null;
let built = "";
let drawnAt = 0;
let listed = ""; // the songs that the list shows
let nextLook = null; // at the songs that wait
let lastLook = null;
let told = ""; // the song and its state that was announced last
const removing = new Set(); // the songs that are being deleted here

function length() {
  return open?.seconds || player.length;
}

const sentence = (error) => (OURS.includes(error.code) ? say(error.code) : sayRefusal(error.code, error.values, error.message));

function complain(error) {
  $("message").textContent = error ? sentence(error) : "";
}

// Jobs

// Several songs are sent one after the other, with what is chosen now, and wait for their turns; the first one is shown.
async function send(files) {
  const chosen = [$("model").value, $("quality").value, $("consent").checked];
  const wrong = [];
  let isFirst = true;
  for (const [index, file] of files.entries()) {
    $("message").textContent = files.length > 1 ? say("uploading_one", { name: file.name, number: index + 1, total: files.length }) : say("uploading");
    try {
      await check(file);
      const job = await api.upload(file, ...chosen);
      if (isFirst) show(job);
      isFirst = false;
      list();
    } catch (error) {
      wrong.push(files.length > 1 ? `${file.name}: ${sentence(error)}` : sentence(error));
    }
  }
  $("message").textContent = wrong.join(" ");
  list();
}

// Folders look like files until one reads them, and files may be gone since they were chosen.
const check = (file) => file.slice(0, 1).arrayBuffer().catch((error) => { throw Object.assign(new Error(error.message), { code: "unreadable" }); });

function show(job) {
  if (open?.id !== job.id) {
    stopWatching?.();
    built = "";
    strips.clear();
    history.replaceState(null, "", `#${job.id}`);
    stopWatching = api.watch(job.id, (now) => { update(now); if (!isActive(now)) list(); }, missed);
  }
  update(job);
}

function update(job) {
  open = job;
  player.open(job);
  if (practice.id !== job.id) {
    practice.open(job.id);
    controls.open();
    showPlaying();
  }
  $("player").hidden = false;
  $("song").textContent = job.name;
  $("detail").textContent = `${modelName(job.model)}, ${say(job.quality)}`;
  $("job").hidden = job.state === "done";
  $("incomplete").hidden = !job.is_incomplete;
  $("progress").value = job.progress;
  const left = isActive(job) && job.seconds_left != null ? `, ${say("left", { time: clock(job.seconds_left) })}` : "";
  $("progress-text").textContent = job.error
    ? sayRefusal(job.error_code, job.error_values, job.error)
    : `${say(job.state)} ${isActive(job) ? sayShare(job.progress) : ""}${left}`;
  tell(job);
  $("cancel").hidden = !isActive(job);
  $("retry").hidden = isActive(job);
  const shape = `${job.id} ${job.stems} ${job.model} ${currentLanguage()}`;
  if (job.stems.length && built !== shape) {
    strips.build(job);
    built = shape;
    drawnAt = 0;
  }
  if (job.state === "done" || Date.now() - drawnAt > 1500) {
    drawnAt = Date.now();
    if (job.stems.length && job.n_samples) strips.draw(job);
    practice.mark();
  }
  if (job.state === "done" && !$("spectra").hidden) strips.pictures(job);
  $("play").disabled = !job.n_samples;
  showLinks();
}

// Only the state is announced: the progress changes several times per second.
function tell(job) {
  const now = `${job.id} ${job.state}`;
  if (now !== told) announce(job.error ? $("progress-text").textContent : sayOf(job.state, job.name));
  told = now;
}

function showMix() {
  keepMix(player.job.id, player.mix);
  showLinks();
}

function showLinks() {
  if (!open) return;
  const format = $("format").value;
  $("export-mix").href = api.mixAddress(open.id, savedMix(), format);
  $("export-all").href = api.zipAddress(open.id, player.mix, format);
  for (const id of ["export-mix", "export-all"]) $(id).setAttribute("aria-disabled", open.state !== "done");
  strips.links(open, format);
  showProjects($("projects"), open, savedMix(), player.metronome.bpm);
}

// The level of the whole is a part of every stem's; at the lowest end of either there is silence.
function savedMix() {
  const { db } = player.settings;
  const saved = (gain) => (Math.min(gain, db) <= -60 ? -60 : Math.max(-60, gain + db));
  return Object.fromEntries(Object.entries(player.mix).map(([stem, strip]) => [stem, { ...strip, gain: saved(strip.gain) }]));
}

// Where no server answers at a link's address, the browser makes the file.
function saveLink(event) {
  const link = event.target.closest("a[download]");
  if (!link) return;
  const isDisabled = link.getAttribute("aria-disabled") === "true"; // which links do not know for themselves
  if (isDisabled || api.save) event.preventDefault();
  if (!isDisabled) api.save?.(link.href).catch(complain);
}

// The song that the page's address names, which may have been deleted since it was bookmarked.
async function showAddressed() {
  const jobs = await list();
  const id = location.hash.slice(1);
  if (!jobs || !id || id === open?.id) return;
  const wanted = jobs.find((job) => job.id === id);
  if (wanted) show(wanted);
  else {
    history.replaceState(null, "", `#${open?.id ?? ""}`);
    complain({ code: "no_job" });
  }
  list();
}

// Where the songs cannot be had, or are asked for once more meanwhile, those that are on the screen stay there.
async function list() {
  clearTimeout(nextLook);
  const look = (lastLook = {});
  const jobs = await api.jobs().catch(() => null);
  if (look !== lastLook) return jobs;
  if (jobs) {
    waiting.show(jobs, open?.id);
    showHistory(jobs);
  }
  if (!$("queue").hidden) nextLook = setTimeout(list, 1000);
  return jobs;
}

function showHistory(jobs) {
  const shape = JSON.stringify([currentLanguage(), open?.id, jobs.map(({ id, state, model }) => [id, state, model])]);
  if (shape === listed) return; // what has the focus keeps it
  listed = shape;
  const focused = document.activeElement?.closest("#history [data-key]")?.dataset.key;
  $("empty").hidden = jobs.length > 0;
  $("history").replaceChildren(...jobs.map((job) => {
    const button = make("button", { type: "button", className: "open", dir: "auto", textContent: job.name });
    button.dataset.key = `${job.id} open`;
    button.setAttribute("aria-current", job.id === open?.id);
    button.onclick = () => {
      show(job);
      list();
      window.scrollTo({ top: 0, behavior: "smooth" });
      $("song").focus({ preventScroll: true }); // where the space bar plays it
    };
    return make("li", {}, button, make("span", { className: "note", textContent: `${modelName(job.model)} · ${say(job.state)}` }), removal(job));
  }));
  if (focused) refocus($("history"), focused);
}

// Stems took minutes to make: a song goes when its button is pressed again, which then says so.
function removal(job) {
  const button = make("button", { type: "button", className: "quiet" });
  button.dataset.key = `${job.id} remove`;
  let isSure = false;
  const ask = (sure) => {
    isSure = sure;
    const word = isSure ? "remove_surely" : "remove";
    button.textContent = say(word);
    button.setAttribute("aria-label", sayOf(word, job.name));
  };
  ask(false);
  button.onblur = () => ask(false);
  // Neither a key that is held down nor a double click is a second thought.
  button.onkeydown = (event) => {
    if (event.key === "Enter" && event.repeat) event.preventDefault();
  };
  button.onclick = async ({ detail }) => {
    if (!isSure) return ask(true);
    if (detail > 1) return;
    removing.add(job.id);
    await api.remove(job.id).then(() => removed(job.id), complain);
    removing.delete(job.id);
    if (document.activeElement === button) $("history-title").focus({ preventScroll: true });
    list();
  };
  return button;
}

function removed(id) {
  forget(id);
  keepMix(id, {});
  if (open?.id !== id) return;
  player.pause();
  stopWatching?.();
  open = null;
  $("player").hidden = true;
  history.replaceState(null, "", "#");
}

// The open song was deleted elsewhere: in another window, or by another user of the same server.
function missed() {
  if (!open || removing.has(open.id)) return;
  removed(open.id);
  complain({ code: "no_job" });
  showPlaying();
  list();
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

function showMarkers(seconds) {
  strips.mark(seconds.map((each) => each / (length() || 1)));
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
    if ($("clock").textContent !== clock(now)) {
      $("clock").textContent = clock(now);
      $("seek").setAttribute("aria-valuetext", clock(now));
    }
    $("length").textContent = clock(length());
    if (document.activeElement !== $("seek") || player.isPlaying) $("seek").value = now / seconds;
    controls.tick(now / seconds);
  }
  requestAnimationFrame(tick);
}

const KEYS = {
  l: () => controls.toggleLoop(),
  m: () => practice.add(),
  ",": () => practice.jump(-1),
  ".": () => practice.jump(1),
  t: () => practice.tap(),
  c: () => { practice.toggleClick(); controls.showListening(); },
  o: () => controls.toggleOriginal(),
  "+": () => controls.zoom(2),
  "-": () => controls.zoom(0.5),
};

function key(event) {
  if (event.target.matches("input:not([type=range]), select, textarea") || event.metaKey || event.ctrlKey || event.altKey || !open) return;
  if (event.target.matches("input") && event.code.startsWith("Arrow")) return; // a fader that was moved last keeps these alone
  const digit = /^Digit([1-9])$/.exec(event.code); // with whatever sign a country's keyboard has there, "+" and "-" among them
  const once = (act) => event.repeat || act(); // a key that is held down says the same thing again and again
  if (event.code === "Space" && !event.target.closest("button, a, summary")) once(toggle);
  else if (event.code === "ArrowLeft") player.seek(player.now - 5);
  else if (event.code === "ArrowRight") player.seek(player.now + 5);
  else if (digit && open.stems[digit[1] - 1]) {
    const mix = player.mix[open.stems[digit[1] - 1]];
    const what = event.shiftKey ? "solo" : "mute";
    once(() => { mix[what] = !mix[what]; strips.show(); });
  } else if (event.key.toLowerCase() in KEYS) once(KEYS[event.key.toLowerCase()]);
  else return;
  event.preventDefault();
}

// Beginning

function speak(language) {
  setLanguage(language);
  for (const option of $("quality").options) option.textContent = say(option.value);
  listModels();
  showLicence();
  showPlaying();
  controls.show();
  if (open) { built = ""; update(open); practice.show(); }
  list();
}

async function begin() {
  const theme = readText("theme");
  if (theme) document.documentElement.dataset.theme = theme;
  $("theme").onclick = () => {
    const isDark = getComputedStyle(document.documentElement).colorScheme === "dark"
      || (!document.documentElement.dataset.theme && matchMedia("(prefers-color-scheme: dark)").matches);
    const chosen = isDark ? "light" : "dark";
    document.documentElement.dataset.theme = chosen;
    writeText("theme", chosen);
  };
  await loadChoices();
  $("language").value = currentLanguage();
  $("language").onchange = () => speak($("language").value);
  $("file").onchange = () => { send([...$("file").files]); $("file").value = ""; };
  $("play").onclick = toggle;
  $("cancel").onclick = () => api.cancel(open.id).catch(complain);
  $("retry").onclick = async () => {
    const job = await api.retry(open.id).catch(complain);
    if (job) { open = null; show(job); list(); }
  };
  $("seek").oninput = () => player.seek(Number($("seek").value) * length());
  $("practice").addEventListener("change", () => controls.showListening());
  $("format").replaceChildren(...api.FORMATS.map((name) => make("option", { value: name, textContent: name })));
  $("format").onchange = showLinks;
  document.addEventListener("click", saveLink);
  $("view-waves").onclick = () => view(false);
  $("view-spectra").onclick = () => view(true);
  strips.onSeek = (share) => player.seek(share * length());
  player.onEnd = showPlaying;
  player.onDeleted = missed;
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
  await showAddressed();
  window.addEventListener("hashchange", showAddressed);
  window.addEventListener("focus", list); // another window may have changed something
  requestAnimationFrame(tick);
  window.unweave = { player, strips };
}

begin().catch(complain);
