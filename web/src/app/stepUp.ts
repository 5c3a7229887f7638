// Step-up: a request that needs a fresh second factor waits here until one was shown, and is then repeated.

import { askStepUp } from "../api/http";
import { store } from "../domain/store";

export interface StepUpQuestion {
  answer(shown: boolean): void;
}

/** The open question; the dialog shows it. Several requests that ask at once share one. */
export const stepUpQuestion = store<StepUpQuestion | null>(null);
let pending: Promise<boolean> | null = null;

export function stepUp(): Promise<boolean> {
  pending ??= new Promise<boolean>((resolve) => {
    stepUpQuestion.set({
      answer(shown) {
        pending = null;
        stepUpQuestion.set(null);
        resolve(shown);
      },
    });
  });
  return pending;
}

askStepUp.set(stepUp);
