// @vitest-environment jsdom
import { act, fireEvent, screen, waitFor } from "@testing-library/react";
import { describe, expect, it } from "vitest";
import { keys } from "../../api/keys";
import type { Finding } from "../../api/types";
import { type Answer, type Asked, later, never, server, show } from "../../testing/desk";
import { newer } from "./current";
import { FindingDetail } from "./FindingDetail";

function finding(etag: string, over: Partial<Finding> = {}): Finding {
  return {
    id: "fnd_1",
    etag,
    state: "open",
    verdict: "infraction",
    kind: "lez",
    plate: "1ABC123",
    country: "B",
    place: null,
    at: "2026-11-23T10:00:00.000000Z",
    amount_cents: null,
    currency: null,
    camera: { id: "cam_1", code: "C1", name_nl: "Plein", name_fr: "Place" },
    reasons: [],
    rule_id: null,
    rule_set: "0123456789abcdef",
    registry: null,
    exit: null,
    measured: null,
    has_crop: false,
    has_overview: false,
    confirm_plate_first: false,
    second_person_needed: false,
    decided_by: null,
    decided_at: null,
    decision_reason: null,
    decision_id: "dec_1",
    ...over,
  } as unknown as Finding;
}

const decisions = (asked: Asked[]): unknown[] => asked.filter((one) => one.method === "POST").map((one) => one.body);
const mine = { decided_by: "usr_me", decided_at: "2026-11-23T10:01:00.000000Z" };

function press(key: string): void {
  fireEvent.keyDown(window, { key });
}

/** Rejects with the first reason of the list. */
function reject(): void {
  press("2");
  const send = screen.getAllByRole("button", { name: "Reject" }).at(-1);
  if (send === undefined) throw new Error("no form of a rejection");
  fireEvent.click(send);
}

describe("the newer version of a finding", () => {
  it.each([
    ["no detail", undefined, "3", "3"],
    ["the list is older", "4", "3", "4"],
    ["the list is newer", "9", "10", "10"],
    ["both alike", "3", "3", "3"],
  ])("%s", (_name, detail, listed, want) => {
    expect(newer(detail === undefined ? undefined : finding(detail), finding(listed)).etag).toBe(want);
  });
});

describe("a decision on a finding that was just decided", () => {
  /** What is fetched after the first answer is slow: it never comes. */
  const slow = (decided: Finding, then: Promise<Answer>) => {
    let fetched = 0;
    return (asked: Asked): Answer | Promise<Answer> => {
      if (asked.method === "POST") return { body: decided };
      fetched += 1;
      return fetched === 1 ? { body: finding("1") } : fetched === 2 ? then : never;
    };
  };

  it("names the version that the own decision made, before anything is fetched anew", async () => {
    const asked = server(slow(finding("2", { state: "unclear", ...mine }), never));
    show(<FindingDetail id="fnd_1" listed={finding("1")} onDone={() => undefined} />);
    await act(async () => undefined);
    press("3");
    await waitFor(() => expect(decisions(asked)).toHaveLength(1));
    await act(async () => undefined);
    reject();
    await waitFor(() => expect(decisions(asked)).toHaveLength(2));
    expect(decisions(asked)).toEqual([
      { verdict: "unclear", reason: null, seen_etag: "1" },
      { verdict: "reject", reason: "plate_misread", seen_etag: "2" },
    ]);
  });

  it("is not set back by a fetch that left before the decision and arrives after it", async () => {
    const [old, answer] = [later(), later()];
    const slowly = slow(finding("2", { state: "unclear", ...mine }), old.answer);
    const asked = server((one) =>
      one.method === "POST" && decisions(asked).length === 1 ? answer.answer : slowly(one),
    );
    const detail = <FindingDetail id="fnd_1" listed={finding("1")} onDone={() => undefined} />;
    const { client, swap } = show(detail);
    await act(async () => undefined);
    // As the event stream does it.
    act(() => void client.invalidateQueries({ queryKey: keys.findings }));
    await waitFor(() => expect(asked).toHaveLength(2));
    press("3");
    await waitFor(() => expect(decisions(asked)).toHaveLength(1));
    // Whoever decides looks at another one meanwhile, and comes back.
    swap(null);
    await act(async () => answer.give({ body: finding("2", { state: "unclear", ...mine }) }));
    await act(async () => old.give({ body: finding("1") }));
    swap(detail);
    reject();
    await waitFor(() => expect(decisions(asked)).toHaveLength(2));
    expect(decisions(asked)[1]).toMatchObject({ seen_etag: "2" });
  });

  it("is not offered where the last one of the queue stays on the screen, decided", async () => {
    const asked = server(slow(finding("2", { state: "approved", ...mine }), never));
    show(<FindingDetail id="fnd_1" listed={finding("1")} onDone={() => undefined} />);
    await act(async () => undefined);
    press("1");
    await screen.findByText(/by you on/);
    press("1");
    press("3");
    await act(async () => undefined);
    expect(decisions(asked)).toHaveLength(1);
    expect(screen.queryByRole("button", { name: /Approve/ })).toBeNull();
  });

  it("takes back by the version that the own decision made", async () => {
    const asked = server(slow(finding("2", { state: "approved", ...mine }), never));
    show(<FindingDetail id="fnd_1" listed={finding("1")} onDone={() => undefined} />);
    await act(async () => undefined);
    press("1");
    fireEvent.click(await screen.findByRole("button", { name: "Take my decision back" }));
    fireEvent.change(screen.getByRole("textbox"), { target: { value: "the wrong key" } });
    const dialog = screen.getByRole("dialog");
    fireEvent.submit(dialog.querySelector("form") ?? dialog);
    await waitFor(() => expect(decisions(asked)).toHaveLength(2));
    expect(decisions(asked)[1]).toEqual({ verdict: "undo", reason: "the wrong key", seen_etag: "2" });
  });
});
