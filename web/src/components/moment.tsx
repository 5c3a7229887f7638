// Fields for days and moments. Not the browser's own: those follow the language of the browser, so that the same field reads
// 11/12 on one desk and 12/11 on the next. Arrow keys step the part under the caret.

import { useState, type KeyboardEvent } from "react";
import { useWords } from "../app/useWords";
import { momentText, parseDay, parseMoment, stepDay, stepMoment, type Stepped } from "../domain/moment";
import { zoneName } from "../domain/time";
import { TextInput } from "./ui";

type Step = (text: string, caret: number, by: number) => Stepped | null;

function onArrow(event: KeyboardEvent<HTMLInputElement>, step: Step, take: (text: string) => void): void {
  const by = event.key === "ArrowUp" ? 1 : event.key === "ArrowDown" ? -1 : 0;
  const input = event.currentTarget;
  const stepped = by === 0 ? null : step(input.value, input.selectionStart ?? 0, by);
  if (stepped === null) return;
  event.preventDefault();
  take(stepped.text);
  // After React has written the new text.
  requestAnimationFrame(() => input.setSelectionRange(stepped.start, stepped.end));
}

/** A moment of Brussels. `onChange` hears whole moments only; null when the field is empty. */
export function MomentInput({
  label,
  value,
  onChange,
}: {
  label: string;
  value: number | null;
  onChange: (ms: number | null) => void;
}) {
  const { t } = useWords();
  const [text, setText] = useState(() => (value === null ? "" : momentText(value)));
  const [typing, setTyping] = useState(false);
  const at = parseMoment(text);
  const wrong = !typing && text.trim() !== "" && at === null;
  const take = (next: string): void => {
    setText(next);
    const parsed = parseMoment(next);
    if (parsed !== null || next.trim() === "") onChange(parsed);
  };
  return (
    <TextInput
      className="w-[21ch]"
      label={label}
      hint={`${t("moment.zone")} ${zoneName(at ?? value ?? Date.now())}`}
      error={wrong ? t("moment.wrong") : null}
      placeholder={t("moment.momentShape")}
      inputMode="numeric"
      autoComplete="off"
      spellCheck={false}
      value={text}
      onFocus={() => setTyping(true)}
      onBlur={() => {
        setTyping(false);
        if (at !== null) setText(momentText(at));
      }}
      onChange={(event) => take(event.target.value)}
      onKeyDown={(event) => onArrow(event, stepMoment, take)}
    />
  );
}

/** A day, as `2026-11-22`. The text goes up as it is typed: the form says whether it may be missing. */
export function DayInput({
  label,
  value,
  onChange,
  required = false,
  error = null,
}: {
  label: string;
  value: string;
  onChange: (event: { target: { value: string } }) => void;
  required?: boolean;
  error?: string | null;
}) {
  const { t } = useWords();
  const [typing, setTyping] = useState(false);
  const wrong = !typing && value.trim() !== "" && parseDay(value) === null;
  return (
    <TextInput
      label={label}
      error={wrong ? t("moment.wrongDay") : error}
      placeholder={t("moment.dayShape")}
      title={t("moment.dayShape")}
      pattern="[0-9]{4}-[0-9]{2}-[0-9]{2}"
      inputMode="numeric"
      autoComplete="off"
      spellCheck={false}
      required={required}
      value={value}
      onChange={onChange}
      onFocus={() => setTyping(true)}
      onBlur={() => {
        setTyping(false);
        const day = parseDay(value);
        if (day !== null && day !== value) onChange({ target: { value: day } });
      }}
      onKeyDown={(event) => onArrow(event, stepDay, (next) => onChange({ target: { value: next } }))}
    />
  );
}
