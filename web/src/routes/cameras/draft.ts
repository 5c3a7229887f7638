// The form of a new camera and the body that the server takes (docs/API-DESIGN.md, POST /cameras).

import type { CameraBody } from "../../api/types";

export interface DraftForm {
  code: string;
  call_up: string;
  name_nl: string;
  name_fr: string;
  owner: string;
  kind: string;
  lat: string;
  lon: string;
  main_url: string;
  sub_url: string;
  user: string;
  password: string;
  transport: string;
  retention_class: string;
  document: string;
  dated: string;
  advice: string;
  pictogram_on: string;
}

export const KINDS = ["overview", "lez", "zbt", "trajectory"] as const;
export const TRANSPORTS = ["retina", "gst_tcp", "gst_udp"] as const;
export const RETENTION = ["RC-VID-OPEN", "RC-VID-CLOSED", "RC-VID-RISK", "RC-VID-POL"] as const;

export function emptyDraft(owner: string): DraftForm {
  return {
    code: "",
    call_up: "",
    name_nl: "",
    name_fr: "",
    owner,
    kind: "overview",
    lat: "",
    lon: "",
    main_url: "",
    sub_url: "",
    user: "",
    password: "",
    transport: "retina",
    retention_class: "RC-VID-OPEN",
    document: "",
    dated: "",
    advice: "",
    pictogram_on: "",
  };
}

/** "50,8467" and "50.8467" are the same place; null for what is no number. */
export function degrees(text: string): number | null {
  const value = Number(text.trim().replace(",", "."));
  return text.trim() === "" || Number.isNaN(value) ? null : value;
}

/** Fields that the form itself finds wrong, before the server is asked. */
export function draftProblems(form: DraftForm): FieldName[] {
  return (["lat", "lon"] as const).filter((field) => degrees(form[field]) === null);
}

export function draftBody(form: DraftForm): CameraBody {
  const credentials = form.user === "" ? {} : { user: form.user, password: form.password };
  const stream = (use: string, url: string) => ({ use, url: url.trim(), transport: form.transport, ...credentials });
  const streams = [stream("main", form.main_url)];
  if (form.sub_url.trim() !== "") streams.push(stream("sub", form.sub_url));
  return {
    code: form.code.trim(),
    call_up: form.call_up.trim() === "" ? null : Number(form.call_up),
    name_nl: form.name_nl.trim(),
    name_fr: form.name_fr.trim(),
    owner_id: form.owner === "" ? null : form.owner,
    kind: form.kind,
    lat: degrees(form.lat) ?? Number.NaN,
    lon: degrees(form.lon) ?? Number.NaN,
    retention_class: form.retention_class,
    pictogram_on: form.pictogram_on === "" ? null : form.pictogram_on,
    legal_basis:
      form.document.trim() === ""
        ? null
        : { document: form.document.trim(), date: form.dated, advice: form.advice.trim() },
    streams,
  };
}

export type FieldName = keyof DraftForm;

/** Which field of the form a complaint of the server belongs to; null for the form as a whole. */
export function fieldOf(serverField: string): FieldName | null {
  const plain: Partial<Record<string, FieldName>> = {
    "legal_basis.document": "document",
    owner_id: "owner",
    "legal_basis.dated": "dated",
    "legal_basis.date": "dated",
    "legal_basis.advice": "advice",
    "streams[0].url": "main_url",
    "streams.main.url": "main_url",
    streams: "main_url",
    "streams[1].url": "sub_url",
    "streams.sub.url": "sub_url",
    url: "main_url",
  };
  const known = plain[serverField];
  if (known !== undefined) return known;
  return serverField in emptyDraft("") ? (serverField as FieldName) : null;
}
