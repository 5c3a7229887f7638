import { describe, expect, it } from "vitest";
import { byOwner, chooseStream, matches, nameOf, pickStream } from "./camera";
import { goodJustification, missing } from "./purpose";
import { percent, trust } from "./plate";

const owner = { id: "org_1", code: "5339", name_nl: "Politiezone Brussel", name_fr: "Zone de police de Bruxelles" };
const camera = { code: "BXL-014", call_up: 14, name_nl: "Grote Markt", name_fr: "Grand-Place Élysée", owner };

describe("camera", () => {
  it.each([
    ["grote", true],
    ["elysee", true],
    ["14", true],
    ["1", false],
    ["bxl-014", true],
    ["markt bruxelles", true],
    ["markt antwerpen", false],
    ["", true],
  ])("search %s: %s", (query, found) =>
    expect(matches({ ...camera, code: query === "1" ? "BXL" : camera.code }, query)).toBe(found),
  );

  it("names by language", () => {
    expect(nameOf(camera, "nl")).toBe("Grote Markt");
    expect(nameOf(camera, "en")).toBe("Grote Markt / Grand-Place Élysée");
  });

  it("puts the own organisation first", () => {
    const other = { ...camera, owner: { ...owner, id: "org_0", name_nl: "Aaa" } };
    expect(byOwner([other, camera], "org_1", "nl").map((group) => group.owner.id)).toEqual(["org_1", "org_0"]);
  });

  it("picks a stream", () => {
    const main = { id: "m", use: "main", codec: "h264" };
    const sub = { id: "s", use: "sub", codec: "h264" };
    expect(pickStream([main, sub], false)).toBe(sub);
    expect(pickStream([main, sub], true)).toBe(main);
    expect(pickStream([main], false)).toBe(main);
    expect(pickStream([], true)).toBeNull();
  });
});

describe("stream for a position", () => {
  const stream = (use: string, codec: string | null) => ({ id: use, use, codec });
  const plays = (one: { codec: string | null }) => one.codec !== "h265";
  it.each([
    ["small, both playable", [stream("main", "h264"), stream("sub", "h264")], false, "sub", null],
    ["large, both playable", [stream("main", "h264"), stream("sub", "h264")], true, "main", null],
    ["large, main in H.265: the sub-stream", [stream("main", "h265"), stream("sub", "h264")], true, "sub", "h265"],
    ["small, main in H.265: nothing is refused", [stream("main", "h265"), stream("sub", "h264")], false, "sub", null],
    ["small, sub in H.265: the main stream", [stream("main", "h264"), stream("sub", "h265")], false, "main", "h265"],
    ["both in H.265", [stream("main", "h265"), stream("sub", "h265")], true, null, "h265"],
    ["H.265 alone", [stream("main", "h265")], false, null, "h265"],
    ["codec not known yet", [stream("main", null), stream("sub", null)], true, "main", null],
    ["a stream for plate reading is no picture for people", [stream("anpr", "h264")], true, null, null],
    ["no stream", [], true, null, null],
  ])("%s", (_name, streams, large, use, refusedCodec) => {
    const choice = chooseStream(streams, large, plays);
    expect(choice.stream?.use ?? null).toBe(use);
    expect(choice.refusedCodec).toBe(refusedCodec);
  });
  it("takes what a stream turned out to be over what the list says", () => {
    const streams = [stream("main", "h264"), stream("sub", "h264")];
    expect(chooseStream(streams, true, (one) => one.id !== "main").stream?.id).toBe("sub");
    expect(chooseStream(streams, true, () => false)).toEqual({ stream: null, refusedCodec: "h264" });
  });
});

describe("purpose", () => {
  it.each([
    ["Ongeval op de kruising", true],
    ["kort", false],
    ["aaaaaaaaaaaaa", false],
    ["ababababababab", false],
  ])("%s", (text, good) => expect(goodJustification(text)).toBe(good));

  it("names what is missing", () => {
    expect(missing(null, ["justification"])).toEqual(["justification"]);
    expect(
      missing({ code: "INTERVENTIE", justification: "Ongeval Wetstraat", case_ref: null }, ["justification", "case"]),
    ).toEqual(["case"]);
    expect(missing(null, [])).toEqual([]);
  });
});

describe("confidence", () => {
  it.each([
    [0.9999, "99 %", "high"],
    [1, "100 %", "high"],
    [0.85, "85 %", "middle"],
    [0.2, "20 %", "low"],
  ] as const)("%d", (value, text, word) => {
    expect(percent(value)).toBe(text);
    expect(trust(value)).toBe(word);
  });
});
