import { Cctv, Plus } from "lucide-react";
import { useState } from "react";
import { useCameras } from "../../api/hooks";
import { useRight } from "../../app/sessionContext";
import { useWords } from "../../app/useWords";
import { CameraState } from "../../components/CameraState";
import { Busy, Button, Empty, Notice, Page, SelectInput, TextInput } from "../../components/ui";
import { matches } from "../../domain/camera";
import { AddCamera } from "./AddCamera";
import { CameraDetail } from "./CameraDetail";
import { WaitingChanges } from "./LegalChanges";

const STATES = ["draft", "approved", "live", "retired"] as const;

export function CamerasPage() {
  const { t, name, code, problem } = useWords();
  const may = useRight();
  const list = useCameras();
  const [state, setState] = useState("");
  const [query, setQuery] = useState("");
  const [adding, setAdding] = useState(false);
  const [chosen, setChosen] = useState<string | null>(null);
  // Beside the detail there is room for the columns that tell cameras apart; the detail has the others.
  const wide = chosen === null;
  const rows = (list.data ?? []).filter((one) => (state === "" || one.state === state) && matches(one, query));
  return (
    <Page
      title={t("page.cameras")}
      tools={
        <>
          <TextInput
            label={t("tree.search")}
            type="search"
            value={query}
            onChange={(event) => setQuery(event.target.value)}
          />
          <SelectInput
            label={t("cameras.state")}
            value={state}
            onChange={(event) => setState(event.target.value)}
            options={[
              { value: "", label: t("cameras.allStates") },
              ...STATES.map((one) => ({ value: one, label: t(`cameraState.${one}`) })),
            ]}
          />
          <WaitingChanges onCamera={setChosen} />
          {may("camera.edit") ? (
            <Button look="primary" onPress={() => setAdding(true)}>
              <Plus size={16} aria-hidden />
              {t("cameras.add")}
            </Button>
          ) : null}
        </>
      }
    >
      {list.isPending ? <Busy label={t("common.loading")} /> : null}
      {list.isError ? <Notice tone="bad">{problem(list.error)}</Notice> : null}
      <div className="flex h-full min-h-0">
        <div className="min-w-0 flex-1 overflow-auto">
          <table>
            <caption className="sr-only">{t("page.cameras")}</caption>
            <thead>
              <tr>
                <th scope="col">{t("cameras.callUp")}</th>
                <th scope="col">{t("cameras.code")}</th>
                <th scope="col">{t("cameras.name")}</th>
                {wide ? <th scope="col">{t("cameras.owner")}</th> : null}
                {wide ? <th scope="col">{t("cameras.kind")}</th> : null}
                <th scope="col">{t("cameras.state")}</th>
                <th scope="col">{t("cameras.health")}</th>
              </tr>
            </thead>
            <tbody>
              {rows.map((camera) => (
                <tr key={camera.id} className={chosen === camera.id ? "bg-raised" : ""}>
                  <td className="tabular-nums">{camera.call_up ?? "–"}</td>
                  <td>
                    <button
                      type="button"
                      className="min-h-6 text-left whitespace-nowrap text-accent underline-offset-2 hover:underline"
                      onClick={() => setChosen(camera.id)}
                    >
                      {camera.code}
                    </button>
                  </td>
                  <td>{name(camera)}</td>
                  {wide ? <td>{name(camera.owner)}</td> : null}
                  {wide ? <td>{code("cameraKind", camera.kind)}</td> : null}
                  <td>{code("cameraState", camera.state)}</td>
                  <td>
                    <CameraState camera={camera} />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
          {list.isSuccess && rows.length === 0 ? <Empty icon={Cctv}>{t("cameras.none")}</Empty> : null}
        </div>
        {chosen !== null ? <CameraDetail key={chosen} id={chosen} onClose={() => setChosen(null)} /> : null}
      </div>
      {adding ? (
        <AddCamera
          onClose={(made) => {
            setAdding(false);
            if (made !== null) setChosen(made);
          }}
        />
      ) : null}
    </Page>
  );
}
