import { useState } from "react";
import { useExportFiles } from "../../api/hooks";
import type { Export } from "../../api/types";
import { useWords } from "../../app/useWords";
import { Busy, Button, Notice } from "../../components/ui";
import { size, spoken } from "./size";

/** Files of a finished package, and what whoever gets it must do to check it. */
export function Package({ one }: { one: Export }) {
  const { t, problem, language } = useWords();
  const [open, setOpen] = useState(false);
  const files = useExportFiles(one.id, open);
  const fingerprint = one.certificate_sha256 ?? "";
  return (
    <div className="flex flex-col gap-2">
      <div className="flex justify-end">
        <Button look="primary" aria-expanded={open} onPress={() => setOpen(!open)}>
          {t("exports.files")}
        </Button>
      </div>
      {open && files.isPending ? <Busy label={t("common.loading")} /> : null}
      {open && files.isError ? <Notice tone="bad">{problem(files.error)}</Notice> : null}
      {open && files.data !== undefined ? (
        <>
          <p className="text-muted">{t("exports.saveAll")}</p>
          <ul className="grid gap-x-4 gap-y-1 sm:grid-cols-2" aria-label={t("exports.files")}>
            {files.data.map((file) => (
              <li key={file.name}>
                <a className="text-accent underline" href={file.url} download={file.name}>
                  {file.name}
                </a>{" "}
                <span className="text-muted tabular-nums">{size(file.bytes, language)}</span>
              </li>
            ))}
          </ul>
          <section className="flex flex-col gap-1.5 rounded-[5px] border border-line bg-raised p-3">
            <h3>{t("exports.checkTitle")}</h3>
            <p>{t("exports.checkFingerprint")}</p>
            <code className="wrap-anywhere">{spoken(fingerprint)}</code>
            <p>{t("exports.checkCommand")}</p>
            <code className="wrap-anywhere">
              belfry verify --certificate-sha256 {fingerprint} {one.id}
            </code>
            <p className="text-muted">{t("exports.checkByHand")}</p>
          </section>
        </>
      ) : null}
    </div>
  );
}
