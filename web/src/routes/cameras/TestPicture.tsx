import { Camera as CameraIcon } from "lucide-react";
import { useEffect, useState } from "react";
import { cameras } from "../../api/calls";
import type { Camera } from "../../api/types";
import { useWords } from "../../app/useWords";
import { Button, Notice, TextInput } from "../../components/ui";

/** One coarse, masked test picture under its own logged right, with the number of the technical ticket. */
export function TestPicture({ camera }: { camera: Camera }) {
  const { t, name, problem } = useWords();
  const [ticket, setTicket] = useState("");
  const [text, setText] = useState("");
  const [url, setUrl] = useState<string | null>(null);
  const [error, setError] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(
    () => () => {
      if (url !== null) URL.revokeObjectURL(url);
    },
    [url],
  );
  const take = async (event: React.FormEvent): Promise<void> => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    const purpose = { code: "TECHNISCH", justification: text.trim() || null, case_ref: ticket.trim() || null };
    const answer = await cameras.testPicture(camera.id, purpose);
    setBusy(false);
    if (answer.ok) setUrl(URL.createObjectURL(answer.value));
    else setError(problem(answer.problem));
  };
  return (
    <section className="flex flex-col gap-2 rounded border border-line p-3">
      <h3 className="font-semibold">{t("cameras.testPicture")}</h3>
      <p className="text-xs text-muted">{t("cameras.testExplain")}</p>
      <form onSubmit={(event) => void take(event)} className="flex flex-col gap-2">
        <TextInput
          label={t("cameras.ticketNumber")}
          required
          value={ticket}
          onChange={(event) => setTicket(event.target.value)}
        />
        <TextInput
          label={t("why.justification")}
          required
          minLength={10}
          value={text}
          onChange={(event) => setText(event.target.value)}
        />
        <Button type="submit" isDisabled={busy}>
          <CameraIcon size={15} aria-hidden />
          {t("cameras.testTake")}
        </Button>
      </form>
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      {url !== null ? (
        <img src={url} alt={t("cameras.testAlt", { camera: name(camera) })} className="w-full rounded bg-black" />
      ) : null}
    </section>
  );
}
