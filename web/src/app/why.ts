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

/** What a person can supply in the dialog; the rest (a second person) is told as it is. */
const DEMANDS: readonly Need[] = ["purpose", "justification", "case", "magistrate"];

const EMPTY = (profile: string): Why => ({ code: defaultPurpose(profile), justification: null, case_ref: null });

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
    const reason = why.get() ?? EMPTY(session.profile);
    const answer = await run(reason);
    // The answer names everything that is missing at once: one dialog, not one after the other.
    const told = answer.ok ? [] : (answer.problem.missing ?? []);
    const demands = DEMANDS.filter((need) => told.includes(need));
    if (demands.length === 0 || demands.length < told.length || round >= 3) return answer;
    if (demands.some((need) => wanted.has(need))) why.set(null);
    demands.forEach((need) => wanted.add(need));
  }
}
