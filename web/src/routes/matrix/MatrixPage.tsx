import { FilePen } from "lucide-react";
import { useMemo, useState } from "react";
import { useCameras } from "../../api/hooks";
import { useGrants } from "../../api/sharing";
import { useAbilities, useMatrix, useMatrixVersions, type Cell } from "../../api/watch";
import { useRight } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { Busy, Button, Notice, Page, SelectInput } from "../../components/ui";
import { Section } from "../sharing/act";
import { DraftForm } from "./DraftForm";
import { VersionCard } from "./VersionCard";

const RELATIONS = ["own", "shared", "other"] as const;

/** The role matrix in force: who may what, what somebody may on a camera, and how it changes. */
export function MatrixPage() {
  const { t, when, problem } = useWords();
  const may = useRight();
  const matrix = useMatrix();
  const versions = useMatrixVersions();
  const [drafting, setDrafting] = useState(false);
  const data = matrix.data;
  return (
    <Page
      title={t("page.matrix")}
      tools={
        may("matrix.propose") && data !== undefined ? (
          <Button look="primary" onPress={() => setDrafting(true)}>
            <FilePen size={16} aria-hidden />
            {t("matrix.draft")}
          </Button>
        ) : null
      }
    >
      {drafting && data !== undefined ? <DraftForm text={data.text} onClose={() => setDrafting(false)} /> : null}
      {matrix.isPending ? <Busy label={t("common.loading")} /> : null}
      {matrix.isError ? <Notice tone="bad">{problem(matrix.error)}</Notice> : null}
      {data !== undefined ? (
        <>
          <p className="px-4 pt-3 text-muted wrap-anywhere">
            {t("matrix.inForce", { version: data.version, when: when(data.active_since) })} · SHA-256{" "}
            {data.digest.slice(0, 16)}… · {data.source}
          </p>
          <Section title={t("matrix.versions")}>
            <p className="text-muted">{t("matrix.explain")}</p>
            <ul className="flex flex-col gap-3">
              {(versions.data ?? []).map((one) => (
                <VersionCard key={one.id} version={one} />
              ))}
            </ul>
          </Section>
          <Simulation />
          <Cells cells={data.cells} />
        </>
      ) : null}
    </Page>
  );
}

/** What a profile of an organisation may do with a camera. */
function Simulation() {
  const { t, code, name } = useWords();
  const may = useRight();
  const cameras = useCameras(may("camera.list"));
  const grants = useGrants(may("grant.view"));
  const [profile, setProfile] = useState("P01");
  const [camera, setCamera] = useState("");
  const [org, setOrg] = useState("");
  const list = useMemo(() => cameras.data ?? [], [cameras.data]);
  const chosen = list.find((one) => one.id === camera) ?? list[0];
  const orgs = useMemo(() => {
    const found = new Map(list.map((one) => [one.owner.id, one.owner]));
    for (const grant of grants.data ?? []) if (grant.partner !== null) found.set(grant.partner.id, grant.partner);
    return [...found.values()];
  }, [list, grants.data]);
  const of = org === "" ? (orgs[0]?.id ?? "") : org;
  const isShared = (grants.data ?? []).some(
    (one) => one.in_force && one.camera_id === chosen?.id && one.partner?.id === of,
  );
  const relation = chosen?.owner.id === of ? "own" : isShared ? "shared" : "other";
  const abilities = useAbilities(profile, relation);
  return (
    <Section title={t("matrix.simulate")}>
      <div className="flex flex-wrap gap-3">
        <SelectInput
          label={t("matrix.profile")}
          value={profile}
          onChange={(event) => setProfile(event.target.value)}
          options={PROFILES.map((one) => ({ value: one, label: `${one} · ${code("profile", one)}` }))}
        />
        <SelectInput
          label={t("matrix.of")}
          value={of}
          onChange={(event) => setOrg(event.target.value)}
          options={orgs.map((one) => ({ value: one.id, label: name(one) }))}
        />
        <SelectInput
          label={t("matrix.camera")}
          value={chosen?.id ?? ""}
          onChange={(event) => setCamera(event.target.value)}
          options={list.map((one) => ({ value: one.id, label: `${one.code} · ${name(one)}` }))}
        />
      </div>
      <p>{t(`matrix.relation.${relation}`)}</p>
      {abilities.data?.length === 0 ? <p className="text-muted">{t("matrix.nothing")}</p> : null}
      <ul className="flex flex-col gap-1">
        {(abilities.data ?? []).map((one) => (
          <li key={one.right}>
            <strong className="font-semibold">{code("right", one.right)}</strong>
            <span className="text-muted"> · {needs(one.needs, code)}</span>
          </li>
        ))}
      </ul>
    </Section>
  );
}

export const PROFILES: readonly string[] = Array.from({ length: 24 }, (_, at) => `P${String(at + 1).padStart(2, "0")}`);

/** Conditions in words; a number of days stands behind its word. */
export function needs(list: readonly string[], code: (kind: string, value: string) => string): string {
  if (list.length === 0) return code("need", "yes");
  return list
    .map((one) => {
      const [word, days] = one.split("=");
      return days === undefined ? code("need", word ?? one) : `${code("need", word ?? one)} ${days}`;
    })
    .join(", ");
}

function Cells({ cells }: { cells: readonly Cell[] }) {
  const { t, code } = useWords();
  const [profile, setProfile] = useState("");
  const shown = cells.filter((cell) => profile === "" || cell.profile === profile);
  const rows = new Map<string, Map<string, Cell>>();
  for (const cell of shown) {
    const key = `${cell.profile} ${cell.right}`;
    rows.set(key, (rows.get(key) ?? new Map<string, Cell>()).set(cell.relation, cell));
  }
  return (
    <Section title={t("matrix.cells", { count: shown.length })}>
      <SelectInput
        label={t("matrix.profile")}
        value={profile}
        onChange={(event) => setProfile(event.target.value)}
        options={[
          { value: "", label: t("matrix.everyProfile") },
          ...PROFILES.map((one) => ({ value: one, label: `${one} · ${code("profile", one)}` })),
        ]}
      />
      <table className="w-full text-left">
        <thead className="text-muted">
          <tr>
            <th scope="col" className="py-1 pr-3 font-normal">
              {t("matrix.profile")}
            </th>
            <th scope="col" className="py-1 pr-3 font-normal">
              {t("matrix.right")}
            </th>
            {RELATIONS.map((one) => (
              <th key={one} scope="col" className="py-1 pr-3 font-normal">
                {t(`matrix.column.${one}`)}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {[...rows].map(([key, row]) => {
            const [who = "", right = ""] = key.split(" ");
            return (
              <tr key={key} className="border-t border-line align-top">
                <td className="py-1 pr-3">{who}</td>
                <td className="pr-3">{code("right", right)}</td>
                {RELATIONS.map((one) => {
                  const cell = row.get(one);
                  return (
                    <td key={one} className="pr-3">
                      {cell === undefined ? "–" : needs(cell.needs, code)}
                    </td>
                  );
                })}
              </tr>
            );
          })}
        </tbody>
      </table>
    </Section>
  );
}
