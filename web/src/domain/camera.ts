// Pure helpers over cameras: names by language, search, call-up, grouping by owner, choice of stream.

import type { Language } from "./time";

export interface Named {
  name_nl: string;
  name_fr: string;
}

/** Both official names stand side by side for readers of neither language. */
export function nameOf(thing: Named, language: Language): string {
  if (language === "nl") return thing.name_nl;
  if (language === "fr") return thing.name_fr;
  return thing.name_nl === thing.name_fr ? thing.name_nl : `${thing.name_nl} / ${thing.name_fr}`;
}

/** Lower case without accents, so that "elysee" finds "Élysée". */
export function fold(text: string): string {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

export interface Searchable extends Named {
  code: string;
  call_up: number | null;
  owner: Named & { code: string };
}

/** Every word must occur in a name, the code, the owner or be the call-up number. */
export function matches(camera: Searchable, query: string): boolean {
  const words = fold(query).split(/\s+/).filter(Boolean);
  const hay = fold([camera.name_nl, camera.name_fr, camera.code, camera.owner.name_nl, camera.owner.name_fr].join(" "));
  return words.every((word) => hay.includes(word) || String(camera.call_up ?? "") === word);
}

/** Retention class of police reads (domain.md D6). */
export const POLICE_READS = "RC-ANPR-POL";

/** Whether plates are read at a camera; of a zone's own ones the police keeps a copy. */
export function readsPlates(camera: { kind: string }): boolean {
  return camera.kind !== "overview";
}

export interface StreamLike {
  id: string;
  use: string;
  codec: string | null;
}

/** Sub-stream for small tiles, main stream for one large picture; the other where one is missing. */
export function pickStream<S extends StreamLike>(streams: readonly S[], large: boolean): S | null {
  const main = streams.find((stream) => stream.use === "main") ?? null;
  const sub = streams.find((stream) => stream.use === "sub") ?? null;
  return large ? (main ?? sub) : (sub ?? main);
}

export interface Choice<S> {
  /** Null: there is nothing to show. */
  stream: S | null;
  /** Codec that kept the wanted stream from being shown; null when the wanted one is shown or none exists. */
  refusedCodec: string | null;
}

/**
 * The stream for a position: the wanted one where this browser plays it, else the other of main and sub that it plays. A
 * small picture is better than none, and a large one better than none too.
 */
export function chooseStream<S extends StreamLike>(
  streams: readonly S[],
  large: boolean,
  plays: (stream: S) => boolean,
): Choice<S> {
  const wanted = pickStream(streams, large);
  if (wanted === null || plays(wanted)) return { stream: wanted, refusedCodec: null };
  const other = pickStream(streams, !large);
  const stream = other !== null && other.id !== wanted.id && plays(other) ? other : null;
  return { stream, refusedCodec: wanted.codec ?? "" };
}

/** Groups by owner, own organisation first, then by name; cameras by call-up number, then by code. */
export function byOwner<C extends Searchable & { owner: { id: string } }>(
  cameras: readonly C[],
  ownOrg: string,
  language: Language,
): { owner: C["owner"]; cameras: C[] }[] {
  const groups = new Map<string, { owner: C["owner"]; cameras: C[] }>();
  for (const camera of cameras) {
    const group = groups.get(camera.owner.id) ?? { owner: camera.owner as C["owner"], cameras: [] as C[] };
    group.cameras.push(camera);
    groups.set(camera.owner.id, group);
  }
  const out = [...groups.values()];
  for (const group of out) {
    group.cameras.sort(
      (a, b) => (a.call_up ?? Infinity) - (b.call_up ?? Infinity) || a.code.localeCompare(b.code) || 0,
    );
  }
  return out.sort(
    (a, b) =>
      Number(b.owner.id === ownOrg) - Number(a.owner.id === ownOrg) ||
      nameOf(a.owner, language).localeCompare(nameOf(b.owner, language)),
  );
}
