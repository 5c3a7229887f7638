import { useMemo } from "react";
import { useTranslation } from "react-i18next";
import type { Problem } from "../api/http";
import { nameOf, type Named } from "../domain/camera";
import { clock, dateTime, fromWire, zoneName, type Language } from "../domain/time";

/** Words in the user's language: fixed texts, codes of the contract, names and instants. */
export function useWords() {
  const { t, i18n } = useTranslation();
  const language = i18n.language as Language;
  return useMemo(() => {
    /** A code of the contract in words; an unknown code shows as it is, so that nothing is hidden. */
    const code = (kind: string, value: string | null | undefined): string =>
      value === null || value === undefined || value === ""
        ? ""
        : t(`${kind}.${value.replaceAll(".", "_")}`, { defaultValue: value });
    const problem = (problem: Problem | Error | string): string => {
      const word = typeof problem === "string" ? problem : problem instanceof Error ? problem.message : problem.code;
      return t(`problem.${word}`, { defaultValue: t("problem.other", { code: word }) });
    };
    /** What is wrong with each field, by the name that it has on the screen. */
    const fields = (problem: Problem): string[] =>
      problem.errors.map(
        (one) => `${code("fieldName", one.field)}: ${code("fieldProblem", one.problem).replace(/\.$/, "")}.`,
      );
    return {
      t,
      language,
      code,
      name: (thing: Named) => nameOf(thing, language),
      problem,
      fields,
      /** A refusal and what is wrong with each field. */
      refusal: (told: Problem): string => [problem(told), ...fields(told)].join(" "),
      when: (wire: string | null | undefined): string =>
        wire === null || wire === undefined ? "–" : dateTime(fromWire(wire), language),
      time: (ms: number): string => `${clock(ms, language)} ${zoneName(ms)}`,
    };
  }, [t, language]);
}
