// One live tile: ticket → WebSocket → MSE → <video>. No framework; the wrapper gets states and ages by callback.

import { backoffMs } from "./backoff";
import { CaptureIndex, ClockOffset, freshness, type Freshness } from "./freshness";
import { LiveEdge } from "./liveEdge";
import { MseFeed } from "./mseFeed";
import { WallClock } from "./wallClock";
import { HEADER_BYTES, parseHeader, parseText, type EndReason, type WireText } from "./wire";

/** Answer of the ticket desk. `refused` is final until the operator tries again; `later` is tried again. */
export type OpenAnswer =
  | { kind: "open"; url: string }
  | { kind: "refused"; code: string }
  | { kind: "later"; code: string }
  | { kind: "cancelled" };

export type TilePhase =
  | { phase: "connecting" }
  | { phase: "playing"; freshness: Freshness; frozenSinceUs: number | null }
  | { phase: "waiting"; cause: string }
  | { phase: "refused"; code: string }
  | { phase: "ended"; why: EndReason }
  | { phase: "codec"; codec: string }
  | { phase: "cancelled" };

export interface LatencySample {
  captureUs: number;
  displayUs: number;
  latencyUs: number;
}

export interface TileEvents {
  onPhase(phase: TilePhase): void;
  /** Four times a second; null when no frame has been shown yet. */
  onAge(ageUs: number | null): void;
}

/** Reasons after which a new ticket is asked for without the operator. */
const RETRY_AFTER: readonly EndReason[] = ["expired", "stopped"];
const SAMPLE_BOUND = 4000;
const TICK_MS = 250;

export class LiveTile {
  readonly latencySamples: LatencySample[] = [];
  dropped = 0;
  fragments = 0;
  #closed = false;
  #attempt = 0;
  #socket: WebSocket | null = null;
  #feed: MseFeed | null = null;
  #mime: string | null = null;
  #retry: ReturnType<typeof setTimeout> | null = null;
  #frameHandle = 0;
  #shownUs: number | null = null;
  #phaseKey = "";
  #serverPhase: string | null = null;
  readonly #edge = new LiveEdge();
  readonly #captures = new CaptureIndex();
  readonly #offset = new ClockOffset();
  readonly #clock = new WallClock();
  readonly #ticker: ReturnType<typeof setInterval>;

  constructor(
    readonly label: string,
    readonly video: HTMLVideoElement,
    readonly open: () => Promise<OpenAnswer>,
    readonly events: TileEvents,
  ) {
    video.muted = true;
    video.playsInline = true;
    video.autoplay = true;
    video.addEventListener("waiting", this.#onWaiting);
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    this.#watchFrames();
    void this.#connect();
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#ticker);
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.video.removeEventListener("waiting", this.#onWaiting);
    this.video.cancelVideoFrameCallback(this.#frameHandle);
    this.#drop();
  }

  readonly #onWaiting = (): void => {
    if (this.#shownUs !== null) this.#edge.stalled();
  };

  #phase(phase: TilePhase): void {
    const key = JSON.stringify(phase);
    if (this.#closed || key === this.#phaseKey) return;
    this.#phaseKey = key;
    this.events.onPhase(phase);
  }

  async #connect(): Promise<void> {
    if (this.#closed) return;
    if (this.#shownUs === null) this.#phase({ phase: "connecting" });
    const answer = await this.open();
    if (this.#closed) return;
    switch (answer.kind) {
      case "open":
        this.#listen(answer.url);
        return;
      case "later":
        this.#serverPhase = answer.code;
        this.#again();
        return;
      case "refused":
        this.#phase({ phase: "refused", code: answer.code });
        return;
      case "cancelled":
        this.#phase({ phase: "cancelled" });
    }
  }

  #listen(url: string): void {
    const socket = new WebSocket(url, "vms.fmp4.v1");
    socket.binaryType = "arraybuffer";
    this.#socket = socket;
    this.#mime = null;
    socket.onmessage = (event: MessageEvent<string | ArrayBuffer>) => {
      if (this.#closed || this.#socket !== socket) return;
      if (typeof event.data === "string") this.#onText(event.data);
      else this.#onBinary(event.data);
    };
    socket.onclose = () => {
      if (this.#closed || this.#socket !== socket) return;
      this.#serverPhase ??= "connection_lost";
      this.#again();
    };
  }

  #onText(text: string): void {
    const message = parseText(text);
    if (message !== null) this.#onMessage(message);
  }

  #onMessage(message: WireText): void {
    switch (message.t) {
      case "init":
        if (!MediaSource.isTypeSupported(message.mime)) {
          this.#stop({ phase: "codec", codec: /codecs="?([^"]+)"?/.exec(message.mime)?.[1] ?? message.mime });
          return;
        }
        this.#mime = message.mime;
        return;
      case "drop":
        this.dropped += message.frames;
        return;
      case "state":
        this.#serverPhase = message.cause ?? message.phase;
        if (this.#shownUs === null && message.phase !== "live") {
          this.#phase({ phase: "waiting", cause: this.#serverPhase });
        }
        return;
      case "end":
        if (RETRY_AFTER.includes(message.why)) {
          this.#serverPhase = message.why;
          this.#again();
        } else {
          this.#stop({ phase: "ended", why: message.why });
        }
    }
  }

  #onBinary(bytes: ArrayBuffer): void {
    if (this.#mime !== null) {
      // The one binary message after an init text is the init segment.
      this.#feed ??= new MseFeed(
        this.video,
        () => this.#again(),
        () => this.#follow(),
      );
      this.#feed.init(bytes, this.#mime);
      this.#mime = null;
      return;
    }
    const header = parseHeader(bytes);
    if ("error" in header || this.#feed === null) return;
    this.#offset.observe(this.#clock.nowUs(), header.sendUs);
    const fed = this.#feed.fragment(bytes, HEADER_BYTES, header.discontinuity);
    if (fed === null) {
      this.#again();
      return;
    }
    this.#attempt = 0;
    this.#serverPhase = null;
    this.fragments += 1;
    this.#captures.add(fed.mediaS, header.captureUs);
  }

  /** Keeps the play position near the newest frame. */
  #follow(): void {
    const ranges = this.video.buffered;
    if (this.#closed || ranges.length === 0) return;
    const last = ranges.length - 1;
    const order = this.#edge.step({
      position: this.video.currentTime,
      start: ranges.start(last),
      end: ranges.end(last),
    });
    if (order.seekTo !== null) this.video.currentTime = order.seekTo;
    if (this.video.playbackRate !== order.rate) this.video.playbackRate = order.rate;
    if (this.video.paused) this.video.play().catch(() => undefined);
  }

  #watchFrames(): void {
    this.#frameHandle = this.video.requestVideoFrameCallback((_now, meta) => {
      const captureUs = this.#captures.at(meta.mediaTime);
      if (captureUs !== null) {
        this.#shownUs = captureUs;
        const displayUs = this.#clock.fromPerformance(meta.expectedDisplayTime);
        this.latencySamples.push({ captureUs, displayUs, latencyUs: displayUs - captureUs });
        if (this.latencySamples.length > SAMPLE_BOUND) this.latencySamples.shift();
      }
      if (!this.#closed) this.#watchFrames();
    });
  }

  #tick(): void {
    if (this.#closed) return;
    if (!this.video.checkVisibility() || document.hidden) {
      // No frame call-backs while not painted: take the play position instead.
      this.#shownUs = this.#captures.at(this.video.currentTime, 0.1) ?? this.#shownUs;
    }
    if (this.#shownUs === null) {
      this.events.onAge(null);
      return;
    }
    const ageUs = this.#clock.nowUs() - this.#offset.us - this.#shownUs;
    this.events.onAge(ageUs);
    const final = /"(refused|ended|codec|cancelled)"/.test(this.#phaseKey);
    if (final) return;
    const fresh = freshness(ageUs);
    if (fresh !== "live" && this.#serverPhase !== null) {
      this.#phase({ phase: "waiting", cause: this.#serverPhase });
      return;
    }
    this.#phase({ phase: "playing", freshness: fresh, frozenSinceUs: fresh === "frozen" ? this.#shownUs : null });
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#feed?.close();
    this.#feed = null;
    this.#captures.clear();
  }

  #stop(phase: TilePhase): void {
    this.#drop();
    this.#shownUs = null;
    this.events.onAge(null);
    this.#phase(phase);
  }

  #again(): void {
    if (this.#closed || this.#retry !== null) return;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    if (this.#shownUs === null) this.#phase({ phase: "waiting", cause: this.#serverPhase ?? "connection_lost" });
    const wait = backoffMs(this.#attempt, Math.random());
    this.#attempt += 1;
    this.#retry = setTimeout(() => {
      this.#retry = null;
      // The last picture stays until the new connection brings one; only then is the old source given up.
      this.#feed?.close();
      this.#feed = null;
      this.#captures.clear();
      void this.#connect();
    }, wait);
  }
}
