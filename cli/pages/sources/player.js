// The page's clock: the video's, or one of its own if there is no video.

class Player extends EventTarget {
  constructor(video, duration) {
    super();
    this.video = video;
    this.duration = duration;
    this.speed = 1;
    this.has = false; // whether there is a video that plays
    this._at = 0; // the clock without a video: its position, and when it had it
    this._since = null;
    for (const name of ["play", "pause", "seeked", "ended", "ratechange"]) video.addEventListener(name, () => this._changed());
    video.addEventListener("loadedmetadata", () => {
      this.has = true;
      if (isFinite(video.duration) && video.duration > 0 && !this.duration) this.duration = Math.round(video.duration * 1000);
      video.playbackRate = this.speed;
      this._go(this._at);
      this.dispatchEvent(new Event("ready"));
      this._changed();
    });
    video.addEventListener("error", () => {
      if (!video.getAttribute("src")) return;
      this._at = this.has ? video.currentTime * 1000 : this._at;
      this.has = false;
      this.dispatchEvent(new Event("failed"));
    });
  }

  load(url) {
    this._at = this.now;
    this._since = null;
    this.video.src = url;
    this.video.load();
  }

  get playing() { return this.has ? !this.video.paused && !this.video.ended : this._since !== null; }

  /** Milliseconds, whole ones as Rekognition gives them. */
  get now() {
    if (this.has && this.video.currentTime === this._sought?.time) return this._sought.millis;
    if (this.has) return Math.min(this.duration, Math.floor(this.video.currentTime * 1000 + 0.01));
    const ran = this._since === null ? 0 : (performance.now() - this._since) * this.speed;
    return Math.min(this.duration, Math.floor(this._at + ran));
  }

  seek(millis) {
    const at = Math.max(0, Math.min(this.duration, millis));
    if (this.has) this._go(at);
    else {
      this._at = at;
      if (this._since !== null) this._since = performance.now();
    }
    this._changed();
  }

  /** Times are rounded down to milliseconds, so the frame begins up to one ms later. */
  _go(millis) {
    this.video.currentTime = millis === 0 ? 0 : Math.min(this.video.duration, (millis + 1) / 1000);
    this._sought = { time: this.video.currentTime, millis };
  }

  toggle() { this.playing ? this.pause() : this.play(); }

  play() {
    if (this.now >= this.duration - 20) this.seek(0);
    if (this.has) this.video.play().catch(() => this._changed());
    else this._since = performance.now();
    this._changed();
  }

  pause() {
    if (this.has) this.video.pause();
    else { this._at = this.now; this._since = null; }
    this._changed();
  }

  setSpeed(speed) {
    if (!this.has && this._since !== null) { this._at = this.now; this._since = performance.now(); }
    this.speed = speed;
    this.video.playbackRate = speed;
  }

  _changed() {
    this.dispatchEvent(new Event("change"));
    if (!this._running) { this._running = true; requestAnimationFrame(() => this._tick()); }
  }

  _tick() {
    if (!this.has && this._since !== null && this.now >= this.duration) this.pause();
    this.dispatchEvent(new Event("time"));
    this._running = this.playing;
    if (this._running) requestAnimationFrame(() => this._tick());
  }
}
