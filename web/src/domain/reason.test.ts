import { describe, expect, it } from "vitest";
import { reasonValues } from "./reason";

describe("values of a reason", () => {
  it.each([
    [
      "beside the code",
      { code: "norm_below_minimum", norm: "Euro 4", minimum: "Euro 6" },
      { norm: "Euro 4", minimum: "Euro 6" },
    ],
    [
      "nested",
      { code: "fine_window", params: { months: 12, counted_from: "2026-04-15" } },
      { months: 12, counted_from: "2026-04-15" },
    ],
    ["none", { code: "banned" }, {}],
    ["without empty ones", { code: "norm_of_other_series", norm: "IV", equivalent: null }, { norm: "IV" }],
  ])("%s", (_name, reason, want) => expect(reasonValues(reason)).toEqual(want));
});
