import { expect, it } from "vitest";
import { onlyEmpty } from "./trusted";

it("lets nothing but the empty text become elements", () => {
  expect(onlyEmpty("")).toBe("");
  expect(onlyEmpty(" ")).toBeNull();
  expect(onlyEmpty("<b>x</b>")).toBeNull();
});
