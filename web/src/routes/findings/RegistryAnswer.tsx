import { useWords } from "../../app/useWords";
import { registryRows } from "../../domain/registry";

/** What the authentic source answered, field by field. */
export function RegistryAnswer({ answer }: { answer: unknown }) {
  const { t, code } = useWords();
  const rows = registryRows(answer);
  return (
    <section className="rounded border border-line bg-panel p-3">
      <h3 className="mb-1.5 font-semibold">{t("findings.registry")}</h3>
      {rows.length === 0 ? (
        <p className="text-muted">{t("findings.registryNothing")}</p>
      ) : (
        <dl className="grid grid-cols-[repeat(auto-fill,minmax(180px,1fr))] gap-x-4 gap-y-2">
          {rows.map(({ field, text }, index) => (
            <div key={`${field}/${index}`}>
              <dt className="text-xs text-muted">{code("registryField", field)}</dt>
              <dd className="break-words">{code("registryValue", text)}</dd>
            </div>
          ))}
        </dl>
      )}
    </section>
  );
}
