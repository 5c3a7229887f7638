// One live tile: ticket → WebSocket → MSE → <video>. No framework; the wrapper gets states and ages by callback.

import { backoffMs } from "./backoff";
import { ClockOffset, freshness, type Freshness } from "./freshness";
import { MseFeed } from "./mseFeed";
import { Playhead, type LatencySample, type PlayheadCounts } from "./playhead";
import { WallClock } from "./wallClock";
import { HEADER_BYTES, liveProtocols, parseHeader, parseText, type EndReason, type WireText } from "./wire";

/** Answer of the ticket desk. `refused` is final until the operator tries again; `later` is tried again. */
export type OpenAnswer =
  | { kind: "open"; url: string; ticket: string }
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

export interface TileEvents {
  onPhase(phase: TilePhase): void;
  /** Four times a second; null when no frame has been shown yet. */
  onAge(ageUs: number | null): void;
}

/** Reasons after which a new ticket is asked for without the operator. */
const RETRY_AFTER: readonly EndReason[] = ["expired", "stopped"];
const TICK_MS = 250;
const ON_THE_WAY = ["idle", "connecting", "no_key_frame"];

export interface TileCounts extends PlayheadCounts {
  /** Frames that arrived. */
  fragments: number;
  /** Frames that the server left out. */
  dropped: number;
  /** Appends to the buffer: fewer than frames where several went together. */
  appends: number;
}

export class LiveTile {
  dropped = 0;
  fragments = 0;
  #closed = false;
  #attempt = 0;
  #socket: WebSocket | null = null;
  #feed: MseFeed | null = null;
  #mime: string | null = null;
  #retry: ReturnType<typeof setTimeout> | null = null;
  #phaseKey = "";
  #serverPhase: string | null = null;
  readonly #offset = new ClockOffset();
  readonly #clock = new WallClock();
  readonly #playhead: Playhead;
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
    this.#playhead = new Playhead(video, this.#clock);
    this.#ticker = setInterval(() => this.#tick(), TICK_MS);
    void this.#connect();
  }

  /** Latest samples, oldest first. */
  get latencySamples(): LatencySample[] {
    return this.#playhead.samples;
  }

  /** Looks at each frame instead of one a tick. */
  measure(everyFrame: boolean): void {
    this.#playhead.everyFrame = everyFrame;
  }

  counts(): TileCounts {
    const { fragments, dropped } = this;
    return { fragments, dropped, appends: this.#feed?.appends ?? 0, ...this.#playhead.counts() };
  }

  close(): void {
    this.#closed = true;
    clearInterval(this.#ticker);
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#playhead.close();
    this.#drop();
  }

  #phase(phase: TilePhase): void {
    const key = JSON.stringify(phase);
    if (this.#closed || key === this.#phaseKey) return;
    this.#phaseKey = key;
    this.events.onPhase(phase);
  }

  async #connect(): Promise<void> {
    if (this.#closed) return;
    if (this.#playhead.shownUs === null) this.#phase({ phase: "connecting" });
    const answer = await this.open();
    if (this.#closed) return;
    switch (answer.kind) {
      case "open":
        this.#listen(answer.url, answer.ticket);
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

  #listen(url: string, ticket: string): void {
    const socket = new WebSocket(url, liveProtocols(ticket));
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
        this.#serverPhase = message.cause ?? (message.phase === "live" ? null : message.phase);
        if (this.#playhead.shownUs !== null || message.phase === "live") return;
        // On the way to the first picture, and not yet anybody's fault.
        if (message.cause === null && ON_THE_WAY.includes(message.phase)) this.#phase({ phase: "connecting" });
        else this.#phase({ phase: "waiting", cause: this.#serverPhase ?? message.phase });
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
        () => this.#playhead.appended(),
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
    this.#playhead.captures.add(fed.mediaS, header.captureUs);
  }

  #tick(): void {
    if (this.#closed) return;
    const ageUs = this.#playhead.tick(this.#offset.us);
    const { shownUs } = this.#playhead;
    if (ageUs === null) {
      this.events.onAge(null);
      return;
    }
    this.events.onAge(ageUs);
    const final = /"(refused|ended|codec|cancelled)"/.test(this.#phaseKey);
    if (final) return;
    const fresh = freshness(ageUs);
    if (fresh !== "live" && this.#serverPhase !== null) {
      this.#phase({ phase: "waiting", cause: this.#serverPhase });
      return;
    }
    this.#phase({ phase: "playing", freshness: fresh, frozenSinceUs: fresh === "frozen" ? shownUs : null });
  }

  #drop(): void {
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    this.#giveUpFeed();
  }

  #giveUpFeed(): void {
    this.#feed?.close();
    this.#feed = null;
    this.#playhead.sourceGone();
  }

  #stop(phase: TilePhase): void {
    this.#drop();
    this.#playhead.cleared();
    this.events.onAge(null);
    this.#phase(phase);
  }

  #again(): void {
    if (this.#closed || this.#retry !== null) return;
    const socket = this.#socket;
    this.#socket = null;
    socket?.close();
    if (this.#playhead.shownUs === null)
      this.#phase({ phase: "waiting", cause: this.#serverPhase ?? "connection_lost" });
    const wait = backoffMs(this.#attempt, Math.random());
    this.#attempt += 1;
    this.#retry = setTimeout(() => {
      this.#retry = null;
      // The last picture stays until the new connection brings one; only then is the old source given up.
      this.#giveUpFeed();
      void this.#connect();
    }, wait);
  }
}
