// The rows, column by column, and which of them pass the filter.

const TYPES = { u8: Uint8Array, u16: Uint16Array, u32: Uint32Array, i16: Int16Array };

function column([type, text]) {
  const binary = atob(text);
  const raw = new Uint8Array(binary.length);
  for (let i = 0; i < raw.length; i += 1) raw[i] = binary.charCodeAt(i);
  return new TYPES[type](raw.buffer);
}

class Rows {
  constructor(packed, kinds) {
    this.count = packed.count;
    this.strings = packed.strings;
    for (const name of ["at", "kind", "name", "detail", "confidence"]) this[name] = column(packed[name]);
    this.corners = column(packed.corners);
    this.landmarks = column(packed.landmarks);
    this.marked = new Map(Array.from(column(packed.marked), (row, index) => [row, index]));
    const boxes = column(packed.boxes);
    this.boxAt = new Uint32Array(this.count + 1);
    for (let row = 0; row < this.count; row += 1) this.boxAt[row + 1] = this.boxAt[row] + boxes[row];
    // The end of a row: its own, or the next sampled frame.
    this.end = new Uint32Array(this.count);
    for (let row = 0; row < this.count; row += 1) this.end[row] = this.at[row] + kinds[this.kind[row]].step;
    this.longest = Math.max(500, ...kinds.map((kind) => kind.step));
    const ends = column(packed.ends);
    column(packed.spans).forEach((row, index) => {
      this.end[row] = ends[index];
      this.longest = Math.max(this.longest, ends[index] - this.at[row]);
    });
    this.ofKind = kinds.map(() => []);
    for (let row = 0; row < this.count; row += 1) this.ofKind[this.kind[row]].push(row);
    this.passes = new Uint8Array(this.count).fill(1);
    this.visible = Uint32Array.from({ length: this.count }, (_, row) => row);
    this.folded = this.strings.map((text) => text.toLocaleLowerCase());
  }

  /** Apply a filter; what passes is in `passes` (a flag per row) and `visible` (the rows, in order of time). */
  filter({ query, least, kinds }) {
    const wanted = query.trim().toLocaleLowerCase();
    const matches = Uint8Array.from(this.folded, (text) => (text.includes(wanted) ? 1 : 0));
    let passed = 0;
    const visible = new Uint32Array(this.count);
    for (let row = 0; row < this.count; row += 1) {
      const passes = kinds[this.kind[row]] && this.confidence[row] >= least * 100
        && (matches[this.name[row]] || matches[this.detail[row]]);
      this.passes[row] = passes ? 1 : 0;
      if (passes) { visible[passed] = row; passed += 1; }
    }
    this.visible = visible.subarray(0, passed);
  }

  nameOf(row) { return this.strings[this.name[row]]; }
  detailOf(row) { return this.strings[this.detail[row]]; }

  /** How many of the visible rows begin before `millis`, or at it too. */
  before(millis, too = false, list = this.visible) {
    let low = 0, high = list.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.at[list[middle]] < millis || (too && this.at[list[middle]] === millis)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The time of the next visible row after `millis`, or of the one before. */
  next(millis) {
    const at = this.before(millis, true);
    return at < this.visible.length ? this.at[this.visible[at]] : null;
  }
  previous(millis) {
    const at = this.before(millis) - 1;
    return at >= 0 ? this.at[this.visible[at]] : null;
  }
}
