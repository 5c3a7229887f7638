import { useQueryClient, type QueryKey } from "@tanstack/react-query";
import { useRef, useState } from "react";
import type { Problem, Result } from "../api/http";
import { useWords } from "./useWords";

/** One step at a time towards the server: busy while it runs, its refusal in words, and what it made stale read again. */
export function useAct(stale: QueryKey[], wordsOf?: (problem: Problem) => string) {
  const { problem, fields } = useWords();
  const client = useQueryClient();
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  // At once, where `busy` is told to the screen only with its next picture: a form that Enter is held down in sends itself again and again.
  const running = useRef(false);
  const words = (refusal: Problem): string => [wordsOf?.(refusal) ?? problem(refusal), ...fields(refusal)].join(" ");
  const act = async <T>(action: () => Promise<Result<T>>, done?: (value: T) => void): Promise<void> => {
    if (running.current) return;
    running.current = true;
    setBusy(true);
    const answer = await action();
    running.current = false;
    setBusy(false);
    setError(answer.ok ? null : words(answer.problem));
    if (answer.ok) done?.(answer.value);
    await Promise.all(stale.map((queryKey) => client.invalidateQueries({ queryKey })));
  };
  return { act, busy, error, setError };
}
