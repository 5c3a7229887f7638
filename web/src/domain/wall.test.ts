import { describe, expect, it } from "vitest";
import { clear, emptyWall, move, parseWall, place, select, setLayout } from "./wall";

describe("wall", () => {
  it("fills empty positions one after the other", () => {
    let wall = setLayout(emptyWall(), 4);
    for (const camera of ["a", "b", "c"]) wall = place(wall, camera, true);
    expect(wall.tiles.slice(0, 4)).toEqual(["a", "b", "c", null]);
    expect(wall.selected).toBe(3);
  });

  it("selects a camera that already stands there instead of opening it twice", () => {
    let wall = place(place(setLayout(emptyWall(), 4), "a", true), "b", true);
    wall = place(wall, "a", true);
    expect(wall.selected).toBe(0);
    expect(wall.tiles.filter((id) => id === "a")).toHaveLength(1);
  });

  it("forgets nothing in a smaller layout", () => {
    let wall = setLayout(emptyWall(), 9);
    for (const camera of ["a", "b", "c", "d", "e"]) wall = place(wall, camera, true);
    wall = setLayout(setLayout(wall, 1), 9);
    expect(wall.tiles[4]).toBe("e");
    expect(setLayout(wall, 1).selected).toBe(0);
  });

  it("moves within the grid only", () => {
    const wall = setLayout(emptyWall(), 9);
    expect(move(wall, "left").selected).toBe(0);
    expect(move(wall, "right").selected).toBe(1);
    expect(move(wall, "down").selected).toBe(3);
    expect(move(select(wall, 8), "down").selected).toBe(8);
  });

  it("clears", () => expect(clear(place(emptyWall(), "a", true), 0).tiles[0]).toBeNull());

  it.each([null, "", "7", "{}", '{"layout":5,"tiles":[]}', '{"layout":4}'])("refuses %s", (text) =>
    expect(parseWall(text)).toBeNull(),
  );

  it("reads what it wrote", () => {
    const wall = place(setLayout(emptyWall(), 9), "a", true);
    expect(parseWall(JSON.stringify(wall))).toEqual(wall);
  });
});
