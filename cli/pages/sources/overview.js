// The page of all videos: drop, follow, open a report.

theme.begin();
const { name, extensions } = JSON.parse($("data").textContent);
const AT_ONCE = 2; // uploads
const DONE_SHOWN = 4000; // ms that a finished upload stays visible
const NAMES = { WAITING: "in line", CONVERTING: "converting", RUNNING: "running", COLLECTING: "collecting", SUCCEEDED: "done", FAILED: "failed", REJECTED: "refused" };

$("name").textContent = name;
$("taken").textContent = `${extensions.join(" and ")}, up to 10 GB each`;
$("files").accept = extensions.join(",");

// ---- the list ----

const shown = { search: "", state: "" };
let known = new Map(); // key → state, to announce changes
let timer = null;
let asked = 0;

async function look() {
  clearTimeout(timer);
  const mine = ++asked;
  let next = 10_000;
  try {
    const answer = await fetch(`/api/videos?${new URLSearchParams(shown)}`);
    const found = await answer.json();
    if (!answer.ok) throw new Error(found.error);
    if (mine !== asked) return;
    trouble("");
    draw(found);
    const { running, waiting, converting, collecting } = found.backlog;
    next = running + waiting + converting + collecting || uploads.length ? 1500 : 6000;
  } catch (problem) {
    if (mine !== asked) return;
    trouble(problem instanceof TypeError ? "The server has stopped. To start it again, type: rekognition-batch open" : problem.message);
  }
  if (mine === asked) timer = setTimeout(look, document.hidden ? 30_000 : next);
}

function trouble(text) {
  $("trouble").hidden = !text;
  if ($("trouble").textContent !== text) $("trouble").textContent = text;
}

function draw({ backlog, all, counts, matching, videos }) {
  drawBacklog(backlog);
  const total = Object.values(counts).reduce((sum, number) => sum + number, 0);
  keep($("states"), ["", ...Object.keys(NAMES).filter((state) => counts[state] || state === shown.state)], (state) => state, (state) => {
    const chip = el("button.chip", { type: "button" }, state ? NAMES[state] : "all", " ", el("span"));
    chip.addEventListener("click", () => { shown.state = shown.state === state ? "" : state; look(); });
    return chip;
  }, (chip, state) => {
    chip.setAttribute("aria-pressed", String(shown.state === state));
    put(chip.lastChild, count(state ? counts[state] ?? 0 : total));
  });
  const items = videos.length ? videos : [{ empty: all ? "No video matches." : "Nothing here yet. Drop a video to begin." }];
  keep($("videos"), items, (video) => video.key ?? "\0empty", () => el("li"), drawVideo);
  $("more").textContent = matching > videos.length ? `The newest ${count(videos.length)} of ${count(matching)}; the search finds the others.` : "";
  for (const video of videos) {
    const before = known.get(video.key);
    if (before && before !== video.state && video.over) $("news").textContent = `${video.key.slice(0, 100)}: ${NAMES[video.state]}`;
    known.set(video.key, video.state);
  }
}

function drawBacklog({ running, waiting, converting, collecting, paused, blocked, refused, slots }) {
  const many = slots ?? 20;
  const boxes = Math.min(Math.max(many, running), 60);
  if ($("slots").childElementCount !== boxes) $("slots").replaceChildren(...Array.from({ length: boxes }, () => el("i")));
  [...$("slots").children].forEach((box, index) => box.classList.toggle("used", index < running));
  put($("line"), [
    slots ? `${running} of ${slots} slots in use` : `${running} running`,
    `${count(waiting)} in line`,
    converting ? `${count(converting)} converting` : "",
    collecting ? `${collecting} collecting` : "",
    paused ? "starting is paused" : "",
    blocked.length ? "starting is blocked" : "",
    refused && waiting ? "the account runs all it may" : "",
  ].filter(Boolean).join(" · "));
  put($("blocked"), blocked.length ? [...blocked, "What to fix: rekognition-batch doctor"].join("\n") : "");
  $("blocked").hidden = !blocked.length;
}

/** Make a list's children those of `items`, keeping the elements of the ones that stay: focus and selection live in them. */
function keep(list, items, id, make, fill) {
  const old = new Map([...list.children].map((child) => [child.keptFor, child]));
  items.forEach((item, index) => {
    const key = id(item);
    const element = old.get(key) ?? make(item);
    element.keptFor = key;
    old.delete(key);
    if (list.children[index] !== element) list.insertBefore(element, list.children[index] ?? null);
    fill(element, item);
  });
  for (const element of old.values()) element.remove();
}

function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

function drawVideo(item, video) {
  const now = JSON.stringify(video);
  if (item.drawn === now) return;
  const focused = item.contains(document.activeElement);
  item.drawn = now;
  if (video.empty) {
    item.className = "empty";
    item.textContent = video.empty;
    return;
  }
  item.className = "";
  const text = el("bdi", {}, video.key.slice(0, 1024));
  const has = video.jobs.some((job) => job.state === "SUCCEEDED");
  const title = has ? el("a.video-name", { href: `/video?key=${encodeURIComponent(video.key)}`, title: video.key }, text)
    : el("span.video-name", { title: video.key }, text);
  item.replaceChildren(
    title,
    el("span.about", {}, [bytes(video.size), day(video.uploaded)].join(" · ")),
    el("div.jobs", {}, ...video.jobs.map((job) => el(`span.job.s-${job.state}`, {},
      el("i", { "aria-hidden": "true" }), el("b", {}, job.analysis.replaceAll("-", " ")), el("bdi.said", {}, said(job))))),
  );
  if (focused) item.querySelector("a")?.focus();
}

function said(job) {
  const text = {
    WAITING: job.position ? `number ${count(job.position)} in line` : "in line",
    CONVERTING: "being converted first",
    RUNNING: "running",
    COLLECTING: "collecting the results",
    SUCCEEDED: job.detections === null ? "done" : `${count(job.detections)} found`,
    FAILED: `failed: ${job.reason ?? "no reason was given"}`,
    REJECTED: `refused: ${job.reason ?? "no reason was given"}`,
  }[job.state];
  const due = ["WAITING", "RUNNING"].includes(job.state) && job.expected
    ? `, done about ${new Date(job.expected * 1000).toLocaleTimeString(undefined, { timeStyle: "short" })}` : "";
  return text + due + (job.stuck ? ` – ${job.stuck}` : "");
}

$("search").addEventListener("input", (event) => { shown.search = event.target.value; look(); });
document.addEventListener("visibilitychange", () => { if (!document.hidden) look(); });
document.addEventListener("keydown", (event) => {
  if (event.key === "/" && !event.target.matches("input")) { event.preventDefault(); $("search").focus(); }
});

// ---- uploads ----

const uploads = []; // waiting and running uploads
function add(file, path) {
  const folder = $("folder").value.trim().replace(/^\/+|\/+$/g, "");
  const key = (folder ? `${folder}/` : "") + path;
  const item = el("li", {}, el("bdi", { title: key }, key.slice(0, 1024)));
  const bar = el("progress", { max: 1, value: 0, "aria-label": `Upload of ${key.slice(0, 200)}` });
  const words = el("span.said", { role: "status" }, "waits");
  item.append(bar, words);
  $("uploads").hidden = false;
  $("uploads").prepend(item);
  const upload = { file, key, item, bar, words, running: false, replace: false };
  if (!extensions.some((extension) => key.toLowerCase().endsWith(extension))) {
    end(upload, `is not a video: only ${extensions.join(" and ")} files are accepted`, true);
    return;
  }
  uploads.push(upload);
  next();
}

function next() {
  while (uploads.filter((one) => one.running).length < AT_ONCE) {
    const upload = uploads.find((one) => !one.running);
    if (!upload) return;
    send(upload);
  }
}

function send(upload) {
  upload.running = true;
  const { file, key, bar, words } = upload;
  const request = new XMLHttpRequest(); // fetch reports no progress of an upload
  request.open("PUT", `/api/upload?${new URLSearchParams({ key, ...(upload.replace ? { replace: "1" } : {}) })}`);
  request.upload.addEventListener("progress", (event) => {
    bar.value = event.total ? event.loaded / event.total : 0;
    words.textContent = event.loaded < event.total ? `${Math.floor((100 * event.loaded) / event.total)} % of ${bytes(event.total)}` : "is being stored";
  });
  request.addEventListener("load", () => {
    let problem = "";
    try { problem = JSON.parse(request.responseText).error ?? ""; } catch { problem = request.statusText; }
    if (request.status === 201) end(upload, "is there");
    else end(upload, problem, true, request.status === 409);
  });
  request.addEventListener("error", () => end(upload, "The connection was lost.", true));
  request.send(file);
}

function end(upload, text, bad = false, may = false) {
  const { item, bar, words } = upload;
  if (uploads.includes(upload)) uploads.splice(uploads.indexOf(upload), 1);
  bar.remove();
  words.classList.toggle("bad", bad);
  words.textContent = text;
  const gone = () => {
    item.remove();
    $("uploads").hidden = !$("uploads").childElementCount;
  };
  if (bad) {
    const buttons = el("span.asks", {}, el("button.quiet", { type: "button", "aria-label": "Dismiss", onclick: gone }, "✕"));
    if (may) {
      buttons.prepend(el("button", { type: "button", onclick: () => {
        buttons.remove();
        words.classList.remove("bad");
        item.insertBefore(bar, words);
        bar.value = 0;
        upload.running = false;
        upload.replace = true;
        uploads.push(upload);
        next();
      } }, "Replace it"));
    }
    item.append(buttons);
  } else {
    setTimeout(gone, DONE_SHOWN);
    look();
  }
  next();
}

/** The files of what was dropped, folders with all that is in them; [file, path]. */
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (!entries.length) return [...transfer.files].map((file) => [file, file.name]);
  const found = [];
  const walk = async (entry, path) => {
    if (entry.isFile) {
      found.push([await new Promise((done, failed) => entry.file(done, failed)), path]);
      return;
    }
    const reader = entry.createReader();
    for (;;) {
      const some = await new Promise((done, failed) => reader.readEntries(done, failed)); // a hundred at a time
      if (!some.length) return;
      for (const one of some) if (!one.name.startsWith(".")) await walk(one, `${path}/${one.name}`);
    }
  };
  for (const entry of entries) await walk(entry, entry.name);
  return found;
}

const drop = $("drop");
let inside = 0;
const carries = (event) => [...(event.dataTransfer?.types ?? [])].includes("Files");
// The whole window accepts drops: a drop beside the field must not make the browser open the video.
window.addEventListener("dragenter", (event) => { if (carries(event)) { inside += 1; drop.classList.add("over"); } });
window.addEventListener("dragleave", (event) => { if (carries(event) && --inside <= 0) { inside = 0; drop.classList.remove("over"); } });
window.addEventListener("dragover", (event) => { if (carries(event)) event.preventDefault(); });
window.addEventListener("drop", async (event) => {
  if (!carries(event)) return;
  event.preventDefault();
  inside = 0;
  drop.classList.remove("over");
  for (const [file, path] of await filesOf(event.dataTransfer)) add(file, path);
});
$("files").addEventListener("change", (event) => {
  for (const file of event.target.files) add(file, file.name);
  event.target.value = "";
});
window.addEventListener("beforeunload", (event) => { if (uploads.length) event.preventDefault(); });

look();
