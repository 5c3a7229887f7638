import { describe, expect, it } from "vitest";
import type { Camera, Stream } from "../../api/types";
import { editField, editForm, needsCredentials, patchBody, type EditForm } from "./edit";

const stream = (use: string, url: string): Stream => ({
  id: `str_${use}`,
  use,
  codec: "h264",
  width: 640,
  height: 360,
  url,
  transport: "retina",
  has_credentials: true,
});
const camera = {
  id: "cam_1",
  code: "BXL-001",
  call_up: 101,
  name_nl: "Beurs",
  name_fr: "Bourse",
  kind: "overview",
  lat: 50.8467,
  lon: 4.3525,
  state: "live",
  streams: [stream("main", "rtsp://10.0.0.5:554/main"), stream("anpr", "rtsp://10.0.0.5:554/anpr")],
} as unknown as Camera;

const changed = (change: (form: EditForm) => void) => {
  const form = editForm(camera);
  change(form);
  return patchBody(camera, form);
};
const main = (form: EditForm) => form.streams[0] ?? { url: "", user: "", password: "", transport: "", use: "" };

describe("body of a change", () => {
  it("says what a camera is for in its draft only: later that is a legal field", () => {
    const draft = { ...camera, state: "draft" } as Camera;
    expect(patchBody(draft, { ...editForm(draft), kind: "lez" })).toEqual({ kind: "lez" });
    expect(patchBody(camera, { ...editForm(camera), kind: "lez" })).toEqual({});
  });

  it.each<[string, (form: EditForm) => void, object]>([
    ["nothing changed", () => undefined, {}],
    ["a space is no change", (form) => (form.name_nl = " Beurs "), {}],
    ["a name", (form) => (form.name_fr = "La Bourse"), { name_fr: "La Bourse" }],
    ["a place with a comma", (form) => (form.lat = "50,9"), { lat: 50.9 }],
    ["no number any more", (form) => (form.call_up = ""), { call_up: 0 }],
    [
      "an address: every stream is sent, the others as they were",
      (form) => (main(form).url = "rtsp://10.0.0.5:554/other"),
      {
        streams: [
          { use: "main", url: "rtsp://10.0.0.5:554/other", transport: "retina" },
          { use: "anpr", url: "rtsp://10.0.0.5:554/anpr", transport: "retina" },
        ],
      },
    ],
    [
      "only the password",
      (form) => Object.assign(main(form), { user: "viewer", password: "p" }),
      {
        streams: [
          { use: "main", url: "rtsp://10.0.0.5:554/main", transport: "retina", user: "viewer", password: "p" },
          { use: "anpr", url: "rtsp://10.0.0.5:554/anpr", transport: "retina" },
        ],
      },
    ],
  ])("%s", (_name, change, want) => expect(changed(change)).toEqual(want));

  it.each([
    ["the same host", "rtsp://10.0.0.5:554/x", "", false],
    ["another host", "rtsp://10.0.0.6:554/x", "", true],
    ["another port", "rtsp://10.0.0.5:8554/x", "", true],
    ["another host with a log-in", "rtsp://10.0.0.6:554/x", "viewer", false],
    ["the stream goes", "", "", false],
  ])("credentials again: %s", (_name, url, user, want) =>
    expect(needsCredentials(camera, { use: "main", url, user, password: "", transport: "retina" })).toBe(want),
  );

  it.each([
    ["lat", "lat"],
    ["streams[1].url", "streams.1.url"],
    ["streams.sub.url", "streams.1.url"],
    ["streams", "streams.0.url"],
    ["retention_class", null],
  ])("puts a complaint about %s at %s", (server, field) => expect(editField(server)).toBe(field));
});
