import { useQuery, useQueryClient } from "@tanstack/react-query";
import { useState } from "react";
import { unwrap } from "../../api/http";
import { identity } from "../../api/identity";
import { keys } from "../../api/keys";
import { useWords } from "../../app/useWords";
import { Busy, Button, Notice } from "../../components/ui";

/** The own sessions, to see and to end. */
export function OwnSessions() {
  const { t, problem, when } = useWords();
  const client = useQueryClient();
  const list = useQuery({ queryKey: keys.ownSessions, queryFn: async () => unwrap(await identity.sessions()) });
  const [error, setError] = useState<string | null>(null);
  const end = async (id: string): Promise<void> => {
    const answer = await identity.endSession(id);
    setError(answer.ok ? null : problem(answer.problem));
    await client.invalidateQueries({ queryKey: keys.ownSessions });
  };
  return (
    <section className="flex flex-col gap-3" aria-labelledby="own-sessions">
      <h2 id="own-sessions" className="font-semibold">
        {t("account.sessions")}
      </h2>
      {error !== null ? <Notice tone="bad">{error}</Notice> : null}
      {list.isPending ? <Busy label={t("common.loading")} /> : null}
      {list.isError ? <Notice tone="bad">{problem(list.error)}</Notice> : null}
      <ul className="flex flex-col gap-2">
        {(list.data?.items ?? []).map((one) => (
          <li key={one.id} className="flex items-center gap-3">
            <span>
              {one.current ? t("account.thisSession") : t("account.otherSession")} · {one.profile}
              <span className="block text-xs text-muted">
                {t("account.since")} {when(one.created_at)} · {t("account.seen")} {when(one.seen_at)}
              </span>
            </span>
            {one.current ? null : (
              <Button look="danger" onPress={() => void end(one.id)}>
                {t("account.endSession")}
              </Button>
            )}
          </li>
        ))}
      </ul>
    </section>
  );
}

/** What changed about the own account since the owner looked last. */
export function OwnNotices() {
  const { t, when } = useWords();
  const client = useQueryClient();
  const list = useQuery({ queryKey: keys.ownNotices, queryFn: async () => unwrap(await identity.notices()) });
  const items = list.data?.items ?? [];
  if (items.length === 0) return null;
  const seen = async (): Promise<void> => {
    await identity.noticesSeen();
    await client.invalidateQueries({ queryKey: keys.ownNotices });
  };
  return (
    <section className="flex flex-col gap-2" aria-labelledby="own-notices">
      <h2 id="own-notices" className="font-semibold">
        {t("account.notices")}
      </h2>
      <p className="text-muted">{t("account.noticesWhy")}</p>
      <ul className="list-disc pl-5">
        {items.map((one) => (
          <li key={`${one.at}${one.what}`}>
            {t(`accountNotice.${one.what}`, { defaultValue: one.what })} · {when(one.at)}
          </li>
        ))}
      </ul>
      <div>
        <Button onPress={() => void seen()}>{t("account.noticesSeen")}</Button>
      </div>
    </section>
  );
}
