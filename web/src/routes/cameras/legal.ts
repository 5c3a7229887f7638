// The form of the legal fields: a draft is changed at once; past it a proposal is made that somebody else approves.

import type { Camera, CameraPatch, LegalChangeBody } from "../../api/types";
import { RETENTION } from "./draft";

export interface LawForm {
  kind: string;
  retention_class: string;
  pictogram_on: string;
  document: string;
  date: string;
  advice: string;
  reason: string;
}

export function lawForm(camera: Camera): LawForm {
  return {
    kind: camera.kind,
    retention_class: camera.retention_class ?? RETENTION[0],
    pictogram_on: camera.pictogram_on ?? "",
    document: camera.legal_basis?.document ?? "",
    date: camera.legal_basis?.date ?? "",
    advice: camera.legal_basis?.advice ?? "",
    reason: "",
  };
}

/** The fields of a draft, all but its kind, which stands in the other form. */
export function draftBody(form: LawForm): CameraPatch {
  const { retention_class, pictogram_on, document, date, advice } = form;
  return {
    retention_class,
    legal_basis: { document: document.trim(), date, advice: advice.trim() },
    ...(pictogram_on === "" ? {} : { pictogram_on }),
  };
}

/** Only what differs, with the reason; null when nothing does. */
export function proposalBody(camera: Camera, form: LawForm): LegalChangeBody | null {
  const was = lawForm(camera);
  const body: LegalChangeBody = { reason: form.reason.trim() };
  if (form.kind !== was.kind) body.kind = form.kind;
  if (form.retention_class !== was.retention_class) body.retention_class = form.retention_class;
  if (form.pictogram_on !== was.pictogram_on) body.pictogram_on = form.pictogram_on;
  const basis = { document: form.document.trim(), date: form.date, advice: form.advice.trim() };
  if (basis.document !== was.document || basis.date !== was.date || basis.advice !== was.advice) {
    body.legal_basis = basis;
  }
  return Object.keys(body).length === 1 ? null : body;
}
