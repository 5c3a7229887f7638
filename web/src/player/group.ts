// Several cameras under one playhead.

import { GroupClock } from "./groupClock";
import { SyncTile, type Source, type TileState } from "./syncTile";

const TICK_MS = 100;
/** After a jump the clock waits for pictures, but no longer, ms. */
const WAIT_MAX_MS = 3000;

export class Group {
  readonly clock: GroupClock;
  readonly #tiles = new Map<string, SyncTile>();
  #waitingSince: number | null = null;
  #timer: ReturnType<typeof setInterval>;

  constructor(
    wallMs: number,
    readonly now: () => number,
    readonly onChange: () => void,
  ) {
    this.clock = new GroupClock(wallMs, now);
    this.clock.play(true);
    this.#wait();
    this.#timer = setInterval(() => this.tick(), TICK_MS);
  }

  add(id: string, video: HTMLVideoElement, source: Source): () => void {
    const tile = new SyncTile(video, this.clock, source, this.onChange);
    this.#tiles.set(id, tile);
    this.#wait();
    return () => {
      tile.close();
      if (this.#tiles.get(id) === tile) this.#tiles.delete(id);
    };
  }

  close(): void {
    clearInterval(this.#timer);
    for (const tile of this.#tiles.values()) tile.close();
    this.#tiles.clear();
  }

  stateOf(id: string): TileState {
    return this.#tiles.get(id)?.state ?? { kind: "opening" };
  }

  go(wallMs: number): void {
    this.clock.go(wallMs);
    this.#wait();
    this.tick();
  }

  toggle(): void {
    this.clock.play(!this.clock.playing);
    this.tick();
    this.onChange();
  }

  setRate(rate: number): void {
    this.clock.setRate(rate);
    this.tick();
    this.onChange();
  }

  /** Stops, and moves every camera by the length of the shortest frame among them. */
  step(frames: number): void {
    this.clock.play(false);
    const lengths = [...this.#tiles.values()].map((tile) => tile.frameS);
    this.clock.go(this.clock.wall() + frames * Math.min(0.2, ...lengths) * 1000);
    this.tick();
    this.onChange();
  }

  tick(): void {
    for (const tile of this.#tiles.values()) tile.tick();
    this.#skip();
    if (this.#waitingSince === null) return;
    const ready = [...this.#tiles.values()].every((tile) => tile.ready);
    if (ready || this.now() - this.#waitingSince > WAIT_MAX_MS) {
      this.#waitingSince = null;
      this.clock.hold(false);
      this.onChange();
    }
  }

  /** Where no camera has anything, the playhead goes to what comes next, or stops when nothing does. */
  #skip(): void {
    const states = [...this.#tiles.values()].map((tile) => tile.state);
    if (!this.clock.playing || states.length === 0 || states.some((one) => one.kind !== "gap")) return;
    const ahead = states.flatMap((one) => (one.kind === "gap" && one.until !== null ? [one.until] : []));
    if (ahead.length > 0) {
      this.clock.go(Math.min(...ahead));
      this.#wait();
      for (const tile of this.#tiles.values()) tile.tick();
    } else {
      this.clock.play(false);
      this.onChange();
    }
  }

  #wait(): void {
    this.#waitingSince = this.now();
    this.clock.hold(true);
  }
}
