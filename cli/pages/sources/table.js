// The table of all rows. It has elements only for the visible rows, and follows the video.

const ROW = 32; // pixels, as in the style

class Table {
  constructor(holder, body, rows, kinds, seek) {
    Object.assign(this, { holder, body, rows, kinds, seek });
    this.follows = true;
    this.now = 0;
    this.pool = [];
    this.render = onceAFrame(() => this._render());
    holder.addEventListener("scroll", () => this.render(), { passive: true });
    new ResizeObserver(this.render).observe(holder);
    // A reader who scrolls by hand must not be carried away.
    for (const name of ["wheel", "touchmove"]) holder.addEventListener(name, () => this.let(false), { passive: true });
    holder.addEventListener("keydown", (event) => {
      if (["ArrowUp", "ArrowDown", "PageUp", "PageDown"].includes(event.key)) this.let(false);
    });
    holder.addEventListener("pointerdown", (event) => { if (event.target === holder) this.let(false); }); // the scroll bar
    body.addEventListener("click", (event) => {
      const line = event.target.closest(".tr");
      if (line) this.seek(this.rows.at[this.rows.visible[line.index]]);
    });
  }

  let(follows) {
    if (this.follows === follows) return;
    this.follows = follows;
    $("follow").setAttribute("aria-pressed", String(follows));
    if (follows) this.moment(this.now, true);
  }

  /** The filter has changed. */
  refill() {
    this.body.style.height = `${this.rows.visible.length * ROW}px`;
    this.holder.setAttribute("aria-rowcount", this.rows.visible.length + 1);
    for (const line of this.pool) line.index = -1;
    this.top = null;
    this.moment(this.now, true);
    this.render();
  }

  moment(now, again = false) {
    this.now = now;
    const first = this.rows.before(now, true);
    if (this.follows) {
      const from = this._top(now, first);
      if (again || this.top !== from) {
        this.top = from;
        const room = this.holder.clientHeight - ROW;
        this.holder.scrollTop = Math.max(0, from * ROW - Math.min(ROW * 2, room / 4));
      }
    }
    if (again || first !== this.first || this._faded(now)) this.render();
    this.first = first;
  }

  /** The row for the top: the first one at this time, or at the last time with a detection. */
  _top(now, first) {
    const { rows } = this;
    if (!first) return 0;
    for (let index = rows.before(now - 600); index < first; index += 1) {
      const row = rows.visible[index];
      if (rows.end[row] > now && rows.end[row] - rows.at[row] <= 600) return index; // not a shot, which lasts
    }
    return rows.before(rows.at[rows.visible[first - 1]]);
  }

  /** Whether a row in sight has ended since it was drawn. */
  _faded(now) { return now < this.renderedAt || now >= this.changesAt; }

  _render() {
    const { rows, holder } = this;
    const { visible } = rows;
    const from = Math.max(0, Math.floor(holder.scrollTop / ROW) - 6);
    const to = Math.min(visible.length, from + Math.ceil(holder.clientHeight / ROW) + 12);
    while (this.pool.length < to - from) this.pool.push(this._line());
    this.renderedAt = this.now;
    this.changesAt = Infinity;
    const size = this.pool.length;
    const used = new Set();
    for (let index = from; index < to; index += 1) {
      // A row keeps its element, and with it the focus, while it stays visible.
      const line = this.pool[index % size];
      used.add(line);
      const row = visible[index];
      if (line.index !== index) this._fill(line, index, row);
      const current = rows.at[row] <= this.now && this.now < rows.end[row];
      if (current) this.changesAt = Math.min(this.changesAt, rows.end[row]);
      if (line.current !== current) {
        line.current = current;
        line.classList.toggle("current", current);
        if (current) line.setAttribute("aria-current", "time"); else line.removeAttribute("aria-current");
      }
    }
    for (const line of this.pool) line.hidden = !used.has(line);
  }

  _line() {
    const line = el("div.tr", { role: "row" });
    line.time = el("button", { type: "button" });
    line.dot = el("i");
    line.name = el("bdi");
    line.kindName = el("span.hidden");
    line.sure = el("span");
    line.bar = el("i");
    line.detail = el("bdi");
    line.append(
      el("span", { role: "cell" }, line.time),
      el("span.what-cell", { role: "cell" }, line.dot, line.kindName, line.name),
      el("span.sure", { role: "cell" }, line.sure, line.bar),
      el("span.more", { role: "cell" }, line.detail),
    );
    line.current = null;
    this.body.append(line);
    return line;
  }

  _fill(line, index, row) {
    const { rows } = this;
    const sure = rows.confidence[row] / 100;
    line.index = index;
    line.setAttribute("aria-rowindex", index + 2);
    line.className = `tr k${rows.kind[row]}`;
    line.current = null;
    line.style.transform = `translateY(${index * ROW}px)`;
    line.time.textContent = clock(rows.at[row], 2);
    const name = rows.nameOf(row);
    line.name.textContent = name.slice(0, 200) || "(no name)";
    line.name.title = name.slice(0, 1000);
    line.kindName.textContent = `${this.kinds[rows.kind[row]].title}: `;
    line.sure.textContent = `${sure.toFixed(1)} %`;
    line.bar.style.setProperty("--part", sure / 100);
    line.detail.textContent = rows.detailOf(row).slice(0, 200);
    line.detail.title = rows.detailOf(row).slice(0, 1000);
  }
}
