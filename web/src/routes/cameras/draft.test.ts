import { describe, expect, it } from "vitest";
import { draftBody, draftProblems, emptyDraft, fieldOf } from "./draft";

const filled = {
  ...emptyDraft("org_1"),
  code: " BXL-001 ",
  call_up: "101",
  name_nl: "Beurs",
  name_fr: "Bourse",
  lat: "50,8467",
  lon: "4.3525",
  main_url: "rtsp://camera/main",
};

describe("body of a new camera", () => {
  it("takes a comma for a point and leaves out what is empty", () => {
    expect(draftBody(filled)).toEqual({
      code: "BXL-001",
      call_up: 101,
      name_nl: "Beurs",
      name_fr: "Bourse",
      owner_id: "org_1",
      kind: "overview",
      lat: 50.8467,
      lon: 4.3525,
      retention_class: "RC-VID-OPEN",
      pictogram_on: null,
      legal_basis: null,
      streams: [{ use: "main", url: "rtsp://camera/main", transport: "retina" }],
    });
  });

  it("gives both streams the log-in and the legal basis its date", () => {
    const body = draftBody({
      ...filled,
      sub_url: "rtsp://camera/sub",
      user: "belfry",
      password: "p",
      document: "Raad 2024/1",
      dated: "2024-06-24",
    });
    expect(body.streams).toEqual([
      { use: "main", url: "rtsp://camera/main", transport: "retina", user: "belfry", password: "p" },
      { use: "sub", url: "rtsp://camera/sub", transport: "retina", user: "belfry", password: "p" },
    ]);
    expect(body.legal_basis).toEqual({ document: "Raad 2024/1", date: "2024-06-24", advice: "" });
  });

  it.each([
    ["50,8467", "4.35", []],
    ["north", "4.35", ["lat"]],
    ["", " ", ["lat", "lon"]],
  ])("place %s %s", (lat, lon, want) => expect(draftProblems({ ...filled, lat, lon })).toEqual(want));

  it.each([
    ["legal_basis.dated", "dated"],
    ["owner_id", "owner"],
    ["code", "code"],
    ["streams", "main_url"],
    ["something new", null],
  ])("puts a complaint about %s at %s", (server, field) => expect(fieldOf(server)).toBe(field));
});
