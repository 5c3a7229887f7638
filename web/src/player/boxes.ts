// The few ISO BMFF boxes that the player must read: the time scale of an init segment and the presentation time of a
// fragment's first sample (ISO/IEC 14496-12, 8.4.2 `mdhd`, 8.8.12 `tfdt`, 8.8.8 `trun`).

interface Box {
  type: string;
  start: number;
  end: number;
}

function* boxesIn(view: DataView, start: number, end: number): Generator<Box> {
  let at = start;
  while (at + 8 <= end) {
    let size = view.getUint32(at);
    let body = at + 8;
    if (size === 1 && at + 16 <= end) {
      size = Number(view.getBigUint64(at + 8));
      body = at + 16;
    } else if (size === 0) {
      size = end - at;
    }
    if (size < body - at || at + size > end) return;
    const type = String.fromCharCode(
      view.getUint8(at + 4),
      view.getUint8(at + 5),
      view.getUint8(at + 6),
      view.getUint8(at + 7),
    );
    yield { type, start: body, end: at + size };
    at += size;
  }
}

function find(view: DataView, path: readonly string[], start: number, end: number): Box | null {
  let box: Box = { type: "", start, end };
  for (const type of path) {
    let next: Box | null = null;
    for (const child of boxesIn(view, box.start, box.end)) {
      if (child.type === type) {
        next = child;
        break;
      }
    }
    if (next === null) return null;
    box = next;
  }
  return box;
}

/** Ticks a second of the first track, or null when the bytes are no init segment. */
export function timescaleOf(init: ArrayBuffer): number | null {
  const view = new DataView(init);
  const mdhd = find(view, ["moov", "trak", "mdia", "mdhd"], 0, view.byteLength);
  if (mdhd === null || mdhd.end - mdhd.start < 1) return null;
  const at = mdhd.start + (view.getUint8(mdhd.start) === 1 ? 20 : 12);
  if (at + 4 > mdhd.end) return null;
  const scale = view.getUint32(at);
  return scale > 0 ? scale : null;
}

/** Presentation time of the first sample in ticks, or null when the bytes are no fragment. */
export function firstPresentationTicks(fragment: ArrayBuffer, offset: number): number | null {
  const view = new DataView(fragment);
  const traf = find(view, ["moof", "traf"], offset, view.byteLength);
  if (traf === null) return null;
  const tfdt = find(view, ["tfdt"], traf.start, traf.end);
  if (tfdt === null || tfdt.start + 8 > tfdt.end) return null;
  const decode =
    view.getUint8(tfdt.start) === 1 && tfdt.start + 12 <= tfdt.end
      ? Number(view.getBigUint64(tfdt.start + 4))
      : view.getUint32(tfdt.start + 4);
  const trun = find(view, ["trun"], traf.start, traf.end);
  return decode + (trun === null ? 0 : compositionOffset(view, trun));
}

function compositionOffset(view: DataView, trun: Box): number {
  if (trun.end - trun.start < 8) return 0;
  const flags = view.getUint32(trun.start) & 0xffffff;
  if ((flags & 0x800) === 0) return 0;
  let at = trun.start + 8;
  for (const bit of [0x1, 0x4, 0x100, 0x200, 0x400]) if ((flags & bit) !== 0) at += 4;
  return at + 4 <= trun.end ? view.getInt32(at) : 0;
}

/** A sample entry of video has 78 bytes before its boxes (ISO/IEC 14496-12, 12.1.3). */
const VISUAL_ENTRY = 78;

/** The decoder's configuration of the first H.264 sample entry: the contents of its `avcC`; null where there is none. */
export function avcConfig(init: ArrayBuffer): Uint8Array | null {
  const view = new DataView(init);
  const stsd = find(view, ["moov", "trak", "mdia", "minf", "stbl", "stsd"], 0, view.byteLength);
  if (stsd === null) return null;
  const entry = find(view, ["avc1"], stsd.start + 8, stsd.end);
  const avcc = entry === null ? null : find(view, ["avcC"], entry.start + VISUAL_ENTRY, entry.end);
  return avcc === null ? null : new Uint8Array(init.slice(avcc.start, avcc.end));
}

/** The contents of the `mdat` of a fragment; null where there is none. */
export function samplesOf(fragment: ArrayBuffer): Uint8Array | null {
  const view = new DataView(fragment);
  const mdat = find(view, ["mdat"], 0, view.byteLength);
  return mdat === null ? null : new Uint8Array(fragment, mdat.start, mdat.end - mdat.start);
}

export interface FilePart {
  at: number;
  size: number;
  startS: number;
  endS: number;
  isKey: boolean;
}

export interface FileHead {
  /** Length of the init segment. */
  initEnd: number;
  parts: FilePart[];
}

/** Init segment and index (`sidx`, ISO/IEC 14496-12, 8.16.3) at the beginning of a file; null when they are not all there. */
export function headOf(bytes: ArrayBuffer): FileHead | null {
  const view = new DataView(bytes);
  const moov = find(view, ["moov"], 0, view.byteLength);
  const sidx = find(view, ["sidx"], 0, view.byteLength);
  if (moov === null || sidx === null || sidx.end - sidx.start < 24) return null;
  const wide = view.getUint8(sidx.start) === 1;
  const fixed = sidx.start + (wide ? 32 : 24);
  if (fixed > sidx.end) return null;
  const scale = view.getUint32(sidx.start + 8);
  const time = sidx.start + 12;
  let ticks = wide ? Number(view.getBigUint64(time)) : view.getUint32(time);
  let at = sidx.end + (wide ? Number(view.getBigUint64(time + 8)) : view.getUint32(time + 4));
  const count = view.getUint16(fixed - 2);
  if (scale === 0 || fixed + count * 12 > sidx.end) return null;
  const parts: FilePart[] = [];
  for (let row = fixed; row < fixed + count * 12; row += 12) {
    const size = view.getUint32(row) & 0x7fffffff;
    const end = ticks + view.getUint32(row + 4);
    parts.push({ at, size, startS: ticks / scale, endS: end / scale, isKey: view.getUint8(row + 8) >= 0x80 });
    at += size;
    ticks = end;
  }
  return { initEnd: moov.end, parts };
}
