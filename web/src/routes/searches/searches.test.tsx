// @vitest-environment jsdom
import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import type { GatedSearch, Read } from "../../api/types";
import { why } from "../../app/why";
import { fromLocal, toWire } from "../../domain/time";
import { type Answer, camera, never, server, show } from "../../testing/desk";
import { OrderSearch } from "./OrderSearch";
import { SearchCard } from "./SearchCard";
import { SearchesPage } from "./SearchesPage";

const SIGNED = { at: "2026-11-20T10:00:00.000000Z", name: "Els Maes", user_id: "usr_2" };
const CHIEF = { at: "2026-11-20T11:00:00.000000Z", name: "Jan Smet", user_id: "usr_3" };

function order(over: Partial<GatedSearch> = {}): GatedSearch {
  return {
    id: "s1",
    camera: null,
    plate: "1ABC123",
    from: "2026-08-01T10:00:00.000000Z",
    to: "2026-08-02T10:00:00.000000Z",
    purpose: "GERECHTELIJK_ONDERZOEK",
    ground: "the car of the break-in",
    case_ref: "BR.1/2026",
    magistrate_ref: "OR 77/2026",
    state: "proposed",
    proposed: SIGNED,
    settled: null,
    refusal: null,
    expires_at: "2026-11-27T10:00:00.000000Z",
    may_settle: false,
    may_open: false,
    ...over,
  };
}

function read(id: string): Read {
  return {
    id,
    camera_id: "cam_A",
    at: "2026-08-01T11:00:00.000000Z",
    plate: "1ABC123",
    country: "B",
    country_confidence: null,
    confidence: 0.999,
    corrected: false,
    direction: "leaving",
    looks: 3,
    model: "m",
    has_crop: true,
    has_overview: true,
  };
}

const card = (over: Partial<GatedSearch>) => show(<SearchCard one={order(over)} cameras={new Map()} />);
const place = { id: "cam_A", code: "A", name_nl: "Plein A", name_fr: "Plein A" };

beforeEach(() => why.set(null));

describe("an order in words", () => {
  it.each([
    [{ plate: "1ABC123" }, "Plate 1ABC123, all cameras of the own organisation"],
    [{ plate: "1AB*" }, "Plates that fit 1AB* (? one, * any), all cameras of the own organisation"],
    [{ plate: "~1ABC123", camera: place }, "Plate 1ABC123 or one edit away, A – Plein A"],
    [{ plate: null, camera: place }, "Every plate, A – Plein A"],
  ])("%j", (over, words) => {
    card(over);
    expect(screen.getByRole("article", { name: words })).toBeTruthy();
  });

  it.each([
    ["proposed", {}, [/waits for a second person/, /Lapses on 27\/11\/2026/]],
    ["in_force", { settled: CHIEF }, [/in force/, /agreed by Jan Smet/, /Opens until 27\/11\/2026.*for Els Maes only/]],
    [
      "refused",
      { settled: CHIEF, refusal: "the decision names another car" },
      [/refused by Jan Smet/, /Reason: the decision names another car/, /erased on 27\/11\/2026/],
    ],
  ] as const)("%s", (state, over, words) => {
    card({ state, ...over });
    for (const one of words) expect(screen.getAllByText(one).length).toBeGreaterThan(0);
    expect(screen.getByText(/Magistrate's decision: OR 77\/2026/)).toBeTruthy();
    expect(screen.queryByRole("button")).toBeNull();
  });
});

describe("the second person", () => {
  it("reads what agreeing opens, to whom, for how long and on which decision, and agrees once", async () => {
    const asked = server(() => never);
    card({ may_settle: true });
    const words = screen.getByText(/^If you agree/).textContent;
    for (const one of ["Els Maes", "days from then: 7", "Plate 1ABC123", "all cameras", "01/08/2026", "pictures"])
      expect(words).toContain(one);
    expect(screen.getByText(/seen the magistrate's written decision OR 77\/2026/)).toBeTruthy();
    const agree = screen.getByRole("button", { name: "Agree" });
    fireEvent.click(agree);
    fireEvent.click(agree);
    await screen.findByRole("button", { name: "Agree under way" });
    expect(asked.map((one) => one.path)).toEqual(["/api/v1/reads/gated-searches/s1/approve"]);
  });

  it("refuses with a reason", async () => {
    const asked = server(() => ({ body: order({ state: "refused" }) }));
    card({ may_settle: true });
    fireEvent.click(screen.getByRole("button", { name: "Refuse" }));
    fireEvent.change(screen.getByRole("textbox", { name: /^Why not/ }), { target: { value: "another car is named" } });
    fireEvent.click(screen.getByRole("button", { name: "Refuse" }));
    await waitFor(() => expect(asked).toHaveLength(1));
    expect(asked[0]).toEqual({
      method: "POST",
      path: "/api/v1/reads/gated-searches/s1/refuse",
      body: { reason: "another car is named" },
    });
  });
});

describe("opening", () => {
  const open = (...answers: Answer[]) => {
    let given = 0;
    const asked = server(() => answers[given++] ?? { status: 500, body: {} });
    card({ state: "in_force", settled: CHIEF, may_open: true });
    // Looking at the order opens nothing.
    expect(asked).toHaveLength(0);
    fireEvent.click(screen.getByRole("button", { name: "Open" }));
    return asked;
  };
  const page = (ids: string[], next: string | null, decision: string): Answer => ({
    body: { items: ids.map(read), next_cursor: next, decision_id: decision },
  });

  it("shows page after page, each with the pictures of its own decision", async () => {
    const asked = open(page(["r1", "r2"], "c1", "dec_1"), page(["r3"], null, "dec_2"));
    await screen.findByText("Reads found so far: 2. There may be more.");
    fireEvent.click(screen.getByRole("button", { name: "Show more" }));
    await screen.findByText("Reads found: 3");
    expect(screen.queryByRole("button", { name: "Show more" })).toBeNull();
    expect(asked.map((one) => one.path)).toEqual([
      "/api/v1/reads/gated-searches/s1/open?limit=60",
      "/api/v1/reads/gated-searches/s1/open?limit=60&cursor=c1",
    ]);
    const table = screen.getByRole("table", { name: "Plate 1ABC123, all cameras of the own organisation" });
    expect(
      within(table)
        .getAllByRole("img", { name: /Crop/ })
        .map((one) => one.getAttribute("src")),
    ).toEqual([
      "/api/v1/reads/r1/crop.jpg?decision=dec_1",
      "/api/v1/reads/r2/crop.jpg?decision=dec_1",
      "/api/v1/reads/r3/crop.jpg?decision=dec_2",
    ]);
    const last = within(table).getAllByRole("button", { name: "Overview" }).at(-1);
    fireEvent.click(last ?? table);
    const overview = await screen.findByRole("img", { name: /Overview of the vehicle/ });
    expect(overview.getAttribute("src")).toBe("/api/v1/reads/r3/overview.jpg?decision=dec_2");
  });

  it.each([
    [
      "the gate's medium is away",
      { status: 503, body: { code: "gate_away" } },
      /the medium with its key is not attached/,
    ],
    ["it is over meanwhile", { status: 409, body: { code: "wrong_state" } }, /not possible in the present state/],
    ["nothing was found", page([], null, "dec_1"), /^Nothing found: no read behind the gate fits this order/],
    ["nothing was found yet", page([], "c1", "dec_1"), /^Nothing found so far/],
  ])("says it in words when %s", async (_name, answer, words) => {
    open(answer);
    await screen.findByText(words);
    expect(screen.queryByRole("table")).toBeNull();
  });

  it("is left alone by a failure of a further page", async () => {
    open(page(["r1"], "c1", "dec_1"), { status: 503, body: { code: "gate_away" } });
    fireEvent.click(await screen.findByRole("button", { name: "Show more" }));
    await screen.findByText(/the medium with its key is not attached/);
    expect(screen.getByText("Reads found so far: 1. There may be more.")).toBeTruthy();
    fireEvent.click(screen.getByRole("button", { name: "Close" }));
    expect(screen.queryByRole("table")).toBeNull();
  });
});

describe("the order of a search", () => {
  const fill = (label: string, value: string): void =>
    void fireEvent.change(screen.getByLabelText(label), { target: { value } });
  const form = (answer: Answer) => {
    const asked = server((one) => (one.method === "GET" ? { body: { items: [], next_cursor: null } } : answer));
    const onClose = vi.fn();
    const cameras = [
      camera("A", "lez"),
      camera("B", "overview"),
      { ...camera("C", "zbt"), state: "retired" as const },
      { ...camera("D", "lez"), relation: "shared" as const },
    ];
    show(<OrderSearch cameras={cameras} onClose={onClose} />);
    fill("Justification", "the car of the break-in");
    fill("Case number", "BR.1/2026");
    return { asked, onClose };
  };
  const send = (): boolean => fireEvent.click(screen.getByRole("button", { name: "Order" }));

  it("offers the own cameras that read plates, also those out of service, and all of them", () => {
    form({ body: null });
    const options = within(screen.getByRole("combobox", { name: "Camera" })).getAllByRole("option");
    expect(options.map((one) => one.textContent)).toEqual([
      "all cameras of the own organisation",
      "A – Plein A",
      "C – Plein C",
    ]);
  });

  it("asks for a plate or a camera, for a span and for the magistrate's decision, and sends what was written", async () => {
    const { asked, onClose } = form({ status: 201, body: order() });
    const reference = screen.getByRole<HTMLInputElement>("textbox", { name: "Reference of the magistrate's decision" });
    expect(reference.required).toBe(true);
    send();
    expect(asked.filter((one) => one.method === "POST")).toHaveLength(0);
    fill("Reference of the magistrate's decision", "OR 77/2026");
    send();
    await screen.findByText("Name a number plate, a camera, or both.");
    fill("Number plate (empty: every read of one camera)", "1abc123");
    fill("Search for", "similar");
    send();
    await screen.findByText("Say from when to when.");
    fill("From", "2026-08-01 10:00");
    fill("To (up to 31 days)", "2026-08-02 10:00");
    send();
    await waitFor(() => expect(onClose).toHaveBeenCalledOnce());
    expect(asked.filter((one) => one.method === "POST")).toEqual([
      {
        method: "POST",
        path: "/api/v1/reads/gated-searches",
        body: {
          plate: "1ABC123",
          match: "similar",
          from: toWire(fromLocal(2026, 8, 1, 10)),
          to: toWire(fromLocal(2026, 8, 2, 10)),
          purpose: {
            code: "GERECHTELIJK_ONDERZOEK",
            justification: "the car of the break-in",
            case_ref: "BR.1/2026",
            magistrate_ref: "OR 77/2026",
          },
        },
      },
    ]);
  });

  it("of a camera alone names no plate and no way of comparing it; a refusal is told by field", async () => {
    const errors = [{ field: "from", problem: "past_its_term" }];
    const { asked, onClose } = form({ status: 422, body: { code: "invalid", errors } });
    fill("Reference of the magistrate's decision", "OR 77/2026");
    fill("Camera", "cam_A");
    fill("From", "2024-08-01 10:00");
    fill("To (up to 31 days)", "2024-08-02 10:00");
    send();
    await screen.findByText(/From: lies before what is still there/);
    expect(onClose).not.toHaveBeenCalled();
    const body = asked.find((one) => one.method === "POST")?.body as Record<string, unknown>;
    expect(body).toMatchObject({ camera_id: "cam_A" });
    expect(Object.keys(body)).not.toContain("plate");
    expect(Object.keys(body)).not.toContain("match");
  });
});

describe("the page", () => {
  const page = async (rights: string[], items: GatedSearch[]) => {
    const asked = server(() => ({ body: { items, next_cursor: null } }));
    show(<SearchesPage />, { rights });
    await waitFor(() => expect(screen.queryByText("Loading…")).toBeNull());
    return asked;
  };

  it.each([
    [["reads.search"], true],
    [["gated.approve"], false],
  ])("with the rights %j offers to order: %s", async (rights, offered) => {
    await page(rights, []);
    expect(screen.queryByRole("button", { name: "Order a search" }) !== null).toBe(offered);
    expect(screen.getByText("No order.")).toBeTruthy();
  });

  it("counts what waits for whoever looks, and looks again only when told to, since each look is logged", async () => {
    vi.useFakeTimers({ shouldAdvanceTime: true });
    try {
      const asked = await page(["gated.approve"], [order({ may_settle: true }), order({ id: "s2" })]);
      expect(screen.getByText("Orders that wait for you: 1")).toBeTruthy();
      await vi.advanceTimersByTimeAsync(10 * 60_000);
      expect(asked).toHaveLength(1);
      fireEvent.click(screen.getByRole("button", { name: "Load anew" }));
      await waitFor(() => expect(asked).toHaveLength(2));
    } finally {
      vi.useRealTimers();
    }
  });
});
