// The boxes, drawn over the video at their moments.

// Drawn on a picture, so the same in both colour schemes; in the order of the kinds.
const BRIGHT = ["#b79cff", "#3ddc9b", "#ff6d7a", "#ff86d2", "#52dcf7", "#86b1ff", "#ffd166"];
const LOST = 0.4; // of a step: how long a box takes to fade when the next frame has nothing like it

class Stage {
  constructor(canvas, rows, kinds) {
    this.canvas = canvas;
    this.rows = rows;
    this.kinds = kinds;
    this.on = true;
    this.glide = !matchMedia("(prefers-reduced-motion: reduce)").matches;
    // Per kind: the times at which boxes are known, and where their rows begin.
    this.samples = rows.ofKind.map((list) => {
      const boxed = list.filter((row) => rows.boxAt[row + 1] > rows.boxAt[row]);
      const times = [], from = [];
      boxed.forEach((row, index) => {
        if (!times.length || rows.at[row] !== times[times.length - 1]) { times.push(rows.at[row]); from.push(index); }
      });
      from.push(boxed.length);
      return { rows: boxed, times, from };
    });
  }

  /** The part of the canvas with the picture, which keeps its shape between bars at two sides. */
  static shown(width, height, aspect) {
    const wide = width / height > aspect;
    const w = wide ? height * aspect : width, h = wide ? height : width / aspect;
    return { x: (width - w) / 2, y: (height - h) / 2, w, h };
  }

  draw(now, aspect) {
    const { canvas } = this;
    const scale = devicePixelRatio || 1;
    const width = canvas.clientWidth, height = canvas.clientHeight;
    if (!width || !height) return;
    if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
      canvas.width = Math.round(width * scale);
      canvas.height = Math.round(height * scale);
    }
    const pen = canvas.getContext("2d");
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    if (this.on) this.drawInto(pen, Stage.shown(width, height, aspect), now, true);
  }

  drawInto(pen, area, now, tags) {
    const boxes = [];
    this.samples.forEach((sample, kind) => this._boxesOf(sample, kind, now, boxes));
    const taken = [];
    for (const box of boxes) this._frame(pen, area, box);
    if (tags) for (const box of boxes) this._tag(pen, area, box, taken);
    this.last = boxes;
  }

  _boxesOf(sample, kind, now, boxes) {
    const { times, from, rows: list } = sample;
    let low = 0, high = times.length;
    while (low < high) { const middle = (low + high) >> 1; if (times[middle] <= now) low = middle + 1; else high = middle; }
    const at = low - 1;
    if (at < 0) return;
    const { step } = this.kinds[kind];
    const age = (now - times[at]) / step;
    if (age >= 1 + LOST) return;
    const next = at + 1 < times.length && times[at + 1] - times[at] <= step * 1.5 ? at + 1 : null;
    const pairs = next !== null && this.glide ? this._pairs(sample, kind, at) : null;
    const part = next !== null ? (now - times[at]) / (times[next] - times[at]) : 0;
    for (let index = from[at]; index < from[at + 1]; index += 1) {
      const row = list[index];
      if (!this.rows.passes[row]) continue;
      for (let box = this.rows.boxAt[row]; box < this.rows.boxAt[row + 1]; box += 1) {
        const other = pairs?.get(box);
        const alpha = other !== undefined ? 1 : next !== null ? Math.min(1, (1 - part) / LOST) : Math.min(1, (1 + LOST - age) / LOST);
        boxes.push({ row, kind, alpha, sides: this._between(box, other, part), moved: other !== undefined ? part : 0, box, other });
      }
    }
  }

  _corner(box, side) { return this.rows.corners[box * 4 + side] / 10000; }

  _between(box, other, part) {
    return [0, 1, 2, 3].map((side) => {
      const here = this._corner(box, side);
      return other === undefined ? here : here + (this._corner(other, side) - here) * part;
    });
  }

  /** Rekognition gives no identity across frames: a box of the same name that hardly moved counts as the same. */
  _pairs(sample, kind, at) {
    const key = `${kind}/${at}`;
    this.known ??= new Map();
    if (this.known.has(key)) return this.known.get(key);
    const all = (index) => {
      const found = [];
      for (let i = sample.from[index]; i < sample.from[index + 1]; i += 1) {
        const row = sample.rows[i];
        for (let box = this.rows.boxAt[row]; box < this.rows.boxAt[row + 1]; box += 1) found.push([box, this.rows.name[row]]);
      }
      return found;
    };
    const candidates = [];
    const later = all(at + 1);
    for (const [one, name] of all(at)) {
      const [x, y, w, h] = this._between(one);
      for (const [two, other] of later) {
        if (name !== other) continue;
        const [x2, y2, w2, h2] = this._between(two);
        const far = Math.hypot((x + w / 2 - x2 - w2 / 2) / Math.max(w, w2), (y + h / 2 - y2 - h2 / 2) / Math.max(h, h2));
        if (far < 0.8 && w2 < 2 * w && w < 2 * w2) candidates.push([far, one, two]);
      }
    }
    candidates.sort((a, b) => a[0] - b[0]);
    const pairs = new Map(), gone = new Set();
    for (const [, one, two] of candidates) {
      if (!pairs.has(one) && !gone.has(two)) { pairs.set(one, two); gone.add(two); }
    }
    if (this.known.size > 500) this.known.clear();
    this.known.set(key, pairs);
    return pairs;
  }

  _frame(pen, area, { row, kind, alpha, sides, moved }) {
    const [left, top, w, h] = sides;
    const x = area.x + left * area.w, y = area.y + top * area.h;
    const width = w * area.w, height = h * area.h;
    pen.save();
    pen.beginPath();
    pen.rect(area.x, area.y, area.w, area.h);
    pen.clip();
    pen.globalAlpha = alpha;
    pen.beginPath();
    pen.roundRect(x, y, width, height, Math.min(8, Math.abs(width) / 8, Math.abs(height) / 8));
    pen.strokeStyle = "rgb(0 0 0 / 45%)";
    pen.lineWidth = 4.5;
    pen.stroke();
    pen.strokeStyle = BRIGHT[kind];
    pen.lineWidth = 2;
    pen.stroke();
    const points = moved < 0.34 ? this.rows.marked.get(row) : undefined;
    if (points !== undefined && width > 48) {
      pen.fillStyle = BRIGHT[kind];
      pen.globalAlpha = alpha * 0.9 * (1 - moved / 0.34);
      const [atX, atY] = [this._corner(this.rows.boxAt[row], 0), this._corner(this.rows.boxAt[row], 1)];
      for (let point = 0; point < 5; point += 1) {
        const px = area.x + (this.rows.landmarks[points * 10 + point * 2] / 10000 + left - atX) * area.w;
        const py = area.y + (this.rows.landmarks[points * 10 + point * 2 + 1] / 10000 + top - atY) * area.h;
        pen.beginPath();
        pen.arc(px, py, Math.min(2.2, width / 60 + 1), 0, 7);
        pen.fill();
      }
    }
    pen.restore();
  }

  _tag(pen, area, { row, kind, alpha, sides }, taken) {
    const name = this.rows.nameOf(row);
    const sure = `${Math.floor(this.rows.confidence[row] / 100)} %`;
    const short = name.length > 28 ? `${name.slice(0, 27)}…` : name;
    // Isolated: a name that runs from right to left must not take the number with it.
    const text = name === "Face" ? sure : `\u2068${short}\u2069 ${sure}`;
    pen.direction = "ltr";
    pen.font = "600 12px Roboto, Arial, sans-serif";
    const width = pen.measureText(text).width + 12, height = 19;
    const left = area.x + sides[0] * area.w - 1, boxTop = area.y + sides[1] * area.h;
    const x = Math.max(area.x, Math.min(area.x + area.w - width, left));
    const free = (y) => y >= area.y && y + height <= area.y + area.h
      && !taken.some((other) => x < other.x + other.width && other.x < x + width && y < other.y + height && other.y < y + height);
    const places = [boxTop - height - 2, boxTop + 3, boxTop + sides[3] * area.h + 2, boxTop + height + 5];
    const y = places.find(free);
    if (y === undefined) return;
    taken.push({ x, y, width });
    pen.globalAlpha = alpha;
    pen.fillStyle = BRIGHT[kind];
    pen.beginPath();
    pen.roundRect(x, y, width, height, 5);
    pen.fill();
    pen.fillStyle = "#0b1014";
    pen.textBaseline = "middle";
    pen.fillText(text, x + 6, y + height / 2 + 0.5);
    pen.globalAlpha = 1;
  }
}
