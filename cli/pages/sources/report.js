// The page of one video: joins the parts above.

theme.begin();
const page = JSON.parse($("data").textContent);
const { kinds } = page;
const rows = new Rows(page.rows, kinds);
const video = $("video");
const player = new Player(video, page.video.duration);
const stage = new Stage($("overlay"), rows, kinds);
const filter = { query: "", least: 0, kinds: kinds.map(() => true) };
const timeline = new Timeline(rows, kinds, player, $("lanes"));
const table = new Table($("table"), $("tbody"), rows, kinds, jump);

const aspect = () => (player.has && video.videoWidth ? video.videoWidth / video.videoHeight
  : page.video.width && page.video.height ? page.video.width / page.video.height : 16 / 9);

function jump(millis) {
  player.seek(millis);
  table.let(true);
}

// ---- head, tiles, notes ----

$("key").textContent = page.key;
$("key").title = page.key;
const { width, height, rate, codec } = page.video;
$("facts").textContent = [
  clock(page.video.duration),
  width && height ? `${width} × ${height}` : null,
  rate ? `${Number(rate.toFixed(2))} fps` : null,
  codec,
  page.facts.size ? bytes(page.facts.size) : null,
  page.facts.uploaded ? `uploaded ${day(page.facts.uploaded)}` : null,
  `${count(rows.count)} ${rows.count === 1 ? "detection" : "detections"}`,
].filter(Boolean).join(" · ");
if (page.back) { $("back").href = page.back; $("back").hidden = false; }

for (const tile of page.tiles) {
  const inside = [
    el("span", {}, el(tile.value ? "b" : "b.none", {}, count(tile.value)), el("span.what", {}, tile.what)),
    el("bdi.note", { title: tile.note.slice(0, 300) }, tile.note.slice(0, 200)),
  ];
  const has = tile.at !== null;
  const element = el(`${has ? "button" : "div"}.tile.k${tile.kind}`, has ? { type: "button" } : {}, ...inside);
  if (has) element.addEventListener("click", () => jump(tile.at));
  $("tiles").append(el("li", {}, element));
}
$("tiles").hidden = !page.tiles.length;

const missing = page.jobs.filter((job) => job.state !== "SUCCEEDED");
const SAID = { WAITING: "waits in line", CONVERTING: "is being converted first", RUNNING: "is being worked on", COLLECTING: "is nearly there", FAILED: "failed", REJECTED: "was refused" };
for (const job of missing) {
  const name = kinds.find((kind) => kind.analysis === job.analysis)?.title ?? job.analysis;
  $("notes").append(el("li", {}, el("b", {}, name), ` ${SAID[job.state] ?? job.state}`, job.reason ? ": " : "", el("bdi", {}, job.reason ?? "")));
}
const unreadable = page.kinds.filter((kind) => kind.unreadable);
for (const kind of unreadable) {
  const rows_ = kind.unreadable === 1 ? "row" : "rows";
  $("notes").append(el("li", {}, el("b", {}, kind.title), ` ${count(kind.unreadable)} ${rows_} of the results can't be read, and are left out`));
}
$("notes").hidden = !missing.length && !unreadable.length;

// ---- filter ----

kinds.forEach((kind, index) => {
  if (!kind.looked) return;
  const chip = el(`button.chip.k${index}`, { type: "button", "aria-pressed": "true" },
    el("i"), kind.title, el("span", {}, count(rows.ofKind[index].length)));
  chip.addEventListener("click", () => {
    filter.kinds[index] = !filter.kinds[index];
    chip.setAttribute("aria-pressed", String(filter.kinds[index]));
    applyFilter();
  });
  $("kinds").append(chip);
});

const applyFilter = onceAFrame(() => {
  rows.filter(filter);
  table.refill();
  timeline.build();
  timeline.redraw();
  draw();
  drawStills();
  $("rows-count").textContent = rows.visible.length === rows.count ? count(rows.count) : `${count(rows.visible.length)} of ${count(rows.count)}`;
  $("nothing").hidden = rows.visible.length > 0;
  $("nothing").textContent = rows.count ? "Nothing passes the filter." : "Nothing was found.";
});

$("query").addEventListener("input", (event) => { filter.query = event.target.value; applyFilter(); });
$("least").addEventListener("input", (event) => {
  filter.least = Number(event.target.value);
  $("least-said").textContent = `${filter.least} %`;
  event.target.setAttribute("aria-valuetext", `${filter.least} percent`);
  applyFilter();
});

// ---- video ----

function say(text, choose = true) {
  const note = $("stage-note");
  note.hidden = !text;
  if (!text) return;
  const label = el("label", {}, "Choose the file…");
  const input = el("input.hidden", { type: "file", accept: "video/*" });
  input.addEventListener("change", () => { if (input.files[0]) player.load(URL.createObjectURL(input.files[0])); });
  label.append(input);
  note.replaceChildren(text, ...(choose ? [label] : []));
  note.onclick = (event) => event.stopPropagation();
}

$("stage").style.aspectRatio = aspect();
player.addEventListener("ready", () => {
  video.hidden = false;
  $("backdrop").hidden = true;
  $("mute").hidden = false;
  $("stage").style.aspectRatio = aspect();
  say("");
  prepareSeek();
});
player.addEventListener("failed", () => {
  video.hidden = true;
  const expired = page.video.expires && new Date(page.video.expires) < new Date();
  say(expired ? "The link to the video has expired." : "The video can’t be played from here.");
  draw();
});
if (page.video.url) player.load(page.video.url);
else say("The video is not part of this page.");

function backdrop(now) {
  if (player.has || !page.stills.length) return;
  let best = page.stills[0];
  for (const still of page.stills) if (Math.abs(still.at - now) < Math.abs(best.at - now)) best = still;
  const near = Math.abs(best.at - now) < 1500;
  $("backdrop").hidden = !near;
  if (near && $("backdrop").src !== best.url) $("backdrop").src = best.url;
}

function draw() {
  const { now } = player;
  stage.draw(now, aspect());
  backdrop(now);
}
const redraw = onceAFrame(draw);
new ResizeObserver(redraw).observe($("stage"));

// ---- transport ----

const seek = $("seek");
function prepareSeek() {
  seek.max = player.duration;
  $("total").textContent = clock(player.duration, 1);
}
let shownSecond = null;
function moment() {
  const { now } = player;
  draw();
  timeline.keep(now);
  placePlayhead();
  table.moment(now);
  if (document.activeElement !== seek || player.playing) seek.value = now;
  $("now").textContent = clock(now, 1);
  if (shownSecond !== Math.floor(now / 1000)) {
    shownSecond = Math.floor(now / 1000);
    seek.setAttribute("aria-valuetext", `${clock(now)} of ${clock(player.duration)}`);
  }
}
function placePlayhead() {
  const part = (player.now - timeline.from) / (timeline.to - timeline.from);
  const head = $("playhead");
  head.hidden = part < 0 || part > 1;
  head.style.transform = `translateX(${part * $("ruler").clientWidth}px)`;
}
player.addEventListener("time", moment);
player.addEventListener("change", () => {
  $("play").classList.toggle("playing", player.playing);
  $("play").setAttribute("aria-label", player.playing ? "Pause" : "Play");
});
$("play").addEventListener("click", () => player.toggle());
$("stage").addEventListener("click", () => player.toggle());
seek.addEventListener("input", () => { player.seek(Number(seek.value)); table.let(true); });
$("speed").addEventListener("change", (event) => player.setSpeed(Number(event.target.value)));
const mute = () => {
  video.muted = !video.muted;
  $("mute").setAttribute("aria-pressed", String(video.muted));
};
$("mute").addEventListener("click", mute);
const full = () => (document.fullscreenElement ? document.exitFullscreen() : $("stage").requestFullscreen?.());
$("full").addEventListener("click", full);
const step = (way) => {
  const to = way > 0 ? rows.next(player.now) : rows.previous(player.now);
  if (to !== null) jump(to);
};
$("next").addEventListener("click", () => step(1));
$("previous").addEventListener("click", () => step(-1));
$("follow").addEventListener("click", () => table.let(!table.follows));

// ---- timeline ----

const tracks = $("tracks");
function at(event) {
  const area = $("ruler").getBoundingClientRect();
  return timeline.millis(Math.max(0, Math.min(1, (event.clientX - area.left) / area.width)));
}
const onLanes = (event) => event.clientX >= $("ruler").getBoundingClientRect().left - 3;
let dragging = false;
tracks.addEventListener("pointerdown", (event) => {
  if (event.button || !onLanes(event) || event.target.closest("button")) return;
  dragging = true;
  tracks.setPointerCapture(event.pointerId);
  jump(snapped(event));
});
tracks.addEventListener("pointermove", (event) => {
  if (dragging) jump(at(event));
  hover(event);
});
for (const name of ["pointerup", "pointercancel"]) tracks.addEventListener(name, () => { dragging = false; });
tracks.addEventListener("pointerleave", () => { $("hover").hidden = true; });
tracks.addEventListener("wheel", (event) => {
  if (event.ctrlKey || event.metaKey) {
    event.preventDefault();
    zoom(event.deltaY > 0 ? 1.25 : 0.8, at(event));
  } else if (Math.abs(event.deltaX) > Math.abs(event.deltaY) && timeline.to - timeline.from < player.duration) {
    event.preventDefault();
    timeline.look(timeline.from + (event.deltaX / $("ruler").clientWidth) * (timeline.to - timeline.from));
    zoomed();
  }
}, { passive: false });

/** The row under the pointer: in that lane and at that time, or beginning within a few pixels. */
function under(event) {
  const lane = timeline.lanesBy?.get(event.target.closest?.(".track")?.querySelector("canvas"));
  if (!lane) return null;
  const millis = at(event);
  const close = ((timeline.to - timeline.from) / $("ruler").clientWidth) * 4;
  for (let i = rows.before(millis + close, true, lane.list) - 1; i >= 0; i -= 1) {
    const row = lane.list[i];
    if (rows.end[row] + close >= millis) return row;
    if (rows.at[row] < millis - rows.longest - close) break;
  }
  return null;
}
/** A click on a row goes to its beginning; a click beside it to that time. */
function snapped(event) {
  const row = under(event);
  return row !== null && rows.end[row] - rows.at[row] <= 600 ? rows.at[row] : at(event);
}
function hover(event) {
  const mark = $("hover");
  mark.hidden = event.pointerType === "touch" || !onLanes(event);
  if (mark.hidden) return;
  const millis = at(event);
  const row = under(event);
  const part = (millis - timeline.from) / (timeline.to - timeline.from);
  mark.style.transform = `translateX(${part * $("ruler").clientWidth}px)`;
  mark.classList.toggle("left", part > 0.7);
  const what = row === null ? "" : ` · ${rows.nameOf(row).slice(0, 60)} ${(rows.confidence[row] / 100).toFixed(0)} %`;
  mark.firstElementChild.textContent = clock(millis, 1) + what;
}
function zoom(factor, around = player.now) {
  timeline.zoom(factor, around);
  zoomed();
}
function zoomed() {
  const whole = timeline.from <= 0 && timeline.to >= player.duration;
  $("window").textContent = whole ? "" : `${clock(timeline.from)} – ${clock(timeline.to)}`;
  $("zoom-all").disabled = $("zoom-out").disabled = whole;
  placePlayhead();
}
$("zoom-in").addEventListener("click", () => zoom(0.5));
$("zoom-out").addEventListener("click", () => zoom(2));
$("zoom-all").addEventListener("click", () => zoom(Infinity));

// ---- pictures ----

const stills = page.stills.map((still) => {
  const canvas = el("canvas", { "aria-hidden": "true" });
  const picture = el("img", { src: still.url, width: still.width, height: still.height, alt: "", decoding: "async" });
  const button = el("button.still", { type: "button" },
    el("span.frame", {}, picture, canvas, el("time", {}, clock(still.at, 1))), el("bdi.caption", { title: still.caption.slice(0, 300) }, still.caption.slice(0, 200)));
  button.addEventListener("click", () => {
    jump(still.at);
    $("stage").scrollIntoView({ block: "nearest", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
  });
  $("stills").append(el("li", {}, button));
  return { still, canvas };
});
$("stills-section").hidden = !stills.length;
function drawStills() {
  for (const { still, canvas } of stills) {
    canvas.width = still.width * 2;
    canvas.height = still.height * 2;
    const pen = canvas.getContext("2d");
    pen.scale(2, 2);
    stage.drawInto(pen, { x: 0, y: 0, w: still.width, h: still.height }, still.at, false);
  }
}

// ---- keyboard ----

const help = $("help");
$("help-button").addEventListener("click", () => help.showModal());
const KEYS = {
  " ": () => player.toggle(),
  ArrowLeft: (event) => jump(player.now - (event.shiftKey ? 1000 : 5000)),
  ArrowRight: (event) => jump(player.now + (event.shiftKey ? 1000 : 5000)),
  ",": () => { player.pause(); jump(player.now - 1000 / (rate || 25)); },
  ".": () => { player.pause(); jump(player.now + 1000 / (rate || 25)); },
  j: () => step(1),
  k: () => step(-1),
  Home: () => jump(0),
  End: () => jump(player.duration),
  "/": () => $("query").focus(),
  "+": () => zoom(0.5),
  "=": () => zoom(0.5),
  "-": () => zoom(2),
  0: () => zoom(Infinity),
  b: () => { stage.on = !stage.on; draw(); },
  f: full,
  m: mute,
  t: theme.toggle,
  "?": () => help.showModal(),
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || help.open) return;
  const { target } = event;
  if (event.key === "Escape" && target === $("query")) {
    target.value = filter.query = "";
    target.blur();
    applyFilter();
    return;
  }
  if (target.matches("input[type=search], input[type=text], select")) return;
  // Keys that an element handles itself are left to it.
  if (target.matches("input[type=range]") && /^(Arrow|Home|End|Page)/.test(event.key)) return;
  if (event.key === " " && target.matches("button, a, label")) return;
  if (target === $("table") && /^(Home|End)$/.test(event.key)) { table.let(false); return; }
  const act = KEYS[event.key] ?? KEYS[event.key.toLowerCase()];
  if (!act) return;
  event.preventDefault();
  act(event);
});

theme.listeners.push(() => { timeline.redraw(); draw(); });
prepareSeek();
applyFilter();
zoomed();
const wanted = /^#t=([\d.]+)$/.exec(location.hash);
if (wanted) jump(Number(wanted[1]) * 1000);
moment();
requestAnimationFrame(() => requestAnimationFrame(() => performance.mark("drawn"))); // for bench/pages.py
