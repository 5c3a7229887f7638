// The reason for looking ("why"): asked once a task, shown in the header, sent with every request that needs it.

import { defaultPurpose, missing, type Need, type Why } from "../domain/purpose";
import { store } from "../domain/store";
import type { Problem, Result } from "../api/http";
import type { Purpose, Session } from "../api/types";

const KEPT = "belfry.why";

function kept(): Why | null {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT) ?? "null") as Why | null;
  } catch {
    return null;
  }
}

export const why = store<Why | null>(kept());
why.subscribe(() => sessionStorage.setItem(KEPT, JSON.stringify(why.get())));

export interface Question {
  needs: Need[];
  answer(why: Why | null): void;
}

/** The open question; the dialog shows it. Several tiles that ask at once share one. */
export const question = store<Question | null>(null);
let pending: Promise<Why | null> | null = null;

export function ask(needs: Need[]): Promise<Why | null> {
  pending ??= new Promise<Why | null>((resolve) => {
    question.set({
      needs,
      answer(given) {
        pending = null;
        question.set(null);
        if (given !== null) why.set(given);
        resolve(given);
      },
    });
  });
  return pending;
}

export function endTask(): void {
  why.set(null);
}

const DEMANDS: Record<string, Need> = {
  purpose_required: "purpose",
  justification_required: "justification",
  case_required: "case",
};

export type WithPurpose<T> = Result<T> | { ok: false; cancelled: true; problem: Problem };

/** Runs a request under a purpose; asks the operator for what the role table demands and the reason does not say yet. */
export async function withPurpose<T>(
  session: Session,
  needs: readonly string[],
  run: (purpose: Purpose) => Promise<Result<T>>,
): Promise<WithPurpose<T>> {
  const wanted = new Set(needs);
  for (let round = 0; ; round += 1) {
    const lacking = missing(why.get(), [...wanted]);
    if (lacking.length > 0 && (await ask(lacking)) === null) {
      return { ok: false, cancelled: true, problem: { status: 0, code: "cancelled", detail: null, errors: [] } };
    }
    const reason = why.get() ?? { code: defaultPurpose(session.profile), justification: null, case_ref: null };
    const answer = await run(reason);
    const demand = answer.ok ? undefined : DEMANDS[answer.problem.code];
    if (demand === undefined || round >= 3) return answer;
    if (wanted.has(demand)) why.set(null);
    wanted.add(demand);
  }
}
