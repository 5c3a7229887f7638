import { expect, test } from "vitest";
import { toBytes, toText } from "./webauthn";

test("bytes and base64url go both ways", () => {
  for (const [bytes, text] of [
    [[], ""],
    [[255], "_w"],
    [[251, 239, 190], "----"],
    [[99, 114, 101, 100], "Y3JlZA"],
  ] as const) {
    expect(toText(Uint8Array.from(bytes).buffer)).toBe(text);
    expect([...toBytes(text)]).toEqual([...bytes]);
  }
});
