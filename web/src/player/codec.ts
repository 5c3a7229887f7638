// Which codecs this browser can play, asked before a ticket (and a leaf of the log) is spent on a stream.

/** A profile, tier and level that every decoder of the codec has; null for what the browser is not asked about. */
const ASK: Record<string, string> = { h265: 'video/mp4; codecs="hvc1.1.6.L93.B0"' };

/** True for an unknown codec: the stream itself will tell. */
export function canPlay(codec: string | null): boolean {
  const type = codec === null ? undefined : ASK[codec];
  return type === undefined || MediaSource.isTypeSupported(type);
}

/** `hvc1.1.6.L120.90` and `h265` are H.265 to everybody but a parser. */
export function codecName(codec: string): string {
  if (/^(hvc1|hev1|h265)/.test(codec)) return "H.265";
  return /^(avc[13]|h264)/.test(codec) ? "H.264" : codec;
}
