import { describe, expect, it } from "vitest";
import { leafFacts } from "./leaf";

describe("facts of a leaf", () => {
  it.each<[string, unknown, object]>([
    [
      "a use",
      {
        actor: { name: "operator", org: "5340" },
        camera: "cam_1",
        outcome: "allow",
        purpose: "INTERVENTIE",
        justification: "Ongeval",
        case_ref: null,
        right: "playback",
        range_us: [1_000_000, 3_500_000],
      },
      {
        actor: "operator",
        actorOrg: "5340",
        camera: "cam_1",
        right: "playback",
        purpose: "INTERVENTIE",
        justification: "Ongeval",
        caseRef: "",
        range: { from: 1000, to: 3500 },
        units: null,
      },
    ],
    ["its end", { camera: "cam_1", ended: "stopped", right: "live", units: 631 }, { outcome: "stopped", units: 631 }],
    [
      "the system",
      { actor: null, details: { route: "GET /api/v1/session", why: "no_session" }, operation: "refused" },
      { actor: "", object: "GET /api/v1/session", outcome: "no_session", range: null },
    ],
    ["details as text", '{"right":"live"}', { right: "live" }],
    ["garbage", "{", { right: "", object: "{" }],
    ["nothing", null, { right: "", object: "" }],
  ])("%s", (_name, details, want) => expect(leafFacts(details)).toMatchObject(want));
});
