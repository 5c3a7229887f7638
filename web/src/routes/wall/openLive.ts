import { media } from "../../api/calls";
import type { Camera, Session, Stream } from "../../api/types";
import { withPurpose } from "../../app/why";
import type { OpenAnswer } from "../../player/liveTile";

const TRY_AGAIN = [0, 401, 408, 425, 429, 500, 502, 503, 504];

/** Asks for a ticket under the operator's reason and turns it into the address of the stream. */
export async function openLive(camera: Camera, stream: Stream, session: Session): Promise<OpenAnswer> {
  const answer = await withPurpose(session, camera.needs?.live ?? [], (purpose) =>
    media.liveTicket(stream.id, purpose),
  );
  if (answer.ok) return { kind: "open", url: media.liveUrl(), ticket: answer.value.ticket };
  if ("cancelled" in answer) return { kind: "cancelled" };
  const { status, code } = answer.problem;
  return TRY_AGAIN.includes(status) ? { kind: "later", code } : { kind: "refused", code };
}
