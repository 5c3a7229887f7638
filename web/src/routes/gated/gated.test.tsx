// @vitest-environment jsdom
import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import type { Gated } from "../../api/types";
import { camera, NONE, server, show } from "../../testing/desk";
import { AddGated } from "./AddGated";
import { GatedCard } from "./GatedCard";

const SIGNED = { at: "2026-11-23T10:00:00.000000Z", name: "Els Maes", user_id: "usr_2" };

function decision(over: Partial<Gated>): Gated {
  return {
    id: "gat_1",
    camera: { id: "cam_A", code: "A", name_nl: "Plein", name_fr: "Plein" },
    class: "RC-ANPR-POL",
    from: "2026-11-01T10:00:00.000000Z",
    to: "2026-11-01T12:00:00.000000Z",
    purpose: "GERECHTELIJK_ONDERZOEK",
    ground: "the car of the break-in",
    case_ref: "BR.1/2026",
    state: "proposed",
    proposed: SIGNED,
    settled: null,
    refusal: null,
    applied: null,
    may_settle: true,
    ...over,
  } as Gated;
}

async function form(kinds: string[]) {
  const codes = kinds.map((kind, index) => camera(String.fromCharCode(65 + index), kind));
  const onClose = vi.fn();
  const asked = server((one) =>
    one.method === "GET" ? { body: { items: codes, next_cursor: null } } : { status: 201, body: {} },
  );
  show(<AddGated onClose={onClose} />, { rights: ["gated.propose"] });
  await screen.findByRole("option", { name: /^A –/ });
  return { asked, onClose };
}

function send(): void {
  fireEvent.change(screen.getByRole("textbox", { name: "Justification" }), { target: { value: "break-in in Jette" } });
  fireEvent.change(screen.getByRole("textbox", { name: "Case number" }), { target: { value: "BR.1/2026" } });
  fireEvent.click(screen.getByRole("button", { name: "Propose" }));
}

const what = () => screen.queryByRole("combobox", { name: "What stays" });

describe("the proposal to keep something behind the gate", () => {
  it.each([
    ["overview", false],
    ["lez", true],
    ["zbt", true],
    ["trajectory", true],
  ])("offers the reads of a camera of kind %s: %s", async (kind, offered) => {
    await form([kind]);
    expect(what() !== null).toBe(offered);
  });

  it.each([
    ["footage", undefined],
    ["reads", "RC-ANPR-POL"],
  ])("of the %s names the class %s", async (chosen, wanted) => {
    const { asked, onClose } = await form(["lez"]);
    fireEvent.change(what() ?? document.body, { target: { value: chosen } });
    send();
    await waitFor(() => expect(onClose).toHaveBeenCalledOnce());
    const body = asked.find((one) => one.method === "POST")?.body as Record<string, unknown>;
    expect(body["class"]).toBe(wanted);
    expect(body["camera_id"]).toBe("cam_A");
  });

  it("falls back to the footage where another camera, without reads, is chosen", async () => {
    const { asked, onClose } = await form(["lez", "overview"]);
    fireEvent.change(what() ?? document.body, { target: { value: "reads" } });
    expect(screen.getByText(/the right to see the reads/)).toBeTruthy();
    fireEvent.change(screen.getByRole("combobox", { name: "Camera" }), { target: { value: "cam_B" } });
    expect(what()).toBeNull();
    expect(screen.getByText(/the right to see the footage/)).toBeTruthy();
    send();
    await waitFor(() => expect(onClose).toHaveBeenCalledOnce());
    expect(asked.find((one) => one.method === "POST")?.body).not.toHaveProperty("class");
  });

  it("tells a refusal of the class in words", async () => {
    const errors = [{ field: "class", problem: "not_of_this_camera" }];
    server((one) =>
      one.method === "GET"
        ? { body: { items: [camera("A", "lez")], next_cursor: null } }
        : { status: 422, body: { code: "invalid", errors } },
    );
    show(<AddGated onClose={() => undefined} />);
    await screen.findByRole("option", { name: /^A –/ });
    send();
    await screen.findByText(/What stays: is nothing that this camera makes\./);
  });
});

describe("the card of a decision", () => {
  it.each([
    ["RC-ANPR-POL", /the police reads made at it/, /every police read made at this camera in these hours/],
    ["RC-VID-POL", /the camera's footage/, /the footage is kept for months/],
  ])("of class %s says what stays, and what agreeing does", (retention, stays, warning) => {
    server(() => NONE);
    show(<GatedCard one={decision({ class: retention })} />, { rights: ["gated.approve"] });
    const card = within(screen.getByRole("article", { name: "A" }));
    expect(card.getByText(stays)).toBeTruthy();
    expect(card.getByText(warning)).toBeTruthy();
    expect(card.getByText(new RegExp(retention))).toBeTruthy();
  });

  it("says which hours of reads wait", () => {
    const applied = { at: SIGNED.at, hours: 1, waiting: 2 };
    show(<GatedCard one={decision({ state: "in_force", may_settle: false, settled: SIGNED, applied })} />);
    expect(screen.getByText(/Hours behind the gate: 1/)).toBeTruthy();
    expect(screen.getByText(/the gate's folder of the reads cannot be written: 2\./)).toBeTruthy();
    expect(screen.queryByRole("button")).toBeNull();
  });
});
