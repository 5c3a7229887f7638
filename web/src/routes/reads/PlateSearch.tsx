import { useId, useState } from "react";
import { PLATE_MATCHES, reads as readCalls, type PlateMatch } from "../../api/calls";
import type { Page as ListPage, Read } from "../../api/types";
import { useSession } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { withPurpose } from "../../app/why";
import { Button, SelectInput, TextInput } from "../../components/ui";
import { dateTime, toWire } from "../../domain/time";
import { searchSpan } from "./searchSpan";

const DAYS = [1, 7, 30] as const;

/** Search by plate: another right, and always under a purpose. `from` and `until` are those above the list; null where they are empty. */
export function PlateSearch({
  from,
  until,
  onFound,
  active,
}: {
  from: number | null;
  until: number | null;
  onFound: (page: ListPage<Read> | null) => void;
  active: boolean;
}) {
  const { t, refusal, language } = useWords();
  const session = useSession();
  const [plate, setPlate] = useState("");
  const [match, setMatch] = useState<PlateMatch>("exact");
  const [days, setDays] = useState(1);
  const [error, setError] = useState<string | null>(null);
  const run = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    if (plate.trim() === "") {
      if (active) onFound(null);
      return;
    }
    const span = searchSpan(from, until, days, Date.now());
    const answer = await withPurpose(session, ["purpose", "justification", "case"], (purpose) =>
      readCalls.search(plate.trim(), match, toWire(span.from), toWire(span.to), purpose),
    );
    if (answer.ok) onFound(answer.value);
    setError(answer.ok || "cancelled" in answer ? null : refusal(answer.problem));
  };
  const spanId = useId();
  const end = until === null ? t("reads.spanNow") : dateTime(until, language);
  return (
    <form onSubmit={(event) => void run(event)} className="flex flex-wrap items-end gap-2">
      <TextInput
        label={t("reads.searchPlate")}
        error={error}
        value={plate}
        maxLength={24}
        spellCheck={false}
        onChange={(event) => setPlate(event.target.value.toUpperCase())}
      />
      <SelectInput
        label={t("reads.match")}
        value={match}
        onChange={(event) => setMatch(event.target.value as PlateMatch)}
        options={PLATE_MATCHES.map((one) => ({ value: one, label: t(`plateMatch.${one}`) }))}
      />
      {from === null ? (
        <SelectInput
          label={t("reads.span")}
          value={String(days)}
          onChange={(event) => setDays(Number(event.target.value))}
          options={DAYS.map((one) => ({ value: String(one), label: t("reads.spanDays", { count: one }) }))}
        />
      ) : null}
      <Button type="submit" aria-describedby={spanId}>
        {t("reads.search")}
      </Button>
      <p id={spanId} className="basis-full text-xs text-muted">
        {from === null
          ? t("reads.spanByDays", { end })
          : t("reads.spanByFields", { start: dateTime(from, language), end })}
      </p>
    </form>
  );
}
