// Opening a span for a player: the ticket, and what the player must know of it.

import { media } from "../../api/calls";
import type { PlaybackTicket, Session } from "../../api/types";
import { withPurpose } from "../../app/why";
import { fromWire, toWire } from "../../domain/time";
import { segmentAt, segmentFrom, ticketSpan, type Span } from "../../domain/timeline";
import { canFeed, RangeFeed } from "../../player/rangeFeed";
import type { OpenSpan, Source } from "../../player/syncTile";
import { WallMap } from "../../player/wallMap";

/** Less recorded than this ahead of the playhead is not worth a ticket and a leaf, ms. */
const WORTH_MS = 2000;

export function mapOf(ticket: PlaybackTicket): WallMap {
  return new WallMap(ticket.clock.map((one) => ({ mediaS: one.media_us / 1e6, wallMs: fromWire(one.at) })));
}

/** By short requests where the browser can, else as the element likes it. */
function attach(ticket: PlaybackTicket, video: HTMLVideoElement, onError: () => void): () => void {
  if (canFeed(ticket.mime)) {
    const load = (start: number, end: number, signal: AbortSignal): Promise<ArrayBuffer | null> =>
      media.playbackBytes(ticket.url, start, end, signal);
    const feed = new RangeFeed(video, { mime: ticket.mime, size: ticket.size, load }, onError);
    return () => feed.close();
  }
  video.src = ticket.url;
  return () => {
    video.removeAttribute("src");
    video.load();
  };
}

/** A stream of a group as its player asks for it. `needs` and `recorded` are read at every question; no spans: not known yet. */
export function sourceOf(
  streamId: string,
  session: Session,
  needs: () => readonly string[],
  recorded: () => readonly Span[] | null,
): Source {
  return {
    find(wallMs) {
      const spans = recorded();
      if (spans === null) return null;
      const next = segmentFrom(spans, wallMs);
      if (segmentAt(spans, wallMs) === null) return { span: null, next: next?.from ?? null };
      const span = ticketSpan(spans, wallMs);
      if (span !== null && span.to - span.from >= WORTH_MS) return { span, next: null };
      return { span: null, next: segmentFrom(spans, wallMs + WORTH_MS)?.from ?? null };
    },
    async open(span) {
      const answer = await withPurpose(session, needs(), (purpose) =>
        media.playbackTicket(streamId, toWire(Math.floor(span.from)), toWire(Math.ceil(span.to)), purpose),
      );
      if (!answer.ok) return { ok: false, code: answer.problem.code };
      const ticket = answer.value;
      if (document.createElement("video").canPlayType(ticket.mime) === "") {
        void media.closePlayback(ticket.playback_id);
        return { ok: false, code: "codec_unsupported" };
      }
      const opened: OpenSpan = {
        id: ticket.playback_id,
        attach: (video, onError) => attach(ticket, video, onError),
        starts: fromWire(ticket.starts_at),
        ends: fromWire(ticket.ends_at),
        startS: ticket.start_offset_us / 1e6,
        wish: span.from,
        map: mapOf(ticket),
        gaps: ticket.gaps.map((gap) => ({ from: fromWire(gap.from), to: fromWire(gap.to) })),
      };
      return { ok: true, span: opened };
    },
    close(id) {
      void media.closePlayback(id);
    },
  };
}
