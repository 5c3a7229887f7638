// The wire format `vms.fmp4.v1` (docs/API-DESIGN.md, "Live over WebSocket"): pure parsing, no browser API.

/** Length of the header before every media message, in bytes. */
export const HEADER_BYTES = 32;

export interface FragmentHeader {
  /** The fragment starts with a key frame. */
  key: boolean;
  /** Time or picture does not continue the fragment before. */
  discontinuity: boolean;
  /** Which init segment it needs. */
  init: number;
  seq: bigint;
  /** Capture instant, µs since 1970. */
  captureUs: number;
  /** Instant at which the server sent it, µs since 1970. */
  sendUs: number;
}

export type WireError = { error: "short" | "version" };

/** Reads the 32-byte header; the media follows it. Microseconds of this century fit a double exactly. */
export function parseHeader(bytes: ArrayBuffer): FragmentHeader | WireError {
  if (bytes.byteLength < HEADER_BYTES) return { error: "short" };
  const view = new DataView(bytes);
  if (view.getUint8(1) !== 1) return { error: "version" };
  const flags = view.getUint8(0);
  return {
    key: (flags & 1) !== 0,
    discontinuity: (flags & 2) !== 0,
    init: view.getUint16(2),
    seq: view.getBigUint64(8),
    captureUs: Number(view.getBigInt64(16)),
    sendUs: Number(view.getBigInt64(24)),
  };
}

export const END_REASONS = [
  "revoked",
  "expired",
  "camera_gone",
  "partner_off",
  "unavailable",
  "stopped",
  "not_allowed",
] as const;
export type EndReason = (typeof END_REASONS)[number];

export type WireText =
  | { t: "init"; init: number; mime: string; width: number; height: number }
  | { t: "drop"; frames: number }
  | { t: "state"; phase: string; cause: string | null }
  | { t: "end"; why: EndReason };

/** Reads a text message; null for what this version does not know (ignored, so that the server may add kinds). */
export function parseText(text: string): WireText | null {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    return null;
  }
  if (typeof raw !== "object" || raw === null) return null;
  const message = raw as Record<string, unknown>;
  switch (message["t"]) {
    case "init":
      if (typeof message["mime"] !== "string" || typeof message["init"] !== "number") return null;
      return {
        t: "init",
        init: message["init"],
        mime: message["mime"],
        width: Number(message["width"] ?? 0),
        height: Number(message["height"] ?? 0),
      };
    case "drop":
      return { t: "drop", frames: Number(message["frames"] ?? 0) };
    case "state":
      return {
        t: "state",
        phase: String(message["phase"] ?? ""),
        cause: typeof message["cause"] === "string" ? message["cause"] : null,
      };
    case "end": {
      const why = END_REASONS.find((reason) => reason === message["why"]);
      return { t: "end", why: why ?? "stopped" };
    }
    default:
      return null;
  }
}

/** What a live socket offers: the ticket goes as a sub-protocol, since an address ends in the logs of proxies. */
export const liveProtocols = (ticket: string): string[] => ["vms.fmp4.v1", `ticket.${ticket}`];
