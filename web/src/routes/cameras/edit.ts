// The form of a change to a camera, and the body of `PATCH /cameras/{id}` that holds only what differs. The legal fields have
// a form of their own (LegalForm), because after the draft they change by a proposal that somebody else approves; what a camera is
// for is one of them.

import type { Camera, CameraPatch, Stream, StreamBody } from "../../api/types";
import { degrees } from "./draft";

export interface StreamForm {
  use: string;
  url: string;
  transport: string;
  /** Empty: what is stored stays, as long as the address keeps its host. */
  user: string;
  password: string;
}

export interface EditForm {
  call_up: string;
  name_nl: string;
  name_fr: string;
  kind: string;
  lat: string;
  lon: string;
  streams: StreamForm[];
}

const USES = ["main", "sub"] as const;

/** The main and the sub-stream always stand in the form; others only where the camera has them. */
export function editForm(camera: Camera): EditForm {
  const blank = (use: string): StreamForm => ({ use, url: "", transport: "retina", user: "", password: "" });
  const filled = (stream: Stream): StreamForm => ({
    ...blank(stream.use),
    url: stream.url ?? "",
    transport: stream.transport ?? "retina",
  });
  const known = USES.map((use) => {
    const stream = camera.streams.find((one) => one.use === use);
    return stream === undefined ? blank(use) : filled(stream);
  });
  const others = camera.streams.filter((one) => !(USES as readonly string[]).includes(one.use)).map(filled);
  return {
    call_up: camera.call_up === null ? "" : String(camera.call_up),
    name_nl: camera.name_nl,
    name_fr: camera.name_fr,
    kind: camera.kind,
    lat: String(camera.lat),
    lon: String(camera.lon),
    streams: [...known, ...others],
  };
}

function hostOf(url: string): string | null {
  // `URL` takes no port out of rtsp addresses: host and port together say where the credentials go.
  return /^rtsps?:\/\/([^/?#]+)/i.exec(url.trim())?.[1]?.toLowerCase() ?? null;
}

/** The address goes to another host than the one for which credentials are stored: they must be given again. */
export function needsCredentials(camera: Camera, form: StreamForm): boolean {
  const stored = camera.streams.find((one) => one.use === form.use);
  if (stored?.has_credentials !== true || form.url.trim() === "" || form.user !== "") return false;
  return hostOf(stored.url ?? "") !== hostOf(form.url);
}

function changedStreams(camera: Camera, form: EditForm): StreamBody[] | null {
  const before = editForm(camera);
  if (JSON.stringify(before.streams) === JSON.stringify(form.streams)) return null;
  return form.streams
    .filter((stream) => stream.url.trim() !== "")
    .map(({ use, url, transport, user, password }) => ({
      use,
      url: url.trim(),
      transport,
      ...(user === "" ? {} : { user, password }),
    }));
}

/** What differs; an empty object when nothing does. */
export function patchBody(camera: Camera, form: EditForm): CameraPatch {
  const out: CameraPatch = {};
  const number = form.call_up.trim() === "" ? 0 : Number(form.call_up);
  if (number !== (camera.call_up ?? 0)) out.call_up = number;
  if (form.name_nl.trim() !== camera.name_nl) out.name_nl = form.name_nl.trim();
  if (form.name_fr.trim() !== camera.name_fr) out.name_fr = form.name_fr.trim();
  if (camera.state === "draft" && form.kind !== camera.kind) out.kind = form.kind;
  const lat = degrees(form.lat);
  const lon = degrees(form.lon);
  if (lat !== null && lat !== camera.lat) out.lat = lat;
  if (lon !== null && lon !== camera.lon) out.lon = lon;
  const streams = changedStreams(camera, form);
  if (streams !== null) out.streams = streams;
  return out;
}

/** Which field a complaint of the server belongs to: `lat`, `streams.0.url`, … ; null for the form as a whole. */
export function editField(serverField: string): string | null {
  const stream = /^streams(?:\[(\d+)\]|\.(main|sub))\.(url|user|password|transport)$/.exec(serverField);
  if (stream !== null) {
    const index = stream[1] ?? String(USES.findIndex((use) => use === stream[2]));
    return `streams.${index}.${stream[3] ?? "url"}`;
  }
  if (serverField === "streams" || serverField === "url") return "streams.0.url";
  return ["call_up", "name_nl", "name_fr", "kind", "lat", "lon"].includes(serverField) ? serverField : null;
}
