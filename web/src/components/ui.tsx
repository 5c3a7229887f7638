// Small building blocks: buttons, fields, notices, badges.

import { AlertTriangle, CircleCheck, Info, LoaderCircle, OctagonX, type LucideIcon } from "lucide-react";
import { useEffect, useId, useRef, type ReactNode } from "react";
import { Button as AriaButton, type ButtonProps } from "react-aria-components";
import { useTranslation } from "react-i18next";
import { prepareToSay, say } from "./say";

const LOOK = {
  primary: "bg-accent text-[#04121c] font-semibold hover:brightness-110",
  plain: "bg-raised text-text border border-edge hover:bg-line",
  quiet: "text-muted hover:text-text hover:bg-raised",
  danger: "bg-raised text-bad border border-bad hover:bg-[#3a1615]",
} as const;

/**
 * `isPending`: its step is under way. It does nothing meanwhile but keeps the focus, so that the keyboard stays where it is (a disabled button
 * loses it), and a screen reader hears its name with "under way", then its name alone. Not by the property of that name of react-aria (1.22):
 * that announces a reference to the button, which says nothing once the button has gone with its step.
 */
export function Button({
  look = "plain",
  className = "",
  isPending = false,
  children,
  ...props
}: Omit<ButtonProps, "className" | "children"> & {
  look?: keyof typeof LOOK;
  className?: string;
  children?: ReactNode;
}) {
  const { t } = useTranslation();
  const ref = useRef<HTMLButtonElement>(null);
  const told = useRef(isPending);
  useEffect(prepareToSay, []);
  useEffect(() => {
    if (told.current === isPending) return;
    told.current = isPending;
    const button = ref.current;
    if (button !== null && button === document.activeElement)
      say(button.getAttribute("aria-label") ?? button.textContent ?? "");
  }, [isPending]);
  const label = props["aria-label"];
  const pending = {
    onPress: () => undefined,
    // Else Enter in a field of its form sends that again.
    type: "button",
    "aria-disabled": true,
    ...(label === undefined ? {} : { "aria-label": `${label} ${t("common.underWay")}` }),
  } as const;
  return (
    <AriaButton
      {...props}
      {...(isPending ? pending : {})}
      ref={ref}
      className={`${isPending ? "cursor-progress opacity-50" : ""} relative inline-flex items-center justify-center gap-1.5 rounded-[5px] px-3 min-h-[30px] min-w-[30px] whitespace-nowrap disabled:opacity-50 disabled:cursor-not-allowed ${LOOK[look]} ${className}`}
    >
      {children}
      {isPending ? (
        <>
          {" "}
          <span className="sr-only">{t("common.underWay")}</span>
        </>
      ) : null}
    </AriaButton>
  );
}

export function Field({
  label,
  hint,
  error,
  children,
  className = "",
}: {
  label: string;
  hint?: string;
  error?: string | null;
  children: (ids: { id: string; describedBy: string | undefined; invalid: boolean }) => ReactNode;
  className?: string;
}) {
  const id = useId();
  const hasNote = (error ?? hint) !== undefined && (error ?? hint) !== null;
  return (
    <div className={`flex flex-col gap-1 ${className}`}>
      <label htmlFor={id} className="text-muted">
        {label}
      </label>
      {children({ id, describedBy: hasNote ? `${id}-note` : undefined, invalid: (error ?? "") !== "" })}
      {hasNote ? (
        <span id={`${id}-note`} className={error ? "text-bad" : "text-muted text-xs"}>
          {error ?? hint}
        </span>
      ) : null}
    </div>
  );
}

type InputProps = React.InputHTMLAttributes<HTMLInputElement>;

export function TextInput({
  label,
  hint,
  error,
  className = "",
  ...props
}: InputProps & { label: string; hint?: string; error?: string | null }) {
  return (
    <Field label={label} hint={hint} error={error} className={className}>
      {({ id, describedBy, invalid }) => (
        <input {...props} id={id} aria-describedby={describedBy} aria-invalid={invalid} className="field" />
      )}
    </Field>
  );
}

export function SelectInput({
  label,
  options,
  className = "",
  error,
  ...props
}: React.SelectHTMLAttributes<HTMLSelectElement> & {
  label: string;
  error?: string | null;
  options: readonly { value: string; label: string }[];
}) {
  return (
    <Field label={label} error={error} className={className}>
      {({ id, describedBy, invalid }) => (
        <select {...props} id={id} aria-describedby={describedBy} aria-invalid={invalid} className="field">
          {options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.label}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}

const TONES = {
  info: { icon: Info, className: "border-line text-text" },
  ok: { icon: CircleCheck, className: "border-ok text-ok" },
  warn: { icon: AlertTriangle, className: "border-warn text-warn" },
  bad: { icon: OctagonX, className: "border-bad text-bad" },
} as const;
export type Tone = keyof typeof TONES;

export function Notice({ tone = "info", children }: { tone?: Tone; children: ReactNode }) {
  const { icon: Icon, className } = TONES[tone];
  return (
    <div
      role={tone === "bad" ? "alert" : "status"}
      className={`flex items-start gap-2 rounded-[5px] border bg-raised px-3 py-2 ${className}`}
    >
      <Icon size={16} aria-hidden className="mt-0.5 shrink-0" />
      <div>{children}</div>
    </div>
  );
}

const BADGE: Record<Tone | "muted", string> = {
  ok: "text-ok",
  warn: "text-warn",
  bad: "text-bad",
  info: "text-accent",
  muted: "text-muted",
};

/** State as icon and words, never as a colour alone. */
export function Badge({ tone, icon: Icon, children }: { tone: Tone | "muted"; icon: LucideIcon; children: ReactNode }) {
  return (
    <span className={`inline-flex items-center gap-1.5 whitespace-nowrap ${BADGE[tone]}`}>
      <Icon size={14} aria-hidden className="shrink-0" />
      {children}
    </span>
  );
}

export function Busy({ label }: { label: string }) {
  return (
    <div role="status" className="flex items-center gap-2 p-4 text-muted">
      <LoaderCircle size={16} aria-hidden className="animate-spin" />
      {label}
    </div>
  );
}

export function Empty({ icon: Icon, children }: { icon: LucideIcon; children: ReactNode }) {
  return (
    <div className="flex flex-col items-center gap-3 p-10 text-center text-muted">
      <Icon size={28} aria-hidden />
      <p className="max-w-[46ch]">{children}</p>
    </div>
  );
}

/** A page: title line with tools, scrolling body. */
export function Page({ title, tools, children }: { title: string; tools?: ReactNode; children: ReactNode }) {
  return (
    <section className="flex h-full min-h-0 flex-col" aria-label={title}>
      <header className="flex flex-wrap items-center justify-between gap-3 border-b border-line px-4 py-2.5">
        <h1>{title}</h1>
        <div className="flex flex-wrap items-end gap-2">{tools}</div>
      </header>
      <div className="min-h-0 flex-1 overflow-auto">{children}</div>
    </section>
  );
}

export function Key({ children }: { children: ReactNode }) {
  return (
    <kbd className="inline-block min-w-5 rounded border border-edge bg-bg px-1 text-center font-sans text-xs text-text">
      {children}
    </kbd>
  );
}
