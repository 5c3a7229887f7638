import { describe, expect, it } from "vitest";
import { size, spoken } from "./size";

describe("sizes", () => {
  it.each([
    [0, "0 B"],
    [999, "999 B"],
    [1_234, "1.23 kB"],
    [45_678_901, "45.7 MB"],
    [3_999_999_999, "4 GB"],
  ])("%i bytes are %s", (bytes, text) => {
    expect(size(bytes, "en")).toBe(text);
  });

  it("a fingerprint is read aloud in fours", () => {
    expect(spoken("0123456789ab")).toBe("0123 4567 89ab");
  });
});
