// The wall as a value: layout, which camera stands where, which position is selected, which one is maximised.

export const LAYOUTS = [1, 4, 9, 16] as const;
export type Layout = (typeof LAYOUTS)[number];
export const POSITIONS = 16;

export interface Wall {
  layout: Layout;
  /** Camera ids; null is an empty position. Always sixteen long, so that a smaller layout forgets nothing. */
  tiles: (string | null)[];
  selected: number;
  maximised: boolean;
}

export function emptyWall(): Wall {
  return { layout: 4, tiles: Array.from({ length: POSITIONS }, () => null), selected: 0, maximised: false };
}

export function setLayout(wall: Wall, layout: Layout): Wall {
  return { ...wall, layout, selected: Math.min(wall.selected, layout - 1), maximised: false };
}

export function select(wall: Wall, position: number): Wall {
  return position >= 0 && position < wall.layout ? { ...wall, selected: position } : wall;
}

/** Puts a camera at the selected position, or selects it where it already stands; then moves on to an empty position. */
export function place(wall: Wall, camera: string, moveOn: boolean): Wall {
  const at = wall.tiles.slice(0, wall.layout).indexOf(camera);
  if (at >= 0) return { ...wall, selected: at };
  const tiles = wall.tiles.with(wall.selected, camera);
  const next = moveOn && !wall.maximised ? tiles.slice(0, wall.layout).indexOf(null) : -1;
  return { ...wall, tiles, selected: next >= 0 ? next : wall.selected };
}

export function clear(wall: Wall, position: number): Wall {
  return { ...wall, tiles: wall.tiles.with(position, null), maximised: false };
}

export type Arrow = "left" | "right" | "up" | "down";

export function move(wall: Wall, arrow: Arrow): Wall {
  const side = Math.sqrt(wall.layout);
  const column = wall.selected % side;
  const row = Math.floor(wall.selected / side);
  const to = {
    left: column > 0 ? wall.selected - 1 : null,
    right: column < side - 1 ? wall.selected + 1 : null,
    up: row > 0 ? wall.selected - side : null,
    down: row < side - 1 ? wall.selected + side : null,
  }[arrow];
  return to === null ? wall : { ...wall, selected: to };
}

/** Reads a stored wall; null when it isn't one. */
export function parseWall(text: string | null): Wall | null {
  if (text === null) return null;
  try {
    const raw = JSON.parse(text) as Partial<Wall>;
    const layout = LAYOUTS.find((one) => one === raw.layout);
    if (layout === undefined || !Array.isArray(raw.tiles)) return null;
    const tiles = Array.from({ length: POSITIONS }, (_, i) => {
      const id: unknown = raw.tiles?.[i];
      return typeof id === "string" ? id : null;
    });
    return { layout, tiles, selected: Math.min(Number(raw.selected) || 0, layout - 1), maximised: false };
  } catch {
    return null;
  }
}
