// The desk's own file as entries of the register: a table with semicolons or commas whose first line names the columns. The same columns as
// `belfry permits import` takes. A line that is no entry is told by its number and keeps no other one back.

import { parseMoment } from "../../domain/moment";
import { toWire } from "../../domain/time";
import type { ListingBody, PermitBody } from "../../api/permits";

export const COLUMNS = [
  "list",
  "id",
  "plate",
  "country",
  "right",
  "zones",
  "from",
  "to",
  "granted_at",
  "status",
  "group",
  "evidence",
] as const;
const NEEDED = ["plate", "country", "from", "evidence"] as const;

/** Why a line is no entry: a word of `permits.problem`. */
export type LineProblem = "columns" | "moment" | "group" | "quotes";

export interface BadLine {
  line: number;
  problem: LineProblem;
}

export interface PermitFile {
  permits: PermitBody[];
  listings: ListingBody[];
  /** Line of each entry: of the permits, then of the lists, as the server counts them. */
  lines: number[];
  bad: BadLine[];
}

/** Why a file is none: a word of `permits.fileProblem`, and the column it is about. */
export interface FileProblem {
  problem: "unknown" | "missing" | "empty";
  column: string;
}

interface Row {
  line: number;
  /** Null where a quoted cell has no end. */
  cells: string[] | null;
}

/** Cells of RFC 4180: quoted ones may hold the delimiter, quotes and line feeds. */
function rows(text: string, delimiter: string): Row[] {
  const out: Row[] = [];
  let cells: string[] = [];
  let cell = "";
  let quoted = false;
  let line = 1;
  let start = 1;
  const endRow = (): void => {
    cells.push(cell);
    if (cells.some((one) => one.trim() !== "")) out.push({ line: start, cells: cells.map((one) => one.trim()) });
    cells = [];
    cell = "";
    start = line;
  };
  for (let at = 0; at < text.length; at += 1) {
    const one = text.charAt(at);
    if (one === "\n") line += 1;
    if (quoted) {
      if (one !== '"') cell += one;
      else if (text.charAt(at + 1) === '"') {
        cell += '"';
        at += 1;
      } else quoted = false;
    } else if (one === '"' && cell.trim() === "") {
      cell = "";
      quoted = true;
    } else if (one === delimiter) {
      cells.push(cell);
      cell = "";
    } else if (one === "\n") endRow();
    else if (one !== "\r") cell += one;
  }
  if (quoted) out.push({ line: start, cells: null });
  else endRow();
  return out;
}

/** An instant as it is sent: a typed day or moment of Brussels, or what is written in full already. Null when it is none. */
function instant(text: string): string | null {
  const typed = parseMoment(text);
  if (typed !== null) return toWire(typed);
  const full = /^\d{4}-\d{2}-\d{2}T[\d:.]+(?:Z|[+-]\d{2}:\d{2})$/.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(full) ? null : toWire(full);
}

export function parsePermitFile(text: string): PermitFile | FileProblem {
  const clean = text.replace(/^\uFEFF/, "");
  const first = clean.split("\n", 1)[0] ?? "";
  const [head, ...body] = rows(clean, first.includes(";") ? ";" : ",");
  const columns = head?.cells ?? [];
  if (columns.length === 0 || body.length === 0) return { problem: "empty", column: "" };
  const unknown = columns.find((one) => !COLUMNS.some((known) => known === one));
  if (unknown !== undefined) return { problem: "unknown", column: unknown };
  const missing = NEEDED.find((one) => !columns.includes(one));
  if (missing !== undefined) return { problem: "missing", column: missing };
  const out: PermitFile = { permits: [], listings: [], lines: [], bad: [] };
  const listingLines: number[] = [];
  for (const row of body) {
    const problem = take(row, columns, out, listingLines);
    if (problem !== null) out.bad.push({ line: row.line, problem });
  }
  out.lines.push(...listingLines);
  return out;
}

function take(row: Row, columns: string[], out: PermitFile, listingLines: number[]): LineProblem | null {
  const { cells } = row;
  if (cells === null) return "quotes";
  if (cells.length !== columns.length) return "columns";
  const cell = (name: string): string => cells[columns.indexOf(name)] ?? "";
  const [from, to, granted] = ["from", "to", "granted_at"].map((name) =>
    cell(name) === "" ? "" : instant(cell(name)),
  ) as [string | null, string | null, string | null];
  if (from === null || to === null || granted === null) return "moment";
  const shared = { plate: cell("plate"), country: cell("country"), from, evidence: cell("evidence") };
  if (cell("list") !== "") {
    out.listings.push({ list: cell("list"), to: to === "" ? null : to, ...shared });
    listingLines.push(row.line);
    return null;
  }
  const group = /^(.+)\*\s*(\d{1,5})$/.exec(cell("group"));
  if (cell("group") !== "" && group === null) return "group";
  out.permits.push({
    id: cell("id"),
    right: cell("right"),
    zones: cell("zones").split(/\s+/).filter(Boolean),
    to,
    granted_at: granted === "" ? from : granted,
    status: cell("status") === "" ? "granted" : cell("status"),
    group: group === null ? null : { name: (group[1] ?? "").trim(), places: Number(group[2]) },
    ...shared,
  });
  out.lines.push(row.line);
  return null;
}
