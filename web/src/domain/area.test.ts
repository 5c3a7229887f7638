import { expect, it } from "vitest";
import { areaBetween, areaText, parseArea, percentOf } from "./area";

it.each([
  [{ x: 0.1, y: 0.2 }, { x: 0.3, y: 0.4 }, [100, 200, 300, 400]],
  [{ x: 0.3, y: 0.4 }, { x: 0.1, y: 0.2 }, [100, 200, 300, 400]],
  [{ x: -1, y: 0.5 }, { x: 2, y: 0.75 }, [0, 500, 1_000, 750]],
  [{ x: 0.5, y: 0.5 }, { x: 0.5, y: 0.9 }, null],
  [{ x: 0.5, y: 0.5 }, { x: 0.5001, y: 0.9 }, null],
])("an area lies between two corners, whichever comes first: %j %j", (a, b, wanted) => {
  expect(areaBetween(a, b)).toEqual(wanted);
});

it.each([
  ["10 20 60 70", [100, 200, 600, 700]],
  [" 0,0 , 100;100 ", [0, 0, 1_000, 1_000]],
  ["10 20 10 70", null],
  ["60 20 10 70", null],
  ["10 20 101 70", null],
  ["10 20 60", null],
  ["10 20 60 7.5", null],
  ["", null],
])("an area is typed as four whole per cents: %j", (text, wanted) => {
  const area = parseArea(text);
  expect(area).toEqual(wanted);
  if (area !== null) expect(parseArea(areaText(area))).toEqual(area);
});

it.each([
  [[100, 100, 600, 600], 25],
  [[0, 0, 1_000, 1_000], 100],
  [[0, 0, 1, 1], 1],
] as const)("%j covers %i %%", (area, percent) => {
  expect(percentOf([...area])).toBe(percent);
});
