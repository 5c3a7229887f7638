import { describe, expect, it } from "vitest";
import type { Camera } from "../../api/types";
import { draftBody, lawForm, proposalBody, type LawForm } from "./legal";

const camera = {
  id: "cam_1",
  kind: "overview",
  state: "live",
  retention_class: "RC-VID-OPEN",
  pictogram_on: "2026-02-01",
  legal_basis: { document: "Besluit 7", date: "2026-01-01", advice: "" },
} as unknown as Camera;

const proposed = (change: (form: LawForm) => void) => {
  const form = { ...lawForm(camera), reason: " een nieuw besluit " };
  change(form);
  return proposalBody(camera, form);
};
const reason = "een nieuw besluit";

describe("a proposal", () => {
  it.each<[string, (form: LawForm) => void, object | null]>([
    ["nothing changed", () => undefined, null],
    ["a space is no change", (form) => (form.document = " Besluit 7 "), null],
    ["what it is for", (form) => (form.kind = "lez"), { reason, kind: "lez" }],
    ["the class", (form) => (form.retention_class = "RC-VID-POL"), { reason, retention_class: "RC-VID-POL" }],
    ["the pictogram", (form) => (form.pictogram_on = "2026-03-01"), { reason, pictogram_on: "2026-03-01" }],
    [
      "one field of the basis takes the others along",
      (form) => (form.advice = "gunstig"),
      { reason, legal_basis: { document: "Besluit 7", date: "2026-01-01", advice: "gunstig" } },
    ],
  ])("%s", (_, change, want) => expect(proposed(change)).toEqual(want));
});

describe("a draft", () => {
  it("is sent whole, without an empty pictogram", () => {
    const bare = { ...camera, pictogram_on: null, legal_basis: null } as unknown as Camera;
    expect(draftBody({ ...lawForm(bare), document: " B ", date: "2026-01-01" })).toEqual({
      retention_class: "RC-VID-OPEN",
      legal_basis: { document: "B", date: "2026-01-01", advice: "" },
    });
  });
});
