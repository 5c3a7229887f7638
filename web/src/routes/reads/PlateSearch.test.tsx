// @vitest-environment jsdom
import { fireEvent, screen, waitFor } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { why } from "../../app/why";
import { fromLocal, toWire } from "../../domain/time";
import { NONE, server, show } from "../../testing/desk";
import { PlateSearch } from "./PlateSearch";

const from = fromLocal(2026, 11, 1, 8);
const until = fromLocal(2026, 11, 2, 9);

beforeEach(() => why.set({ code: "INTERVENTIE", justification: "car of the break-in", case_ref: "BR.1/2026" }));

const search = (props: { from: number | null; until: number | null }, onFound = vi.fn()) =>
  show(<PlateSearch {...props} active={false} onFound={onFound} />, { rights: ["reads.search"] });

describe("a plate search", () => {
  it.each([
    [null, null, /over the chosen days up to now\./, true],
    [null, until, /over the chosen days up to 02\/11\/2026 09:00:00\./, true],
    [from, null, /from 01\/11\/2026 08:00:00 up to now\./, false],
    [from, until, /from 01\/11\/2026 08:00:00 up to 02\/11\/2026 09:00:00\./, false],
  ])("says which time it looks at: %s to %s", (start, end, words, hasDays) => {
    search({ from: start, until: end });
    expect(screen.getByText(words)).toBeTruthy();
    expect(screen.queryByRole("combobox", { name: "Over" }) !== null).toBe(hasDays);
    expect(screen.getByRole("button", { name: "Search" }).getAttribute("aria-describedby")).toBe(
      screen.getByText(words).id,
    );
  });

  it("asks for From and Until where they are set", async () => {
    const asked = server(() => NONE);
    const onFound = vi.fn();
    search({ from, until }, onFound);
    fireEvent.change(screen.getByRole("textbox", { name: "Search a plate" }), { target: { value: "1abc*" } });
    fireEvent.change(screen.getByRole("combobox", { name: "Search for" }), { target: { value: "wildcard" } });
    fireEvent.click(screen.getByRole("button", { name: "Search" }));
    await waitFor(() => expect(onFound).toHaveBeenCalledOnce());
    expect(asked).toMatchObject([
      {
        method: "POST",
        path: "/api/v1/reads/search",
        body: { plate: "1ABC*", match: "wildcard", from: toWire(from), to: toWire(until) },
      },
    ]);
  });
});
