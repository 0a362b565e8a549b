// Code of both pages. Text from outside enters the page only through textContent and attributes.

const $ = (id) => document.getElementById(id);

/** An element: el("li.tile", {title: "…"}, "text", child). */
function el(what, attributes = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const element = document.createElement(tag);
  if (classes.length) element.className = classes.join(" ");
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

/** 83456 → "1:23", with a digit "1:23.4", from an hour on "2:01:23". */
function clock(millis, digits = 0) {
  const unit = 10 ** digits;
  const ticks = Math.floor((Math.max(0, millis) * unit) / 1000 + 1e-6);
  const seconds = Math.floor(ticks / unit);
  const fraction = digits ? "." + String(ticks % unit).padStart(digits, "0") : "";
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return (hours ? `${hours}:${two(minutes)}` : minutes) + ":" + two(seconds % 60) + fraction;
}

const count = new Intl.NumberFormat("en").format;

function bytes(size) {
  const units = ["bytes", "KB", "MB", "GB", "TB"];
  let at = 0;
  while (size >= 1000 && at < units.length - 1) { size /= 1000; at += 1; }
  return `${at && size < 10 ? size.toFixed(1) : Math.round(size)} ${units[at]}`;
}

function day(iso) {
  const date = new Date(iso);
  return isNaN(date) ? iso : date.toLocaleString(undefined, { dateStyle: "medium", timeStyle: "short" });
}

const theme = {
  listeners: [],
  dark: () => (document.documentElement.dataset.theme ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light")) === "dark",
  set(name) {
    document.documentElement.dataset.theme = name;
    try { localStorage.setItem("theme", name); } catch { /* browsers may deny storage to a page from disk */ }
    for (const listener of theme.listeners) listener();
  },
  toggle: () => theme.set(theme.dark() ? "light" : "dark"),
  begin() {
    let known = null;
    try { known = localStorage.getItem("theme"); } catch { /* the same */ }
    if (known === "light" || known === "dark") document.documentElement.dataset.theme = known;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => theme.listeners.forEach((listener) => listener()));
    $("theme").addEventListener("click", theme.toggle);
  },
};

/** Run `work` once before the next frame, however often it is requested. */
function onceAFrame(work) {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    requestAnimationFrame(() => { asked = false; work(); });
  };
}
