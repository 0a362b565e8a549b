// Every analysis along time: shots as a strip, faces as a count, all others with a lane per name.

const FEW = 6; // lanes of a kind before "Show all"
const MOST = 300; // lanes even then; the filter finds the others

class Timeline {
  constructor(rows, kinds, player, lanes) {
    Object.assign(this, { rows, kinds, player, holder: lanes });
    this.from = 0;
    this.to = Math.max(1, player.duration);
    this.all = new Set(); // kinds of which all lanes are shown
    this.drawn = []; // {canvas, draw}
    this.redraw = onceAFrame(() => this._draw());
    this.seen = new IntersectionObserver((entries) => {
      for (const entry of entries) {
        const lane = this.lanesBy.get(entry.target);
        if (!lane) continue;
        lane.near = entry.isIntersecting;
        if (lane.near) this.redraw();
        else if (lane.drawn) { entry.target.width = entry.target.height = 0; lane.drawn = false; } // thousands of lanes, few bitmaps
      }
    }, { rootMargin: "1200px" });
    new ResizeObserver(this.redraw).observe(lanes);
    this.groups = rows.ofKind.map((list) => {
      const by = new Map();
      for (const row of list) {
        const name = rows.name[row];
        if (by.has(name)) by.get(name).push(row);
        else by.set(name, [row]);
      }
      return by;
    });
  }

  colour(kind) {
    // Custom properties keep their light-dark(); a colour that is in use is resolved.
    const probe = el(`i.k${kind}`);
    probe.style.color = "var(--k)";
    this.holder.append(probe);
    const colour = getComputedStyle(probe).color;
    probe.remove();
    return colour;
  }

  x(millis, width) { return ((millis - this.from) / (this.to - this.from)) * width; }
  millis(part) { return this.from + part * (this.to - this.from); }

  /** Show the lanes that have rows under the current filter. */
  build() {
    const { rows, kinds } = this;
    this.seen.disconnect();
    this.lanesBy = new Map();
    const focused = document.activeElement?.closest?.(".group")?.dataset.kind;
    const groups = kinds.map((kind, index) => {
      const lanes = [...this.groups[index]].map(([name, list]) => ({ name: rows.strings[name], list, left: this._passing(list) }))
        .filter((lane) => lane.left.length)
        .sort((a, b) => b.left.length - a.left.length || a.list[0] - b.list[0]);
      if (!lanes.length) return null;
      const group = el(`div.group.k${index}`, { role: "group", "aria-label": kind.title, "data-kind": index });
      if (kind.analysis === "face-detection") {
        group.append(this._lane(index, "Faces", lanes.flatMap((lane) => lane.left), "tall", (...to) => this._crowd(index, lanes[0].left, ...to)));
        return group;
      }
      if (kind.analysis === "segment-detection") {
        const shots = lanes.filter((lane) => lane.name === "Shot");
        for (const lane of shots) group.append(this._lane(index, "Shots", lane.left, "strip", (...to) => this._strip(lane.left, ...to)));
        lanes.splice(0, lanes.length, ...lanes.filter((lane) => lane.name !== "Shot"));
      }
      const shown = lanes.slice(0, this.all.has(index) ? MOST : FEW);
      for (const lane of shown) group.append(this._lane(index, lane.name, lane.left, "", (...to) => this._marks(lane.left, ...to)));
      if (lanes.length > FEW) {
        const open = this.all.has(index);
        const title = kind.title.toLowerCase();
        const more = lanes.length > MOST ? ` (the ${MOST} most frequent; the filter finds others)` : "";
        const button = el("button.all", { type: "button", "aria-expanded": String(open) },
          open ? "Show fewer" + more : `Show all ${count(lanes.length)} ${title === "text" ? "texts" : title}`);
        button.addEventListener("click", () => {
          if (open) this.all.delete(index); else this.all.add(index);
          this.build();
          this.holder.querySelector(`[data-kind="${index}"] .all`)?.focus();
        });
        group.append(button);
        if (open) { group.classList.add("scrolling"); group.tabIndex = 0; }
      }
      return group;
    });
    this.holder.replaceChildren(...groups.filter(Boolean));
    if (focused && !document.activeElement?.closest?.(".group")) this.holder.querySelector(`[data-kind="${focused}"] button`)?.focus();
    for (const canvas of this.lanesBy.keys()) this.seen.observe(canvas);
  }

  _passing(list) { return list.filter((row) => this.rows.passes[row]); }

  _lane(kind, name, list, shape, draw) {
    const canvas = el("canvas", { role: "img" });
    const first = this.rows.at[list[0]], last = this.rows.at[list[list.length - 1]];
    const where = list.length === 1 ? `at ${clock(first)}` : `${count(list.length)} times between ${clock(first)} and ${clock(last)}`;
    canvas.setAttribute("aria-label", `${name.slice(0, 200)}: ${where}`);
    const button = el("button", { type: "button", title: name.slice(0, 300), dir: "auto" }, name.slice(0, 200) || "(no name)");
    button.addEventListener("click", () => {
      // To its next moment; from the last to the first.
      const at = this.rows.before(this.player.now, true, list);
      this.player.seek(this.rows.at[list[at < list.length ? at : 0]]);
    });
    this.lanesBy.set(canvas, { kind, list, draw, near: false, drawn: false });
    return el("div.track" + (shape ? `.${shape}` : ""), {}, el("div.lane-name", {}, el("i"), button, el("span", {}, count(list.length))), canvas);
  }

  _draw() {
    const colours = this.kinds.map((_, index) => this.colour(index));
    const ink = getComputedStyle(document.body).color;
    this.pens = { ink, dim: getComputedStyle($("total").parentElement).color };
    this._ruler();
    for (const [canvas, lane] of this.lanesBy ?? []) {
      if (!lane.near) continue;
      const [pen, width, height] = this._pen(canvas);
      if (!width) continue;
      lane.drawn = true;
      lane.draw(pen, width, height, colours[lane.kind]);
    }
  }

  _pen(canvas) {
    const scale = devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    const pen = canvas.getContext("2d");
    pen.scale(scale, scale);
    return [pen, width, height];
  }

  _ruler() {
    const [pen, width, height] = this._pen($("ruler"));
    const steps = [100, 200, 500, 1e3, 2e3, 5e3, 1e4, 15e3, 3e4, 6e4, 12e4, 3e5, 6e5, 9e5, 18e5, 36e5, 72e5];
    const step = steps.find((one) => this.x(this.from + one, width) >= 72) ?? 144e5;
    pen.fillStyle = this.pens.dim;
    pen.font = "11px Roboto, Arial, sans-serif";
    pen.textBaseline = "middle";
    for (let millis = Math.ceil(this.from / step) * step; millis <= this.to; millis += step) {
      const x = this.x(millis, width);
      pen.fillRect(Math.round(x), height - 5, 1, 5);
      if (x + 36 < width) pen.fillText(clock(millis, step < 1000 ? 1 : 0), x + 3, height / 2);
    }
  }

  /** Marks for a name; of the rows in one pixel, only the one with the highest confidence is drawn. */
  _marks(list, pen, width, height, colour) {
    const { rows } = this;
    pen.fillStyle = colour;
    pen.globalAlpha = 0.13;
    pen.fillRect(0, height / 2 - 0.5, width, 1);
    let begin = -1, end = -1, most = 0;
    const flush = () => {
      if (begin < 0) return;
      pen.globalAlpha = 0.3 + 0.7 * Math.max(0, Math.min(1, (most / 100 - 40) / 60));
      pen.fillRect(begin, 4, Math.max(2, end - begin), height - 8);
    };
    for (let i = rows.before(this.from - rows.longest, false, list); i < list.length; i += 1) {
      const row = list[i];
      if (rows.at[row] > this.to) break;
      const from = Math.max(0, this.x(rows.at[row], width)), to = Math.min(width, this.x(rows.end[row], width));
      if (to < 0) continue;
      const confidence = rows.confidence[row];
      if (begin >= 0 && from <= Math.max(end, begin) + 1 && (Math.abs(confidence - most) < 1200 || from - begin < 1)) {
        end = Math.max(end, to);
        most = Math.max(most, confidence);
      } else {
        flush();
        [begin, end, most] = [from, to, confidence];
      }
    }
    flush();
    pen.globalAlpha = 1;
  }

  /** Shots, one beside the other, in two tones. */
  _strip(list, pen, width, height, colour) {
    const { rows } = this;
    list.forEach((row, index) => {
      const from = Math.max(0, this.x(rows.at[row], width)), to = Math.min(width, this.x(rows.end[row], width));
      if (to < 0 || from > width) return;
      pen.fillStyle = colour;
      pen.globalAlpha = index % 2 ? 0.22 : 0.42;
      pen.fillRect(from, 3, Math.max(1, to - from - 1), height - 6);
      if (to - from > 26) {
        pen.globalAlpha = 1;
        pen.fillStyle = this.pens.ink;
        pen.font = "11px Roboto, Arial, sans-serif";
        pen.textBaseline = "middle";
        pen.fillText(String(index + 1), from + 6, height / 2 + 0.5);
      }
    });
    pen.globalAlpha = 1;
  }

  /** How many at once, as an area. */
  _crowd(kind, list, pen, width, height, colour) {
    const { rows } = this;
    const columns = new Uint16Array(Math.max(1, Math.ceil(width)));
    let most = 1;
    for (let i = rows.before(this.from - rows.longest, false, list); i < list.length;) {
      const at = rows.at[list[i]];
      let many = 0;
      const end = rows.end[list[i]];
      while (i < list.length && rows.at[list[i]] === at) { many += 1; i += 1; }
      most = Math.max(most, many);
      const from = Math.max(0, Math.floor(this.x(at, width))), to = Math.min(columns.length, Math.max(from + 1, Math.ceil(this.x(end, width))));
      for (let x = from; x < to; x += 1) if (columns[x] < many) columns[x] = many;
    }
    const top = 6, bottom = height - 3;
    const y = (many) => bottom - (many / most) * (bottom - top);
    pen.fillStyle = colour;
    pen.beginPath();
    pen.moveTo(0, bottom);
    columns.forEach((many, x) => { pen.lineTo(x, y(many)); pen.lineTo(x + 1, y(many)); });
    pen.lineTo(columns.length, bottom);
    pen.closePath();
    pen.globalAlpha = 0.28;
    pen.fill();
    pen.globalAlpha = 1;
    columns.forEach((many, x) => { if (many) pen.fillRect(x, y(many) - 0.75, 1, 1.5); });
    pen.globalAlpha = 0.25;
    pen.fillRect(0, bottom, width, 1);
    pen.globalAlpha = 1;
    pen.fillStyle = this.pens.dim;
    pen.font = "10.5px Roboto, Arial, sans-serif";
    pen.textAlign = "right";
    pen.textBaseline = "top";
    pen.fillText(String(most), width - 3, 1);
    pen.textAlign = "left";
  }

  /** Show a factor more or less of it, around `around`. */
  zoom(factor, around) {
    const { duration } = this.player;
    const length = Math.max(Math.min(2000, duration), Math.min(duration, (this.to - this.from) * factor));
    const part = (around - this.from) / (this.to - this.from);
    this.look(around - length * Math.max(0, Math.min(1, part)), length);
  }

  look(from, length = this.to - this.from) {
    const { duration } = this.player;
    this.from = Math.max(0, Math.min(Math.max(0, duration - length), from));
    this.to = Math.min(Math.max(1, duration), this.from + length);
    this.redraw();
  }

  /** Scroll when the current time leaves the visible range. */
  keep(now) {
    const length = this.to - this.from;
    if (length < this.player.duration && (now < this.from || now > this.to)) this.look(now - length * 0.1, length);
  }
}
