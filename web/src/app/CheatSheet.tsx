import { Modal } from "../components/Modal";
import { Button, Key } from "../components/ui";
import { useWords } from "./useWords";

export function CheatSheet({ open, onClose }: { open: boolean; onClose: () => void }) {
  const { t } = useWords();
  const groups: { title: string; rows: [string[], string][] }[] = [
    {
      title: t("keys.everywhere"),
      rows: [
        [["?"], t("keys.help")],
        [["Alt", "F1–F9"], t("keys.page")],
        [["Esc"], t("keys.back")],
      ],
    },
    {
      title: t("page.wall"),
      rows: [
        [["/"], t("keys.search")],
        [["0–9", "Enter"], t("keys.callUp")],
        [["Alt", "1–4"], t("keys.layout")],
        [["←", "↑", "↓", "→"], t("keys.move")],
        [["Enter"], t("keys.maximise")],
        [["R"], t("keys.replay")],
        [["L"], t("keys.live")],
        [["Del"], t("keys.clear")],
      ],
    },
    {
      title: t("page.playback"),
      rows: [
        [["Space"], t("keys.play")],
        [["←", "→"], t("keys.step10")],
        [[",", "."], t("keys.frame")],
        [["J", "K", "L"], t("keys.shuttle")],
        [["R"], t("keys.back15")],
        [["P", "N"], t("keys.event")],
        [["↑", "↓"], t("keys.speed")],
        [["End"], t("keys.newest")],
        [["+", "-"], t("keys.zoom")],
        [["PgUp", "PgDn", "Enter"], t("keys.scrub")],
      ],
    },
    {
      title: t("page.findings"),
      rows: [
        [["1"], t("findings.approve")],
        [["2"], t("findings.reject")],
        [["3"], t("findings.unclear")],
        [["↑", "↓"], t("keys.nextFinding")],
      ],
    },
  ];
  return (
    <Modal title={t("keys.title")} open={open} onClose={onClose} wide>
      <div className="grid gap-x-8 gap-y-4 sm:grid-cols-2">
        {groups.map((group) => (
          <section key={group.title}>
            <h2 className="mb-1.5 text-muted">{group.title}</h2>
            <dl className="grid grid-cols-[auto_1fr] items-baseline gap-x-3 gap-y-1.5">
              {group.rows.map(([caps, text]) => (
                <div key={text} className="contents">
                  <dt className="flex gap-1">
                    {caps.map((cap) => (
                      <Key key={cap}>{cap}</Key>
                    ))}
                  </dt>
                  <dd>{text}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <p className="text-muted">{t("keys.switchOff")}</p>
      <div className="flex justify-end">
        <Button onPress={onClose}>{t("common.close")}</Button>
      </div>
    </Modal>
  );
}
