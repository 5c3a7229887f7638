// A machine's certificate as an administrator has it in hand: its fingerprint, its last day, and how it stands. Nothing here is trusted:
// the listener for machines checks chain and key.

import { HOUR } from "./time";

/** Sorted into these by the console; the server has the dates. */
export type CertificateState = "counts" | "soon" | "ended" | "revoked";
/** A renewal takes an organisation some weeks: from then on the page warns. */
export const SOON_MS = 30 * 24 * HOUR;

export function certificateState(
  one: { ends_at: string; revoked_at?: string | null },
  nowMs: number,
): CertificateState {
  if (one.revoked_at !== null && one.revoked_at !== undefined) return "revoked";
  const left = Date.parse(one.ends_at) - nowMs;
  if (left <= 0) return "ended";
  return left <= SOON_MS ? "soon" : "counts";
}

/** 64 hexadecimal digits as `openssl x509 -noout -fingerprint -sha256` prints them, with or without its words and colons. */
export function fingerprintOf(text: string): string | null {
  const digits = text
    .trim()
    .replace(/^sha256 fingerprint=/i, "")
    .replaceAll(":", "")
    .toLowerCase();
  return /^[0-9a-f]{64}$/.test(digits) ? digits : null;
}

/** In groups of four, for people who compare it. */
export const fingerprintWords = (fingerprint: string): string => fingerprint.replace(/(.{4})(?=.)/g, "$1 ");

/** The first certificate of a PEM text in DER form; null where there is none. A private key beside it is not looked at. */
export function pemToDer(text: string): Uint8Array<ArrayBuffer> | null {
  const body = /-----BEGIN CERTIFICATE-----([A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----/.exec(text)?.[1];
  if (body === undefined) return null;
  try {
    return Uint8Array.from(atob(body.replaceAll(/\s/g, "")), (char) => char.charCodeAt(0));
  } catch {
    return null;
  }
}

export const holdsPrivateKey = (text: string): boolean => /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text);

/** One element of DER: its tag, its content, and where the next begins (X.690, definite lengths only). */
function element(der: Uint8Array, at: number): { tag: number; from: number; to: number } | null {
  const tag = der[at];
  const first = der[at + 1];
  if (tag === undefined || first === undefined) return null;
  let from = at + 2;
  let length = first;
  if (first >= 0x80) {
    const bytes = first & 0x7f;
    if (bytes === 0 || bytes > 3) return null;
    length = 0;
    for (let i = 0; i < bytes; i += 1) length = length * 256 + (der[from + i] ?? 0);
    from += bytes;
  }
  const to = from + length;
  return to <= der.length ? { tag, from, to } : null;
}

const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;

function instantOf(der: Uint8Array, one: { tag: number; from: number; to: number }): number | null {
  const text = String.fromCharCode(...der.subarray(one.from, one.to));
  const parts = /^(\d{2}|\d{4})(\d{2})(\d{2})(\d{2})(\d{2})(\d{2})Z$/.exec(text);
  if (parts === null || (one.tag !== UTC_TIME && one.tag !== GENERALIZED_TIME)) return null;
  const [year, month, day, hour, minute, second] = parts.slice(1).map(Number) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  // Two digits: 1950 to 2049 (RFC 5280, 4.1.2.5.1).
  const full = one.tag === UTC_TIME ? (year >= 50 ? 1900 : 2000) + year : year;
  return Date.UTC(full, month - 1, day, hour, minute, second);
}

/** The last instant of a certificate, milliseconds since 1970 (RFC 5280, 4.1); null where it can't be read. */
export function notAfterOf(der: Uint8Array): number | null {
  const certificate = element(der, 0);
  const body = certificate === null ? null : element(der, certificate.from);
  if (body === null) return null;
  let at = body.from;
  // version (tagged, may be absent), serial number, signature, issuer; then validity.
  const version = element(der, at);
  if (version?.tag === 0xa0) at = version.to;
  for (let i = 0; i < 3; i += 1) {
    const next = element(der, at);
    if (next === null) return null;
    at = next.to;
  }
  const validity = element(der, at);
  const notBefore = validity?.tag === 0x30 ? element(der, validity.from) : null;
  const notAfter = notBefore === null ? null : element(der, notBefore.to);
  return notAfter === null ? null : instantOf(der, notAfter);
}

/** SHA-256 in hexadecimal; null where the browser has no `crypto.subtle` (a page without TLS that is not on this machine). */
export async function fingerprintOfDer(der: Uint8Array<ArrayBuffer>): Promise<string | null> {
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  if (subtle === undefined) return null;
  const digest = new Uint8Array(await subtle.digest("SHA-256", der));
  return [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}
