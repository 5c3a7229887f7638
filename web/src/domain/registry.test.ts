import { describe, expect, it } from "vitest";
import { registryRows } from "./registry";

describe("rows of the registry's answer", () => {
  it("flattens what is nested and leaves out what is empty", () => {
    expect(
      registryRows({
        state: "found",
        vehicle: {
          vehicle_key: "token",
          category: "M1",
          fuels: ["diesel"],
          euro_norm: { text: "Euro 4", source: "stated" },
          ref_mass_kg: 1305,
          class: null,
        },
      }),
    ).toEqual([
      { field: "state", text: "found" },
      { field: "category", text: "M1" },
      { field: "fuels", text: "diesel" },
      { field: "euro_norm", text: "Euro 4" },
      { field: "ref_mass_kg", text: "1305" },
    ]);
  });

  it.each([
    [null, []],
    ["not_found", [{ field: "answer", text: "not_found" }]],
    [{ fuels: [] }, []],
  ])("%j", (answer, want) => expect(registryRows(answer)).toEqual(want));
});
