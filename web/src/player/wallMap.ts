// The time line of a file and the wall clock: from each entry on they run together until the next (a hole, a corrected clock).

export interface ClockEntry {
  /** Seconds of the file's time line. */
  mediaS: number;
  /** Milliseconds since 1970. */
  wallMs: number;
}

export class WallMap {
  readonly #entries: readonly ClockEntry[];

  constructor(entries: readonly ClockEntry[]) {
    this.#entries = [...entries].sort((a, b) => a.mediaS - b.mediaS);
  }

  /** Wall time of a position. */
  wallOf(mediaS: number): number {
    const entry = this.#last((one) => one.mediaS <= mediaS);
    return entry === null ? mediaS * 1000 : entry.wallMs + (mediaS - entry.mediaS) * 1000;
  }

  /** Position that shows a wall time; never past the next entry, so that an instant of a hole shows what follows it. */
  mediaOf(wallMs: number): number {
    const entry = this.#last((one) => one.wallMs <= wallMs);
    if (entry === null) return 0;
    const next = this.#entries[this.#entries.indexOf(entry) + 1];
    const own = entry.mediaS + Math.max(0, wallMs - entry.wallMs) / 1000;
    return next === undefined ? own : Math.min(own, next.mediaS);
  }

  /** For measurements. */
  entries(): readonly ClockEntry[] {
    return this.#entries;
  }

  #last(holds: (entry: ClockEntry) => boolean): ClockEntry | null {
    let found = this.#entries[0] ?? null;
    for (const entry of this.#entries) if (holds(entry)) found = entry;
    return found;
  }
}
