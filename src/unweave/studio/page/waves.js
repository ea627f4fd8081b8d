// Waveforms of all stems on one scale, and the part of the song that they show. Clicking seeks, dragging chooses a loop.

const POINTS = 1200; // across a waveform
const HEIGHT = 64;
const HIGHEST_ZOOM = 32;
const MOST_HEIGHTS = 4000; // that the server keeps of a finished stem
const FIRST_HEIGHTS = 600; // of a song that is being separated: they are computed again and again
const DRAG = 6; // pixels, from which a press is no click any more

// The part of the song that is on the screen, in shares of the song from 0 to 1.
export class View {
  constructor() {
    Object.assign(this, { start: 0, zoom: 1 });
  }

  get width() {
    return 1 / this.zoom;
  }

  // A share of the song → a share of the screen, and back.
  onScreen(share) {
    return (share - this.start) * this.zoom;
  }

  inSong(place) {
    return this.start + place / this.zoom;
  }

  // Zooms around a share of the song, which stays where it is on the screen, if it is there.
  zoomBy(factor, centre) {
    const place = Math.max(0, Math.min(1, this.onScreen(centre)));
    this.zoom = Math.max(1, Math.min(HIGHEST_ZOOM, this.zoom * factor));
    this.moveTo(centre - place / this.zoom);
  }

  moveTo(start) {
    this.start = Math.max(0, Math.min(1 - this.width, start));
  }

  // Turns the page where `share` is outside; gives whether it did.
  follow(share) {
    const place = this.onScreen(share);
    if (this.zoom === 1 || (place >= 0 && place < 1)) return false;
    this.moveTo(share);
    return true;
  }
}

export const heightsFor = (share, isDone) => Math.max(1, Math.round((isDone ? MOST_HEIGHTS : FIRST_HEIGHTS) * share));

export function canvasFor() {
  const canvas = Object.assign(document.createElement("canvas"), { width: POINTS, height: HEIGHT });
  canvas.setAttribute("aria-hidden", "true");
  return canvas;
}

// `heights` (0 … 1) cover the first `share` of the song; `scale` is the height that fills the canvas, the same for all stems.
export function drawWave(canvas, heights, share, scale, colour, view) {
  const context = canvas.getContext("2d");
  context.clearRect(0, 0, POINTS, HEIGHT);
  context.fillStyle = colour;
  const perShare = heights.length / share;
  for (let x = 0; x < POINTS; x++) {
    const first = Math.floor(view.inSong(x / POINTS) * perShare);
    if (first >= heights.length) break;
    const stop = Math.max(first + 1, Math.floor(view.inSong((x + 1) / POINTS) * perShare));
    const highest = Math.max(...heights.slice(first, stop));
    const height = Math.max(1, (highest / scale) * (HEIGHT - 4));
    context.fillRect(x, (HEIGHT - height) / 2, 1, height);
  }
}

// Clicks on `element` call onSeek(share), drags call onLoop([start, stop]) while they last.
export function listen(element, view, { onSeek, onLoop }) {
  let from = null;
  let isDrag = false;
  const place = (event) => {
    const { left, width } = element.getBoundingClientRect();
    return Math.max(0, Math.min(1, (event.clientX - left) / width));
  };
  element.addEventListener("pointerdown", (event) => {
    if (event.button) return;
    from = { place: place(event), x: event.clientX };
    isDrag = false;
    element.setPointerCapture(event.pointerId);
  });
  element.addEventListener("pointermove", (event) => {
    if (!from) return;
    isDrag ||= Math.abs(event.clientX - from.x) > DRAG;
    if (isDrag) onLoop([from.place, place(event)].map((edge) => view.inSong(edge)).sort((a, b) => a - b), false);
  });
  element.addEventListener("pointerup", (event) => {
    if (!from) return;
    const edges = [from.place, place(event)].map((edge) => view.inSong(edge)).sort((a, b) => a - b);
    from = null;
    if (isDrag) onLoop(edges, true);
    else onSeek(edges[0]);
  });
  element.addEventListener("pointercancel", () => {
    if (from && isDrag) onLoop([0, 0], true); // no loop
    from = null;
  });
  element.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.shiftKey) return; // the page scrolls
    event.preventDefault();
    const { centre, delta } = { centre: view.inSong(place(event)), delta: event.deltaY || event.deltaX };
    if (event.ctrlKey) view.zoomBy(2 ** (-delta / 200), centre);
    else view.moveTo(view.start + (delta / 500) * view.width);
    view.onChange?.();
  }, { passive: false });
}
